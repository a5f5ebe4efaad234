"""Servers that drop, lie, refuse, corrupt, change and stall: the file is right in the end, or an error is clear."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest

from tests.unit.hub import conftest
from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tzcore.errors import AccessError, NetworkError, SourceError
from tzcore.hub.transport import Patience, RemoteFile, fetch

CONTENT = np.random.default_rng(1).integers(0, 256, 500_003, np.uint8).tobytes()
QUICK = Patience(attempts=3, connect=1, read=0.4, stall=0.4, slowest=100, first_wait=0.01, longest_wait=0.02)
hub = conftest.hub
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def remote(hub: HubServer) -> RemoteFile:
    hub.repos["o/m"] = Repo({"w.bin": CONTENT})
    return RemoteFile(f"{hub.url}/o/m/resolve/main/w.bin", "w.bin", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def get(remote: RemoteFile, folder: Path, patience: Patience = QUICK) -> None:
    moves: list[int] = []
    fetch(remote, folder / "w.bin", moves.append, folder / "lock", patience)
    assert moves == sorted(moves), "progress ran backwards"
    assert (folder / "w.bin").read_bytes() == CONTENT
    assert not (folder / "w.bin.part").exists()


def test_dropped_connections_are_taken_up_where_they_broke(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend(Fault(drop=90_000) for _ in range(5))  # more breaks than tries without progress
    get(remote, tmp_path)
    assert hub.served["w.bin"] == len(CONTENT)
    assert all("if-range" in headers for headers in hub.requests_for("w.bin")[2:] if "range" in headers)


def test_a_server_that_never_sends_a_byte_is_given_up(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend(Fault(drop=0) for _ in range(10))
    with pytest.raises(NetworkError, match=r"could not download w\.bin from 127\.0\.0\.1.*3 tries"):
        get(remote, tmp_path)
    assert not (tmp_path / "w.bin").exists()


def test_a_silent_connection_is_opened_again(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(stall=200_000))
    began = time.monotonic()
    get(remote, tmp_path)
    assert time.monotonic() - began < 5


def test_a_trickle_is_no_connection(hub: HubServer, tmp_path: Path) -> None:
    content = b"ab" * 30
    hub.repos["o/m"] = Repo({"w.bin": content})
    hub.pace = 0.1
    remote = RemoteFile(f"{hub.url}/o/m/resolve/main/w.bin", "w.bin", len(content))
    from tests.unit.hub import hub_server

    before, hub_server.PIECE = hub_server.PIECE, 1
    try:
        with pytest.raises(NetworkError, match="stalled"):
            fetch(
                remote,
                tmp_path / "w.bin",
                lambda _: None,
                tmp_path / "lock",
                Patience(attempts=1, read=2, stall=0.3, slowest=1000, first_wait=0.01),
            )
    finally:
        hub_server.PIECE = before


def test_busy_servers_are_asked_again_when_they_say(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(status=429, headers={"Retry-After": "1"}))
    began = time.monotonic()
    get(remote, tmp_path)
    assert 1.0 <= time.monotonic() - began < 4


def test_a_date_to_retry_at_is_understood(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(status=503, headers={"Retry-After": formatdate(time.time() + 2, usegmt=True)}))
    began = time.monotonic()
    get(remote, tmp_path)
    assert 0.5 <= time.monotonic() - began < 5


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_passing_refusals(hub: HubServer, remote: RemoteFile, tmp_path: Path, status: int) -> None:
    hub.faults["w.bin"].extend([Fault(status=status), Fault(drop=100_000), Fault(status=status)])
    get(remote, tmp_path)


def test_lasting_refusals(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend(Fault(status=500) for _ in range(9))
    with pytest.raises(NetworkError, match="500"):
        get(remote, tmp_path)
    assert hub.served["w.bin"] == 0


@pytest.mark.parametrize("lie", [-1000, 1000, 10**12])
def test_a_length_that_is_a_lie_is_not_believed(hub: HubServer, remote: RemoteFile, tmp_path: Path, lie: int) -> None:
    hub.faults["w.bin"].append(Fault(announce=lie))
    get(remote, tmp_path)
    hub.faults["w.bin"].extend(Fault(announce=lie) for _ in range(9))
    (tmp_path / "w.bin").unlink()
    with pytest.raises(NetworkError, match="announces"):
        get(remote, tmp_path)
    assert not (tmp_path / "w.bin").exists()


def test_more_bytes_than_announced_are_refused(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(extra=5000))
    get(remote, tmp_path)


def test_a_flipped_bit_is_found_and_the_file_fetched_anew(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(flip=123_456))
    get(remote, tmp_path)
    assert hub.served["w.bin"] == 2 * len(CONTENT)


def test_lasting_corruption_is_an_error_and_leaves_nothing(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend(Fault(flip=i) for i in range(9))
    with pytest.raises(NetworkError, match="does not match its checksum"):
        get(remote, tmp_path)
    assert not (tmp_path / "w.bin").exists()


def test_a_flipped_bit_in_the_part_is_found(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    spoiled = bytearray(CONTENT[:300_000])
    spoiled[7] ^= 1
    (tmp_path / "w.bin.part").write_bytes(spoiled)
    get(remote, tmp_path)


def test_a_file_that_changed_meanwhile_is_fetched_whole(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(drop=200_000))
    hub.faults["w.bin"].append(Fault(status=503))

    moved = iter(range(10**6))

    def change(count: int) -> None:
        next(moved)
        if count >= 200_000:
            hub.validator = "v2"

    fetch(remote, tmp_path / "w.bin", change, tmp_path / "lock", QUICK)
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert hub.served["w.bin"] == 200_000 + len(CONTENT)


def test_a_server_without_ranges(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend([Fault(drop=100_000), Fault(ignore_range=True)])
    get(remote, tmp_path)
    assert hub.served["w.bin"] == 100_000 + len(CONTENT)


def test_re_encoded_content_is_refused(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].append(Fault(encoding="gzip"))
    get(remote, tmp_path)


def test_a_signed_address_that_ran_out_is_renewed(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.faults["w.bin"].extend([Fault(drop=100_000), Fault(status=403)])  # the store, behind the redirect
    get(remote, tmp_path)
    assert len([1 for _, path, _ in hub.log if "/resolve/" in path]) == 3


def test_what_is_not_there(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    lost = RemoteFile(remote.url.replace("w.bin", "x.bin"), "x.bin", 10)
    with pytest.raises(SourceError, match=r"has no x\.bin"):
        get(lost, tmp_path)


def test_what_is_forbidden(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.repos["o/m"].gated = "manual"
    with pytest.raises(AccessError, match="refused"):
        get(remote, tmp_path)


def test_nobody_listens(tmp_path: Path) -> None:
    remote = RemoteFile("http://127.0.0.1:9/w.bin", "w.bin", 10)
    with pytest.raises(NetworkError, match="no connection"):
        get(remote, tmp_path)


_CHILD = """
import sys
from pathlib import Path
from tzcore.hub.transport import RemoteFile, fetch
url, size, sha, target = sys.argv[1:]
fetch(RemoteFile(url, "w.bin", int(size), sha), Path(target), lambda n: None, Path(target + ".lock"))
"""


def _child(remote: RemoteFile, target: Path) -> subprocess.Popen[bytes]:
    arguments = [remote.url, str(remote.size), remote.sha256 or "", str(target)]
    return subprocess.Popen([sys.executable, "-c", _CHILD, *arguments], cwd=ROOT)


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_kill_9_and_again_fetches_only_the_rest(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.pace = 0.05
    child = _child(remote, tmp_path / "w.bin")
    part = tmp_path / "w.bin.part"
    while not (part.exists() and part.stat().st_size > 100_000):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = part.stat().st_size
    assert 100_000 < kept < len(CONTENT)
    assert not (tmp_path / "w.bin").exists()
    hub.pace = 0
    time.sleep(0.2)  # the server notices that nobody reads
    hub.served.clear()
    again = _child(remote, tmp_path / "w.bin")
    assert again.wait(20) == 0
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert hub.served["w.bin"] == len(CONTENT) - kept


def test_two_processes_fetch_one_file_once(hub: HubServer, remote: RemoteFile, tmp_path: Path) -> None:
    hub.pace = 0.02
    children = [_child(remote, tmp_path / "w.bin") for _ in range(2)]
    assert [child.wait(30) for child in children] == [0, 0]
    assert (tmp_path / "w.bin").read_bytes() == CONTENT
    assert hub.served["w.bin"] == len(CONTENT)
