"""How long each phase of a conversion will take, for the window's progress: from metadata and a probe."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tzcore.cli.pipeline import Order

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.quant.settings import Settings

DOWNLOAD = 10e6
"""Bytes a second that a download is taken for until it is under way."""
_PROBE = 0.6
_READING = 60_000.0
"""Tokens of calibration text cut into windows a second."""


def of_source(text: str, order: Order) -> dict[str, float]:
    """Seconds by phase; empty where nothing is known.  What is wrong with the source, its opening will say; a
    NetworkError is raised at once, since another try would take as long again."""
    from tzcore.cli.plan import shape_of
    from tzcore.errors import NetworkError, TernaryZeroError
    from tzcore.hub import reference, sources
    from tzcore.quant.settings import Settings

    try:
        info = sources.describe(reference.parse(text))
        spec = shape_of(info.config) if info.config else None
        fetch = 0.0 if order.discard else (info.download_bytes or 0) / DOWNLOAD
        if spec is None or not info.supported:
            return {}
        native = info.ternary and order.budget is None and order.encoding is None
        settings = Settings.default_for(spec, order.encoding, order.packing, order.calibration, order.tune)
        settings = settings.with_window(spec.max_context)
        if order.budget is not None:
            settings = replace(settings, request=order.budget.request(spec))
        found = {"convert": max(1.0, _bytes(spec) / 100e6)} if native else of_settings(spec, settings, order.samples)
    except NetworkError:
        raise
    except (TernaryZeroError, OSError):
        return {}
    return {"resolve": 1.0, "download": fetch, **found}


def of_settings(spec: ModelSpec, settings: Settings, samples: bool) -> dict[str, float]:
    """Seconds by phase of the conversion itself; empty where torch is missing."""
    from tzcore.errors import MissingExtraError
    from tzcore.quant import probe

    try:
        rates = probe.measure(spec.hidden, settings, _PROBE)
    except MissingExtraError:
        return {}
    found = probe.phases(spec, settings, rates)
    if settings.calibrates:
        found["calibrate"] = 1.0 + settings.tokens / _READING
    if samples:
        found["answer"] = 5.0 + min(30.0, _bytes(spec) / 20e6)
    return found


def _bytes(spec: ModelSpec) -> int:
    return 2 * sum(rows * cols for rows, cols in spec.matrices().values())
