"""One window a user and home folder: a second start hands its arguments to the first and ends."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal
from PySide6.QtNetwork import QLocalServer, QLocalSocket

from app.translation import tr
from tzcore import paths
from tzcore.errors import StorageError

PATIENCE = 3.0
"""Seconds in which the first window must take the arguments."""


class Instance(QObject):
    """The claim to be the only window.  A lock file decides (a killed window's lock is void), a local socket
    carries the arguments."""

    activated = Signal(list)
    """A second start was asked for with these arguments (``list[str]``): come to the front."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        home = paths.home()
        self._home: Path = home
        self._lock = QLockFile(str(home / "window.lock"))
        self._lock.setStaleLockTime(0)
        # Named by a digest, since the name of a local socket is limited to some 100 characters.
        self._name = "ternary-zero-" + hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)

    def claim(self, arguments: list[str]) -> bool:
        """True: this is the only one.  False: another runs and was handed ``arguments``.

        StorageError: the home folder cannot be written, or the other window does not answer.
        """
        try:
            self._home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            text = tr("{folder} cannot be made ({reason}); set TZ_HOME to a folder that can be written")
            raise StorageError(text.format(folder=self._home, reason=error.strerror)) from None
        if self._lock.tryLock(0):
            QLocalServer.removeServer(self._name)
            self._server.listen(self._name)
            return True
        if self._lock.error() != QLockFile.LockError.LockFailedError:
            text = tr("{folder} cannot be written; set TZ_HOME to a folder that can be")
            raise StorageError(text.format(folder=self._home))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:  # it may only just be starting
            if self._hand_over(arguments):
                return False
            time.sleep(0.05)
        raise StorageError(tr("Ternary-Zero is already running but does not answer; close it first"))

    def release(self) -> None:
        self._server.close()
        self._lock.unlock()

    def _hand_over(self, arguments: list[str]) -> bool:
        socket = QLocalSocket()
        socket.connectToServer(self._name)
        if not socket.waitForConnected(500):
            return False
        socket.write(json.dumps(arguments).encode() + b"\n")
        taken = socket.waitForBytesWritten(500) and socket.waitForReadyRead(2000)
        socket.disconnectFromServer()
        return bool(taken)

    def _on_connection(self) -> None:
        while (socket := self._server.nextPendingConnection()) is not None:
            socket.readyRead.connect(self._on_words)
            socket.disconnected.connect(socket.deleteLater)
            if socket.canReadLine():
                self._take(socket)

    def _on_words(self) -> None:
        socket = self.sender()
        if isinstance(socket, QLocalSocket) and socket.canReadLine():
            self._take(socket)

    def _take(self, socket: QLocalSocket) -> None:
        try:
            arguments = json.loads(bytes(socket.readLine().data()))
        except ValueError:
            socket.abort()
            return
        socket.write(b"ok\n")
        socket.flush()
        if isinstance(arguments, list):
            self.activated.emit([str(argument) for argument in arguments])
