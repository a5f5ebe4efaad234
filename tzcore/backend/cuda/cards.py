"""The cards that models can be put on, and how much of each this process may take."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from tzcore.backend.cuda import driver, facts
from tzcore.backend.cuda.arena import Ledger
from tzcore.backend.cuda.facts import Card
from tzcore.backend.cuda.failures import NO_CARD
from tzcore.errors import BackendError

LIMIT_VARIABLE = "TZ_CUDA_MEMORY"
"""Environment variable: the most that all models of a process take of one card, e.g. ``20GiB``."""
_UNITS = {"": 1, "mb": 10**6, "gb": 10**9, "mib": 1 << 20, "gib": 1 << 30}


@dataclass(frozen=True)
class Place:
    """A card that kernels run on.  ``number`` is what CUDA counts it as, ``ledger`` what this process has there."""

    card: Card
    number: int
    ledger: Ledger

    @property
    def budget(self) -> int:
        """Bytes that one more model may take, as they were when the card was asked."""
        return self.ledger.budget(self.card.free)


_ledgers: dict[str, Ledger] = {}


def ledger(uuid: str) -> Ledger:
    """The one of the card, for all models of this process; its limit is that of :data:`LIMIT_VARIABLE`."""
    limit = read_limit(os.environ.get(LIMIT_VARIABLE, ""))
    return _ledgers.setdefault(uuid, Ledger(limit))


def read_limit(text: str) -> int | None:
    """Bytes, from ``20GiB`` or a plain number; None for an empty text."""
    if not text.strip():
        return None
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2].lower() not in _UNITS or not float(match[1]):
        raise BackendError(f"{LIMIT_VARIABLE}={text!r} is no amount of memory, such as 20GiB or 20GB")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def places() -> list[Place]:
    """The cards that models can be put on, the one with most room first.

    MissingExtraError without the extra ``cuda``; BackendError says why there is none.
    """
    found = facts.cards()
    able = [card for card in found if card.trouble() is None]
    if not able:
        raise BackendError(str(found[0].trouble()))
    numbers = driver.visible()
    if len(able) == len(found) == len(numbers) == 1:
        # One card is that card, whatever it calls itself: not every virtual card has one name only.
        numbers = {able[0].uuid: next(iter(numbers.values()))}
    usable = [Place(card, numbers[card.uuid], ledger(card.uuid)) for card in able if card.uuid in numbers]
    if not usable:
        raise BackendError(NO_CARD)
    return sorted(usable, key=lambda place: (-place.budget, place.number))
