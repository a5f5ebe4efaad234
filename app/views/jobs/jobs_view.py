"""The jobs page: what is under way and in which order, and what was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app import wording
from app.jobs import receipt as receipts
from app.jobs.job import Job
from app.library.names import model_name
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, Column, discard, label
from app.views.controls.notice_bar import NoticeBar
from app.views.controls.page_column import centred, scrolled
from app.views.jobs import job_words
from app.views.jobs.history_row import HistoryRow
from app.views.jobs.job_card import JobCard
from app.views.jobs.job_list import JobList

if TYPE_CHECKING:
    from app.application import Services

COLUMN = 1040


class JobsView(QWidget):
    """``chat_wanted`` carries an installed model's id, ``page_wanted`` the key of another page."""

    chat_wanted = Signal(str)
    page_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._theme, self._services = theme, services
        self._rows: dict[str, HistoryRow] = {}
        self._shown: tuple[object, ...] = ()
        self._summary = label("", "muted", wrap=True)
        self._resume = Button(theme, tr("Resume all"), services.jobs.resume_all, icon_name="play")
        self._clear = Button(theme, tr("Clear the history"), self._clear_history, kind="fold", icon_name="trash")
        self.notice = NoticeBar(theme)
        self.list = JobList(theme)
        self._empty = label(tr("Nothing is under way. Models that you get appear here while they are made."), "muted",
                            wrap=True)  # fmt: skip
        self._get = Button(theme, tr("Get a model"), lambda: self.page_wanted.emit("library"), kind="primary",
                           icon_name="library")  # fmt: skip
        self._history_title = label(tr("Done"), "section")
        self._history = Column(8)
        self._build()
        self.list.moved.connect(self._move)
        jobs = services.jobs
        jobs.added.connect(self._on_job)
        jobs.changed.connect(self._on_job)
        jobs.removed.connect(self._on_removed)
        jobs.moved.connect(self._arrange)
        jobs.held.connect(self._show_summary)
        services.library.changed.connect(self._refresh_history)
        for job in jobs.jobs():
            if not job.over:
                self._add_card(job)
        self._arrange()
        self._refresh_history()
        if jobs.trouble:
            self.notice.show_notice(jobs.trouble, "warning")

    def _build(self) -> None:
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(6, 26, 6, 30)
        layout.setSpacing(10)
        head = QHBoxLayout()
        head.addWidget(label(tr("Jobs"), "display"), 1)
        head.addWidget(self._resume)
        layout.addLayout(head)
        layout.addWidget(self._summary)
        layout.addWidget(self.notice)
        layout.addSpacing(4)
        layout.addWidget(self.list)
        layout.addWidget(self._empty)
        layout.addWidget(self._get, 0, Qt.AlignmentFlag.AlignLeading)
        layout.addSpacing(14)
        history = QHBoxLayout()
        history.addWidget(self._history_title, 1)
        history.addWidget(self._clear)
        layout.addLayout(history)
        layout.addWidget(self._history)
        layout.addStretch(1)
        self._scroll = scroll = scrolled(centred(column, COLUMN, 28))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def focus_first(self) -> None:
        """The first job, or else what gets one."""
        cards = self.list.cards()
        (cards[0] if cards else self._get).setFocus()

    # Jobs that are not done

    def _on_job(self, job: Job) -> None:
        card = self.list.card(job.id)
        if job.over:
            if card is not None:
                self.list.remove(job.id)
            if job.id not in self._rows:
                self._refresh_history()
        elif card is None:
            self._add_card(job)
        else:
            card.show_job(job)
        self._show_summary()

    def _add_card(self, job: Job) -> None:
        card = JobCard(self._theme, job, self._name(job))
        jobs = self._services.jobs
        card.pause.connect(lambda: jobs.pause(job.id))
        card.cancel.connect(lambda: jobs.cancel(job.id))
        card.retry.connect(lambda: jobs.retry(job.id))
        card.remove.connect(lambda: jobs.remove(job.id))
        card.move_wanted.connect(lambda places: self._move(job.id, places))
        card.show_log.connect(lambda: self._show_log(job))
        self.list.add(card)

    def _move(self, job_id: str, places: int) -> None:
        self._services.jobs.move(job_id, places)
        if (card := self.list.card(job_id)) is not None:
            card.setFocus()
            self._scroll.ensureWidgetVisible(card)

    def _arrange(self) -> None:
        self.list.arrange([job.id for job in self._services.jobs.jobs()])
        self._show_summary()

    def _on_removed(self, job_id: str) -> None:
        self.list.remove(job_id)
        if (row := self._rows.pop(job_id, None)) is not None:
            discard(row)
            self._shown = ()
        self._show_summary()

    def _show_summary(self, _reason: str = "") -> None:
        jobs = [job for job in self._services.jobs.jobs() if not job.over]
        running = next((job for job in jobs if job.state == "running"), None)
        waiting = sum(job.state == "queued" for job in jobs)
        parts = []
        if running is not None:
            left = running.course.seconds_left(running.seconds_left)
            if left is None:
                parts.append(tr("One is running."))
            else:
                text = tr("One is running, about {time} left.")
                parts.append(text.format(time=wording.duration(job_words.rounded(left))))
        if waiting:
            parts.append(tr("%n waiting.", "", waiting))
        if jobs and self._services.jobs.hold_reason:
            parts.append(self._services.jobs.hold_reason)
        self._summary.setText(" ".join(parts))
        self._summary.setVisible(bool(parts))
        self._empty.setVisible(not jobs)
        self._get.setVisible(not jobs)
        self.list.setVisible(bool(jobs))
        self._resume.setVisible(sum(job.state == "paused" for job in jobs) > 1)
        done = any(job.over for job in self._services.jobs.jobs())
        self._history_title.setVisible(done)
        self._clear.setVisible(done)

    # History

    def _refresh_history(self) -> None:
        installed = {entry.id: entry.path for entry in self._services.library.installed()}
        done = sorted((job for job in self._services.jobs.jobs() if job.over), key=lambda job: -job.finished)
        shown = tuple((job.id, job.model_id in installed) for job in done)
        if shown == self._shown:
            return
        self._shown = shown
        self._history.clear()
        self._rows.clear()
        for job in done:
            path = installed.get(job.model_id)
            receipt = receipts.read(path, job.model_id) if path is not None else None
            verdict = receipt.verdict[0] if receipt is not None and (receipt.kl is not None or receipt.lossless) else ""
            row = HistoryRow(self._theme, job, self._name(job), path is not None, verdict)
            row.chat.connect(lambda job=job: self.chat_wanted.emit(job.model_id))
            row.receipt.connect(lambda job=job: self.show_receipt(job.model_id))
            row.show_log.connect(lambda job=job: self._show_log(job))
            row.remove.connect(lambda job=job: self._services.jobs.remove(job.id))
            self._rows[job.id] = row
            self._history.add(row)
        self._show_summary()

    def _clear_history(self) -> None:
        for job in self._services.jobs.jobs():
            if job.over:
                self._services.jobs.remove(job.id)
        self._refresh_history()

    def show_receipt(self, model_id: str) -> None:
        """The receipt of an installed model, in a dialog."""
        from app.views.library.model_receipt import show_receipt

        show_receipt(self._theme, self._services, model_id, self)

    def _show_log(self, job: Job) -> None:
        from app.views.jobs.log_dialog import LogDialog

        dialog = LogDialog(self._theme, self._services.jobs.log(job.id), self._name(job), self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _name(self, job: Job) -> str:
        return model_name(job.model_id or job.source, self._services.library)
