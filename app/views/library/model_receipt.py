"""The receipt of an installed model, which follows its measurement; on the model's page, and in a dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from app.jobs import receipt as receipts
from app.jobs.job import MEASURE, Job
from app.library.names import model_name
from app.theme import Theme
from app.views.library.receipt_view import ReceiptDialog, ReceiptView

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


def show_receipt(theme: Theme, services: Services, model_id: str, parent: QWidget) -> ReceiptDialog:
    """Open the receipt of an installed model."""
    view = ModelReceipt(theme, services, model_id)
    dialog = ReceiptDialog(theme, None, model_name(model_id, services.library), parent, view=view)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
    return dialog
