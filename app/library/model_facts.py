"""What ``tz show SOURCE --json`` says (:mod:`tzcore.hub.model_page`).  No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ModelFile:
    """``needed``: a conversion reads it; others are never fetched."""

    name: str
    bytes: int
    needed: bool


@dataclass(frozen=True)
class ModelFacts:
    """All of it was written by strangers.  ``why``: why it is not ``supported``; ``access``: whether its files may be
    fetched, ``None`` where nobody has to be asked."""

    id: str
    kind: str
    address: str
    family: str
    supported: bool
    why: str
    parameters: int
    licence: str
    gated: bool
    access: bool | None
    native: bool
    context: int
    downloads: int
    likes: int
    files: tuple[ModelFile, ...]
    card: str
    card_note: str

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> ModelFacts:
        """KeyError, TypeError or ValueError where ``raw`` is something else."""
        access = raw.get("access")
        return cls(
            id=str(raw["id"]),
            kind=str(raw.get("kind") or ""),
            address=str(raw.get("address") or ""),
            family=str(raw.get("family") or ""),
            supported=bool(raw["supported"]),
            why=str(raw.get("why") or ""),
            parameters=int(raw.get("parameters") or 0),
            licence=str(raw.get("licence") or "unknown"),
            gated=bool(raw.get("gated")),
            access=None if access is None else bool(access),
            native=bool(raw.get("native")),
            context=int(raw.get("context") or 0),
            downloads=int(raw.get("downloads") or 0),
            likes=int(raw.get("likes") or 0),
            files=tuple(
                ModelFile(str(one["name"]), int(one["bytes"]), bool(one["needed"])) for one in raw.get("files", ())
            ),
            card=str(raw.get("card") or ""),
            card_note=str(raw.get("card_note") or ""),
        )
