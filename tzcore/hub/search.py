"""Searches the Hub for language models that could be ternarised."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from tzcore.errors import SourceError
from tzcore.hub import repository

_SORTS = {
    "downloads": "downloads",
    "likes": "likes",
    "trending": "trendingScore",
    "modified": "lastModified",
    "created": "createdAt",
}
SORTS = tuple(_SORTS)
_EXPAND = ["downloads", "likes", "gated", "safetensors", "config", "tags", "cardData", "pipeline_tag"]
_LOOKED_AT_MOST = 400


@dataclass(frozen=True)
class Filters:
    """What to leave out.  ``max_parameters`` also leaves out models that do not state their size."""

    supported_only: bool = False
    open_only: bool = False
    max_parameters: int | None = None
    author: str | None = None
    sort: str = "downloads"


@dataclass(frozen=True)
class HubModel:
    """One hit.  ``parameters`` is ``None`` where the Hub has not counted them; ``supported`` says
    whether we run its ``family`` and its weights are not quantised already."""

    id: str
    downloads: int
    likes: int
    parameters: int | None
    gated: bool
    licence: str
    family: str | None
    supported: bool


def search(query: str, limit: int = 20, filters: Filters = Filters(), token: str | None = None) -> list[HubModel]:
    """Text-generation models with safetensors whose id matches ``query``, most downloaded first.

    Repositories of GGUF files are left out.  NetworkError where the Hub cannot be reached.
    """
    if limit < 1:
        raise SourceError("a search for less than one model finds none; give a positive limit")
    if filters.sort not in _SORTS:
        raise SourceError(f"cannot sort by {filters.sort!r}; possible are {', '.join(SORTS)}")
    parameters = {
        "search": query.strip() or None,
        "author": filters.author,
        "filter": "safetensors",
        "pipeline_tag": "text-generation",
        "gated": False if filters.open_only else None,
        "sort": _SORTS[filters.sort],
        "direction": -1,
        "limit": min(_LOOKED_AT_MOST, 4 * limit + 20),
        "expand": _EXPAND,
    }
    listed = repository.list_models({key: value for key, value in parameters.items() if value is not None}, token)
    hits = (_hit(info) for info in listed if "gguf" not in (info.tags or []))
    return list(itertools.islice((hit for hit in hits if _wanted(hit, filters)), limit))


def _hit(info: Any) -> HubModel:
    from tzcore.architecture.registry import SUPPORTED

    config = info.config or {}
    family = config.get("model_type")
    return HubModel(
        id=info.id,
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        parameters=int(info.safetensors.total) if info.safetensors and info.safetensors.total else None,
        gated=bool(info.gated),
        licence=repository.licence_of(info),
        family=family,
        supported=family in SUPPORTED and not config.get("quantization_config"),
    )


def _wanted(hit: HubModel, filters: Filters) -> bool:
    if filters.supported_only and not hit.supported:
        return False
    if filters.max_parameters is not None and (hit.parameters is None or hit.parameters > filters.max_parameters):
        return False
    return not (filters.open_only and hit.gated)
