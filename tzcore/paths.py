"""Where the program keeps its files.  ``TZ_HOME`` moves all of it to one folder."""

from __future__ import annotations

import json
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
    """Installed (ternarised) models, one folder each; new ones are put here."""
    return home() / "models"


def model_folders() -> list[Path]:
    """All folders in which installed models lie: :func:`models`, then those of the setting ``model_folders``
    (``settings.json``, one a line), whether or not they can be reached now."""
    try:
        told = json.loads((home() / "settings.json").read_text(encoding="utf-8")).get("model_folders", "")
    except (OSError, ValueError, AttributeError):
        told = ""
    lines = told.splitlines() if isinstance(told, str) else []
    more = [Path(line.strip()).expanduser() for line in lines if line.strip()]
    return list(dict.fromkeys([models(), *(folder for folder in more if folder.is_absolute())]))


def sources() -> Path:
    """Original weights fetched by our own transport that are not in the Hugging Face cache."""
    return home() / "sources"


def training() -> Path:
    """What ``tz train`` works in: the original's predictions, saved states, curves; one folder a result."""
    return home() / "training"


def contexts() -> Path:
    """Keys and values of texts that models have read, so that they need not be read again."""
    return home() / "contexts"


def logs() -> Path:
    """Log files of the window, the engine and the workers."""
    return home() / "logs"


def resources() -> Path:
    """The read-only resources shipped with the program (catalogue, calibration text, icons)."""
    return _RESOURCES
