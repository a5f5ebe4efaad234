"""What can be run and what could be: installed models, the shipped catalogue, the hub's search.

Installed models and hub search come from ``tz list --json`` and ``tz search --json`` children, so that
the window imports neither the hub nor its HTTP stack; the catalogue is read as data.  Each
entry says whether it fits this machine, in a sentence with the numbers in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal


@dataclass(frozen=True)
class Fit:
    """Whether a model runs in this machine's memory, and the sentence that says so with numbers."""

    ok: bool
    sentence: str


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
    """A model that the program recommends.  ``download_bytes`` and ``ram_bytes`` are 0 where not known.
    ``installed`` is the id of an installed conversion, else ``""``."""

    source: str
    name: str
    description: str
    family: str
    parameters: int
    download_bytes: int
    result_bytes: int
    licence: str
    encoding: str
    fit: Fit
    installed: str = ""


@dataclass(frozen=True)
class HubEntry:
    """A model found on the hub.  ``parameters`` is 0 where the hub does not say."""

    source: str
    downloads: int
    likes: int
    parameters: int
    family: str
    licence: str
    gated: bool
    updated: str
    supported: bool
    reason: str
    fit: Fit


class Library(QObject):
    """The lists, refreshed in the background."""

    changed = Signal()
    """:meth:`installed` or :meth:`catalogue` may give something else now."""
    search_finished = Signal(list)
    """``list[HubEntry]`` for the query asked for last."""
    failed = Signal(str)
    """A listing, search or removal failed; one line for the user."""

    def __init__(self, catalogue: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        raise NotImplementedError

    @property
    def loaded(self) -> bool:
        """The list of installed models has been read at least once."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Read the list of installed models again; ``changed`` follows."""
        raise NotImplementedError

    def installed(self) -> list[InstalledEntry]:
        raise NotImplementedError

    def catalogue(self) -> list[CatalogueEntry]:
        raise NotImplementedError

    def search(self, query: str) -> None:
        """Search the hub; ``search_finished`` or ``failed`` follows.  A newer search replaces it."""
        raise NotImplementedError

    def remove(self, model_id: str) -> None:
        """Delete an installed model; ``changed`` or ``failed`` follows."""
        raise NotImplementedError
