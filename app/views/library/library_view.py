"""The library: what is under way, installed, recommended, and found on the hub; and the page of one model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QStackedWidget,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.jobs.job import Job
from app.library.library import InstalledEntry
from app.library.names import model_name
from app.theme import Space, Theme
from app.translation import tr
from app.views.controls.controls import Button, Column, discard, label
from app.views.controls.notice_bar import NoticeBar
from app.views.controls.page_column import centred, scrolled
from app.views.library.delete_box import DeleteBox
from app.views.library.empty_state import EmptyState
from app.views.library.installed_row import InstalledRow
from app.views.library.job_row import JobRow
from app.views.library.model_page import ModelPage
from app.views.library.recommended_tab import RecommendedTab
from app.views.library.search_tab import SearchTab

if TYPE_CHECKING:
    from app.application import Services

COLUMN = 1040
INSTALLED, RECOMMENDED, SEARCH = range(3)
JOBS_SHOWN = 2
UNDER_WAY = ("queued", "running", "paused")


class LibraryView(QWidget):
    """``chat_wanted`` and ``context_wanted`` carry an installed model's id, ``page_wanted`` a page's key."""

    chat_wanted = Signal(str)
    context_wanted = Signal(str)
    page_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._theme, self._services = theme, services
        self._rows: dict[str, JobRow] = {}
        self._shown: tuple[object, ...] = ()
        self._page: ModelPage | None = None
        self._begun = False
        self.setAcceptDrops(True)

        self.notice = NoticeBar(theme)
        self._jobs = Column()
        self._all_jobs = Button(theme, tr("All jobs"), lambda: self.page_wanted.emit("jobs"), icon_name="jobs")
        self._installed = Column()
        self._nothing = EmptyState(
            theme, "library", tr("No model is installed yet"),
            tr("A model is downloaded once, ternarised, and then answers on this machine, with no network."),
            [Button(theme, tr("See recommended models"), lambda: self.show_tab(RECOMMENDED), kind="primary")],
        )
        self._unreachable = label("", "warning", wrap=True)
        self.recommended = RecommendedTab(theme, self.open_model, self.chat_wanted.emit)
        self.results = SearchTab(theme, services.library, self.open_model, self._getting)
        self.tabs = QTabBar()
        self.tabs.setAccessibleName(tr("Parts of the library"))
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for title in (tr("Installed"), tr("Recommended"), tr("Search")):
            self.tabs.addTab(title)
        self.tabs.currentChanged.connect(self._on_tab)
        self._stack = QStackedWidget()
        self._lay_out()

        library = services.library
        library.changed.connect(self.refresh)
        library.failed.connect(self._on_failed)
        jobs = services.jobs
        jobs.added.connect(self._on_job)
        jobs.changed.connect(self._on_job)
        jobs.removed.connect(self._on_job_removed)
        for job in jobs.jobs():
            self._on_job(job)
        self._show_jobs()
        self.refresh()

    def _lay_out(self) -> None:
        installed = QWidget()
        inner = QVBoxLayout(installed)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(Space.MEDIUM)
        for widget in (self._unreachable, self._installed, self._nothing):
            inner.addWidget(widget)
        inner.addStretch(1)
        self._bodies = (installed, self.recommended, self.results)
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(6, Space.LARGE, 6, Space.PAGE)
        layout.setSpacing(Space.MEDIUM)
        head = QHBoxLayout()
        head.addWidget(label(tr("Library"), "display"))
        head.addStretch()
        head.addWidget(self._open_button())
        layout.addLayout(head)
        layout.addLayout(self._search_row())
        layout.addWidget(self._jobs)
        layout.addWidget(self._all_jobs, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addWidget(self.tabs)
        for body in self._bodies:
            layout.addWidget(body)
        layout.addStretch(1)
        scroll = scrolled(centred(column, COLUMN, Space.PAGE))
        self._scroll = scroll
        self._stack.addWidget(scroll)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(self.notice)
        outer.addWidget(self._stack, 1)
        self._on_tab(self.tabs.currentIndex())

    def _search_row(self) -> QHBoxLayout:
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search Hugging Face, or type org/name"))
        self.search.setAccessibleName(tr("Search for models"))
        self.search.setClearButtonEnabled(True)
        self.search.returnPressed.connect(self._search)
        self.search.textChanged.connect(self._on_search_text)
        row = QHBoxLayout()
        row.setSpacing(Space.SMALL)
        row.addWidget(self.search, 1)
        row.addWidget(Button(self._theme, tr("Search"), self._search, icon_name="search"))
        return row

    def _open_button(self) -> Button:
        button = Button(self._theme, tr("Open…"), icon_name="folder-open")
        button.setAccessibleName(tr("Open a model that is on this machine"))
        button.setToolTip(tr("Or drop a folder or a .gguf file here"))
        menu = QMenu(button)
        menu.addAction(tr("A folder in Hugging Face layout…"), self._choose_folder)
        menu.addAction(tr("A GGUF file…"), self._choose_gguf)
        button.setMenu(menu)
        return button

    def focus_first(self) -> None:
        """Where work on this page begins."""
        if self._stack.currentWidget() is self._page and self._page is not None:
            self._page.back.setFocus()
        else:
            self.search.setFocus()

    # Parts

    def show_tab(self, index: int) -> None:
        """Show one of :data:`INSTALLED`, :data:`RECOMMENDED` and :data:`SEARCH`."""
        self.close_model()
        self.tabs.setCurrentIndex(index)
        self._on_tab(index)

    def _on_tab(self, index: int) -> None:
        for number, body in enumerate(self._bodies):
            body.setVisible(number == index)

    def open_model(self, source: str, encoding: str = "") -> None:
        """The page of a model, with its plan.  Only now is the hub asked about it."""
        if self._page is None:
            self._page = ModelPage(self._theme, self._services)
            self._page.back_wanted.connect(self.close_model)
            self._page.chat_wanted.connect(self.chat_wanted)
            self._page.page_wanted.connect(self.page_wanted)
            self._page.get_wanted.connect(self.get)
            self._stack.addWidget(self._page)
        self._stack.setCurrentWidget(self._page)
        self._page.show_model(source, model_name(source, self._services.library), encoding)
        self._page.back.setFocus()

    def close_model(self) -> None:
        """Back to the lists."""
        if self._page is not None and self._stack.currentWidget() is self._page:
            self._page.stop()
            self._stack.setCurrentWidget(self._scroll)
            self.tabs.setFocus()

    @property
    def model_page(self) -> ModelPage | None:
        """The page of a model, once one was opened."""
        return self._page

    # Lists

    def refresh(self) -> None:
        """Take the lists afresh; what has not changed stays as it is."""
        library = self._services.library
        getting = frozenset(self._getting())
        installed, catalogue = library.installed(), library.catalogue()
        gone = library.unreachable()
        shown = (library.loaded, tuple(installed), tuple(catalogue), getting, tuple(gone))
        if library.loaded and not self._begun:
            self._begun = True
            self.show_tab(INSTALLED if installed else RECOMMENDED)
        if shown == self._shown:
            return
        before, self._shown = self._shown, shown
        if not before or before[:2] != shown[:2]:
            self._installed.clear()
            for entry in installed:
                self._installed.add(self._installed_row(entry))
            self._installed.setVisible(bool(installed))
            self._nothing.setVisible(library.loaded and not installed)
            self.tabs.setTabText(INSTALLED, tr("Installed ({count})").format(count=len(installed)))
        lines = [tr("{path} cannot be reached ({reason}): its models are not shown.").format(
            path=folder.path, reason=folder.why) for folder in gone]
        self._unreachable.setText("\n".join(lines))
        self._unreachable.setVisible(bool(gone))
        self.recommended.show_entries(catalogue, getting)
        self.results.refresh()

    def _installed_row(self, entry: InstalledEntry) -> InstalledRow:
        return InstalledRow(
            self._theme, entry, model_name(entry.id, self._services.library),
            lambda e: self.chat_wanted.emit(e.id), lambda e: self.context_wanted.emit(e.id),
            lambda e: self.open_model(e.source or e.id, wording.model_and_encoding(e.id)[1]), self._confirm_delete,
        )

    def _confirm_delete(self, entry: InstalledEntry) -> None:
        DeleteBox(self._services.library, entry, self).open()

    def _on_failed(self, message: str) -> None:
        if not self.results.show_failure(message):
            self.notice.show_notice(message, "danger")

    # Getting models

    def get(self, source: str, encoding: str | None = None, options: dict[str, Any] | None = None) -> None:
        """Queue a model: as it was chosen on its page, or with the encoding of the settings."""
        chosen = str(self._services.settings.get("encoding")) if encoding is None else encoding
        self._services.jobs.add(source, chosen, options=options or None)
        self.close_model()
        self.refresh()
        QTimer.singleShot(0, self, lambda: self._scroll.verticalScrollBar().setValue(0))

    def _choose_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, tr("A folder with config.json and safetensors files")):
            self.open_model(str(Path(folder)))

    def _choose_gguf(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, tr("A GGUF file"), "", "GGUF (*.gguf)")
        if file:
            self.open_model(str(Path(file)))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if dropped_model(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if (path := dropped_model(event)) is not None:
            event.acceptProposedAction()
            self.open_model(str(path))

    # Search

    def _search(self) -> None:
        self.show_tab(SEARCH)
        self.results.search(self.search.text().strip())
        self.search.setFocus()

    def _on_search_text(self, text: str) -> None:
        if not text.strip() and self.results.query:
            self.results.search("")

    # Jobs

    def _getting(self) -> set[str]:
        return {job.source for job in self._services.jobs.jobs() if job.state in UNDER_WAY}

    def _on_job(self, job: Job) -> None:
        row = self._rows.get(job.id)
        if row is None:
            row = JobRow(self._theme, job, model_name(job.source, self._services.library))
            jobs = self._services.jobs
            row.pause.connect(lambda: jobs.pause(job.id))
            row.cancel.connect(lambda: jobs.cancel(job.id))
            row.retry.connect(lambda: jobs.retry(job.id))
            row.remove.connect(lambda: jobs.remove(job.id))
            row.chat.connect(lambda: self.chat_wanted.emit(job.model_id))
            self._rows[job.id] = row
            self._jobs.add(row)
            self.refresh()
        else:
            before = row.property("state")
            row.show_job(job)
            if before != job.state:
                self.refresh()
        row.setProperty("state", job.state)
        self._show_jobs()

    def _on_job_removed(self, job_id: str) -> None:
        if (row := self._rows.pop(job_id, None)) is not None:
            discard(row)
            self.refresh()
        self._show_jobs()

    def _show_jobs(self) -> None:
        """The first few, those that run before those that wait; the others are on their own page."""
        open_jobs = [row for row in self._rows.values() if row.property("state") != "done"]
        open_jobs.sort(key=lambda row: row.property("state") != "running")
        for row in self._rows.values():
            row.setVisible(row in open_jobs[:JOBS_SHOWN])
        self._jobs.setVisible(bool(open_jobs))
        self._all_jobs.setVisible(bool(open_jobs))
        self._all_jobs.set_text(tr("All jobs ({count})").format(count=len(open_jobs)))


def dropped_model(event: QDropEvent) -> Path | None:
    """The folder or .gguf file that is dragged, if it is one."""
    urls = event.mimeData().urls() if event.mimeData().hasUrls() else []
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    return next((path for path in paths if path.suffix.lower() == ".gguf" or path.is_dir()), None)
