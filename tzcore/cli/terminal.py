"""Text from a model on its way to a terminal."""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO


def harmless(text: str) -> str:
    """``text`` without control characters other than line break and tab.

    A model's answer must not move the cursor, set the title or answer for the user: escape
    sequences begin with a control character (category Cc), so none gets through.
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


class Answer:
    """Writes an answer as it comes: to a terminal without control characters, to a pipe or file as it is."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._last = "\n"

    def write(self, text: str) -> None:
        """Append ``text`` and show it now."""
        shown = harmless(text) if self._terminal else text
        if shown:
            self._stream.write(shown)
            self._stream.flush()
            self._last = shown[-1]

    def end(self) -> None:
        """Finish the line."""
        if self._last != "\n":
            self._stream.write("\n")
        self._stream.flush()
