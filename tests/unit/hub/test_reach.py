"""Whether the hub answers, and whose token is in use; offline neither is asked."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.unit.hub.hub_server import HubServer
from tzcore import outbound
from tzcore.cli.main import main
from tzcore.errors import AccessError, NetworkError, OfflineError
from tzcore.hub import download, reference, repository, sources
from tzcore.hub.search import search


def test_the_token_s_owner(hub: HubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AccessError, match="no token is set"):
        repository.who_am_i(None)
    monkeypatch.setenv("HF_TOKEN", "good-token")
    assert main(["token", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "alice"
    with pytest.raises(AccessError, match="does not know the token"):
        repository.who_am_i("mistyped")
    text = outbound.log_file().read_text()
    assert "check of the token" in text
    assert "good-token" not in text


def test_the_hub_answers_or_does_not(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    host, seconds = repository.reach()
    assert host == "127.0.0.1"
    assert 0 < seconds < 10
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="cannot reach"):
        repository.reach()
    monkeypatch.setenv("HTTP_PROXY", "nonsense://proxy")
    monkeypatch.setattr(constants, "ENDPOINT", "http://hub.example")
    with pytest.raises(NetworkError, match="proxy cannot be used"):
        repository.reach()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: search("x"),
        lambda: repository.who_am_i("good-token"),
        repository.reach,
        lambda: sources.describe(reference.parse("org/name")),
        lambda: repository.look_up("org/name", None, None),
    ],
)
def test_offline_the_hub_hears_nothing(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]
) -> None:
    monkeypatch.setenv("TZ_OFFLINE", "1")
    with pytest.raises(OfflineError, match="Offline is switched on in the settings"):
        ask()
    assert hub.log == []
    assert not outbound.log_file().exists()
    assert download.PATIENCE.attempts == 4
