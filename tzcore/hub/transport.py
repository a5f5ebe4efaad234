"""Brings the bytes of one file over HTTP, whole or not at all: resumed, verified, renamed into place.

Beside the target ``NAME`` lie, while it is under way, ``NAME.part`` (the bytes so far) and
``NAME.part.json`` (the server's validator for them).  A run that was killed, cut off or
cancelled leaves both, and the next one asks for the rest (RFC 9110, sections 13.1.5 and 14).
Nothing is called ``NAME`` before its length and its hash are those that were announced.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tzcore import outbound
from tzcore.errors import AccessError, NetworkError, SourceError, StorageError
from tzcore.hub.storage import as_storage_error, free_bytes, human_bytes

if TYPE_CHECKING:
    import httpx

Moved = Callable[[int], None]
"""Told how many bytes of the file are there; never a smaller number than before."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch.  ``sha256`` is the hash of its content (an LFS object id), ``git_sha1`` its
    git blob id; at least one of them should be known, else only ``size`` is checked."""

    url: str
    name: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Patience:
    """How long to put up with a bad connection.  Times in seconds.

    ``attempts`` counts tries in a row that brought not one byte.  A connection that brings less
    than ``slowest`` bytes a second over ``stall`` seconds is given up and opened again.
    """

    attempts: int = 6
    connect: float = 15.0
    read: float = 30.0
    stall: float = 60.0
    slowest: int = 200
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 300.0

    def delay(self, failures: int, after: float | None) -> float:
        """Seconds to wait after so many failures in a row; ``after`` is what the server asked for."""
        if after is not None:
            return min(after, self.longest_retry_after)
        wait: float = min(self.first_wait * 2.0 ** (failures - 1), self.longest_wait)
        return wait * random.uniform(0.75, 1.25)  # so that many clients do not come back at once


class Again(Exception):
    """This try failed, another may not.  ``after`` is what the server asked to wait."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


def fetch(remote: RemoteFile, target: Path, moved: Moved, lock: Path, patience: Patience = Patience()) -> None:
    """Bring ``remote`` to ``target``; does nothing if a file of its size is there already.

    ``lock`` keeps two processes from fetching the same file at once: the second waits and then
    finds it there.  ``moved`` may raise Cancelled; what came until then is kept.  Raises
    AccessError (401, 403), SourceError (404), NetworkError (gave up), StorageError.
    """
    part = target.with_name(target.name + ".part")
    with as_storage_error(target), _locked(lock, part, moved):
        if target.is_file() and target.stat().st_size == remote.size:
            moved(remote.size)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _Download(remote, target, moved, patience).run()


@contextmanager
def _locked(path: Path, part: Path, moved: Moved) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0.5)
    seen = 0
    while True:
        try:
            lock.acquire()
            break
        except Timeout:
            with suppress(FileNotFoundError):
                seen = max(seen, part.stat().st_size)
            moved(seen)  # another process fetches the file: show its progress, give a chance to cancel
    try:
        yield
    finally:
        lock.release()


class _Download:
    """One file on its way."""

    def __init__(self, remote: RemoteFile, target: Path, moved: Moved, patience: Patience) -> None:
        self.remote, self.target, self.patience = remote, target, patience
        self.part = target.with_name(target.name + ".part")
        self.note = target.with_name(target.name + ".part.json")
        self._moved = moved
        self.most = 0  # what was reported last
        self.received = 0  # bytes brought by this process, spoiled ones too
        self.spoiled = 0

    def moved(self, count: int) -> None:
        self.most = max(self.most, count)
        self._moved(self.most)

    def run(self) -> None:
        import httpx

        timeout = httpx.Timeout(self.patience.read, connect=self.patience.connect)
        with (
            client_for("file of a model", timeout) as client,
            open(self.part, "ab+") as file,
        ):
            failures = 0
            while True:
                before = self.received
                try:
                    self._attempt(client, file)
                    break
                except (Again, httpx.RequestError, httpx.StreamError) as error:
                    why, after = explain(error)
                failures = 1 if self.received > before else failures + 1
                if failures >= self.patience.attempts:
                    raise NetworkError(
                        f"could not download {self.remote.name} from {host(self.remote.url)}: {why} "
                        f"({failures} tries); what came is kept, so the same command goes on from there"
                    )
                self._wait(self.patience.delay(failures, after))
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.part, self.target)
        self.note.unlink(missing_ok=True)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._moved(self.most)  # a chance to cancel
            time.sleep(min(left, 0.2))

    # --- one try ---------------------------------------------------------------------------

    def _attempt(self, client: httpx.Client, file: BinaryIO) -> None:
        have = file.seek(0, os.SEEK_END)
        if have > self.remote.size:
            self._restart(file)
            have = 0
        if have < self.remote.size or have == 0:
            self._demand_space(self.remote.size - have)
            headers = {**self.remote.headers, "Accept-Encoding": "identity"}
            validator = self._validator() if have else None
            if have:
                headers["Range"] = f"bytes={have}-"
                if validator:
                    headers["If-Range"] = validator
            with client.stream("GET", self.remote.url, headers=headers) as response:
                self._receive(response, file, have, validator)
        self._verify(file)

    def _receive(self, response: httpx.Response, file: BinaryIO, have: int, validator: str | None) -> None:
        self._check_status(response, file)
        size = self.remote.size
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Again("the server sent the file re-encoded")
        if response.status_code == 206:
            start, total = content_range(response.headers.get("content-range", ""))
            new = _strong(response.headers.get("etag"))
            if start != have or (total is not None and total != size) or (validator and new and new != validator):
                self._restart(file)
                raise Again("the server's file changed, or it answered another range than asked for")
        elif have:  # the whole file: ranges are not served, or the file changed
            self._restart(file)
            have = 0
        length = response.headers.get("content-length")
        if length is not None and (not length.isdigit() or have + int(length) != size):
            raise Again(f"the server announces {length} bytes where {size - have} were due")
        self._remember(_strong(response.headers.get("etag")))
        self.moved(have)
        self._copy(response, file, have)

    def _copy(self, response: httpx.Response, file: BinaryIO, have: int) -> None:
        size, pace = self.remote.size, self.patience
        mark, marked = time.monotonic(), have
        for chunk in response.iter_raw():  # as it comes: a chunk size would hold bytes back, and lose them
            self.received += len(chunk)
            if have + len(chunk) > size:
                self._restart(file)
                raise Again(f"the server sent more than the {size} bytes announced")
            file.write(chunk)
            have += len(chunk)
            self.moved(have)
            now = time.monotonic()
            if now - mark >= pace.stall:
                if have - marked < pace.slowest * pace.stall and have < size:
                    raise Again("the connection stalled")
                mark, marked = now, have
        file.flush()
        if have < size:
            raise Again("the connection ended early")

    def _check_status(self, response: httpx.Response, file: BinaryIO) -> None:
        if response.status_code == 416:
            self._restart(file)
        check_status(response, self.remote)

    def _verify(self, file: BinaryIO) -> None:
        file.flush()
        good = matches(self.part, self.remote, self._moved_nothing)
        if good:
            self.moved(self.remote.size)
            return
        self._restart(file)
        self.spoiled += 1
        if self.spoiled >= 3:
            raise NetworkError(
                f"{self.remote.name} from {host(self.remote.url)} does not match its checksum, three times over; "
                "try again later, or check what sits between here and the server (proxy, disk)"
            )
        raise Again("the bytes received do not match the file's checksum")

    def _moved_nothing(self) -> None:
        self._moved(self.most)

    # --- the part and its note -------------------------------------------------------------

    def _restart(self, file: BinaryIO) -> None:
        self.note.unlink(missing_ok=True)
        file.truncate(0)

    def _validator(self) -> str | None:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            return str(noted["etag"]) if noted["size"] == self.remote.size and noted["etag"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, etag: str | None) -> None:
        self.note.write_text(json.dumps({"etag": etag, "size": self.remote.size}), encoding="utf-8")

    def _demand_space(self, needed: int) -> None:
        free = free_bytes(self.target.parent)
        if free < needed:
            raise StorageError(
                f"not enough room for {self.remote.name}: {human_bytes(needed)} to go, {human_bytes(free)} free "
                f"in {self.target.parent}; free some space, then run the same command to go on"
            )


