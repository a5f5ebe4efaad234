"""qkv's kernels for codes against tzcore/keyvalues.py; memory that nothing is to write stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice
from tests.ptx.stored_layout import TILE, TILES, exact_tiles, tile_bytes, tiles_of
from tests.ptx.test_qkv import EPS, PTX, Inputs, Memory
from tests.ptx.test_qkv import Case as Shape
from tzcore.keyvalues import FORMATS, SINK, KeyValueFormat, turned

POISON = 0xA5
SLOTS = 6


@pytest.fixture(scope="module")
def device() -> InterpretedDevice:
    return InterpretedDevice()


@pytest.fixture
def memory(device: InterpretedDevice) -> Iterator[Memory]:
    memory = Memory(device)
    yield memory
    for place in memory.places:
        device.free(place)


@dataclass(frozen=True)
class Case(Shape):
    form: str = "k4v4"

    @property
    def fmt(self) -> KeyValueFormat:
        return FORMATS[self.form]


@dataclass
class Written:
    """q ``[T, heads, padded]``, pool ``[pages, kv_heads, 8, bytes]``, recent ``[kv_heads, slots, …]`` halves."""

    q: Any
    pool: Any
    recent: Any


def run(memory: Memory, case: Case, inputs: Inputs) -> Written:
    """What the kernel wrote; NaN, or ``POISON``, where it wrote nothing.  The first tokens' page is the last."""
    tokens, pages = len(case.positions), len(inputs.table) + 1
    q = np.full((tokens, case.heads, case.padded), np.nan, np.float16)
    pool = np.full((pages, case.kv_heads, TILES, tile_bytes(case.padded, case.fmt)), POISON, np.uint8)
    recent = np.full((case.kv_heads, SLOTS, 2 * TILE * case.padded), np.nan, np.float16)
    places = [memory.put(x) for x in (q, pool, recent)]
    table = memory.put(np.concatenate([[0, pages - 1], inputs.table]).astype(np.int32))
    arguments = [
        memory.put(inputs.parts), case.splits, case.rows, *(memory.put(x) for x in (*inputs.biases, *inputs.norms)),
        EPS, case.offset, memory.put(inputs.angles), case.half, tokens, case.heads, case.kv_heads, case.head_dim,
        case.padded, *places, SLOTS, table + 8, memory.put(np.array(case.positions, np.int32)),
    ]  # fmt: skip
    name = f"qkv_{case.form}"
    kernel = memory.device.load((PTX / f"{name}.ptx").read_text(encoding="utf-8")).kernel(name)
    memory.device.launch(kernel, (case.heads + 2 * case.kv_heads, tokens, 1), 128, arguments)
    return Written(*(memory.get(place, like) for place, like in zip(places, (q, pool, recent), strict=True)))


CASES = [
    Case(64, 64, 2, 1, [0, 1, 31, 32], form="k4v4"),
    Case(48, 64, 2, 2, [254, 255, 256, 257], splits=3, half=24, bias=True, form="k6v5"),
    Case(80, 96, 2, 1, [5, 14, 15, 16], half=20, norm=True, form="k6v5"),
    Case(96, 96, 1, 1, [60, 67], form="k4v2"),
    Case(128, 128, 3, 1, range(508, 514), splits=2, half=64, norm=True, bias=True, form="k8v8"),
    Case(128, 128, 1, 1, [3, 9], half=64, form="k4v2"),
    Case(256, 256, 1, 1, [7, 700], splits=5, half=128, norm=True, offset=1.0, form="k4v4"),
    Case(256, 256, 1, 1, [7, 90], form="k6v5"),
    Case(192, 256, 1, 1, [7, 90], form="k8v8"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form}-d{case.head_dim}")
def test_heads_and_codes(memory: Memory, case: Case) -> None:
    """Turned in float32 from sums that NumPy makes in float64: where two levels are as near, either may be taken."""
    inputs = Inputs(case)
    got = run(memory, case, inputs)
    wanted_q, keys, values = (turned(x.astype(np.float32)) for x in inputs.expected(case))
    np.testing.assert_allclose(got.q[..., : case.head_dim], wanted_q, rtol=1e-3, atol=1e-5)
    assert not got.q[..., case.head_dim :].any()

    spread = np.zeros((2, max(case.positions) + 1, case.kv_heads, case.head_dim), np.float32)
    spread[:, list(case.positions)] = keys, values
    for head in range(case.kv_heads):
        vectors = spread[:, :, head]
        _check_halves(got.recent[head], exact_tiles(*vectors, case.positions, case.padded, SLOTS))
        first = exact_tiles(*vectors, [p for p in case.positions if p < SINK], case.padded, 1)
        page = got.pool[-1, head].reshape(-1)
        sink = page[: first.nbytes].view(np.float16)
        first[np.isnan(first)] = np.full(1, POISON, np.uint8).repeat(2).view(np.float16)[0]
        _check_halves(sink, first[0])
        assert (page[first.nbytes :] == POISON).all()

        untouched, other = (
            _pool(case, inputs, tiles_of(*vectors, case.padded, case.fmt, case.positions, fill), fill)
            for fill in (POISON, 0x5A)
        )
        found, owned = got.pool[:-1, head], untouched == other
        assert (found[~owned] == POISON).all()
        assert (found[owned] != untouched[owned]).mean() < 0.005


def _check_halves(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def _pool(case: Case, inputs: Inputs, tiles: Any, fill: int) -> Any:
    """Tiles of one head in their pages."""
    pool = np.full((len(inputs.table), TILES, tiles.shape[-1]), fill, np.uint8)
    for number, tile in enumerate(tiles):
        pool[inputs.table[number // TILES], number % TILES] = tile
    return pool


def test_a_token_alone_has_the_bits_it_has_among_others(memory: Memory) -> None:
    case = CASES[4]
    inputs = Inputs(case)
    together = run(memory, case, inputs)
    t, position = 3, case.positions[3]
    inputs.parts = inputs.parts[:, t : t + 1]
    assert inputs.angles is not None
    inputs.angles = inputs.angles[t : t + 1]
    alone = run(memory, replace(case, positions=[position]), inputs)
    assert alone.q[0].tobytes() == together.q[t].tobytes()
    own = alone.pool != POISON
    assert own.sum() > 200
    assert (alone.pool[own] == together.pool[own]).all()
    own = ~np.isnan(alone.recent)
    assert (alone.recent[own] == together.recent[own]).all()
