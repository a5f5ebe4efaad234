"""``tz`` with the interpreter in place of a card, and measurements small enough for it."""

from __future__ import annotations

import sys
from dataclasses import replace

from tests.gpu.card import Rehearsal
from tzcore.bench import kernels, whole_model
from tzcore.bench.products import Settings
from tzcore.cli import bench_card
from tzcore.cli.main import main

KERNELS = kernels.Effort(
    products=Settings(shapes=((64, 256),), formats=("t1", "t1b3"), many=(40,), repeat=2, span=0),
    depths=(300,),
    attention="layers=2,hidden=64,intermediate=64,heads=2,kv_heads=1,head_dim=64,vocabulary=300",
    square=(64, 256, 64),
    room=1 << 12,
)


def small() -> None:
    """Replace the card, and what is too much for the interpreter."""
    device = Rehearsal()
    bench_card.open_card = lambda: device  # type: ignore[assignment,return-value]
    measure_model = whole_model.measure
    kernels.Effort = lambda: KERNELS  # type: ignore[assignment,misc]

    def measure(device, folder, spec, planned, effort, say):  # type: ignore[no-untyped-def]
        effort = replace(effort, room=1 << 12, depths=(0, 40), compile=False)
        return measure_model(device, folder, spec, planned, effort, say)

    whole_model.measure = measure


if __name__ == "__main__":
    small()
    sys.exit(main())
