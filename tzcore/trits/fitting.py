"""Codes and scales of least squared error for given weights, and back to weights."""

from __future__ import annotations

import numpy as np

from tzcore.errors import ConversionError
from tzcore.trits.formats import Codes, Floats, Format, Halves, groups


def _grouped(weights: Floats, group: int) -> Floats:
    """``[rows, groups, group]``; a short last group is filled up with zeros."""
    rows, cols = weights.shape
    full = groups(cols, group) * group
    if full != cols:
        weights = np.concatenate([weights, np.zeros((rows, full - cols), np.float32)], axis=1)
    return weights.reshape(rows, -1, group)


def _as_scale(scale: Floats) -> Halves:
    with np.errstate(over="ignore"):
        half = scale.astype(np.float16)
    if not np.isfinite(half).all():
        raise ConversionError("a weight group is not finite, or its scale is too large for half precision")
    return half


def fit(weights: Floats, fmt: Format, group: int) -> tuple[Codes, Halves]:
    """Codes ``[rows, cols]`` and scales ``[rows, groups]`` of least squared error, data-free.

    Ternary is exact: for the best scale the codes keep the ``k`` largest magnitudes, and the
    error falls by (Σ of the top k)²/k, so sorting finds the optimum (Li & Liu, *Ternary Weight
    Networks*, 2016, equation 4, without its approximation).  The other formats search the
    scale over 32 clipping ratios, then refit it by least squares.
    """
    if not np.isfinite(weights).all():
        raise ConversionError("a weight is not finite")
    grouped = _grouped(np.asarray(weights, np.float32), group)
    scale = _ternary_scale(grouped) if fmt.levels == 3 else _searched_scale(grouped, fmt)
    half = _as_scale(scale)
    return _round_to(grouped, half, fmt, weights.shape[1]), half


def _round_to(grouped: Floats, scale: Halves, fmt: Format, cols: int) -> Codes:
    step = scale.astype(np.float32)[..., None]
    ratio = np.divide(grouped, step, out=np.zeros_like(grouped), where=step != 0)
    codes = np.clip(np.rint(ratio), fmt.low, fmt.high).astype(np.int8)
    return np.ascontiguousarray(codes.reshape(len(grouped), -1)[:, :cols])


def _ternary_scale(grouped: Floats) -> Floats:
    magnitude = -np.sort(-np.abs(grouped), axis=-1)
    total = np.cumsum(magnitude, axis=-1, dtype=np.float64)
    count = np.arange(1, grouped.shape[-1] + 1)
    best = np.argmax(total * total / count, axis=-1)[..., None]
    return (np.take_along_axis(total, best, -1) / (best + 1))[..., 0].astype(np.float32)


def _searched_scale(grouped: Floats, fmt: Format) -> Floats:
    """The scale of least error; negative where an asymmetric range serves better flipped."""
    peak = np.abs(grouped).max(axis=-1)
    reach = max(-fmt.low, fmt.high)
    signs = (1.0,) if fmt.low == -fmt.high else (1.0, -1.0)
    ratios = [1.0] if reach > 64 else np.linspace(1.0, 0.25 if reach < 3 else 0.4, 32)
    best_scale = np.zeros_like(peak)
    best_gain = np.full_like(peak, -np.inf)
    for sign in signs:
        for ratio in ratios:
            step = (sign * ratio / reach) * peak[..., None]
            raw = np.divide(grouped, step, out=np.zeros_like(grouped), where=step != 0)
            codes = np.clip(np.rint(raw), fmt.low, fmt.high)
            dot, square = (grouped * codes).sum(-1), (codes * codes).sum(-1)
            gain = np.divide(dot * dot, square, out=np.zeros_like(dot), where=square > 0)
            refit = np.divide(dot, square, out=np.zeros_like(dot), where=square > 0)
            better = gain > best_gain
            best_gain = np.where(better, gain, best_gain)
            best_scale = np.where(better, refit, best_scale)
    return best_scale


def dequantise(codes: Codes, scales: Halves, group: int) -> Floats:
    """``scale · code`` as float32 ``[rows, cols]``."""
    wide = np.repeat(scales.astype(np.float32), group, axis=1)[:, : codes.shape[1]]
    return codes.astype(np.float32) * wide
