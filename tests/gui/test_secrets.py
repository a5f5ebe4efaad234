"""Tokens: in the key ring, in memory or in a file of the user's own, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.network.environment import child_environment
from app.settings.secrets import FILE, KEY_RING, SESSION, Secrets
from app.settings.settings import Settings

RING = """
import json, pathlib, sys
store = pathlib.Path(sys.argv[1])
asked = json.loads(sys.stdin.read())
values = json.loads(store.read_text()) if store.exists() else {}
if asked["do"] == "set": values[asked["name"]] = asked["value"]
if asked["do"] == "delete": values.pop(asked["name"], None)
store.write_text(json.dumps(values))
print(json.dumps({"value": values.get(asked["name"], "")}))
"""
NONE = "print('{\"error\": \"no key ring\"}')"


@pytest.fixture
def ring(tmp_path: Path) -> tuple[str, ...]:
    return (sys.executable, "-c", RING, str(tmp_path / "ring.json"))


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings()


def everything_written(home: Path) -> str:
    return "".join(file.read_text(errors="replace") for file in home.rglob("*") if file.is_file())


def test_the_key_ring_holds_it_over_a_restart_and_no_file_does(
    qtbot: QtBot, settings: Settings, ring: tuple[str, ...], home: Path
) -> None:
    secrets = Secrets(settings, ring)
    secrets.set("hub_token", "hf_abc ")
    assert secrets.get("hub_token") == "hf_abc"
    qtbot.waitUntil(lambda: secrets.where("hub_token") == KEY_RING and not secrets._running)
    assert "hf_abc" not in everything_written(home)
    again = Secrets(settings, ring)
    with qtbot.waitSignal(again.changed):
        again.load()
    assert child_environment(settings, again)["HF_TOKEN"] == "hf_abc"
    assert "HF_TOKEN" not in child_environment(settings)
    again.set("hub_token", "")
    qtbot.waitUntil(lambda: not again._running)
    third = Secrets(settings, ring)
    third.load()
    qtbot.waitUntil(lambda: not third._running)
    assert (third.get("hub_token"), third.where("hub_token")) == ("", "")


def test_what_was_taken_out_of_the_key_ring_is_noticed(
    qtbot: QtBot, settings: Settings, ring: tuple[str, ...]
) -> None:
    settings.set("secrets_kept", '{"server_token": "keyring"}')
    secrets = Secrets(settings, ring)
    with qtbot.waitSignal(secrets.changed):
        secrets.load()
    assert secrets.where("server_token") == ""


def test_without_a_key_ring_it_asks_and_holds_for_the_session(qtbot: QtBot, settings: Settings, home: Path) -> None:
    secrets = Secrets(settings, (sys.executable, "-c", NONE))
    with qtbot.waitSignal(secrets.no_key_ring) as asked:
        secrets.set("hub_token", "hf_abc")
    assert asked.args is not None
    assert "No key ring is available" in asked.args[1]
    assert (secrets.get("hub_token"), secrets.where("hub_token")) == ("hf_abc", SESSION)
    assert "hf_abc" not in everything_written(home)
    secrets.keep("hub_token", FILE)
    file = home / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    again = Secrets(settings, (sys.executable, "-c", NONE))
    again.load()
    assert again.get("hub_token") == "hf_abc"
    again.keep("hub_token", SESSION)
    assert again.get("hub_token") == "hf_abc"
    assert not file.exists()


@pytest.mark.parametrize("program", ["import os; os._exit(3)", "print('garbage')", "no such program"])
def test_a_key_ring_that_crashes_is_said(qtbot: QtBot, settings: Settings, program: str) -> None:
    command = ("no-such-program",) if program.startswith("no ") else (sys.executable, "-c", program)
    secrets = Secrets(settings, command)
    with qtbot.waitSignal(secrets.no_key_ring):
        secrets.set("hub_token", "hf_abc")
    assert secrets.get("hub_token") == "hf_abc"


def test_the_real_program_answers_without_a_key_ring(qtbot: QtBot, settings: Settings, monkeypatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    secrets = Secrets(settings)
    with qtbot.waitSignal(secrets.no_key_ring, timeout=20_000) as asked:
        secrets.set("hub_token", "hf_abc")
    assert asked.args is not None
    assert "No key ring is available" in asked.args[1]


def test_proxies_never_stand_before_the_engine(settings: Settings) -> None:
    for base in ({}, {"no_proxy": "intranet"}):
        settings.set("proxy", "system")
        assert "127.0.0.1" in child_environment(settings, base=base)["NO_PROXY"].split(",")
        settings.set("proxy", "manual")
        settings.set("proxy_address", "http://proxy.example:3128")
        settings.set("proxy_exceptions", "a.example; b.example")
        made = child_environment(settings, base=base)
        assert made["https_proxy"] == made["HTTPS_PROXY"] == "http://proxy.example:3128"
        assert made["no_proxy"] == "a.example,b.example,localhost,127.0.0.1,::1"
        settings.set("proxy", "none")
        made = child_environment(settings, base={"HTTPS_PROXY": "http://other:1"})
        assert (made["HTTPS_PROXY"], made["no_proxy"]) == ("", "*")


def test_the_password_of_the_proxy_is_a_secret(settings: Settings) -> None:
    settings.set("proxy", "manual")
    with pytest.raises(ValueError, match="password does not belong here"):
        settings.set("proxy_address", "http://bob:hunter2@proxy.example:3128")
    settings.set("proxy_address", "http://bob@proxy.example:3128")
    secrets = Secrets(settings, ("no-key-ring",))
    secrets.set("proxy_password", "p@ss/word", SESSION)
    assert child_environment(settings, secrets)["HTTPS_PROXY"] == "http://bob:p%40ss%2Fword@proxy.example:3128"
    assert child_environment(settings)["HTTPS_PROXY"] == "http://bob@proxy.example:3128"


def test_offline_and_mirror_reach_the_children(settings: Settings) -> None:
    assert "TZ_OFFLINE" not in child_environment(settings)
    settings.set("offline", True)
    settings.set("hub_mirror", "https://mirror.example/hf/")
    made = child_environment(settings)
    assert (made["TZ_OFFLINE"], made["HF_HUB_OFFLINE"]) == ("1", "1")
    assert made["HF_ENDPOINT"] == "https://mirror.example/hf"
    with pytest.raises(ValueError, match="no address"):
        settings.set("hub_mirror", "mirror")
