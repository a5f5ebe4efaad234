"""Where the program keeps its files.  ``TZ_HOME`` moves all of it to one folder."""

from __future__ import annotations

import os
from pathlib import Path

_RESOURCES = Path(__file__).resolve().parent.parent / "resources"


def home() -> Path:
    """The root of everything that is kept: models, downloads, conversations, settings."""
    override = os.environ.get("TZ_HOME")
    if override:
        return Path(override).expanduser()
    from platformdirs import PlatformDirs

    return Path(PlatformDirs("ternary-zero", appauthor=False).user_data_dir)


def models() -> Path:
    """Installed (ternarised) models, one folder each."""
    return home() / "models"


def sources() -> Path:
    """Original weights fetched by our own transport that are not in the Hugging Face cache."""
    return home() / "sources"


def contexts() -> Path:
    """Keys and values of texts that models have read, so that they need not be read again."""
    return home() / "contexts"


def logs() -> Path:
    """Log files of the window, the engine and the workers."""
    return home() / "logs"


def resources() -> Path:
    """The read-only resources shipped with the program (catalogue, calibration text, icons)."""
    return _RESOURCES
