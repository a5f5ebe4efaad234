"""mma.sync and ldmatrix against whole matrices laid out by the manual's fragment tables, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.harness import HEADER, run
from tests.ptx.scalars import Array

WARPS = 3


def fragment(matrix: Array, tall: bool) -> Array:
    """[32 lanes, registers] words of A [16, K] (``tall``) or of B given as its columns [8, K]."""
    height, inner = matrix.shape
    per_word = 4 // matrix.dtype.itemsize
    count = height * inner // 32 // per_word
    out = np.zeros((32, count * per_word), matrix.dtype)
    for lane in range(32):
        for place in range(count * per_word):
            register, part = divmod(place, per_word)
            row = lane // 4 + (8 * (register % 2) if tall else 0)
            step = register // 2 if tall else register
            out[lane, place] = matrix[row, step * 4 * per_word + lane % 4 * per_word + part]
    return out.view(np.uint32)


def accumulator(matrix: Array) -> Array:
    """[32 lanes, 4] elements of C [16, 8]."""
    out = np.zeros((32, 4), matrix.dtype)
    for lane in range(32):
        for k in range(4):
            out[lane, k] = matrix[lane // 4 + 8 * (k // 2), lane % 4 * 2 + k % 2]
    return out


def multiply(opcode: str, a: Array, b: Array, c: Array) -> Array:
    """D [warps, 16, 8] by ``opcode``, of A [warps, 16, K], B [warps, 8, K] and C."""
    fa, fb = (np.stack([fragment(each, tall) for each in matrix]) for matrix, tall in ((a, True), (b, False)))
    fc = np.stack([accumulator(each) for each in c])
    words = fc.view(np.uint32)
    counts = {"a": fa.shape[2], "b": fb.shape[2], "c": words.shape[2]}
    names = [[f"%{letter}{k}" for k in range(count)] for letter, count in counts.items()]
    text = HEADER + ".visible .entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc) {"
    text += ".reg .b64 %at, %off; .reg .b32 %t; mov.u32 %t, %tid.x;"
    for letter, group in zip("abc", names, strict=True):
        text += f".reg .b32 %{letter}<{len(group)}>; ld.param.u64 %at, [p{letter}];"
        text += f"mul.wide.u32 %off, %t, {4 * len(group)};"
        text += "add.u64 %at, %at, %off;" + "".join(f"ld.global.u32 {n}, [%at+{4 * k}];" for k, n in enumerate(group))
    vectors = ["{" + ", ".join(group) + "}" for group in names]
    text += f"{opcode} {vectors[2]}, {vectors[0]}, {vectors[1]}, {vectors[2]};"
    text += "".join(f"st.global.u32 [%at+{4 * k}], {n};" for k, n in enumerate(names[2])) + "ret; }"
    run(text, "k", 1, 32 * len(a), [np.ascontiguousarray(fa), np.ascontiguousarray(fb), words])
    out = np.zeros_like(c)
    for warp in range(len(a)):
        for lane in range(32):
            for k in range(4):
                out[warp, lane // 4 + 8 * (k // 2), lane % 4 * 2 + k % 2] = fc[warp, lane, k]
    return out


@pytest.mark.parametrize("inner", [32, 16])
@pytest.mark.parametrize("types", ["s8.s8", "u8.u8", "s8.u8", "u8.s8"])
def test_integers(types: str, inner: int) -> None:
    rng = np.random.default_rng(0)
    one, other = (np.dtype("i1" if name[0] == "s" else "u1") for name in types.split("."))
    a = rng.integers(0, 256, (WARPS, 16, inner)).astype(np.uint8).view(one)
    b = rng.integers(0, 256, (WARPS, 8, inner)).astype(np.uint8).view(other)
    a[0], b[0] = np.iinfo(one).min or 255, np.iinfo(other).min or 255
    c = rng.integers(-(2**31), 2**31, (WARPS, 16, 8)).astype(np.int32)
    exact = c.astype(np.int64) + np.matmul(a.astype(np.int64), b.astype(np.int64).swapaxes(1, 2))
    got = multiply(f"mma.sync.aligned.m16n8k{inner}.row.col.s32.{types}.s32", a, b, c)
    assert np.array_equal(got, exact.astype(np.int32))
    got = multiply(f"mma.sync.aligned.m16n8k{inner}.row.col.satfinite.s32.{types}.s32", a, b, c)
    assert np.array_equal(got, np.clip(exact, -(2**31), 2**31 - 1))


def brain(values: Array) -> Array:
    return (values.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16)


@pytest.mark.parametrize("inner", [16, 8])
@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_halves(kind: str, inner: int) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal((WARPS, rows, inner)).astype(np.float16) for rows in (16, 8))
    real_a, real_b = a.astype(np.float64), b.astype(np.float64)
    if kind == "bf16":
        a, b = brain(a), brain(b)
        real_a, real_b = ((x.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64) for x in (a, b))
    c = rng.standard_normal((WARPS, 16, 8)).astype(np.float32)
    exact = c + np.matmul(real_a, real_b.swapaxes(1, 2))
    got = multiply(f"mma.sync.aligned.m16n8k{inner}.row.col.f32.{kind}.{kind}.f32", a, b, c)
    assert np.array_equal(got, exact.astype(np.float32))
    if kind == "f16":
        short = c.astype(np.float16)
        exact = short + np.matmul(real_a, real_b.swapaxes(1, 2))
        got = multiply(f"mma.sync.aligned.m16n8k{inner}.row.col.f16.f16.f16.f16", a, b, short)
        assert np.array_equal(got, exact.astype(np.float16))


@pytest.mark.parametrize("inner", [8, 4])
def test_tf32(inner: int) -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal((WARPS, rows, inner)).astype(np.float32) for rows in (16, 8))
    cut = np.uint32(0xFFFFE000)
    real_a, real_b = ((x.view(np.uint32) & cut).view(np.float32).astype(np.float64) for x in (a, b))
    c = rng.standard_normal((WARPS, 16, 8)).astype(np.float32)
    got = multiply(f"mma.sync.aligned.m16n8k{inner}.row.col.f32.tf32.tf32.f32", a, b, c)
    assert np.array_equal(got, (c + np.matmul(real_a, real_b.swapaxes(1, 2))).astype(np.float32))


LOAD = HEADER + """.visible .entry k(.param .u64 pa, .param .u64 pd)
{{ .shared .align 16 .b8 tile[1024]; .reg .b64 %a, %d, %off; .reg .b32 %t, %s, %at, %x<4>, %r<4>;
ld.param.u64 %a, [pa]; ld.param.u64 %d, [pd]; mov.u32 %t, %tid.x; mul.wide.u32 %off, %t, 16; add.u64 %a, %a, %off;
ld.global.v4.u32 {{%x0, %x1, %x2, %x3}}, [%a]; mov.u32 %s, tile; shl.b32 %at, %t, 4; add.u32 %at, %at, %s;
st.shared.v4.u32 [%at], {{%x0, %x1, %x2, %x3}}; bar.sync 0;
xor.b32 %at, %at, 112; mov.u32 %r0, 0; mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0;
ldmatrix.sync.aligned.m8n8.x{count}{trans}.shared.b16 {{{registers}}}, [%at];
add.u64 %d, %d, %off; st.global.v4.u32 [%d], {{%r0, %r1, %r2, %r3}}; ret; }}"""


@pytest.mark.parametrize("trans", ["", ".trans"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_matrices_loaded(count: int, trans: str) -> None:
    a = np.random.default_rng(3).integers(0, 2**16, (2, 32, 8)).astype(np.uint16)
    out = np.zeros((2, 32, 4, 2), np.uint16)
    registers = ", ".join(f"%r{k}" for k in range(count))
    run(LOAD.format(count=count, trans=trans, registers=registers), "k", 1, 64, [a, out])
    want = np.zeros_like(out)
    for warp in range(2):
        for matrix in range(count):
            tile = a[warp, (np.arange(8) + 8 * matrix) ^ 7]
            tile = tile.T if trans else tile
            for lane in range(32):
                want[warp, lane, matrix] = tile[lane // 4, lane % 4 * 2 : lane % 4 * 2 + 2]
    assert np.array_equal(out, want)
