"""``--context`` and ``--kv``: how many tokens are held, and in which format."""

from __future__ import annotations

import argparse
import re

KV_FORMATS = ("auto", "f16", "k8v8", "k6v5", "k4v4", "k4v2")


def declare(parser: argparse.ArgumentParser, tokens: str = "tokens of context (default: up to 8192)") -> None:
    """Add both; ``tokens`` is the help of ``--context``."""
    parser.add_argument("--context", type=context, metavar="N", help=tokens)
    declare_kv(parser)


def declare_kv(parser: argparse.ArgumentParser) -> None:
    """Add ``--kv`` alone."""
    parser.add_argument(
        "--kv", type=kv, default="auto", metavar="FORMAT",
        help=f"how keys and values are stored: {', '.join(KV_FORMATS)} (default auto: the most bits with which the "
        "context fits)",
    )  # fmt: skip


def context(text: str) -> int:
    """Tokens; ``k`` stands for 1,024 of them."""
    match = re.fullmatch(r"(\d{1,9})\s*([kK]?)", text.strip())
    if match is None or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens, such as 8192 or 32k (32,768)")
    return int(match[1]) * (1024 if match[2] else 1)


def kv(text: str) -> str:
    """``auto``, or a format's name."""
    from tzcore.errors import RequestError
    from tzcore.keyvalues import format_named

    if text == "auto":
        return text
    try:
        return format_named(text).name
    except RequestError as error:
        raise argparse.ArgumentTypeError(f"{error}, and auto") from None
