"""Source code as coloured spans: Pygments tokens reduced to a few roles.  No Qt here.

Lexing is a generator, so that a caller can take as much as its time budget allows.  Importing
a lexer takes tens of milliseconds; ``ready`` therefore never imports: it says whether the lexer
is there and otherwise has a thread fetch it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import NamedTuple

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Generic, Keyword, Literal, Name, Number, Operator, String, Token
from pygments.util import ClassNotFound

ROLES = ("keyword", "string", "number", "comment", "function", "type", "operator", "inserted", "deleted")
"""Every role a span can have; a theme gives each a colour."""

_COMMON = ("python", "bash", "json", "javascript", "html", "css", "c", "cpp", "rust", "java", "sql", "yaml")

_ROLE_OF = {
    Comment: "comment",
    Keyword: "keyword",
    Keyword.Constant: "number",
    Keyword.Type: "type",
    Operator.Word: "keyword",
    Operator: "operator",
    String: "string",
    Number: "number",
    Literal: "number",
    Name.Function: "function",
    Name.Decorator: "function",
    Name.Class: "type",
    Name.Exception: "type",
    Name.Builtin: "type",
    Name.Builtin.Pseudo: "keyword",
    Name.Tag: "keyword",
    Name.Attribute: "function",
    Generic.Inserted: "inserted",
    Generic.Deleted: "deleted",
    Generic.Heading: "keyword",
    Generic.Subheading: "type",
    Error: "",
    Token: "",
}


class Span(NamedTuple):
    """Characters ``start`` to ``start + length`` of the text have the role ``role``."""

    start: int
    length: int
    role: str


_lexers: dict[str, Lexer | None] = {}
_asked: set[str] = set()
_lock = threading.Lock()


def fetch(language: str) -> None:
    """Import and compile the lexer of ``language`` here and now.  Unknown languages have none."""
    try:
        found: Lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        for _ in found.get_tokens_unprocessed("x = 1\n"):  # compiles its expressions
            pass
        lexer: Lexer | None = found
    except ClassNotFound:
        lexer = None
    with _lock:
        _lexers[language] = lexer


def ready(language: str) -> bool:
    """Whether :func:`spans` can go ahead; if not, a thread is fetching the lexer: ask again later."""
    language = language.lower()
    with _lock:
        if language in _lexers or not language:
            return True
        if language in _asked:
            return False
        _asked.add(language)
    threading.Thread(target=fetch, args=(language,), name=f"lexer-{language}", daemon=True).start()
    return False


def warm() -> None:
    """Fetch the lexers of the most common languages in one thread of low urgency."""

    def work() -> None:
        for language in _COMMON:
            with _lock:
                known = language in _lexers or language in _asked
                _asked.add(language)
            if not known:
                fetch(language)

    threading.Thread(target=work, name="lexers", daemon=True).start()


def spans(code: str, language: str) -> Iterator[Span]:
    """Coloured spans of ``code`` in order; characters in none have the plain text colour.

    A language that is unknown, or not yet :func:`ready`, gives none.
    """
    with _lock:
        lexer = _lexers.get(language.lower())
    if lexer is None:
        return
    for start, token, text in lexer.get_tokens_unprocessed(code):
        while token not in _ROLE_OF:
            token = token.parent
        if (role := _ROLE_OF[token]) and text.strip():
            yield Span(start, len(text), role)
