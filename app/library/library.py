"""What can be run and what could be: installed models, the shipped catalogue, the hub's search.

Installed models and hub search come from ``tz list --json`` and ``tz search --json`` children, so that
the window imports neither the hub nor its HTTP stack; the catalogue is read as data.  Each
entry says whether it fits this machine, in a sentence with the numbers in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication

from app.child import TZ, Child
from app.library import measured
from app.library.entries import CatalogueEntry, HubEntry, InstalledEntry, ModelFolder
from app.library.fit import PROCESS, Machine, estimated_fit, installed_fit, largest_fitting, stored_bytes
from app.library.inquiry import Inquiry
from app.library.search_filters import SearchFilters
from app.settings.settings import Settings
from app.translation import tr
from tzcore import paths
from tzcore.errors import StorageError

__all__ = ["CatalogueEntry", "HubEntry", "InstalledEntry", "Library", "ModelFolder"]

PAGE = 20
"""Search results that come at once."""
REFRESH_AFTER = 5.0
"""Seconds between two looks at the folders when the user comes back to the window."""
SEARCH_TIMEOUT = 30.0
"""Seconds that the hub has to answer a search."""

Then = Callable[[Child, list[Any], str], None]


class Library(QObject):
    """The lists, refreshed in the background."""

    changed = Signal()
    """:meth:`installed` or :meth:`catalogue` may give something else now."""
    search_finished = Signal(list)
    """``list[HubEntry]`` for the query asked for last: the first page, or the next one."""
    noticed = Signal(str)
    """Something that the user should know: a model that is gone, a folder that cannot be reached."""
    failed = Signal(str)
    """A listing, search or removal failed; one line for the user."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Path | None = None,
        command: Sequence[str] = TZ,
        parent: QObject | None = None,
    ) -> None:
        """``catalogue`` defaults to the one shipped.  StorageError when it is damaged."""
        super().__init__(parent)
        self._settings = settings
        self._command = command
        self._offered = _read_catalogue(catalogue or paths.resources() / "catalogue.json")
        self._installed: list[InstalledEntry] = []
        self._folders: list[ModelFolder] = []
        self._removed: set[str] = set()
        self._query: tuple[str, SearchFilters] = ("", SearchFilters())
        self._seen = 0
        self._loaded = False
        self._listing: Child | None = None
        self._searching: Child | None = None
        self._patience = QTimer(self, singleShot=True, interval=round(SEARCH_TIMEOUT * 1000))
        self._patience.timeout.connect(self._give_up_searching)
        self._underway: dict[Child, tuple[list[Any], Then]] = {}
        settings.changed.connect(self._on_setting)
        self._refreshed = 0.0
        application = QGuiApplication.instance()
        if isinstance(application, QGuiApplication):
            application.applicationStateChanged.connect(self._on_application_state)

    @property
    def loaded(self) -> bool:
        """The list of installed models has been read at least once."""
        return self._loaded

    @property
    def searching(self) -> bool:
        return self._searching is not None

    def _on_application_state(self, state: Qt.ApplicationState) -> None:
        """The user comes back: what was deleted or plugged in meanwhile is noticed."""
        active = state == Qt.ApplicationState.ApplicationActive
        if active and self._loaded and time.monotonic() - self._refreshed > REFRESH_AFTER:
            self.refresh()

    def refresh(self) -> None:
        """Read the list of installed models again; ``changed`` follows."""
        self._refreshed = time.monotonic()
        child = self._run(["list", "--json", "--folders"], self._on_listed)
        self._listing = _replace(self._listing, child)

    def installed(self) -> list[InstalledEntry]:
        """As of the last refresh, by id."""
        return list(self._installed)

    def catalogue(self) -> list[CatalogueEntry]:
        """Smallest first, judged for this machine as it is now and the encoding that new models get."""
        machine = Machine.here(paths.models())
        return sorted((self._offer(raw, machine) for raw in self._offered), key=lambda entry: entry.parameters)

    def names(self) -> dict[str, str]:
        """What the catalogue calls its sources."""
        return {raw["id"]: raw["name"] for raw in self._offered}

    def folders(self) -> list[Path]:
        """Where models may be put, the usual place first; those that cannot be reached now are left out."""
        return [folder.path for folder in self._folders if folder.available] or [paths.models()]

    def unreachable(self) -> list[ModelFolder]:
        """Folders of the settings that cannot be reached now."""
        return [folder for folder in self._folders if not folder.available]

    def search(self, query: str, filters: SearchFilters | None = None) -> None:
        """Search the hub; ``search_finished`` or ``failed`` follows.  A newer search replaces it."""
        self._query, self._seen = (query, filters or SearchFilters()), 0
        self._ask_hub()

    def search_more(self) -> None:
        """The next page of the same search."""
        self._ask_hub()

    def _ask_hub(self) -> None:
        query, filters = self._query
        largest = largest_fitting(str(self._settings.get("encoding")), Machine.here(paths.models()))
        words = [*filters.words(largest), f"--skip={self._seen}", f"--limit={PAGE}"]
        child = self._run(["search", "--json", *words, "--", query], self._on_found)
        self._searching = _replace(self._searching, child)
        self._patience.start()

    def plan(self, source: str) -> Inquiry:
        """What could be made of ``source`` and what that costs (:class:`app.library.plan.Plan`)."""
        return self._inquire(["plan", "--options", "--json", "--", source])

    def show(self, source: str) -> Inquiry:
        """What is known of ``source``: its metadata, files and card (:mod:`tzcore.hub.model_page`)."""
        return self._inquire(["show", "--json", "--", source])

    def what_removing_frees(self, model_id: str) -> Inquiry:
        """``{"model_bytes", "snapshot_bytes", "source_bytes", …}``, and nothing is removed."""
        return self._inquire(["rm", "--what", "--json", "--", model_id])

    def doctor(self) -> Inquiry:
        """What this machine can do: ``{"findings": [{"subject", "state", "detail"}]}``."""
        return self._inquire(["doctor", "--json"])

    def _inquire(self, words: Sequence[str]) -> Inquiry:
        inquiry = Inquiry(words, self._command, self)
        QTimer.singleShot(0, inquiry, inquiry.start)  # whoever asks connects first
        return inquiry

    def freed_by_unloading(self, engine_pid: int) -> int:
        """Bytes of memory that the engine's process has for itself; mapped weights count as free anyway."""
        import psutil

        try:
            memory = psutil.Process(engine_pid).memory_info() if engine_pid > 0 else None
        except psutil.Error:
            return 0
        return max(0, memory.rss - int(getattr(memory, "shared", 0)) - PROCESS) if memory is not None else 0

    def remove(self, model_id: str, source_too: bool = False) -> None:
        """Delete an installed model, and its original where our own download of it is of no other use;
        ``changed`` or ``failed`` follows."""
        self._removed.add(model_id)
        words = ["--source"] if source_too else []
        self._run(["rm", "--yes", "--json", *words, "--", model_id], self._on_removed)

    def shutdown(self) -> None:
        """End what is under way.  For the end of the program."""
        for child in list(self._underway):
            child.stop_now(0.5)
        for inquiry in self.findChildren(Inquiry):
            inquiry.cancel()

    def _run(self, arguments: Sequence[str], then: Then) -> Child:
        """Start ``tz``; ``then`` gets the child, all that it said, and why it failed (``""`` if it did not)."""
        child = Child(arguments, self._command, paths.logs() / "library.log", self)
        self._underway[child] = ([], then)
        child.said.connect(self._on_said)
        child.finished.connect(self._on_finished)
        child.start()
        return child

    def _on_said(self, value: object) -> None:
        child = self.sender()
        if isinstance(child, Child) and child in self._underway:
            self._underway[child][0].append(value)

    def _on_finished(self, code: int) -> None:
        child = self.sender()
        if not isinstance(child, Child) or child not in self._underway:
            return
        said, then = self._underway.pop(child)
        child.deleteLater()
        error = ""
        if code != 0:
            unsaid = tr("tz ended with exit code {code}.").format(code=code)
            error = child.last_words.removeprefix("tz: ") or unsaid
        then(child, said, error)

    def _on_listed(self, child: Child, said: list[Any], error: str) -> None:
        if child is not self._listing:
            return
        self._listing = None
        answer = next((value for value in said if isinstance(value, dict) and "models" in value), None)
        if error or answer is None:
            self.failed.emit(error or tr("The list of installed models cannot be read."))
            return
        machine = Machine.here(paths.models())
        before = {entry.id for entry in self._installed}
        self._installed = sorted((_installed(row, machine) for row in answer["models"]), key=lambda entry: entry.id)
        unreachable = {folder.path for folder in self.unreachable()}
        self._folders = [_folder(row) for row in answer.get("folders", ())]
        self._loaded = True
        self.changed.emit()
        self._say_what_is_gone(before - {entry.id for entry in self._installed} - self._removed, unreachable)

    def _say_what_is_gone(self, gone: set[str], unreachable: set[Path]) -> None:
        """A model that was deleted elsewhere, a drive that is not there any more."""
        for folder in self.unreachable():
            if folder.path not in unreachable:
                text = tr("The model folder {path} cannot be reached ({reason}); models in it are not shown.")
                self.noticed.emit(text.format(path=folder.path, reason=folder.why))
                return
        if gone:
            text = tr("{names}: not there any more; it was deleted outside this program.")
            self.noticed.emit(text.format(names=", ".join(sorted(gone))))

    def _on_found(self, child: Child, said: list[Any], error: str) -> None:
        if child is not self._searching:
            return
        self._searching = None
        self._patience.stop()
        rows = next((value for value in said if isinstance(value, list)), None)
        if error or rows is None:
            self.failed.emit(error or tr("The hub's answer cannot be read."))
            return
        machine = Machine.here(paths.models())
        self._seen += len(rows)
        self.search_finished.emit([self._found(row, machine) for row in rows])

    def _give_up_searching(self) -> None:
        child, self._searching = self._searching, None
        if child is not None:
            child.kill()
            self.failed.emit(tr("The hub does not answer. Is this computer connected to the internet?"))

    def _on_removed(self, _: Child, __: list[Any], error: str) -> None:
        if error:
            self.failed.emit(error)
        self.refresh()

    def _on_setting(self, key: str) -> None:
        if key == "encoding":
            self.changed.emit()
        elif key == "model_folders":
            QTimer.singleShot(0, self, self.refresh)  # the setting is written by then

    def _offer(self, raw: dict[str, Any], machine: Machine) -> CatalogueEntry:
        native = bool(raw.get("native"))
        encoding = "t1" if native else str(self._settings.get("encoding"))  # its own planes are taken over
        parameters, download = int(raw["parameters"]), int(raw["download_bytes"])
        here = [one.id for one in self._installed if raw["id"] in (one.source, one.id.rpartition(":")[0])]
        return CatalogueEntry(
            source=raw["id"],
            name=raw["name"],
            description=raw["about"],
            family=raw["family"],
            parameters=parameters,
            download_bytes=download,
            result_bytes=min(download, stored_bytes(parameters, encoding)) if native else stored_bytes(
                parameters, encoding),
            licence=raw["licence"],
            gated=raw["gated"],
            context=raw["context"],
            encoding=encoding,
            fit=estimated_fit(parameters, download, encoding, machine, int(raw["context"])),
            native=native,
            kinds=tuple(raw.get("kinds", ())),
            lacks=tuple(raw.get("lacks", ())),
            installed=here[0] if here else "",
        )

    def _found(self, row: dict[str, Any], machine: Machine) -> HubEntry:
        parameters = int(row.get("parameters") or 0)
        return HubEntry(
            source=row["id"],
            downloads=int(row.get("downloads") or 0),
            likes=int(row.get("likes") or 0),
            parameters=parameters,
            family=str(row.get("family") or ""),
            licence=str(row.get("licence") or ""),
            gated=bool(row.get("gated")),
            supported=bool(row.get("supported")),
            reason="" if row.get("supported") else _why_not(str(row.get("family") or "")),
            fit=estimated_fit(parameters, 0, str(self._settings.get("encoding")), machine),
            native=bool(row.get("native")),
        )


