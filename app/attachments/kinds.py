"""What kind of file it is, by its first bytes and its name, and its text where it is plain.  No Qt."""

from __future__ import annotations

import codecs
from pathlib import PurePath

from app.translation import mark

MARKDOWN = frozenset({"md", "markdown", "mdown", "mkd", "rmd", "qmd"})
_SUFFIXES = (
    "ada asm awk bash bat bib c cc cfg clj cmake coffee conf cpp cs css cu cuh cxx d dart diff el elm erl ex exs f90 "
    "fish fs go gradle groovy h hh hpp hs html hxx ini ipynb java jl js json jsonl jsx kt kts less lisp lua m make "
    "mjs ml mm nim nix pas patch php pl pm proto ps1 py pyi pyx r rb rs rst s sass scala scm scss sh sql svelte swift "
    "tcl tex tf toml ts tsx v vb vhd vue xml yaml yml zig zsh"
)
CODE = frozenset(_SUFFIXES.split())
CODE_NAMES = frozenset({"makefile", "dockerfile", "cmakelists.txt", ".gitignore", ".bashrc", "jenkinsfile"})
SAMPLE = 1 << 16
"""Bytes that are looked at."""

NO_TEXT = mark("{name} is not text: pictures, sound, programs and archives cannot be read.")
SHEET = mark("{name} is a spreadsheet: save it as CSV to attach it.")
SLIDES = mark("{name} holds slides: save them as PDF to attach them.")
OLD_WORD = mark("{name} is in the old Word format: save it as .docx or PDF to attach it.")
RICH = mark("{name} is in the rich text format: save it as .docx, PDF or plain text to attach it.")
ARCHIVE = mark("{name} is an archive: unpack it and attach the files in it.")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_HARMLESS = frozenset(b"\t\n\r\f\b\x1b")
"""Control characters that text can hold (ESC: colours of a terminal)."""


class RefusedError(Exception):
    """The file cannot be attached.  The message is one sentence, marked for translation, with ``{name}`` in the
    file's place, and ``values`` for what else it has places for: the window, which knows the language, fills it in."""

    def __init__(self, message: str, **values: str) -> None:
        super().__init__(message)
        self.values = values


def kind_of(name: str, head: bytes) -> str:
    """``"pdf"``, ``"zip"`` (perhaps a DOCX), ``"markdown"``, ``"code"`` or ``"text"``; RefusedError for others."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise RefusedError(OLD_WORD if _suffix(name) == "doc" else NO_TEXT)
    if head.startswith(b"{\\rtf"):
        raise RefusedError(RICH)
    if encoding_of(head) is None:
        raise RefusedError(NO_TEXT)
    return kind_by_name(name)


def kind_by_name(name: str) -> str:
    """``"markdown"``, ``"code"`` or ``"text"``."""
    suffix = _suffix(name)
    if suffix in MARKDOWN:
        return "markdown"
    return "code" if suffix in CODE or PurePath(name).name.lower() in CODE_NAMES else "text"


def encoding_of(head: bytes) -> str | None:
    """The encoding of a text that begins so; None for what is no text.

    UTF-8 before all others; UTF-16 also without its mark, where every other byte of it is zero; else Windows-1252,
    which is Latin-1 with quotation marks, unless there are control characters that no text has.
    """
    for bom, encoding in _BOMS:
        if head.startswith(bom):
            return encoding
    if b"\0" in head:
        return _utf16(head)
    if any(byte < 32 and byte not in _HARMLESS for byte in head):
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _utf16(head: bytes) -> str | None:
    even, odd = head[0::2], head[1::2]
    for zeros, others, encoding in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if zeros and zeros.count(0) > 0.6 * len(zeros) and others.count(0) < 0.05 * len(others):
            return encoding
    return None


def _suffix(name: str) -> str:
    return PurePath(name).suffix.lower().lstrip(".")
