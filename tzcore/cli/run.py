"""``tz run MODEL PROMPT``: one answer, alone on stdout."""

from __future__ import annotations

import argparse
import sys

from tzcore.cli import sampling_arguments, snapshot_arguments
from tzcore.cli.console import Console


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="an installed model, a folder, or a source")
    parser.add_argument("prompt", metavar="PROMPT", help="what to ask; - reads it from standard input")
    sampling_arguments.declare(parser)
    snapshot_arguments.declare(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Answer, making the model first where it is not installed."""
    from tzcore.cli.conversation import opened, reply

    prompt = sys.stdin.read() if args.prompt == "-" else args.prompt
    messages = [{"role": "system", "content": args.system}] if args.system else []
    messages.append({"role": "user", "content": prompt})
    with opened(args, console) as engine:
        done = reply(engine, messages, args, console)
        if console.json:
            console.done("", **done.as_json())
    return 0
