"""Where fenced code begins and ends, line by line."""

from __future__ import annotations

import re

ITEM = re.compile(r"^(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
"""The beginning of an item of a list."""
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


class Fences:
    """Follows fences line by line."""

    def __init__(self) -> None:
        self.mark = ""

    def line(self, line: str) -> bool:
        """Take one line; whether a fence is open after it."""
        if "```" not in line and "~~~" not in line:
            return bool(self.mark)
        match = _FENCE.match(line.lstrip() if self.mark else _unlisted(line))
        if match:
            mark, info = match[1], match[2]
            if not self.mark:
                if not (mark[0] == "`" and "`" in info):
                    self.mark = mark
            elif mark[0] == self.mark[0] and len(mark) >= len(self.mark) and not info.strip():
                self.mark = ""
        return bool(self.mark)


def _unlisted(line: str) -> str:
    """The line without indent and list markers, so that a fence in a list item is seen."""
    line = line.lstrip()
    while match := ITEM.match(line):
        line = line[match.end() :].lstrip()
    return line


def open_fence(text: str) -> bool:
    """Whether ``text`` ends inside a fence that was never closed."""
    fences = Fences()
    if "```" in text or "~~~" in text:
        for line in text.split("\n"):
            fences.line(line)
    return bool(fences.mark)
