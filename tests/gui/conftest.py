"""The window's tests: a home folder that is there, and the window on scripted services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QLocale
from pytestqt.qtbot import QtBot

from app import translation
from app.application import Services
from app.views.main_window import MainWindow
from tests.gui.chat_window import MODEL
from tests.gui.window_services import ScriptedClient, scripted_services


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
def services(home: Path) -> Iterator[Services]:
    services = scripted_services(home, MODEL, "org/Other-1B:t1")
    yield services
    services.history.close()


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
