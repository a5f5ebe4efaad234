"""Whole models on the interpreter: the card's own code, launches and kernels, against the NumPy reference."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from tests.ptx.device import Checks, InterpretedDevice
from tests.tiny_models import tiny_folder
from tzcore.architecture.registry import spec_of
from tzcore.backend.cuda.model import CudaModel
from tzcore.backend.cuda.plan import plan
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder

CONTEXT = 512


FAMILIES = {
    "llama": "t1b3", "mistral": "t2b3", "qwen2": "q2", "qwen3": "t1", "gemma2": "t2b3", "gemma3_text": "i4",
    "phi3": "t2", "granite": "t1b3", "smollm3": "t2b3", "bitnet": "t1b3", "falcon3": "t1", "biased": "f16", "mixtral": "t1b3",
    "qwen3_moe": "t2b3",
}  # fmt: skip
"""A family of models, and the format that its matrices have here."""


class Pair:
    """A tiny model on the card and in NumPy."""

    def __init__(self, path: Path, checks: Checks | None = None) -> None:
        self.folder = ModelFolder.open(path)
        self.spec = spec_of(self.folder, CONTEXT)
        self.device = InterpretedDevice(checks or Checks.fast())
        planned = plan(self.spec, self.folder.quantization.matrices, CONTEXT, 4 << 30, chunk=64)
        self.card = CudaModel(self.device, self.folder, self.spec, planned)
        self.reference = ReferenceBackend("int8", "f16").load(self.folder, self.spec)

    def close(self) -> None:
        self.card.close()
        self.reference.close()
        self.folder.close()
        gc.collect()


def divergence(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The median difference of logits in units of their spread, and the mean KL divergence in nats."""
    p, q = (np.exp(x - x.max(-1, keepdims=True)) for x in (expected.astype(np.float64), found))
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    return float(np.median(np.abs(found - expected)) / expected.std()), float((p * np.log(p / q)).sum(-1).mean())


@pytest.fixture(params=FAMILIES)
def pair(request, tmp_path):
    made = Pair(tiny_folder(tmp_path / "model", request.param, FAMILIES[request.param], "i8"))
    yield made
    made.close()


def test_logits_of_every_family(pair):
    """A prompt read at once, three tokens and one; rounded activations make the rest of the difference."""
    tokens = np.random.default_rng(0).integers(0, pair.spec.vocabulary, 24).astype(np.int32)
    ours, theirs = pair.card.new_sequence(64), pair.reference.new_sequence(64)
    for part in (tokens[:20], tokens[20:23], tokens[23:]):
        found, expected = pair.card.forward(ours, part, "all"), pair.reference.forward(theirs, part, "all")
        median, kl = divergence(found, expected)
        assert median < 0.03
        assert kl < 1e-2
