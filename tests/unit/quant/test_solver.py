"""The native solver against exhaustive search, and the block solver against its own pieces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tzcore import trits
from tzcore.errors import ConversionError
from tzcore.quant import solver
from tzcore.quant.solver import Effort

UNIFORM = ("t1", "q2", "t2", "i4", "i8")


def problem(n: int, seed: int, rows: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, and ``U`` and ``S`` of a correlated Hessian."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((n, n)) + 2 * np.eye(n)
    inverse = np.linalg.inv(mixing @ mixing.T)
    upper = np.linalg.cholesky(inverse).T
    inverted = np.linalg.inv(upper)
    weights = rng.standard_normal((rows, n)).astype(np.float32)
    return weights, upper.astype(np.float32), (inverted @ inverted.T).astype(np.float32)


def losses(weights: np.ndarray, codes: np.ndarray, scales: np.ndarray, metric: np.ndarray) -> np.ndarray:
    error = weights.astype(np.float64) - scales.astype(np.float64)[:, None] * codes
    return np.einsum("ri,ij,rj->r", error, metric.astype(np.float64), error)


def best_losses(weights: np.ndarray, metric: np.ndarray, fmt: trits.Format) -> np.ndarray:
    """The least loss over every code vector, each with its exact scale."""
    levels = range(fmt.low, fmt.high + 1)
    codes = np.array(list(itertools.product(levels, repeat=weights.shape[1])), np.float64)
    s = metric.astype(np.float64)
    square = np.einsum("ci,ij,cj->c", codes, s, codes)
    found = []
    for w in weights.astype(np.float64):
        gain = np.divide((codes @ s @ w) ** 2, square, out=np.zeros_like(square), where=square > 0)
        found.append(w @ s @ w - gain.max())
    return np.array(found)


@pytest.mark.parametrize(("name", "n"), [("t1", 7), ("q2", 5), ("t2", 4)])
def test_close_to_exhaustive_search_and_never_below_it(name: str, n: int) -> None:
    fmt = trits.FORMATS[name]
    excess = []
    for seed in range(4):
        weights, factor, metric = problem(n, seed)
        codes, scales = solver.fit_group(weights, factor, metric, fmt, Effort(trials=24, starts=6), 1)
        assert codes.min() >= fmt.low
        assert codes.max() <= fmt.high
        found, best = losses(weights, codes, scales, metric), best_losses(weights, metric, fmt)
        # A scale in half precision costs up to (α/2048)²·tᵀSt: allow that much at most.
        energy = np.einsum("ri,ij,rj->r", weights, metric, weights)
        assert (found >= best - 1e-4 * energy).all()
        excess.append((found - best).sum() / energy.sum())
    assert np.mean(excess) < {"t1": 0.01, "q2": 0.01, "t2": 0.002}[name]  # descent ends in a local optimum


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize("n", [1, 3, 31, 64, 65, 128])
def test_better_than_rounding_and_than_no_descent(name: str, n: int) -> None:
    fmt = trits.FORMATS[name]
    weights, factor, metric = problem(n, n, rows=9)
    codes, scales = solver.fit_group(weights, factor, metric, fmt, Effort(), 2)
    assert codes.shape == (9, n)
    assert codes.dtype == np.int8
    assert scales.shape == (9,)
    plain, steps = trits.fit(weights, fmt, 128)
    ours = losses(weights, codes, scales, metric).sum()
    slack = 1e-6 * losses(weights, np.zeros_like(plain), steps[:, 0], metric).sum()  # what half precision loses
    assert ours <= losses(weights, plain, steps[:, 0], metric).sum() + slack
    sequential = solver.fit_group(weights, factor, metric, fmt, Effort(starts=1, sweeps=0), 2)
    assert ours <= losses(weights, *sequential, metric).sum() + slack


def test_same_bits_for_any_number_of_threads_and_any_company_of_rows() -> None:
    weights, factor, metric = problem(64, 5, rows=33)
    fmt = trits.FORMATS["t2"]
    codes, scales = solver.fit_group(weights, factor, metric, fmt, Effort(), 1)
    for threads in (2, 3, 7, 64):
        again = solver.fit_group(weights, factor, metric, fmt, Effort(), threads)
        assert np.array_equal(codes, again[0])
        assert np.array_equal(scales.view(np.uint16), again[1].view(np.uint16))
    alone = solver.fit_group(weights[20:21], factor, metric, fmt, Effort(), 1)
    assert np.array_equal(codes[20:21], alone[0])


def test_rows_may_lie_apart() -> None:
    weights, factor, metric = problem(32, 6, rows=5)
    wide = np.full((5, 77), np.nan, np.float32)
    wide[:, 40:72] = weights
    fmt = trits.FORMATS["q2"]
    expected = solver.fit_group(weights, factor, metric, fmt, Effort(), 1)
    found = solver.fit_group(wide[:, 40:72], factor, metric, fmt, Effort(), 1)
    assert np.array_equal(expected[0], found[0])


@pytest.mark.parametrize("name", UNIFORM)
def test_rows_of_zeros_and_of_next_to_nothing_have_scale_zero(name: str) -> None:
    weights, factor, metric = problem(64, 7, rows=4)
    weights[1] = 0
    weights[2] *= 1e-20
    codes, scales = solver.fit_group(weights, factor, metric, trits.FORMATS[name], Effort(), 1)
    assert not codes[1:3].any()
    assert not scales[1:3].any()
    assert codes[0].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_values_that_are_not_finite_name_the_matrix(bad: float) -> None:
    weights, factor, metric = problem(64, 8, rows=4)
    weights[3, 5] = bad
    with pytest.raises(ConversionError, match=r"the\.matrix"):
        solver.fit_group(weights, factor, metric, trits.FORMATS["t2"], Effort(), 2, "the.matrix")


def test_native_function_refuses_malformed_arguments() -> None:
    from tzcore.backend._native import ffi, lib

    weights = ffi.new("float[64]")
    unit = ffi.new("float[64]", [float(i % 9 == 0) for i in range(64)])
    codes, scales = ffi.new("int8_t[64]"), ffi.new("uint16_t[8]")
    good = [weights, 8, 8, 8, unit, unit, ffi.new("float[]", [0.5]), 1, -1, 1, 1, 1, 1, codes, scales]
    assert lib.tz_fit_group(*good) == 0
    wrong = dict.fromkeys((0, 4, 5, 6, 13, 14), ffi.NULL) | {1: 0, 2: 7, 3: 129, 7: 0, 8: -200, 9: 0, 10: 2}
    for place, value in wrong.items():
        arguments = list(good)
        arguments[place] = value
        assert lib.tz_fit_group(*arguments) == -1, place
    assert lib.tz_fit_group(*[*good[:4], ffi.new("float[64]"), *good[5:]]) == -2  # a factor with a zero diagonal


def calibrated(rows: int, cols: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(cols, cols, generator=generator) / cols**0.5 + torch.eye(cols)
    inputs = torch.randn(4 * cols, cols, generator=generator) @ mixing
    return torch.randn(rows, cols, generator=generator), inputs.T @ inputs


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize(("cols", "group"), [(192, 64), (256, 128), (100, 64)])
def test_output_error_is_far_below_rounding(name: str, cols: int, group: int) -> None:
    fmt = trits.FORMATS[name]
    weights, hessian = calibrated(24, cols, 1)
    factored = solver.factorise(hessian, 0.01)
    codes, scales = solver.solve(weights, factored, fmt, group, Effort(), 2)
    assert scales.shape == (24, trits.groups(cols, group))
    ours = solver.relative_error(weights, solver.dequantised(codes, scales, group), hessian)
    plain = solver.relative_error(weights, solver.dequantised(*trits.fit(weights.numpy(), fmt, group), group), hessian)
    assert ours < 0.8 * plain
    again = solver.solve(weights, factored, fmt, group, Effort(), 1)
    assert np.array_equal(codes, again[0])


def test_metric_of_a_group_is_the_loss_left_after_the_best_compensation() -> None:
    """With the first group's error fixed, the free columns can lower the loss to E·S·Eᵀ and no further."""
    _, hessian = calibrated(1, 96, 2)
    factored = solver.factorise(hessian, 0.05)
    h, v = factored.hessian.double().numpy(), factored.factor.double().numpy()
    assert not np.tril(v, -1).any()
    np.testing.assert_allclose(v @ v.T, h, rtol=1e-4, atol=1e-3 * h.max())
    error = np.random.default_rng(0).standard_normal(64)
    response = -np.linalg.solve(h[64:, 64:], h[64:, :64] @ error)
    whole = np.concatenate([error, response])
    block = v[:64, :64]
    assert np.isclose(whole @ h @ whole, error @ block @ block.T @ error, rtol=1e-4)
    # The target that the next group gets is the compensation itself.
    propagated = error @ v[:64, 64:] @ np.linalg.inv(v[64:, 64:])
    np.testing.assert_allclose(propagated, -response, rtol=1e-3, atol=1e-4)


def test_columns_that_no_input_reaches_are_rounded_on_their_own() -> None:
    weights, hessian = calibrated(8, 128, 3)
    hessian[64:, :] = 0
    hessian[:, 64:] = 0
    codes, scales = solver.solve(weights, solver.factorise(hessian, 0.05), trits.FORMATS["i8"], 64, Effort(), 1)
    stored = solver.dequantised(codes, scales, 64)
    assert (stored[:, 64:] - weights[:, 64:]).abs().max() < 0.02


def test_no_inputs_at_all_and_a_singular_hessian_still_factor() -> None:
    assert torch.isfinite(solver.factorise(torch.zeros(64, 64), 0.05).factor).all()
    row = torch.ones(1, 64)
    assert torch.isfinite(solver.factorise(row.T @ row * 1e6, 1e-9).factor).all()


def test_activations_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ConversionError, match="calibration text are not finite"):
        solver.factorise(torch.full((4, 4), torch.nan), 0.05)
