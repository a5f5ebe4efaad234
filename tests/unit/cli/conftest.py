"""A small model with random weights, installed, and ``tz`` as a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Tz = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder; its answers make no sense, but they are answers."""
    from tests.tiny_models import tiny_folder

    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny", "llama", format="t2")


@pytest.fixture
def tz(home: Path) -> Tz:
    """Run ``tz`` with the arguments given; ``stdin`` is its standard input."""

    def run(*words: str | Path, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tzcore.cli", *map(str, words)],
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=90,
            env={**os.environ, **env},
            check=False,
        )

    return run
