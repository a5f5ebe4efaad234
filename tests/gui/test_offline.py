"""Offline nothing reaches beyond this machine: the window, the engine and every ``tz`` child are watched.

Three watchers: an audit hook in every Python process (whatever library asks), the connections of all processes
as the system lists them (Qt's sockets, other languages), and the window's only network manager, which is asked
directly.  Each of them is shown to see a leak.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.tiny_models import tiny_folder
from tzcore import outbound

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
PATIENCE = 100
SOCKETS = r"(?<!class )\b(QNetworkAccessManager|LoopbackManager)\(|QTcpSocket|QWebSocket|QUdpSocket|QSslSocket"


@dataclass
class Run:
    steps: dict[str, str] = field(default_factory=dict)
    audited: list[dict[str, Any]] = field(default_factory=list)
    connections: set[str] = field(default_factory=set)
    log: str = ""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("tiny") / "model", "llama", "t2", "i8")


def run(home: Path, model: Path, offline: bool, leak: str = "") -> Run:
    """The window goes through all its steps while it and its children are watched."""
    folder = home / "models" / "tiny--t2"
    folder.mkdir(parents=True)
    for file in model.iterdir():
        (folder / file.name).symlink_to(file)
    receipt = json.loads((model / "receipt.json").read_text()) | {"id": "tiny:t2", "source": {"id": "tiny"}}
    (folder / "receipt.json").unlink()
    (folder / "receipt.json").write_text(json.dumps({**receipt, "encoding": "t2"}))
    audit, said, errors = home / "sockets.jsonl", home / "said.jsonl", home / "errors.txt"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listener = socket.create_server((_address(), 0)) if "qt" in leak else None
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE / "socket_watch"), str(PROJECT)]),
        "TZ_SOCKET_LOG": str(audit),
        "TZ_TEST_PORT": str(port),
        "HF_ENDPOINT": "http://192.0.2.1",
        "HF_HOME": str(home / "hf"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    environment = {name: value for name, value in environment.items() if "proxy" not in name.lower()}
    if listener is not None:
        environment["TZ_TEST_LISTENER"] = f"{_address()}:{listener.getsockname()[1]}"
    command = [sys.executable, str(HERE / "offline_window.py"), "on" if offline else "off", leak]
    result = Run()
    with said.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment, cwd=PROJECT)
        deadline = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < deadline:
            result.connections |= beyond(process.pid)
            time.sleep(0.03)
        process.kill()
        process.wait()
    if listener is not None:
        listener.close()
    lines = [json.loads(line) for line in said.read_text().splitlines() if line.startswith("{")]
    result.steps = {line["step"]: line["what"] for line in lines}
    assert "end" in result.steps, errors.read_text()
    if audit.exists():
        result.audited = [json.loads(line) for line in audit.read_text().splitlines()]
    result.log = outbound.log_file().read_text() if outbound.log_file().exists() else ""
    return result


def beyond(pid: int) -> set[str]:
    """The connections of a process and all its children that end on another machine."""
    found = set()
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return found
    for process in processes:
        try:
            for connection in process.net_connections("inet"):
                if connection.raddr and not connection.raddr.ip.startswith("127.") and connection.raddr.ip != "::1":
                    found.add(f"{process.name()} → {connection.raddr.ip}")
        except psutil.Error:  # it has just ended
            continue
    return found


def _address() -> str:
    """An address of this machine that is not loopback, ``""`` where it has none."""
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family == socket.AF_INET and not entry.address.startswith("127."):
                return entry.address
    return ""


def test_offline_nothing_goes_out_and_every_step_says_so(home: Path, model: Path) -> None:
    seen = run(home, model, offline=True)
    assert seen.audited == []
    assert seen.connections == set()
    assert seen.log == ""
    for step in ("search", "job", "reach", "token"):
        assert re.search("Offline is switched on", seen.steps[step]), (step, seen.steps[step])
    assert seen.steps["chat"] in ("length", "stop")  # what needs no network works
    assert seen.steps["server"] == "on"
    assert seen.steps["manager"] == "ProtocolUnknownError"


def test_online_the_same_steps_are_seen_by_the_watcher_and_written_down(home: Path, model: Path) -> None:
    seen = run(home, model, offline=False)
    assert {line["target"] for line in seen.audited} == {"192.0.2.1"}
    purposes = {json.loads(line)["purpose"] for line in seen.log.splitlines()}
    assert purposes >= {"search for models", "facts about a model", "test of the connection", "check of the token"}
    assert "hf_planted" not in seen.log
    assert seen.steps["manager"] == "ProtocolUnknownError"  # the window itself never goes out


def test_every_leak_is_seen(home: Path, model: Path) -> None:
    leaks = ["python", "name", "child", *(["qt"] if _address() else [])]
    seen = run(home, model, offline=True, leak=",".join(leaks))
    assert {line["target"] for line in seen.audited} == {"192.0.2.1", "leak.example"}
    assert len({tuple(line["program"]) for line in seen.audited}) == 2  # the window and its child
    assert any(_address() in connection for connection in seen.connections) or "qt" not in leaks


def test_the_window_has_one_network_manager_and_it_stays_on_this_machine() -> None:
    makers = [
        file.relative_to(PROJECT).as_posix()
        for file in (PROJECT / "app").rglob("*.py")
        if re.search(SOCKETS, file.read_text())
    ]
    assert makers == ["app/engine/client.py"]
