"""Searches the Hub for language models that could be ternarised."""

from __future__ import annotations

import itertools
import re
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
_NATIVE = re.compile(r"1[.]58|bitnet|trilm|ternary", re.IGNORECASE)
"""In the names of models that were trained with ternary weights but stored unpacked."""


@dataclass(frozen=True)
class Filters:
    """What to leave out.  ``max_parameters`` also leaves out models that do not state their size; ``native_only``
    keeps those that were trained with ternary weights, as far as the Hub tells."""

    supported_only: bool = False
    open_only: bool = False
    max_parameters: int | None = None
    author: str | None = None
    licence: str | None = None
    native_only: bool = False
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
    native: bool = False


def search(
    query: str, limit: int = 20, filters: Filters = Filters(), token: str | None = None, skip: int = 0
) -> list[HubModel]:
    """Text-generation models with safetensors whose id matches ``query``, most downloaded first; ``skip`` leaves out
    so many at the beginning, which were shown already.

    Repositories of GGUF files are left out.  NetworkError where the Hub cannot be reached.
    """
    if limit < 1:
        raise SourceError("a search for less than one model finds none; give a positive limit")
    if skip < 0 or skip + limit > _LOOKED_AT_MOST:
        raise SourceError(f"no more than the first {_LOOKED_AT_MOST} models are listed; make the search narrower")
    if filters.sort not in _SORTS:
        raise SourceError(f"cannot sort by {filters.sort!r}; possible are {', '.join(SORTS)}")
    parameters = {
        "search": query.strip() or None,
        "author": filters.author,
        "filter": ["safetensors", *([f"license:{filters.licence}"] if filters.licence else [])],
        "pipeline_tag": "text-generation",
        "gated": False if filters.open_only else None,
        "sort": _SORTS[filters.sort],
        "direction": -1,
        "limit": _looked_at(limit + skip, filters),
        "expand": _EXPAND,
    }
    listed = repository.list_models({key: value for key, value in parameters.items() if value is not None}, token)
    hits = (_hit(info) for info in listed if "gguf" not in (info.tags or []))
    return list(itertools.islice((hit for hit in hits if _wanted(hit, filters)), skip, skip + limit))


def _looked_at(wanted: int, filters: Filters) -> int:
    """How many to ask for, so that enough are left: natively ternary ones are rare."""
    return _LOOKED_AT_MOST if filters.native_only else min(_LOOKED_AT_MOST, 4 * wanted + 20)


def _hit(info: Any) -> HubModel:
    from tzcore.architecture.registry import SUPPORTED
    from tzcore.hub.formats.bitnet_folder import is_bitnet

    config = info.config or {}
    family = config.get("model_type")
    quantised = config.get("quantization_config")
    return HubModel(
        id=info.id,
        downloads=int(info.downloads or 0),
        likes=int(info.likes or 0),
        parameters=int(info.safetensors.total) if info.safetensors and info.safetensors.total else None,
        gated=bool(info.gated),
        licence=repository.licence_of(info),
        family=family,
        supported=family in SUPPORTED and (not quantised or is_bitnet(config)),
        native=is_bitnet(config) or family == "bitnet" or _NATIVE.search(info.id) is not None,
    )


def _wanted(hit: HubModel, filters: Filters) -> bool:
    if filters.supported_only and not hit.supported:
        return False
    if filters.native_only and not hit.native:
        return False
    if filters.licence and hit.licence != filters.licence:
        return False
    if filters.max_parameters is not None and (hit.parameters is None or hit.parameters > filters.max_parameters):
        return False
    return not (filters.open_only and hit.gated)
