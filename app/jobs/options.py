"""What a conversion can be told besides source and encoding, checked before it is queued."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from app.translation import tr

QUALITIES = ("high", "balanced", "small")
PACKINGS = ("slots", "base3")
_SIZE = re.compile(r"\d{1,9}(\.\d{1,6})?\s*(k|M|G|T)i?B", re.IGNORECASE)


@dataclass(frozen=True)
class Options:
    """``None`` and ``False`` leave the choice to the converter.

    At most one of ``bits`` (stored bits a weight), ``size`` (of the folder, ``"20GB"``), ``vram`` (a
    card's memory, with ``context`` tokens beside) and ``quality`` may be given, and then no encoding.
    ``discard_source`` keeps no weights that are fetched; ``out`` is a folder to write the model to
    instead of installing it; ``name`` installs it under another name.
    """

    bits: float | None = None
    size: str | None = None
    vram: str | None = None
    context: int | None = None
    quality: str | None = None
    discard_source: bool = False
    out: str | None = None
    name: str | None = None
    tune: bool | None = None

    def __post_init__(self) -> None:
        """ValueError says what is wrong."""
        budgets = [name for name in ("bits", "size", "vram", "quality") if getattr(self, name) is not None]
        if len(budgets) > 1:
            raise ValueError(tr("Bits, size, memory of a card and quality exclude one another."))
        if self.bits is not None and not (_is_number(self.bits) and 1 <= self.bits <= 16):
            raise ValueError(tr("The bits of a weight are a number from 1 to 16."))
        for value in (self.size, self.vram):
            if value is not None and not (isinstance(value, str) and _SIZE.fullmatch(value.strip())):
                raise ValueError(tr("{value} is no size: write a number and its unit, as in 20GB.").format(value=value))
        if self.quality is not None and self.quality not in QUALITIES:
            text = tr("{value} is none of the qualities high, balanced and small.")
            raise ValueError(text.format(value=self.quality))
        if self.context is not None and (self.vram is None or not _is_count(self.context)):
            raise ValueError(tr("A context is a number of tokens, and goes with the memory of a card."))
        if not isinstance(self.discard_source, bool) or not (self.tune is None or isinstance(self.tune, bool)):
            raise ValueError(tr("Keeping the source and tuning are yes or no."))
        for value in (self.out, self.name):
            if value is not None and (not isinstance(value, str) or not value.strip() or value.startswith("-")):
                raise ValueError(tr("A name or a folder is missing."))

    @property
    def budget(self) -> bool:
        """Whether formats are chosen for a budget, so that an encoding would contradict it."""
        return any(value is not None for value in (self.bits, self.size, self.vram, self.quality))

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Options:
        """From a mapping.  ValueError for what is unknown or wrong."""
        known = {field.name for field in fields(cls)}
        if unknown := set(given or ()) - known:
            raise ValueError(tr("{name} is no option of a conversion.").format(name=", ".join(sorted(unknown))))
        return cls(**(given or {}))

    @classmethod
    def read(cls, text: str) -> Options:
        """What :meth:`kept` wrote; options that a newer program wrote are left out."""
        try:
            value = json.loads(text or "{}")
            known = {field.name for field in fields(cls)}
            return cls.of({name: item for name, item in value.items() if name in known})
        except (ValueError, TypeError, AttributeError):
            return cls()

    def kept(self) -> str:
        """As JSON, without what is left to the converter."""
        usual = asdict(Options())
        return json.dumps({name: value for name, value in asdict(self).items() if value != usual[name]})

    def words(self) -> list[str]:
        """The arguments of ``tz convert``."""
        found: list[str] = []
        for name in ("bits", "size", "vram", "context", "quality", "out", "name"):
            if (value := getattr(self, name)) is not None:
                found += [f"--{name}", f"{value:g}" if name == "bits" else str(value).replace(" ", "")
                          if name in ("size", "vram") else str(value)]  # fmt: skip
        if self.discard_source:
            found.append("--discard-source")
        if self.tune is not None:
            found.append("--tune" if self.tune else "--no-tune")
        return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 30
