from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tzcore.cli.console import Console
from tzcore.cli.failure import guarded
from tzcore.errors import Cancelled, SourceError


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.fixture(autouse=True)
def _handlers() -> object:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_action_decides_when_nothing_goes_wrong() -> None:
    assert guarded(lambda: 0, Console()) == 0
    assert guarded(lambda: 1, Console()) == 1


def test_a_foreseen_error_is_one_line_and_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(SourceError("no such model\nlook elsewhere")), Console()) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "tz: no such model look elsewhere\n"


def test_with_json_the_error_is_an_event_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(SourceError("no such model")), Console(json=True)) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"event": "error", "message": "no such model", "kind": "SourceError"}
    assert captured.err == "tz: no such model\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Cancelled("stop")])
def test_interruption_is_130(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(error), Console()) == 130
    assert capsys.readouterr().err.startswith("tz: interrupted")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission denied"), (errno.EROFS, "read-only")]
)
def test_storage_trouble_names_the_place_and_what_to_do(
    code: int, words: str, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    assert guarded(raising(OSError(code, os.strerror(code), "/data/model")), Console()) == 1
    line = capsys.readouterr().err
    assert words in line
    assert "/data/model" in line
    assert not (home / "logs").exists()


def test_memory_is_foreseeable(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(MemoryError()), Console()) == 1
    assert "not enough memory" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback_in_a_log(
    capsys: pytest.CaptureFixture[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ_DEBUG", raising=False)
    assert guarded(raising(KeyError("rotary")), Console()) == 1
    (log,) = (home / "logs").iterdir()
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert str(log) in line
    assert "KeyError: 'rotary'" in log.read_text(encoding="utf-8")
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_debugging_shows_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ_DEBUG", "1")
    assert guarded(raising(KeyError("rotary")), Console()) == 1
    assert "Traceback" in capsys.readouterr().err


CHILD = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a runner in the background has it ignored
from tzcore.cli.console import Console
from tzcore.cli.failure import guarded
def action():
    print("working", flush=True)
    {body}
    return 0
sys.exit(guarded(action, Console()))
"""


def start(body: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD.format(body=body)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_interrupt_with_130(number: signal.Signals) -> None:
    child = start("time.sleep(30)")
    assert child.stdout is not None
    assert child.stdout.readline() == "working\n"
    child.send_signal(number)
    _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert err.startswith("tz: interrupted")
    assert err.count("\n") == 1


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    body = "[print('x' * 1000, flush=True) for _ in range(10000)]"
    child = start(body)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(timeout=20) == 1
    assert child.stderr.read() == ""
    child.stderr.close()
