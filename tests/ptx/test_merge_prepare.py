"""The splits of the keys merged, against NumPy and against attention over all keys at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import poisoned, ptx_of, run, split
from tzcore.backend.reference import quantise_activations
from tzcore.hadamard import hadamard, rotate

Floats = npt.NDArray[np.float32]
Written = tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.int32], Floats]
"""Codes, scales, sums, plain."""
SPLIT = 256


class Case:
    """Queries at ``positions``; what no split of theirs holds is NaN."""

    def __init__(
        self, positions: list[int], heads: int, head_dim: int, Dp: int, splits: int, window: int = 0, block: int = 0,
        group: int = 128, single: bool = False, turned: int = 1,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(heads * head_dim + splits)
        self.positions = np.array(positions, np.int32)
        self.T, self.heads, self.head_dim, self.Dp, self.window = len(positions), heads, head_dim, Dp, window
        self.block, self.group, self.single, self.turned = block or 1, group, single, turned
        self.K = heads * head_dim
        self.signs = rng.choice(np.array([-1, 1], np.int8), self.K) if block else None
        self.acc = np.full((splits, self.T, heads, Dp), np.nan, np.float32)
        self.stats = np.full((splits, self.T, heads, 2), np.nan, np.float32)
        for t in range(self.T):
            for s in self.own(t):
                self.acc[s, t, :, :head_dim] = rng.standard_normal((heads, head_dim)) * 30
                self.acc[s, t, :, head_dim:] = 0
                self.stats[s, t, :, 0] = rng.standard_normal(heads) * 8
                self.stats[s, t, :, 1] = rng.uniform(1, 40, heads)

    def own(self, t: int) -> range:
        p = int(self.positions[t])
        first = max(0, p - self.window + 1) // SPLIT if self.window else 0
        return range(1) if self.single else range(first, p // SPLIT + 1)

    def reference(self) -> Floats:
        out = np.empty((self.T, self.heads, self.head_dim), np.float64)
        for t in range(self.T):
            own = list(self.own(t))
            largest, sums = self.stats[own, t, :, 0].astype(np.float64), self.stats[own, t, :, 1].astype(np.float64)
            weights = np.exp(largest - largest.max(0))
            mixed = (weights[..., None] * self.acc[own, t, :, : self.head_dim]).sum(0)
            out[t] = mixed / (weights * sums).sum(0)[:, None]
        made = hadamard(out, self.turned).reshape(self.T, -1).astype(np.float32)
        return made if self.signs is None else rotate(made, self.signs, self.block)

    def call(self, mode: int, ptx: str | None = None) -> Written:
        padded = -(-self.K // 128) * 128
        codes, plain = poisoned((self.T, padded), np.int8), poisoned((self.T, self.K), np.float32)
        factors = poisoned((self.T, padded // self.group, 2), np.float32)
        run(
            "merge_prepare", (-(-self.K // max(self.block, 512)), self.T, 1), 512,
            self.acc, self.stats, len(self.acc), int(self.single), self.positions, SPLIT, self.window, self.heads,
            self.head_dim, self.Dp, self.turned, self.signs, self.block, mode, self.group, self.T, codes, factors,
            plain, ptx=ptx,
        )  # fmt: skip
        return codes, *split(factors), plain


CASES = {
    "one split": Case([0, 255], 9, 64, 64, 1, block=64),
    "five splits": Case([1279, 1024, 300], 3, 64, 64, 5, block=64, group=64),
    "a window": Case([1279, 768, 511], 4, 48, 64, 5, window=300),
    "padded heads": Case([600], 12, 80, 96, 3, block=64),
    "single": Case([900, 901, 902], 6, 256, 256, 1, block=512, single=True),
    "wide": Case([700], 64, 128, 128, 3, block=4096),
    "turned heads": Case([600], 5, 80, 96, 3, block=16, turned=16),
    "turned heads, nothing else": Case([3, 300], 4, 256, 256, 2, turned=256),
    "turned heads, wide": Case([700], 64, 128, 128, 3, block=4096, turned=128),
    "tiny": Case([3, 4, 5], 2, 32, 64, 2, group=64),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_numpy(case: Case) -> None:
    expected = case.reference()
    plain = case.call(3)[3]
    np.testing.assert_allclose(plain, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())
    row = np.zeros((case.T, -(-case.K // 128) * 128), np.float32)
    row[:, : case.K] = plain
    codes, scales, sums, untouched = case.call(0)
    expected_codes, expected_scales = quantise_activations(row, case.group)
    assert np.array_equal(codes, expected_codes)
    assert np.array_equal(scales, expected_scales)
    assert np.array_equal(sums, codes.reshape(case.T, -1, case.group).sum(-1, dtype=np.int32))
    assert np.isnan(untouched).all()


def test_splits_make_up_attention_over_all_keys() -> None:
    rng = np.random.default_rng(5)
    scores, values = rng.standard_normal((2, 700)) * 5, rng.standard_normal((2, 700, 64))
    case = Case([699], 2, 64, 64, 3)
    for s in range(3):
        part = slice(SPLIT * s, SPLIT * (s + 1))
        largest = scores[:, part].max(-1)
        weights = np.exp(scores[:, part] - largest[:, None])
        case.stats[s, 0, :, 0], case.stats[s, 0, :, 1] = largest, weights.sum(-1)
        case.acc[s, 0] = np.einsum("hk,hkd->hd", weights, values[:, part])
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    whole = np.einsum("hk,hkd->hd", shares, values).reshape(1, -1)
    np.testing.assert_allclose(case.call(3)[3], whole, rtol=1e-5, atol=1e-5)


def test_one_token_gives_the_bits_that_it_gives_among_eight() -> None:
    case = Case([700, 701, 702, 703, 704, 705, 706, 1023], 4, 64, 64, 4, block=256)
    for mode in (0, 3):
        together = case.call(mode)
        for t in (0, 7):
            alone = Case([int(case.positions[t])], 4, 64, 64, 4, block=256)
            alone.acc, alone.stats = (np.ascontiguousarray(a[:, t : t + 1]) for a in (case.acc, case.stats))
            alone.signs = case.signs
            for one, all_ in zip(alone.call(mode), together, strict=True):
                assert one[0].tobytes() == all_[t].tobytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [("max.f32", "min.f32"), ("div.s32", "rem.s32"), ("bar.sync", "// bar.sync")],
    ids=["smallest for largest", "another split", "no barriers"],
)
def test_a_wrong_kernel_is_caught(old: str, new: str) -> None:
    ptx = ptx_of("merge_prepare")
    assert old in ptx
    case = Case([700], 4, 128, 128, 3, block=256)
    case.stats[2, ..., 0] += 200

    def check(written: Written) -> None:
        assert np.abs(written[0] - quantise_activations(case.reference(), 128)[0].astype(int)).max() <= 1

    check(case.call(0))
    with pytest.raises((AssertionError, KernelFault)):
        check(case.call(0, ptx.replace(old, new)))
