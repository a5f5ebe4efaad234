"""The composition root of the window: builds the services, hands them to the main window, no globals.

What the main window must offer: ``MainWindow(services: Services)``, ``begin(model_id, left)`` (what it shows first),
``open_chat(model_id: str)`` (show a chat with that model, loading it when needed) and the signals
``error_occurred(message)`` (a foreseeable error that nothing else has shown, such as a full disk) and
``fault_occurred(line, trace)`` (any other).

The window comes first: the engine, the list of models and whatever else takes time start after
the first paint.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from app.display import display_trouble
from tzcore import paths
from tzcore.errors import TernaryZeroError

if TYPE_CHECKING:
    from PySide6.QtCore import QCoreApplication, QObject
    from PySide6.QtWidgets import QWidget

    from app.engine.client import EngineClient
    from app.engine.process import EngineProcess
    from app.history.history import History
    from app.jobs.jobs import Jobs
    from app.library.library import Library
    from app.server.server import ServerControl
    from app.settings.secrets import Secrets
    from app.settings.settings import Settings
    from app.views.main_window import MainWindow


@dataclass(frozen=True)
class Services:
    """All that the views may use."""

    settings: Settings
    engine: EngineProcess
    client: EngineClient
    jobs: Jobs
    history: History
    library: Library
    secrets: Secrets
    server: ServerControl

    @classmethod
    def build(cls, owner: QObject | None = None) -> Services:
        """Everything, nothing started.  A TernaryZeroError says what on the disk cannot be used."""
        from app.child import Child
        from app.engine.client import EngineClient
        from app.engine.process import EngineProcess
        from app.history.history import History
        from app.jobs.jobs import Jobs
        from app.library.library import Library
        from app.network.environment import child_environment
        from app.server.server import ServerControl
        from app.settings.secrets import Secrets
        from app.settings.settings import Settings

        settings = Settings(parent=owner)
        secrets = Secrets(settings, parent=owner)
        Child.surroundings = staticmethod(lambda hub: child_environment(settings, secrets if hub else None))
        threads = settings.get("threads")
        engine = EngineProcess(int(threads) if threads else None, parent=owner)
        engine.snapshots = snapshots_quota(settings)
        client = EngineClient(engine, parent=owner)
        services = cls(
            settings=settings,
            engine=engine,
            client=client,
            jobs=Jobs(parent=owner),
            history=History(),
            library=Library(settings, parent=owner),
            secrets=secrets,
            server=ServerControl(settings, secrets, engine, client, parent=owner),
        )
        settings.changed.connect(services.on_setting)
        services.jobs.finished.connect(lambda _: services.library.refresh())
        return services

    def start(self) -> None:
        """Begin the work in the background."""
        self.secrets.load()
        self.server.apply()
        self.library.refresh()
        self.engine.start()
        self.history.keep_backup()

    def on_setting(self, key: str) -> None:
        """Apply a setting that concerns a service."""
        if key == "threads":
            threads = self.settings.get("threads")
            self.engine.threads = int(threads) if threads else None
        elif key == "offline" and self.settings.get("offline"):
            from app.child import Child

            for job in self.jobs.jobs():  # what is under way must not go on asking
                if job.state == "running":
                    self.jobs.pause(job.id)
            Child.go_offline()
        elif key in ("snapshots", "snapshots_quota"):
            self.engine.snapshots = snapshots_quota(self.settings)

    def shutdown(self) -> None:
        """Stop all children and close all files; takes a few seconds at most."""
        from app.child import Child, no_surroundings

        self.client.shutdown()
        self.secrets.shutdown()
        self.jobs.shutdown()
        self.library.shutdown()
        self.engine.stop()
        self.history.close()
        Child.surroundings = staticmethod(no_surroundings)


def snapshots_quota(settings: Settings) -> float:
    """Gigabytes of disk that what was read of conversations may take; 0 keeps nothing."""
    return float(settings.get("snapshots_quota") or 0.0) if settings.get("snapshots") else 0.0


def display_available() -> bool:
    """Whether a window can be shown (an offscreen or similar Qt platform that was asked for counts)."""
    return not display_trouble()


def main(argv: list[str] | None = None) -> int:
    """Run the window until it is closed.  ``argv``: ``[--model ID]``.  Returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    model = _model_wanted(words)
    if trouble := display_trouble():
        print(f"tz: {trouble}", file=sys.stderr)
        return 1

    from PySide6.QtWidgets import QApplication

    from app import translation
    from app.instance import Instance

    application = QApplication(["ternary-zero"])
    application.setApplicationName("ternary-zero")
    application.setApplicationDisplayName("Ternary-Zero")
    application.setDesktopFileName("ternary-zero")
    translation.load(_language())
    instance = Instance(application)
    try:
        if not instance.claim(words):
            return 0
        services = Services.build(application)
    except TernaryZeroError as error:
        return _refuse(str(error))

    from app.faults import FaultCatcher, RunningMark
    from app.idle_collection import IdleCollection
    from app.views.main_window import MainWindow

    IdleCollection(application)
    window = MainWindow(services)
    catcher = FaultCatcher(window.error_occurred.emit, window.fault_occurred.emit)
    restore_signals = _quit_on_signals(application)
    running = RunningMark()
    left = running.begin()
    window.chat.opened.connect(running.note)
    instance.activated.connect(lambda handed: _come_forward(window, handed))
    _after_first_paint(window, lambda: _begin(window, services))
    window.begin(model, left)
    window.show()
    try:
        return application.exec()
    finally:
        window.hide()
        services.shutdown()
        running.end()
        instance.release()
        restore_signals()
        catcher.close()