def _why_not(family: str) -> str:
    if not family:
        return tr("The hub does not say what family this model is of.")
    text = tr("Models of the family {family}, or stored as this one is, cannot be converted yet.")
    return text.format(family=family)


def _replace(old: Child | None, new: Child) -> Child:
    if old is not None:
        old.kill()
    return new


def _folder(row: dict[str, Any]) -> ModelFolder:
    free = row.get("free_bytes")
    return ModelFolder(
        Path(row["path"]), bool(row["available"]), str(row.get("why") or ""), None if free is None else int(free)
    )


def _installed(row: dict[str, Any], machine: Machine) -> InstalledEntry:
    folder, size = Path(row["path"]), int(row["bytes"])
    return InstalledEntry(
        id=row["id"],
        path=folder,
        source=str(row.get("source") or ""),
        encoding=str(row.get("encoding") or ""),
        bytes=size,
        fit=installed_fit(size, folder, machine, measured.excess(row["id"])),
    )


def _read_catalogue(path: Path) -> list[dict[str, Any]]:
    needed = {"id", "name", "about", "family", "parameters", "download_bytes", "licence", "gated", "context"}
    try:
        models = json.loads(path.read_text(encoding="utf-8"))["models"]
        if any(not needed <= set(model) for model in models):
            raise ValueError(tr("an entry lacks a field"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        text = tr("The model catalogue {path} is damaged ({reason}); reinstall the program")
        raise StorageError(text.format(path=path, reason=error)) from None
    return list(models)
