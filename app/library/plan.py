"""What ``tz plan SOURCE --options --json`` says, and the sums that two sliders ask for.  No Qt.

The child is asked once; every combination of a choice of quality and a context is an addition here.  Memory is the
main memory; what a choice takes of a graphics card, at the usual context, is :attr:`Option.card`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Items = tuple[tuple[str, int], ...]

PRECISIONS = ("f16", "k8v8", "k6v5", "k4v4")
"""Of keys and values, from exact to small: the first that fits is what the engine takes by itself."""


@dataclass(frozen=True)
class Quality:
    """The divergence from the original in nats a token, between ``low`` and ``high``; ``level`` is a word of
    :data:`app.library.plan_words.LEVELS`."""

    kl: float
    low: float
    high: float
    level: str
    measured: bool


@dataclass(frozen=True)
class Option:
    """One choice of quality and size.  ``encoding`` or ``bits`` is how the converter is asked; ``native`` takes the
    model's own weights.  ``None`` is not known (yet)."""

    key: str
    encoding: str
    bits: float | None
    native: bool
    bits_per_weight: float | None
    weights: int | None
    folder: int | None
    peak_disk: int | None
    discard_disk: int | None
    discard_passes: int
    conversion_seconds: float | None
    token_seconds: float | None
    first_token_seconds: float | None
    quality: Quality | None
    installed: str
    folder_name: str
    card: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ContextPoint:
    """A length of the context: bytes of keys and values, and seconds that a token takes more, by precision."""

    tokens: int
    kv: Mapping[str, int]
    token_seconds: Mapping[str, float]


@dataclass(frozen=True)
class Outcome:
    """A choice in numbers.  ``items`` are bytes of memory by name; ``free`` is what there is for their sum; ``longest``
    is the longest context of the table that fits, 0 for none."""

    items: Items
    need: int | None
    free: int
    fits: bool
    precision: str
    longest: int
    tokens_per_second: float | None
    first_token_seconds: float | None


@dataclass(frozen=True)
class Plan:
    """The whole table.  ``final`` says that times and speeds are in it."""

    id: str
    family: str
    supported: bool
    licence: str
    gated: bool
    parameters: int
    download: int | None
    source: int | None
    native: bool
    model_context: int
    options: tuple[Option, ...]
    contexts: tuple[ContextPoint, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)
    installed: tuple[Mapping[str, Any], ...] = ()
    final: bool = False

    @classmethod
    def read(cls, raw: Mapping[str, Any], final: bool) -> Plan:
        """KeyError, TypeError or ValueError where ``raw`` is something else."""
        return cls(
            id=str(raw["id"]),
            family=str(raw.get("family") or ""),
            supported=bool(raw["supported"]),
            licence=str(raw.get("licence") or ""),
            gated=bool(raw.get("gated")),
            parameters=int(raw.get("parameters") or 0),
            download=_whole(raw.get("download_bytes")),
            source=_whole(raw.get("source_bytes")),
            native=bool(raw.get("native")),
            model_context=int(raw.get("model_context") or 0),
            options=tuple(_option(row) for row in raw["options"]),
            contexts=tuple(
                ContextPoint(int(row["tokens"]), row["kv"], row.get("token_seconds") or {})
                for row in raw["context_points"]
            ),
            machine=raw["machine"],
            installed=tuple(raw.get("installed_models") or ()),
            final=final,
        )

    @property
    def here(self) -> int | None:
        """Bytes of the source that lie on this machine already."""
        if self.source is None or self.download is None:
            return None
        return max(0, self.source - self.download)

    @property
    def free(self) -> int:
        """Bytes of main memory that a model may take now."""
        return max(0, int(self.machine["memory_available"]) - int(self.machine["reserve_bytes"]))

    def usual_option(self, wanted: str) -> int:
        """The position to begin with: ``wanted`` where there is such a choice, else two trit planes, else the last."""
        keys = [option.key for option in self.options]
        return next((keys.index(key) for key in (wanted, "t2") if key in keys), max(0, len(keys) - 1))

    def usual_context(self) -> int:
        """The position of the context that a chat gets by itself: 8,192 tokens, or the model's most."""
        fitting = [number for number, point in enumerate(self.contexts) if point.tokens <= 8192]
        return fitting[-1] if fitting else 0

    def outcome(self, option: int, context: int, freed: int = 0) -> Outcome:
        """What the choices at these positions take and give, with ``freed`` bytes more than are free now."""
        chosen = self.options[option]
        free = self.free + freed
        weights = chosen.weights
        if weights is None or not self.contexts:
            fits = weights is None or weights <= free
            alone: Items = () if weights is None else (("weights", weights),)
            return Outcome(alone, weights, free, fits, "", 0, _inverse(chosen.token_seconds), None)
        point = self.contexts[context]
        beside = int(self.machine.get("workspace_bytes") or 0) + max(0, int(self.machine.get("excess_bytes") or 0))

        def need(at: ContextPoint, precision: str, weights: int = weights) -> int:
            return weights + at.kv[precision] + beside

        precision = next((name for name in PRECISIONS if need(point, name) <= free), PRECISIONS[-1])
        longest = max((at.tokens for at in self.contexts if need(at, PRECISIONS[-1]) <= free), default=0)
        total = need(point, precision)
        items: Items = (("weights", weights), ("context", point.kv[precision]), ("workspace", beside))
        seconds = chosen.token_seconds
        if seconds is not None:
            seconds += float(point.token_seconds.get(precision) or 0.0)
        speed = _inverse(seconds)
        return Outcome(items, total, free, total <= free, precision, longest, speed, chosen.first_token_seconds)


def _inverse(seconds: float | None) -> float | None:
    return 1 / seconds if seconds else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _option(row: Mapping[str, Any]) -> Option:
    quality = row.get("quality")
    return Option(
        key=str(row["key"]),
        encoding=str(row.get("encoding") or ""),
        bits=_number(row.get("bits")),
        native=bool(row.get("native")),
        bits_per_weight=_number(row.get("bits_per_weight")),
        weights=_whole(row.get("weights_bytes")),
        folder=_whole(row.get("folder_bytes")),
        peak_disk=_whole(row.get("peak_disk_bytes")),
        discard_disk=_whole(row.get("discard_disk_bytes")),
        discard_passes=int(row.get("discard_passes") or 1),
        conversion_seconds=_number(row.get("conversion_seconds")),
        token_seconds=_number(row.get("token_seconds")),
        first_token_seconds=_number(row.get("first_token_seconds")),
        quality=None if quality is None else Quality(
            float(quality["kl"]), float(quality["low"]), float(quality["high"]), str(quality["level"]),
            bool(quality["measured"]),
        ),
        installed=str(row.get("installed") or ""),
        folder_name=str(row.get("folder_name") or ""),
        card=row.get("card"),
    )
