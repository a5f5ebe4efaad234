"""One model for somebody who has none yet: the best that this machine runs well and that is ready soon.  No Qt.

Models that were trained with ternary weights are ready minutes after their download, because nothing has to be
calibrated, and lose nothing.  On a processor the bytes of the weights over the bandwidth of the memory are the speed:
what is larger than :data:`COMFORTABLE` answers slower than people read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.library.entries import CatalogueEntry
from app.library.fit import Machine, estimated_need
from app.translation import tr

COMFORTABLE = 2_400_000_000
"""Bytes of weights of which a laptop's memory (some 30 GB/s) gives ten tokens a second."""
SHARE = 0.6
"""Of the memory that is free now: other programs go on."""
STARTER = "starter"


@dataclass(frozen=True)
class Recommendation:
    """``reason`` says in a sentence why it is right for this machine."""

    entry: CatalogueEntry
    reason: str


def recommend(entries: Iterable[CatalogueEntry], machine: Machine, card: int = 0) -> Recommendation | None:
    """``card``: bytes of a graphics card that can be used, 0 for none.  ``None`` where nothing fits."""
    room = int(SHARE * max(machine.free_memory, card))
    most = room if card else min(room, COMFORTABLE)
    able = [
        entry
        for entry in entries
        if entry.native and not entry.gated and "chat" not in entry.lacks
        and entry.result_bytes <= most
        and estimated_need(entry.parameters, "t1", entry.context) <= room
        and entry.download_bytes + entry.result_bytes < 0.8 * machine.free_disk
    ]
    if not able:
        return None
    best = max(able, key=lambda entry: entry.parameters)
    if card:
        reason = tr(
            "The largest natively ternary model that your graphics card runs with room to spare: nothing is lost, and "
            "it is ready minutes after the download."
        )
    else:
        reason = tr(
            "Natively ternary: nothing is lost, it is ready minutes after the download, and it is small enough to "
            "answer quickly on this processor."
        )
    return Recommendation(best, reason)
