"""A model's card as text that reads well: mark-up of web pages is taken out, everything else stays as it was written.

What is left goes through the window's own Markdown (:mod:`app.text.markdown`), in which nothing is fetched or run.
"""

from __future__ import annotations

import re

SHOWN = 30_000
"""Characters that are laid out at once; the rest on request."""
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9-]{0,30}(?:\s[^<>]{0,3000})?/?>")
_COMMENT = re.compile(r"<!--.{0,20000}?-->", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


def readable(card: str) -> str:
    """Without tags and comments of HTML outside fences of code, and without runs of empty lines."""
    parts, at, open_fence = [], 0, ""
    text = card.replace("\r\n", "\n").replace("\0", "")
    for match in _FENCE.finditer(text):
        if not open_fence:
            parts.append(_plain(text[at : match.start()]))
            at, open_fence = match.start(), match[1]
        elif match[1].startswith(open_fence):
            parts.append(text[at : match.end()])
            at, open_fence = match.end(), ""
    rest = text[at:]
    parts.append(rest if open_fence else _plain(rest))
    return "".join(parts).strip()


def _plain(text: str) -> str:
    text = _TAG.sub("", _COMMENT.sub("", text))
    return re.sub(r"(?:[ \t]*\n){3,}", "\n\n", text)


def beginning(text: str) -> tuple[str, bool]:
    """At most :data:`SHOWN` characters, cut between lines, and whether there is more."""
    if len(text) <= SHOWN:
        return text, False
    cut = text.rfind("\n", 0, SHOWN)
    part = text[: cut if cut > 0 else SHOWN]
    fences = [match[1] for match in _FENCE.finditer(part)]
    return part + (f"\n{fences[-1]}" if len(fences) % 2 else ""), True
