"""The core's passes over tensors against the same in NumPy and in torch's operations."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from tests.unit.backend.last_error import INVALID, message
from tzcore import trits
from tzcore.backend import native
from tzcore.checkpoint.reader import StoredMatrix
from tzcore.checkpoint.schema import MatrixEntry
from tzcore.quant import rotation
from tzcore.torch import core, weights
from tzcore.torch.form import MatrixForm
from tzcore.torch.train import rounding

SHAPES = [(1, 1), (16, 64), (17, 65), (40, 576), (33, 200), (5, 1000), (100, 449)]
CODED = [name for name, fmt in trits.FORMATS.items() if fmt.packing != "half"]
TYPES = [torch.float32, torch.bfloat16, torch.float16]


def form_of(rows: int, cols: int, fmt: str = "t1", group: int = 64, **more: Any) -> MatrixForm:
    return MatrixForm(rows, cols, trits.format_named(fmt), group, **more)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(11)


@pytest.mark.parametrize("fmt", CODED)
@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_packing(rows: int, cols: int, fmt: str) -> None:
    form = form_of(rows, cols, fmt)
    latents = torch.randn(rows, cols) * form.format.high
    latents[0, 0] = 0.5  # a half goes to the even one
    wanted = trits.pack(rounding.rounded(latents, form.format).to(torch.int8).numpy(), form.format)
    assert np.array_equal(core.pack(latents, form).numpy(), wanted)


def test_packing_what_is_no_number() -> None:
    form = form_of(16, 64)
    latents = torch.full((16, 64), float("nan"))
    latents[1], latents[2] = float("inf"), -float("inf")
    codes = trits.unpack(core.pack(latents, form).numpy(), form.format, 16, 64)
    assert (codes[0] == -1).all()
    assert (codes[1] == 1).all()
    assert (codes[2] == -1).all()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("group", trits.GROUPS)
@pytest.mark.parametrize("fmt", CODED)
@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_dense(rows: int, cols: int, fmt: str, group: int, dtype: torch.dtype) -> None:
    form = form_of(rows, cols, fmt, group, gain=0.5)
    codes = torch.randint(form.format.low, form.format.high + 1, (rows, cols), dtype=torch.int8)
    scales = torch.randn(rows, trits.groups(cols, group)).half()
    packed = torch.from_numpy(trits.pack(codes.numpy(), form.format))
    found = core.dense(packed, rounding.packed_scales(scales), form, dtype)
    wanted = codes.float() * (rounding.spread(scales, cols, group).float() * 0.5)
    assert found.dtype == dtype
    assert torch.equal(found, wanted.to(dtype))
    # The same in torch's operations, which cards run; without the gain, a power of two here.
    by_torch = weights.weight_rows(packed, rounding.packed_scales(scales), form.format, cols, group, torch.float32)
    assert torch.equal(by_torch[:rows] * 0.5, wanted)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", ["t1", "q2", "t2b3", "i8"])
@pytest.mark.parametrize(("rows", "cols"), SHAPES)
def test_splitting_a_gradient(rows: int, cols: int, fmt: str, dtype: torch.dtype) -> None:
    form = form_of(rows, cols, fmt, gain=0.5)
    latents = torch.randn(rows, cols) * (form.format.high + 1)
    latents[0, 0] = form.format.high + rounding.MARGIN  # at the bound it may not go farther
    scales = torch.rand(rows, trits.groups(cols, 64)) + 0.1
    gradient = torch.randn(rows, cols).to(dtype)
    gradient[0, 0] = -1
    found = core.split(gradient, latents, rounding.steps(scales, form), form, rounding.MARGIN)
    wanted = rounding.split(gradient, latents, scales, form)
    assert torch.equal(found[0], wanted[0])
    assert found[0][0, 0] == 0
    torch.testing.assert_close(found[1], wanted[1], rtol=1e-5, atol=1e-5 * form.format.high * 64)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("activations", ["group", "token"])
@pytest.mark.parametrize(("cols", "block"), [(64, 0), (65, 0), (200, 8), (576, 64), (96, 32)])
def test_inputs_as_the_product_meets_them(cols: int, block: int, activations: str, dtype: torch.dtype) -> None:
    signs = torch.from_numpy(rotation.random_signs(cols, 1, "x")) if block else None
    x = torch.randn(9, cols).to(dtype)
    x[3] = 0
    how = (signs, 64, block, activations)
    found = core.met(x, *how)
    assert found.dtype == dtype
    # One last bit before the rounding is a level after it, for some.
    level = float(x.abs().max()) * max(1, block) ** 0.5 / 127
    off = (found.float() - rounding.met(x, *how).float()).abs()
    assert float(off.max()) <= level
    assert float((off > level / 20).float().mean()) < 0.01
    assert not found[3].any()


def test_an_input_that_is_not_finite_shows() -> None:
    x = torch.randn(2, 128)
    x[1, 5] = float("inf")
    found = core.met(x, None, 64, 0, "group")
    assert found[0].isfinite().all()
    assert found[1, :64].isnan().all()


@pytest.mark.parametrize("dtype", TYPES)
def test_turning_back(dtype: torch.dtype) -> None:
    signs = torch.from_numpy(rotation.random_signs(192, 1, "x"))
    x = torch.randn(7, 192).to(dtype)
    turned = rotation.rotate(x.float(), signs, 64).to(dtype)
    tolerance = 2e-2 if dtype == torch.bfloat16 else 3e-3
    torch.testing.assert_close(core.turn_back(turned, signs, 64), x, rtol=tolerance, atol=tolerance)


def test_nothing_is_a_possible_input() -> None:
    signs = torch.ones(64, dtype=torch.int8)
    assert core.met(torch.empty(0, 64), None, 64, 0, "group").shape == (0, 64)
    assert core.turn_back(torch.empty(0, 64), signs, 64).shape == (0, 64)


def test_what_lies_apart_is_gathered() -> None:
    form = form_of(32, 64)
    wide = torch.randn(32, 128)
    assert torch.equal(core.pack(wide[:, ::2], form), core.pack(wide[:, ::2].clone(), form))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_number_of_threads_gives_the_same_bits(threads: int) -> None:
    """On torch's threads and on the pool's own."""
    form = form_of(300, 576)
    latents, scales = torch.randn(300, 576), torch.rand(300, 9)
    gradient = torch.randn(300, 576)
    before = torch.get_num_threads()
    try:
        found = []
        for count in (1, threads):
            torch.set_num_threads(count)
            assert core.pool().threads == count
            split = core.split(gradient, latents, rounding.steps(scales, form), form, 0.5)
            found.append((core.pack(latents, form), *split))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
        x = np.random.default_rng(1).standard_normal((5, 576)).astype(np.float32)
        entry = MatrixEntry("weight", 300, 576, form.format, 64, None, 1.0)
        stored = StoredMatrix(entry, found[0][0].numpy(), rounding.packed_scales(scales).numpy(), None)
        ours = native.matmul(native.Pool(threads), stored, x)
        assert np.array_equal(native.matmul(native.Pool.of_team(threads), stored, x), ours)
    finally:
        torch.set_num_threads(before)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="torch's OpenMP runtime is libgomp on Linux")


@on_linux
def test_torchs_threads_are_used_where_they_can_be() -> None:
    """Threads of the pool's own would be as right, and slow beside torch's."""
    torch.randn(1 << 20).add_(1)  # starts torch's
    before = psutil.Process().num_threads()
    pool = native.Pool.of_team(2)
    assert psutil.Process().num_threads() == before
    assert pool.threads == 2
    ours = native.Pool(2)
    assert psutil.Process().num_threads() > before
    ours.close()


@on_linux
def test_a_pool_within_a_region_has_one_thread() -> None:
    """A region within another gets no threads; a job that counts on more would wait for ever."""
    parallel = ctypes.CDLL(None).GOMP_parallel
    form = form_of(64, 64)
    latents = torch.randn(64, 64)
    wanted, found = core.pack(latents, form), []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def within(_: Any) -> None:
        found.append(core.pack(latents, form))

    parallel(within, None, 2, 0)
    assert len(found) == 2
    assert all(torch.equal(one, wanted) for one in found)


def test_where_there_is_no_such_runtime_the_pool_has_threads_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise OSError("no such library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    pool = native.Pool.of_team(2)
    assert pool.threads == 2
    assert pool.read_bandwidth(1 << 20, 1) > 0


ffi, lib = native.library()


def numbers(length: int, kind: int = 0, data: Any = None) -> Any:
    data = ffi.new("uint8_t[]", 1 << 16) if data is None else data
    made = ffi.new("TzNumbers *", (data, length, kind))
    KEPT.append((data, made))
    return made[0]


KEPT: list[Any] = []
FLOATS, BYTES, SIGNS = ffi.new("float[]", 1 << 14), ffi.new("uint8_t[]", 1 << 14), ffi.new("int8_t[]", [1] * 256)


def vector(length: int, data: Any = FLOATS) -> Any:
    made = ffi.new("TzVector *", (data, length))
    KEPT.append(made)
    return made[0]


def split_of(**other: Any) -> tuple[Any, ...]:
    given = {
        "gradient": numbers(16 * 64), "latents": vector(16 * 64), "steps": vector(16), "rows": 16, "cols": 64,
        "group": 64, "format": 1, "margin": 0.5, "gain": 1.0, "to_latents": FLOATS,
        "latents_length": 16 * 64, "to_scales": FLOATS, "scales_length": 16,
    } | other  # fmt: skip
    return tuple(given.values())


def meet_of(**other: Any) -> tuple[Any, ...]:
    given = {
        "x": numbers(2 * 64), "to": numbers(2 * 64), "tokens": 2, "cols": 64, "signs": SIGNS, "signs_length": 64,
        "block": 64, "group": 64, "per_token": 0,
    } | other  # fmt: skip
    return tuple(given.values())


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("tz_pack", lambda: (vector(16 * 64), 16, 64, 1, BYTES, 255)),
        ("tz_pack", lambda: (vector(16 * 63), 16, 64, 1, BYTES, 256)),
        ("tz_pack", lambda: (vector(16 * 64, ffi.NULL), 16, 64, 1, BYTES, 256)),
        ("tz_pack", lambda: (vector(16 * 64), 16, 64, 1, ffi.NULL, 256)),
        ("tz_pack", lambda: (vector(0), 0, 64, 1, BYTES, 0)),
        ("tz_pack", lambda: (vector(16 * 64), 16, 64, 8, BYTES, 2048)),
        ("tz_pack", lambda: (vector(16 * 64), 16, 64, 77, BYTES, 256)),
        ("tz_dense", lambda: (ffi.NULL, numbers(64))),
        ("tz_split_gradient", lambda: split_of(gradient=numbers(16 * 63))),
        ("tz_split_gradient", lambda: split_of(gradient=numbers(16 * 64, 2))),
        ("tz_split_gradient", lambda: split_of(steps=vector(17))),
        ("tz_split_gradient", lambda: split_of(group=100)),
        ("tz_split_gradient", lambda: split_of(to_scales=ffi.NULL)),
        ("tz_split_gradient", lambda: split_of(latents_length=16 * 64 - 1)),
        ("tz_split_gradient", lambda: split_of(scales_length=17)),
        ("tz_split_gradient", lambda: split_of(format=8)),
        ("tz_meet", lambda: meet_of(to=numbers(127))),
        ("tz_meet", lambda: meet_of(x=numbers(128, data=ffi.NULL))),
        ("tz_meet", lambda: meet_of(signs=ffi.NULL)),
        ("tz_meet", lambda: meet_of(signs_length=63)),
        ("tz_meet", lambda: meet_of(block=0)),
        ("tz_meet", lambda: meet_of(block=48)),
        ("tz_meet", lambda: meet_of(per_token=2)),
        ("tz_meet", lambda: meet_of(group=0)),
        ("tz_turn_back", lambda: (numbers(128), 2, 64, ffi.NULL, 0, 0)),
        ("tz_turn_back", lambda: (numbers(128), 2, 64, SIGNS, 64, 128)),
    ],
)  # fmt: skip
def test_lies_are_refused(function: str, arguments: Callable[[], tuple[Any, ...]]) -> None:
    pool = native.Pool(1)
    assert getattr(lib, function)(pool.handle, ffi.NULL, *arguments()) == INVALID
    assert message()
    assert getattr(lib, function)(ffi.NULL, ffi.NULL, *arguments()) == INVALID
    assert "pool" in message()


def test_halves_have_no_codes_to_unpack() -> None:
    form = form_of(16, 64, "t1")
    codes = torch.zeros(1, trits.tile_bytes(form.format, 64), dtype=torch.uint8)
    scales = torch.ones(1, 1, 16).half()
    entry = MatrixEntry("weight", 16, 64, form.format, 64, None, 1.0)
    matrix = ffi.new("TzMatrix *", native.matrix(StoredMatrix(entry, codes.numpy(), scales.numpy(), None), []))
    pool = native.Pool(1)
    assert lib.tz_dense(pool.handle, ffi.NULL, matrix, numbers(16 * 64 - 1)) == INVALID
    matrix.format, matrix.group, matrix.scales_length = native.FORMAT_NUMBERS["f16"], 0, 0
    matrix.codes_length = 16 * 64 * 2
    KEPT.append(big := ffi.new("uint8_t[]", 16 * 64 * 2))
    matrix.codes = big
    assert lib.tz_dense(pool.handle, ffi.NULL, matrix, numbers(16 * 64)) == INVALID
    assert "halves" in message()
