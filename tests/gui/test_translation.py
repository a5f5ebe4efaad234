"""German is complete and current, keeps its placeholders, and nothing is cut where words are longer than English."""

from __future__ import annotations

import importlib.util
import re
import string
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from PySide6.QtCore import QCoreApplication, QLocale, Qt, QTranslator
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app import translation, wording
from app.application import Services
from app.translation import tr
from app.views.main_window import MainWindow
from app.views.pages import PAGES
from app.views.shell.shortcut_sheet import ShortcutSheet

ROOT = Path(__file__).resolve().parents[2]


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("translations", ROOT / "packaging" / "translations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["translations"] = module
    spec.loader.exec_module(module)
    return module


translations = tool()


@pytest.fixture
def german(qapp: QApplication) -> Iterator[None]:
    before, direction = QLocale(), qapp.layoutDirection()
    assert translation.load("de") == "de"
    yield
    translation.unload()
    QLocale.setDefault(before)
    qapp.setLayoutDirection(direction)


def test_current_and_complete() -> None:
    assert translations.trouble() == []


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_placeholders_and_accelerators_are_kept() -> None:
    known = translations.read(translations.FOLDER / "app_de.ts")
    assert len(known) > 400
    for (text, _comment), forms in known.items():
        for form in filter(None, forms):  # what is missing is another test's
            assert fields(form) == fields(text), text
            assert ("%n" in form) == ("%n" in text), text
            assert len(re.findall("&[^& ]", form)) == len(re.findall("&[^& ]", text)), text
            assert form.endswith("…") == text.endswith("…"), text
            assert form == form.strip() or text != text.strip(), text
            assert not re.search(r"(?<=[a-zäöüß,;] )(Sie|Ihr|Ihre|Ihren|Ihrem|Ihnen)\b", form), f"not informal: {form}"


def test_literals_alone_are_collected(tmp_path: Path) -> None:
    code = ('tr("One")', 'tr("Two", "of them")', 'tr("%n left", "", 3)', 'mark("Three")', "tr(table[0])")
    (tmp_path / "a.py").write_text("\n".join(code))
    found = {(one.text, one.comment, one.plural) for one in translations.collect(tmp_path)}
    assert found == {("One", "", False), ("Two", "of them", False), ("%n left", "", True), ("Three", "", False)}
    (tmp_path / "b.py").write_text('tr(f"{x} left")\n')
    with pytest.raises(SyntaxError, match=r"b\.py:1"):
        translations.collect(tmp_path)


def test_a_missing_or_stale_string_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "FOLDER", tmp_path)
    phrase = translations.Phrase("Good morning")
    monkeypatch.setattr(translations, "collect", lambda: [phrase])
    translations.update()
    assert translations.trouble() == ["no German for: Good morning"]
    translations.fill({"Good morning": "Guten Morgen"})
    assert translations.trouble() == ["app_de.qm is not compiled from what there is: run packaging/translations.py"]
    translations.update()
    assert translations.trouble() == []
    monkeypatch.setattr(translations, "collect", list)
    assert "app_de.ts is not what the code says: run packaging/translations.py" in translations.trouble()


def test_choice_of_the_language() -> None:
    assert translation.choose("", ["de-AT", "en-GB"]) == "de"
    assert translation.choose("", ["pt-BR", "de_CH"]) == "de"
    assert translation.choose("", ["fr-FR"]) == "en"
    assert translation.choose("en", ["de-DE"]) == "en"
    assert translation.choose("klingon", ["de-DE"]) == "de"


@pytest.mark.usefixtures("german")
def test_german_words_numbers_and_qt(qtbot: QtBot, services: Services) -> None:
    window = MainWindow(services)
    qtbot.addWidget(window)
    assert window.rail.buttons["library"].text() == "Bibliothek"
    assert window.sidebar.search.placeholderText() == "Unterhaltungen durchsuchen"
    assert wording.size(1_300_000_000) == "1,3 GB"
    assert wording.count(1_711_376_384) == "1,7 Mrd."
    assert tr("%n under way", "", 2) == "2 in Arbeit"
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    qtbot.addWidget(box)
    assert box.button(QDialogButtonBox.StandardButton.Cancel).text().replace("&", "") == "Abbrechen"
    translation.unload()
    assert tr("Library") == "Library"


class Longer(QTranslator):
    """Every phrase in brackets and nearly half as long again, as languages are."""

    def translate(self, _context: str, text: str, _comment: str | None = None, n: int = -1) -> str:
        shown = text.replace("%n", str(n)) if n >= 0 else text
        return f"[{shown}{'·' * (len(text) * 2 // 5)}]"

    def isEmpty(self) -> bool:  # noqa: N802
        return False


@pytest.fixture
def longer(qapp: QApplication) -> Iterator[None]:
    translator = Longer()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


def cut(root: QWidget) -> list[str]:
    """Labels and buttons that are smaller than their text."""
    found = []
    for widget in root.findChildren(QWidget):
        if not isinstance(widget, QLabel | QPushButton) or not widget.isVisibleTo(root) or not widget.text():
            continue
        if isinstance(widget, QLabel) and widget.wordWrap():
            short = widget.heightForWidth(widget.width()) > widget.height() + 1
        else:
            short = widget.minimumSizeHint().width() > widget.width() + 1
        if short or widget.minimumSizeHint().height() > widget.height() + 1:
            found.append(f"{widget.text()} ({widget.width()}×{widget.height()}) in {type(widget.parent()).__name__}")
    return found


@pytest.mark.usefixtures("longer")
@pytest.mark.parametrize("key", [page.key for page in PAGES])
def test_nothing_is_cut_with_longer_words(qtbot: QtBot, services: Services, key: str) -> None:
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.resize(1000, 700)
    window.show()
    window.show_page(key)
    qtbot.wait(50)
    assert window.rail.buttons["chat"].text().startswith("[")
    assert cut(window) == []


@pytest.mark.usefixtures("longer")
def test_dialogs_with_longer_words(qtbot: QtBot, window: MainWindow) -> None:
    sheet = ShortcutSheet(window.theme, window)
    sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(sheet)
    sheet.show()
    qtbot.waitExposed(sheet)
    assert cut(sheet) == []


def test_a_label_that_is_cut_is_found(qtbot: QtBot) -> None:
    root = QWidget()
    qtbot.addWidget(root)
    label = QLabel("Far too long for its place", root)
    label.setFixedWidth(40)
    root.show()
    assert len(cut(root)) == 1


def test_right_to_left(qtbot: QtBot, qapp: QApplication, services: Services) -> None:
    qapp.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    try:
        window = MainWindow(services)
        qtbot.addWidget(window)
        window.resize(1000, 700)
        window.show()
        qtbot.waitExposed(window)
        qtbot.wait(50)
        rail, page = window.rail, window.chat
        assert rail.mapTo(window, rail.rect().topLeft()).x() > page.mapTo(window, page.rect().topLeft()).x()
        assert rail.mapTo(window, rail.rect().topRight()).x() >= window.width() - 2
    finally:
        qapp.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
