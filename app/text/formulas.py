"""LaTeX in Markdown: where a formula begins and ends.  No Qt here, and nothing is drawn.

Recognised are ``$…$``, ``$$…$$``, ``\\(…\\)`` and ``\\[…\\]``.  Prices stay what they are: a dollar opens a formula
only where no space follows it, and closes one only where no space stands before it and no digit or letter behind.
A formula that is not closed is text.

A formula stands in the HTML of a block as a picture whose address holds its source; what shows the block draws it,
or writes the source where it cannot be drawn.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

LONGEST = 2000
"""Characters of the longest formula that is drawn."""
DEEPEST = 24
"""Braces within one another, at most."""

_SCHEME = "formula:"
IMAGE = re.compile(r'<img src="(formula:[^"]*)"/>')
"""A formula in a block's HTML."""
_DELIMITERS = (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))


class Formula(NamedTuple):
    """``display``: on a line of its own, in the larger style."""

    latex: str
    display: bool

    @property
    def source(self) -> str:
        """As it can be written in Markdown."""
        return f"$${self.latex}$$" if self.display else f"${self.latex}$"

    @property
    def drawable(self) -> bool:
        """Neither so long nor so deep that drawing it is asking for trouble."""
        return bool(self.latex.strip()) and len(self.latex) <= LONGEST and _depth(self.latex) <= DEEPEST


def image(formula: Formula) -> str:
    """The HTML that stands for ``formula``."""
    return f'<img src="{escape(address(formula))}"/>'


def address(formula: Formula) -> str:
    """The source of ``formula`` as the address of a picture."""
    return f"{_SCHEME}{'d' if formula.display else 'i'}:{quote(formula.latex, safe='')}"


def formula_of(address: str) -> Formula | None:
    """The formula that a picture's address holds; ``None`` for any other address."""
    if not address.startswith(_SCHEME):
        return None
    style, _, latex = address[len(_SCHEME) :].partition(":")
    return Formula(unquote(latex), style == "d")


def sources(html: str) -> str:
    """``html`` with every formula as its source."""
    return IMAGE.sub(lambda found: escape(_formula(found).source), html)


def _formula(found: re.Match[str]) -> Formula:
    formula = formula_of(found[1])
    assert formula is not None
    return formula


def _depth(latex: str) -> int:
    deepest = depth = 0
    for character in latex:
        depth += (character == "{") - (character == "}")
        deepest = max(deepest, depth)
    return deepest


def install(parser: MarkdownIt) -> None:
    """Teach ``parser`` the tokens ``formula`` (``content``, ``meta["display"]``), in lines and as blocks."""
    parser.inline.ruler.before("escape", "formula", _inline_rule)
    parser.block.ruler.before(
        "fence", "formula_block", _block_rule, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )


def _inline_rule(state: StateInline, silent: bool) -> bool:
    text, start, end = state.src, state.pos, state.posMax
    if text[start] not in "$\\":
        return False
    for opening, closing, display in _DELIMITERS:
        if not text.startswith(opening, start):
            continue
        begin = start + len(opening)
        close = _closing(text, begin, min(end, begin + LONGEST), closing)
        if close < 0 or not text[begin:close].strip() or (opening == "$" and not _like_math(text, begin, close)):
            continue
        if not silent:
            token = state.push("formula", "", 0)
            token.content = text[begin:close].strip()
            token.meta = {"display": display}
        state.pos = close + len(closing)
        return True
    return False


def _closing(text: str, begin: int, end: int, closing: str) -> int:
    """Where ``closing`` stands unescaped, or −1."""
    at = text.find(closing, begin, end)
    while at >= 0:
        backslashes = at - len(text[begin:at].rstrip("\\")) - begin
        if closing[0] != "$" or backslashes % 2 == 0:
            return at
        at = text.find(closing, at + 1, end)
    return -1


def _like_math(text: str, begin: int, close: int) -> bool:
    after = text[close + 1 : close + 2]
    before = text[begin - 2 : begin - 1] if begin > 1 else ""
    inside = text[begin:close]
    return not (inside[0].isspace() or inside[-1].isspace() or after.isalnum() or before.isalnum() or "`" in inside)


def _block_rule(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    if state.is_code_block(first):
        return False
    begin, end = state.bMarks[first] + state.tShift[first], state.eMarks[first]
    opening = state.src[begin : begin + 2]
    if opening not in ("$$", "\\["):
        return False
    closing = "$$" if opening == "$$" else "\\]"
    lines: list[str] = []
    rest = state.src[begin + 2 : end]
    line = first
    while True:
        if closing in rest:
            inside, _, behind = rest.partition(closing)
            if behind.strip(" .,;") or (not inside.strip() and not lines):
                return False
            lines.append(inside)
            break
        lines.append(rest)
        line += 1
        if line >= last or state.isEmpty(line):  # an empty line ends a formula, as it does in LaTeX
            return False
        rest = state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
    if silent:
        return True
    state.line = line + 1
    token = state.push("formula_block", "", 0)
    token.block = True
    token.content = "\n".join(lines).strip()
    token.map = [first, state.line]
    return True
