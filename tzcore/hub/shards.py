"""The shards of a model that lie in a folder of our own for the time being: fetched ahead, deleted behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tzcore.errors import Cancelled
from tzcore.hub.storage import as_storage_error
from tzcore.hub.transport import Moved
from tzcore.progress import Progress, Report

IN_USE = 2
"""Shards on the disk at a time: the one that is read and the next; more only where one layer lies in more."""
_REPORT_EVERY = 0.1
_GRACE = 2.0

Bring = Callable[[str, Path, Moved], None]
"""Fetches the shard of a name to a path, verified; told of progress it may raise Cancelled."""


class _Fetch(threading.Thread):
    """One shard on its way.  A daemon, so that a hanging connection does not outlive the program."""

    def __init__(self, name: str, target: Path, bring: Bring) -> None:
        super().__init__(name=f"fetch {name}", daemon=True)
        self.shard, self._target, self._bring = name, target, bring
        self.count = 0
        self.error: BaseException | None = None
        self.stopped = threading.Event()

    def run(self) -> None:
        try:
            self._bring(self.shard, self._target, self._moved)
        except BaseException as error:
            self.error = error

    def _moved(self, count: int) -> None:
        if self.stopped.is_set():
            raise Cancelled
        self.count = count


class Shards:
    """``sizes`` are the shards' lengths by name; ``folder`` is ours alone."""

    def __init__(self, folder: Path, sizes: dict[str, int], bring: Bring, report: Report) -> None:
        self._folder, self._sizes, self._bring, self._report = folder, sizes, bring, report
        self._order: list[str] = []
        self._fetch: _Fetch | None = None
        self._brought = 0

    def path(self, name: str) -> Path:
        """Where the shard lies or would lie."""
        return self._folder / name

    def has(self, name: str) -> bool:
        """Whether it is there, whole: it gets its name only when it is verified."""
        return self.path(name).is_file()

    def need(self, order: Sequence[str]) -> None:
        """The shards still needed are these, in the order in which they are read next; others are deleted."""
        self._order = list(order)
        needed = set(order)
        if self._fetch and self._fetch.shard not in needed:
            self._stop()
        for name in self._sizes.keys() - needed:
            with as_storage_error(self.path(name)):
                for suffix in ("", ".part", ".part.json"):
                    self.path(name + suffix).unlink(missing_ok=True)

    def obtain(self, name: str) -> Path:
        """The shard's path when it is there, fetched now if need be; then the next is on its way."""
        if not self.has(name):
            ahead = self._fetch if self._fetch and self._fetch.shard == name else None
            if ahead:
                self._wait(ahead)
            if not self.has(name):  # what went wrong in the background may be over
                self._stop()
                self._fetch = self._begin(name)
                self._wait(self._fetch)
                if self._fetch.error:
                    raise self._fetch.error
        self.look_ahead()
        return self.path(name)

    def look_ahead(self) -> None:
        """Fetch the next shard in the background, as long as there are not too many on the disk."""
        if self._fetch and self._fetch.is_alive():
            return
        missing = [at for at, name in enumerate(self._order) if not self.has(name)]
        if missing and missing[0] < IN_USE:
            self._fetch = self._begin(self._order[missing[0]])

    def close(self) -> None:
        """Stop fetching; what came is kept.

        A connection that hangs is left behind: it only adds to its part of a file, as at a kill.
        """
        if self._fetch:
            self._fetch.stopped.set()
            self._fetch.join(_GRACE)

    # --- one at a time -------------------------------------------------------------------------

    def _begin(self, name: str) -> _Fetch:
        fetch = _Fetch(name, self.path(name), self._bring)
        fetch.start()
        return fetch

    def _wait(self, fetch: _Fetch) -> None:
        size = self._sizes[fetch.shard]
        left = sum(self._sizes[name] for name in self._order if not self.has(name) and name != fetch.shard)
        while fetch.is_alive():
            done, total = self._brought + fetch.count, self._brought + size + left
            self._report(Progress("download", done, total, "bytes", fetch.shard))
            fetch.join(_REPORT_EVERY)
        self._brought += size if not fetch.error else 0

    def _stop(self) -> None:
        """To the very end, since its files may be deleted next: a connection that hangs is waited for."""
        if self._fetch:
            self._fetch.stopped.set()
            self._wait(self._fetch)
            self._fetch = None
