"""Attention kernels against float64, with memory that was never written full of NaN."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ptx.device import Checks, InterpretedDevice, Kernel, KernelFault, Module

ROOT = Path(__file__).resolve().parents[2]
PTX = ROOT / "tzcore" / "backend" / "cuda" / "ptx"
SOURCES = ROOT / "kernels" / "cuda"
PAGE = 256
ROUNDING = 2e-3
"""Weights are rounded to halves: 2⁻¹¹ of values that are seldom beyond 4."""


@dataclass(frozen=True)
class Case:
    """Consecutive tokens from ``position`` on."""

    padded: int
    head_dim: int
    kv_heads: int
    group: int
    tokens: int
    position: int
    window: int = 0
    softcap: float = 0.0
    split_keys: int = 256

    @property
    def heads(self) -> int:
        return self.kv_heads * self.group

    @property
    def positions(self) -> Any:
        return np.arange(self.position, self.position + self.tokens, dtype=np.int32)

    @property
    def scale(self) -> float:
        return float(np.float32(self.head_dim**-0.5))

    def __str__(self) -> str:
        capped = "-capped" if self.softcap else ""
        window = f"-window{self.window}" if self.window else ""
        return f"d{self.head_dim}-kv{self.kv_heads}x{self.group}-t{self.tokens}@{self.position}{window}{capped}"


@dataclass
class Inputs:
    """Halves: q ``[T, heads, head_dim]``, keys and values ``[positions, kv_heads, head_dim]``."""

    q: Any
    keys: Any
    values: Any

    @classmethod
    def random(cls, case: Case, seed: int = 1) -> Inputs:
        random = np.random.default_rng(seed)
        held = case.position + case.tokens
        q = random.normal(size=(case.tokens, case.heads, case.head_dim)) * 2
        keys, values = random.normal(size=(2, held, case.kv_heads, case.head_dim))
        return cls(q.astype(np.float16), keys.astype(np.float16), values.astype(np.float16))

    def tokens(self, which: slice) -> Inputs:
        return Inputs(self.q[which], self.keys, self.values)


def expected(case: Case, inputs: Inputs) -> Any:
    """``[T, heads, head_dim]`` in float64."""
    q, keys, values = (x.astype(np.float64) for x in (inputs.q, inputs.keys, inputs.values))
    keys, values = (x.repeat(case.group, axis=1) for x in (keys, values))
    scores = np.einsum("thd,khd->htk", q, keys) * case.scale
    if case.softcap:
        scores = np.tanh(scores / case.softcap) * case.softcap
    distance = case.positions[:, None] - np.arange(len(keys))
    visible = (distance >= 0) & (distance < (case.window or 1 << 30))
    scores = np.where(visible, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("htk,khd->thd", weights / weights.sum(-1, keepdims=True), values)


def in_pages(case: Case, inputs: Inputs, seed: int = 2) -> tuple[Any, Any, Any]:
    """Pools of keys and values, NaN where nothing is held, and a page table that is out of order."""
    held = len(inputs.keys)
    count = -(-held // PAGE)
    table = np.random.default_rng(seed).permutation(count + 1)[:count].astype(np.int32)
    keys = np.full((count + 1, case.kv_heads, PAGE, case.padded), np.nan, np.float16)
    values = np.full((count + 1, case.kv_heads, case.padded, PAGE), np.nan, np.float16)
    for position in range(held):
        page, slot = table[position // PAGE], position % PAGE
        keys[page, :, slot] = 0
        values[page, :, :, slot] = 0
        keys[page, :, slot, : case.head_dim] = inputs.keys[position]
        values[page, :, : case.head_dim, slot] = inputs.values[position]
    return keys, values, table


def attend(
    device: InterpretedDevice, kernel: Kernel, case: Case, inputs: Inputs, whole: bool = True
) -> tuple[Any, Any]:
    """acc ``[splits, T, heads, padded]`` and stats ``[splits, T, heads, 2]``, NaN where nothing was written.

    ``whole``: many queries take all keys as one split.
    """
    many, rows_of_block = "many" in kernel.name, 32 if "several" in kernel.name else 16
    splits = 1 if many and whole else int(case.positions[-1]) // case.split_keys + 1
    keys, values, table = in_pages(case, inputs)
    q = np.zeros((case.tokens, case.heads, case.padded), np.float16)
    q[..., : case.head_dim] = inputs.q
    acc = np.full((splits, case.tokens, case.heads, case.padded), np.nan, np.float32)
    stats = np.full((splits, case.tokens, case.heads, 2), np.nan, np.float32)
    arrays = (q, keys, values, table, case.positions, acc, stats)
    rows = case.tokens * case.group
    grid = (-(-rows // 64), case.kv_heads, splits) if many else (case.kv_heads, splits, -(-rows // rows_of_block))
    numbers = (case.tokens, case.heads, case.kv_heads, case.scale, case.softcap, case.window, case.split_keys)
    places = [device.allocate(array.nbytes) for array in arrays]
    try:
        for place, array in zip(places, arrays, strict=True):
            device.copy_in(place, array)
        device.launch(kernel, grid, 128, [*places[:5], *numbers, *places[5:]])
        device.copy_out(acc, places[5])
        device.copy_out(stats, places[6])
    finally:
        for place in places:
            device.free(place)
    return acc, stats


def used_splits(case: Case, position: int) -> range:
    first = max(0, position - case.window + 1) // case.split_keys if case.window else 0
    return range(first, position // case.split_keys + 1)


def merged(case: Case, acc: Any, stats: Any) -> Any:
    """``[T, heads, head_dim]``; what a query does not use must not have been written."""
    out = np.empty((case.tokens, case.heads, case.head_dim))
    for t, position in enumerate(case.positions):
        used = used_splits(case, int(position)) if len(acc) > 1 else range(1)
        for split in set(range(len(acc))) - set(used):
            assert np.isnan(acc[split, t]).all(), f"token {t}: split {split} was written"
            assert np.isnan(stats[split, t]).all(), f"token {t}: split {split} was written"
        part, (peak, total) = acc[list(used), t], np.moveaxis(stats[list(used), t].astype(np.float64), -1, 0)
        share = np.exp(peak - peak.max(0))
        out[t] = ((share[..., None] * part).sum(0) / (share * total).sum(0)[:, None])[:, : case.head_dim]
    return out


def check(device: InterpretedDevice, kernel: Kernel, case: Case) -> None:
    inputs = Inputs.random(case)
    acc, stats = attend(device, kernel, case, inputs)
    np.testing.assert_allclose(merged(case, acc, stats), expected(case, inputs), rtol=0, atol=ROUNDING)


@pytest.fixture(scope="module")
def device() -> Iterator[InterpretedDevice]:
    device = InterpretedDevice()
    yield device
    assert device.used == 0


@cache
def shipped(device: InterpretedDevice, name: str) -> Kernel:
    return _module(device, name).kernel(name)


@cache
def _module(device: InterpretedDevice, family: str) -> Module:
    return device.load((PTX / f"{family}.ptx").read_text(encoding="utf-8"))


FEW = [
    Case(64, 64, 1, 1, 1, 0),
    Case(64, 48, 2, 3, 2, 300),
    Case(64, 64, 1, 4, 3, 270, window=20),
    Case(64, 64, 1, 8, 8, 508, window=40, softcap=5.0),
    Case(64, 64, 2, 1, 17, 250),
    Case(96, 96, 1, 3, 6, 253, softcap=20.0),
    Case(96, 80, 1, 8, 4, 31),
    Case(128, 128, 1, 8, 7, 255),
    Case(128, 128, 2, 4, 1, 600, split_keys=512),
    Case(128, 128, 1, 1, 5, 700, window=300),
    Case(256, 256, 1, 4, 4, 260),
    Case(256, 256, 1, 2, 1, 40, window=8, softcap=30.0),
]


@pytest.mark.parametrize("case", FEW, ids=str)
def test_few(device: InterpretedDevice, case: Case) -> None:
    check(device, shipped(device, f"attend_few_d{case.padded}"), case)


SEVERAL = [
    Case(64, 64, 1, 8, 3, 270, window=20, softcap=8.0),
    Case(64, 48, 2, 3, 17, 250),
    Case(96, 96, 1, 4, 5, 510),
    Case(128, 128, 1, 8, 8, 252),
    Case(128, 128, 1, 1, 40, 30, window=24),
]


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_several(device: InterpretedDevice, case: Case) -> None:
    """The bits of ``few``, from half as many blocks."""
    inputs = Inputs.random(case)
    acc, stats = attend(device, shipped(device, f"attend_several_d{case.padded}"), case, inputs)
    np.testing.assert_allclose(merged(case, acc, stats), expected(case, inputs), rtol=0, atol=ROUNDING)
    few = attend(device, shipped(device, f"attend_few_d{case.padded}"), case, inputs)
    assert (acc.tobytes(), stats.tobytes()) == (few[0].tobytes(), few[1].tobytes())


MANY = [
    Case(64, 64, 1, 1, 1, 5),
    Case(64, 48, 2, 3, 17, 0),
    Case(64, 64, 1, 4, 40, 240, window=33, softcap=8.0),
    Case(96, 96, 1, 3, 17, 250, softcap=20.0),
    Case(128, 128, 1, 8, 9, 300),
    Case(128, 128, 1, 1, 40, 20, window=16),
    Case(256, 256, 1, 4, 17, 30),
    Case(256, 256, 2, 1, 8, 270, window=100, softcap=30.0),
]


@pytest.mark.parametrize("case", MANY, ids=str)
def test_many(device: InterpretedDevice, case: Case) -> None:
    check(device, shipped(device, f"attend_many_d{case.padded}"), case)


@pytest.mark.parametrize("case", [Case(64, 64, 1, 4, 20, 500), Case(64, 64, 1, 1, 17, 520, window=9)], ids=str)
def test_many_in_splits(device: InterpretedDevice, case: Case) -> None:
    inputs = Inputs.random(case)
    acc, stats = attend(device, shipped(device, "attend_many_d64"), case, inputs, whole=False)
    assert len(acc) == 3
    np.testing.assert_allclose(merged(case, acc, stats), expected(case, inputs), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("attend_few_d64", Case(64, 64, 1, 4, 8, 506, window=70)),
        ("attend_few_d128", Case(128, 128, 1, 3, 8, 250)),
        ("attend_many_d64", Case(64, 64, 1, 3, 8, 60, window=35)),
    ],
)
def test_a_token_alone_has_the_bits_it_has_among_eight(device: InterpretedDevice, name: str, case: Case) -> None:
    inputs = Inputs.random(case)
    kernel = shipped(device, name)
    acc, stats = attend(device, kernel, case, inputs)
    for t in (0, 3, 7):
        alone = replace(case, tokens=1, position=case.position + t)
        alone_acc, alone_stats = attend(device, kernel, alone, inputs.tokens(slice(t, t + 1)))
        used = list(used_splits(case, case.position + t)) if "few" in name else [0]
        assert alone_acc[used, 0].tobytes() == acc[used, t].tobytes()
        assert alone_stats[used, 0].tobytes() == stats[used, t].tobytes()


@pytest.mark.parametrize("name", ["attend_few_d64", "attend_several_d64", "attend_many_d64"])
def test_a_token_that_is_not_there_writes_nothing(device: InterpretedDevice, name: str) -> None:
    """Position −1 stands for a place in a batch that no token takes."""
    case = Case(64, 64, 1, 1, 2, 3)
    inputs = Inputs.random(case)
    absent = _Absent(*vars(case).values())
    acc, stats = attend(device, shipped(device, name), absent, inputs)
    assert np.isnan(acc[:, 0]).all()
    assert np.isnan(stats[:, 0]).all()
    np.testing.assert_allclose(merged(case, acc, stats)[1], expected(case, inputs)[1], rtol=0, atol=ROUNDING)


class _Absent(Case):
    @property
    def positions(self) -> Any:
        return np.array([-1, 4], np.int32)


def broken(device: InterpretedDevice, name: str, old: str, new: str) -> Kernel:
    """A kernel of sources in which ``old`` is ``new``."""
    if sys.platform != "linux":  # elsewhere there is no wheel of the compiler
        pytest.importorskip("nvidia.cuda_nvrtc")
    spec = importlib.util.spec_from_file_location("kernels_cuda_build", SOURCES / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    texts = {path.name: path.read_text(encoding="utf-8") for path in SOURCES.glob("*.cuh")}
    used = [text for file, text in texts.items() if file.startswith("attend")]
    assert sum(text.count(old) for text in used) == 1
    texts = {file: text.replace(old, new) for file, text in texts.items()}
    source = (SOURCES / f"{name}.cu").read_text(encoding="utf-8")
    return device.load(build.compile_source(source, headers=texts)).kernel(name)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (
            "attend_few_d64",
            "if (place >= static_cast<unsigned>(r.count))",
            "if (place > static_cast<unsigned>(r.count))",
        ),
        ("attend_few_d64", "position - window + 1 : 0", "position - window + 2 : 0"),
        ("attend_few_d64", "key == last ? 0xffffu : 0u", "key == last ? 0xffffffffu : 0u"),
        ("attend_few_d64", "arrive<RING - 2>();", "arrive<RING - 1>();"),
        ("attend_many_d64", "        __syncthreads();\n        const bool same", "        const bool same"),
    ],
    ids=["a key of the future", "a window too small", "memory never written", "read before it comes", "no barrier"],
)
def test_a_broken_kernel_is_caught(device: InterpretedDevice, name: str, old: str, new: str) -> None:
    kernel = broken(device, name, old, new)
    with pytest.raises((AssertionError, KernelFault)):
        check(device, kernel, Case(64, 64, 1, 4, 3, 40, window=20))


@pytest.mark.parametrize(("name", "rows"), [("attend_few_d128", 16), ("attend_many_d128", 64)])
def test_each_byte_of_the_cache_comes_once_in_whole_sectors(name: str, rows: int) -> None:
    device = InterpretedDevice(Checks(uninitialised=False, races=False, counters=True))
    case = Case(128, 128, 1, 8, rows // 8, 256 - rows // 8)
    check(device, shipped(device, name), case)
    copies = [t for (_, _, text), t in device.report.traffic.items() if text.startswith("cp.async")]
    assert sum(t.sectors for t in copies) * 32 == 2 * 256 * 128 * 2
    shared = [t for (_, _, text), t in device.report.traffic.items() if ".shared" in text and t not in copies]
    assert sum(t.wavefronts for t in shared) == sum(t.ideal for t in shared)
