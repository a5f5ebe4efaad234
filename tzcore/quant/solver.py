"""Codes and scales of one matrix from its weights and the second moment of its inputs.

The loss is the output error ``Σ E·H·Eᵀ``, ``E = W − Q``, ``H = XᵀX`` over calibration inputs.  With
``H = V·Vᵀ``, ``V`` upper triangular, it is ``Σ |E·V|²``, and the part of ``E·V`` in a group ``B`` of columns,
``E_B·V_BB + C_B`` with ``C_B = Σ E_P·V_PB`` over the groups before, depends on nothing behind it.  So groups are solved
in order, each against the weights ``W_B + C_B·V_BB⁻¹`` in the metric ``S = V_BB·V_BBᵀ``.  This is
GPTQ (Frantar et al. 2022), whose triangular factor of ``H⁻¹`` is ``V⁻¹``, in whole groups and without
inverting ``H``.  The native solver (``kernels/cpu/src/fit.rs``) minimises within a group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tzcore.errors import ConversionError
from tzcore.trits import Codes, Floats, Format, Halves, groups

if TYPE_CHECKING:
    import torch

STRIP = 512
"""Rows that are reversed at a time."""
_BAD_ARGUMENT, _NOT_FINITE = -1, -2


@dataclass(frozen=True)
class Effort:
    """How hard to try.  ``damping`` is a share of the Hessian's mean diagonal.

    ``trials`` scales are tried per row and group, the best ``starts`` of them polished by up to
    ``sweeps`` passes of coordinate descent.  ``correction`` is the share of the error met so far
    that a stage makes good.
    """

    damping: float = 0.05
    correction: float = 0.5
    trials: int = 12
    starts: int = 1
    sweeps: int = 8


def trial_scales(fmt: Format, count: int) -> Floats:
    """Scales to start from, relative to the largest magnitude of a group.

    From no clipping down to the range in which least-squares scales of bell-shaped groups lie;
    both signs where the range is asymmetric.
    """
    reach = max(-fmt.low, fmt.high)
    lowest = {1: 0.3, 2: 0.3}.get(reach, 0.9 if reach > 64 else 0.45)
    ratios = np.linspace(1.0, lowest, max(2, count))
    if fmt.low != -fmt.high:
        half = np.linspace(1.0, lowest, max(2, count // 2))
        ratios = np.concatenate([half, -half])
    return (ratios / reach).astype(np.float32)


def _library() -> tuple[Any, Any]:
    from tzcore.backend._native import ffi, lib

    return ffi, lib


def _check(status: int, name: str) -> None:
    if status == _NOT_FINITE:
        raise ConversionError(f"{name}: a weight group is not finite, or its scale is too large for half precision")
    if status:
        raise ConversionError(f"{name}: the solver refused its arguments ({status}); this is a bug, please report it")


def fit_group(
    weights: Floats, factor: Floats, metric: Floats, fmt: Format, effort: Effort, threads: int, name: str = "matrix"
) -> tuple[Codes, Halves]:
    """One group: ``weights`` ``[rows, n]`` → codes ``[rows, n]``, scales ``[rows]``; n ≤ 128.

    ``factor`` is ``V_BB⁻¹``, ``metric`` is ``S``; both ``[n, n]``.  ``weights`` may be
    a view into a wider C-ordered matrix.
    """
    ffi, lib = _library()
    rows, n = weights.shape
    if weights.dtype != np.float32 or weights.strides[1] != 4 or weights.strides[0] < 4 * n or weights.strides[0] % 4:
        raise ConversionError(f"{name}: the solver takes rows of contiguous float32")
    if factor.shape != (n, n) or metric.shape != (n, n):
        raise ConversionError(f"{name}: factor and metric must be {n} × {n}")
    factor, metric = (np.ascontiguousarray(m, np.float32) for m in (factor, metric))
    trials = trial_scales(fmt, effort.trials)
    codes, scales = np.empty((rows, n), np.int8), np.empty(rows, np.float16)
    status = lib.tz_fit_group(
        ffi.cast("float *", weights.ctypes.data), rows, weights.strides[0] // 4, n,
        ffi.from_buffer("float[]", factor), ffi.from_buffer("float[]", metric),
        ffi.from_buffer("float[]", trials), len(trials), fmt.low, fmt.high,
        min(effort.starts, len(trials)), effort.sweeps, threads,
        ffi.from_buffer("int8_t[]", codes, require_writable=True),
        ffi.from_buffer("uint16_t[]", scales, require_writable=True),
    )  # fmt: skip
    _check(status, name)
    return codes, scales


@dataclass(frozen=True)
class Factored:
    """A damped Hessian ``H`` and the upper triangular ``V`` with ``H = V·Vᵀ``, for a stage's matrices."""

    hessian: torch.Tensor
    factor: torch.Tensor


