"""Colours can be read, the style sheet is whole, icons are drawable, code is coloured."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.text import highlight
from app.theme import DARK, LIGHT, Colours, Theme, style_sheet
from app.views.controls.icons import application_icon, pixmap
from tzcore import paths


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""

    def luminance(colour: str) -> float:
        def linear(part: float) -> float:
            return part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4

        red, green, blue = (linear(part) for part in QColor(colour).getRgbF()[:3])
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


GROUNDS = ("window", "sidebar", "rail", "surface", "sunken", "hover", "accent_soft")
PAIRS = (
    *(("text", ground) for ground in (*GROUNDS, "pressed", "danger_soft", "warning_soft", "success_soft")),
    *(("muted", ground) for ground in GROUNDS),
    *(("accent_text", ground) for ground in ("window", "surface", "sidebar", "accent_soft")),
    *((tone, ground) for tone in ("danger", "warning", "success") for ground in ("window", "surface", f"{tone}_soft")),
    ("accent", "window"), ("accent", "surface"), ("on_accent", "accent"), ("on_accent", "accent_hover"),
    ("muted", "pressed"),
)
"""Every text and the grounds on which the style sheet and the views put it."""


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(colours: Colours) -> None:
    table = asdict(colours)
    too_faint = {
        (text, ground): round(contrast(table[text], table[ground]), 2)
        for text, ground in PAIRS
        if contrast(table[text], table[ground]) < 4.5
    }
    assert not too_faint
    for ground in ("window", "surface", "sidebar", "rail"):
        assert contrast(colours.text, table[ground]) >= 7
        assert contrast(colours.control, table[ground]) >= 3, "an outline that alone shows a control"
        assert contrast(colours.accent, table[ground]) >= 3, "the ring of the focus"
    for role in highlight.ROLES:
        assert contrast(colours.code(role), colours.sunken) >= 4.5, role


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_style_sheet_is_whole(colours: Colours) -> None:
    sheet = style_sheet(colours)
    assert "$" not in sheet
    assert sheet.count("{") == sheet.count("}")
    for url in re.findall(r"url\(([^)]+)\)", sheet):
        assert (paths.resources() / "icons" / url.rpartition("/")[2]).is_file(), url


def test_all_colours_are_colours() -> None:
    for colours in (LIGHT, DARK):
        for name, value in asdict(colours).items():
            assert name == "dark" or QColor(value).isValid(), name


def test_modes(qtbot: QtBot, qapp: QApplication) -> None:
    theme = Theme(qapp, "light")
    assert theme.colours is LIGHT
    with qtbot.waitSignal(theme.changed):
        theme.set_mode("dark")
    assert theme.colours is DARK
    assert qapp.palette().window().color() == QColor(DARK.window)
    with pytest.raises(ValueError, match="purple"):
        theme.set_mode("purple")


def test_every_icon_can_be_drawn(qtbot: QtBot) -> None:
    names = [file.stem for file in (paths.resources() / "icons").glob("*.svg")]
    assert len(names) > 25
    for name in names:
        image = pixmap(name, "#123456", 24).toImage()
        assert any(image.pixelColor(x, y).alpha() > 0 for x in range(24) for y in range(24)), name
    assert pixmap("plus", "#ff0000", 16, 2.0).width() == 32
    assert not application_icon().isNull()


def test_unknown_icon_is_an_error(qtbot: QtBot) -> None:
    with pytest.raises(OSError, match="nosuch"):
        pixmap("nosuch", "#000000", 16)


def test_spans_cover_keywords_and_strings() -> None:
    highlight.fetch("python")
    code = 'def f():\n    return "x"  # why\n'
    found = {(code[s.start : s.start + s.length], s.role) for s in highlight.spans(code, "Python")}
    assert {("def", "keyword"), ("f", "function"), ("# why", "comment")} <= found


def test_unknown_language_is_plain(qtbot: QtBot) -> None:
    highlight.ready("no-such-language")
    qtbot.waitUntil(lambda: highlight.ready("no-such-language"), timeout=5000)
    assert list(highlight.spans("x", "no-such-language")) == []
    assert highlight.ready("")
