"""Rows of the stored embedding, decoded, against the folder's own reading of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import poisoned, ptx_of, run
from tzcore import trits
from tzcore.hadamard import unrotate

Floats = npt.NDArray[np.float32]
ROWS = 50


class Case:
    def __init__(self, name: str, K: int, group: int = 128, block: int = 0, factor: float = 1.0) -> None:
        rng = np.random.default_rng(K + group)
        self.fmt, self.K, self.group, self.factor = trits.format_named(name), K, group, factor
        self.signs = rng.choice(np.array([-1, 1], np.int8), K) if block else None
        self.block = block or 1
        self.places: npt.NDArray[np.uint32] | None = None
        self.scales: npt.NDArray[np.float16] | None = None
        if name == "f16":
            self.group = 0
            self.rows = rng.standard_normal((ROWS, K)).astype(np.float16).astype(np.float32)
            self.codes = trits.pack_half(self.rows).view(np.uint8)
            return
        codes = rng.integers(self.fmt.low, self.fmt.high + 1, (ROWS, K)).astype(np.int8)
        scales = rng.standard_normal((ROWS, trits.groups(K, group))).astype(np.float16)
        self.rows = trits.dequantise(codes, scales, group)
        self.codes, self.scales = trits.pack(codes, self.fmt), trits.pack_scales(scales)
        self.places = trits.places(self.fmt, K)

    @property
    def kind(self) -> int:
        if self.fmt.packing == "base3":
            return 3 if self.fmt.levels == 3 else 4
        return {"slots2": 0, "slots4": 1, "slots8": 2, "half": 5}[self.fmt.packing]

    def call(self, tokens: list[int], ptx: str | None = None) -> Floats:
        x = poisoned((len(tokens), self.K), np.float32)
        run(
            "embed", (-(-self.K // 4096), len(tokens), 1), 256,
            self.codes, self.scales, self.places, self.signs, self.block, self.kind, self.fmt.zero, self.K,
            trits.tile_bytes(self.fmt, self.K), trits.groups(self.K, self.group) if self.group else 0, self.group,
            self.factor, np.array(tokens, np.int32), x, ptx=ptx,
        )  # fmt: skip
        return x

    def reference(self, tokens: list[int]) -> Floats:
        found = self.rows[tokens]
        plain = found if self.signs is None else unrotate(found, self.signs, self.block)
        return plain * np.float32(self.factor)


@pytest.mark.parametrize("name", list(trits.FORMATS))
@pytest.mark.parametrize(("K", "block", "group"), [(576, 64, 64), (70, 2, 128), (200, 8, 64), (1536, 512, 128)])
def test_every_format(name: str, K: int, block: int, group: int) -> None:
    """To the bit: a scale times a code, and the reference's own transform."""
    case = Case(name, K, group, block, factor=0.25)
    tokens = [0, 17, ROWS - 1]
    assert np.array_equal(case.call(tokens), case.reference(tokens))


@pytest.mark.parametrize("name", ["t1b3", "t2b3", "i8", "f16"])
def test_rows_of_several_segments(name: str) -> None:
    """4096 columns a block, where runs of base-3 words go on across the boundary."""
    case = Case(name, 8192 + 64, 128, 64, factor=13.5)
    assert np.array_equal(case.call([33]), case.reference([33]))


def test_the_longest_transform() -> None:
    case = Case("i4", 4096, 128, 4096)
    assert np.array_equal(case.call([5]), case.reference([5]))


def test_a_token_that_is_none_is_not_a_number() -> None:
    case = Case("i4", 192)
    out = case.call([3, -1])
    assert np.array_equal(out[0], case.reference([3])[0])
    assert np.isnan(out[1]).all()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("t1b3", "and.b32", "or.b32"), ("i4", "shr.u32", "shl.b32"), ("i8", "bar.sync", "// bar.sync")],
    ids=["wrong mask", "wrong shift", "no barriers"],
)
def test_a_wrong_kernel_is_caught(name: str, old: str, new: str) -> None:
    ptx = ptx_of("embed")
    assert old in ptx
    case = Case(name, 576, 64, 64)
    with pytest.raises((AssertionError, KernelFault)):
        assert np.array_equal(case.call([7], ptx.replace(old, new)), case.reference([7]))
