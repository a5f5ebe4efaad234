"""Perplexity and KL against what transformers and the definitions say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_models import TEXT, tiny_folder, tiny_source, tokenizer
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.errors import RequestError
from tzcore.progress import Progress
from tzcore.quant.evaluation import evaluate, small_files
from tzcore.quant.texts import windows_of

WINDOW = 64


def reference_losses(model: torch.nn.Module, windows: list[np.ndarray]) -> tuple[np.ndarray, list[torch.Tensor]]:
    losses, distributions = [], []
    for window in windows:
        ids = torch.from_numpy(window.astype(np.int64))[None]
        with torch.inference_mode():
            log = model(ids).logits[0].double().log_softmax(-1)
        losses.append(-log[:-1].gather(1, ids[0, 1:, None])[:, 0].numpy())
        distributions.append(log[:-1])
    return np.concatenate(losses), distributions


def test_numbers_are_those_of_the_definitions(tmp_path: Path) -> None:
    source = tiny_source("llama3")
    folder = tiny_folder(tmp_path / "m", "llama3", "t2b3", "i8", source=source)
    report = evaluate(folder, TEXT, source, ReferenceBackend(), window=WINDOW)
    windows, _ = windows_of(TEXT, small_files(folder), WINDOW)
    losses, original = reference_losses(source.model, windows)
    assert report["tokens"] == len(losses)
    assert report["original"]["perplexity"] == pytest.approx(float(np.exp(losses.mean())), rel=1e-4)
    assert report["original"]["bytes"] == source.bytes()

    opened = ModelFolder.open(folder)
    from tzcore.architecture.registry import spec_of

    model = ReferenceBackend().load(opened, spec_of(opened))
    divergence, agreed, ours = [], 0, []
    for window, p in zip(windows, original, strict=True):
        sequence = model.new_sequence(WINDOW)
        q = torch.from_numpy(model.forward(sequence, window, "all")).double().log_softmax(-1)[:-1]
        divergence.append((p.exp() * (p - q)).sum(1).numpy())
        agreed += int((p.argmax(1) == q.argmax(1)).sum())
        ours.append(-q.gather(1, torch.from_numpy(window[1:].astype(np.int64))[:, None])[:, 0].numpy())
    kl = np.concatenate(divergence)
    assert report["kl_mean"] == pytest.approx(float(kl.mean()), rel=1e-3)
    assert report["kl_p999"] == pytest.approx(float(np.quantile(kl, 0.999)), rel=1e-3)
    assert report["top1"] == pytest.approx(agreed / len(kl), abs=1.5 / len(kl))
    assert report["perplexity"] == pytest.approx(float(np.exp(np.concatenate(ours).mean())), rel=1e-4)


def test_bits_are_counted_from_stored_bytes(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "m", "llama3", "t2b3", "i8")
    report = evaluate(folder, TEXT, None, ReferenceBackend(), window=WINDOW)
    opened = ModelFolder.open(folder)
    projections = {n: e for n, e in opened.quantization.matrices.items() if "layers" in n}
    stored = sum(opened.matrix(n).codes.nbytes + opened.matrix(n).scales.nbytes for n in projections)
    stored += sum(192 * 2 + 192 + 320 for _ in range(2))  # signs of qkv, o, gate/up and down in two layers
    weights = sum(e.rows * e.cols for e in projections.values())
    assert report["bits_per_weight"] == pytest.approx(8 * stored / weights)
    assert report["bytes"] == sum(p.stat().st_size for p in folder.glob("*.safetensors"))


def test_without_the_original_there_is_no_comparison_and_it_says_so(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "m", "llama3")
    report = evaluate(folder, TEXT, None, ReferenceBackend(), window=WINDOW)
    assert report["original"] is None
    assert "tz pull" in report["note"]
    assert not {"kl_mean", "kl_p999", "top1"} & set(report)


def test_progress_ends_with_every_token_of_the_original_and_the_model(tmp_path: Path) -> None:
    source = tiny_source("llama3")
    folder = tiny_folder(tmp_path / "m", "llama3", source=source)
    seen: list[Progress] = []
    evaluate(folder, TEXT, source, ReferenceBackend(), report=seen.append, window=WINDOW)
    assert {p.phase for p in seen} == {"evaluate"}
    assert all(a.done <= b.done for a, b in pairwise(seen))
    assert seen[-1].done == seen[-1].total == 2 * len(tokenizer().encode(TEXT).ids)


def test_text_too_short_is_refused(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "m", "llama3")
    for text in ("", "a"):
        with pytest.raises(RequestError, match="at least two tokens"):
            evaluate(folder, text, None, ReferenceBackend())


def test_windows_begin_with_what_the_tokenizer_puts_first(tmp_path: Path) -> None:
    from tokenizers import processors

    folder = tiny_folder(tmp_path / "m", "llama3")
    made = tokenizer().from_file(str(folder / "tokenizer.json"))
    made.post_processor = processors.TemplateProcessing(single="<|im_end|> $A", special_tokens=[("<|im_end|>", 1)])
    made.save(str(folder / "tokenizer.json"))
    windows, first = windows_of(TEXT, small_files(folder), 50)
    assert first == 1
    assert all(window[0] == 1 for window in windows)
    ids = np.concatenate([window[1:] for window in windows])
    plain = tokenizer().encode(TEXT).ids
    assert ids.tolist() == plain[: len(ids)]
    report = evaluate(folder, TEXT, None, ReferenceBackend(), window=50)
    assert report["tokens"] == len(ids)
