"""The window's tests: a home folder that is there."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(home: Path) -> Path:
    """``TZ_HOME`` of this test alone, and of its children."""
    home.mkdir()
    return home
