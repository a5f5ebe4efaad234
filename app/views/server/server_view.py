"""The server for other programs: its switch, its address and token, who uses it, how others are set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QDateTime, QLocale, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app import wording
from app.settings.declared import SETTINGS
from app.theme import Space, Theme
from app.translation import mark, tr
from app.views.controls.controls import frame, label
from app.views.controls.page_column import WIDTH, centred, scrolled
from app.views.controls.request_log import RequestLog
from app.views.server.address_card import AddressCard
from app.views.server.example_panel import ExamplePanel
from app.views.settings.setting_row import SettingRow

if TYPE_CHECKING:
    from app.application import Services

LOOK = 1000
"""Milliseconds between two questions to the engine, while the page is shown."""
SHOWN = ("server_on", "server_port", "server_token_wanted", "server_lan")


def _time(request: dict[str, Any]) -> str:
    moment = QDateTime.fromSecsSinceEpoch(int(request["time"]))
    if moment.date() == QDateTime.currentDateTime().date():
        return QLocale().toString(moment.time(), QLocale.FormatType.ShortFormat)
    return QLocale().toString(moment, QLocale.FormatType.ShortFormat)


def _status(request: dict[str, Any]) -> str:
    if request["running"]:
        return tr("running")
    return str(request["status"]) if request["status"] else tr("broken off")


def _speed(row: dict[str, Any]) -> str:
    return wording.decimal(row["tokens_per_second"]) if row["tokens_per_second"] else ""


def _tokens(request: dict[str, Any]) -> str:
    if not request["tokens"] and not request["prompt_tokens"]:
        return ""
    if not request["prompt_tokens"]:  # not known before the end
        return wording.count(request["tokens"])
    return f"{wording.count(request['prompt_tokens'])} + {wording.count(request['tokens'])}"


def _program(row: dict[str, Any]) -> str:
    return str(row["process"]) or tr("not known")


CONNECTIONS = (
    (mark("Program"), _program, False),
    (mark("Address"), lambda row: row["client"], False),
    (mark("Model"), lambda row: row["model"], False),
    (mark("Requests"), lambda row: wording.count(row["requests"]), True),
    (mark("Running"), lambda row: wording.count(row["running"]), True),
    (mark("Tokens/s"), _speed, True),
)
REQUESTS = (
    (mark("Time"), _time, False),
    (mark("Program"), _program, False),
    (mark("Route"), lambda row: f"{row['method']} {row['route']}", False),
    (mark("Model"), lambda row: row["model"], False),
    (mark("Status"), _status, False),
    (mark("Tokens"), _tokens, True),
    (mark("Tokens/s"), _speed, True),
    (mark("Duration"), lambda row: wording.duration(row["seconds"]) if row["seconds"] >= 1
     else tr("{count} ms").format(count=round(1000 * row["seconds"])), True),
)


class ServerView(QWidget):
    """Everything on one page, from the switch down to the examples."""

    page_wanted = Signal(str)

    def __init__(self, theme: Theme, services: Services) -> None:
        super().__init__()
        self._services = services
        self._server = services.server
        declared = {setting.key: setting for setting in SETTINGS}
        self.rows = {key: SettingRow(theme, services.settings, declared[key]) for key in SHOWN}
        self.address = AddressCard(theme, services)
        self.connections = RequestLog(tr("Connected programs"), CONNECTIONS, 2)
        self.requests = RequestLog(tr("Recent requests"), REQUESTS, 3)
        self.connections.setMinimumHeight(112)
        self.connections.setMaximumHeight(150)
        self.requests.setMinimumHeight(230)
        self.nobody = label("", "muted", wrap=True)
        self.no_request = label(
            tr("Nothing was asked yet. What is said in requests is not kept, only that there was one."),
            "muted", wrap=True,
        )
        self.examples = ExamplePanel(theme)

        card = frame("card")
        inside = QVBoxLayout(card)
        inside.setContentsMargins(Space.LARGE, Space.SMALL, Space.LARGE, Space.MEDIUM)
        inside.setSpacing(0)
        inside.addWidget(self.rows["server_on"])
        inside.addWidget(self.address)
        for key in SHOWN[1:]:
            inside.addWidget(frame("rule"))
            inside.addWidget(self.rows[key])

        column = QWidget()
        column.setObjectName("column")
        layout = QVBoxLayout(column)
        layout.setContentsMargins(Space.PAGE, Space.LARGE, Space.PAGE, Space.LARGE)
        layout.setSpacing(Space.MEDIUM)
        layout.addWidget(label(tr("Server"), "display"))
        layout.addWidget(
            label(
                tr("Other programs use the models through the OpenAI interface. They share them with this window."),
                "muted", wrap=True,
            )
        )
        layout.addWidget(card)
        for title, *widgets in (
            (tr("Connected programs"), self.nobody, self.connections),
            (tr("Recent requests"), self.no_request, self.requests),
            (tr("How to use it"), self.examples),
        ):
            layout.addSpacing(Space.SMALL)
            layout.addWidget(label(title, "heading"))
            for widget in widgets:
                layout.addWidget(widget)
        layout.addStretch(1)
        area = scrolled(centred(column, WIDTH + 2 * Space.PAGE))
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(area)
        self._timer = QTimer(self, interval=LOOK)
        self._timer.timeout.connect(self._server.ask)
        self._server.state_changed.connect(self._on_state)
        self._server.activity_changed.connect(self._show_activity)
        services.settings.changed.connect(self._on_setting)
        services.secrets.changed.connect(self._on_secret)
        self._show_rows()
        self._on_state(self._server.state)
        self._show_activity()

    def focus_first(self) -> None:
        self.rows["server_on"].editor.field.setFocus()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        self._server.ask()
        self._timer.start()
        self._show_examples()
        super().showEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802
        self._timer.stop()
        super().hideEvent(event)

    def _on_setting(self, key: str) -> None:
        if key in self.rows:
            self.rows[key].refresh()
            self._show_rows()
            self.address.refresh()
        if key in (*SHOWN, "last_model"):
            self._show_examples()

    def _on_secret(self, _: str) -> None:
        self.address.refresh()
        self._show_examples()

    def _show_rows(self) -> None:
        """Whoever lets other machines in cannot do without a token."""
        self.rows["server_token_wanted"].setEnabled(not self._services.settings.get("server_lan"))

    def _on_state(self, _: str) -> None:
        self.address.refresh()
        self._show_examples()
        self._server.ask()

    def _show_activity(self) -> None:
        on = self._server.state == "on"
        connections, requests = self._server.connections, self._server.requests
        self.connections.show_rows(connections)
        self.connections.setVisible(bool(connections))
        self.nobody.setText(tr("No program is connected.") if on else tr("The server is off."))
        self.nobody.setVisible(not connections)
        self.requests.show_rows(requests)
        self.requests.setVisible(bool(requests))
        self.no_request.setVisible(not requests)

    def _show_examples(self) -> None:
        settings = self._services.settings
        url = self._server.url or f"http://127.0.0.1:{settings.get('server_port')}"
        installed = [entry.id for entry in self._services.library.installed()]
        last = str(settings.get("last_model") or "")
        model = last if last in installed or not installed else installed[0]
        self.examples.fill(url, self._server.token, model or "MODEL")