def factorise(hessian: torch.Tensor, damping: float, name: str = "matrix") -> Factored:
    """Damp ``XᵀX``, in place, and factor it.

    A column that no calibration input ever reached has a zero row in ``H``; damping alone then
    makes its weights round on their own.  Memory beside ``hessian``: three times its bytes, of
    which the factor is left.  Where the matrix is not positive definite in float64 the damping
    grows tenfold, at most four times.
    """
    import torch

    if not bool(torch.isfinite(hessian).all()):
        raise ConversionError(f"{name}: the activations of the calibration text are not finite")
    mean = float(hessian.diagonal().double().mean())
    if mean <= 0.0:
        mean = 1.0
    added = 0.0
    for attempt in range(5):
        wanted = damping * mean * 10.0**attempt
        hessian.diagonal().add_(wanted - added)
        added = wanted
        # The Cholesky factor of the reversed matrix, reversed, is upper triangular.
        # Columns lie together, as LAPACK wants them: it then works in place.
        work = _reversed(hessian, torch.float64).T
        failed = torch.empty((), dtype=torch.int32)
        torch.linalg.cholesky_ex(work, out=(work, failed))
        if int(failed) == 0:
            return Factored(hessian, _reversed(work.T, torch.float32).T)
        del work
    raise ConversionError(f"{name}: the Hessian of the calibration inputs cannot be factored")


def _reversed(matrix: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Rows and columns in reverse order, in another precision; without a third matrix on the way."""
    import torch

    out, size = torch.empty(matrix.shape, dtype=dtype), len(matrix)
    for start in range(0, size, STRIP):
        stop = min(start + STRIP, size)
        out[start:stop] = matrix[size - stop : size - start].flip(0, 1)
    return out


@dataclass(frozen=True)
class Problem:
    """What the matrices of a stage share: the metric, and what to do about the error of their inputs."""

    factored: Factored
    correction: torch.Tensor | None

    def target(self, weights: torch.Tensor) -> torch.Tensor:
        """The matrix to approximate in place of ``weights`` ``[rows, cols]``."""
        return weights if self.correction is None else weights + weights @ self.correction


def correction(factored: Factored, drift: torch.Tensor, share: float) -> torch.Tensor | None:
    """``share·(X̂ − X)ᵀX·H⁻¹``, ``[cols, cols]``, from ``drift = Xᵀ(X̂ − X)``; ``None`` where there is no drift.

    The inputs ``X`` of a stage are those of quantised predecessors, its outputs should be those of the
    original's inputs ``X̂``.  The matrix that comes nearest to that in the metric of ``X`` is
    ``W·X̂ᵀX·H⁻¹ = W + W·(X̂ − X)ᵀX·H⁻¹`` (asymmetric calibration: GPTAQ, Li et al. 2025).  A whole step
    follows the calibration text too closely; half of one was best on others.
    """
    import torch

    if share == 0 or not bool(drift.any()):
        return None
    # H⁻¹ = V⁻ᵀ·V⁻¹ with the triangular factor that is there already.
    found = torch.linalg.solve_triangular(factored.factor, drift, upper=True)
    torch.linalg.solve_triangular(factored.factor.T, found, upper=False, out=found)
    return found.T.mul_(share)


def solve(
    weights: torch.Tensor,
    factored: Factored,
    fmt: Format,
    group: int,
    effort: Effort,
    threads: int,
    name: str = "matrix",
) -> tuple[Codes, Halves]:
    """Codes ``[rows, cols]`` and scales ``[rows, groups]`` for ``weights`` ``[rows, cols]`` float32.

    Products are on the device of the weights; groups are solved on the CPU.
    """
    import torch

    rows, cols = weights.shape
    factor = factored.factor
    error = torch.empty(rows, cols)
    codes = np.empty((rows, cols), np.int8)
    scales = np.empty((rows, groups(cols, group)), np.float16)
    for index, start in enumerate(range(0, cols, group)):
        stop = min(start + group, cols)
        block = factor[start:stop, start:stop]
        inverse = torch.linalg.solve_triangular(block, torch.eye(stop - start), upper=True)
        target = weights[:, start:stop].clone()
        if start:
            target += error[:, :start] @ (factor[:start, start:stop] @ inverse)
        wanted, inverted, metric = (part.cpu().numpy() for part in (target, inverse, block @ block.T))
        found, steps = fit_group(wanted, inverted, metric, fmt, effort, threads, name)
        codes[:, start:stop], scales[:, index] = found, steps
        error[:, start:stop] = weights[:, start:stop] - dequantised(found, steps[:, None], group)
    return codes, scales


def dequantised(codes: Codes, scales: Halves, group: int) -> torch.Tensor:
    """``scale · code`` as a float32 tensor ``[rows, cols]``."""
    import torch

    from tzcore.trits import dequantise

    # A copy in torch's own memory: products may differ in the last bit with another alignment.
    return torch.tensor(dequantise(codes, scales, group))


def relative_error(weights: torch.Tensor, stored: torch.Tensor, hessian: torch.Tensor) -> float:
    """Share of the output's energy that is error: ``tr(E·H·Eᵀ) / tr(W·H·Wᵀ)``."""
    error = weights - stored
    noise = float(((error @ hessian) * error).double().sum())
    signal = float(((weights @ hessian) * weights).double().sum())
    return noise / signal if signal > 0 else 0.0
