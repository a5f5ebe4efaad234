"""Markdown as block objects: what a message is made of, before any widget.

``parse`` turns CommonMark (with tables, strikethrough, task lists, footnotes and formulas) into a tuple of blocks.
:mod:`app.text.stream` cuts long and growing texts into pieces for it.

Everything a model writes is escaped: raw HTML is shown as the text it is, images become links, only ``http``,
``https`` and ``mailto`` links survive, and characters that act on the text around them are made harmless.
The HTML made here uses the small set of tags that ``QTextDocument`` understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.text import formulas, inert
from app.text.fences import open_fence
from app.text.formulas import Formula
from app.translation import tr

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


SAFE_SCHEMES = ("http://", "https://", "mailto:")
"""Links with any other scheme are shown as plain text."""

_BARE_URL = re.compile(r"https?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}*_]")
_BREAK = re.compile(r"&lt;br\s*/?&gt;", re.IGNORECASE)
_REFERENCE = re.compile(r"^ {0,3}\[([^\]\n^][^\]\n]*)\]:[ \t]*<?([^\s<>]+)>?[^\n]*$", re.MULTILINE)
_FOOTNOTE = re.compile(r"^ {0,3}\[(\^[^\]\s]{1,20})\]:", re.MULTILINE)
_NOTE = re.compile(r"\[\^([^\]\s]{1,20})\]")

DEEPEST = 96
"""Levels of lists and quotations; a text that goes deeper is shown as it is."""
BRACKETS = 200
"""Opening brackets in one piece of text; looking for the links of more takes time that nobody has."""


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

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST}).enable(["table", "strikethrough"])
    formulas.install(parser)
    return parser


def parse(text: str, references: Mapping[str, Mapping[str, str]] | None = None) -> tuple[Block, ...]:
    """All blocks of ``text``; neighbouring prose is joined into one block.

    ``references``: addresses that other parts of the whole define, as :func:`references` finds them.
    """
    open_at_end = open_fence(text)
    if "[^" in text and "```" not in text and "~~~" not in text:  # a footnote is not the address of a link
        text = _FOOTNOTE.sub(r"&#91;\1&#93;:", text)
    if text.count("[") > BRACKETS:
        return (_as_it_is(text),)
    tokens = _parser().parse(text, {"references": dict(references or {})})
    if any(token.level > DEEPEST - 4 for token in tokens):  # deeper, the parser leaves text out
        return (_as_it_is(text),)
    return _Builder(open_at_end).build(tokens)


def _as_it_is(text: str) -> Prose:
    return Prose("<p>" + "<br/>".join(escape(inert.prose(line)) for line in text.split("\n")) + "</p>")


def references(text: str) -> dict[str, dict[str, str]]:
    """The addresses that ``text`` defines for links elsewhere in it (``[name]: address``)."""
    if "]:" not in text:
        return {}
    from markdown_it.common.utils import normalizeReference

    found: dict[str, dict[str, str]] = {}
    for match in _REFERENCE.finditer(text):
        href = _parser().normalizeLink(match[2])
        if _parser().validateLink(href):
            found.setdefault(normalizeReference(match[1]), {"href": href, "title": ""})
    return found


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
            case "formula_block":
                if self.lists:
                    self.lists[-1].fresh = False
                self.html.append(f'<p align="center">{_formula(token.content, display=True)}</p>')

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
        if "<img " in html or re.sub(r"<[^>]*>", "", html).strip():
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
                out.append(escape(inert.link(token.content)) if any(anchors) else _text(token.content))
            case "code_inline":
                out.append(f"<code>{escape(inert.code(token.content))}</code>")
            case "formula":
                out.append(_formula(token.content, token.meta["display"]))
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


def _formula(latex: str, display: bool) -> str:
    formula = Formula(latex, display)
    return formulas.image(formula) if formula.drawable else escape(inert.prose(formula.source))


def _image(token: Token, inside_link: bool) -> str:
    """An image is never loaded: where it is and its description stand for it, as a link where that is safe."""
    source = str(token.attrs.get("src", ""))
    label = escape(inert.link(token.content))
    host = _host(source)
    if inside_link or not host:
        return tr("[Image: {label}]").format(label=label or escape(inert.link(source[:80])))
    text = tr("[Image from {host} — show]")
    if label:
        text = tr("[Image from {host}: {label} — show]")
    return f'<a href="{escape(source)}" title="{escape(source)}">{text.format(host=escape(host), label=label)}</a>'


def _host(address: str) -> str:
    """The host of a safe address, else nothing."""
    if not address.lower().startswith(("http://", "https://")):
        return ""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _text(text: str) -> str:
    for box, mark in (("[ ] ", "☐ "), ("[x] ", "☑ "), ("[X] ", "☑ ")):
        if text.startswith(box):
            text = mark + text[len(box) :]
    text = inert.prose(text)
    out, end = [], 0
    for match in _BARE_URL.finditer(text) if "://" in text else ():
        url = escape(inert.link(match[0]))
        out += [escape(text[end : match.start()]), f'<a href="{url}" title="{url}">{url}</a>']
        end = match.end()
    html = _BREAK.sub("<br/>", "".join(out) + escape(text[end:]))
    return _NOTE.sub(r"<sup>\1</sup>", html) if "[^" in html else html
