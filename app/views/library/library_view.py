"""The library: what is under way, what is installed, and what could be got."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.jobs.jobs import Job
from app.library.library import HubEntry, InstalledEntry
from app.library.names import model_name
from app.theme import Theme
from app.translation import tr
from app.views.chat.offer_card import CardGrid, HubCard, OfferCard
from app.views.controls.controls import Button, Column, discard, label
from app.views.library.installed_row import InstalledRow
from app.views.library.job_row import JobRow

if TYPE_CHECKING:
    from app.application import Services

COLUMN = 1040
UNDER_WAY = ("queued", "running", "paused")


class LibraryView(QWidget):
    """``chat_wanted`` and ``context_wanted`` carry an installed model's id."""

    chat_wanted = Signal(str)
    context_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._theme, self._services = theme, services
        self._rows: dict[str, JobRow] = {}
        self._shown: tuple[object, ...] = ()
        self._query = ""
        self._found: list[HubEntry] | None = None

        self._jobs_title = label(tr("Under way"), "section")
        self._jobs = Column()
        self._installed_title = label(tr("Installed"), "section")
        self._installed = Column()
        self._nothing = label(
            tr("No model is installed yet. The starter below is small and needs no account."), "muted"
        )
        self._results_title = label("", "section")
        self._results_note = label("", "muted", wrap=True)
        self._results = Column()
        self._catalogue_title = label(tr("Recommended"), "section")
        self._catalogue = CardGrid()

        column = QWidget()
        column.setMaximumWidth(COLUMN)
        self._layout = QVBoxLayout(column)
        self._layout.setContentsMargins(6, 26, 6, 30)
        self._layout.setSpacing(10)
        self._layout.addWidget(label(tr("Library"), "display"))
        self._layout.addSpacing(8)
        for title, body in ((self._jobs_title, self._jobs), (self._installed_title, self._installed)):
            self._layout.addWidget(title)
            self._layout.addWidget(body)
            self._layout.addSpacing(12)
        self._layout.insertWidget(self._layout.indexOf(self._installed) + 1, self._nothing)
        self._layout.addWidget(label(tr("Get a model"), "section"))
        self._layout.addLayout(self._search_row())
        self._layout.addLayout(self._encoding_row())
        for widget in (self._results_title, self._results_note, self._results):
            self._layout.addWidget(widget)
        self._layout.addSpacing(8)
        self._layout.addWidget(self._catalogue_title)
        self._layout.addWidget(self._catalogue)
        self._layout.addStretch(1)

        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        content = QWidget()
        content.setObjectName("column")
        row = QHBoxLayout(content)
        row.setContentsMargins(28, 0, 28, 0)
        row.addStretch(1)
        row.addWidget(column, 100)
        row.addStretch(1)
        scroll.setWidget(content)
        self._scroll = scroll
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

        services.library.changed.connect(self.refresh)
        services.library.search_finished.connect(self._on_found)
        services.library.failed.connect(self._on_failed)
        services.settings.changed.connect(self._on_setting)
        jobs = services.jobs
        jobs.added.connect(self._on_job)
        jobs.changed.connect(self._on_job)
        jobs.removed.connect(self._on_job_removed)
        for job in jobs.jobs():
            self._on_job(job)
        self._show_jobs_title()
        self.refresh()
        self._show_results()

    def _search_row(self) -> QHBoxLayout:
        self.search = QLineEdit()
        self.search.setPlaceholderText(tr("Search Hugging Face, or type org/name"))
        self.search.setAccessibleName(tr("Search for models"))
        self.search.setClearButtonEnabled(True)
        self.search.returnPressed.connect(self._search)
        self.search.textChanged.connect(self._on_search_text)
        more = Button(self._theme, tr("From a file"), icon_name="folder")
        menu = QMenu(more)
        menu.addAction(tr("A folder in Hugging Face layout…"), self._choose_folder)
        menu.addAction(tr("A GGUF file…"), self._choose_gguf)
        more.setMenu(menu)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.search, 1)
        row.addWidget(Button(self._theme, tr("Search"), self._search, icon_name="search"))
        row.addWidget(more)
        return row

    def _encoding_row(self) -> QHBoxLayout:
        """One choice for all that is got from here; sizes and fits below follow it."""
        self.encoding = QComboBox()
        self.encoding.setAccessibleName(tr("How new models are encoded"))
        for key, (name, bits) in wording.ENCODINGS.items():
            self.encoding.addItem(f"{tr(name)}, {tr(bits)}", key)
        self.encoding.activated.connect(
            lambda index: self._services.settings.set("encoding", self.encoding.itemData(index))
        )
        self._encoding_hint = label("", "small", wrap=True)
        self._show_encoding()
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(label(tr("Ternarise as"), "muted"))
        row.addWidget(self.encoding)
        row.addWidget(self._encoding_hint, 1)
        return row

    # Lists

    def refresh(self) -> None:
        """Take the lists afresh; what has not changed stays as it is."""
        library = self._services.library
        getting = frozenset(job.source for job in self._services.jobs.jobs() if job.state in UNDER_WAY)
        installed, catalogue = library.installed(), library.catalogue()
        shown = (library.loaded, tuple(installed), tuple(catalogue), getting)
        if shown == self._shown:
            return
        before, self._shown = self._shown, shown
        if not before or before[:2] != shown[:2]:
            self._installed.clear()
            for entry in installed:
                row = self._installed_row(entry)
                self._installed.add(row)
            self._installed_title.setVisible(library.loaded)
            self._installed.setVisible(bool(installed))
            self._nothing.setVisible(library.loaded and not installed)
        here: dict[str, frozenset[str]] = {}
        for one in installed:
            source, encoding = wording.model_and_encoding(one.id)
            here[source] = here.get(source, frozenset()) | {encoding}
        self._catalogue.show_cards(
            [
                OfferCard(
                    self._theme, entry, entry.source in getting, here.get(entry.source, frozenset()), self.get,
                    self.chat_wanted.emit,
                )
                for entry in sorted(catalogue, key=lambda entry: entry.source != "starter")
            ]
        )
        self._show_results()

    def _installed_row(self, entry: InstalledEntry) -> InstalledRow:
        name = model_name(entry.id, self._services.library)
        return InstalledRow(
            self._theme, entry, name, lambda e: self.chat_wanted.emit(e.id),
            lambda e: self.context_wanted.emit(e.id), self._confirm_delete,
        )

    def _confirm_delete(self, entry: InstalledEntry) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(tr("Delete model"))
        box.setIcon(QMessageBox.Icon.NoIcon)
        box.setText(tr("Delete {id}?").format(id=entry.id))
        box.setInformativeText(
            tr(
                "This frees {size}. Your conversations stay. To use the model again it must be ternarised again."
            ).format(size=wording.size(entry.bytes))
        )
        delete = box.addButton(tr("Delete"), QMessageBox.ButtonRole.DestructiveRole)
        keep = box.addButton(tr("Keep"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.buttonClicked.connect(
            lambda button: self._services.library.remove(entry.id) if button is delete else None
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # Getting models

    def get(self, source: str) -> None:
        """Queue a model with the encoding that is chosen."""
        self._services.jobs.add(source, str(self._services.settings.get("encoding")))
        self.refresh()
        QTimer.singleShot(0, lambda: self._scroll.verticalScrollBar().setValue(0))

    def _choose_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, tr("A folder with config.json and safetensors files")):
            self.get(str(Path(folder)))

    def _choose_gguf(self) -> None:
        file, _ = QFileDialog.getOpenFileName(self, tr("A GGUF file"), "", "GGUF (*.gguf)")
        if file:
            self.get(str(Path(file)))

    # Search

    def _search(self) -> None:
        self._query = self.search.text().strip()
        self._found = None
        if self._query:
            self._services.library.search(self._query)
        self._show_results(tr("Searching Hugging Face…") if self._query else "")

    def _on_search_text(self, text: str) -> None:
        if not text.strip() and self._query:
            self._query, self._found = "", None
            self._show_results()

    def _on_found(self, found: list[HubEntry]) -> None:
        if self._query:
            self._found = found
            self._show_results("" if found else tr("Nothing was found."))

    def _on_failed(self, message: str) -> None:
        if self._query and self._found is None:
            self._show_results(message)

    def _show_results(self, note: str = "") -> None:
        self._results.clear()
        query = self._query
        self._results_title.setText(tr("Results for “{query}”").format(query=query))
        self._results_title.setVisible(bool(query))
        self._results_note.setText(note)
        self._results_note.setVisible(bool(query and note))
        self._results.setVisible(bool(query))
        if not query:
            return
        getting = {job.source for job in self._services.jobs.jobs() if job.state in UNDER_WAY}
        for entry in self._found or ():
            self._results.add(HubCard(self._theme, entry, entry.source in getting, self.get))
        exact = query.count("/") == 1 and " " not in query
        if exact and all(entry.source != query for entry in self._found or ()):
            text = tr("Get “{query}” as typed").format(query=query)
            direct = Button(self._theme, text, lambda: self.get(query), icon_name="download")
            self._results.add(direct, Qt.AlignmentFlag.AlignLeft)

    def _on_setting(self, key: str) -> None:
        if key == "encoding":
            self._show_encoding()

    def _show_encoding(self) -> None:
        chosen = str(self._services.settings.get("encoding"))
        self.encoding.setCurrentIndex(self.encoding.findData(chosen))
        self._encoding_hint.setText(tr(wording.ENCODING_HINTS[chosen]))

    # Jobs

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
        self._show_jobs_title()

    def _on_job_removed(self, job_id: str) -> None:
        if (row := self._rows.pop(job_id, None)) is not None:
            discard(row)
            self.refresh()
        self._show_jobs_title()

    def _show_jobs_title(self) -> None:
        self._jobs_title.setVisible(bool(self._rows))
        self._jobs.setVisible(bool(self._rows))
