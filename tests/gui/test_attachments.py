"""Files that are attached: what is read of them by the real child, and what is said of those that cannot be."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pypdf
import pytest
from pytestqt.qtbot import QtBot

from app.attachments import document, extract, kinds
from app.attachments.kinds import RefusedError
from app.attachments.pending import EXTRACT, PendingAttachment, PendingAttachments, pages_of
from app.child import Child
from app.history.history import Attachment
from tests.gui.window_services import ScriptedReply


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page; none for an empty one."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for at, text in enumerate(pages):
        stream = f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects.append(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
            f"/Contents {5 + 2 * at} 0 R>>"
        )
        objects.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    body, places = "%PDF-1.4\n", []
    for number, one in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj{one}endobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    return (
        f"{body}xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Root 1 0 R/Size {size}>>\n"
        f"startxref\n{len(body)}\n%%EOF\n"
    ).encode()


def locked() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter()
    writer.append(PdfReader(io.BytesIO(pdf("Secret"))))
    writer.encrypt("word", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def docx() -> bytes:
    import docx as library

    document = library.Document()
    document.add_heading("Cats", 1)
    document.add_paragraph("They purr.")
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Bullet")
    table = document.add_table(2, 2)
    for at, text in enumerate(("a", "b|c", "1", "2")):
        table.cell(at // 2, at % 2).text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return out.getvalue()


def read(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Kind and text, or ``"error"`` and the sentence; in this process, without the limits."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extract, "limit", lambda: None)
        extract.main(path)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    if events[-1]["event"] == "error":
        return "error", events[-1]["message"].format(name=path.name, **events[-1]["values"])
    assert events[-1]["event"] == "done"
    assert events[0]["bytes"] == path.stat().st_size
    return events[0]["kind"], "".join(event["text"] for event in events if event["event"] == "text")


@pytest.mark.parametrize(
    ("name", "data", "kind", "text"),
    [
        ("a.txt", b"plain\r\ntext", "text", "plain\ntext"),
        ("a", "naïve — señor".encode(), "text", "naïve — señor"),
        ("a.txt", b"\xef\xbb\xbfmarked", "text", "marked"),
        ("a.txt", "\ufeffwide é".encode("utf-16-le"), "text", "wide é"),
        ("a.txt", "plain wide text".encode("utf-16-be"), "text", "plain wide text"),
        ("a.txt", "Grüße “oft”".encode("cp1252"), "text", "Grüße “oft”"),
        ("a.txt", b"a" * kinds.SAMPLE + b"\xe9", "text", "a" * kinds.SAMPLE + "é"),
        ("README.md", b"# Hi", "markdown", "# Hi"),
        ("main.rs", b"fn main() {}", "code", "fn main() {}"),
        ("Makefile", b"all:\n\techo", "code", "all:\n\techo"),
        ("log.txt", b"\x1b[31mred\x1b[0m", "text", "\x1b[31mred\x1b[0m"),
        ("a.pdf", pdf("First page", "", "Third page"), "pdf", "First pageThird page"),
        ("wrong-name.txt", pdf("Still a PDF"), "pdf", "Still a PDF"),
        ("a.docx", docx(), "docx", "# Cats\n\nThey purr.\n- one\n- two\n\n| a | b\\|c |\n| --- | --- |\n| 1 | 2 |"),
    ],
)
def test_what_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, kind: str, text: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert read(path, capsys) == (kind, text)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.txt", b"", "a.txt is empty."),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a.png is not text"),
        ("a.txt", b"abc" * kinds.SAMPLE + b"\0\1\2\xff", "a.txt is not text"),
        ("a.bin", bytes(range(256)), "a.bin is not text"),
        ("a.pdf", locked(), "a.pdf is protected with a password"),
        ("a.pdf", pdf("", ""), "a.pdf holds pictures of its pages and no text"),
        ("a.pdf", b"%PDF-1.7\n" + b"garbage " * 99, "a.pdf is damaged"),
        ("a.pdf", pdf("Cut off")[:150], "a.pdf is damaged"),
        ("a.docx", docx()[:3000], "a.docx is damaged"),
        ("a.docx", archive(word__document_xml=b"<not><xml>"), "a.docx is damaged"),
        ("a.docx", archive(word__document_xml=bytes(201 << 20)), "a.docx unpacks to far more"),
        ("a.xlsx", archive(xl__workbook_xml=b"x"), "a.xlsx is a spreadsheet"),
        ("a.pptx", archive(ppt__presentation_xml=b"x"), "a.pptx holds slides"),
        ("a.zip", archive(x=b"x"), "a.zip is an archive"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1", "a.doc is in the old Word format"),
        ("a.rtf", b"{\\rtf1 Hi}", "a.rtf is in the rich text format"),
        ("a.txt", b"word " * 1_300_000, "a.txt holds more text than any model reads"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    kind, said = read(path, capsys)
    assert kind == "error"
    assert said.startswith(sentence)
    assert said.endswith(".")
    assert "\n" not in said


def test_folders_and_what_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read(tmp_path, capsys)[1] == f"{tmp_path.name} is a folder: attach the files in it."
    assert read(tmp_path / "gone", capsys)[1] == "gone is not there any more, or it is no file."


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of address space is Linux's")
def test_the_child_has_a_limit_of_memory(tmp_path: Path) -> None:
    code = "import app.attachments.extract as e; e.MEMORY = 300 << 20; e.limit(); bytearray(600 << 20)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr


def test_pages_are_chosen() -> None:
    assert pages_of("", 3) == [0, 1, 2]
    assert pages_of("2-3, 1", 3) == [1, 2, 0]
    for wrong in ("x", "0", "3-2", "1-4", "1-"):
        with pytest.raises(ValueError, match="ages"):
            pages_of(wrong, 3)


Counts = list[tuple[str, ScriptedReply]]


@pytest.fixture
def counts() -> Counts:
    return []


@pytest.fixture
def pending(qtbot: QtBot, home: Path, counts: Counts) -> PendingAttachments:
    def count(text: str) -> ScriptedReply:
        counts.append((text, ScriptedReply()))
        return counts[-1][1]

    return PendingAttachments(count)  # type: ignore[arg-type]


def gone(child: Child) -> bool:
    """Its process has ended; it may have been deleted since."""
    try:
        return child.pid == 0
    except RuntimeError:
        return True


def wait(qtbot: QtBot, ready: Callable[[], bool]) -> None:
    qtbot.waitUntil(ready, timeout=30_000)


def test_a_file_is_read_by_a_child_and_counted(
    qtbot: QtBot, tmp_path: Path, pending: PendingAttachments, counts: Counts
) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf("One", "Two", "Three"))
    pending.add_file(path)
    assert pending.reading
    wait(qtbot, lambda: not pending.reading)
    [item] = pending.items
    assert (item.kind, item.paged, len(item.pages)) == ("pdf", True, 3)
    assert [text for text, _ in counts] == ["One\n\nTwo\n\nThree"]
    counts[0][1].done.emit(12)
    assert item.tokens == 12
    item.take_pages("2-3")
    assert counts[1][0] == "Two\n\nThree"
    counts[1][1].done.emit(8)
    assert pending.ready == [
        Attachment(0, "a.pdf (pages 2-3)", "pdf", path.stat().st_size, "Two\n\nThree", 8)
    ]


def test_a_count_of_other_pages_is_not_taken(pending: PendingAttachments, counts: Counts) -> None:
    item = pending.add_text("x" * 100, "pasted.txt")
    assert item is not None
    item.pages = ["one", "two"]
    item.take_pages("1")
    counts[0][1].done.emit(99)  # of the whole
    assert item.tokens == -1
    assert counts[1][0] == "one"


def test_what_cannot_be_read_is_said_and_gone(qtbot: QtBot, tmp_path: Path, pending: PendingAttachments) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\0\0")
    with qtbot.waitSignal(pending.refused, timeout=30_000) as said:
        pending.add_file(tmp_path / "a.png")
    assert said.args is not None
    assert said.args[0].startswith("a.png is not text")
    assert pending.items == []


def test_a_child_that_dies_or_hangs(qtbot: QtBot, tmp_path: Path) -> None:
    died = PendingAttachment.of_file(tmp_path / "a.pdf", (sys.executable, "-c", "import os; os._exit(9)"))
    wait(qtbot, lambda: died.state == "failed")
    assert died.message == "a.pdf cannot be read: it took too much memory or is damaged."
    hangs = PendingAttachment.of_file(tmp_path / "a.pdf", (sys.executable, "-c", "import time; time.sleep(99)"))
    child = hangs._child
    assert child is not None
    wait(qtbot, lambda: child.pid > 0)
    hangs._patience.timeout.emit()
    assert "takes too long" in hangs.message
    wait(qtbot, lambda: gone(child))


def test_removing_one_ends_its_child(qtbot: QtBot, tmp_path: Path, home: Path) -> None:
    pending = PendingAttachments(lambda _: None, (sys.executable, "-c", "import time; time.sleep(99)"))
    pending.add_file(tmp_path / "a.pdf")
    [item] = pending.items
    child = item._child
    assert child is not None
    wait(qtbot, lambda: child.pid > 0)
    pending.remove(item)
    wait(qtbot, lambda: gone(child))
    assert pending.items == []
    assert EXTRACT[-1] == "app.attachments.extract"


def test_a_damaged_page_is_named_and_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = pypdf.PdfWriter()
    for _ in range(3):
        writer.add_blank_page(200, 200)
    writer.write(tmp_path / "three.pdf")
    texts: list[str | Exception] = ["one", ValueError("damaged"), "three"]

    def text_of(page: object) -> str:
        said = texts.pop(0)
        if isinstance(said, Exception):
            raise said
        return said

    monkeypatch.setattr(pypdf.PageObject, "extract_text", text_of)
    pages = [text for _, _, text in document.pdf(tmp_path / "three.pdf")]
    assert pages == ["one", "[Page 2 could not be read.]", "three"]
    texts[:] = [ValueError("damaged")] * 3
    with pytest.raises(RefusedError, match="damaged"):
        list(document.pdf(tmp_path / "three.pdf"))
