"""The receipt of an installed model, which follows its measurement; on the model's page, and in a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.jobs import receipt as receipts
from app.jobs.job import MEASURE, Job
from app.library.names import model_name
from app.theme import Theme
from app.translation import tr
from app.views.controls.controls import Button, label
from app.views.library.receipt_view import ReceiptView

if TYPE_CHECKING:
    from app.application import Services


class ModelReceipt(ReceiptView):
    """Reads the receipt from the model's folder, and again when it has been measured."""

    def __init__(self, theme: Theme, services: Services, model_id: str) -> None:
        super().__init__(theme)
        self._services, self._model_id = services, model_id
        self.measure_wanted.connect(self._measure_now)
        for signal in (services.jobs.added, services.jobs.changed):
            signal.connect(self._on_job)
        services.jobs.removed.connect(self.refresh)
        self._measuring: bool | None = None
        self.refresh()

    def refresh(self, _job_id: str = "") -> None:
        """Read the file again."""
        found = (entry.path for entry in self._services.library.installed() if entry.id == self._model_id)
        path = next(found, None)
        self._measuring = self._is_measured()
        receipt = None if path is None else receipts.read(path, self._model_id)
        self.show_receipt(receipt, measuring=self._measuring)

    def _is_measured(self) -> bool:
        jobs = self._services.jobs.jobs()
        return any(self._ours(job) and job.state in ("queued", "running") for job in jobs)

    def _ours(self, job: Job) -> bool:
        return job.kind == MEASURE and job.source == self._model_id

    def _on_job(self, job: Job) -> None:
        if self._ours(job) and self._is_measured() != self._measuring:
            self.refresh()

    def _measure_now(self) -> None:
        self._services.jobs.measure(self._model_id)


class ReceiptDialog(QDialog):
    """The receipt in a window of its own."""

    def __init__(self, theme: Theme, services: Services, model_id: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        name = model_name(model_id, services.library)
        self.setWindowTitle(tr("Receipt of {name}").format(name=name))
        self.resize(860, 680)
        self.view = ModelReceipt(theme, services, model_id)
        inside = QWidget()
        inside.setObjectName("column")
        padding = QVBoxLayout(inside)
        padding.setContentsMargins(24, 22, 24, 20)
        padding.addWidget(label(name, "display", wrap=True))
        padding.addSpacing(4)
        padding.addWidget(self.view)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inside)
        close = Button(theme, tr("Close"), self.accept, kind="primary")
        row = QHBoxLayout()
        row.setContentsMargins(24, 10, 24, 16)
        row.addStretch(1)
        row.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(scroll, 1)
        layout.addLayout(row)
        close.setFocus()


def show_receipt(theme: Theme, services: Services, model_id: str, parent: QWidget) -> ReceiptDialog:
    """Open the receipt of an installed model."""
    dialog = ReceiptDialog(theme, services, model_id, parent)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
    return dialog
