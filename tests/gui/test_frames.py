"""The event loop is never held up for long; see ``tests/bench/window_frames.py`` for the whole measurement.

Machines that run tests are busy, so only gross regressions fail: the limits are far above what is measured, and apply
to the processor time of the window's thread.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from tests.bench.window_frames import Session, shown


@pytest.fixture
def session(qtbot: QtBot, home: Path) -> Session:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return Session(application, home)


def test_streaming_opening_and_scrolling(session: Session) -> None:
    try:
        number = session.conversation(120, 120_000, last=300_000)
        seconds, opening = session.open(number)
        scrolling = session.scroll(1.5)
        made = len(session.window.chat.messages.views)
        streaming = session.stream(4.0)
    finally:
        session.close()
    print(f"\nopened after {seconds:.3f} s, {made} messages have widgets")
    for name, pauses in (("opening", opening), ("scrolling", scrolling), ("streaming", streaming)):
        print(shown(name, pauses))
    assert made < 40
    assert seconds < 5.0
    assert streaming["cpu"]["ticks"] > 200
    for pauses in (scrolling, streaming):
        assert pauses["cpu"]["median"] < 10
        assert pauses["cpu"]["p99"] < 80
