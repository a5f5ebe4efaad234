"""Where the server can listen, and why it sometimes cannot."""

from __future__ import annotations

import errno
import socket
import sys

from tzcore.errors import TernaryZeroError


class AddressError(TernaryZeroError):
    """The server cannot listen where it was told to.  ``reason`` is the message without the option's name."""

    def __init__(self, reason: str, option: str = "") -> None:
        super().__init__(reason + option)
        self.reason = reason


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``; AddressError says what is in the way."""
    if not 0 <= port <= 65535:
        raise AddressError(f"Port {port} does not exist: take 0 (any free one) to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise AddressError(f"{host!r} is no address of this machine") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # where SO_REUSEADDR would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise AddressError(*_why(host, port, error)) from None
    return listener


def _why(host: str, port: int, error: OSError) -> tuple[str, str]:
    option = " with --port (0 takes a free one)"
    refused = error.errno == errno.EACCES or getattr(error, "winerror", 0) == 10013
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use by another program: choose another", option
    if refused and port < 1024:
        return f"Port {port} belongs to the system, as all below 1024 do: choose one from 1024 on", option
    if refused:
        return f"Port {port} on {host} may not be used: choose another", option
    return f"Cannot listen on {host} port {port}: {error.strerror or error}", ""


def in_url(host: str) -> str:
    """``host`` as clients on this machine write it."""
    if host == "0.0.0.0":
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
