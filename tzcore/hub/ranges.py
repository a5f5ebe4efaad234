"""Reads a few bytes in the middle of a remote file (RFC 9110, section 14)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tzcore.errors import NetworkError
from tzcore.hub.transport import Again, Patience, RemoteFile, check_status, client_for, content_range, explain, host

if TYPE_CHECKING:
    import httpx


def read_range(remote: RemoteFile, start: int, stop: int, patience: Patience) -> bytes:
    """The bytes ``start … stop−1``.  They are too few to have a checksum; their number is checked.

    Raises AccessError, SourceError (404) and NetworkError as :func:`tzcore.hub.transport.fetch` does, and
    NetworkError where the server does not serve parts of files.
    """
    import httpx

    if stop <= start:
        return b""
    timeout = httpx.Timeout(patience.read, connect=patience.connect)
    headers = {**remote.headers, "Accept-Encoding": "identity", "Range": f"bytes={start}-{stop - 1}"}
    with client_for("part of a file of a model", timeout) as client:
        failures = 0
        while True:
            try:
                with client.stream("GET", remote.url, headers=headers) as response:
                    return _received(response, remote, start, stop)
            except (Again, httpx.RequestError, httpx.StreamError) as error:
                why, after = explain(error)
            failures += 1
            if failures >= patience.attempts:
                raise NetworkError(f"could not read {remote.name} from {host(remote.url)}: {why} ({failures} tries)")
            time.sleep(patience.delay(failures, after))


def _received(response: httpx.Response, remote: RemoteFile, start: int, stop: int) -> bytes:
    check_status(response, remote)
    if response.status_code != 206 and (start, stop) != (0, remote.size):
        raise NetworkError(
            f"{host(remote.url)} does not serve parts of files, without which a source cannot be discarded "
            "as it is used; leave out --discard-source"
        )
    first, total = content_range(response.headers.get("content-range", f"bytes {start}-{stop - 1}/{remote.size}"))
    length = response.headers.get("content-length")
    if first != start or total not in (None, remote.size) or (length is not None and length != str(stop - start)):
        raise Again("the server answered another range than asked for, or its file changed")
    received = bytearray()
    for chunk in response.iter_raw():
        received += chunk
        if len(received) > stop - start:
            raise Again("the server sent more than was asked for")
    if len(received) != stop - start:
        raise Again("the connection ended early")
    return bytes(received)
