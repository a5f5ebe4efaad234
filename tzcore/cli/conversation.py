"""An open model and the answers it writes to the terminal: what ``tz run`` and ``tz chat`` share."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tzcore.cli import snapshot_arguments
from tzcore.cli.console import Console
from tzcore.cli.sampling_arguments import chosen
from tzcore.cli.terminal import Answer
from tzcore.progress import Progress

if TYPE_CHECKING:
    from tzcore.engine.generation import Engine
    from tzcore.engine.request import Finished


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
) -> Reply:
    """Let the model answer, writing as it comes; with ``--json`` as ``delta`` events.

    An answer that ends because the context is full says so.
    """
    from tzcore.engine.request import Finished, PrefillProgress, Request, TextDelta

    request = Request(messages=messages, sampling=chosen(args, engine.default_sampling), max_tokens=args.max_tokens)
    answer = Answer()
    pieces: list[str] = []
    finished: Finished | None = None
    for event in engine.generate(request, cancel):
        if isinstance(event, PrefillProgress):
            if event.total > PREFILL_SHOWN:
                console.report(Progress("prefill", event.done, event.total, "tokens", seconds_left=event.seconds_left))
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


PREFILL_SHOWN = 256
"""Tokens of prompt from which its reading is shown; a shorter one is read before anyone could see it."""
