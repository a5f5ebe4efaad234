"""An open model and the answers it writes to the terminal: what ``tz run`` and ``tz chat`` share."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tzcore.cli import snapshot_arguments
from tzcore.cli.console import Console
from tzcore.cli.sampling_arguments import chosen
from tzcore.cli.terminal import Answer
from tzcore.progress import Progress

if TYPE_CHECKING:
    from tzcore.engine.generation import Engine
    from tzcore.engine.request import ContextChanged, Finished


@dataclass(frozen=True)
class Reply:
    """A whole answer and how it ended."""

    text: str
    finished: Finished

    def as_json(self) -> dict[str, Any]:
        """The fields of the ``done`` event."""
        usage, timings = self.finished.usage, self.finished.timings
        return {
            "text": self.text,
            "finish_reason": self.finished.reason,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cached_tokens": usage.cached_tokens,
            "drafted_tokens": usage.drafted_tokens,
            "accepted_tokens": usage.accepted_tokens,
            "prefill_tps": timings.prefill_tokens_per_second,
            "decode_tps": timings.decode_tokens_per_second,
        }


@contextmanager
def opened(args: argparse.Namespace, console: Console) -> Iterator[Engine]:
    """The model ``args.model``, made first where it is not installed; closed at the end."""
    from tzcore.cli.pipeline import find_or_make
    from tzcore.engine.generation import Engine

    snapshots = snapshot_arguments.chosen(args)
    path = find_or_make(args.model, console)
    engine = Engine.open(
        path,
        backend=args.backend,
        context=args.context,
        threads=args.threads,
        report=console.report,
        speculation=args.speculation,
        kv=args.kv,
        snapshots=snapshots,
    )
    try:
        console.close()
        if engine.info.kv.quantised:
            console.note(f"It runs on: {engine.info.backend_reason}.")
        for notice in engine.info.notices:
            console.note(notice)
        yield engine
    finally:
        engine.close()


def reply(
    engine: Engine,
    messages: Sequence[dict[str, str]],
    args: argparse.Namespace,
    console: Console,
    cancel: threading.Event | None = None,
    told: set[tuple[int, str | None]] | None = None,
    go_on: bool = False,
) -> Reply:
    """Let the model answer, writing as it comes; with ``--json`` as ``delta`` events.

    An answer that ends because the context is full says so, and so does one that goes on without all of the text;
    what a person has been ``told`` of the messages left out is not said again.  With ``go_on`` the last message is
    the beginning of the answer, and what follows it is written.
    """
    from tzcore.engine.request import (
        ContextChanged,
        Finished,
        PrefillProgress,
        Request,
        SummaryProgress,
        TextDelta,
    )

    request = Request(
        messages=messages,
        sampling=chosen(args, engine.default_sampling),
        max_tokens=args.max_tokens,
        overflow=args.context_overflow,
        open_answer=go_on,
    )
    answer = Answer()
    pieces: list[str] = []
    finished: Finished | None = None
    for event in engine.generate(request, cancel):
        if isinstance(event, PrefillProgress):
            if event.total > PREFILL_SHOWN:
                console.report(Progress("prefill", event.done, event.total, "tokens", seconds_left=event.seconds_left))
        elif isinstance(event, SummaryProgress):
            done, total = event.done + event.written, event.total + event.longest
            console.report(Progress("summarise", done, total, "tokens"))
        elif isinstance(event, ContextChanged):
            if console.json:
                console.event("context_changed", **asdict(event))
            elif (left_out := (event.messages_left_out, event.summary)) not in (told or ()):
                console.close()
                answer.end()
                console.note(change_in_words(event, engine.context))
                if told is not None and event.messages_left_out:
                    told.add(left_out)
        elif isinstance(event, TextDelta):
            pieces.append(event.text)
            if console.json:
                console.event("delta", text=event.text)
            else:
                console.close()
                answer.write(event.text)
        elif isinstance(event, Finished):
            finished = event
    assert finished is not None, "the engine always finishes"
    console.close()
    if not console.json:
        answer.end()
    if finished.reason == "context":
        console.note(f"The context of {engine.context:,} tokens is full, so the answer ends here (see --context).")
    return Reply("".join(pieces), finished)


def change_in_words(change: ContextChanged, context: int) -> str:
    """What the model does not read any more, for a person."""
    full = f"The context of {context:,} tokens is full"
    tokens = f"{change.tokens_left_out:,} tokens"
    if not change.messages_left_out:
        return f"{full}: from here on the model goes on without {tokens} of the text's middle."
    messages = "oldest message" if change.messages_left_out == 1 else f"{change.messages_left_out} oldest messages"
    if change.summary is None:
        return f"{full}: the {messages} ({tokens}) are left out of what the model reads."
    return f"{full}: a summary stands for the {messages} ({tokens}):\n{change.summary}"


PREFILL_SHOWN = 256
"""Tokens of prompt from which its reading is shown; a shorter one is read before anyone could see it."""
