"""The report of a problem: texts that are shown to the user first, and a zip file of them.  Nothing is sent."""

from __future__ import annotations

import json
import platform
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from app.diagnostics.redaction import redact
from app.settings.declared import SETTINGS
from app.translation import tr
from tzcore import __version__, paths
from tzcore.errors import StorageError

if TYPE_CHECKING:
    from app.settings.settings import Settings

LINES = 400
"""Last lines of each log that go into the report."""
READ = 400_000
"""Bytes at the end of a log that are looked at."""
PACKAGES = ("PySide6-Essentials", "numpy", "torch", "transformers", "huggingface_hub", "tokenizers", "uvicorn")
PRIVATE = ("system_prompt", "window_geometry", "last_model", "proxy_exceptions")
"""Settings whose content is nobody's business; that they are set is said."""

Files = dict[str, str]
"""Name in the zip file → text, in the order in which it is shown."""


def gather(settings: Settings, secrets: Iterable[str] = (), doctor: str = "") -> Files:
    """All texts of the report, without secrets.  ``doctor``: what ``tz doctor --json`` said."""
    known = list(secrets)
    files = {
        "about-this-report.txt": tr(
            "This report was made on this machine and was not sent anywhere. Tokens, passwords, names of the user and "
            "the machine, and addresses are taken out. Conversations are not in it.\n"
        ),
        "versions.json": _as_json(versions()),
        "settings.json": _as_json(chosen(settings)),
    }
    if doctor:
        files["doctor.json"] = doctor
    for log in sorted(paths.logs().glob("*.log")) + sorted(paths.logs().glob("outbound.jsonl")):
        files[f"logs/{log.name}"] = last_lines(log)
    return {name: redact(text, known) for name, text in files.items()}


def versions() -> dict[str, str]:
    """What is installed, without importing it."""
    found = {"ternary-zero": __version__, "python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    found["frozen"] = str(getattr(sys, "frozen", False))
    return found


def chosen(settings: Settings) -> dict[str, object]:
    """The settings that are not at their default."""
    found: dict[str, object] = {}
    for setting in SETTINGS:
        value = settings.get(setting.key)
        if value != setting.default:
            found[setting.key] = f"[{len(str(value))} characters]" if setting.key in PRIVATE else value
    return found


def last_lines(path: Path) -> str:
    """The end of a log; why it cannot be read, where it cannot."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - READ))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}\n"
    return "\n".join(text.splitlines()[-LINES:]) + "\n"


def save(files: Files, target: Path) -> None:
    """Write the zip file.  StorageError where that cannot be done."""
    try:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    except OSError as error:
        message = tr("{file} cannot be written: {reason}.")
        raise StorageError(message.format(file=target, reason=error.strerror)) from error


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
