"""qkv and rope_angles against NumPy; memory that nothing is to write stays as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice, Kernel

PTX = Path(__file__).resolve().parents[2] / "tzcore" / "backend" / "cuda" / "ptx"
PAGE = 256
EPS = 1e-5


@pytest.fixture(scope="module")
def device() -> InterpretedDevice:
    return InterpretedDevice()


@pytest.fixture(scope="module")
def qkv(device: InterpretedDevice) -> Kernel:
    return device.load((PTX / "qkv.ptx").read_text(encoding="utf-8")).kernel("qkv")


@pytest.fixture(scope="module")
def rope_angles(device: InterpretedDevice) -> Kernel:
    return device.load((PTX / "rope_angles.ptx").read_text(encoding="utf-8")).kernel("rope_angles")


class Memory:
    """Arrays on the device for the length of a test."""

    def __init__(self, device: InterpretedDevice) -> None:
        self.device = device
        self.places: list[int] = []

    def put(self, array: Any) -> int:
        """0 for None."""
        if array is None:
            return 0
        place = self.device.allocate(array.nbytes)
        self.places.append(place)
        self.device.copy_in(place, np.ascontiguousarray(array))
        return place

    def get(self, place: int, like: Any) -> Any:
        out = np.empty_like(like)
        self.device.copy_out(out, place)
        return out


@pytest.fixture
def memory(device: InterpretedDevice) -> Iterator[Memory]:
    memory = Memory(device)
    yield memory
    for place in memory.places:
        device.free(place)


@pytest.mark.parametrize(("half", "scale"), [(32, 1.0), (64, 1.25), (24, 1.0), (1, 0.5)])
def test_angles(memory: Memory, rope_angles: Kernel, half: int, scale: float) -> None:
    positions = np.array([0, 1, 2, 3, 1000, 8191, 131071, 2**20 - 1, 2**20], np.int32)
    frequencies = (10000.0 ** -(np.arange(half) / half)).astype(np.float32)
    out = np.full((len(positions), half, 2), np.nan, np.float32)
    place = memory.put(out)
    arguments = [memory.put(frequencies), half, scale, memory.put(positions), place]
    memory.device.launch(rope_angles, (len(positions), 1, 1), -(-half // 32) * 32, arguments)
    angles = positions[:, None] * frequencies.astype(np.float64)
    expected = np.stack([np.cos(angles), np.sin(angles)], -1) * scale
    np.testing.assert_allclose(memory.get(place, out), expected, rtol=0, atol=1e-7)


@dataclass(frozen=True)
class Case:
    head_dim: int
    padded: int
    heads: int
    kv_heads: int
    positions: Sequence[int]
    splits: int = 1
    half: int = 0
    bias: bool = False
    norm: bool = False
    offset: float = 0.0

    @property
    def rows(self) -> int:
        return (self.heads + 2 * self.kv_heads) * self.head_dim


def rotated(x: Any, angles: Any) -> Any:
    """``x [T, heads, head_dim]`` turned by ``angles [T, half, 2]``."""
    half = angles.shape[1]
    cos, sin = angles[:, None, :, 0], angles[:, None, :, 1]
    a, b = x[..., :half], x[..., half : 2 * half]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, x[..., 2 * half :]], -1)


class Inputs:
    def __init__(self, case: Case) -> None:
        random = np.random.default_rng(3)

        def normal(*shape: int) -> Any:
            return random.normal(size=shape).astype(np.float32)

        tokens, dim = len(case.positions), case.head_dim
        self.parts = normal(case.splits, tokens, case.rows)
        sizes = (case.heads * dim, case.kv_heads * dim, case.kv_heads * dim)
        self.biases = [normal(size) if case.bias else None for size in sizes]
        self.norms = [normal(dim) if case.norm else None for _ in range(2)]
        turns = normal(tokens, case.half)
        self.angles = np.stack([np.cos(turns), np.sin(turns)], -1) if case.half else None
        self.table = random.permutation(max(case.positions) // PAGE + 2).astype(np.int32)

    def expected(self, case: Case) -> tuple[Any, Any, Any]:
        """q, k, v ``[T, heads, head_dim]`` in float64."""
        summed = self.parts.astype(np.float64).sum(0)
        ends = np.cumsum([case.heads * case.head_dim, case.kv_heads * case.head_dim])
        out = []
        for part, bias, norm in zip(np.split(summed, ends, -1), self.biases, [*self.norms, None], strict=True):
            x = (part if bias is None else part + bias).reshape(len(part), -1, case.head_dim)
            if norm is not None:
                x = x / np.sqrt((x * x).mean(-1, keepdims=True) + EPS) * (case.offset + norm)
            out.append(x)
        if self.angles is not None:
            out[:2] = (rotated(x, self.angles) for x in out[:2])
        return out[0], out[1], out[2]


def run(memory: Memory, kernel: Kernel, case: Case, inputs: Inputs) -> tuple[Any, Any, Any]:
    """q ``[T, heads, padded]`` and the pools, NaN where nothing was written."""
    tokens, pages = len(case.positions), len(inputs.table)
    q = np.full((tokens, case.heads, case.padded), np.nan, np.float16)
    keys = np.full((pages, case.kv_heads, PAGE, case.padded), np.nan, np.float16)
    values = np.full((pages, case.kv_heads, case.padded, PAGE), np.nan, np.float16)
    places = [memory.put(x) for x in (q, keys, values)]
    arguments = [
        memory.put(inputs.parts), case.splits, case.rows, *(memory.put(x) for x in (*inputs.biases, *inputs.norms)),
        EPS, case.offset, memory.put(inputs.angles), case.half, tokens, case.heads, case.kv_heads, case.head_dim,
        case.padded, *places, memory.put(inputs.table), memory.put(np.array(case.positions, np.int32)),
    ]  # fmt: skip
    memory.device.launch(kernel, (case.heads + 2 * case.kv_heads, tokens, 1), 128, arguments)
    return memory.get(places[0], q), memory.get(places[1], keys), memory.get(places[2], values)


CASES = [
    Case(64, 64, 3, 1, [0]),
    Case(48, 64, 4, 2, [255, 256, 257], splits=3, half=24, bias=True),
    Case(80, 96, 2, 1, [5, 6], half=20, norm=True),
    Case(128, 128, 8, 2, range(508, 516), splits=2, half=64, norm=True, bias=True),
    Case(256, 256, 2, 1, [700], splits=5, half=128, norm=True, offset=1.0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"d{case.head_dim}-t{len(case.positions)}")
def test_heads_and_cache(memory: Memory, qkv: Kernel, case: Case) -> None:
    inputs = Inputs(case)
    q, keys, values = run(memory, qkv, case, inputs)
    close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    wanted_q, wanted_keys, wanted_values = inputs.expected(case)
    dim = case.head_dim
    close(q[..., :dim], wanted_q)
    assert not q[..., dim:].any()
    for t, position in enumerate(case.positions):
        page, slot = inputs.table[position // PAGE], position % PAGE
        close(keys[page, :, slot, :dim], wanted_keys[t])
        close(values[page, :, :dim, slot], wanted_values[t])
        assert not keys[page, :, slot, dim:].any()
        assert not values[page, :, dim:, slot].any()
        keys[page, :, slot] = np.nan
        values[page, :, :, slot] = np.nan
    assert np.isnan(keys).all()
    assert np.isnan(values).all()


def test_a_token_alone_has_the_bits_it_has_among_eight(memory: Memory, qkv: Kernel) -> None:
    case = CASES[3]
    inputs = Inputs(case)
    q, keys, _ = run(memory, qkv, case, inputs)
    t, position = 5, case.positions[5]
    inputs.parts = inputs.parts[:, t : t + 1]
    assert inputs.angles is not None
    inputs.angles = inputs.angles[t : t + 1]
    alone = Case(128, 128, 8, 2, [position], splits=2, half=64, norm=True, bias=True)
    alone_q, alone_keys, _ = run(memory, qkv, alone, inputs)
    page, slot = inputs.table[position // PAGE], position % PAGE
    assert alone_q[0].tobytes() == q[t].tobytes()
    assert alone_keys[page, :, slot].tobytes() == keys[page, :, slot].tobytes()


def test_numbers_beyond_halves_become_the_largest(memory: Memory, qkv: Kernel) -> None:
    case = Case(64, 64, 1, 1, [0])
    inputs = Inputs(case)
    inputs.parts[:] = -1e6
    inputs.parts[..., 0] = np.nan
    q, _, values = run(memory, qkv, case, inputs)
    assert np.isnan(q[0, 0, 0])
    assert (q[0, 0, 1:] == -65504).all()
    assert (values[inputs.table[0], 0, :, 0] == -65504).all()
