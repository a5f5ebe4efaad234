"""What the model does not read any more of a conversation: as the engine says it, and as it is kept with an answer.

A change is kept as a dictionary: the engine's ``kind``, ``messages_left_out``, ``tokens_left_out``, ``tokens_kept``
and ``summary``, and ``through``, the id of the last message left out (None where it was the middle of the text that
was being written).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app import wording
from app.history.history import Message
from app.translation import mark, tr

Change = Mapping[str, Any]

OVERFLOWS = (
    ("stop", mark("Stop and ask"), mark("The answer ends there; nothing is left out.")),
    ("slide", mark("Leave out the oldest"), mark("They stay in the chat; the model does not read them any more.")),
    ("compact", mark("Summarise the oldest"), mark("The model goes on from a summary that it writes of them.")),
)
"""What can happen when the context is full: value, name, and what it means."""


def placed(event: Change, left_out: Sequence[int], before: Sequence[int]) -> dict[str, Any]:
    """The engine's event about an answer; ``left_out`` are the ids of the messages it may have left out, oldest
    first, and ``before`` those that were not even sent to it."""
    count = int(event["messages_left_out"])
    through = left_out[count - 1] if count else None
    kept = ("kind", "tokens_left_out", "tokens_kept", "summary")
    total = count + len(before) if count else 0
    return {**{name: event.get(name) for name in kept}, "messages_left_out": total, "through": through}


def summary_in_force(messages: Sequence[Message]) -> Change | None:
    """The last change of this branch in which a summary took the place of messages."""
    for message in reversed(messages):
        for change in reversed(message.context_changes):
            if change.get("summary") and change.get("through") is not None:
                return change
    return None


def markers(messages: Sequence[Message]) -> dict[int, Change]:
    """Where the transcript shows a line, by the id of the message that it follows: every summary, and of what was
    left out without one the latest."""
    found: dict[int, Change] = {}
    slid: Change | None = None
    for message in messages:
        cut = next((change for change in message.context_changes if change.get("through") is not None), None)
        if cut is not None and cut.get("summary"):
            found[int(cut["through"])] = cut
        if message.role == "assistant":
            slid = cut if cut is not None and not cut.get("summary") else None
    if slid is not None:
        found.setdefault(int(slid["through"]), slid)
    return found


def sentence(change: Change) -> str:
    """The change in one line."""
    tokens = wording.count(int(change.get("tokens_left_out") or 0))
    count = int(change.get("messages_left_out") or 0)
    if change.get("through") is None:
        text = tr("The context was full: the model went on without {tokens} tokens from the middle of the text.")
    elif change.get("summary"):
        one = tr("The message above is summarised for the model ({tokens} tokens less to read)")
        more = tr("The {count} messages above are summarised for the model ({tokens} tokens less to read)")
        text = one if count == 1 else more
    else:
        one = tr("The message above is not read by the model any more ({tokens} tokens)")
        more = tr("The {count} messages above are not read by the model any more ({tokens} tokens)")
        text = one if count == 1 else more
    return text.format(count=wording.count(count), tokens=tokens)
