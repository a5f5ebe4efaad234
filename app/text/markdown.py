"""Markdown as block objects: what a message is made of, before any widget.

``parse`` turns CommonMark (with tables and strikethrough) into a tuple of blocks.  ``Stream`` does
the same for text that is still arriving: it splits at blank lines outside fences, parses each
finished piece once and only ever parses the unfinished tail again.

Everything a model writes is escaped: raw HTML is shown as the text it is, images become links, and
only ``http``, ``https`` and ``mailto`` links survive.  The HTML made here uses the small set of tags
that ``QTextDocument`` understands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from app.translation import tr

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


SAFE_SCHEMES = ("http://", "https://", "mailto:")
"""Links with any other scheme are shown as plain text."""

_BARE_URL = re.compile(r"https?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}*_]")
_BREAK = re.compile(r"&lt;br\s*/?&gt;", re.IGNORECASE)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_ITEM = re.compile(r"^(?:[-*+]|\d{1,9}[.)])(?:\s|$)")


@dataclass(frozen=True)
class Prose:
    """Paragraphs, headings and lists: escaped HTML."""

    html: str


@dataclass(frozen=True)
class Code:
    """A fenced or indented code block; ``closed`` is False while its fence is still open."""

    text: str
    language: str = ""
    closed: bool = True
    depth: int = 0
    """How many lists it stands in (drawn as an indent)."""


@dataclass(frozen=True)
class Table:
    """A table of escaped HTML cells; ``align`` has one of ``left``, ``center``, ``right`` a column."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: tuple[str, ...]


