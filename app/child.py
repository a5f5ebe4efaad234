"""A ``tz`` command as a child process: its JSON lines as signals, its last words kept, its end enforced."""

from __future__ import annotations

import json
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

TZ: tuple[str, ...] = (sys.executable, "-m", "tzcore.cli")
"""The command line that ``tz`` is, in the interpreter that runs the window."""

GO_OUT = ("search", "show", "plan", "pull", "convert", "import", "run", "eval", "reach", "token")
"""Verbs that may ask something of the network."""

LOG_BYTES = 1_000_000
"""A log is begun anew when it has grown beyond this."""


def no_surroundings(_: bool) -> dict[str, str]:
    """Where no window has settings to hand on."""
    return {}


class Child(QObject):
    """One run of one command.  Everything the child says on stdout must be one JSON value a line."""

    out: ClassVar[weakref.WeakSet[Child]] = weakref.WeakSet()
    """The children under way that may go to the network."""
    surroundings: ClassVar[Callable[[bool], dict[str, str]]] = staticmethod(no_surroundings)
    """Variables that every child gets: the settings of the network, and for those that go to the hub its token
    too.  The composition root puts :func:`app.network.environment.child_environment` here, so that no child can
    be made that does not know that the window is offline."""

    said = Signal(object)
    """One decoded line of stdout."""
    finished = Signal(int)
    """It has ended, with this exit code; −1: killed or crashed, −2: it could not be started.  Emitted once."""

    def __init__(
        self,
        arguments: Sequence[str],
        command: Sequence[str] = TZ,
        log: Path | None = None,
        parent: QObject | None = None,
        *,
        hub: bool = True,
        stdin: bytes = b"",
    ) -> None:
        """``log``: file to which stderr is added.  ``hub``: it may go to the hub, and gets its token.
        ``stdin``: what it is told there, for instance what other users must not read on its command line."""
        super().__init__(parent)
        self.last_words = ""
        """The last line of stderr: what a foreseeable error says."""
        self._log = log
        self._out = b""
        self._arguments = list(arguments)
        self._over = False
        self._process = QProcess(self)
        self._process.setProgram(command[0])
        self._process.setArguments([*command[1:], *arguments])
        self._stdin = stdin
        if not stdin:
            self._process.setStandardInputFile(QProcess.nullDevice())
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("PYTHONUNBUFFERED", "1")
        environment.insert("PYTHONUTF8", "1")
        for name, value in Child.surroundings(hub).items():
            environment.insert(name, value)
        self._process.setProcessEnvironment(environment)
        self._process.readyReadStandardOutput.connect(self._read_stdout)
        self._process.readyReadStandardError.connect(self._read_stderr)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._killer = QTimer(self, singleShot=True)
        self._killer.timeout.connect(self._process.kill)

    @property
    def pid(self) -> int:
        """0 where it does not run."""
        return self._process.processId()

    def start(self) -> None:
        if self._arguments and self._arguments[0] in GO_OUT:
            Child.out.add(self)
        self._process.start()
        if self._stdin:
            self._process.write(self._stdin)
            self._process.closeWriteChannel()

    def stop(self, grace: float = 5.0) -> None:
        """Ask it to end; kill it after ``grace`` seconds.  Returns at once; ``finished`` follows."""
        if os.name == "nt":  # a console program there cannot be asked; every tz command survives a kill
            self._process.kill()
            return
        self._process.terminate()
        self._killer.start(round(grace * 1000))

    def stop_now(self, grace: float = 2.0) -> None:
        """The same, and wait until it is over.  For the end of the program."""
        if self._process.state() == QProcess.ProcessState.NotRunning:
            return
        self.stop(grace)
        if not self._process.waitForFinished(round(grace * 1000)):
            self._process.kill()
            self._process.waitForFinished(2000)

    @classmethod
    def go_offline(cls) -> None:
        """End every child that may go out: they were started before the switch was thrown."""
        for child in list(cls.out):
            child.stop(grace=1.0)

    def kill(self) -> None:
        self._process.kill()

    def _read_stdout(self) -> None:
        self._out += bytes(self._process.readAllStandardOutput().data())
        *lines, self._out = self._out.split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            value = json.loads(line)
        except ValueError:
            self._write_log(b"not JSON: " + line + b"\n")
            return
        self.said.emit(value)

    def _read_stderr(self) -> None:
        data = bytes(self._process.readAllStandardError().data())
        self._write_log(data)
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                self.last_words = line.strip()

    def _write_log(self, data: bytes) -> None:
        if self._log is None:
            return
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            fresh = self._log.exists() and self._log.stat().st_size > LOG_BYTES
            with self._log.open("wb" if fresh else "ab") as file:
                file.write(data)
        except OSError:  # no log is no reason to stop the work
            self._log = None

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._end(-1 if status == QProcess.ExitStatus.CrashExit else code)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.last_words = self._process.errorString()
            QTimer.singleShot(0, self, lambda: self._end(-2))  # never from within start()

    def _end(self, code: int) -> None:
        if self._over:
            return
        self._over = True
        Child.out.discard(self)
        self._killer.stop()
        if code != -2:
            self._read_stdout()
            self._read_stderr()
            self._take(self._out)
        self.finished.emit(code)
