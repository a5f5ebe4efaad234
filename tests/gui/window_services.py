"""Services for tests of the window: the real settings, history and jobs; an engine that does what it is told.

The engine child and its client are replaced, because a test of a widget should say itself when the
next piece of an answer arrives.  ``test_window_end_to_end.py`` runs the window with the real ones.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from app.application import Services
from app.history.history import History
from app.jobs.jobs import Jobs
from app.library.fit import Fit
from app.library.library import CatalogueEntry, HubEntry, InstalledEntry, ModelFolder
from app.library.search_filters import SearchFilters
from app.server.server import ServerControl
from app.settings.secrets import Secrets
from app.settings.settings import Settings


class ScriptedStream(QObject):
    """A stream whose signals the test emits."""

    progress = Signal(int, int, float)
    summarising = Signal(int, int)
    context_changed = Signal(object)
    delta = Signal(str)
    finished = Signal(str, dict, dict)
    failed = Signal(str)

    def __init__(self, model: str, messages: list[dict[str, str]], options: dict[str, Any]) -> None:
        super().__init__()
        self.model, self.messages, self.options = model, messages, options
        self.cancelled = False
        self.code = ""

    def cancel(self) -> None:
        self.cancelled = True
        self.finished.emit("cancelled", {}, {})

    def answer(self, text: str) -> None:
        """A whole answer at once."""
        self.delta.emit(text)
        self.finished.emit(
            "stop", {"completion_tokens": 7}, {"tokens_per_second": 42.0, "first_token_seconds": 0.25}
        )


class ScriptedReply(QObject):
    done = Signal(object)
    failed = Signal(str)
    progress = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ScriptedClient(QObject):
    """Keeps every request for the test to look at and answer."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[ScriptedStream] = []
        self.loads: list[tuple[str, int | None, ScriptedReply]] = []
        self.counts: list[tuple[list[dict[str, str]], ScriptedReply]] = []
        self.summaries: list[str] = []
        self.precisions: list[str] = []
        self.listens: list[tuple[int, str, str, ScriptedReply]] = []
        self.activities: list[ScriptedReply] = []
        self.plans: list[tuple[str, int | None, ScriptedReply]] = []
        self.forgotten: list[tuple[str, list[dict[str, str]], str]] = []
        self.texts: list[tuple[str, ScriptedReply]] = []
        self.unloaded: list[str] = []
        self.loaded: dict[str, int | None] = {}
        self.sizes: dict[str, int] = {}

    @property
    def stream(self) -> ScriptedStream:
        return self.streams[-1]

    def chat(self, model_id: str, messages: list[dict[str, str]], options: dict[str, Any]) -> ScriptedStream:
        self.streams.append(ScriptedStream(model_id, messages, options))
        return self.streams[-1]

    def load(self, model_id: str, context: int | None = None, kv: str = "auto") -> ScriptedReply:
        self.precisions.append(kv)
        self.loads.append((model_id, context, ScriptedReply()))
        return self.loads[-1][2]

    def plan(self, model_id: str, context: int | None = None) -> ScriptedReply:
        self.plans.append((model_id, context, ScriptedReply()))
        return self.plans[-1][2]

    def unload(self, model_id: str) -> ScriptedReply:
        self.unloaded.append(model_id)
        return ScriptedReply()

    def count_text(self, model_id: str, text: str) -> ScriptedReply:
        self.texts.append((text, ScriptedReply()))
        return self.texts[-1][1]

    def listen(self, port: int, host: str, token: str) -> ScriptedReply:
        self.listens.append((port, host, token, ScriptedReply()))
        return self.listens[-1][3]

    def stop_listening(self) -> ScriptedReply:
        self.listens.append((0, "", "", ScriptedReply()))
        return self.listens[-1][3]

    def activity(self) -> ScriptedReply:
        self.activities.append(ScriptedReply())
        return self.activities[-1]

    def forget_text(self, model_id: str, messages: list[dict[str, str]], summary: str = "") -> ScriptedReply:
        self.forgotten.append((model_id, messages, summary))
        return ScriptedReply()

    def count_tokens(self, model_id: str, messages: list[dict[str, str]], summary: str = "") -> ScriptedReply:
        self.summaries.append(summary)
        self.counts.append((messages, ScriptedReply()))
        return self.counts[-1][1]


class ScriptedEngine(QObject):
    ready = Signal(str)
    restarted = Signal(str)
    failed = Signal(str)
    state_changed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.starts = 0
        self.pid = 0
        self.url = "http://127.0.0.1:1"
        self.pid = 0

    def start(self) -> None:
        self.starts += 1


