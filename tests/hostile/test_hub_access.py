"""What the Hub refuses, each in one clear line that says what to do."""

from __future__ import annotations

import re
import socket

import pytest

from tests.unit.hub import conftest
from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tests.unit.hub.model_files import repository_files
from tzcore.errors import AccessError, NetworkError, SourceError, TernaryZeroError
from tzcore.hub import sources
from tzcore.hub.reference import parse
from tzcore.hub.search import search

hub = conftest.hub


def refusal(kind: type[TernaryZeroError], source: str, token: str | None = None) -> str:
    with pytest.raises(TernaryZeroError) as caught:
        sources.open_source(parse(source), token=token)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_gated_without_a_login(hub: HubServer) -> None:
    hub.repos["org/gated"] = Repo(repository_files(), gated="manual", allowed=("good-token",))
    text = refusal(AccessError, "org/gated")
    assert re.search(rf"org/gated is gated: open {hub.url}/org/gated and accept.*hf auth login", text)
    info = sources.describe(parse("org/gated"))
    assert (info.gated, info.family) == (True, "llama")
    assert info.download_bytes


def test_gated_for_another_account(hub: HubServer) -> None:
    hub.repos["org/gated"] = Repo(repository_files(), gated="manual", allowed=("good-token",))
    assert "your account has no access yet" in refusal(AccessError, "org/gated", "other-token")
    assert sources.open_source(parse("org/gated"), token="good-token").id == "org/gated"


def test_the_token_of_the_environment_is_used(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["org/gated"] = Repo(repository_files(), gated="auto", allowed=("good-token",))
    monkeypatch.setenv("HF_TOKEN", "good-token")
    assert sources.open_source(parse("org/gated")).revision == "a" * 40


def test_a_wrong_token(hub: HubServer) -> None:
    hub.repos["org/model"] = Repo(repository_files())
    text = refusal(AccessError, "org/model", "mistyped")
    assert "does not know the token" in text
    assert "mistyped'" not in text  # the token itself is never shown
    with pytest.raises(AccessError, match="does not know the token"):
        search("x", token="mistyped")


def test_an_unknown_id_and_what_may_be_meant(hub: HubServer) -> None:
    assert "no model org/nothing on the Hub (or it is private and needs a login" in refusal(SourceError, "org/nothing")
    assert "did you mean Qwen/Qwen3-4B" in refusal(SourceError, "Qwen/Qwen3-4bb", "good-token")


def test_a_private_repository(hub: HubServer) -> None:
    hub.repos["org/secret"] = Repo(repository_files(), hidden=True, allowed=("good-token",))
    assert "no model org/secret" in refusal(SourceError, "org/secret")
    assert sources.open_source(parse("org/secret"), token="good-token").id == "org/secret"


def test_an_unknown_revision(hub: HubServer) -> None:
    hub.repos["org/model"] = Repo(repository_files())
    assert "org/model has no such revision" in refusal(SourceError, "org/model@v9")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("config.json", "tokenizer.json", "pytorch_model.bin"), "pickle weights only.*look for a version with"),
        (
            ("README.md", "model-Q4_K_M.gguf", "model-Q8_0.gguf"),
            r"GGUF files only \(model-Q4_K_M.gguf, model-Q8",
        ),
        (("adapter_config.json", "adapter_model.safetensors"), "is an adapter"),
        (("config.json", "unet.safetensors"), "not a language model"),
        (("README.md",), "no weights as safetensors"),
        (("config.json", "model.safetensors"), r"has no tokenizer\.json"),
        (("tokenizer.json", "model.safetensors"), r"has no config\.json"),
    ],
)
def test_repositories_of_no_use(hub: HubServer, files: tuple[str, ...], words: str) -> None:
    hub.repos["org/model"] = Repo(dict.fromkeys(files, b"x"))
    assert re.search(words, refusal(SourceError, "org/model"))
    assert sum(hub.served.values()) == 0


def test_the_hub_is_down(hub: HubServer) -> None:
    hub.faults["api"].extend(Fault(status=502) for _ in range(9))
    assert "502" in refusal(NetworkError, "org/model")


def test_too_many_requests(hub: HubServer) -> None:
    hub.faults["api"].extend(Fault(status=429, headers={"Retry-After": "0"}) for _ in range(9))
    assert "too many requests" in refusal(NetworkError, "org/model")


def test_no_network(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert "check the network connection" in refusal(NetworkError, "org/model")
    with pytest.raises(NetworkError, match="cannot reach"):
        search("x")


def test_something_that_is_no_hub(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.setattr(json, "dumps", lambda *a, **k: "<html>hotel wifi</html>")
    hub.repos["org/model"] = Repo(repository_files())
    assert "is it a Hub?" in refusal(NetworkError, "org/model")


def test_an_index_that_is_damaged(hub: HubServer) -> None:
    files = repository_files() | {"model.safetensors.index.json": b'{"weight_map": ["x"]}'}
    hub.repos["org/model"] = Repo(files)
    assert "model.safetensors.index.json of org/model is damaged" in refusal(SourceError, "org/model")


def test_a_config_that_is_damaged(hub: HubServer) -> None:
    hub.repos["org/model"] = Repo(repository_files() | {"config.json": b"{not json"})
    assert "config.json of org/model is not valid JSON" in refusal(SourceError, "org/model")
