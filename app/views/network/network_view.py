"""What went out to the network, all of it; the offline switch, and how the hub is reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QDateTime, QLocale, Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app import wording
from app.network import outbound_log
from app.network.connection_test import ConnectionTest
from app.network.outbound_log import Request
from app.settings.declared import SETTINGS
from app.theme import Space, Theme
from app.translation import mark, tr
from app.views.controls.announcement import announce
from app.views.controls.controls import Button, frame, label, set_property
from app.views.controls.page_column import WIDTH, centred, scrolled
from app.views.controls.request_log import RequestLog
from app.views.settings.secret_row import SecretRow
from app.views.settings.setting_row import SettingRow
from tzcore.errors import TernaryZeroError

if TYPE_CHECKING:
    from app.application import Services

LOOK = 1500
"""Milliseconds between two looks at the files, while the page is shown."""
SHOWN = ("offline", "proxy", "proxy_address", "proxy_password", "proxy_exceptions", "hub_mirror")
MANUAL = ("proxy_address", "proxy_password", "proxy_exceptions")

def _time_words(request: Request) -> str:
    if request.time is None:
        return ""
    moment = QDateTime.fromSecsSinceEpoch(int(request.time.timestamp()))
    return QLocale().toString(moment, QLocale.FormatType.ShortFormat)


COLUMNS = (
    (mark("Time"), _time_words, False),
    (mark("Program"), lambda request: request.program, False),
    (mark("Host"), lambda request: request.host, False),
    (mark("Purpose"), lambda request: request.purpose_words, False),
    (mark("What was asked for"), lambda request: f"{request.method} {request.path}", False),
)


class NetworkView(QWidget):
    """``search`` filters the list."""

    page_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._services = services
        self._requests: list[Request] = []
        self._seen: tuple[object, ...] = ()
        self.test = ConnectionTest(parent=self)
        self.test.finished.connect(self._on_tested)

        self.search = QLineEdit()
        self.search.setProperty("role", "search")
        self.search.setPlaceholderText(tr("Filter by program, host or purpose"))
        self.search.setAccessibleName(tr("Filter by program, host or purpose"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(lambda _: self._show())
        self.export = Button(theme, tr("Export…"), self._on_export, icon_name="export")
        self.clear = Button(theme, tr("Clear…"), self._on_clear, icon_name="trash")
        self.summary = label("", "muted", wrap=True)
        self.log = RequestLog(tr("Requests that went out"), COLUMNS, 4)
        self.log.setMinimumHeight(220)
        self.nothing = label(tr("Nothing has ever left this machine."), "heading")
        self.nothing_more = label(
            tr("Searching for models and fetching them go out to the hub, and every request will be listed here."),
            "muted", wrap=True,
        )
        empty = frame("card")
        inside = QVBoxLayout(empty)
        inside.setContentsMargins(Space.LARGE, Space.LARGE, Space.LARGE, Space.LARGE)
        inside.setSpacing(Space.SMALL)
        inside.addStretch(2)
        for line in (self.nothing, self.nothing_more):
            line.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            inside.addWidget(line)
        inside.addStretch(3)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.log)
        self.stack.addWidget(empty)

        tools = QHBoxLayout()
        tools.setSpacing(Space.SMALL)
        tools.addWidget(self.search, 1)
        tools.addWidget(self.export)
        tools.addWidget(self.clear)
        column = QWidget()
        column.setObjectName("column")
        layout = QVBoxLayout(column)
        layout.setContentsMargins(Space.PAGE, Space.LARGE, Space.PAGE, Space.LARGE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(label(tr("Network"), "display"))
        layout.addWidget(
            label(
                tr("All is computed here. Only what you search for or fetch goes out, and every request is listed."),
                "muted", wrap=True,
            )
        )
        layout.addWidget(self._connection(theme))
        layout.addSpacing(Space.SMALL)
        layout.addWidget(label(tr("What went out"), "heading"))
        layout.addLayout(tools)
        layout.addWidget(self.summary)
        layout.addWidget(self.stack, 1)
        area = scrolled(centred(column, WIDTH + 2 * Space.PAGE))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        self._timer = QTimer(self, interval=LOOK)
        self._timer.timeout.connect(self.refresh)
        services.settings.changed.connect(self._on_setting)
        self._show_proxy()
        self.refresh()

    def focus_first(self) -> None:
        self.search.setFocus()

    def refresh(self) -> None:
        """Read the list again if it has changed."""
        seen = tuple((file, file.stat().st_size) for file in outbound_log.files() if file.exists())
        if seen != self._seen or not self._seen:
            self._seen = seen
            self._requests = outbound_log.read()
            self._show()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        self.refresh()
        self._timer.start()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        self._timer.stop()
        super().hideEvent(event)

    # --- how the hub is reached ----------------------------------------------------------------

    def _connection(self, theme: Theme) -> QWidget:
        card = frame("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(Space.LARGE, Space.SMALL, Space.LARGE, Space.MEDIUM)
        inside.setSpacing(0)
        declared = {setting.key: setting for setting in SETTINGS}
        self.rows: dict[str, SettingRow | SecretRow] = {}
        for key in SHOWN:
            setting = declared[key]
            secret = setting.kind == "secret"
            self.rows[key] = (
                SecretRow(theme, self._services.secrets, setting) if secret
                else SettingRow(theme, self._services.settings, setting)
            )  # fmt: skip
            inside.addWidget(self.rows[key])
        self.ask = Button(theme, tr("Test the connection"), self._on_test)
        self.outcome = label("", "muted", wrap=True)
        self.outcome.setAccessibleName(tr("Outcome of the test"))
        row = QHBoxLayout()
        row.setContentsMargins(0, Space.SMALL, 0, 0)
        row.setSpacing(Space.MEDIUM)
        row.addWidget(self.ask)
        row.addWidget(self.outcome, 1)
        inside.addLayout(row)
        return card

    def _on_setting(self, key: str) -> None:
        if key in self.rows:
            self.rows[key].refresh()
            self._show_proxy()
            self.outcome.setText("")

    def _show_proxy(self) -> None:
        for key in MANUAL:
            self.rows[key].setVisible(self._services.settings.get("proxy") == "manual")
        offline = bool(self._services.settings.get("offline"))
        self.ask.setEnabled(not offline and not self.test.running)

    def _on_test(self) -> None:
        set_property(self.outcome, "role", "muted")
        self.outcome.setText(tr("The hub is being asked…"))
        self.ask.setEnabled(False)
        self.test.start()

    def _on_tested(self, reached: bool, sentence: str) -> None:
        set_property(self.outcome, "role", "success" if reached else "danger")
        self.outcome.setText(sentence)
        announce(self, sentence)
        self._show_proxy()
        self.refresh()

    # --- the list ------------------------------------------------------------------------------

    def _show(self) -> None:
        words = self.search.text().lower().split()
        rows = [request for request in self._requests if request.has(words)]
        self.log.show_rows(rows)
        self.stack.setCurrentIndex(0 if self._requests else 1)
        self.export.setEnabled(bool(rows))
        self.clear.setEnabled(bool(self._requests))
        hosts = sorted({request.host for request in rows})
        if not self._requests:
            self.summary.hide()
            return
        self.summary.show()
        if not rows:
            self.summary.setText(tr("No request has to do with “{words}”.").format(words=self.search.text().strip()))
            return
        named = ", ".join(hosts[:4]) + (", …" if len(hosts) > 4 else "")
        one, several = tr("One request, to {hosts}."), tr("{count} requests, to {hosts}.")
        sentence = (one if len(rows) == 1 else several).format(count=wording.count(len(rows)), hosts=named)
        if len(self._requests) >= outbound_log.MOST:
            sentence += " " + tr("Older ones are not shown, but exported.")
        self.summary.setText(sentence)

    def _on_export(self) -> None:
        file, _ = QFileDialog.getSaveFileName(self, tr("Export the list"), "requests.csv", "CSV (*.csv)")
        if not file:
            return
        try:
            words = self.search.text().lower().split()
            rows = [request for request in outbound_log.read(None) if request.has(words)]
            Path(file).write_text(outbound_log.as_csv(rows), encoding="utf-8")
        except OSError as error:
            self._complain(tr("{file} cannot be written: {reason}.").format(file=file, reason=error.strerror))

    def _on_clear(self) -> None:
        question = QMessageBox(self)
        question.setWindowTitle(tr("Clear the list?"))
        question.setText(tr("The list of what went out is deleted for good."))
        delete = question.addButton(tr("Clear"), QMessageBox.ButtonRole.DestructiveRole)
        question.addButton(tr("Keep it"), QMessageBox.ButtonRole.RejectRole)
        question.buttonClicked.connect(lambda button: self._clear() if button is delete else None)
        self.question = question
        question.open()

    def _clear(self) -> None:
        try:
            outbound_log.clear()
        except TernaryZeroError as error:
            self._complain(str(error))
        self._seen = ()
        self.refresh()

    def _complain(self, sentence: str) -> None:
        QMessageBox.warning(self, tr("Network"), sentence)
