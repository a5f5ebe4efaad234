"""The lines of the library's lists."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.library.fit import Fit


@dataclass(frozen=True)
class InstalledEntry:
    """A model that is there.  ``bytes`` on disk."""

    id: str
    path: Path
    source: str
    encoding: str
    bytes: int
    fit: Fit


@dataclass(frozen=True)
class CatalogueEntry:
    """A model that the program recommends.  ``parameters`` and ``download_bytes`` are approximate; ``encoding``
    is the one that new models get (a setting), and ``result_bytes`` about what it takes then.  ``context`` in
    tokens.  ``gated``: its licence must be accepted on the hub first.  ``installed`` is the id of an installed
    conversion, else ``""``."""

    source: str
    name: str
    description: str
    family: str
    parameters: int
    download_bytes: int
    result_bytes: int
    licence: str
    gated: bool
    context: int
    encoding: str
    fit: Fit
    installed: str = ""
    native: bool = False
    kinds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    """What it is not made for: ``chat``."""


@dataclass(frozen=True)
class HubEntry:
    """A model found on the hub.  ``parameters`` is 0 where the hub does not say.  ``reason`` says why one that
    is not ``supported`` cannot be converted."""

    source: str
    downloads: int
    likes: int
    parameters: int
    family: str
    licence: str
    gated: bool
    supported: bool
    reason: str
    fit: Fit
    native: bool = False


@dataclass(frozen=True)
class ModelFolder:
    """A folder in which models lie; ``why`` says why one that is not ``available`` cannot be reached."""

    path: Path
    available: bool
    why: str
    free: int | None
