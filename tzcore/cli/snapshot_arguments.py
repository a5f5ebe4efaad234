"""The arguments of ``tz run``, ``tz chat`` and ``tz serve`` about what is kept on disk of the texts they read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from tzcore.cli.budget_arguments import size
from tzcore.errors import RequestError

if TYPE_CHECKING:
    from tzcore.engine.snapshots import Snapshots


def declare(parser: argparse.ArgumentParser) -> None:
    """Add them.  Off unless asked for: prompts can be private, and their keys and values are large."""
    parser.add_argument(
        "--snapshots",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="keep what was read on disk, so that a conversation goes on at once when the model is opened again",
    )
    parser.add_argument(
        "--snapshots-quota",
        type=size,
        metavar="SIZE",
        help="disk that all snapshots may take, e.g. 20GB (default 8GiB; never more than a tenth of what is free)",
    )


def chosen(args: argparse.Namespace) -> Snapshots | None:
    """What was asked for.  RequestError for a quota of nothing."""
    from tzcore.engine.snapshots import QUOTA, Snapshots

    if not args.snapshots:
        if args.snapshots_quota is not None:
            raise RequestError("--snapshots-quota says how much disk --snapshots may take: give --snapshots as well")
        return None
    return Snapshots(QUOTA if args.snapshots_quota is None else args.snapshots_quota[0])
