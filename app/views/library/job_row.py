"""A download and conversion: how far it is, how fast, how long still, and what can be done about it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QVBoxLayout

from app import wording
from app.jobs.jobs import Job
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, label, set_property, tag
from app.views.controls.elided_label import ElidedLabel
from app.views.jobs import job_words


class JobRow(QFrame):
    """Signals carry nothing: the owner knows which job this row shows."""

    pause = Signal()
    cancel = Signal()
    retry = Signal()
    remove = Signal()
    chat = Signal()

    def __init__(self, theme: Theme, job: Job, name: str) -> None:
        super().__init__()
        self.setProperty("role", "card")
        self._title = ElidedLabel(name, "heading")
        self._encoding = tag(wording.encoding(job.encoding), "accent")
        self._encoding.setVisible(bool(job.encoding))
        self._state = label("", "muted", wrap=True)
        self._detail = label("", "small")
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._chat = Button(theme, tr("Chat"), self.chat.emit, kind="primary", icon_name="chat")
        self._retry = Button(theme, tr("Resume"), self.retry.emit, icon_name="play")
        self._pause = IconButton(theme, "pause", tr("Pause"), self.pause.emit)
        self._cancel = IconButton(theme, "close", tr("Cancel"), self.cancel.emit)
        self._remove = IconButton(theme, "close", tr("Take off the list"), self.remove.emit)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._title)
        head.addWidget(self._encoding)
        head.addStretch()
        for button in (self._chat, self._retry, self._pause, self._cancel, self._remove):
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 12, 12, 14)
        layout.setSpacing(7)
        layout.addLayout(head)
        layout.addWidget(self._bar)
        layout.addWidget(self._state)
        layout.addWidget(self._detail)
        self.show_job(job)

    @property
    def sentence(self) -> str:
        return self._state.text()

    def show_job(self, job: Job) -> None:
        running = job.state == "running"
        self._bar.setVisible(running or (job.state == "paused" and job.fraction > 0))
        self._bar.setRange(0, 1000)
        self._bar.setValue(round(1000 * job.fraction))
        sentence = job_words.summary(job)
        self._state.setText(sentence)
        set_property(self._state, "role", {"failed": "danger", "done": "success"}.get(job.state, "muted"))
        self._detail.setText(job.detail if running else "")
        self._detail.setVisible(running and bool(job.detail))
        self._bar.setAccessibleName(sentence)
        self.setAccessibleName(f"{job.source}: {sentence}")
        self._chat.setVisible(job.state == "done" and bool(job.model_id))
        self._retry.setVisible(job.state in ("paused", "failed", "cancelled"))
        self._retry.set_text(tr("Try again") if job.state == "failed" else tr("Resume"))
        self._pause.setVisible(running)
        self._cancel.setVisible(job.state in ("running", "queued"))
        self._remove.setVisible(job.state not in ("running", "queued"))

