"""Blocks as plain text: for copying without marks, for finding, for what reads aloud.  No Qt here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from app.text.formulas import IMAGE, sources
from app.text.markdown import Block, Code, Prose, Quote, Table

_ITEM = re.compile(r"<li>")
_LINE = re.compile(r"<br/>|</p>|</h\d>|</li>|<ul>|<ol[^>]*>")
_TAG = re.compile(r"<[^>]*>")


def from_html(html: str, formulas: bool = True) -> str:
    """The text of a block's HTML.  ``formulas``: as their source, else as the sign that stands for a picture."""
    html = sources(html) if formulas else IMAGE.sub("\ufffc", html)
    html = _LINE.sub("\n", _ITEM.sub("\n- " if formulas else "\n", html))
    return re.sub(r"\n{2,}", "\n", unescape(_TAG.sub("", html))).strip("\n")


def of_block(block: Block, formulas: bool = True) -> str:
    """The text of one block."""
    match block:
        case Prose():
            return from_html(block.html, formulas)
        case Code():
            return block.text
        case Table():
            rows = (block.header, *block.rows)
            return "\n".join("\t".join(from_html(cell, formulas) for cell in row) for row in rows)
        case Quote():
            return of_blocks(block.blocks, formulas)
    return ""


def of_blocks(blocks: Sequence[Block], formulas: bool = True) -> str:
    """The text of several, an empty line between them."""
    return "\n\n".join(filter(None, (of_block(block, formulas) for block in blocks)))
