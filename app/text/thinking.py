"""Where a model's thinking ends and its answer begins.  No Qt here."""

from __future__ import annotations

from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Answer:
    """A model's raw text cut into its thinking and what it says; ``thinking_open`` while it still thinks."""

    thinking: str
    text: str
    thinking_open: bool


def split_thinking(raw: str) -> Answer:
    """Separate a leading ``<think>…</think>`` from the answer.

    A template may have opened the tag in the prompt, so a lone ``</think>`` also ends the thinking.
    """
    start = raw.lstrip()
    if start.startswith(OPEN):
        thinking, closed, rest = start[len(OPEN) :].partition(CLOSE)
        if not closed:  # the closing tag may be arriving character by character
            thinking = _without_partial(thinking, CLOSE)
        return Answer(thinking.strip(), rest.lstrip("\n"), not closed)
    if start and OPEN.startswith(start):
        return Answer("", "", True)
    head, closed, rest = raw.partition(CLOSE)
    if closed and "```" not in head:
        return Answer(head.strip(), rest.lstrip("\n"), False)
    return Answer("", raw, False)


def _without_partial(text: str, tag: str) -> str:
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:length]):
            return text[:-length]
    return text
