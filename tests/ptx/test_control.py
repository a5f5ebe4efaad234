"""Branches, guards, loops, barriers, comparisons and choices; and what is said of a text that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice, KernelFault, PtxError
from tests.ptx.harness import HEADER, compiled, evaluate, floats, integers, run
from tests.ptx.scalars import SCALARS

PROGRAMS = """
extern "C" __global__ void collatz(const int* in, int* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int v = in[i], steps = 0;
    while (v != 1) { if (v & 1) { v = 3 * v + 1; } else { v >>= 1; } if (++steps > 500) break; }
    out[i] = steps;
}
extern "C" __global__ void nested(int* out) {
    int t = threadIdx.x, sum = 0;
    for (int i = 0; i < t % 5; ++i)
        for (int j = 0; j < (t + i) % 7; ++j) {
            if ((i ^ j) & 1) continue;
            switch ((t + j) % 4) {
                case 0: sum += 1; break;
                case 1: sum += 10;
                case 2: sum += 100; break;
                default: sum -= 3;
            }
        }
    out[t] = sum;
}
extern "C" __global__ void scan(const int* in, int* out) {
    __shared__ int s[128];
    int t = threadIdx.x, base = blockIdx.x * 128;
    s[t] = in[base + t];
    __syncthreads();
    for (int step = 1; step < 128; step *= 2) {
        int v = t >= step ? s[t - step] : 0;
        __syncthreads();
        s[t] += v;
        __syncthreads();
    }
    out[base + t] = s[t];
}
extern "C" __global__ void early(int* out) {
    __shared__ int s[96];
    if (threadIdx.x >= 70) return;
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = s[69 - threadIdx.x];
}
extern "C" __global__ void counted(const int* in, int* out) {
    int t = threadIdx.x, p = in[blockIdx.x * 64 + t];
    int n = __syncthreads_count(p > 0) + 100 * __syncthreads_and(p > -5) + 1000 * __syncthreads_or(p > 5);
    out[blockIdx.x * 64 + t] = n;
}
"""


@pytest.fixture(scope="module")
def programs() -> str:
    return compiled(PROGRAMS)


def test_threads_that_loop_unequally(programs: str) -> None:
    a, out = np.arange(1, 1001, dtype=np.int32), np.zeros(1000, np.int32)
    run(programs, "collatz", 8, 128, [a, out, 1000])

    def steps(v: int) -> int:
        count = 0
        while v != 1:
            v, count = (3 * v + 1 if v & 1 else v // 2), count + 1
        return count

    assert out.tolist() == [steps(int(v)) for v in a]


def test_loops_in_loops(programs: str) -> None:
    out = np.zeros(96, np.int32)
    run(programs, "nested", 1, 96, [out])

    def one(t: int) -> int:
        total = 0
        for i in range(t % 5):
            for j in range((t + i) % 7):
                if not (i ^ j) & 1:
                    total += {0: 1, 1: 110, 2: 100, 3: -3}[(t + j) % 4]
        return total

    assert out.tolist() == [one(t) for t in range(96)]


def test_barriers_of_many_blocks(programs: str) -> None:
    a = np.random.default_rng(0).integers(-99, 99, (300, 128)).astype(np.int32)
    out = np.zeros_like(a)
    run(programs, "scan", 300, 128, [a, out])
    assert np.array_equal(out, a.cumsum(1))


def test_threads_that_left_are_no_hindrance_at_a_barrier(programs: str) -> None:
    out = np.zeros(96, np.int32)
    run(programs, "early", 1, 96, [out])
    assert out[:70].tolist() == list(range(70))[::-1]
    assert not out[70:].any()


def test_barriers_that_count(programs: str) -> None:
    a = np.random.default_rng(0).integers(-6, 7, (4, 64)).astype(np.int32)
    a[0] = 1
    out = np.zeros_like(a)
    run(programs, "counted", 4, 64, [a, out])
    want = (a > 0).sum(1) + 100 * (a > -5).all(1) + 1000 * (a > 5).any(1)
    assert np.array_equal(out, np.repeat(want[:, None], 64, 1))


def test_guards() -> None:
    a, p = integers("u32", 100), np.arange(100) % 3 == 0
    text = "{{ mov.u32 {d}, 5; @{1} add.u32 {d}, {0}, 1; @!{1} sub.u32 {d}, {d}, {0}; }}"
    got = evaluate(text, "u32", ("u32", a), ("pred", p))
    assert np.array_equal(got, np.where(p, a + np.uint32(1), np.uint32(5) - a))


COMPARED = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


@pytest.mark.parametrize("name", ["s16", "u16", "s32", "u32", "s64", "u64"])
def test_comparisons_of_integers(name: str) -> None:
    a, b = integers(name, 300, 1), integers(name, 300, 2)
    b[::4] = a[::4]
    for compare, function in COMPARED.items():
        got = evaluate(f"setp.{compare}.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
        assert np.array_equal(got, function(a, b))
    if name[0] == "u":
        for compare, plain in (("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge")):
            got = evaluate(f"setp.{compare}.{name} {{d}}, {{0}}, {{1}};", "pred", (name, a), (name, b))
            assert np.array_equal(got, COMPARED[plain](a, b))


@pytest.mark.parametrize("join", ["and", "or", "xor"])
def test_comparisons_joined_with_a_predicate(join: str) -> None:
    a, b, p = integers("s32", 200, 1), integers("s32", 200, 2), np.arange(200) % 2 == 0
    function = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[join]
    inputs = [("s32", a), ("s32", b), ("pred", p)]
    got = evaluate(f"setp.lt.{join}.s32 {{d}}|%dp, {{0}}, {{1}}, {{2}};", "pred", *inputs)
    assert np.array_equal(got, function(a < b, p))
    got = evaluate(f"setp.lt.{join}.s32 %dp|{{d}}, {{0}}, {{1}}, !{{2}};", "pred", *inputs)
    assert np.array_equal(got, function(~(a < b), ~p))


def test_choices() -> None:
    for name in ("u16", "s32", "f32", "b64", "f64"):
        a, b = (floats(name, 100, k) if name[0] == "f" else integers(name, 100, k) for k in range(2))
        p, c = np.arange(100) % 3 == 0, integers("s32", 100, 3)
        got = evaluate(f"selp.{name} {{d}}, {{0}}, {{1}}, {{2}};", name, (name, a), (name, b), ("pred", p))
        assert got.tobytes() == np.where(p, a, b).tobytes()
        if SCALARS[name].bits == 32:
            got = evaluate(f"slct.{name}.s32 {{d}}, {{0}}, {{1}}, {{2}};", name, (name, a), (name, b), ("s32", c))
            assert got.tobytes() == np.where(c >= 0, a, b).tobytes()


def test_comparisons_that_leave_a_number() -> None:
    a, b = integers("s32", 200, 1), integers("s32", 200, 2)
    got = evaluate("set.gt.u32.s32 {d}, {0}, {1};", "u32", ("s32", a), ("s32", b))
    assert np.array_equal(got, np.where(a > b, np.uint32(2**32 - 1), np.uint32(0)))
    got = evaluate("set.gt.f32.s32 {d}, {0}, {1};", "f32", ("s32", a), ("s32", b))
    assert np.array_equal(got, (a > b).astype(np.float32))


def kernel(body: str) -> str:
    return HEADER + ".visible .entry k(.param .u64 pd)\n{ .reg .b32 %r<4>; .reg .pred %p;\n" + body + "\nret; }"


def test_scopes_have_their_own_registers_and_labels() -> None:
    out = np.zeros(32, np.uint32)
    text = kernel(
        """.reg .b64 %d, %o; ld.param.u64 %d, [pd]; mov.u32 %r0, %tid.x; mul.wide.u32 %o, %r0, 4; add.u64 %d, %d, %o;
        mov.u32 %r1, 1;
        { .reg .b32 %r1; mov.u32 %r1, 7; setp.lt.u32 %p, %r0, 9; @%p bra L; mov.u32 %r1, 9; L: add.u32 %r2, %r1, 0; }
        { .reg .b32 %r3; mov.u32 %r3, 100; bra.uni L; mov.u32 %r3, 1; L: add.u32 %r2, %r2, %r3; }
        add.u32 %r2, %r2, %r1; st.global.u32 [%d], %r2;"""
    )
    run(text, "k", 1, 32, [out])
    assert np.array_equal(out, np.where(np.arange(32) < 9, 7, 9) + 101)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("wgmma.fence.sync.aligned;", "line 6: wgmma.fence.sync.aligned: unknown instruction"),
        ("add.u32 %r0, %r1, %x;", "special register %x"),
        ("bra NOWHERE;", "no such label"),
        ("add.u32 %p, %r1, %r2;", "%p is a predicate"),
        ("add.u64 %r0, %r1, %r2;", "32 bits"),
        ("setp.foo.u32 %p, %r1, %r2;", "no comparison foo"),
        ("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%r0}, {%r1}, {%r2}, {%r3};", "unknown shape"),
        ("ld.global.u32 %r0, [nothing];", "nothing is not declared"),
        ("{ .param .b32 a; st.param.b32 [a+0], %r0; call.uni (x), helper, (a); }", "inline the function"),
    ],
)
def test_what_cannot_be_read_is_named(body: str, reason: str) -> None:
    with pytest.raises(PtxError, match="(?s).*" + reason.replace("(", r"\(")):
        InterpretedDevice().load(kernel(body)).kernel("k")


def test_no_text_and_device_functions() -> None:
    with pytest.raises(PtxError, match=r"no \.version"):
        InterpretedDevice().load("hello")
    text = ".func (.param .b32 r) f(.param .b32 a);\n.func (.param .b32 r) f(.param .b32 a) { { .reg .b32 %x; } ret; }"
    assert list(InterpretedDevice().load(HEADER + text + kernel("").split("64\n")[1]).text.entries) == ["k"]


def test_a_trap_stops() -> None:
    with pytest.raises(KernelFault, match="trap"):
        run(kernel("mov.u32 %r0, %tid.x; setp.eq.u32 %p, %r0, 3; @%p trap;"), "k", 1, 32, [np.zeros(1)])


TABLE = HEADER + """.visible .entry k(.param .u64 pd) { .reg .b32 %t, %x; .reg .b64 %d, %o;
ld.param.u64 %d, [pd]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %d, %d, %o; rem.u32 %x, %t, 3;
WAYS: .branchtargets A, B, C;
brx.idx %x, WAYS;
A: mov.u32 %x, 100; bra DONE;
B: mov.u32 %x, 200; bra DONE;
C: mov.u32 %x, 300;
DONE: st.global.u32 [%d], %x; ret; }"""


def test_a_table_of_branches() -> None:
    out = np.zeros(64, np.uint32)
    run(TABLE, "k", 1, 64, [out])
    assert np.array_equal(out, (np.arange(64) % 3 + 1) * 100)


SHARED = """
__device__ __forceinline__ int* buffer() { __shared__ int b[64]; return b; }
extern "C" __global__ void one(int* x) {
    buffer()[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    x[threadIdx.x] = buffer()[threadIdx.x ^ 1];
}
extern "C" __global__ void two(int* x) {
    extern __shared__ int more[];
    buffer()[threadIdx.x] = x[threadIdx.x];
    more[threadIdx.x] = 7;
    __syncthreads();
    x[threadIdx.x] = buffer()[threadIdx.x ^ 33] + more[threadIdx.x ^ 33];
}
extern "C" __global__ void leave(int* x, int n) {
    if (threadIdx.x >= n) { x[threadIdx.x] = -1; return; }
    x[threadIdx.x] = __shfl_xor_sync(0xffffffffu, threadIdx.x, 1);
}
"""


def test_shared_variables_of_several_kernels() -> None:
    for name, shift, more in (("one", 1, 0), ("two", 33, 7)):
        out = np.arange(64, dtype=np.int32)
        run(compiled(SHARED), name, 1, 64, [out], shared=256 if more else 0)
        assert np.array_equal(out, (np.arange(64) ^ shift) + more)


def test_a_mask_may_name_threads_that_left() -> None:
    out = np.zeros(64, np.int32)
    run(compiled(SHARED), "leave", 1, 64, [out, 40])
    assert out.tolist() == [i ^ 1 if i < 40 else -1 for i in range(64)]


NAMED = """
extern "C" __global__ void halves(int* out) {
    __shared__ int s[128];
    s[threadIdx.x] = threadIdx.x;
    if (threadIdx.x < 64) asm volatile("bar.sync 1, 64;" ::: "memory");
    else asm volatile("bar.sync 2, 64;" ::: "memory");
    out[blockIdx.x * 128 + threadIdx.x] = s[threadIdx.x ^ 33];
}
"""


def test_barriers_of_a_part_of_the_block() -> None:
    out = np.zeros(384, np.int32)
    run(compiled(NAMED), "halves", 3, 128, [out])
    assert np.array_equal(out, np.tile(np.arange(128) ^ 33, 3))


BACK = HEADER + """.visible .entry k(.param .u64 pd) { .reg .b32 %t, %x, %y; .reg .b64 %d, %o; .reg .pred %p;
ld.param.u64 %d, [pd]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %d, %d, %o;
setp.lt.u32 %p, %t, 5; mov.u32 %x, %t; @%p bra FAR;
MEET: shfl.sync.bfly.b32 %y, %x, 16, 31, -1; st.global.u32 [%d], %y; ret;
FAR: add.u32 %x, %x, 1000; bra MEET; }"""


def test_threads_wait_for_those_that_come_from_further_down() -> None:
    out = np.zeros(64, np.uint32)
    run(BACK, "k", 1, 64, [out])
    other = np.arange(64) ^ 16
    assert np.array_equal(out, np.where(other < 5, other + 1000, other))
