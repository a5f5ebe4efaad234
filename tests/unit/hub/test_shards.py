"""Shards in a folder of their own: fetched ahead, deleted behind, one fetch at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tzcore.errors import Cancelled, NetworkError
from tzcore.hub import shards
from tzcore.hub.shards import Shards
from tzcore.hub.transport import Moved
from tzcore.progress import Progress, ignore

NAMES = [f"{letter}.safetensors" for letter in "abcd"]


class Source:
    """Brings shards at once, but those in ``held`` only when ``go`` is set; ``brought`` is what was begun."""

    def __init__(self) -> None:
        self.brought: list[str] = []
        self.held: set[str] = set()
        self.go = threading.Event()
        self.error: Exception | None = None

    def bring(self, name: str, target: Path, moved: Moved) -> None:
        self.brought.append(name)
        part = target.with_name(name + ".part")
        part.write_bytes(b"x")
        if name in self.held:
            assert self.go.wait(20)
        moved(1)
        if self.error:
            raise self.error
        part.rename(target)


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.go.set()


@pytest.fixture
def held(source: Source, tmp_path: Path) -> Shards:
    return Shards(tmp_path, dict.fromkeys(NAMES, 1), source.bring, ignore)


def settled(want: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not want() and time.monotonic() < until:
        time.sleep(0.005)
    return want()


def here(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_next_comes_while_one_is_read(held: Shards, source: Source, tmp_path: Path) -> None:
    held.need(NAMES)
    assert source.brought == []
    held.obtain(NAMES[0])
    assert settled(lambda: here(tmp_path) == NAMES[:2])
    held.look_ahead()
    assert source.brought == NAMES[:2]
    held.need(NAMES[1:])
    held.look_ahead()
    assert settled(lambda: here(tmp_path) == NAMES[1:3])


def test_what_is_on_its_way_and_not_needed_has_ended_before_it_is_deleted(
    held: Shards, source: Source, tmp_path: Path
) -> None:
    source.held.add(NAMES[1])
    held.need(NAMES)
    held.obtain(NAMES[0])
    assert settled((tmp_path / f"{NAMES[1]}.part").exists)
    threading.Timer(0.3, source.go.set).start()
    held.need([NAMES[0], NAMES[2]])
    assert here(tmp_path) == [NAMES[0]]
    assert all(not thread.name.startswith("fetch") for thread in threading.enumerate())


def test_closing_leaves_a_connection_that_hangs(
    held: Shards, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_GRACE", 0.05)
    source.held.add(NAMES[1])
    held.need(NAMES)
    held.obtain(NAMES[0])
    held.close()
    assert here(tmp_path) == [NAMES[0], f"{NAMES[1]}.part"]  # what came is kept
    source.go.set()
    assert settled(lambda: all(not t.name.startswith("fetch") for t in threading.enumerate()))
    assert here(tmp_path) == [NAMES[0], f"{NAMES[1]}.part"]  # it was told to stop


def test_cancelled_while_waiting(source: Source, tmp_path: Path) -> None:
    def cancel(progress: Progress) -> None:
        raise Cancelled

    source.held.add(NAMES[0])
    cancelled = Shards(tmp_path, dict.fromkeys(NAMES, 1), source.bring, cancel)
    cancelled.need(NAMES)
    with pytest.raises(Cancelled):
        cancelled.obtain(NAMES[0])
    threading.Timer(0.1, source.go.set).start()
    cancelled.close()
    assert here(tmp_path) == [f"{NAMES[0]}.part"]


def test_an_error_in_the_background_is_raised_when_the_shard_is_read(held: Shards, source: Source) -> None:
    held.need(NAMES)
    source.error = NetworkError("no connection")
    with pytest.raises(NetworkError, match="no connection"):
        held.obtain(NAMES[0])
    source.error = None
    held.obtain(NAMES[0])
    assert held.has(NAMES[0])
