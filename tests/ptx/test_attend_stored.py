"""Attention over keys and values as codes, against float64 over what tzcore/keyvalues.py says each token reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.ptx.device import InterpretedDevice, Kernel, KernelFault
from tests.ptx.stored_layout import in_memory
from tests.ptx.test_attend import PTX, broken, merged, used_splits
from tests.ptx.test_attend import Case as Shape
from tzcore.keyvalues import BLOCK, FORMATS, SINK, KeyValueFormat, stored

ROUNDING = 2e-3
"""Of sums of values, whose spread is about 1: weights times scales are rounded to halves."""


@dataclass(frozen=True)
class Case(Shape):
    """``exact_from``: before it the latest tokens are not there in half precision."""

    form: str = "k4v4"
    exact_from: int = 0

    @property
    def fmt(self) -> KeyValueFormat:
        return FORMATS[self.form]

    def first_exact(self, position: int) -> int:
        return max(BLOCK * (position // BLOCK - 1), self.exact_from)

    def __str__(self) -> str:
        start = f"-from{self.exact_from}" if self.exact_from else ""
        return f"{self.form}-{super().__str__()}{start}"


@dataclass
class Inputs:
    """Turned: q ``[T, heads, head_dim]`` halves, keys and values ``[positions, kv_heads, head_dim]`` floats."""

    q: Any
    keys: Any
    values: Any

    @classmethod
    def random(cls, case: Case, seed: int = 1) -> Inputs:
        random = np.random.default_rng(seed)
        held = case.position + case.tokens
        q = (random.normal(size=(case.tokens, case.heads, case.head_dim)) * 2).astype(np.float16)
        keys, values = random.normal(size=(2, held, case.kv_heads, case.head_dim)).astype(np.float32)
        # Vectors of many sizes, and some of zeros, so that scales matter.
        keys *= 2.0 ** random.integers(-3, 2, (held, case.kv_heads, 1))
        values *= 2.0 ** random.integers(-8, 1, (held, case.kv_heads, 1))
        keys[random.random(held) < 0.05] = 0
        values[random.random(held) < 0.05] = 0
        return cls(q, keys.astype(np.float32), values.astype(np.float32))

    def tokens(self, which: slice) -> Inputs:
        return Inputs(self.q[which], self.keys, self.values)


def expected(case: Case, inputs: Inputs) -> Any:
    """``[T, heads, head_dim]`` in float64, turned."""
    both = []
    for vectors, bits in ((inputs.keys, case.fmt.key_bits), (inputs.values, case.fmt.value_bits)):
        exact, coded = vectors.astype(np.float16).astype(np.float64), stored(vectors, bits).astype(np.float64)
        both.append((exact, coded))
    out = np.empty((case.tokens, case.heads, case.head_dim))
    places = np.arange(len(inputs.keys))
    for t, position in enumerate(case.positions):
        exact = (places < SINK) | (places >= case.first_exact(int(position)))
        keys, values = (np.where(exact[:, None, None], *pair).repeat(case.group, axis=1) for pair in both)
        scores = np.einsum("hd,khd->hk", inputs.q[t].astype(np.float64), keys) * case.scale
        if case.softcap:
            scores = np.tanh(scores / case.softcap) * case.softcap
        distance = position - places
        scores = np.where((distance >= 0) & (distance < (case.window or 1 << 30)), scores, -np.inf)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        out[t] = np.einsum("hk,khd->hd", weights / weights.sum(-1, keepdims=True), values)
    return out


def attend(
    device: InterpretedDevice, kernel: Kernel, case: Case, inputs: Inputs, whole: bool = True
) -> tuple[Any, Any]:
    """acc ``[splits, T, heads, padded]`` and stats ``[splits, T, heads, 2]``, NaN where nothing was written."""
    many = "many" in kernel.name
    last = int(case.positions[-1])
    splits = 1 if many and whole else last // case.split_keys + 1
    first = max(case.first_exact(case.position) // BLOCK * BLOCK, 0)
    slots = 2 * -(-(last + 1 - first) // 64) + 2
    latest = range(first, last + 1)
    pool, recent, table = in_memory(inputs.keys, inputs.values, latest, case.padded, case.fmt, slots)
    table[0] = case.exact_from
    q = np.zeros((case.tokens, case.heads, case.padded), np.float16)
    q[..., : case.head_dim] = inputs.q
    acc = np.full((splits, case.tokens, case.heads, case.padded), np.nan, np.float32)
    stats = np.full((splits, case.tokens, case.heads, 2), np.nan, np.float32)
    arrays = (q, pool, recent, table, case.positions, acc, stats)
    rows = case.tokens * case.group
    grid = (-(-rows // 64), case.kv_heads, splits) if many else (case.kv_heads, splits, -(-rows // 16))
    numbers = (case.tokens, case.heads, case.kv_heads, case.scale, case.softcap, case.window, case.split_keys)
    places = [device.allocate(array.nbytes) for array in arrays]
    try:
        for place, array in zip(places, arrays, strict=True):
            device.copy_in(place, array)
        q_at, pool_at, recent_at, table_at, *rest = places
        where = (q_at, pool_at, recent_at, slots, table_at + 8, rest[0])
        device.launch(kernel, grid, 128, [*where, *numbers, *rest[1:]])
        device.copy_out(acc, rest[1])
        device.copy_out(stats, rest[2])
    finally:
        for place in places:
            device.free(place)
    return acc, stats


def check(device: InterpretedDevice, kernel: Kernel, case: Case, whole: bool = True) -> None:
    inputs = Inputs.random(case)
    acc, stats = attend(device, kernel, case, inputs, whole)
    np.testing.assert_allclose(merged(case, acc, stats), expected(case, inputs), rtol=0, atol=ROUNDING)


@pytest.fixture(scope="module")
def device() -> Iterator[InterpretedDevice]:
    device = InterpretedDevice()
    yield device
    assert device.used == 0


@cache
def shipped(device: InterpretedDevice, family: str, case: Case) -> Kernel:
    return _shipped(device, f"attend_{family}_d{case.padded}_{case.form}")


@cache
def _shipped(device: InterpretedDevice, name: str) -> Kernel:
    return device.load((PTX / f"{name}.ptx").read_text(encoding="utf-8")).kernel(name)


FEW = [
    Case(64, 64, 1, 1, 1, 0, form="k8v8"),
    Case(64, 48, 2, 3, 3, 190, form="k4v4"),
    Case(64, 64, 1, 4, 4, 254, window=150, softcap=5.0, form="k6v5"),
    Case(64, 64, 1, 1, 8, 316, form="k4v2"),
    Case(96, 80, 1, 3, 5, 189, form="k6v5"),
    Case(96, 96, 1, 8, 2, 255, form="k4v2"),
    Case(96, 96, 1, 2, 1, 400, form="k8v8"),
    Case(96, 96, 1, 1, 2, 190, form="k4v4"),
    Case(128, 128, 1, 8, 3, 318, form="k4v4"),
    Case(128, 112, 2, 1, 1, 700, form="k8v8", window=300),
    Case(128, 128, 1, 3, 4, 140, form="k6v5", softcap=20.0),
    Case(128, 128, 1, 4, 2, 520, form="k4v2", exact_from=500, split_keys=512),
    Case(256, 256, 1, 2, 2, 255, form="k4v4"),
    Case(256, 256, 1, 1, 1, 300, form="k6v5", exact_from=290),
    Case(256, 256, 1, 2, 2, 200, form="k8v8"),
    Case(256, 192, 1, 1, 1, 200, form="k4v2"),
]


@pytest.mark.parametrize("case", FEW, ids=str)
def test_few(device: InterpretedDevice, case: Case) -> None:
    check(device, shipped(device, "few", case), case)


MANY = [
    Case(64, 48, 2, 3, 17, 180, form="k4v4"),
    Case(64, 64, 1, 1, 40, 100, form="k6v5", window=90),
    Case(64, 64, 1, 4, 20, 300, form="k4v2", softcap=8.0),
    Case(96, 80, 1, 3, 17, 250, form="k8v8"),
    Case(96, 96, 1, 1, 9, 190, form="k6v5"),
    Case(128, 128, 1, 8, 9, 250, form="k4v4", exact_from=200),
    Case(128, 128, 1, 1, 20, 10, form="k4v2"),
    Case(256, 256, 1, 1, 9, 200, form="k6v5"),
    Case(256, 256, 1, 2, 9, 140, form="k4v4", window=100),
    *(
        Case(width, width, 1, 1, 9, 140, form=form)
        for width, form in (
            (64, "k8v8"),
            (96, "k4v4"),
            (96, "k4v2"),
            (128, "k8v8"),
            (128, "k6v5"),
            (256, "k8v8"),
            (256, "k4v2"),
        )
    ),
]


@pytest.mark.parametrize("case", MANY, ids=str)
def test_many(device: InterpretedDevice, case: Case) -> None:
    check(device, shipped(device, "many", case), case)


@pytest.mark.parametrize("case", [Case(64, 64, 1, 4, 9, 500), Case(64, 64, 1, 1, 17, 520, window=9)], ids=str)
def test_many_in_splits(device: InterpretedDevice, case: Case) -> None:
    check(device, shipped(device, "many", case), case, whole=False)


@pytest.mark.parametrize(
    ("family", "case"),
    [
        ("few", Case(64, 64, 1, 4, 8, 316, window=170)),
        ("few", Case(128, 128, 1, 1, 8, 188, form="k6v5")),
        ("many", Case(64, 64, 1, 3, 8, 252, window=90)),
    ],
)
def test_a_token_alone_has_the_bits_it_has_among_eight(device: InterpretedDevice, family: str, case: Case) -> None:
    """Of two blocks of 64: a tile is read as codes for some of them and in half precision for others."""
    inputs = Inputs.random(case)
    kernel = shipped(device, family, case)
    acc, stats = attend(device, kernel, case, inputs)
    for t in (0, 4, 7):
        alone = replace(case, tokens=1, position=case.position + t)
        held = Inputs(inputs.q[t : t + 1], inputs.keys[: alone.position + 1], inputs.values[: alone.position + 1])
        alone_acc, alone_stats = attend(device, kernel, alone, held)
        used = list(used_splits(case, case.position + t)) if family == "few" else [0]
        assert alone_acc[used, 0].tobytes() == acc[used, t].tobytes()
        assert alone_stats[used, 0].tobytes() == stats[used, t].tobytes()


def test_scales_of_all_sizes(device: InterpretedDevice) -> None:
    """Neither the weights of values with small scales are lost beside those with large ones, nor do these overflow."""
    case = Case(64, 64, 1, 1, 1, 300, form="k8v8")
    inputs = Inputs.random(case)
    inputs.values[16:100] *= 5e3
    inputs.values[100:] *= 1e-4
    inputs.keys[16:100] *= 0
    inputs.keys[100:, 0] = inputs.q[0, 0] * 0.6
    acc, stats = attend(device, shipped(device, "few", case), case, inputs)
    wanted = expected(case, inputs)
    np.testing.assert_allclose(merged(case, acc, stats), wanted, rtol=0, atol=2e-3 * np.abs(wanted).max())


@pytest.mark.parametrize("family", ["few", "many"])
def test_a_token_that_is_not_there_writes_nothing(device: InterpretedDevice, family: str) -> None:
    case = Case(64, 64, 1, 1, 2, 3)
    inputs = Inputs.random(case)
    absent = _Absent(*vars(case).values())
    acc, stats = attend(device, shipped(device, family, case), absent, inputs)
    assert np.isnan(acc[:, 0]).all()
    assert np.isnan(stats[:, 0]).all()
    np.testing.assert_allclose(merged(case, acc, stats)[1], expected(case, inputs)[1], rtol=0, atol=ROUNDING)


class _Absent(Case):
    @property
    def positions(self) -> Any:
        return np.array([-1, 4], np.int32)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("* codes::BLOCK - codes::BLOCK", "* codes::BLOCK"),
        ("within(seen(position, window), 0, codes::SINK)", "within(seen(position, window), 0, codes::SINK + 1)"),
        ("arrive<1>();", "arrive<2>();"),
        ("2 * row + e] = weight * scales(2 * n + e)", "2 * row + e] = weight * scales(2 * n)"),
    ],
    ids=["a block too few", "a token more in the sink", "read before it comes", "a neighbour's scale"],
)
def test_a_broken_kernel_is_caught(device: InterpretedDevice, old: str, new: str) -> None:
    case = Case(64, 64, 1, 4, 3, 190)
    kernel = broken(device, f"attend_few_d64_{case.form}", old, new)
    with pytest.raises((AssertionError, KernelFault)):
        check(device, kernel, case)
