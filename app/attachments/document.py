"""The text of PDF and DOCX files, page by page.  Runs in the child alone: see :mod:`app.attachments.extract`."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.attachments.kinds import ARCHIVE, SHEET, SLIDES, RefusedError
from app.translation import mark

if TYPE_CHECKING:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

Pages = Iterator[tuple[int, int, str]]
"""Number from 1 on, how many there are, and the text."""

LOCKED = mark("{name} is protected with a password: save a copy without one to attach it.")
SCANNED = mark("{name} holds pictures of its pages and no text: run text recognition (OCR) on it first.")
BROKEN = mark("{name} is damaged and cannot be read.")
BOMB = mark("{name} unpacks to far more than a document holds and is not opened.")
UNREADABLE = "[Page {number} could not be read.]"
"""What stands in the text for a page that is damaged, for the model and for whoever looks at the file."""
UNPACKED = 200 << 20
"""Bytes that a DOCX may unpack to."""


def pdf(path: Path) -> Pages:
    """Every page, also those without text; of a damaged one that it is."""
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise RefusedError(LOCKED)
        total = len(reader.pages)
        found = lost = False
        for number in range(1, total + 1):
            text = _page(reader, number - 1)
            found, lost = found or bool(text), lost or text is None
            yield number, total, UNREADABLE.format(number=number) if text is None else text
    except (FileNotDecryptedError, DependencyError):
        raise RefusedError(LOCKED) from None
    except PyPdfError:
        raise RefusedError(BROKEN) from None
    if not total:
        raise RefusedError(BROKEN)
    if not found:
        raise RefusedError(BROKEN if lost else SCANNED)


def _page(reader: Any, index: int) -> str | None:
    """One page; what is wrong with it is not wrong with the others: ``None``."""
    try:
        return str(reader.pages[index].extract_text()).strip()
    except (MemoryError, RecursionError):
        raise
    except Exception:  # a damaged page can make the library raise anything
        return None


def docx(path: Path) -> Pages:
    """Headings, paragraphs, lists and tables in their order, in Markdown's form.  One page: it has no others."""
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive)
    except (zipfile.BadZipFile, NotImplementedError):
        raise RefusedError(BROKEN) from None
    import docx as library
    from docx.table import Table

    parts: list[str] = []
    for block in library.Document(str(path)).iter_inner_content():
        parts.append(_table(block) if isinstance(block, Table) else _paragraph(block))
    text = "\n\n".join(filter(None, parts))
    yield 1, 1, text.replace("\n\n- ", "\n- ")


def _check(archive: zipfile.ZipFile) -> None:
    """RefusedError for what is no DOCX, or would fill the memory."""
    names = set(archive.namelist())
    if "word/document.xml" not in names:
        kinds = (("xl/workbook.xml", SHEET), ("ppt/presentation.xml", SLIDES))
        raise RefusedError(next((message for name, message in kinds if name in names), ARCHIVE))
    if any(info.flag_bits & 1 for info in archive.infolist()):
        raise RefusedError(LOCKED)
    if sum(info.file_size for info in archive.infolist()) > UNPACKED:
        raise RefusedError(BOMB)


def _paragraph(block: Paragraph) -> str:
    text = block.text.strip()
    style = (block.style.name if block.style is not None else "") or ""
    if not text:
        return ""
    if style.startswith("Heading") and style[-1].isdigit():
        return f"{'#' * int(style[-1])} {text}"
    if style == "Title":
        return f"# {text}"
    return f"- {text}" if style.startswith("List") else text


def _table(block: Table) -> str:
    rows = [[" ".join(cell.text.split()).replace("|", "\\|") for cell in row.cells] for row in block.rows]
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