class ScriptedInquiry(QObject):
    """A question to tz that the test answers."""

    partial = Signal(dict)
    done = Signal(object)
    failed = Signal(str)

    def __init__(self, source: str = "") -> None:
        super().__init__()
        self.source, self.running, self.cancelled = source, True, False

    def cancel(self) -> None:
        self.running, self.cancelled = False, True


class ScriptedLibrary(QObject):
    changed = Signal()
    search_finished = Signal(list)
    failed = Signal(str)
    noticed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.loaded = True
        self.searching = False
        self.models: list[InstalledEntry] = []
        self.offers: list[CatalogueEntry] = [starter_offer()]
        self.removed: list[str] = []
        self.searches: list[str] = []
        self.filters: list[SearchFilters | None] = []
        self.pages = 0
        self.plans: list[ScriptedInquiry] = []
        self.shows: list[ScriptedInquiry] = []
        self.removals: list[ScriptedInquiry] = []
        self.doctors: list[ScriptedInquiry] = []
        self.roots = [Path("/nowhere/models")]
        self.gone: list[ModelFolder] = []
        self.freed = 0

    def refresh(self) -> None:
        self.changed.emit()

    def installed(self) -> list[InstalledEntry]:
        return list(self.models)

    def catalogue(self) -> list[CatalogueEntry]:
        return list(self.offers)

    def names(self) -> dict[str, str]:
        return {offer.source: offer.name for offer in self.offers}

    def folders(self) -> list[Path]:
        return list(self.roots)

    def unreachable(self) -> list[ModelFolder]:
        return list(self.gone)

    def search(self, query: str, filters: SearchFilters | None = None) -> None:
        self.searches.append(query)
        self.filters.append(filters)

    def search_more(self) -> None:
        self.pages += 1

    def plan(self, source: str) -> ScriptedInquiry:
        self.plans.append(ScriptedInquiry(source))
        return self.plans[-1]

    def show(self, source: str) -> ScriptedInquiry:
        self.shows.append(ScriptedInquiry(source))
        return self.shows[-1]

    def what_removing_frees(self, model_id: str) -> ScriptedInquiry:
        self.removals.append(ScriptedInquiry(model_id))
        return self.removals[-1]

    def doctor(self) -> ScriptedInquiry:
        self.doctors.append(ScriptedInquiry())
        return self.doctors[-1]

    def freed_by_unloading(self, engine_pid: int) -> int:
        return self.freed

    def remove(self, model_id: str, source_too: bool = False) -> None:
        self.removed.append(model_id)

    def install(self, *ids: str) -> None:
        self.models = [installed(model_id) for model_id in ids]
        self.offers = [replace(offer, installed=ids[0] if ids else "") for offer in self.offers]
        self.changed.emit()


def installed(model_id: str) -> InstalledEntry:
    source, _, encoding = model_id.rpartition(":")
    fit = Fit(True, "fits: needs 0.2 GB of 24 GB")
    return InstalledEntry(model_id, Path("/nowhere"), source, encoding, 71_000_000, fit)


def starter_offer() -> CatalogueEntry:
    return CatalogueEntry(
        source="starter", name="SmolLM2 135M", description="Tiny; simple questions only.", family="llama",
        parameters=134_515_008, download_bytes=92_871_040, result_bytes=71_000_000, licence="apache-2.0", gated=False,
        context=8192, encoding="t2", fit=Fit(True, "fits: needs about 0.1 GB of 24 GB"),
    )


def hub_entry(source: str, supported: bool = True, reason: str = "") -> HubEntry:
    return HubEntry(
        source=source, downloads=1_234_567, likes=10, parameters=1_500_000_000, family="qwen2", licence="apache-2.0",
        gated=False, supported=supported, reason=reason,
        fit=Fit(True, "fits: needs about 1 GB of 24 GB"),
    )


def scripted_services(folder: Path, *models: str) -> Services:
    """Real settings, history and jobs in ``folder``; everything that needs an engine or a child is scripted."""
    folder.mkdir(parents=True, exist_ok=True)
    library = ScriptedLibrary()
    library.models = [installed(model_id) for model_id in models]
    settings = Settings(folder / "settings.json")
    secrets = Secrets(settings, command=("no-key-ring-is-started",))
    engine: Any = ScriptedEngine()
    client: Any = ScriptedClient()
    return Services(
        settings=settings,
        engine=engine,
        client=client,
        jobs=Jobs(folder / "jobs.sqlite", command=("sleep-is-not-started",)),
        history=History(folder / "history.sqlite"),
        library=library,  # type: ignore[arg-type]
        secrets=secrets,
        server=ServerControl(settings, secrets, engine, client),
    )
