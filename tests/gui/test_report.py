"""The report of a problem: nothing secret that was planted comes out, all is shown, nothing is sent."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.application import Services
from app.diagnostics import bundle, redaction
from app.diagnostics.redaction import redact
from app.views.main_window import MainWindow
from app.views.settings.report_dialog import ReportDialog

PLANTED = (
    "hf_AbCdEfGhIjKlMnOpQr", "s3cret-of-the-engine", "proxy.corp.example", "hunter2", "alice.smith",
    "/home/alice.smith", "10.11.12.13", "X-Amz-Signature", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "sk-proj-0123456789abcdef",
    "alice@example.org", "dGhlcGFzc3dvcmQ=", "workstation7",
)
LOG = """\
Authorization: Bearer s3cret-of-the-engine
authorization: Basic dGhlcGFzc3dvcmQ=
using token hf_AbCdEfGhIjKlMnOpQr of alice.smith@workstation7
proxy http://bob:hunter2@proxy.corp.example:3128/ failed
password=hunter2 {"api_key": "sk-proj-0123456789abcdef"} jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc
GET https://cdn.example/model.safetensors?X-Amz-Signature=abc from 10.11.12.13 by alice@example.org
FileNotFoundError: /home/alice.smith/models/x on 127.0.0.1
serve --host 127.0.0.1 --token s3cret-of-the-engine --json
"""


@pytest.fixture(autouse=True)
def alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction.getpass, "getuser", lambda: "alice.smith")
    monkeypatch.setattr(redaction.socket, "gethostname", lambda: "workstation7.corp")
    monkeypatch.setattr(redaction.Path, "home", lambda: Path("/home/alice.smith"))


def test_planted_secrets_do_not_come_out(services: Services, home: Path) -> None:
    (home / "logs").mkdir()
    for name in ("window.log", "engine.log", "outbound.jsonl"):
        (home / "logs" / name).write_text(LOG)
    services.settings.set("proxy_address", "http://bob@proxy.corp.example:3128")
    services.settings.set("system_prompt", "I am alice.smith and this is private")
    services.settings.set("temperature", 0.5)
    files = bundle.gather(services.settings, ["s3cret-of-the-engine"], '{"home": "/home/alice.smith/.local"}')
    everything = "\n".join(files.values())
    assert [word for word in PLANTED if word in everything] == []
    assert "private" not in everything
    assert '"temperature": 0.5' in files["settings.json"]
    assert "~/models/x" in files["logs/engine.log"]
    assert "127.0.0.1" in files["logs/engine.log"]
    assert "https://cdn.example/model.safetensors" in files["logs/engine.log"]  # what is not secret is still there


@pytest.mark.parametrize(
    "text",
    ["tokens: 512 of 4096", "token budget 3", "12 tokens a second", "https://huggingface.co/org/name",
     "torch 2.13.0+cpu", "a basic understanding"],
)
def test_what_is_not_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_only_the_end_of_a_long_log_goes_in(home: Path) -> None:
    log = home / "long.log"
    log.write_text("".join(f"line {number}\n" for number in range(200_000)))
    lines = bundle.last_lines(log).splitlines()
    assert len(lines) == bundle.LINES
    assert lines[-1] == "line 199999"


def test_all_is_shown_and_what_is_saved_is_what_was_shown(
    qtbot: QtBot, window: MainWindow, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = ReportDialog(window.theme, services, window)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: "doctor.json" in dialog.files, timeout=60_000)
    assert [dialog.list.item(row).text() for row in range(dialog.list.count())] == list(dialog.files)
    dialog.list.setCurrentRow(list(dialog.files).index("doctor.json"))
    assert dialog.text.toPlainText() == dialog.files["doctor.json"]
    target = tmp_path / "report.zip"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    dialog.save.click()
    with zipfile.ZipFile(target) as archive:
        assert {name: archive.read(name).decode() for name in archive.namelist()} == dialog.files
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "no" / "such.zip"), ""))
    dialog.save.click()
    assert "cannot be written" in dialog.state.text()