def client_for(purpose: str, timeout: Any) -> httpx.Client:
    """An HTTP client all of whose requests, those after a redirect too, are written down or refused."""
    import httpx

    hooks = outbound.event_hooks(purpose)
    return httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=8, event_hooks=hooks)


def check_status(response: httpx.Response, remote: RemoteFile) -> None:
    """Raise what an answer other than 200 and 206 means; Again where another try may help."""
    status = response.status_code
    if status in (200, 206):
        return
    if status == 416:
        raise Again("the server does not have the range asked for")
    if status in (408, 425, 429) or status >= 500 or (status in (401, 403) and response.history):
        # A refusal behind a redirect is a signed address that ran out: ask for a new one.
        raise Again(f"the server answered {status}", _retry_after(response.headers.get("retry-after")))
    reason = response.headers.get("x-error-message") or response.reason_phrase
    if status in (401, 403):
        raise AccessError(f"{host(remote.url)} refused {remote.name}: {status} {reason}")
    if status in (404, 410):
        raise SourceError(f"{host(remote.url)} has no {remote.name} (it answered {status} {reason})")
    raise NetworkError(f"{host(remote.url)} answered {status} {reason} for {remote.name}")


def matches(path: Path, remote: RemoteFile, tick: Callable[[], None] = lambda: None) -> bool:
    """Whether the file at ``path`` has the announced length and hash.  ``tick`` is called now and then."""
    if path.stat().st_size != remote.size:
        return False
    if remote.sha256:
        digest, wanted = hashlib.sha256(), remote.sha256
    elif remote.git_sha1:
        digest, wanted = hashlib.sha1(f"blob {remote.size}\0".encode(), usedforsecurity=False), remote.git_sha1
    else:
        return True
    with open(path, "rb") as file:
        while chunk := file.read(1 << 23):
            digest.update(chunk)
            tick()
    return digest.hexdigest() == wanted.lower()


def _strong(etag: str | None) -> str | None:
    """Only strong validators may be used with If-Range (RFC 9110, section 13.1.5)."""
    return etag if etag and not etag.startswith("W/") else None


def content_range(value: str) -> tuple[int, int | None]:
    """``bytes 5-9/10`` → (5, 10); (−1, None) where it cannot be read."""
    try:
        unit, _, rest = value.partition(" ")
        span, _, total = rest.partition("/")
        start = int(span.partition("-")[0])
        return (start, None if total == "*" else int(total)) if unit.lower() == "bytes" else (-1, None)
    except ValueError:
        return -1, None


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait by a ``Retry-After`` header: a number or a date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def explain(error: Exception) -> tuple[str, float | None]:
    """What went wrong with a try, in words, and the seconds that the server asked to wait, if it did."""
    import httpx

    if isinstance(error, Again):
        return str(error), error.after
    if isinstance(error, httpx.TooManyRedirects):
        return "the server redirects in a circle", None
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return "the connection fell silent", None
    words = "no connection" if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError) else "the connection broke"
    return f"{words} ({error})" if str(error) else words, None


def host(url: str) -> str:
    """The host in an address."""
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or url
