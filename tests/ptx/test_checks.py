"""Every check catches a planted fault and leaves the right program alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.device import Checks, InterpretedDevice, KernelFault
from tests.ptx.harness import HEADER, compiled, run

SUM = """
extern "C" __global__ void total(const float* in, float* out, int n) {
    __shared__ float part[8];
    float v = 0;
    for (int i = threadIdx.x; i < n; i += 256) v += in[i];
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = v;
    BARRIER
    float sum = 0;
    for (int k = 0; k < 8; ++k) sum += part[k];
    out[threadIdx.x] = sum;
}
"""


def total(barrier: str = "__syncthreads();") -> str:
    return compiled(SUM.replace("BARRIER", barrier))


def test_a_missing_barrier() -> None:
    a, out = np.ones(1000, np.float32), np.zeros(256, np.float32)
    run(total(), "total", 1, 256, [a, out, 1000])
    assert (out == 1000).all()
    with pytest.raises(KernelFault, match=r"races: thread \d+ reads the same byte \d+ of shared memory"):
        run(total(""), "total", 1, 256, [a, out, 1000], checks=Checks(uninitialised=False))
    with pytest.raises(KernelFault, match="races"):
        run(total("__syncwarp();"), "total", 1, 256, [a, out, 1000], checks=Checks(uninitialised=False))
    run(total(""), "total", 1, 256, [a, out, 1000], checks=Checks.fast())


def test_faults_are_kept_if_asked_for() -> None:
    a, out = np.ones(1000, np.float32), np.zeros(256, np.float32)
    device = run(total(""), "total", 1, 256, [a, out, 1000], checks=Checks(stop=False))
    assert any("races" in fault for fault in device.report.faults)


EXCHANGE = """
extern "C" __global__ void exchange(int* out) {
    __shared__ int s[64];
    s[threadIdx.x] = threadIdx.x;
    ORDER
    out[threadIdx.x] = s[threadIdx.x ^ DISTANCE];
}
"""


@pytest.mark.parametrize(
    ("order", "distance", "races"),
    [
        ("__syncthreads();", 33, False),
        ("__syncwarp();", 1, False),
        ("", 1, True),
        ("__syncwarp();", 33, True),
        ("", 0, False),
    ],
)
def test_order_within_a_warp_and_across(order: str, distance: int, races: bool) -> None:
    order = order or 'asm volatile("" ::: "memory");'
    text = compiled(EXCHANGE.replace("ORDER", order).replace("DISTANCE", str(distance)))
    out = np.zeros(64, np.int32)
    if races:
        with pytest.raises(KernelFault, match="races"):
            run(text, "exchange", 1, 64, [out], checks=Checks(uninitialised=False))
    else:
        run(text, "exchange", 1, 64, [out])
        assert np.array_equal(out, np.arange(64) ^ distance)


WRITES = """
extern "C" __global__ void writes(int* out, int what) {
    __shared__ int s[4];
    if (what == 0) s[0] = 7;
    if (what == 1) s[0] = threadIdx.x;
    if (what == 2) s[threadIdx.x & 1] = threadIdx.x & 1;
    if (what == 3) { if (threadIdx.x < 4) s[threadIdx.x] = 0; __syncthreads(); atomicAdd(&s[threadIdx.x & 3], 1); }
    if (what == 4) { if (threadIdx.x < 4) s[threadIdx.x] = 0; __syncthreads(); atomicAdd(&s[0], 1); out[1] = s[0]; }
    if (what == 5) out[0] = threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0 && what != 5) out[0] = s[0];
}
"""


@pytest.mark.parametrize(("what", "races"), [(0, False), (1, True), (2, False), (3, False), (4, True), (5, True)])
def test_writes_to_one_place(what: int, races: bool) -> None:
    """Equal values of one warp with one instruction and atomics are fine, all else is not."""
    text, out = compiled(WRITES), np.zeros(2, np.int32)
    if races:
        with pytest.raises(KernelFault, match="races"):
            run(text, "writes", 1, 32, [out, what])
    else:
        run(text, "writes", 1, 32, [out, what])
    if what == 0:
        with pytest.raises(KernelFault, match=r"races: thread \d+ writes"):
            run(text, "writes", 1, 64, [out, what])


BOUNDS = """
extern "C" __global__ void global(const float* in, float* out, int shift) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = in[i + shift];
}
extern "C" __global__ void shared(float* out, int shift) {
    __shared__ float s[64];
    s[threadIdx.x] = 1; s[threadIdx.x + 32] = 2;
    __syncwarp();
    out[threadIdx.x] = s[threadIdx.x + shift];
}
extern "C" __global__ void wide(const char* in, float4* out, int shift) {
    out[threadIdx.x] = *(const float4*)(in + threadIdx.x * 16 + shift);
}
"""


def test_accesses_out_of_bounds() -> None:
    text = compiled(BOUNDS)
    a, out = np.ones(256, np.float32), np.zeros(256, np.float32)
    run(text, "global", 2, 128, [a, out, 0])
    last, first = r"block \(1, 0, 0\), thread 127", r"block \(0, 0, 0\), thread 0"
    for shift, place in ((1, last), (-1, first), (1 << 28, "out of bounds")):
        with pytest.raises(KernelFault, match=place):
            run(text, "global", 2, 128, [a, out, shift])
    run(text, "shared", 1, 32, [out, 32])
    with pytest.raises(KernelFault, match=r"out of the 256 bytes of shared memory, .* thread 31"):
        run(text, "shared", 1, 32, [out, 33])


def test_accesses_that_are_misaligned() -> None:
    a, out = np.ones(1024, np.uint8), np.zeros((32, 4), np.float32)
    run(compiled(BOUNDS), "wide", 1, 32, [a, out, 16])
    with pytest.raises(KernelFault, match="no multiple of 16"):
        run(compiled(BOUNDS), "wide", 1, 32, [a, out, 8])


def test_accesses_after_free_and_of_a_cut_pointer() -> None:
    device = InterpretedDevice()
    kernel = device.load(compiled(BOUNDS)).kernel("global")
    a, b = device.allocate(128), device.allocate(128)
    device.fill(a, 0, 128)
    device.launch(kernel, (1, 1, 1), 32, [a, b, 0])
    with pytest.raises(KernelFault, match="out of bounds"):
        device.launch(kernel, (1, 1, 1), 32, [a & 0xFFFFFFFF, b, 0])
    device.free(a)
    with pytest.raises(KernelFault, match="out of bounds"):
        device.launch(kernel, (1, 1, 1), 32, [a, b, 0])


def test_reads_of_what_nothing_wrote() -> None:
    text = compiled(BOUNDS)
    a, out = np.ones(256, np.float32), np.zeros(256, np.float32)
    with pytest.raises(KernelFault, match="that nothing wrote"):
        run(text, "global", 2, 128, [a, out, 0], unwritten=[0, 1])
    run(text, "global", 2, 128, [a, out, 0], unwritten=[0, 1], checks=Checks(uninitialised=False))
    run(text, "global", 2, 128, [a, out, 0], unwritten=[1])
    device = InterpretedDevice()
    kernel = device.load(text).kernel("global")
    source, middle, last = (device.allocate(1024) for _ in range(3))
    device.copy_in(source, a)
    device.launch(kernel, (1, 1, 1), 128, [source, middle, 0])
    device.launch(kernel, (1, 1, 1), 128, [middle, last, 0])
    with pytest.raises(KernelFault, match=r"that nothing wrote, .* thread 127"):
        device.launch(kernel, (1, 1, 1), 128, [middle, last, 1])


UNWRITTEN = """
extern "C" __global__ void unwritten(float* out, int n) {
    __shared__ float s[64];
    if (threadIdx.x < n) s[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x];
}
"""


def test_reads_of_shared_memory_that_nothing_wrote() -> None:
    out = np.zeros(64, np.float32)
    run(compiled(UNWRITTEN), "unwritten", 2, 64, [out, 64])
    with pytest.raises(KernelFault, match="shared memory at 252 that nothing wrote"):
        run(compiled(UNWRITTEN), "unwritten", 2, 64, [out, 63])


REGISTERS = HEADER + """.visible .entry k(.param .u64 pd, .param .u32 pn)
{{ .reg .b64 %d, %o; .reg .b32 %t, %n, %x, %y; .reg .pred %p;
ld.param.u64 %d, [pd]; ld.param.u32 %n, [pn]; mov.u32 %t, %tid.x; mul.wide.u32 %o, %t, 4; add.u64 %d, %d, %o;
setp.lt.u32 %p, %t, %n; {text} st.global.u32 [%d], %x; ret; }}"""


@pytest.mark.parametrize(
    "text", ["@%p mov.u32 %x, 1;", "@!%p bra L; mov.u32 %x, 1; L:", "@%p mov.u32 %y, 1; add.u32 %x, %y, 1;"]
)
def test_reads_of_registers_that_nothing_wrote(text: str) -> None:
    out = np.zeros(32, np.uint32)
    run(REGISTERS.format(text=text), "k", 1, 32, [out, 32])
    with pytest.raises(KernelFault, match=r"reads %[xy], which nothing wrote, .* thread 20"):
        run(REGISTERS.format(text=text), "k", 1, 32, [out, 20])


DIVERGENT = """
extern "C" __global__ void apart(int* out, int n) {
    if (threadIdx.x < n) { out[threadIdx.x] = 1; asm volatile("bar.sync 0;"); }
    else { out[threadIdx.x] = 2; asm volatile("bar.sync 0;"); out[threadIdx.x] += 1; }
    out[threadIdx.x] += 1;
}
extern "C" __global__ void alone(int* out, int n) {
    if (threadIdx.x < n) asm volatile("bar.sync 0;");
    out[threadIdx.x] = 1;
    asm volatile("bar.sync 1;");
    out[threadIdx.x] = 2;
}
extern "C" __global__ void shuffle(int* out, int n) {
    int v = threadIdx.x;
    if (v < n) v = __shfl_xor_sync(MASK, v, 1);
    __syncthreads();
    out[threadIdx.x] = v;
}
"""


def test_barriers_that_not_all_reach() -> None:
    text, out = compiled(DIVERGENT.replace("MASK", "0xffffffffu")), np.zeros(64, np.int32)
    with pytest.raises(KernelFault, match="different barriers"):
        run(text, "apart", 1, 64, [out, 10])
    with pytest.raises(KernelFault, match="not all threads of the block reach this barrier"):
        run(text, "alone", 1, 64, [out, 10])
    run(text, "alone", 1, 64, [out, 64])


def test_shuffles_whose_threads_are_not_there() -> None:
    out = np.zeros(32, np.int32)
    text = compiled(DIVERGENT.replace("MASK", "0xffffffffu"))
    with pytest.raises(KernelFault, match="never come here"):
        run(text, "shuffle", 1, 32, [out, 8])
    text = compiled(DIVERGENT.replace("MASK", "0x1ffu"))
    with pytest.raises(KernelFault, match=r"not there, .* thread 8"):
        run(text, "shuffle", 1, 32, [out, 9])


EARLY = """
extern "C" __global__ void early(const int4* in, int4* out, int what) {
    __shared__ int4 s[64];
    unsigned at = (unsigned)__cvta_generic_to_shared(&s[threadIdx.x]);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(at), "l"(in + threadIdx.x) : "memory");
    asm volatile("cp.async.commit_group;" ::: "memory");
    if (what == 1) asm volatile("cp.async.wait_group 1;" ::: "memory");
    if (what != 1) asm volatile("cp.async.wait_group 0;" ::: "memory");
    if (what != 2) __syncthreads();
    out[threadIdx.x] = s[threadIdx.x ^ 1];
}
"""


@pytest.mark.parametrize(("what", "reason"), [(0, ""), (1, "still being copied"), (2, "races")])
def test_copies_read_too_early(what: int, reason: str) -> None:
    a, out = np.arange(256, dtype=np.int32).reshape(64, 4), np.zeros((64, 4), np.int32)
    if not reason:
        run(compiled(EARLY), "early", 1, 64, [a, out, what])
        assert np.array_equal(out, a[np.arange(64) ^ 1])
    else:
        with pytest.raises(KernelFault, match=reason):
            run(compiled(EARLY), "early", 1, 64, [a, out, what])


LONG = """
extern "C" __global__ void rounds(const int* in, int* out, int n) {
    __shared__ int s[64];
    int sum = 0;
    s[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    for (int k = 0; k < n; ++k) sum += s[(threadIdx.x + k) & 63];
    if (threadIdx.x == 63 && in[0] == 7) s[5] = 1;
    out[blockIdx.x * 64 + threadIdx.x] = sum;
}
"""


def test_races_in_long_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was noted is thinned out meanwhile, and still known when the write comes."""
    monkeypatch.setattr("tests.ptx.races._MANY", 3000)
    a, out = np.arange(64, dtype=np.int32), np.zeros((4, 64), np.int32)
    run(compiled(LONG), "rounds", 4, 64, [a, out, 64])
    assert (out == a.sum()).all()
    a[0] = 7
    with pytest.raises(KernelFault, match=r"races: thread \d+ reads the same byte 20 "):
        run(compiled(LONG), "rounds", 4, 64, [a, out, 64])


def test_a_kernel_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.ptx.execute.LIMIT", 1000)
    text = HEADER + ".visible .entry k(.param .u64 p) { .reg .b32 %r; L: add.u32 %r, 1, 2; bra L; }"
    with pytest.raises(KernelFault, match="no end"):
        run(text, "k", 1, 32, [np.zeros(1)])
