"""A job that is done: what came out, and what can be done with it."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from app.jobs.job import MEASURE, Job
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, IconButton, label, tag
from app.views.controls.elided_label import ElidedLabel
from app.views.jobs import job_words


class HistoryRow(QFrame):
    """``installed``: whether its model is still there; ``verdict``: the receipt's sentence."""

    chat = Signal()
    receipt = Signal()
    show_log = Signal()
    remove = Signal()

    def __init__(self, theme: Theme, job: Job, name: str, installed: bool, verdict: str = "") -> None:
        super().__init__()
        self.job_id = job.id
        self.setProperty("role", "card")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(ElidedLabel(name, "heading", job.source))
        for words in job_words.tags(job):
            head.addWidget(tag(words, "accent"))
        head.addStretch(1)
        if installed:
            if job.kind != MEASURE:
                head.addWidget(Button(theme, tr("Chat"), self.chat.emit, kind="primary", icon_name="chat"))
            head.addWidget(Button(theme, tr("Receipt"), self.receipt.emit, icon_name="receipt"))
        head.addWidget(IconButton(theme, "log", tr("Show the log"), self.show_log.emit))
        head.addWidget(IconButton(theme, "close", tr("Take off the list"), self.remove.emit))
        parts = [job_words.when(job.finished or job.created)]
        if verdict:
            parts.append(verdict)
        if not installed:
            parts.append(tr("The model is not installed any more."))
        text = "  ·  ".join(part for part in parts if part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 10, 12, 12)
        layout.setSpacing(5)
        layout.addLayout(head)
        layout.addWidget(label(text, "muted", wrap=True))
        self.setAccessibleName(f"{name}: {tr('Done')}. {text}")
