"""The residual add, the norm and the forms of a product's input, against NumPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import counted, poisoned, ptx_of, run, split
from tzcore.backend.cuda.products import row_bytes
from tzcore.backend.reference import quantise_activations, quantise_tokens
from tzcore.hadamard import rotate

Floats = npt.NDArray[np.float32]

EPS = 1e-5


@dataclass
class Case:
    """Arguments of one call; what is None is not there."""

    x: Floats
    parts: Floats | None = None
    bias: Floats | None = None
    post_weight: Floats | None = None
    multiplier: float = 1.0
    weight: Floats | None = None
    offset: float = 0.0
    signs: npt.NDArray[np.int8] | None = None
    block: int = 1
    group: int = 128

    def token(self, t: int) -> Case:
        parts = None if self.parts is None else np.ascontiguousarray(self.parts[:, t : t + 1])
        return Case(**(vars(self) | {"x": self.x[t : t + 1], "parts": parts}))


@dataclass
class Out:
    """What a call wrote."""

    x: Floats
    codes: npt.NDArray[np.int8]
    scales: Floats
    sums: npt.NDArray[np.int32]
    hi: npt.NDArray[np.float16]
    lo: npt.NDArray[np.float16]
    plain: Floats

    def bits(self, t: int) -> list[bytes]:
        return [array[t].tobytes() for array in vars(self).values()]


def call(case: Case, mode: int, ptx: str | None = None) -> Out:
    (T, K), padded = case.x.shape, -(-case.x.shape[1] // 128) * 128
    factors, units = poisoned((T, padded // case.group, 2), np.float32), poisoned((T,), np.float32)
    out = Out(
        case.x.copy(),
        poisoned((T, padded), np.int8),
        *((units, units.view(np.int32)) if mode == 2 else split(factors)),
        poisoned((T, padded), np.float16),
        poisoned((T, padded), np.float16),
        poisoned((T, K), np.float32),
    )
    parts, splits = case.parts, 0 if case.parts is None else len(case.parts)
    run(
        "norm_prepare", (T, 1, 1), 512,
        out.x, parts, splits, case.bias, case.post_weight, case.multiplier, case.weight, EPS, case.offset, case.signs,
        case.block, mode, case.group, T, K, out.codes, units if mode == 2 else factors,
        out.hi, out.lo, out.plain,
        shared=row_bytes(K), ptx=ptx,
    )  # fmt: skip
    return out


def norm(x: Floats, weight: Floats, offset: float) -> Floats:
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(EPS))
    return np.asarray(x * scale * (np.float32(offset) + weight), np.float32)


def reference(case: Case) -> tuple[Floats, Floats]:
    """x afterwards, and h."""
    x = case.x
    if case.parts is not None:
        a = case.parts[0]
        for part in case.parts[1:]:
            a = a + part
        if case.bias is not None:
            a = a + case.bias
        if case.post_weight is not None:
            a = norm(a, case.post_weight, case.offset)
        x = x + a * np.float32(case.multiplier)
    h = x if case.weight is None else norm(x, case.weight, case.offset)
    return x, h if case.signs is None else rotate(h, case.signs, case.block)


def made(T: int, K: int, *, S: int = 0, block: int = 0, seed: int = 0, group: int = 128, **settings: object) -> Case:
    """A random case: S parts (0: none), a Hadamard block (0: no transform); vectors that are there are named True."""
    rng = np.random.default_rng(seed)

    def floats(*shape: int) -> Floats:
        return (rng.standard_normal(shape) * np.exp(rng.standard_normal(shape[-1]))).astype(np.float32)

    vectors = {name: floats(K) for name in ("bias", "post_weight", "weight") if settings.pop(name, False)}
    signs = rng.choice(np.array([-1, 1], np.int8), K) if block else None
    parts = floats(S, T, K) if S else None
    return Case(floats(T, K), parts, signs=signs, block=block or 1, group=group, **vectors, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("block", [2**n for n in range(13)])
def test_the_transform_is_numpys_to_the_bit(block: int) -> None:
    case = made(1, max(block, 64) * (1 if block > 64 else 3), block=block, seed=block)
    assert np.array_equal(call(case, 3).plain, reference(case)[1])


CASES = {
    "first of a model": made(1, 576, weight=True, block=64),
    "a run of 32 that is not full": made(2, 68, S=1, weight=True, block=4, group=64),
    "plain add": made(1, 64, S=1, weight=True),
    "five parts, bias": made(3, 192, S=5, bias=True, weight=True, multiplier=0.22, group=64, block=64),
    "norm of the sum, offset": made(3, 640, S=2, post_weight=True, weight=True, offset=1.0, block=128),
    "group of 64, unfinished": made(3, 200, S=3, weight=True, group=64, block=8),
    "no norm": made(1, 1536, block=512),
    "no norm, no transform": made(3, 192, S=4, bias=True),
    "wide": made(1, 8192, S=2, weight=True, block=4096),
    "wider than registers hold": made(1, 8196, S=1, post_weight=True, bias=True, weight=True, block=4),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_every_form_is_that_of_the_same_row(case: Case) -> None:
    """The row agrees with the reference within rounding; codes and halves are exactly those of that row."""
    T, K = case.x.shape
    x, h = reference(case)
    plain = call(case, 3)
    np.testing.assert_allclose(plain.x, x, rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(plain.plain, h, rtol=1e-5, atol=2e-6 * np.abs(h).max())
    row = np.zeros((T, -(-K // 128) * 128), np.float32)
    row[:, :K] = plain.plain

    by_group = call(case, 0)
    codes, scales = quantise_activations(row, case.group)
    assert np.array_equal(by_group.codes, codes)
    assert np.array_equal(by_group.scales, scales)
    sums = codes.reshape(T, -1, case.group).sum(-1, dtype=np.int32)
    assert np.array_equal(by_group.sums, sums)
    assert np.array_equal(by_group.x, plain.x)

    by_token = call(case, 1)
    codes, factors = quantise_tokens(row)
    assert np.array_equal(by_token.codes, codes)
    assert np.array_equal(by_token.scales, np.broadcast_to(1 / factors, by_token.scales.shape))
    assert np.array_equal(by_token.sums, codes.reshape(T, -1, case.group).sum(-1, dtype=np.int32))

    halves = call(case, 2)
    unit = halves.scales[:, None]
    assert np.array_equal(unit, np.exp2(np.floor(np.log2(np.abs(row).max(-1, keepdims=True)))))
    assert np.array_equal(halves.hi, (row / unit).astype(np.float16))
    assert np.array_equal(halves.lo, ((row / unit - halves.hi.astype(np.float32)) * 2048).astype(np.float16))
    both = (halves.hi.astype(np.float64) + halves.lo.astype(np.float64) / 2048) * unit
    np.testing.assert_allclose(both, row, rtol=0, atol=2.0**-21 * float(unit.max()))


def test_codes_of_groups_of_any_size() -> None:
    """As IEEE division gives them, from the smallest numbers to the largest, and where a quotient is half-way."""
    rng = np.random.default_rng(11)
    x = rng.standard_normal((8, 1024)).astype(np.float32) * np.repeat(10.0 ** rng.uniform(-46, 37, (8, 16)), 64, axis=1)
    x[0, :64] = 1e-45
    x[0, 64:128] = 1.4e-43
    x[1] = np.rint(x[1] / np.abs(x[1]).max() * 254) / 2  # multiples of a half, the largest 127
    x[1, ::64] = 127
    case = Case(x.astype(np.float32), group=64)
    codes, scales = quantise_activations(case.x, 64)
    out = call(case, 0)
    assert np.array_equal(out.scales, scales)
    assert np.array_equal(out.codes, codes)
    assert np.array_equal(out.sums, codes.reshape(8, -1, 64).sum(-1, dtype=np.int32))


@pytest.mark.parametrize("block", [2**n for n in range(13)])
def test_no_access_to_shared_memory_has_a_bank_conflict(block: int) -> None:
    case = made(1, max(block, 512), S=2, weight=True, post_weight=True, block=block)
    for mode in (0, 1, 2, 3):
        with counted() as report:
            call(case, mode)
        assert report.total("shared", "wavefronts") == report.total("shared", "ideal") > 0
        assert report.total("global", "sectors") <= report.total("global", "ideal") * 1.1  # scales and sums are few


def test_mode_minus_one_writes_x_alone() -> None:
    case = made(3, 192, S=2, bias=True, multiplier=0.5)
    out, untouched = call(case, -1), poisoned((3, 256), np.int8)
    np.testing.assert_allclose(out.x, reference(case)[0], rtol=1e-6)
    assert np.array_equal(out.codes, untouched)
    assert np.isnan(out.plain).all()


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_one_token_gives_the_bits_that_it_gives_among_eight(mode: int) -> None:
    case = made(8, 320, S=3, bias=True, post_weight=True, weight=True, block=64, group=64)
    together = call(case, mode)
    for t in (0, 5, 7):
        assert call(case.token(t), mode).bits(0) == together.bits(t)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_zeros_and_what_is_no_number(mode: int) -> None:
    """A row of zeros has codes of zero; a NaN stays one in the product, as scale or as half."""
    x = np.zeros((2, 192), np.float32)
    x[1, 70] = np.nan
    out = call(Case(x), mode)
    if mode == 2:
        assert not out.hi[0].any()
        assert not out.lo[0].any()
        assert np.isnan(out.hi[1, 70])
        return
    assert not out.codes[0].any()
    assert np.isfinite(out.scales[0]).all()
    assert np.isnan(out.scales[1]).any()


@pytest.mark.parametrize("largest", [1e-42, 1.2e-38, 2.9e38])
def test_halves_of_extreme_rows(largest: float) -> None:
    x = np.array([[largest, -largest / 2, 0, largest / 3]], np.float32)
    out = call(Case(x), 2)
    unit = float(out.scales[0])
    both = (out.hi.astype(np.float64) + out.lo.astype(np.float64) / 2048)[0, :4] * unit
    np.testing.assert_allclose(both, x[0].astype(np.float64), rtol=0, atol=2.0**-21 * unit)


@pytest.mark.parametrize(
    ("old", "new"),
    [("sub.rn.f32", "add.rn.f32"), ("0f4B400000", "0f4B000000"), ("bar.sync", "// bar.sync")],
    ids=["wrong butterflies", "rounding to halves", "no barriers"],
)
def test_a_wrong_kernel_is_caught(old: str, new: str) -> None:
    ptx = ptx_of("norm_prepare")
    assert old in ptx
    case = made(2, 192, S=1, weight=True, block=64, group=64)
    codes, scales = quantise_activations(np.pad(reference(case)[1], ((0, 0), (0, 64))), 64)

    def check(out: Out) -> None:
        assert np.abs(out.codes - codes.astype(int)).max() <= 1  # a rounding apart
        assert (out.codes != codes).mean() < 0.01
        np.testing.assert_allclose(out.scales, scales, rtol=1e-5)

    check(call(case, 0))
    with pytest.raises((AssertionError, KernelFault)):
        check(call(case, 0, ptx.replace(old, new)))
