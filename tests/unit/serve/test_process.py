"""The server as a process: how it begins, and every way it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.unit.serve.running_server import install
from tzcore.errors import RequestError, SourceError
from tzcore.serve.server import AddressError, listening_socket, serve

PROCESS = Path(__file__).with_name("scripted_process.py")
HELLO = [{"role": "user", "content": "Hello"}]


@contextmanager
def process(**options: Any) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROCESS), json.dumps({"port": 0, **options})]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def ready(child: subprocess.Popen[str]) -> dict[str, Any]:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.stderr.read() if child.stderr else ""
    event: dict[str, Any] = json.loads(line)
    assert event["event"] == "ready"
    assert event["url"] == f"http://127.0.0.1:{event['port']}"
    return event


def test_ready_line_and_models_loaded_before_it(home: Path) -> None:
    install()
    with process(models=["tiny"], token="random", context=300) as child:
        event = ready(child)
        headers = {"Authorization": f"Bearer {event['token']}"}
        assert len(event["token"]) > 30
        (model,) = httpx.get(event["url"] + "/health", headers=headers).json()["models"]
        assert (model["id"], model["context"]) == ("tiny:t2", 300)
        assert httpx.get(event["url"] + "/health").status_code == 401


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_while_it_answers(home: Path, number: int, code: int) -> None:
    install()
    with process(models=["tiny"]) as child:
        url = ready(child)["url"]
        body = {"model": "tiny", "messages": HELLO, "stream": True}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=20) as response:
            lines = response.iter_lines()
            next(lines)
            began = time.monotonic()
            child.send_signal(number)
            rest = [line for line in lines if line]
        assert "shutting down" in rest[-2]
        assert child.wait(10) == code
        assert time.monotonic() - began < 3
        assert child.stderr is not None
        assert child.stderr.read() == ""


def test_it_ends_with_its_parent(home: Path) -> None:
    install()
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent,
        process(models=["tiny"], parent_pid=parent.pid) as child,
    ):
        ready(child)
        time.sleep(0.7)
        assert child.poll() is None
        helpers = psutil.Process(child.pid).children()
        assert helpers  # the template's process
        parent.kill()
        assert child.wait(5) == 0
        _, alive = psutil.wait_procs(helpers, timeout=5)
        assert alive == []
    with process(parent_pid=parent.pid) as child:  # long gone
        assert child.wait(20) == 1
        assert child.stderr is not None
        assert f"no process {parent.pid}" in child.stderr.read()


def test_port_in_use(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=rf"Port {port} on 127\.0\.0\.1 is in use .* --port"):
            serve(port=port)
    with listening_socket("127.0.0.1", 0) as first, pytest.raises(AddressError, match="in use"):
        listening_socket("127.0.0.1", first.getsockname()[1])


def test_addresses_that_cannot_be(home: Path) -> None:
    for port in (-1, 65536, 10**9):
        with pytest.raises(AddressError, match="does not exist"):
            serve(port=port)
    with pytest.raises(AddressError):
        serve(host="192.0.2.1", port=0, token="x")
    with pytest.raises(AddressError, match="no address"):
        serve(host="no such host", port=0, token="x")


def test_other_machines_need_a_token(home: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        with pytest.raises(RequestError, match="--token random"):
            serve(host=host, port=0)


def test_unknown_models(home: Path) -> None:
    install()
    with pytest.raises(SourceError, match=r"'nothing'; installed: tiny:t2"):
        serve(["nothing"], port=0)


def test_starting_is_quick(home: Path) -> None:
    with process() as child:  # warm the file cache
        ready(child)
    began = time.monotonic()
    with process() as child:
        ready(child)
        took = time.monotonic() - began
    assert took < 5.0  # measured: 0.5 s on two idle cores; here the tests of others may run


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, tzcore.serve.server;"
        "print(*sorted({'torch', 'transformers', 'PySide6', 'rich', 'gguf', 'huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == ""
