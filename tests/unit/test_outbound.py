"""What goes out is written down first, without what is secret in it; offline nothing goes out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tzcore import outbound
from tzcore.errors import NetworkError, OfflineError, StorageError


def lines() -> list[dict[str, object]]:
    return [json.loads(line) for line in outbound.log_file().read_text().splitlines()]


def test_host_and_path_are_kept_and_nothing_that_is_secret() -> None:
    outbound.record("get", "https://user:pass@hub.example:8443/org/name/resolve?token=hf_secret#x", "file of a model")
    (line,) = lines()
    assert (line["method"], line["host"], line["path"]) == ("GET", "hub.example:8443", "/org/name/resolve")
    assert line["purpose"] == "file of a model"
    text = outbound.log_file().read_text()
    assert not any(word in text for word in ("hf_secret", "pass", "user"))


def test_offline_refuses_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ_OFFLINE", "1")
    with pytest.raises(OfflineError, match="Offline is switched on in the settings"):
        outbound.record("GET", "https://hub.example/", "search")
    assert issubclass(OfflineError, NetworkError)
    assert not outbound.log_file().exists()


def test_a_request_that_cannot_be_written_down_does_not_go_out(home: Path) -> None:
    home.mkdir()
    (home / "logs").write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        outbound.record("GET", "https://hub.example/", "search")


def test_many_processes_write_whole_lines_and_long_files_are_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "from tzcore import outbound\n"
        "outbound.LONGEST = 20_000\n"
        "for number in range(150):\n"
        "    outbound.record('GET', f'https://hub.example/{number}', 'search')\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    files = list(outbound.log_file().parent.glob("outbound*.jsonl"))
    assert len(files) > 1
    entries = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert len(entries) == 450


def test_the_clients_of_the_hub_write_down_redirects_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    from huggingface_hub import get_session

    from tzcore.hub import repository, transport

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/first" else 200)
            self.send_header("Location", "/second?signature=secret")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/first"
    try:
        repository.hub()
        get_session().get(address)
        with transport.client_for("file of a model", 5) as client:
            client.get(address)
            monkeypatch.setenv("TZ_OFFLINE", "1")
            with pytest.raises(OfflineError):
                client.get(address)
        with pytest.raises(OfflineError):
            get_session().get(address)
    finally:
        server.shutdown()
        server.server_close()
    assert [line["path"] for line in lines()] == ["/first", "/second"] * 2


def test_there_is_no_other_way_out() -> None:
    """Whoever opens a connection of their own would be in no list: the two clients are the only ones."""
    root = Path(outbound.__file__).parent
    ways = re.compile(
        r"httpx2?\.(Client|AsyncClient|get|head|post|put|stream|request)\(|urlopen\(|http\.client|import requests"
        r"|aiohttp|create_connection\(|hf_hub_download|snapshot_download|load_dataset"
    )
    found = {
        file.relative_to(root if file.is_relative_to(root) else root.parent).as_posix()
        for folder in (root, root.parent / "app")
        for file in folder.rglob("*.py")
        if file.name != "outbound.py" and ways.search(file.read_text(encoding="utf-8"))
    }
    assert found == {"hub/transport.py"}
