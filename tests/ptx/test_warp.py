"""Shuffles, votes, matches and reductions of a warp, by the manual's pseudocode."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.harness import HEADER, compiled, evaluate, run

WARPS = 4


def shuffled(mode: str, lane: int, b: int, c: int) -> tuple[int, bool]:
    """Source lane and predicate of shfl, written as the manual has it."""
    bval, cval, mask = b & 31, c & 31, c >> 8 & 31
    top = (lane & mask) | (cval & ~mask)
    bottom = lane & mask
    if mode == "up":
        source, inside = lane - bval, lane - bval >= top
    elif mode == "down":
        source, inside = lane + bval, lane + bval <= top
    elif mode == "bfly":
        source, inside = lane ^ bval, lane ^ bval <= top
    else:
        source = bottom | (bval & ~mask)
        inside = source <= top
    return (source if inside else lane), inside


@pytest.mark.parametrize("mode", ["up", "down", "bfly", "idx"])
def test_shuffles(mode: str) -> None:
    rng = np.random.default_rng(0)
    count = WARPS * 32
    values = rng.integers(0, 2**32, count).astype(np.uint32)
    for width in (32, 16, 8, 2):
        c = np.full(count, (0 if mode == "up" else 31) | (32 - width) << 8, np.uint32)
        b = np.repeat(rng.integers(0, 32, WARPS), 32) if mode != "idx" else rng.integers(0, 32, count)
        inputs = [("b32", values), ("b32", b.astype(np.uint32)), ("b32", c)]
        got = evaluate(f"shfl.sync.{mode}.b32 {{d}}|%dp, {{0}}, {{1}}, {{2}}, -1;", "b32", *inputs, block=64)
        text = f"{{{{ .reg .b32 %x; shfl.sync.{mode}.b32 %x|{{d}}, {{0}}, {{1}}, {{2}}, -1; }}}}"
        inside = evaluate(text, "pred", *inputs)
        want = [shuffled(mode, i % 32, int(b[i]), int(c[i])) for i in range(count)]
        assert got.tolist() == [int(values[i // 32 * 32 + source]) for i, (source, _) in enumerate(want)]
        assert inside.tolist() == [met for _, met in want]


def test_votes() -> None:
    rng = np.random.default_rng(1)
    p = np.r_[np.zeros(32), np.ones(32), rng.integers(0, 2, 64)].astype(np.uint8)
    rows = p.reshape(-1, 32).astype(bool)

    def vote(mode: str) -> list[bool]:
        return evaluate(f"vote.sync.{mode}.pred {{d}}, {{0}}, -1;", "pred", ("pred", p)).tolist()

    assert vote("all") == np.repeat(rows.all(1), 32).tolist()
    assert vote("any") == np.repeat(rows.any(1), 32).tolist()
    assert vote("uni") == np.repeat(rows.all(1) | ~rows.any(1), 32).tolist()
    words = evaluate("vote.sync.ballot.b32 {d}, {0}, -1;", "b32", ("pred", p))
    assert words.tolist() == np.repeat([sum(int(bit) << k for k, bit in enumerate(row)) for row in rows], 32).tolist()


REDUCTIONS = {
    "add.u32": lambda a: int(a.sum(dtype=np.uint32)), "min.u32": lambda a: int(a.min()),
    "max.u32": lambda a: int(a.max()),
    "min.s32": lambda a: int(a.view(np.int32).min()) & 0xFFFFFFFF, "and.b32": lambda a: int(np.bitwise_and.reduce(a)),
    "max.s32": lambda a: int(a.view(np.int32).max()) & 0xFFFFFFFF, "or.b32": lambda a: int(np.bitwise_or.reduce(a)),
    "xor.b32": lambda a: int(np.bitwise_xor.reduce(a)),
}  # fmt: skip


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_reductions(kind: str) -> None:
    a = np.random.default_rng(2).integers(0, 2**32, WARPS * 32).astype(np.uint32)
    got = evaluate(f"redux.sync.{kind} {{d}}, {{0}}, -1;", "u32", ("u32", a))
    assert got.reshape(-1, 32).tolist() == [[REDUCTIONS[kind](row)] * 32 for row in a.reshape(-1, 32)]


def test_matches() -> None:
    a = np.random.default_rng(3).integers(0, 4, WARPS * 32).astype(np.uint32)
    a[:32] = 7
    got = evaluate("match.any.sync.b32 {d}, {0}, -1;", "b32", ("b32", a))
    rows = a.reshape(-1, 32)
    want = [[sum(int(x == y) << k for k, y in enumerate(row)) for x in row] for row in rows]
    assert got.reshape(-1, 32).tolist() == want
    words = evaluate("match.all.sync.b32 {d}|%dp, {0}, -1;", "b32", ("b32", a))
    assert words.reshape(-1, 32)[:, 0].tolist() == [2**32 - 1, 0, 0, 0]


PARTIAL = HEADER + """.visible .entry k(.param .u64 pd, .param .u32 plen)
{ .reg .pred %p, %q; .reg .b32 %t, %x, %n, %m, %l; .reg .b64 %d, %off;
ld.param.u64 %d, [pd]; ld.param.u32 %n, [plen]; mov.u32 %t, %tid.x; mul.wide.u32 %off, %t, 4; add.u64 %d, %d, %off;
mov.u32 %l, %laneid; setp.ge.u32 %p, %l, %n; @%p bra REST;
mov.u32 %m, 0xff; shfl.sync.bfly.b32 %x, %t, 1, 31, %m; activemask.b32 %m; mad.lo.u32 %x, %m, 1000, %x;
st.global.u32 [%d], %x; ret;
REST: mov.u32 %x, %lanemask_lt; st.global.u32 [%d], %x; ret; }"""


def test_a_part_of_a_warp() -> None:
    out = np.zeros(40, np.uint32)
    run(PARTIAL, "k", 1, 40, [out, 8])
    lane = np.arange(40) % 32
    want = np.where(lane < 8, (np.arange(40) ^ 1) + 255 * 1000, (1 << lane) - 1)
    assert np.array_equal(out, want)


LOOP = """
__device__ __forceinline__ float total(float v) {
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    return v;
}
extern "C" __global__ void sums(const float* in, float* out, const int* rounds, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    float v = in[i];
    for (int k = 0; k < rounds[i / 32]; ++k) {
        if ((threadIdx.x + k) % 3 == 0) v = v * 0.5f + 1.0f; else if (v > 3.0f) v -= 2.0f;
        v = total(v) / 32.0f + v * 0.25f;
        __syncwarp();
    }
    out[i] = v;
}
"""


def test_warps_that_take_different_ways_meet_again() -> None:
    rng = np.random.default_rng(4)
    a = rng.standard_normal(256).astype(np.float32) * 4
    rounds = rng.integers(0, 6, 8).astype(np.int32)
    out = np.zeros_like(a)
    run(compiled(LOOP), "sums", 2, 128, [a, out, rounds, 256])
    want = a.reshape(8, 32).copy()
    thread = (np.arange(256) % 128).reshape(8, 32)
    half, one, quarter = np.float32(0.5), np.float32(1), np.float32(0.25)
    for row, times in enumerate(rounds):
        v = want[row]
        for k in range(times):
            v = np.where((thread[row] + k) % 3 == 0, v * half + one, np.where(v > 3, v - np.float32(2), v))
            t = v
            for o in (16, 8, 4, 2, 1):
                t = t + t[np.arange(32) ^ o]
            v = t / np.float32(32) + v * quarter
        want[row] = v
    assert np.array_equal(out.reshape(8, 32), want)
