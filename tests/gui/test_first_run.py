"""The first minutes: one model for this machine, in words that need no knowledge, without a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QAbstractButton, QApplication, QLabel
from pytestqt.qtbot import QtBot

from app.library.entries import CatalogueEntry
from app.library.fit import Machine
from app.library.library import Library
from app.library.recommendation import recommend
from app.settings.settings import Settings
from app.theme import Theme
from app.views.library.first_run import FirstRun, card_bytes
from tests.gui.planned import planned
from tests.gui.window_services import ScriptedLibrary

GIB = 1 << 30
LAPTOP = Machine(16 * GIB, 10 * GIB, 200 * GIB)


@pytest.fixture
def catalogue(qtbot: QtBot, home: Path) -> list[CatalogueEntry]:
    library = Library(Settings())
    entries = library.catalogue()
    library.shutdown()
    return entries


@pytest.mark.parametrize(
    ("machine", "card", "source"),
    [
        (Machine(4 * GIB, 2 * GIB, 50 * GIB), 0, None),
        (Machine(8 * GIB, 5 * GIB, 50 * GIB), 0, "tiiuae/Falcon3-3B-Instruct-1.58bit"),
        (LAPTOP, 0, "tiiuae/Falcon3-3B-Instruct-1.58bit"),
        (LAPTOP, 24 * GIB, "tiiuae/Falcon3-10B-Instruct-1.58bit"),
        (Machine(16 * GIB, 10 * GIB, 1 * GIB), 0, None),
    ],
)
def test_the_model_fits_the_machine(
    catalogue: list[CatalogueEntry], machine: Machine, card: int, source: str | None
) -> None:
    found = recommend(catalogue, machine, card)
    assert (found.entry.source if found else None) == source
    assert found is None or "nothing is lost" in found.reason


def test_no_account_and_made_for_chat(catalogue: list[CatalogueEntry]) -> None:
    gated = [replace(entry, gated=True) for entry in catalogue]
    assert recommend(gated, LAPTOP) is None
    dumb = [replace(entry, lacks=("chat",)) for entry in catalogue]
    assert recommend(dumb, LAPTOP) is None


def texts(view: FirstRun) -> str:
    QApplication.processEvents()
    return "\n".join(text.text() for text in view.findChildren(QLabel) if text.isVisibleTo(view))


def test_what_is_said_and_got(qtbot: QtBot, qapp: QApplication, catalogue: list[CatalogueEntry]) -> None:
    library = ScriptedLibrary()
    library.offers = catalogue
    view = FirstRun(Theme(qapp, "light"), library, LAPTOP)  # type: ignore[arg-type]
    qtbot.addWidget(view)
    view.show()
    assert "This machine has 16 GB of memory, 10 GB of it free." in texts(view)
    assert "Without one, bring a model folder" in texts(view)
    library.doctors[0].done.emit({"findings": [
        {"subject": "processor", "state": "ok", "detail": "AMD Ryzen 7, 8 cores, 16 threads usable"},
        {"subject": "graphics", "state": "note", "detail": "no NVIDIA driver"},
    ]})  # fmt: skip
    assert "a processor AMD Ryzen 7; no graphics card" in texts(view)
    assert [question.source for question in library.plans] == ["starter"]  # which needs no network
    library.plans[0].done.emit(planned())
    assert "About 5 min to prepare on this machine" in texts(view)
    wanted: list[tuple[str, str]] = []
    view.get.connect(lambda source, encoding: wanted.append((source, encoding)))
    buttons = [b for b in view.findChildren(QAbstractButton) if b.isVisibleTo(view)]
    assert [b.text().strip() for b in buttons] == ["Get it", "Or try this one first"]
    for button in buttons:
        button.click()
    assert wanted == [("tiiuae/Falcon3-3B-Instruct-1.58bit", ""), ("starter", "t2")]


def test_a_card_is_named_and_counts(qtbot: QtBot, qapp: QApplication, catalogue: list[CatalogueEntry]) -> None:
    library = ScriptedLibrary()
    library.offers = catalogue
    view = FirstRun(Theme(qapp, "light"), library, LAPTOP)  # type: ignore[arg-type]
    qtbot.addWidget(view)
    view.show()
    library.doctors[0].done.emit({"findings": [
        {"subject": "processor", "state": "ok", "detail": "AMD Ryzen 7, 8 cores, 16 threads usable"},
        {"subject": "graphics", "state": "ok", "detail": "RTX 4090, driver 550, 23.5 GB free of 25.8 GB"},
    ]})  # fmt: skip
    assert "AMD Ryzen 7 and RTX 4090." in texts(view)
    assert "Falcon3 10B" in texts(view)


def test_trouble_of_the_children_leaves_the_offer(
    qtbot: QtBot, qapp: QApplication, catalogue: list[CatalogueEntry]
) -> None:
    library = ScriptedLibrary()
    library.offers = catalogue
    view = FirstRun(Theme(qapp, "light"), library, LAPTOP)  # type: ignore[arg-type]
    qtbot.addWidget(view)
    view.show()
    library.doctors[0].failed.emit("tz is broken")
    library.plans[0].done.emit({"nothing": "of the kind"})
    assert "Ready within minutes." in texts(view)


def test_bytes_of_a_card() -> None:
    assert card_bytes("RTX 4090, driver 550, 23.5 GB free of 25.8 GB") == 23_500_000_000
    assert card_bytes("nothing") == 0
