"""A receipt in words: from any file there may be, with answers side by side that are shown and never interpreted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QBoxLayout, QLabel
from pytestqt.qtbot import QtBot

from app.jobs import receipt as receipts
from app.jobs.receipt import Receipt, Sample
from app.theme import Theme
from app.views.library.receipt_view import ReceiptView, figures, origin
from app.views.library.sample_texts import AnswerText, SampleTexts, differing

WHOLE: dict[str, Any] = {
    "id": "starter:t2",
    "source": {"id": "starter", "revision": "abcdef0123456789", "licence": "apache-2.0"},
    "encoding": "t2",
    "created": "2026-11-29T01:09:14+00:00",
    "program": "0.1.0",
    "device": "the CPU",
    "seconds": 449.4,
    "bits_per_weight": 3.36,
    "quality": {
        "perplexity": 35.3, "original_perplexity": 30.1, "kl_mean": 0.05, "top1": 0.86, "tokens": 1533.0,
        "samples": [{"question": "Why?", "original": "Because it is so.", "converted": "Because it was so."}],
    },
}  # fmt: skip


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


def written(folder: Path, value: object) -> Path:
    (folder / "receipt.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def words(view: ReceiptView) -> str:
    return "\n".join(found.text() for found in view.findChildren(QLabel) if found.isVisibleTo(view))


def test_a_whole_receipt_is_read_and_shown(qtbot: QtBot, theme: Theme, tmp_path: Path) -> None:
    receipt = receipts.read(written(tmp_path, WHOLE))
    assert receipt is not None
    assert receipt.verdict == ("Nearly as good as the original.", "good")
    view = ReceiptView(theme, receipt)
    qtbot.addWidget(view)
    view.resize(800, 600)
    view.show()
    text = words(view)
    said_all = (
        "Nearly as good", "86 %", "0.050", "35.30", "+17 %", "1\u202f533 tokens", "starter@abcdef012345", "Why?",
    )  # fmt: skip
    for said in said_all:
        assert said in text
    assert not view._measure.isVisible()
    assert [answer.toPlainText() for answer in view.findChildren(AnswerText)] == [
        "Because it is so.", "Because it was so."
    ]


@pytest.mark.parametrize(
    ("kl", "sentence", "tone"),
    [
        (0.01, "Hardly distinguishable", "good"), (0.05, "Nearly as good", "good"), (0.2, "Close to", "good"),
        (0.23, "Noticeably weaker", "fair"), (0.9, "Far from", "bad"),
    ],
)  # fmt: skip
def test_the_sentence_follows_the_divergence(kl: float, sentence: str, tone: str) -> None:
    said, how = Receipt("x", kl=kl).verdict
    assert said.startswith(sentence)
    assert how == tone


def test_models_without_a_comparison() -> None:
    assert Receipt("x", lossless=True).verdict[1] == "good"
    assert Receipt("x", encoding="f16").verdict[1] == "good"
    assert Receipt("x").verdict == ("How near it is to the original has not been measured yet.", "")
    assert figures(Receipt("x")) == []
    assert origin(Receipt("x")) == []


def test_what_is_not_measured_can_be(qtbot: QtBot, theme: Theme, tmp_path: Path) -> None:
    old = {**WHOLE, "quality": {"kl_mean": 0.228, "top1": 0.74, "perplexity": 35.0}}
    receipt = receipts.read(written(tmp_path, old))
    assert receipt is not None
    assert receipt.kl == 0.228
    view = ReceiptView(theme, receipt)
    qtbot.addWidget(view)
    view.show()
    assert view._measure.isVisible()
    with qtbot.waitSignal(view.measure_wanted):
        view._measure.click()
    view.show_receipt(receipt, measuring=True)
    assert not view._measure.isVisible()
    assert "being measured now" in words(view)
    view.show_receipt(None)
    assert "cannot be read" in words(view)
    assert not view._measure.isVisible()


def test_why_the_original_was_not_asked_is_said(qtbot: QtBot, theme: Theme) -> None:
    skipped = Receipt("x", kl=0.1, samples=(Sample("Why?", None, "So."),), skipped="The original takes 140 GB.")
    view = ReceiptView(theme, skipped)
    qtbot.addWidget(view)
    view.show()
    assert "The original takes 140 GB." in words(view)
    assert [answer.toPlainText() for answer in view.findChildren(AnswerText)] == ["So."]


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{", '"x"', '{"quality": 3, "source": []}',
        '{"quality": {"kl_mean": "x", "top1": NaN, "samples": 3}}',
        '{"quality": {"kl_mean": -1, "tokens": 1e400, "samples": [3, {}, {"question": 1, "converted": "x"}]}}',
        '{"id": ["x"], "seconds": true, "quality": {"samples": [{"question": "q", "converted": "c", "original": 5}]}}',
    ],
)  # fmt: skip
def test_any_file_is_read_without_harm(qtbot: QtBot, theme: Theme, tmp_path: Path, content: str) -> None:
    (tmp_path / "receipt.json").write_text(content)
    view = ReceiptView(theme, receipts.read(tmp_path))
    qtbot.addWidget(view)
    view.show()
    assert view.verdict


def test_there_may_be_no_file(tmp_path: Path) -> None:
    assert receipts.read(tmp_path) is None


def test_hostile_answers_are_text(qtbot: QtBot, theme: Theme) -> None:
    hostile = '<img src="http://127.0.0.1:1/x"><b>bold</b> <script>x</script>'
    shown = SampleTexts(theme, Sample("<h1>q</h1>", hostile, hostile + " more"))
    qtbot.addWidget(shown)
    shown.show()
    assert [text.toPlainText() for text in shown.findChildren(AnswerText)] == [hostile, hostile + " more"]
    assert any(found.text() == "<h1>q</h1>" for found in shown.findChildren(QLabel))


def test_differences_are_marked_by_words() -> None:
    left, right = differing("The sea is blue and deep.", "The sea was blue.")
    assert "".join(text for text, _ in left) == "The sea is blue and deep."
    assert "".join(text for text, _ in right) == "The sea was blue."
    assert ("is", True) in left
    assert ("was", True) in right
    assert not any(differs for text, differs in right if "blue" in text)
    assert differing("", "a") == ([], [("a", True)])


def test_answers_stand_side_by_side_where_there_is_room(qtbot: QtBot, theme: Theme) -> None:
    shown = SampleTexts(theme, Sample("q", "one " * 60, "two " * 60))
    qtbot.addWidget(shown)
    shown.resize(900, 300)
    shown.show()
    assert shown._row.direction() == QBoxLayout.Direction.LeftToRight
    heights = [text.height() for text in shown.findChildren(AnswerText)]
    shown.resize(400, 300)
    QApplication.processEvents()
    assert shown._row.direction() == QBoxLayout.Direction.TopToBottom
    for text in shown.findChildren(AnswerText):
        assert text.document().size().height() <= text.height() + 1, "nothing is cut off"
    assert len(heights) == 2
