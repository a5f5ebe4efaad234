"""The program as a whole, as a process of its own: starts light, ends clean, refuses in one line."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil
import pytest

APP = [sys.executable, "-m", "app"]
HEAVY = ("torch", "transformers", "tokenizers", "numpy", "huggingface_hub", "tzcore.engine", "tzcore.hub")
PAINTED = """
import json, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from app import application
start = application.Services.start
def painted(services):
    start(services)
    QTimer.singleShot(1500, leave)
def leave():
    QTimer.singleShot(300, QApplication.quit)
    next(one for one in QApplication.topLevelWidgets() if hasattr(one, "show_library")).show_library()
    print(json.dumps([name for name in sys.argv[1:] if name in sys.modules]), flush=True)
application.Services.start = painted
sys.exit(application.main([]))
"""


def launch(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*APP, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def engine_of(window: subprocess.Popen[str]) -> psutil.Process | None:
    try:
        children = psutil.Process(window.pid).children()
        return next((child for child in children if "serve" in child.cmdline()), None)
    except psutil.Error:
        return None


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM")
def test_sigterm_ends_window_and_engine(home: Path) -> None:
    window = launch()
    try:
        wait_for(lambda: engine_of(window))
        engine = engine_of(window)
        assert engine is not None
        time.sleep(1)
        window.send_signal(signal.SIGTERM)
        out, err = window.communicate(timeout=30)
    finally:
        window.kill()
    assert (window.returncode, out, err) == (0, "", "")
    assert not engine.is_running()
    assert (home / "logs" / "window.log").read_text() == ""


def test_the_window_stays_light() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PAINTED, *HEAVY], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout) == []


@pytest.mark.skipif(os.name == "nt", reason="SIGTERM")
def test_a_second_start_ends_at_once(home: Path) -> None:
    first = launch()
    try:
        wait_for(lambda: engine_of(first))
        second = subprocess.run(APP, capture_output=True, text=True, timeout=30, check=False)
        assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
        assert first.poll() is None
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=30)
    finally:
        first.kill()
    assert first.returncode == 0


def test_a_file_of_a_newer_program_is_one_line(home: Path) -> None:
    """Damaged files are set aside: test_history_recovery.py, test_jobs_queue.py."""
    name = "jobs.sqlite"
    with closing(sqlite3.connect(home / name)) as newer:
        newer.execute("PRAGMA user_version = 99")
    run = subprocess.run(APP, capture_output=True, text=True, timeout=30, check=False)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("tz: ")
    assert name in run.stderr
    assert run.stderr.count("\n") == 1


def test_wrong_usage() -> None:
    run = subprocess.run([*APP, "--nonsense"], capture_output=True, text=True, timeout=30, check=False)
    assert run.returncode == 2
    assert "--nonsense" in run.stderr
