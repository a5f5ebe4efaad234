"""A model's page: what is shown of what strangers wrote, and how one gets at a gated model."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from pytestqt.qtbot import QtBot

from app.application import Services
from app.library import card_text, licences
from app.theme import Theme
from app.views.chat.message_body import MessageBody
from app.views.library.gated_steps import GatedSteps
from app.views.library.model_page import ModelPage
from tests.gui.chat_window import shown_text
from tests.gui.planned import shown
from tests.gui.window_services import ScriptedLibrary


@pytest.fixture
def models() -> tuple[str, ...]:
    return ()


@pytest.fixture
def page(qtbot: QtBot, theme: Theme, services: Services) -> ModelPage:
    page = ModelPage(theme, services)
    qtbot.addWidget(page)
    page.resize(900, 700)
    page.show()
    return page


def texts(page: ModelPage) -> str:
    QApplication.processEvents()  # what was added is shown
    return "\n".join(label.text() for label in page.findChildren(QLabel) if label.isVisibleTo(page))


def test_facts(page: ModelPage, listed: ScriptedLibrary) -> None:
    page.show_model("org/model", "Model")
    listed.shows[-1].done.emit(shown(native=True))
    words = texts(page)
    for part in ("Model", "llama", "135 M weights", "natively ternary", "Apache 2.0", "https://huggingface.co/org/model",
                 "You may use, change and share it for any purpose"):
        assert part in words
    fold = next(b for b in page.findChildren(QAbstractButton) if b.accessibleName().startswith("Files: 2"))
    assert "model.safetensors" not in words
    fold.click()
    assert "pytorch_model.bin" in texts(page)
    assert "not fetched" in texts(page)
    (body,) = page.findChildren(MessageBody)
    assert "It answers." in shown_text(body)


def test_what_cannot_be_converted_says_why(page: ModelPage, listed: ScriptedLibrary) -> None:
    page.show_model("org/model", "Model")
    listed.shows[-1].done.emit(shown(supported=False, why="the model family 'mamba' is not supported"))
    assert page.why.text() == "It cannot be converted: the model family 'mamba' is not supported."


def test_gated_access_is_explained_step_by_step(page: ModelPage, listed: ScriptedLibrary) -> None:
    page.show_model("org/model", "Model")
    listed.shows[-1].done.emit(shown(gated=True, access=False, licence="llama3.2"))
    (steps,) = page.findChildren(GatedSteps)
    words = texts(page)
    assert "1. Open https://huggingface.co/org/model in your browser" in words
    assert "2. Make a token" in words
    assert "3. Put it into the settings" in words
    wanted: list[str] = []
    page.page_wanted.connect(wanted.append)
    next(b for b in steps.findChildren(QAbstractButton) if b.accessibleName() == "Open the settings").click()
    assert wanted == ["settings"]
    next(b for b in steps.findChildren(QAbstractButton) if b.accessibleName() == "Try again").click()
    assert len(listed.shows) == 2
    listed.shows[-1].done.emit(shown(gated=True, access=True))
    assert not [steps for steps in page.findChildren(GatedSteps) if steps.isVisibleTo(page)]


@pytest.mark.parametrize(
    "message",
    ["cannot reach https://huggingface.co (timed out); check the connection", "there is no model a/b on the Hub"],
)
def test_no_answer_is_said(page: ModelPage, listed: ScriptedLibrary, message: str) -> None:
    page.show_model("a/b", "b")
    listed.shows[-1].failed.emit(message)
    assert page.why.text() == f"{message[0].upper()}{message[1:]}."
    listed.plans[-1].failed.emit(message)


@pytest.mark.parametrize("raw", [{}, {"id": "x"}, {"id": "x", "supported": True, "files": [{"name": 1}]}, [1]])
def test_half_an_answer_is_said(page: ModelPage, listed: ScriptedLibrary, raw: object) -> None:
    page.show_model("a/b", "b")
    listed.shows[-1].done.emit(raw)
    assert "cannot be read" in page.why.text()


HOSTILE = """---
# Head <script>alert(1)</script>
<div align="center"><img src="https://evil.example/pixel.png" onerror="x()"></div>
<iframe src="file:///etc/passwd"></iframe>
![remote](https://evil.example/x.png) [click](javascript:alert(1)) <style>* {display: none}</style>

```html
<b>code stays</b>
```
""" + "<a " * 5000 + ">" * 200 + "\n" + "> " * 3000 + "deep"


def test_a_hostile_card_is_text(page: ModelPage, listed: ScriptedLibrary) -> None:
    page.show_model("org/model", "Model")
    listed.shows[-1].done.emit(shown(card=HOSTILE, family="<b>bold</b>" * 50, licence="<img src=x>"))
    QApplication.processEvents()
    body = page.findChildren(MessageBody)[0]  # quotations have bodies of their own
    text = shown_text(body)
    assert "<b>code stays</b>" in text
    assert "iframe" not in text
    for view in body.findChildren(QLabel):
        assert "javascript:" not in view.text()
    html = "".join(getattr(view, "toHtml", str)() for view in body.views)
    assert "evil.example/pixel.png" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_cards_read_well_without_tags() -> None:
    card = "<!-- hidden\nlines -->\n<h1>Title</h1>\n\n\n\n\nText with 1 < 2 and a<b>.\n\n~~~\n<p>code</p>\n~~~\n"
    assert card_text.readable(card) == "Title\n\nText with 1 < 2 and a.\n\n~~~\n<p>code</p>\n~~~"
    assert card_text.readable("```\n<p>never closed") == "```\n<p>never closed"


def test_a_long_card_begins_and_goes_on_when_asked(page: ModelPage, listed: ScriptedLibrary) -> None:
    page.show_model("org/model", "Model")
    card = "\n\n".join(f"Paragraph {number}." for number in range(4000))
    listed.shows[-1].done.emit(shown(card=f"{card}\n\nThe end."))
    (body,) = page.findChildren(MessageBody)
    assert "The end." not in shown_text(body)
    next(b for b in page.findChildren(QAbstractButton) if b.accessibleName() == "Show all of it").click()
    assert "The end." in shown_text(body)


def test_a_cut_in_a_fence_closes_it() -> None:
    part, more = card_text.beginning("```\n" + "x\n" * card_text.SHOWN)
    assert more
    assert part.endswith("\n```")


@pytest.mark.parametrize(
    ("licence", "words"),
    [
        ("apache-2.0", "for any purpose"), ("Llama3.1", "700 million"), ("cc-by-nc-4.0", "no commercial use"),
        ("falcon-llm-license", "TII"), ("something-nc", "no commercial use"), ("", "no licence"),
        ("x", "licence of its own"),
    ],
)  # fmt: skip
def test_licences_in_one_sentence(licence: str, words: str) -> None:
    assert words in licences.explained(licence)
