"""What a receipt says of quality, and how it is kept in the model's folder beside everything else there.

``quality`` of ``receipt.json``: ``perplexity``, ``original_perplexity``, ``kl_mean`` (nats a token), ``top1`` and
``tokens``, as far as they were measured; ``samples`` (``{"question", "original", "converted"}``); and where
something is missing on purpose, ``skipped`` with the reason, for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tzcore import atomic
from tzcore.checkpoint.reader import read_json

MEASURES = ("perplexity", "original_perplexity", "kl_mean", "kl_p999", "top1", "tokens")


def of_measures(measures: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a :meth:`tzcore.quant.divergence.Tally.measures`, under the receipt's names."""
    return {name: measures[name] for name in MEASURES if isinstance(measures.get(name), int | float)}


def quality_of(folder: Path) -> dict[str, Any]:
    """What the receipt of the model in ``folder`` says; empty where it says nothing."""
    found = read_json(folder / "receipt.json").get("quality")
    return of_measures(found) | found if isinstance(found, dict) else {}


def keep(folder: Path, quality: Mapping[str, Any]) -> None:
    """Write ``quality`` into the receipt; all else in it stays as it is.  StorageError."""
    receipt = read_json(folder / "receipt.json")
    atomic.write_json(folder / "receipt.json", receipt | {"quality": dict(quality)})
