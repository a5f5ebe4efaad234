"""Qt's network stack, kept on this machine: whoever holds the manager cannot reach another one with it."""

from __future__ import annotations

import ipaddress

from PySide6.QtCore import QIODevice, QObject, QUrl
from PySide6.QtNetwork import QNetworkAccessManager, QNetworkProxy, QNetworkReply, QNetworkRequest

REFUSED = QUrl("refused:")
"""An address without a protocol: the reply ends with an error, and nothing is opened."""


class LoopbackManager(QNetworkAccessManager):
    """The one manager of the window.  No proxy, no address but those of this machine itself."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setProxy(QNetworkProxy(QNetworkProxy.ProxyType.NoProxy))
        self.setAutoDeleteReplies(False)

    def createRequest(  # noqa: N802
        self, op: QNetworkAccessManager.Operation, request: QNetworkRequest, device: QIODevice | None = None
    ) -> QNetworkReply:
        """Every request of the manager is made here."""
        if not is_loopback(request.url().host()):
            request = QNetworkRequest(request)
            request.setUrl(REFUSED)
        return super().createRequest(op, request, device)


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine and needs no asking a name server."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
