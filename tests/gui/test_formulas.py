"""Formulas: what is one and what is a price, drawn in a child process, copied and read aloud as their source."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from PySide6.QtGui import QColor, QTextCursor
from pytestqt.qtbot import QtBot

from app.text import formula_child
from app.text.formulas import Formula, formula_of, sources
from app.text.markdown import Prose, parse
from app.text.stream import Stream
from app.views.chat import formula_images as images_module
from app.views.chat.formula_images import FormulaImages, paint
from app.views.chat.message_body import MessageBody
from app.views.chat.rich_text import RichText
from app.views.main_window import MainWindow

PICTURE = "\ufffc"


def html(text: str) -> str:
    block = parse(text)[0]
    assert isinstance(block, Prose)
    return block.html


def found(text: str) -> list[tuple[str, bool]]:
    """The formulas of a text."""
    import re

    formulas = [formula_of(address) for address in re.findall(r'src="([^"]*)"', html(text))]
    return [(formula.latex, formula.display) for formula in formulas if formula is not None]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$x^2$ and \\(y\\)", [("x^2", False), ("y", False)]),
        ("$$x$$ then \\[y\\]", [("x", True), ("y", True)]),
        ("$$\nx\n+ y\n$$", [("x\n+ y", True)]),
        ("\\[\n\\frac{a}{b}\n\\]", [("\\frac{a}{b}", True)]),
        ("It costs $5 and $6.", []),
        ("$ 5 $ and US$20 or 20$ more", []),
        ("`$x$` and \\$x\\$", []),
        ("unclosed $x + y", []),
        ("$a_1$ *b* $c_2$", [("a_1", False), ("c_2", False)]),
        ("$\\text{cost: \\$5}$", [("\\text{cost: \\$5}", False)]),
        ("$$\nx\n\ny\n$$", []),
        ("$" + "{" * 40 + "x" + "}" * 40 + "$", []),
        ("$" + "x" * 3000 + "$", []),
    ],
)
def test_what_is_a_formula(text: str, expected: list[tuple[str, bool]]) -> None:
    assert found(text) == expected


def test_formulas_in_lists_tables_and_code() -> None:
    assert found("- a $x$\n- b\n  $$y$$") == [("x", False), ("y", True)]
    assert '<img src="formula:i:%5Calpha"/>' in str(parse("| a |\n|---|\n| $\\alpha$ |"))
    assert "formula" not in str(parse("```\n$x$\n```"))
    assert sources(html("a $x<y$")) == "<p>a $x&lt;y$</p>"


def test_an_unclosed_formula_is_text_while_it_streams() -> None:
    stream = Stream()
    stream.advance("Then $x^")
    assert "img" not in str(stream.tail)
    stream.advance("2$ is")
    assert "formula:i:x%5E2" in str(stream.tail)


def test_drawing() -> None:
    assert formula_child.draw("\\frac{a}{b}", True).startswith("<svg")
    assert "symbol" not in formula_child.draw("x^2", False)
    with pytest.raises(ValueError, match="nosuch"):
        formula_child.draw("\\nosuch{x}", False)


@pytest.fixture
def images(qtbot: QtBot) -> Iterator[FormulaImages]:
    images = FormulaImages()
    yield images
    images.stop()


def test_the_child_draws_and_what_cannot_be_drawn_is_known(qtbot: QtBot, images: FormulaImages) -> None:
    good, bad = Formula("x_1^2", False), Formula("\\begin{nothing} \\frac", False)
    assert images.drawing(good) is None
    assert images.drawing(bad) is None
    qtbot.waitUntil(lambda: images.known(good) and images.known(bad), timeout=20_000)
    assert images.drawing(bad) is None
    drawing = images.drawing(good)
    assert drawing is not None
    assert drawing.descent > 0
    image = paint(drawing, 16, QColor("#ff0000"), 2.0, 5)
    assert image.devicePixelRatio() == 2.0
    colours = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())
               if image.pixelColor(x, y).alpha() == 255}
    assert colours == {"#ff0000"}


def test_a_formula_that_takes_for_ever_is_given_up(
    qtbot: QtBot, images: FormulaImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys,time\nfor line in sys.stdin: time.sleep(60)"
    monkeypatch.setattr(images_module, "COMMAND", (sys.executable, "-c", script))
    monkeypatch.setattr(images_module, "START", 0.3)
    slow = Formula("x", False)
    images.drawing(slow)
    qtbot.waitUntil(lambda: images.known(slow), timeout=10_000)
    assert images.drawing(slow) is None
    monkeypatch.undo()
    images.drawing(Formula("y", False))
    qtbot.waitUntil(lambda: images.drawing(Formula("y", False)) is not None, timeout=20_000)


def test_shown_copied_and_read_aloud(qtbot: QtBot, window: MainWindow) -> None:
    body = MessageBody(window.theme)
    qtbot.addWidget(body)
    body.set_text("The sum $a+b$ of two, and $\\nosuch{x}$.")
    text = body.findChild(RichText)
    assert text is not None
    assert text.toPlainText() == "The sum $a+b$ of two, and $\\nosuch{x}$."
    qtbot.waitUntil(lambda: PICTURE in text.toPlainText(), timeout=20_000)
    qtbot.waitUntil(lambda: text.toPlainText() == f"The sum {PICTURE} of two, and $\\nosuch{{x}}$.")
    assert text.accessibleDescription() == "The sum $a+b$ of two, and $\\nosuch{x}$."
    cursor = text.textCursor()
    cursor.select(QTextCursor.SelectionType.Document)
    text.setTextCursor(cursor)
    assert text.createMimeDataFromSelection().text() == "The sum $a+b$ of two, and $\\nosuch{x}$."
    window.theme.set_mode("dark")
    assert PICTURE in text.toPlainText()
