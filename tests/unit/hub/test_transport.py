"""The transport on good days: whole, resumed, verified, shared between processes, cancelled."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.unit.hub.hub_server import HubServer, Repo, git_sha1
from tzcore.errors import Cancelled, StorageError
from tzcore.hub import transport
from tzcore.hub.transport import Patience, RemoteFile, fetch

CONTENT = np.random.default_rng(0).integers(0, 256, 700_001, np.uint8).tobytes()
QUICK = Patience(attempts=3, connect=2, read=0.5, stall=0.5, first_wait=0.01, longest_wait=0.02)


@pytest.fixture
def remote(hub: HubServer) -> RemoteFile:
    hub.repos["o/m"] = Repo({"w.bin": CONTENT})
    return RemoteFile(f"{hub.url}/o/m/resolve/main/w.bin", "w.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def get(remote: RemoteFile, target: Path) -> list[int]:
    moves: list[int] = []
    fetch(remote, target, moves.append, target.with_suffix(".lock"), QUICK)
    assert moves == sorted(moves)
    return moves


def test_a_whole_file(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    target = tmp_path / "deep" / "w.bin"
    moves = get(remote, target)
    assert target.read_bytes() == CONTENT
    assert moves[-1] == len(CONTENT)
    assert hub.served["w.bin"] == len(CONTENT)
    assert {p.name for p in target.parent.iterdir()} <= {"w.bin", "w.lock"}


def test_what_is_there_is_not_fetched_again(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    get(remote, tmp_path / "w.bin")
    hub.log.clear()
    assert get(remote, tmp_path / "w.bin")[-1] == len(CONTENT)
    assert hub.log == []


def test_only_the_rest_is_fetched(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "w.bin.part").write_bytes(CONTENT[:400_000])
    moves = get(remote, tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert hub.served["w.bin"] == len(CONTENT) - 400_000
    assert moves[0] >= 400_000


def test_a_whole_part_needs_no_request(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "w.bin.part").write_bytes(CONTENT)
    get(remote, tmp_path / "w.bin")
    assert hub.log == []
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("stale", [b"x" * 300_000, CONTENT[1:], CONTENT + b"more"])
def test_a_part_of_something_else_is_dropped(remote: RemoteFile, tmp_path: Path, stale: bytes) -> None:
    (tmp_path / "w.bin.part").write_bytes(stale)
    get(remote, tmp_path / "w.bin")
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_the_git_hash_is_verified_too(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["o/m"] = Repo({"config.json": b"{}"})
    url = f"{hub.url}/o/m/resolve/main/config.json"
    get(RemoteFile(url, "config.json", 2, git_sha1=git_sha1(b"{}")), tmp_path / "config.json")
    assert (tmp_path / "config.json").read_bytes() == b"{}"
    with pytest.raises(Exception, match="checksum"):
        get(RemoteFile(url, "config.json", 2, git_sha1=git_sha1(b"[]")), tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()


def test_an_empty_file(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["o/m"] = Repo({"empty.txt": b""})
    get(RemoteFile(f"{hub.url}/o/m/resolve/main/empty.txt", "e", 0, git_sha1=git_sha1(b"")), tmp_path / "e")
    assert (tmp_path / "e").read_bytes() == b""


def test_cancelling_keeps_what_came(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    def cancel(count: int) -> None:
        if count > 200_000:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fetch(remote, tmp_path / "w.bin", cancel, tmp_path / "lock", QUICK)
    kept = (tmp_path / "w.bin.part").stat().st_size
    assert kept > 100_000
    assert not (tmp_path / "w.bin").exists()
    before = -1
    while hub.served["w.bin"] != before:  # the server finds out a little later that nobody listens any more
        before = hub.served["w.bin"]
        time.sleep(0.2)
    hub.served.clear()
    get(remote, tmp_path / "w.bin")
    assert hub.served["w.bin"] == len(CONTENT) - kept
    assert (tmp_path / "w.bin").read_bytes() == CONTENT


def test_two_at_once_fetch_it_once(remote: RemoteFile, tmp_path: Path, hub: HubServer) -> None:
    hub.pace = 0.01
    errors: list[BaseException] = []

    def one() -> None:
        try:
            fetch(remote, tmp_path / "w.bin", lambda _: None, tmp_path / "lock", QUICK)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert hub.served["w.bin"] == len(CONTENT)


def test_no_room_is_said_before_anything_is_fetched(
    remote: RemoteFile, tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "free_bytes", lambda folder: 1000)
    with pytest.raises(StorageError, match=r"not enough room.*700 kB to go.*1.0 kB free"):
        get(remote, tmp_path / "w.bin")
    assert hub.log == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_up_says_so(remote: RemoteFile, tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "w.bin.part")
    with pytest.raises(StorageError, match="disk is full"):
        get(remote, tmp_path / "w.bin")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_says_so(remote: RemoteFile, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o500)
    with pytest.raises(StorageError, match="cannot write"):
        get(remote, locked / "w.bin")


def test_a_folder_that_is_a_file_says_so(remote: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        fetch(remote, tmp_path / "file" / "w.bin", lambda _: None, tmp_path / "lock", QUICK)


def test_the_token_does_not_follow_a_redirect_to_another_host(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["o/m"] = Repo({"w.bin": CONTENT})
    with HubServer() as other:
        other.repos["o/m"] = Repo({"w.bin": CONTENT})
        hub.url, before = other.url, hub.url  # the first hub redirects to the second's store
        remote = RemoteFile(
            f"{before}/o/m/resolve/main/w.bin", "w.bin", len(CONTENT), headers={"authorization": "Bearer good-token"}
        )
        get(remote, tmp_path / "w.bin")
        assert [h.get("authorization") for h in other.requests_for("w.bin")] == [None]
    assert hub.requests_for("w.bin")[0]["authorization"] == "Bearer good-token"
