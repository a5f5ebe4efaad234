"""Whatever a model writes or a clipboard holds is inert, and takes a time that does not depend on how it is meant."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QMessageBox, QPlainTextEdit, QTextEdit
from pytestqt.qtbot import QtBot

from app.text import inert
from app.text.markdown import Block, Prose, Quote, Table, parse
from app.text.stream import LONGEST, Stream, pieces
from app.views.chat.code_view import LONGEST_LINE, CodeView
from app.views.chat.links import obvious, open_address, shown_address
from app.views.chat.message_body import MessageBody
from app.views.chat.rich_text import RichText
from app.views.main_window import MainWindow
from tests.gui.chat_window import ask, last_answer, shown_text
from tests.gui.window_services import ScriptedClient

HOSTILE = {
    "html": "<script>alert(1)</script><style>*{display:none}</style><iframe src='https://evil.example'></iframe>\n\n"
    "<img src=x onerror=alert(1)> <b>bold</b> &lt;b&gt;\n",
    "data image": "![x](data:image/png;base64,iVBORw0KGgo=) ![y](file:///etc/passwd) ![z](https://evil.example/p.png)",
    "links": "[a](javascript:alert(1)) [b](data:text/html,x) [c](file:///etc/passwd) [d](JaVaScRiPt:x) <vbscript:x>",
    "quotes": ">" * 100_000 + " deep",
    "spaced quotes": "> " * 100_000 + "deep",
    "lists": "- " * 100_000 + "deep",
    "indented lists": "\n".join("  " * level + "- item" for level in range(300)),
    "table": "|" + "a|" * 100 + "\n|" + "-|" * 100 + "\n" + ("|" + "b|" * 100 + "\n") * 1000,
    "one line": "x" * 1_000_000,
    "code line": "```\n" + "y" * 1_000_000 + "\n```\n",
    "zero width": "a\u200bb\u202ec\u2066d\u2069 \ufeff " * 2000,
    "fences": "```\n~~~\n```` \n`````\n" * 500,
    "ansi": "\x1b[31mred\x1b[0m \x07\x08 \x9b31m " * 500,
    "nul": "a\x00b\x00" * 2000,
    "brackets": "[" * 50_000 + "![" * 30_000 + "](" * 20_000,
    "stars": "*a **b _c " * 10_000,
    "dollars": "$a $$b \\(c \\[d " * 8000,
    "braces": "$" + "{" * 900 + "x" + "}" * 900 + "$ $$\\frac{" * 200,
    "backticks": "`a ``b ```c " * 8000,
    "entities": "&#0;&#x202e;&lt;script&gt;&" * 4000,
    "short lines": "a\n" * 50_000,
    "references": "\n".join(f"[r{n}]: https://example.org/{n}" for n in range(3000)),
}


def every(blocks: tuple[Block, ...]) -> list[str]:
    """The HTML of all blocks."""
    html = []
    for block in blocks:
        if isinstance(block, Prose):
            html.append(block.html)
        elif isinstance(block, Table):
            html += [*block.header, *(cell for row in block.rows for cell in row)]
        elif isinstance(block, Quote):
            html += every(block.blocks)
    return html


@pytest.mark.parametrize("name", HOSTILE)
def test_parsing_is_bounded_and_yields_nothing_active(name: str) -> None:
    text = HOSTILE[name]
    parts = pieces(text)
    fenced = name in ("code line", "fences")
    assert fenced or max(map(len, parts)) <= 2 * LONGEST  # so nothing that is parsed or laid out at once is large
    assert sum(map(len, parts)) >= len(text.rstrip()) - 2
    allowed = re.compile(r"</?(p|b|i|s|ul|ol|li|h\d|br|code|a|sup|img)( [^<>]*)?/?>")
    took = 0.0
    for part in [*parts[:12], *parts[-2:]]:
        began = time.thread_time()
        blocks = parse(part)
        took = max(took, time.thread_time() - began)
        for html in every(blocks):
            for tag in re.findall(r"<[^>]*>", html):
                assert allowed.fullmatch(tag), tag
            for address in re.findall(r'(?:href|src)="([^"]*)"', html):
                assert unescape(address).lower().startswith(("http://", "https://", "mailto:", "formula:"))
    assert took < 2.0, "seconds for one piece of at most some thousand characters"


@pytest.mark.parametrize("name", ["quotes", "brackets", "table", "one line", "fences", "dollars"])
def test_streaming_costs_the_same_at_the_end_as_at_the_beginning(name: str) -> None:
    stream = Stream()
    text = HOSTILE[name][:40_000]
    for at in range(0, len(text), 400):
        stream.advance(text[at : at + 400])
        if name != "fences":
            assert len(stream.rest) <= 3 * LONGEST
    assert len(stream.text) == len(text)


@pytest.mark.parametrize("name", HOSTILE)
def test_every_text_is_shown_by_inert_widgets(qtbot: QtBot, window: MainWindow, name: str) -> None:
    body = MessageBody(window.theme, lazy=True)
    qtbot.addWidget(body)
    body.resize(700, 500)
    body.set_text(HOSTILE[name])
    body.fit(700)
    body.realise(0, 900)
    body.fit(700)
    assert body.views or name == "references"
    for edit in [*body.findChildren(QTextEdit), *body.findChildren(QPlainTextEdit)]:
        assert edit.isReadOnly()
        shown = edit.toPlainText()
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", shown)
        assert max(map(len, shown.split("\n")), default=0) <= 2 * max(LONGEST, LONGEST_LINE)
        if isinstance(edit, RichText):
            assert edit.loadResource(2, "https://evil.example/p.png") is None


def test_html_is_text(qtbot: QtBot, window: MainWindow, client: ScriptedClient) -> None:
    ask(qtbot, window, "attack")
    client.stream.answer(HOSTILE["html"])
    shown = shown_text(last_answer(window))
    assert "<script>alert(1)</script>" in shown
    assert "<iframe src='https://evil.example'></iframe>" in shown
    assert "<b>bold</b>" in shown


def test_what_is_hidden_in_code_is_shown_and_copied_as_it_was(qtbot: QtBot, window: MainWindow) -> None:
    body = MessageBody(window.theme)
    qtbot.addWidget(body)
    body.set_text("```python\nif admin:\u202e # \u2066check\u2069\n```")
    view = body.findChild(CodeView)
    assert view is not None
    assert view.text == "if admin:\u202e # \u2066check\u2069"
    assert view._edit.toPlainText() == "if admin:[U+202E] # [U+2066]check[U+2069]"


def test_a_link_says_where_it_leads(qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    assert obvious("https://example.org/a", "example.org/a")
    assert not obvious("https://evil.example/", "https://example.org/")
    assert not obvious("https://ex\u0430mple.org/", "https://ex\u0430mple.org/"), "a Cyrillic letter"
    assert shown_address("https://ex\u0430mple.org/x").startswith("https://xn--")
    open_address(window, "javascript:alert(1)", "javascript:alert(1)")
    open_address(window, "https://evil.example/", "https://example.org/")
    assert opened == []
    dialog = window.findChild(QMessageBox, "linkDialog")
    assert dialog is not None
    assert dialog.informativeText() == "https://evil.example/"
    dialog.reject()
    assert opened == []
    html = every(parse("[exam\u202egro.elp\u200b](https://evil.example/)"))[0]
    assert ">examgro.elp</a>" in html


def test_controls_are_visible() -> None:
    assert inert.prose("a\x1b[1m\x00\x9b") == "a\u241b[1m\u2400[U+009B]"
    assert inert.prose("שלום \u200f(a)") == "שלום \u200f(a)", "marks that right-to-left text needs stay"
    assert inert.code("a\u200bb") == "a[U+200B]b"


def test_ten_megabytes_are_folded_and_then_laid_out_in_steps(
    qtbot: QtBot, window: MainWindow, client: ScriptedClient
) -> None:
    text = "A line of a very long log that somebody pasted.\n" * 220_000
    window.chat.send(text)
    view = window.chat.messages.views[0]
    assert view.folded  # type: ignore[attr-defined]
    assert view.height() < 1500
    view.unfold()  # type: ignore[attr-defined]
    qtbot.waitUntil(lambda: view.height() > 500_000)
    qtbot.waitUntil(lambda: window.chat.messages.complete)
    assert len(view.body.units) > 2000
    assert len(view.body.views) < 40
    client.stream.answer("Done")
