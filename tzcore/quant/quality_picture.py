"""The picture of an evaluation: what models lose against what they weigh."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tzcore.errors import MissingExtraError, RequestError, StorageError

SUFFIXES = (".svg", ".png", ".pdf")
LEAST = 1e-6
"""The smallest loss drawn: half precision loses less, and a logarithm has no zero."""


@dataclass(frozen=True)
class Point:
    """A model: ``size`` in the series' unit, ``loss``, and a short name."""

    size: float
    loss: float
    label: str


@dataclass(frozen=True)
class Series:
    """Models to be seen as a line, by size."""

    name: str
    points: tuple[Point, ...]


def check(path: Path) -> None:
    """Say what is wrong with drawing to ``path`` before anything is measured for it.

    RequestError for an unknown ending, MissingExtraError where matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise RequestError(f"a picture ends in {', '.join(SUFFIXES)}, not {path.name!r}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError('drawing needs matplotlib: pip install "ternary-zero[plots]"')


def draw(path: Path, series: Sequence[Series], size: str, loss: str) -> None:
    """Write the picture; ``size`` and ``loss`` name the axes, both logarithmic.

    No window is opened and no state of matplotlib's is touched.  StorageError where ``path`` cannot
    be written; otherwise as in :func:`check`.
    """
    check(path)
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=(7.5, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot(xscale="log", yscale="log", xlabel=size, ylabel=loss)
    for one in series:
        points = sorted(one.points, key=lambda point: point.size)
        losses = [max(point.loss, LEAST) for point in points]
        axes.plot([point.size for point in points], losses, marker="o", markersize=5, linewidth=1, label=one.name)
        for at, (point, y) in enumerate(zip(points, losses, strict=True)):
            side, where = (-5, ("right", "top")) if at % 2 else (5, ("left", "bottom"))  # neighbours' do not meet
            axes.annotate(
                point.label, (point.size, y), xytext=(side, side), textcoords="offset points",
                ha=where[0], va=where[1], fontsize=8,
            )  # fmt: skip
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    axes.margins(0.1)
    if len(series) > 1:
        axes.legend()
    try:
        figure.savefig(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