def _language() -> str:
    """The language that is set, before there are services: their own first words are in it."""
    try:
        return str(json.loads((paths.home() / "settings.json").read_text(encoding="utf-8")).get("language") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def _begin(window: MainWindow, services: Services) -> None:
    from app.jobs.attendant import attend

    services.start()
    attend(window, services)


def _refuse(message: str) -> int:
    from PySide6.QtWidgets import QMessageBox

    print(f"tz: {message}", file=sys.stderr)
    if sys.stderr is None or not sys.stderr.isatty():  # started from a menu: nobody reads stderr
        from PySide6.QtGui import QGuiApplication

        if QGuiApplication.platformName() not in ("offscreen", "minimal"):
            QMessageBox.critical(None, "Ternary-Zero", message)
    return 1


def _model_wanted(words: list[str]) -> str:
    """The model that the command line names, or ``""``.  Wrong usage exits with 2."""
    if not words:  # argparse takes a while to import
        return ""
    import argparse

    parser = argparse.ArgumentParser(prog="tz app", description="Open the window.")
    parser.add_argument("--model", metavar="ID", default="", help="open a chat with this model")
    return str(parser.parse_args(words).model)


def _come_forward(window: MainWindow, handed: list[str]) -> None:
    if window.isMinimized():
        window.showNormal()
    window.raise_()
    window.activateWindow()
    if model := _model_wanted(handed):  # the second start has checked them
        window.open_chat(model)


def _after_first_paint(window: QWidget, action: Callable[[], None]) -> None:
    """Run ``action`` once the window is on the screen."""
    from PySide6.QtCore import QEvent, QObject, QTimer

    class FirstPaint(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
            if event.type() == QEvent.Type.Paint:
                window.removeEventFilter(self)
                QTimer.singleShot(0, window, action)
            return False

    window.installEventFilter(FirstPaint(window))


def _quit_on_signals(application: QCoreApplication) -> Callable[[], None]:
    """Ctrl-C and SIGTERM close the window as its own button does.

    Python runs no signal handler while Qt waits, so the interpreter's wake-up descriptor rouses Qt.
    """
    from PySide6.QtCore import QSocketNotifier, QTimer

    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    notifier = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read, application)
    notifier.activated.connect(lambda: reader.recv(64))
    old_descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

    def on_signal(_: int, __: FrameType | None) -> None:
        QTimer.singleShot(0, application, application.quit)  # also where the event loop has yet to begin

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        notifier.setEnabled(False)
        signal.set_wakeup_fd(old_descriptor)
        for number, handler in old.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()

    return restore
