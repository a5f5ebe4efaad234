"""What holds for every test: a home of its own, no display, no network."""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["tests.ptx.cases"]

# Before anything imports Qt or a thread pool.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # tests run side by side: a thread that spins takes another's time
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session", autouse=True)
def _session_home() -> Iterator[None]:
    """Nothing a test does, in fixtures of any scope, touches the user's own models and settings."""
    with tempfile.TemporaryDirectory(prefix="tz-home-", ignore_cleanup_errors=True) as home:
        before = os.environ.get("TZ_HOME")
        os.environ["TZ_HOME"] = home
        yield
        if before is None:
            del os.environ["TZ_HOME"]
        else:
            os.environ["TZ_HOME"] = before


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``TZ_HOME`` of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv("TZ_HOME", str(folder))
    return folder


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix socket
    host = str(address[0]).split("%")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A test that reaches beyond this machine fails; servers on loopback are the tests' own."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_local(address):
            raise OSError(f"tests have no network; something tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
