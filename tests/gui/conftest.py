"""Every window test runs off screen, in a home folder of its own, with no proxy in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``TZ_HOME`` for this test and its children.  Short, since it is part of a local socket's name."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TZ_HOME", str(folder))
    return folder
