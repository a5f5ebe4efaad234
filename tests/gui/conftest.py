"""The window's tests: a home folder that is there, and the window on scripted services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import translation
from app.application import Services
from app.theme import Theme
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL
from tests.gui.window_services import ScriptedClient, ScriptedLibrary, scripted_services


@pytest.fixture(autouse=True)
def home(home: Path) -> Path:
    """``TZ_HOME`` of this test alone, and of its children."""
    home.mkdir()
    return home


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Numbers and dates as in English, whatever the machine's language is."""
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedKingdom))
    yield
    translation.unload()
    QLocale.setDefault(before)


@pytest.fixture
def models() -> tuple[str, ...]:
    """The installed ones; a file of tests may say others."""
    return MODEL, "org/Other-1B:t1"


@pytest.fixture
def services(qtbot: QtBot, home: Path, models: tuple[str, ...]) -> Iterator[Services]:
    services = scripted_services(home, *models)
    yield services
    services.jobs.shutdown()
    services.history.close()


@pytest.fixture
def listed(services: Services) -> ScriptedLibrary:
    assert isinstance(services.library, ScriptedLibrary)
    return services.library


@pytest.fixture(scope="module")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp, "light")


@pytest.fixture
def window(qtbot: QtBot, services: Services) -> Iterator[MainWindow]:
    window = MainWindow(services)
    qtbot.addWidget(window)
    window.resize(1100, 760)
    window.show()
    qtbot.waitExposed(window)
    yield window
    for conversation in [window.chat.conversation, *window.chat._live.values()]:
        conversation.stop()  # the history is closed after this


@pytest.fixture
def client(services: Services) -> ScriptedClient:
    assert isinstance(services.client, ScriptedClient)
    return services.client
