"""Counts: instructions, sectors of global requests, wavefronts of shared ones."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ptx.device import Checks
from tests.ptx.harness import compiled, run

TEXT = """
extern "C" __global__ void strided(const float* in, float* out, int stride) {
    out[threadIdx.x] = in[threadIdx.x * stride];
}
extern "C" __global__ void banks(float* out, int stride) {
    extern __shared__ float s[];
    s[threadIdx.x * stride] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x * stride];
}
extern "C" __global__ void wide(float4* out, int stride) {
    extern __shared__ float4 w[];
    w[threadIdx.x * stride] = make_float4(threadIdx.x, 0, 0, 0);
    __syncthreads();
    out[threadIdx.x] = w[threadIdx.x * stride];
}
extern "C" __global__ void some(float* out) {
    float v = threadIdx.x;
    if (threadIdx.x >= 48) v = sqrtf(v);
    out[threadIdx.x] = v;
}
"""
COUNTING = Checks(counters=True)


@pytest.mark.parametrize(("stride", "sectors"), [(1, 4), (2, 8), (8, 32), (0, 1)])
def test_sectors(stride: int, sectors: int) -> None:
    a, out = np.ones(64 * 8, np.float32), np.zeros(64, np.float32)
    report = run(compiled(TEXT), "strided", 1, 64, [a, out, stride], checks=COUNTING).report
    loads = [traffic for (_, _, text), traffic in report.traffic.items() if text.startswith("ld.global")]
    assert [(t.requests, t.bytes, t.sectors, t.ideal) for t in loads] == [(2, 256, 2 * sectors, 8 if stride else 2)]
    assert report.total("global", "bytes") == 512


@pytest.mark.parametrize(("stride", "wavefronts"), [(1, 1), (2, 2), (3, 1), (4, 4), (32, 32), (33, 1)])
def test_bank_conflicts(stride: int, wavefronts: int) -> None:
    out = np.zeros(64, np.float32)
    report = run(compiled(TEXT), "banks", 1, 64, [out, stride], 64 * 33 * 4, COUNTING).report
    for (_, _, text), traffic in report.traffic.items():
        if ".shared" in text:
            assert (traffic.requests, traffic.wavefronts, traffic.ideal) == (2, 2 * wavefronts, 2), text


@pytest.mark.parametrize(("stride", "wavefronts"), [(1, 4), (2, 8), (8, 32), (9, 4)])
def test_bank_conflicts_of_wide_accesses(stride: int, wavefronts: int) -> None:
    out = np.zeros((32, 4), np.float32)
    report = run(compiled(TEXT), "wide", 1, 32, [out, stride], 32 * 9 * 16, COUNTING).report
    found = [traffic.wavefronts for (_, _, text), traffic in report.traffic.items() if ".shared" in text]
    assert found == [wavefronts, wavefronts]


def test_instructions() -> None:
    report = run(compiled(TEXT), "some", 3, 64, [np.zeros(64, np.float32)], checks=COUNTING).report
    assert report.instructions["st.global"] == 192
    assert report.issued["st.global"] == 6
    assert report.instructions["sqrt.f32"] == 48
    assert report.issued["sqrt.f32"] == 3
    assert report.launches["some"] == 1
    report.clear()
    assert not report.instructions
    assert not report.traffic
