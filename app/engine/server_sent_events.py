"""The parts of a ``text/event-stream`` that our server uses: ``data`` fields, decoded as they arrive.  No Qt.

Format: https://html.spec.whatwg.org/multipage/server-sent-events.html (fields other than ``data``
and comments are skipped).
"""

from __future__ import annotations

LONGEST_EVENT = 16 << 20


class EventStream:
    """Takes bytes in pieces of any size and gives back the data of each event that is complete."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[str]:
        """ValueError for an event that does not end, or bytes that are not UTF-8."""
        # A lone \r ends a line too, but one at the end of a piece may be half of \r\n: it waits.
        text = self._rest + piece
        waiting = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(waiting)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + waiting
        if len(self._rest) > LONGEST_EVENT:
            raise ValueError("an event is too long")
        events = []
        for line in lines:
            if not line:
                if self._data:
                    events.append("\n".join(self._data))
                    self._data = []
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" ").decode("utf-8"))
        return events
