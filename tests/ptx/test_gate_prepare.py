"""Activation, product with up, transform and rounding, against NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import poisoned, ptx_of, run, split
from tzcore.backend.reference import _ACTIVATIONS, quantise_activations
from tzcore.hadamard import rotate

Floats = npt.NDArray[np.float32]
Written = tuple[npt.NDArray[np.int8], Floats, npt.NDArray[np.int32], Floats]
"""Codes, scales, sums, plain."""
NAMES = ("silu", "gelu_tanh", "relu2")


class Case:
    def __init__(
        self, T: int, K: int, S: int, activation: str, block: int = 0, group: int = 128, biases: bool = False,
        spread: float = 1,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(K + S)
        self.T, self.K, self.activation, self.block, self.group = T, K, activation, block or 1, group
        self.parts = (rng.standard_normal((S, T, 2 * K)) * spread).astype(np.float32)
        self.biases = rng.standard_normal((2, K)).astype(np.float32) if biases else None
        self.signs = rng.choice(np.array([-1, 1], np.int8), K) if block else None

    def call(self, mode: int, ptx: str | None = None) -> Written:
        T, K, padded = self.T, self.K, -(-self.K // 128) * 128
        codes = poisoned((T, padded), np.int8)
        factors = poisoned((T, padded // self.group, 2), np.float32)
        plain = poisoned((T, K), np.float32)
        gate, up = (None, None) if self.biases is None else self.biases
        grid = (-(-K // max(self.block, 512)), T, 1)
        run(
            "gate_prepare", grid, 512,
            self.parts, len(self.parts), gate, up, NAMES.index(self.activation), self.signs, self.block, mode,
            self.group, T, K, codes, factors, plain, ptx=ptx,
        )  # fmt: skip
        return codes, *split(factors), plain

    def reference(self) -> Floats:
        both = self.parts[0]
        for part in self.parts[1:]:
            both = both + part
        gate, up = both[:, : self.K], both[:, self.K :]
        if self.biases is not None:
            gate, up = gate + self.biases[0], up + self.biases[1]
        with np.errstate(over="ignore"):
            made = np.asarray(_ACTIVATIONS[self.activation](gate) * up, np.float32)
        return made if self.signs is None else rotate(made, self.signs, self.block)


CASES = {
    "silu": Case(1, 576, 1, "silu", block=64),
    "gelu, five parts": Case(3, 192, 5, "gelu_tanh", block=64, group=64),
    "relu2, biases, no transform": Case(3, 64, 2, "relu2", biases=True),
    "silu, biases, unfinished group": Case(3, 200, 3, "silu", block=8, group=64, biases=True),
    "three segments": Case(3, 1536, 2, "gelu_tanh", block=512),
    "two long segments": Case(1, 8192, 1, "silu", block=4096),
    "far out": Case(1, 128, 1, "gelu_tanh", spread=1e4),
    "farther": Case(1, 128, 1, "silu", spread=1e12),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_against_numpy(case: Case) -> None:
    expected = case.reference()
    plain = case.call(3)[3]
    np.testing.assert_allclose(plain, expected, rtol=2e-5, atol=2e-6 * np.abs(expected).max())
    row = np.zeros((case.T, -(-case.K // 128) * 128), np.float32)
    row[:, : case.K] = plain
    codes, scales, sums, untouched = case.call(0)
    expected_codes, expected_scales = quantise_activations(row, case.group)
    assert np.array_equal(codes, expected_codes)
    assert np.array_equal(scales, expected_scales)
    assert np.array_equal(sums, codes.reshape(case.T, -1, case.group).sum(-1, dtype=np.int32))
    assert np.isnan(untouched).all()


@pytest.mark.parametrize("activation", NAMES)
def test_activations_over_their_range(activation: str) -> None:
    """To float32's own rounding, from where they vanish to where they are the identity."""
    case = Case(1, 1024, 1, activation)
    gate = np.concatenate([np.linspace(-100, 100, 900), np.linspace(-1e-3, 1e-3, 122), [-3e38, 1e18]])
    case.parts[0, 0, :1024], case.parts[0, 0, 1024:] = gate, 1
    x = case.parts[0, 0, :1024].astype(np.float64)
    with np.errstate(over="ignore"):
        inner = x if activation == "silu" else np.sqrt(8 / np.pi) * (x + 0.044715 * x**3)
        exact = np.maximum(x, 0) ** 2 if activation == "relu2" else x / (1 + np.exp(-inner))
    plain = case.call(3)[3][0]
    np.testing.assert_allclose(plain, exact, rtol=2e-5, atol=1e-36)  # the exponent, up to 87, is itself rounded
    near = np.abs(x) < 1
    np.testing.assert_allclose(plain[near], exact[near], rtol=1e-6, atol=1e-36)


def test_one_token_gives_the_bits_that_it_gives_among_eight() -> None:
    case = Case(8, 640, 3, "silu", block=128, biases=True)
    for mode in (0, 3):
        together = case.call(mode)
        for t in (0, 7):
            alone = Case(1, 640, 3, "silu", block=128)
            alone.parts = np.ascontiguousarray(case.parts[:, t : t + 1])
            alone.biases, alone.signs = case.biases, case.signs
            for one, all_ in zip(alone.call(mode), together, strict=True):
                assert one[0].tobytes() == all_[t].tobytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [("ex2.approx", "// ex2.approx"), ("st.global.v2.u32", "// st.global.v2.u32"), ("bar.sync", "// bar.sync")],
    ids=["no exponential", "no codes", "no barriers"],
)
def test_a_wrong_kernel_is_caught(old: str, new: str) -> None:
    ptx = ptx_of("gate_prepare")
    assert old in ptx
    case = Case(1, 512, 1, "silu", block=256)

    def check(written: Written) -> None:
        assert np.abs(written[0] - quantise_activations(case.reference(), 128)[0].astype(int)).max() <= 1

    check(case.call(0))
    with pytest.raises((AssertionError, KernelFault)):
        check(case.call(0, ptx.replace(old, new)))
