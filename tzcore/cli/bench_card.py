"""The parts of ``tz bench`` that need a card: its kernels, and random models in the shape of real ones."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from tzcore.cli import budget_arguments, context_arguments
from tzcore.cli.console import Console
from tzcore.errors import RequestError

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.backend.cuda.device import Device
    from tzcore.backend.cuda.plan import DevicePlan
    from tzcore.bench.random_folder import RandomFolder
    from tzcore.hub.reference import Reference

ENCODINGS = ("t1", "t2", "q2", "i4", "i8", "f16")
_LONGEST = (128 << 10) + 256
"""Tokens of context where nobody asks for another number and the card has the room: all depths and what follows."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    group = parser.add_argument_group("on an NVIDIA card")
    group.add_argument("--kernels", action="store_true", help="time single kernels in the shapes of a 70B model")
    group.add_argument("--context", type=context_arguments.context, metavar="N", help="tokens of context, e.g. 32k")
    group.add_argument("--vram", type=budget_arguments.size, metavar="N", help="use no more of the card, e.g. 24GiB")
    group = parser.add_argument_group("synthetic:NAME[@CUT]", "is filled with random weights: nothing is converted")
    group.add_argument("--encoding", choices=ENCODINGS, default="t1", help="of the projections (default t1)")
    group.add_argument("--packing", choices=("slots", "base3"), help="of t1 and t2 (default base3)")
    group.add_argument("--head", choices=("i4", "i8", "f16"), default="i8", help="embedding and head (default i8)")


def open_card() -> Device:
    """The card that CUDA counts first."""
    from tzcore.backend.cuda.backend import check_installed
    from tzcore.backend.cuda.driver import open_device

    check_installed()
    return open_device()


def copy_rate(number: int) -> float:
    """Bytes a second, read and written, of copies within the card that CUDA counts as ``number``."""
    from tzcore.backend.cuda.driver import open_device
    from tzcore.bench.timing import Timer, copy_bandwidth

    device = open_device(number)
    return copy_bandwidth(Timer(device), min(256 << 20, device.memory()[0] // 2), 5)


def kernels(console: Console) -> int:
    """``tz bench --kernels``."""
    from tzcore.bench.kernels import Effort, measure

    device = open_card()
    rows = _Rows(console)
    result = measure(device, Effort(), rows.say)
    console.done(f"{device.name}\n{rows.text()}", **{**about(device), **result})
    return 0


def model(args: argparse.Namespace, reference: Reference, console: Console) -> int:
    """``tz bench synthetic:NAME`` on the card."""
    from tzcore.bench.kernels import Effort as Kernels
    from tzcore.bench.kernels import int8_peak
    from tzcore.bench.timing import Timer
    from tzcore.bench.whole_model import Effort, measure

    device = open_card()
    rows = _Rows(console)
    peak = int8_peak(Timer(device), Kernels(), rows.say)["operations_per_second"]
    folder, spec, planned = prepared(args, reference, device)
    planned.require()
    console.note(
        f"{reference.id} as {args.encoding} on {device.name}, {planned.context:,} tokens: {planned.sentence()}"
    )
    effort = Effort(args.tokens or 32, args.prompt or 4096, args.repeat)

    def say(row: dict[str, Any]) -> None:
        if row["what"] == "prefill":
            row["share_of_peak"] = row["operations_per_second"] / peak
        rows.say(row)

    result = measure(device, folder, spec, planned, effort, say)
    form = {"model": reference.id, "encoding": args.encoding, "packing": args.packing, "head": args.head}
    console.done(f"{reference.id}, {device.name}\n{rows.text()}", **{**about(device), **form, **result})
    return 0


def prepared(
    args: argparse.Namespace, reference: Reference, device: Device
) -> tuple[RandomFolder, ModelSpec, DevicePlan]:
    """The random model, and the plan of the context that was asked for, or the longest that fits up to all depths."""
    from tzcore.architecture.registry import spec_of
    from tzcore.backend.cuda.plan import longest_contexts, plan
    from tzcore.bench.random_folder import random_folder
    from tzcore.hub.formats.synthetic import Synthetic
    from tzcore.quant.settings import format_for

    fmt = format_for(args.encoding, args.packing)
    free = device.memory()[0]
    budget = free if args.vram is None else args.vram[0]
    if budget > free:
        raise RequestError(f"--vram {args.vram[1]} is more than {device.name} has free ({free / 2**30:.1f} GiB)")

    def planned(context: int) -> tuple[RandomFolder, ModelSpec, DevicePlan]:
        cut = ",".join(filter(None, [reference.revision, f"context={context}"]))
        folder = random_folder(Synthetic(reference.target, cut, reference.id, {}), fmt, args.head)
        spec = spec_of(folder)
        return folder, spec, plan(spec, folder.quantization.matrices, context, budget, device.name)

    if args.context is not None:
        return planned(args.context)
    _, spec, made = planned(_LONGEST)
    _, longest = next(longest_contexts(spec, made.memory))
    return planned(max(1, min(longest, _LONGEST)))


def about(device: Device) -> dict[str, Any]:
    """The card, its driver, this program, and the day."""
    from tzcore import __version__
    from tzcore.backend.cuda.facts import driver_version, loaded_driver

    return {
        "device": device.name, "capability": list(device.capability), "multiprocessors": device.multiprocessors,
        "l2_bytes": device.l2_bytes, "clock": device.clock, "driver": driver_version() or loaded_driver(),
        "version": __version__, "date": time.strftime("%Y-%m-%d %H:%M:%S"),
    }  # fmt: skip


class _Rows:
    """Says each row as soon as it is there, so that a run that is cut short has told what it knew."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[dict[str, Any]] = []

    def say(self, row: dict[str, Any]) -> None:
        from tzcore.bench.words import line

        self._rows.append(row)
        if self._console.json:
            self._console.event("measured", **row)
        else:
            self._console.note(line(row))

    def text(self) -> str:
        from tzcore.bench.words import lines

        return lines(self._rows)
