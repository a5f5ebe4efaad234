"""Training makes good what rounding cost, on the starter's own weights."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from tests.end_to_end.conftest import ROOT
from tzcore.architecture.registry import spec_of
from tzcore.backend.cpu import CpuBackend
from tzcore.checkpoint import ModelFolder
from tzcore.hub.reference import parse
from tzcore.hub.sources import open_source
from tzcore.torch import save_model, ternarize
from tzcore.torch.train import convert, parameter_groups, prepare
from tzcore.torch.train.original import model_of_source
from tzcore.torch.train.text import collect

pytestmark = pytest.mark.timeout(900)

WINDOW, STEPS = 256, 12


def perplexity(model: nn.Module, ids: torch.Tensor) -> float:
    with torch.no_grad():
        return math.exp(float(model(ids, labels=ids).loss))


def test_twelve_steps_bring_a_rounded_model_nearer_to_its_original(tmp_path: Path) -> None:
    """Rounded without calibration, so that there is much to make good; read again by the engine at the end."""
    torch.manual_seed(5)
    source = open_source(parse("starter"))
    original = model_of_source(source).eval()
    weights = {name: module.weight for name, module in original.named_modules() if isinstance(module, nn.Linear)}
    rounded = copy.deepcopy(original)
    ternarize(rounded, "t2", exclude=("lm_head",))

    resources = ROOT / "resources"
    text, held = collect(source.files, WINDOW, rounded.config.vocab_size, (resources / "calibration/fiction.txt",),
                         (resources / "evaluation/novel.txt",))  # fmt: skip
    ids = torch.from_numpy(np.asarray(text.ids[: 2 * STEPS])).long()
    apart = torch.from_numpy(np.asarray(held.ids[:4])).long()
    best, before = perplexity(original, apart), perplexity(rounded, apart)
    assert before > 2 * best

    student = prepare(rounded, original=lambda name: weights[name]).train()
    optimiser = torch.optim.AdamW(parameter_groups(student, 8e-3, scales=0.3, vectors=0.3), fused=True)
    for batch in ids.split(2):
        optimiser.zero_grad()
        with torch.no_grad():
            wanted = original(batch).logits.log_softmax(-1)
        with torch.autocast("cpu", torch.bfloat16):
            found = student(batch).logits
        loss = nn.functional.kl_div(found.float().log_softmax(-1), wanted, log_target=True, reduction="sum")
        (loss / batch.numel()).backward()
        optimiser.step()
    healed = convert(student).eval()
    after = perplexity(healed, apart)
    print(f"\nperplexity: original {best:.1f}, rounded {before:.1f}, after {STEPS} steps {after:.1f}")
    assert math.log(after) < math.log(before) - 0.5 * (math.log(before) - math.log(best))

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(source.files["tokenizer.json"]))
    save_model(healed, tmp_path / "healed", tokenizer=tokenizer)
    folder = ModelFolder.open(tmp_path / "healed")
    engine = CpuBackend().load(folder, spec_of(folder), threads=2)
    window = apart[0].numpy().astype(np.int32)
    logits = torch.from_numpy(engine.forward(engine.new_sequence(WINDOW), window, "all"))
    told = float(nn.functional.cross_entropy(logits[:-1], apart[0, 1:]))
    assert told == pytest.approx(math.log(perplexity(healed, apart[:1])), abs=0.02)
