"""``tz chat MODEL``: a conversation in the terminal.

Ctrl-C stops the answer, not the program.  With input from a pipe each line is one turn and
only the answers are written to stdout.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from tzcore.cli import sampling_arguments, snapshot_arguments
from tzcore.cli.console import Console
from tzcore.cli.failure import Terminated
from tzcore.errors import ContextFullError

if TYPE_CHECKING:
    from tzcore.engine.generation import Engine

HELP = (
    "/continue lets the last answer go on · /reset forgets the conversation · /system TEXT sets a system message · "
    "/exit (or Ctrl-D) leaves"
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", help="an installed model, a folder, or a source")
    sampling_arguments.declare(parser)
    snapshot_arguments.declare(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Talk until the input ends or ``/exit``."""
    from tzcore.cli.conversation import opened

    with opened(args, console) as engine:
        if sys.stdin.isatty() and not console.json:
            info = engine.info
            console.note(
                f"{info.backend_description} ({info.backend_reason}), {engine.context:,} tokens of context\n{HELP}"
            )
        Chat(engine, args, console).hold(lines())
        if console.json:
            console.done("")
    return 0


def lines() -> Iterator[str]:
    """The user's turns: edited on a terminal, else the lines of standard input."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            yield line.rstrip("\n")
        return
    with suppress(ImportError):
        import readline  # noqa: F401  (gives input() its line editing where the system has it)
    while True:
        try:
            yield input("> ")
        except EOFError:
            print()
            return
        except Terminated:
            raise
        except KeyboardInterrupt:
            print("\n(/exit or Ctrl-D leaves)")


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C, before the answer has ended, is an interruption."""
    event = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


class Chat:
    """The conversation so far."""

    def __init__(self, engine: Engine, args: argparse.Namespace, console: Console) -> None:
        self._engine = engine
        self._args = args
        self._console = console
        self._system: str | None = args.system
        self._turns: list[dict[str, str]] = []
        self._told: set[tuple[int, str | None]] = set()

    def hold(self, turns: Iterator[str]) -> None:
        """Answer each turn until there are no more."""
        for turn in turns:
            text = turn.strip()
            if text.startswith("/"):
                if not self._command(text):
                    return
            elif text:
                self._answer(text)

    def _command(self, text: str) -> bool:
        """Obey; False to leave."""
        word, _, rest = text.partition(" ")
        if word in ("/exit", "/quit", "/bye"):
            return False
        if word == "/reset":
            self._turns.clear()
            self._told.clear()
            self._console.note("The conversation is forgotten.")
        elif word == "/continue":
            self._go_on()
        elif word == "/system":
            self._system = rest.strip() or None
            self._console.note("The system message is set." if self._system else "There is no system message now.")
        else:
            self._console.note(HELP)
        return True

    def _answer(self, text: str) -> None:
        asked = [*self._turns, {"role": "user", "content": text}]
        if said := self._said(asked):
            self._turns = [*asked, {"role": "assistant", "content": said}]

    def _go_on(self) -> None:
        """Let the last answer go on where it was stopped, or ended."""
        if not self._turns:
            self._console.note("There is no answer that could go on.")
        elif said := self._said(self._turns, go_on=True):
            last = self._turns[-1]
            self._turns = [*self._turns[:-1], {**last, "content": last["content"] + said}]

    def _said(self, asked: list[dict[str, str]], go_on: bool = False) -> str:
        """What the model says.  A stopped answer stays in the conversation as far as it got; one with nothing in it
        does not."""
        from tzcore.cli.conversation import reply

        system = [{"role": "system", "content": self._system}] if self._system else []
        try:
            with stoppable() as cancel:
                said = reply(self._engine, [*system, *asked], self._args, self._console, cancel, self._told, go_on)
        except ContextFullError as error:
            if not sys.stdin.isatty():
                raise  # a script must not go on as if it had been answered
            self._console.note(f"{error}. /reset begins anew; --context-overflow lets it go on.")
            return ""
        if self._console.json:
            self._console.event("answer", **said.as_json())
        return said.text
