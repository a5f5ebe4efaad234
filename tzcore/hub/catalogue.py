"""The shipped list of well-known models: what the library view shows before any search."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from typing import Any

from tzcore import paths
from tzcore.errors import SourceError


@dataclass(frozen=True)
class CatalogueEntry:
    """One model.  ``parameters`` and ``download_bytes`` are approximate: the exact figures come
    from :func:`tzcore.hub.sources.describe`.  ``gated``: its licence must be accepted first.  ``kinds`` are machines
    it is right for, ``native`` says that it was trained with ternary weights, ``lacks`` what it is not made for
    (``chat``), and ``config`` is its shape where nothing else tells it before it is fetched."""

    id: str
    name: str
    family: str
    parameters: int
    download_bytes: int
    licence: str
    gated: bool
    context: int
    about: str
    kinds: tuple[str, ...] = ()
    native: bool = False
    lacks: tuple[str, ...] = ()
    config: dict[str, Any] | None = None


@cache
def load() -> tuple[CatalogueEntry, ...]:
    """All entries, smallest first.  A damaged file is a SourceError naming it."""
    path = paths.resources() / "catalogue.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        entries = [CatalogueEntry(**entry) for entry in raw["models"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(f"the model catalogue {path} is damaged ({error}); reinstall the program") from None
    return tuple(sorted(entries, key=lambda entry: entry.parameters))


def find(source_id: str) -> CatalogueEntry | None:
    """The entry with this id, if there is one."""
    return next((entry for entry in load() if entry.id == source_id), None)


def nearest(wrong: str, among: Iterable[str] | None = None, count: int = 2) -> list[str]:
    """Catalogue ids that look like ``wrong``, the likeliest first; empty where none is close."""
    ids = list(among) if among is not None else [entry.id for entry in load()]

    def likeness(candidate: str) -> float:
        typed, known = wrong.lower(), candidate.lower()
        contained = 0.8 if len(typed) >= 4 and typed in known else 0.0
        whole = SequenceMatcher(None, typed, known).ratio()
        name = SequenceMatcher(None, typed.split("/")[-1], known.split("/")[-1]).ratio()
        return max(contained, whole, name)

    ranked = sorted(ids, key=likeness, reverse=True)
    return [candidate for candidate in ranked[:count] if likeness(candidate) >= 0.75]
