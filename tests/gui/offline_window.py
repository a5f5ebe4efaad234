"""The real window in a process of its own, doing all that reaches for the network: ``offline_window.py on|off [LEAK]``.

It says what came of each step in JSON, one line each.  ``LEAK`` makes one deliberate reach beyond this machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from PySide6.QtCore import QElapsedTimer, QUrl
from PySide6.QtNetwork import QNetworkRequest, QTcpSocket
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.application import Services
from app.views.main_window import MainWindow
from app.views.network.network_view import NetworkView
from app.views.settings.secret_row import SecretRow
from app.views.settings.settings_view import SettingsView

MODEL = "tiny:t2"
ELSEWHERE = "192.0.2.1"


def say(step: str, what: Any) -> None:
    print(json.dumps({"step": step, "what": str(what)}), flush=True)


def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    clock = QElapsedTimer()
    clock.start()
    while not condition():
        if clock.elapsed() > 1000 * seconds:
            raise TimeoutError
        QTest.qWait(20)


def main(offline: bool, leak: str) -> None:
    application = QApplication([])
    services = Services.build(application)
    services.settings.set("offline", offline)
    services.settings.set("threads", 1)
    services.settings.set("server_on", True)
    services.settings.set("server_token_wanted", False)
    services.settings.set("server_port", int(os.environ["TZ_TEST_PORT"]))
    window = MainWindow(services)
    window.show()
    services.start()
    for key in list(window._pages):
        window.show_page(key)
        QTest.qWait(50)
    window.show_page("chat")
    wait(lambda: services.server.state in ("on", "failed"))
    say("server", services.server.state)

    outcome: list[Any] = []
    services.library.failed.connect(outcome.append)
    services.library.search_finished.connect(outcome.append)
    services.library.search("qwen")
    wait(lambda: bool(outcome))
    say("search", outcome[0])

    job = services.jobs.add("org/name", "t2")
    wait(lambda: services.jobs.job(job.id).state in ("failed", "done", "paused"))
    say("job", services.jobs.job(job.id).message)

    window.show_page("network")
    network = window.pages.currentWidget()
    assert isinstance(network, NetworkView)
    results: list[Any] = []
    network.test.finished.connect(lambda reached, sentence: results.append(sentence))
    network.test.start()
    wait(lambda: bool(results))
    say("reach", results[0])

    services.secrets._take("hub_token", "hf_planted")
    window.show_page("settings")
    settings = window.pages.currentWidget()
    assert isinstance(settings, SettingsView)
    row = settings.rows["hub_token"]
    assert isinstance(row, SecretRow)
    row._on_check()
    wait(lambda: row._checking is None)
    say("token", row.error.text())

    window.show_page("chat")
    stream = services.client.chat(MODEL, [{"role": "user", "content": "Hi"}], {"max_tokens": 5, "seed": 1})
    reasons: list[str] = []
    stream.finished.connect(lambda reason, _usage, _timings: reasons.append(reason))
    stream.failed.connect(reasons.append)
    wait(lambda: bool(reasons))
    say("chat", reasons[0])

    reply = services.client._manager.get(QNetworkRequest(QUrl(f"http://{ELSEWHERE}/")))
    wait(reply.isFinished)
    say("manager", reply.error().name)
    for one in leak.split(","):
        reach_out(one)
    window.close()
    services.shutdown()
    say("end", "")


def reach_out(leak: str) -> None:
    """One deliberate leak."""
    if leak == "python":
        with suppress(OSError):
            socket.create_connection((ELSEWHERE, 9), timeout=1)
    elif leak == "name":
        with suppress(OSError):
            socket.getaddrinfo("leak.example", 80)
    elif leak == "child":
        code = f"import socket; socket.create_connection(({ELSEWHERE!r}, 9), timeout=1)"
        subprocess.run([sys.executable, "-c", code], check=False, stderr=subprocess.DEVNULL)
    elif leak == "qt":
        host, _, port = os.environ["TZ_TEST_LISTENER"].rpartition(":")
        connection = QTcpSocket()
        connection.connectToHost(host, int(port))
        QTest.qWait(1500)


if __name__ == "__main__":
    main(sys.argv[1] == "on", sys.argv[2] if len(sys.argv) > 2 else "")
