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


def divergence(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference of logits in units of their spread."""
    return float(np.abs(found - expected).max() / expected.std())


@pytest.mark.parametrize("format", ["t1b3", "t2b3", "q2", "i8"])
def test_logits(tmp_path, format):
    pair = Pair(tiny_folder(tmp_path / "model", "llama", format, "i8"))
    tokens = np.random.default_rng(0).integers(0, pair.spec.vocabulary, 24).astype(np.int32)
    ours, theirs = pair.card.new_sequence(64), pair.reference.new_sequence(64)
    for part in (tokens[:20], tokens[20:23], tokens[23:]):
        found, expected = pair.card.forward(ours, part, "all"), pair.reference.forward(theirs, part, "all")
        assert divergence(found, expected) < 0.05
        assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.9
    pair.close()
