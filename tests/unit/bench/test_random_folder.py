"""Models of random weights: valid, of the right size, and next to no memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from tzcore import trits
from tzcore.architecture.registry import spec_of
from tzcore.backend.base import weight_bytes_per_token
from tzcore.bench.random_folder import RandomFolder, random_folder
from tzcore.checkpoint.reader import dequantised
from tzcore.hub.formats.synthetic import Synthetic
from tzcore.trits import FORMATS

CUT = "layers=2,hidden=192,intermediate=320,heads=6,kv_heads=2,head_dim=64,vocabulary=500"


def made(fmt: str, head: str = "i8", name: str = "llama-3-8b", cut: str = CUT) -> RandomFolder:
    return random_folder(Synthetic(name, cut, "synthetic:x", {}), fmt, head)


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_matrices_are_what_packing_gives(fmt: str) -> None:
    folder = made(fmt)
    spec_of(folder)  # checks every shape
    stored = folder.matrix("model.layers.0.mlp.down_proj")
    entry = stored.entry
    weights = dequantised(stored)
    assert np.isfinite(weights).all()
    assert 0.3 < weights.std() / ((entry.cols * 4) ** -0.5) < 3
    if stored.scales is not None:
        codes = trits.unpack(stored.codes, entry.format, entry.rows, entry.cols)
        assert (codes.min(), codes.max()) == (entry.format.low, entry.format.high)
        assert len({row.tobytes() for row in codes}) == entry.rows


def test_the_same_bytes_each_time() -> None:
    first, second = (made("t1b3").matrix("model.layers.1.self_attn.q_proj") for _ in range(2))
    assert (first.codes == second.codes).all()
    assert (first.signs == second.signs).all()  # type: ignore[comparison-overlap]


def test_a_70b_model_takes_no_memory() -> None:
    tracemalloc.start()
    folder = made("t1b3", name="llama-3-70b", cut="context=8192")
    spec = spec_of(folder)
    per_token = weight_bytes_per_token(folder, spec)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert folder.bytes() > 16e9
    assert per_token == pytest.approx(68_451_041_280 * 1.725 / 8 + 1_050_673_152 * 8.125 / 8, rel=0.01)
    assert most < 200e6


def test_experts_share_the_signs_of_their_inputs() -> None:
    folder = made("t1", name="mixtral-8x7b", cut=f"{CUT},experts=3,active=2")
    spec = spec_of(folder)
    transforms = {folder.quantization.matrices[expert.gate.name].transform for expert in spec.layers[0].experts}
    assert len(transforms) == 1
