"""Game mode: what fills the screen is seen on a real X server, and work is put off and goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.jobs.fullscreen import X11, detector
from app.jobs.game_mode import PATIENCE, GameMode
from app.jobs.jobs import Jobs
from app.settings.settings import Settings
from tests.gui.window_services import ScriptedClient

PROGRAM = Path(__file__).with_name("full_screen_program.py")
CONVERTER = (sys.executable, str(Path(__file__).with_name("misbehaving_converter.py")))


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A real X server of our own."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=(writing,), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as numbers:
        number = numbers.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


@contextmanager
def program(display: str, *words: str) -> Iterator[None]:
    """Another process with a window in front."""
    child = subprocess.Popen(
        [sys.executable, str(PROGRAM), *words], env={**os.environ, "DISPLAY": display}, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        yield
    finally:
        child.communicate("\n", timeout=10)


def test_a_full_screen_window_of_another_process_is_seen(display: str) -> None:
    look = X11(display)
    try:
        assert not look()
        with program(display, "full"):
            assert look()
        assert not look()
        with program(display, "small"):
            assert not look()
        with program(display, "full", str(os.getpid())):
            assert not look(), "our own window is no game"
    finally:
        look.close()


def test_a_window_that_was_killed_is_no_trouble(display: str) -> None:
    look = X11(display)
    child = subprocess.Popen(
        [sys.executable, str(PROGRAM), "full"], env={**os.environ, "DISPLAY": display},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    assert look()
    child.kill()
    child.communicate()
    for _ in range(200):  # the property still names a window that the server has destroyed meanwhile
        if not look():
            break
    assert not look()
    look.close()


def test_where_nothing_can_be_told() -> None:
    assert detector("wayland") is None
    assert detector("cocoa") is None
    assert detector("xcb", ":4711") is None


class Watched:
    """A game mode whose screen the test decides on."""

    def __init__(self, home: Path) -> None:
        self.full = False
        self.settings = Settings(home / "settings.json")
        self.jobs = Jobs(home / "jobs.sqlite", CONVERTER)
        self.client = LoadedClient()
        self.said: list[str] = []
        self.mode = GameMode(lambda: self.full, self.settings, self.jobs, self.client)  # type: ignore[arg-type]
        self.mode.changed.connect(self.said.append)
        self.mode._timer.stop()  # the test looks itself

    def look(self, full: bool, times: int = PATIENCE) -> None:
        self.full = full
        for _ in range(times):
            self.mode.look()


class LoadedClient(ScriptedClient):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: dict[str, int | None] = {"starter:t2": None}
        self.unloaded: list[str] = []

    def unload(self, model_id: str) -> None:
        self.unloaded.append(model_id)


@pytest.fixture
def watched(qtbot: QtBot, home: Path) -> Iterator[Watched]:
    watched = Watched(home)
    yield watched
    watched.jobs.shutdown()


def test_conversions_wait_and_go_on_by_themselves(qtbot: QtBot, watched: Watched) -> None:
    first, second = watched.jobs.add("slow", "t2"), watched.jobs.add("slow", "t1")
    qtbot.waitUntil(lambda: first.done > 2000, timeout=10_000)
    watched.look(True, 1)
    assert not watched.mode.on, "one look is not enough"
    watched.look(True, PATIENCE - 1)
    assert watched.mode.on
    assert watched.client.unloaded == ["starter:t2"]
    assert (first.state, second.state) == ("queued", "queued")
    assert len(watched.said) == 1
    qtbot.waitUntil(lambda: watched.jobs._child is None, timeout=5000)
    third = watched.jobs.add("quick", "t2")
    qtbot.wait(100)
    assert third.state == "queued", "what is ordered meanwhile waits too"
    reached = first.fraction
    watched.look(False)
    assert not watched.mode.on
    assert watched.said[-1] == ""
    assert (first.state, second.state) == ("running", "queued"), "the same one goes on"
    qtbot.waitUntil(lambda: first.fraction > reached, timeout=10_000)


def test_a_model_in_use_is_asked_again(watched: Watched) -> None:
    watched.look(True)
    watched.look(True, 1)
    assert watched.client.unloaded == ["starter:t2", "starter:t2"]
    watched.client.loaded.clear()
    watched.look(True, 3)
    assert len(watched.client.unloaded) == 2
    assert len(watched.said) == 1


def test_nothing_is_said_where_nothing_was_put_off(watched: Watched) -> None:
    watched.client.loaded.clear()
    watched.look(True)
    watched.look(False)
    assert watched.said == []


def test_the_setting_ends_it(qtbot: QtBot, watched: Watched) -> None:
    job = watched.jobs.add("slow", "t2")
    watched.look(True)
    assert job.state == "queued"
    watched.settings.set("game_mode", False)
    assert not watched.mode.on
    assert not watched.mode._timer.isActive()
    qtbot.waitUntil(lambda: job.state == "running", timeout=10_000)
