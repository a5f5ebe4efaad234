"""The library page: its parts, cards, search with filters, deletion, and what is dropped on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QAbstractButton, QLabel, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from app.application import Services
from app.library.library import ModelFolder
from app.theme import Theme
from app.views.chat.offer_card import HubCard, OfferCard
from app.views.library import library_view
from app.views.library.library_view import LibraryView, dropped_model
from tests.gui.planned import planned, shown
from tests.gui.window_services import ScriptedLibrary, hub_entry

MODEL = "starter:t2"


@pytest.fixture
def models() -> tuple[str, ...]:
    return ()


@pytest.fixture
def view(qtbot: QtBot, theme: Theme, services: Services) -> LibraryView:
    view = LibraryView(theme, services)
    qtbot.addWidget(view)
    view.resize(1000, 760)
    view.show()
    return view


def button_named(widget: QWidget, name: str) -> QAbstractButton:
    found = [b for b in widget.findChildren(QAbstractButton) if b.accessibleName() == name]
    assert len(found) == 1, [b.accessibleName() for b in widget.findChildren(QAbstractButton)]
    return found[0]


def test_without_a_model_it_recommends(view: LibraryView, listed: ScriptedLibrary) -> None:
    assert view.tabs.currentIndex() == library_view.RECOMMENDED
    view.show_tab(library_view.INSTALLED)
    assert view._nothing.isVisible()
    button_named(view._nothing, "See recommended models").click()
    assert view.recommended.isVisible()
    listed.install(MODEL)
    view.show_tab(library_view.INSTALLED)
    assert not view._nothing.isVisible()
    assert view.tabs.tabText(library_view.INSTALLED) == "Installed (1)"


def test_deleting_says_what_it_frees(qtbot: QtBot, view: LibraryView, listed: ScriptedLibrary) -> None:
    listed.install(MODEL)
    for answer, removed in (("Keep", []), ("Delete", [MODEL])):
        button_named(view, f"Delete {MODEL}").click()
        box = next(box for box in view.findChildren(QMessageBox) if box.isVisible())
        assert "71 MB" in box.informativeText()
        listed.removals[-1].done.emit(
            {"model_bytes": 71_000_000, "snapshot_bytes": 5_000_000, "source_bytes": 98_000_000, "source_ours": True,
             "source_needed_by": []}
        )
        assert "5.0 MB" in box.informativeText()
        assert box.checkBox().isVisible()
        assert "98 MB" in box.checkBox().text()
        assert not box.checkBox().isChecked()
        next(button for button in box.buttons() if button.text() == answer).click()
        qtbot.waitUntil(lambda: not any(b.isVisible() for b in view.findChildren(QMessageBox)))
        assert listed.removed == removed


def test_the_cache_of_other_programs_is_never_offered(view: LibraryView, listed: ScriptedLibrary) -> None:
    listed.install(MODEL)
    button_named(view, f"Delete {MODEL}").click()
    box = next(box for box in view.findChildren(QMessageBox) if box.isVisible())
    listed.removals[-1].done.emit(
        {"model_bytes": 71_000_000, "source_bytes": 9_000_000_000, "source_ours": False, "source_path": "/hf/x"}
    )
    assert not box.checkBox().isVisible()
    assert "stays in the Hugging Face cache" in box.informativeText()
    assert "/hf/x" in box.informativeText()
    box.reject()


def test_recommended_cards(view: LibraryView, listed: ScriptedLibrary) -> None:
    gated = replace(listed.offers[0], source="org/Gated", name="Gated 1B", gated=True, licence="llama3.2")
    native = replace(listed.offers[0], source="org/Native", name="Native 2B", native=True, parameters=2_000_000_000)
    listed.offers += [gated, native]
    listed.changed.emit()
    view.show_tab(library_view.RECOMMENDED)
    names = [card.accessibleName() for card in view.recommended.cards.cards]
    assert names == ["SmolLM2 135M", "Native 2B", "Gated 1B"]  # trained ternary before others
    card = view.recommended.cards.cards[2]
    assert isinstance(card, OfferCard)
    texts = {text.text() for text in card.findChildren(QLabel)}
    assert {"135 M weights", "Llama 3.2 licence", "needs an account", "Fits: needs about 0.1 GB of 24 GB"} <= texts
    assert "93 MB to download, about 71 MB to keep" in texts
    view.recommended.choice.setCurrentIndex(view.recommended.choice.findData("native"))
    assert [card.accessibleName() for card in view.recommended.cards.cards] == ["Native 2B"]
    listed.offers = listed.offers[:2]
    listed.changed.emit()
    assert view.recommended.nothing.isVisible()


def test_search_asks_for_what_is_chosen_and_pages(
    qtbot: QtBot, view: LibraryView, listed: ScriptedLibrary, services: Services
) -> None:
    qtbot.keyClicks(view.search, "qwen")
    qtbot.keyClick(view.search, Qt.Key.Key_Return)
    assert view.tabs.currentIndex() == library_view.SEARCH
    assert listed.searches == ["qwen"]
    assert view.results.note.text() == "Searching Hugging Face…"
    listed.search_finished.emit([hub_entry(f"Qwen/{number}") for number in range(20)])
    assert len(view.results.findChildren(HubCard)) == 20
    view.results.more.click()
    assert listed.pages == 1
    listed.search_finished.emit([hub_entry("x/Mamba", False, "the family mamba is not supported")])
    cards = view.results.findChildren(HubCard)
    assert len(cards) == 21
    assert not view.results.more.isVisible()
    view.results.native.setChecked(True)
    view.results.sort.setCurrentIndex(view.results.sort.findData("trending"))
    view.results.licence.setCurrentIndex(view.results.licence.findData("mit"))
    assert listed.searches == ["qwen"] * 4
    filters = listed.filters[-1]
    assert filters is not None
    assert filters.words(10) == ["--sort=trending", "--supported", "--native", "--licence=mit"]
    listed.search_finished.emit([])
    assert "Nothing was found" in view.results.note.text()
    view.search.clear()
    assert not view.results.findChildren(HubCard) or not view.results.more.isVisible()


def test_a_search_that_fails_says_so_and_an_id_can_still_be_opened(
    qtbot: QtBot, view: LibraryView, listed: ScriptedLibrary
) -> None:
    qtbot.keyClicks(view.search, "org/name")
    qtbot.keyClick(view.search, Qt.Key.Key_Return)
    listed.failed.emit("The hub cannot be reached: check the network.")
    assert view.results.note.text() == "The hub cannot be reached: check the network."
    assert not view.notice.isVisible()
    button_named(view.results, "Details of “org/name” as typed").click()
    assert listed.shows[-1].source == listed.plans[-1].source == "org/name"


def test_another_failure_is_shown_above(view: LibraryView, listed: ScriptedLibrary) -> None:
    listed.failed.emit("starter:t2 is in use.")
    assert view.notice.text == "starter:t2 is in use."


def test_what_is_chosen_on_its_page_is_queued(
    view: LibraryView, listed: ScriptedLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[tuple[object, ...]] = []
    monkeypatch.setattr(services.jobs, "add", lambda *order, options: added.append((*order, options)))
    button_named(view.recommended, "Details of SmolLM2 135M: what it is and what it would cost").click()
    page = view.model_page
    assert page is not None
    assert page.isVisible()
    listed.shows[-1].done.emit(shown())
    listed.plans[-1].done.emit(planned())
    page.plan.quality.setValue(3)
    page.plan.get.click()
    assert added == [("starter", "", {"bits": 2.7})]
    assert not page.isVisible()


def test_an_installed_model_can_be_converted_otherwise(view: LibraryView, listed: ScriptedLibrary) -> None:
    listed.install(MODEL)
    view.show_tab(library_view.INSTALLED)
    button_named(view, "Details of SmolLM2 135M").click()
    assert listed.plans[-1].source == "starter"
    raw = planned()
    raw["installed_models"] = [{"id": MODEL, "encoding": "t2", "bytes": 1, "path": "/x"}]
    for row in raw["options"]:
        row["installed"] = MODEL if row["key"] == "t2" else ""
    listed.plans[-1].done.emit(raw)
    page = view.model_page
    assert page is not None
    assert page.plan.get.text().strip() == "Installed already"
    assert not page.plan.get.isEnabled()
    page.plan.quality.setValue(6)
    assert page.plan.get.text().strip() == "Convert it again so"
    assert page.plan.get.isEnabled()
    page.back.click()
    assert not page.isVisible()


def test_a_folder_that_cannot_be_reached_is_said(view: LibraryView, listed: ScriptedLibrary) -> None:
    listed.gone = [ModelFolder(Path("/mnt/usb"), False, "no such device", None)]
    listed.changed.emit()
    view.show_tab(library_view.INSTALLED)
    assert view._unreachable.isVisible()
    assert "/mnt/usb cannot be reached (no such device)" in view._unreachable.text()


def drop(*paths: Path) -> QDropEvent:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    event.data = data  # type: ignore[attr-defined]  # the event does not own it
    return event


def test_a_folder_or_a_gguf_file_is_dropped(view: LibraryView, listed: ScriptedLibrary, tmp_path: Path) -> None:
    folder, gguf, other = tmp_path / "model", tmp_path / "A.GGUF", tmp_path / "x.txt"
    folder.mkdir()
    gguf.write_bytes(b"GGUF")
    other.write_text("x")
    assert dropped_model(drop(other)) is None
    assert dropped_model(drop(other, gguf)) == gguf
    view.dropEvent(drop(folder))
    assert listed.plans[-1].source == str(folder)


def test_the_page_is_worked_by_keyboard_alone(qtbot: QtBot, view: LibraryView, listed: ScriptedLibrary) -> None:
    view.focus_first()
    assert view.search.hasFocus()
    view.tabs.setFocus()
    qtbot.keyClick(view.tabs, Qt.Key.Key_Right)
    assert view.tabs.currentIndex() == library_view.SEARCH
    assert view.results.isVisible()
    view.open_model("org/name")
    assert view.model_page is not None
    assert view.model_page.back.hasFocus()
    qtbot.keyClick(view.model_page.back, Qt.Key.Key_Space)
    assert not view.model_page.isVisible()
    assert listed.shows[-1].cancelled
