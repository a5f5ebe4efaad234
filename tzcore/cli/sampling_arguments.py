"""The arguments of ``tz run`` and ``tz chat`` that shape an answer."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from tzcore.cli import context_arguments

if TYPE_CHECKING:
    from tzcore.engine.sampler import Sampling

NAMES = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "dry_multiplier", "seed")


def declare(parser: argparse.ArgumentParser) -> None:
    """Add them; what is not given is left to the model's own recommendation."""
    parser.add_argument("--temperature", type=float, metavar="T", help="0 takes the likeliest token, after penalties")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw among the K likeliest tokens; 0 is off")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw among the likeliest tokens that make up P")
    parser.add_argument("--min-p", type=float, metavar="P", help="leave out tokens under P times the likeliest")
    parser.add_argument("--repetition-penalty", type=float, metavar="R", help="1 is off")
    parser.add_argument("--dry-multiplier", type=float, metavar="M", help="against loops of whole sentences; 0 is off")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="stop after so many tokens")
    parser.add_argument("--system", metavar="TEXT", help="a system message")
    context_arguments.declare(parser)
    parser.add_argument(
        "--context-overflow",
        choices=("stop", "slide", "compact"),
        default="stop",
        help="when the context is full: stop, leave out the oldest, or let a summary stand for them (default stop)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    parser.add_argument("--backend", default="auto", metavar="NAME", help="auto, or a backend's name")
    declare_speculation(parser)


def declare_speculation(parser: argparse.ArgumentParser) -> None:
    """Add the switch that ``tz serve`` has too."""
    text = "one token a step, in place of several guessed ones that are checked together (the answer is the same)"
    parser.add_argument("--no-speculation", dest="speculation", action="store_false", help=text)


def chosen(args: argparse.Namespace, recommended: Sampling) -> Sampling:
    """``recommended`` with what the user gave put in its place.  Out of range: RequestError."""
    given = {name: getattr(args, name) for name in NAMES if getattr(args, name) is not None}
    return replace(recommended, **given)
