"""The arguments of ``tz convert``, ``tz import`` and ``tz plan`` that say how large or how good.

One of ``--bits``, ``--size``, ``--vram`` (with ``--context``), ``--quality`` and ``--encoding``.
Units are those that people write: ``20GB`` is 20·10⁹ bytes, ``20GiB`` 20·2³⁰, and ``32k`` of context
32·1,024 tokens.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tzcore.cli import card_plan, context_arguments

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.quant.budget import Request

ENCODINGS = ("t1", "q2", "t2", "i4", "i8", "f16")
PACKINGS = ("slots", "base3")
QUALITIES = ("high", "balanced", "small")
_UNITS = {
    "kb": ("kB", 10**3), "mb": ("MB", 10**6), "gb": ("GB", 10**9), "tb": ("TB", 10**12),
    "kib": ("KiB", 1 << 10), "mib": ("MiB", 1 << 20), "gib": ("GiB", 1 << 30), "tib": ("TiB", 1 << 40),
}  # fmt: skip


@dataclass(frozen=True)
class Budget:
    """What was asked: ``flag`` without its dashes, its ``value`` (bits, bytes, or a quality's bound is looked
    up), ``word`` as in :class:`~tzcore.quant.budget.Request`, and for ``vram`` the ``context``."""

    flag: str
    value: float
    word: str
    context: int | None = None

    def request(self, spec: ModelSpec) -> Request:
        """The budget for this model.  RequestError or BudgetError where the context cannot be had."""
        from tzcore.quant.budget import QUALITIES, Request

        if self.flag == "quality":
            return Request("quality", QUALITIES[self.word], self.word)
        if self.flag == "vram":
            return Request("memory", card_plan.room(int(self.value), self.context, spec), self.word)
        return Request(self.flag, self.value, self.word)


def declare(parser: argparse.ArgumentParser, context_alone: bool = False) -> None:
    """Add the arguments.  ``context_alone``: ``--context`` means something without ``--vram`` too, and ``--vram``
    beside another budget: both say what to plan for, not only what to make."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--encoding", choices=ENCODINGS, help="store every matrix like this (default: by size of model)")
    one.add_argument("--bits", type=bits, metavar="N", help="stored bits a weight of the projections, e.g. 2.35")
    one.add_argument("--size", type=size, metavar="N", help="the whole model folder, e.g. 20GB or 20GiB")
    memory = parser if context_alone else one
    memory.add_argument("--vram", type=size, metavar="N", help="memory of a card, context included, e.g. 24GiB")
    one.add_argument(
        "--quality", choices=QUALITIES, help="the smallest that stays this close to the original, as predicted"
    )
    tokens = "tokens of context" if context_alone else "tokens of context that --vram has to hold"
    parser.add_argument("--context", type=context_arguments.context, metavar="N", help=f"{tokens}, e.g. 32k (32,768)")
    parser.add_argument("--packing", choices=PACKINGS, help="with --encoding: 2- and 4-bit slots, or the denser base 3")
    parser.set_defaults(usage_error=parser.error, context_alone=context_alone)


def chosen(args: argparse.Namespace) -> Budget | None:
    """The budget that was asked for, if any.  Arguments that contradict one another are wrong usage."""
    if args.context is not None and args.vram is None and not args.context_alone:
        args.usage_error("--context says what --vram has to hold beside the weights: give --vram as well")
    given = {flag: value for flag in ("bits", "size", "vram", "quality") if (value := getattr(args, flag)) is not None}
    if args.context_alone and (len(given) > 1 or args.encoding is not None):
        given.pop("vram", None)
    if not given:
        return None
    if args.packing is not None:
        args.usage_error("--packing goes with --encoding; a budget chooses the packing itself")
    ((flag, value),) = given.items()
    if flag == "quality":
        return Budget(flag, 0.0, value)
    if flag == "bits":
        return Budget(flag, value, f"{value:g}bpw")
    amount, word = value
    if flag == "vram" and args.context is not None:
        tokens = args.context
        word += f"-{tokens // 1024}k" if tokens % 1024 == 0 else f"-{tokens}"
        return Budget(flag, amount, word, tokens)
    return Budget(flag, amount, word)


def bits(text: str) -> float:
    """Stored bits a weight."""
    value = float(text) if re.fullmatch(r"\d{1,2}(\.\d{1,4})?", text.strip()) else 0.0
    if not 1 <= value <= 16:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bits from 1 to 16, such as 2.35")
    return value


def size(text: str) -> tuple[int, str]:
    """Bytes, and how it is written: ``20GiB``."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        number = match[1] if match else "20"
        raise argparse.ArgumentTypeError(
            f"{text!r} is no size: write a number and its unit, {number}GB (10⁹ bytes) or {number}GiB (2³⁰ bytes); "
            "also kB, MB, MiB, TB"
        )
    name, width = unit
    value = float(match[1])
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no room at all")
    return round(value * width), f"{value:.9g}{name}"
