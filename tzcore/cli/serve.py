"""``tz serve [MODEL ...]``: the OpenAI-compatible server on this machine."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from tzcore.cli import context_arguments, sampling_arguments, snapshot_arguments
from tzcore.cli.console import Console


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("models", metavar="MODEL", nargs="*", help="loaded at once; others when they are asked for")
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="0 takes a free one (default 8080)")
    parser.add_argument("--token", metavar="T", help="clients must send it; 'random' makes one up")
    parser.add_argument("--origin", action="append", default=[], metavar="URL", help="a web page that may use it")
    context_arguments.declare(parser, "tokens of context of the models named here")
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    parser.add_argument("--backend", default="auto", metavar="NAME", help="auto, or a backend's name")
    sampling_arguments.declare_speculation(parser)
    snapshot_arguments.declare(parser)
    parser.add_argument("--parent-pid", type=int, metavar="PID", help="end when this process does")


def run(args: argparse.Namespace, console: Console) -> int:
    """Serve until told to end.  One JSON line on stdout says when it is ready, and where."""
    from tzcore.cli.pipeline import find_or_make
    from tzcore.hub import library
    from tzcore.serve.server import print_event, serve

    for text in args.models:
        if library.resolve(text) is None:
            find_or_make(text, console)

    def announce(event: dict[str, Any]) -> None:
        console.close()
        print_event(event)
        if not console.json and sys.stderr.isatty():
            console.note(f"Serving on {event['url']}/v1 (Ctrl-C ends it)")

    return serve(
        args.models,
        args.host,
        args.port,
        args.token,
        context=args.context,
        threads=args.threads,
        backend=args.backend,
        speculation=args.speculation,
        kv=args.kv,
        snapshots=snapshot_arguments.chosen(args),
        origins=args.origin,
        parent_pid=args.parent_pid,
        announce=announce,
        report=console.report,
    )