@dataclass(frozen=True)
class Quote:
    """A block quotation."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Rule:
    """A horizontal rule."""


Block = Prose | Code | Table | Quote | Rule


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # takes a while, and the first window shows no Markdown

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def parse(text: str) -> tuple[Block, ...]:
    """All blocks of ``text``; neighbouring prose is joined into one block."""
    tokens = _parser().parse(text)
    return _Builder(_open_fence(text)).build(tokens)


def _open_fence(text: str) -> bool:
    """Whether ``text`` ends inside a fence that was never closed."""
    return _Fences().after(text.split("\n"))


class _Fences:
    """Follows fences line by line."""

    def __init__(self) -> None:
        self.mark = ""

    def line(self, line: str) -> bool:
        """Take one line; whether a fence is open after it."""
        match = _FENCE.match(line.lstrip() if self.mark else _unlisted(line))
        if match:
            mark, info = match[1], match[2]
            if not self.mark:
                if not (mark[0] == "`" and "`" in info):
                    self.mark = mark
            elif mark[0] == self.mark[0] and len(mark) >= len(self.mark) and not info.strip():
                self.mark = ""
        return bool(self.mark)

    def after(self, lines: Sequence[str]) -> bool:
        for line in lines:
            self.line(line)
        return bool(self.mark)


def _unlisted(line: str) -> str:
    """The line without indent and list markers, so that a fence in a list item is seen."""
    line = line.lstrip()
    while match := _ITEM.match(line):
        line = line[match.end() :].lstrip()
    return line


class _Builder:
    """Walks markdown-it's flat token list once and collects blocks."""

    def __init__(self, open_fence: bool) -> None:
        self.open_fence = open_fence
        self.blocks: list[Block] = []
        self.html: list[str] = []
        self.lists: list[_List] = []

    def build(self, tokens: list[Token]) -> tuple[Block, ...]:
        last_fence = max((i for i, t in enumerate(tokens) if t.type == "fence"), default=-1)
        index = 0
        while index < len(tokens):
            token = tokens[index]
            match token.type:
                case "fence" | "code_block":
                    self._code(token, closed=not (self.open_fence and index == last_fence))
                case "table_open":
                    end = _matching(tokens, index)
                    self._flush()
                    self.blocks.append(_table(tokens[index:end]))
                    index = end
                case "blockquote_open":
                    end = _matching(tokens, index)
                    self._flush()
                    inner = _Builder(self.open_fence and last_fence > index).build(tokens[index + 1 : end])
                    self.blocks.append(Quote(inner))
                    index = end
                case "hr":
                    self._flush()
                    self.blocks.append(Rule())
                case _:
                    self._prose(token)
            index += 1
        self._flush()
        return tuple(self.blocks)

    def _prose(self, token: Token) -> None:
        match token.type:
            case "paragraph_open":
                if not (self.lists and self.lists[-1].fresh):
                    self.html.append(self._paragraph())
            case "paragraph_close":
                if self.lists and self.lists[-1].fresh:
                    self.lists[-1].fresh = False
                else:
                    self.html.append("</p>")
            case "heading_open":
                self.html.append(f"<{token.tag}>")
            case "heading_close":
                self.html.append(f"</{token.tag}>")
            case "bullet_list_open":
                self.lists.append(_List("ul", 1))
                self.html.append("<ul>")
            case "ordered_list_open":
                start = int(token.attrs.get("start", 1))
                self.lists.append(_List("ol", start))
                self.html.append(f'<ol start="{start}">')
            case "bullet_list_close" | "ordered_list_close":
                closing = self.lists.pop()
                if closing.shown:
                    self.html.append(f"</{closing.tag}>")
            case "list_item_open":
                self._reopen()
                self.lists[-1].fresh = self.lists[-1].inside = True
                self.html.append("<li>")
            case "list_item_close":
                if self.lists[-1].inside:
                    self.html.append("</li>")
                self.lists[-1].fresh = self.lists[-1].inside = False
                self.lists[-1].number += 1
            case "inline":
                self.html.append(_inline(token.children or []))

    def _code(self, token: Token, closed: bool) -> None:
        depth = len(self.lists)
        self._flush()
        language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
        text = token.content[:-1] if token.content.endswith("\n") else token.content
        self.blocks.append(Code(text, language.strip("{}."), closed, depth))

    def _flush(self) -> None:
        """End the prose so far; lists that are still open are closed and marked to be reopened."""
        for item in reversed(self.lists):
            if item.shown:
                self.html.append("</li>" if item.inside else "")
                self.html.append(f"</{item.tag}>")
                item.shown = item.inside = False
            item.fresh = False
        html = "".join(self.html)
        self.html.clear()
        if re.sub(r"<[^>]*>", "", html).strip():
            self.blocks.append(Prose(html))

    def _reopen(self) -> None:
        """Open again, with the right number, the lists that a block in one of their items closed."""
        for item in self.lists:
            if not item.shown:
                self.html.append(f'<ol start="{item.number}">' if item.tag == "ol" else "<ul>")
                item.shown = True

    def _paragraph(self) -> str:
        """The opening tag; prose of an item whose list a code block closed is indented like the item."""
        if any(not item.shown for item in self.lists):
            return f'<p style="margin-left:{24 * len(self.lists)}px">'
        return "<p>"


@dataclass
class _List:
    tag: str
    number: int
    fresh: bool = False
    """No paragraph of the current item was written yet: the first one needs no ``<p>``."""
    shown: bool = True
    """Its opening tag stands in the prose being built."""
    inside: bool = False
    """An ``<li>`` of it is open there."""


def _matching(tokens: list[Token], start: int) -> int:
    level = 0
    for index in range(start, len(tokens)):
        level += tokens[index].nesting
        if level == 0:
            return index
    return len(tokens) - 1


def _table(tokens: list[Token]) -> Table:
    rows: list[list[str]] = []
    align: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open") and len(rows) == 1:
            style = str(token.attrs.get("style", ""))
            align.append(style.rpartition(":")[2].strip() or "left")
        elif token.type == "inline":
            rows[-1].append(_inline(token.children or []))
    header = tuple(rows[0]) if rows else ()
    return Table(header, tuple(tuple(row) for row in rows[1:]), tuple(align))


