"""Loads, stores, atomics and asynchronous copies in every space."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice
from tests.ptx.harness import HEADER, compiled, integers, run
from tests.ptx.scalars import SCALARS

BODY = HEADER + """.visible .entry k(.param .u64 pa, .param .u64 pd)
{{ .reg .b64 %a, %d, %off; .reg .b32 %t; .reg .b16 %h<4>; .reg .b32 %w<4>; .reg .b64 %q<4>;
ld.param.u64 %a, [pa]; ld.param.u64 %d, [pd]; mov.u32 %t, %tid.x;
mul.wide.u32 %off, %t, {inner}; add.u64 %a, %a, %off; mul.wide.u32 %off, %t, {outer}; add.u64 %d, %d, %off;
{text}
ret; }}"""


@pytest.mark.parametrize("name", ["u8", "s8", "u16", "s16", "u32", "s32"])
def test_narrow_loads_are_extended(name: str) -> None:
    a = integers(name, 64)
    out = np.zeros(64, SCALARS["s64" if name[0] == "s" else "u64"].dtype)
    text = f"ld.global.{name} %q0, [%a]; st.global.b64 [%d], %q0;"
    run(BODY.format(inner=a.itemsize, outer=8, text=text), "k", 1, 64, [a, out])
    assert np.array_equal(out, a)


@pytest.mark.parametrize(
    ("load", "store", "registers"),
    [
        ("ld.global.v2.u32", "st.global.v2.u32", "{%w0, %w1}"),
        ("ld.global.nc.v4.u32", "st.global.v4.b32", "{%w0, %w1, %w2, %w3}"),
        ("ld.global.nc.L1::no_allocate.v4.u32", "st.global.cs.v4.u32", "{%w0, %w1, %w2, %w3}"),
        ("ld.global.L1::evict_first.v2.u64", "st.global.wt.v2.u64", "{%q0, %q1}"),
        ("ld.global.ca.v4.u8", "st.global.v4.u8", "{%h0, %h1, %h2, %h3}"),
        ("ld.global.cg.v2.u16", "st.global.v2.u16", "{%h0, %h1}"),
        ("ld.global.nc.L2::128B.u64", "st.global.u64", "%q0"),
        ("ld.v4.f32", "st.v4.f32", "{%w0, %w1, %w2, %w3}"),
    ],
)
def test_vectors_and_hints(load: str, store: str, registers: str) -> None:
    count = 4 if ".v4" in load else 2 if ".v2" in load else 1
    size = count * SCALARS[load.rsplit(".", maxsplit=1)[-1]].size
    a = np.random.default_rng(0).integers(0, 256, 32 * size).astype(np.uint8)
    out = np.zeros_like(a)
    text = f"{load} {registers}, [%a]; {store} [%d], {registers};"
    run(BODY.format(inner=size, outer=size, text=text), "k", 1, 32, [a, out])
    assert np.array_equal(out, a)


def test_a_narrow_store_takes_the_low_bits() -> None:
    a = np.arange(0x01020300, 0x01020300 + 64, dtype=np.uint32)
    out = np.zeros(64, np.uint8)
    run(BODY.format(inner=4, outer=1, text="ld.global.u32 %w0, [%a]; st.global.u8 [%d], %w0;"), "k", 1, 64, [a, out])
    assert np.array_equal(out, a.astype(np.uint8))


SPACES = """
__device__ __constant__ float table[4] = {1.f, 2.f, 4.f, 8.f};
__device__ int counter = 5;
struct Pair { int a; float b; };
extern "C" __global__ void turn(const float* in, float* out, int n) {
    extern __shared__ float tile[];
    __shared__ float row[32];
    int x = threadIdx.x & 31, y = threadIdx.x >> 5;
    tile[y * 33 + x] = in[(blockIdx.x * 8 + y) * n + x];
    if (threadIdx.x < 32) row[x] = table[x & 3];
    __syncthreads();
    int r = threadIdx.x >> 3, c = threadIdx.x & 7;
    out[r * gridDim.x * 8 + blockIdx.x * 8 + c] = tile[c * 33 + r] * row[r];
}
extern "C" __global__ void values(Pair p, double* out, const short* s) {
    int local[8];
    for (int i = 0; i < 8; ++i) local[i] = i * p.a;
    out[threadIdx.x] = local[(threadIdx.x + s[0]) & 7] + p.b + counter;
}
extern "C" __global__ void generic(float* out, int pick) {
    __shared__ float s[64];
    s[threadIdx.x] = threadIdx.x;
    __syncthreads();
    float* p = ((threadIdx.x + pick) & 1) ? s : out;
    float old = p[threadIdx.x];
    __syncthreads();
    p[threadIdx.x] = old + 100;
    __syncthreads();
    if (p == s) out[threadIdx.x] = s[threadIdx.x] * 2;
}
extern "C" __global__ void where(int* out) {
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    out[block * blockDim.x + threadIdx.x] = block * 1000 + threadIdx.x;
}
"""


def test_shared_memory_static_and_dynamic_and_constants() -> None:
    a = np.random.default_rng(0).standard_normal((24, 32)).astype(np.float32)
    out = np.zeros((32, 24), np.float32)
    run(compiled(SPACES), "turn", 3, 256, [a, out, 32], shared=8 * 33 * 4)
    assert np.array_equal(out, a.T * np.asarray([1, 2, 4, 8], np.float32)[np.arange(32) & 3, None])


def test_structures_local_memory_and_module_variables() -> None:
    device = InterpretedDevice()
    kernel = device.load(compiled(SPACES)).kernel("values")
    assert kernel.parameters == ("b8[8]", "u64", "u64")
    out, given = np.zeros(40), np.asarray([3], np.int16)
    addresses = [device.allocate(320), device.allocate(2)]
    device.copy_in(addresses[1], given)
    pair = np.int32(7).tobytes() + np.float32(0.5).tobytes()
    device.launch(kernel, (1, 1, 1), 40, [pair, *addresses])
    device.copy_out(out, addresses[0])
    assert np.array_equal(out, (np.arange(40) + 3 & 7) * 7 + 0.5 + 5)


def test_generic_addresses_of_several_spaces() -> None:
    out = np.arange(64, dtype=np.float32) * 10
    run(compiled(SPACES), "generic", 1, 64, [out, 0])
    lane = np.arange(64)
    assert np.array_equal(out, np.where(lane & 1, (lane + 100) * 2, lane * 10 + 100))


def test_blocks_in_three_dimensions() -> None:
    out = np.zeros((24, 40), np.int32)
    run(compiled(SPACES), "where", (2, 3, 4), 40, [out])
    assert np.array_equal(out, np.arange(24)[:, None] * 1000 + np.arange(40))


ATOMICS = """
extern "C" __global__ void atomics(unsigned* c, int* s, unsigned long long* w, float* f, unsigned* old, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    old[i] = atomicAdd(&c[0], 1u);
    atomicMax(&s[0], (int)(i * 37 % 101) - 50); atomicMin(&s[1], (int)(i * 37 % 101) - 50);
    atomicAnd(&c[1], ~(1u << (i & 3))); atomicOr(&c[2], 1u << (i & 31)); atomicXor(&c[3], i);
    atomicInc(&c[4], 6u); atomicDec(&c[5], 6u);
    atomicAdd(&w[0], 1ull << 33); atomicAdd(&f[i & 1], 0.5f);
    atomicCAS(&c[6], i, i + 1); atomicExch(&c[7], i);
    __shared__ unsigned total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, i);
    __syncthreads();
    if (threadIdx.x == 0) c[8 + blockIdx.x] = total;
}
"""


def test_atomics() -> None:
    c = np.asarray([0, 15, 0, 0, 0, 3, 0, 0, 0, 0, 0], np.uint32)
    s, w, f, old = np.zeros(2, np.int32), np.zeros(1, np.uint64), np.zeros(2, np.float32), np.zeros(192, np.uint32)
    run(compiled(ATOMICS), "atomics", 3, 64, [c, s, w, f, old, 0])
    i = np.arange(192)
    assert np.array_equal(np.sort(old), i)
    up, down = 0, 3
    for _ in i:
        up, down = 0 if up >= 6 else up + 1, 6 if down == 0 or down > 6 else down - 1
    assert c[:8].tolist() == [192, 0, 2**32 - 1, int(np.bitwise_xor.reduce(i)), up, down, 192, 191]
    assert c[8:].tolist() == [int(i[k * 64 : k * 64 + 64].sum()) for k in range(3)]
    turned = i * 37 % 101 - 50
    assert s.tolist() == [turned.max(), turned.min()]
    assert int(w[0]) == 192 << 33
    assert f.tolist() == [48.0, 48.0]


COPIES = """
extern "C" __global__ void copies(const char* in, int* out, int kept) {
    __shared__ __align__(16) int s[2][128];
    unsigned at = (unsigned)__cvta_generic_to_shared(&s[0][threadIdx.x * 4]);
    in += threadIdx.x * 16;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" :: "r"(at), "l"(in) : "memory");
    asm volatile("cp.async.commit_group;");
    at += 512;
    int left = threadIdx.x < kept ? 8 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" :: "r"(at), "l"(in), "r"(left) : "memory");
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" :: "r"(at + 8), "l"(in + 8) : "memory");
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, 0;" :: "r"(at + 12), "l"(in) : "memory");
    asm volatile("cp.async.commit_group;");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    __syncthreads();
    out[threadIdx.x] = s[0][127 - threadIdx.x];
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    __syncthreads();
    for (int k = 0; k < 4; ++k) out[(k + 1) * 32 + threadIdx.x] = s[1][(threadIdx.x ^ 1) * 4 + k];
}
"""


def test_asynchronous_copies() -> None:
    a = np.random.default_rng(0).integers(-(2**31), 2**31, (32, 4)).astype(np.int32)
    out = np.zeros((5, 32), np.int32)
    run(compiled(COPIES), "copies", 1, 32, [a, out, 20])
    want = np.zeros((32, 4), np.int32)
    want[:20, :2] = a[:20, :2]
    want[:, 2] = a[:, 2]
    assert np.array_equal(out[0], a.reshape(-1)[127 - np.arange(32)])
    assert np.array_equal(out[1:], want[np.arange(32) ^ 1].T)
