"""``tz doctor``: what this machine and this installation can do, each line checked just now."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tzcore import __version__, paths
from tzcore.cli.console import Console, human_bytes

MARKS = {"ok": "ok  ", "note": "note", "fail": "FAIL"}
EXTRAS = {"convert": ("torch", "transformers", "gguf", "safetensors")}


@dataclass(frozen=True)
class Finding:
    """One line.  ``state``: ``ok``, ``note`` (something is not there, and nothing is wrong) or ``fail``."""

    subject: str
    state: str
    detail: str


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(args: argparse.Namespace, console: Console) -> int:
    """Check everything; 1 if something needed does not work."""
    findings = list(examine())
    if console.json:
        console.done("", ok=all(f.state != "fail" for f in findings), findings=[asdict(f) for f in findings])
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            print(f"{MARKS[finding.state]}  {finding.subject:<{width}}  {finding.detail}")
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def examine() -> Iterator[Finding]:
    """All checks, one finding each or more.  A check that breaks is itself a finding."""
    for check in (_program, _python, _native, _memory, _folders, _conversion, _window, _graphics):
        yield from _attempt(check)


def _attempt(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except Exception as error:  # a doctor who faints helps nobody: the finding is that this check broke
        yield Finding(check.__name__.strip("_"), "fail", f"{type(error).__name__}: {error}")


def _program() -> Iterator[Finding]:
    yield Finding("program", "ok", f"Ternary-Zero {__version__} in {Path(__file__).resolve().parents[2]}")


def _python() -> Iterator[Finding]:
    where = f"{platform.system()} {platform.machine()}"
    yield Finding("python", "ok", f"{platform.python_version()} on {where}, {sys.executable}")


def _native() -> Iterator[Finding]:
    from tzcore.backend.select import select

    backend, reason = select("auto")
    yield Finding("engine", "ok", f"{backend.describe()} ({reason})")


def _memory() -> Iterator[Finding]:
    from tzcore import hardware

    memory, processor = hardware.memory(), hardware.processor()
    cores = f"{processor.physical} cores, {processor.usable} threads usable"
    yield Finding("processor", "ok", f"{processor.name}, {cores}")
    yield Finding("memory", "ok", f"{human_bytes(memory.available)} free of {human_bytes(memory.total)}")


def _folders() -> Iterator[Finding]:
    for subject, folder in (("models", paths.models()), ("sources", paths.sources()), ("logs", paths.logs())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            why = f"{folder} cannot be written ({error.strerror}); set TZ_HOME to a folder that can"
            yield Finding(subject, "fail", why)
            continue
        free = shutil.disk_usage(folder).free
        yield Finding(subject, "ok", f"{folder}, writable, {human_bytes(free)} free on its disk")


def _conversion() -> Iterator[Finding]:
    missing = [name for name in EXTRAS["convert"] if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "conversion", "note", f'not installed ({", ".join(missing)} missing): pip install "ternary-zero[convert]"'
        )
    else:
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in EXTRAS["convert"])
        yield Finding("conversion", "ok", versions)


def _window() -> Iterator[Finding]:
    try:
        from PySide6 import QtCore, QtWidgets  # noqa: F401
    except ImportError as error:
        yield Finding("window", "fail", f"Qt does not load: {error}")
        return
    from app.display import display_trouble

    trouble = display_trouble()
    yield Finding("window", "note" if trouble else "ok", f"Qt {QtCore.qVersion()}, {trouble or 'a display is there'}")


def _graphics() -> Iterator[Finding]:
    from tzcore.backend.cuda import facts
    from tzcore.errors import BackendError, MissingExtraError

    try:
        found = facts.cards()
    except MissingExtraError as error:
        driver = facts.loaded_driver()
        yield Finding("graphics", "note", f"NVIDIA driver {driver}, but {error}" if driver else "no NVIDIA driver")
        return
    except BackendError as error:
        yield Finding("graphics", "note", str(error))
        return
    for card in found:
        subject = "graphics" if len(found) == 1 else f"graphics {card.index}"
        trouble = card.trouble()
        yield Finding(subject, "note" if trouble else "ok", trouble or card.sentence())
