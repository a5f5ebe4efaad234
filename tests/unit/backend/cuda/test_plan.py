from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.backend.cuda.shapes import routed, shape, stored
from tests.unit.engine.scripted_model import spec
from tzcore.architecture.registry import spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.layout import device_bytes
from tzcore.backend.cuda.pages import layer_bytes
from tzcore.backend.cuda.plan import (
    RESERVE,
    DevicePlan,
    embedding_bytes,
    longest_contexts,
    plan,
    table_items,
    weight_items,
)
from tzcore.checkpoint.reader import ModelFolder
from tzcore.checkpoint.schema import Transform
from tzcore.errors import BackendError, DoesNotFitError
from tzcore.keyvalues import FORMATS as FORMATS_OF_CONTEXT
from tzcore.keyvalues import KeyValueFormat
from tzcore.trits import FORMATS

GIB = 1 << 30


def test_a_large_model_in_24_gib() -> None:
    """The arithmetic of the project's goal, within the kernels' own padding."""
    large = shape("llama-3-70b", max_context=1 << 20)
    slots, dense = (plan(large, stored(large, fmt, "i4"), 8192, 24 * GIB) for fmt in ("t1", "t1b3"))
    weights = 68_451_041_280
    assert slots.memory.size("weights") == pytest.approx(weights * 2.125 / 8, rel=0.002)
    assert dense.memory.size("weights") == pytest.approx(weights * 1.725 / 8, rel=0.015)
    assert slots.memory.size("head") == pytest.approx(1_050_673_152 * 4.125 / 8, rel=0.002)
    assert slots.host == pytest.approx(1_050_673_152 * 4.125 / 8, rel=0.002)
    assert slots.memory.size("keys and values") == 8192 * 320 << 10
    assert slots.fits
    assert dense.fits
    contexts = by_format(large, slots)
    assert contexts["f16"] == slots.longest_context
    assert 16_000 < contexts["f16"] < 21_000
    assert contexts["k4v4"] > 65_536  # 64k at 2-bit packing
    assert by_format(large, dense)["k4v2"] > 131_072  # 128k at base 3


def by_format(spec: ModelSpec, made: DevicePlan) -> dict[str, int]:
    return {kv.name: tokens for kv, tokens in longest_contexts(spec, made.memory, made.chunk)}


def test_the_longest_context_fits_exactly() -> None:
    large = shape("llama-3-70b", max_context=1 << 20)
    matrices = stored(large)
    longest = plan(large, matrices, 1, 24 * GIB).longest_context
    assert plan(large, matrices, longest, 24 * GIB).fits
    assert not plan(large, matrices, longest + 1, 24 * GIB).fits
    capped = plan(replace(large, max_context=8192), matrices, 8192, 24 * GIB)
    assert capped.longest_context == 8192


@pytest.mark.parametrize("kv", FORMATS_OF_CONTEXT.values(), ids=FORMATS_OF_CONTEXT)
def test_the_longest_context_of_every_format_fits_exactly(kv: KeyValueFormat) -> None:
    large = shape("llama-3-70b", max_context=1 << 20)
    matrices = stored(large, "t1b3", "i4")
    made = plan(large, matrices, 1, 24 * GIB, kv=kv)
    assert made.kv == kv
    assert by_format(large, made)[kv.name] == made.longest_context
    assert plan(large, matrices, made.longest_context, 24 * GIB, kv=kv).fits
    assert not plan(large, matrices, made.longest_context + 1, 24 * GIB, kv=kv).fits


def test_what_would_help_is_said() -> None:
    large = shape("llama-3-70b", max_context=1 << 20)
    with pytest.raises(DoesNotFitError, match=r"keys and values 21\.5 GB .*--context 1\d{4}\)"):
        plan(large, stored(large), 65_536, 24 * GIB, "a card").require()
    with pytest.raises(DoesNotFitError, match=r"a card has 8\.6 GB free.*smaller model or encoding"):
        plan(large, stored(large), 512, 8 * GIB, "a card").require()


def test_parts_of_a_matrix_are_counted_once(tmp_path: Path) -> None:
    """Phi-3 stores q, k and v in one matrix, and gate and up."""
    with_parts = ModelFolder.open(tiny_folder(tmp_path / "m", "phi3", format="t2"))
    shape = spec_of(with_parts)
    matrices = with_parts.quantization.matrices
    total = sum(size for _, size in weight_items(shape, matrices))
    expected = sum(
        device_bytes(entry.format, entry.rows, entry.cols, entry.group)
        for name, entry in matrices.items()
        if name not in (shape.embedding.name, shape.head.name)
    )
    assert total == expected


def test_the_embedding_is_counted_as_it_is_stored(tmp_path: Path) -> None:
    for ends in ("i8", "f16"):
        folder = ModelFolder.open(tiny_folder(tmp_path / ends, "llama", format="q2", head_format=ends))
        found = folder.matrix(spec_of(folder).embedding.name)
        size = found.codes.nbytes + (0 if found.scales is None else found.scales.nbytes)
        assert embedding_bytes(spec_of(folder), folder.quantization.matrices) == size


def test_tables() -> None:
    small = spec()
    turned, straight = (dict(table_items(small, stored(small, rotated=rotated))) for rotated in (True, False))
    assert straight["model.norm.weight"] == 4 * 64
    assert straight["rope 0"] == 4 * 8
    signs = {name: size for name, size in turned.items() if name not in straight}
    assert len(signs) == 7
    assert set(signs.values()) == {64, 128}


def test_halves_and_reserve() -> None:
    small = spec()
    made = plan(small, stored(small, "f16", "f16"), 300, GIB)
    assert made.memory.reserve == RESERVE
    assert made.memory.size("keys and values") == 2 * 2 * layer_bytes(small)
    assert made.memory.size("head") >= device_bytes(FORMATS["f16"], 400, 64, 0)


def test_heads_that_no_kernel_has() -> None:
    small = replace(spec(), head_dim=512)
    with pytest.raises(BackendError, match="too wide for the CUDA kernels"):
        plan(small, stored(small), 256, GIB)


def test_what_the_kernels_cannot_run_is_named() -> None:
    odd = replace(shape("llama-3-8b"), intermediate=14338)
    with pytest.raises(BackendError, match="intermediate size of 14338 is no multiple of 4"):
        plan(odd, stored(odd), 256, 1 << 40)
    many = routed(experts=1025)
    with pytest.raises(BackendError, match="1025 experts, more than 1024"):
        plan(many, stored(many), 256, 1 << 40)
    wide = shape("llama-3-8b")
    turned = {name: replace(entry, transform=Transform(8192, "signs")) for name, entry in stored(wide).items()}
    with pytest.raises(BackendError, match="blocks of 8192"):
        plan(wide, turned, 256, 1 << 40)