def _inline(tokens: Sequence[Token]) -> str:
    out: list[str] = []
    anchors: list[str] = []
    for token in tokens:
        match token.type:
            case "text":
                out.append(_text(token.content, linkify=not anchors))
            case "code_inline":
                out.append(f"<code>{escape(token.content)}</code>")
            case "softbreak":
                out.append(" ")
            case "hardbreak":
                out.append("<br/>")
            case "strong_open" | "strong_close" | "em_open" | "em_close" | "s_open" | "s_close":
                slash = "/" if token.nesting < 0 else ""
                out.append(f"<{slash}{ {'strong': 'b', 'em': 'i', 's': 's'}[token.tag]}>")
            case "link_open":
                href = str(token.attrs.get("href", ""))
                safe = href.lower().startswith(SAFE_SCHEMES)
                anchors.append("</a>" if safe else "")
                out.append(f'<a href="{escape(href)}" title="{escape(href)}">' if safe else "")
            case "link_close":
                out.append(anchors.pop())
            case "image":
                out.append(_image(token, inside_link=bool(anchors)))
            case _:
                out.append(escape(token.content))
    return "".join(out)


def _image(token: Token, inside_link: bool) -> str:
    """An image is never loaded: its description stands for it, linked where the address is safe."""
    source = str(token.attrs.get("src", ""))
    label = escape(token.content or source)
    image = tr("[image: {label}]").format(label=label)
    if inside_link or not source.lower().startswith(SAFE_SCHEMES):
        return image
    return f'<a href="{escape(source)}" title="{escape(source)}">{image}</a>'


def _text(text: str, linkify: bool) -> str:
    for box, mark in (("[ ] ", "☐ "), ("[x] ", "☑ "), ("[X] ", "☑ ")):
        if text.startswith(box):
            text = mark + text[len(box) :]
    if not linkify:
        return _BREAK.sub("<br/>", escape(text))
    out, end = [], 0
    for match in _BARE_URL.finditer(text):
        url = escape(match[0])
        out += [escape(text[end : match.start()]), f'<a href="{url}" title="{url}">{url}</a>']
        end = match.end()
    return _BREAK.sub("<br/>", "".join(out) + escape(text[end:]))


def join(first: Prose, second: Prose) -> Prose:
    """Neighbouring prose as one block; a list that a blank line cut in two becomes one list again."""
    if first.html.endswith("</ol>") and (opening := re.match(r'<ol start="\d+">', second.html)):
        return Prose(first.html[: -len("</ol>")] + second.html[opening.end() :])
    if first.html.endswith("</ul>") and second.html.startswith("<ul>"):
        return Prose(first.html[: -len("</ul>")] + second.html[len("<ul>") :])
    return Prose(first.html + second.html)


class Stream:
    """Blocks of a growing text.  Cost of a ``feed`` is that of the tail alone.

    ``blocks`` is frozen + tail; ``frozen`` counts the blocks that will not change any more.
    """

    def __init__(self) -> None:
        self.text = ""
        self.frozen = 0
        self._settled: list[Block] = []
        self._tail_start = 0
        self._scanned = 0
        self._fences = _Fences()
        self._blank_at: int | None = None

    @property
    def tail_start(self) -> int:
        """Index into ``text`` where the unfinished piece begins."""
        return self._tail_start

    def feed(self, delta: str) -> tuple[Block, ...]:
        """Take more text; return all blocks so far."""
        self.text += delta
        self._advance()
        return (*self._settled, *parse(self.text[self._tail_start :]))

    def _advance(self) -> None:
        """Look at every newly completed line once and freeze what a blank line has finished."""
        while (end := self.text.find("\n", self._scanned)) >= 0:
            start, line = self._scanned, self.text[self._scanned : end]
            self._scanned = end + 1
            was_open = bool(self._fences.mark)
            if not was_open and self._blank_at is not None and line.strip():
                if not line[0].isspace():  # indented lines may still belong to the list item before
                    self._freeze(start)
                self._blank_at = None
            still_open = self._fences.line(line)
            if not still_open and not was_open and not line.strip():
                self._blank_at = end

    def _freeze(self, start: int) -> None:
        piece = self.text[self._tail_start : start]
        if piece.strip():
            self._settled += parse(piece)
            self.frozen = len(self._settled)
        self._tail_start = start
