"""One window a home folder, and what a display needs to be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from PySide6.QtNetwork import QLocalSocket
from pytestqt.qtbot import QtBot

from app.display import NONE, display_trouble
from app.instance import Instance
from tzcore.errors import StorageError

SECOND = (
    "import sys; from PySide6.QtCore import QCoreApplication; from app.instance import Instance\n"
    "a = QCoreApplication([]); i = Instance(); sole = i.claim(sys.argv[1:]); print(sole, flush=True)\n"
    "sole and a.exec()\n"
)


def second(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SECOND, *arguments], stdout=subprocess.PIPE, text=True)


def test_the_second_start_hands_over(qtbot: QtBot) -> None:
    first = Instance()
    assert first.claim([])
    with qtbot.waitSignal(first.activated, timeout=10_000) as activated:
        other = second("--model", "starter:t2")
    assert activated.args == [["--model", "starter:t2"]]
    assert other.communicate(timeout=10)[0] == "False\n"
    first.release()
    again = Instance()
    assert again.claim([])
    again.release()


def test_another_home_is_another_instance(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = Instance()
    assert first.claim([])
    monkeypatch.setenv("TZ_HOME", str(tmp_path))
    other = Instance()
    assert other.claim([])
    first.release()
    other.release()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_first_one_does_not_lock_out(qtbot: QtBot) -> None:
    killed = second()
    assert killed.stdout is not None
    assert killed.stdout.readline() == "True\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    instance = Instance()
    assert instance.claim([])
    instance.release()


@pytest.mark.skipif(os.name == "nt", reason="SIGSTOP")
def test_a_first_one_that_hangs_is_said(qtbot: QtBot) -> None:
    hanging = second()
    try:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == "True\n"
        hanging.send_signal(signal.SIGSTOP)
        with pytest.raises(StorageError, match="does not answer"):
            Instance().claim([])
    finally:
        hanging.kill()
        hanging.communicate()


def test_garbage_from_another_program(qtbot: QtBot) -> None:
    first = Instance()
    assert first.claim([])
    seen: list[object] = []
    first.activated.connect(seen.append)
    for words in (b"\xff\xfe\n", b'{"a": 1}\n', b"no line end"):
        stranger = QLocalSocket()
        stranger.connectToServer(first._name)
        assert stranger.waitForConnected(1000)
        stranger.write(words)
        stranger.flush()
        qtbot.wait(50)
        stranger.disconnectFromServer()
    qtbot.wait(50)
    assert seen == []
    first.release()


def test_a_home_that_cannot_be_made(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TZ_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StorageError, match="TZ_HOME"):
        Instance().claim([])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 and Wayland")
def test_display() -> None:
    assert display_trouble({}) == NONE
    assert display_trouble({"QT_QPA_PLATFORM": "offscreen"}) == ""
    assert display_trouble({"DISPLAY": ":4711"}) == NONE
    assert display_trouble({"DISPLAY": "nonsense"}) == NONE
    assert display_trouble({"WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": "/nowhere"}) == NONE
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/wayland-7")
        server.listen()
        assert display_trouble({"WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": folder}) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X11 and Wayland")
def test_no_display_is_one_line(home: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("QT_QPA_PLATFORM", "DISPLAY")}
    environment.pop("WAYLAND_DISPLAY", None)
    run = subprocess.run(
        [sys.executable, "-m", "app"], env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (1, "", f"tz: {NONE}\n")
