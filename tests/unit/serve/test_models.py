"""Loading, releasing and counting over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.serve.running_server import Running, install, running
from tzcore.engine.placement import Neighbours
from tzcore.engine.plan import MemoryPlan
from tzcore.errors import BackendError, CheckpointError, DoesNotFitError

HELLO = [{"role": "user", "content": "Hello there"}]


@pytest.fixture
def server(home: Path) -> Iterator[Running]:
    install("one")
    install("two")
    with running() as made:
        yield made


def test_health(server: Running) -> None:
    health = server.http.get("/health").json()
    assert health["status"] == "ok"
    assert health["version"]
    assert health["models"] == []
    server.http.post("/v1/load", json={"model": "one"})
    (model,) = server.http.get("/health").json()["models"]
    assert model == {"id": "one:t2", "context": 2048, "kv": "f16", "backend": "scripted", "busy": False, "requests": 0}


def test_load_and_unload(server: Running) -> None:
    loaded = server.http.post("/v1/load", json={"model": "one:t2", "context": 512}).json()
    assert (loaded["event"], loaded["model"], loaded["context"], loaded["backend"]) == (
        "done",
        "one:t2",
        512,
        "scripted",
    )
    assert server.http.post("/v1/load", json={"model": "one:t2"}).json()["context"] == 512
    assert len(server.opener.opened) == 1
    again = server.http.post("/v1/load", json={"model": "one:t2", "context": 256}).json()
    assert again["context"] == 256
    assert server.opener.models[0].closed
    loads = [m["loaded"] for m in server.http.get("/v1/models").json()["data"]]
    assert loads == [True, False]
    assert server.http.post("/v1/unload", json={"model": "one:t2"}).json() == {"model": "one:t2"}
    assert server.opener.models[1].closed
    assert not any(m["loaded"] for m in server.http.get("/v1/models").json()["data"])


def test_loading_streams_progress(server: Running) -> None:
    for request in (
        {"json": {"model": "one:t2", "stream": True}},
        {"json": {"model": "two:t2"}, "headers": {"Accept": "text/event-stream"}},
    ):
        response = server.http.post("/v1/load", **request)  # type: ignore[arg-type]
        assert response.headers["content-type"].startswith("text/event-stream")
        *found, last = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
        assert last == "[DONE]"
        kinds = [json.loads(line) for line in found]
        assert [k["event"] for k in kinds] == ["progress", "progress", "done"]
        assert (kinds[1]["phase"], kinds[1]["done"], kinds[1]["total"]) == ("load", 100, 100)


def test_errors_of_loading(server: Running) -> None:
    for error in (CheckpointError("model.safetensors is truncated"), BackendError("no backend")):
        server.opener.error = error
        response = server.http.post("/v1/load", json={"model": "one:t2"})
        assert (response.status_code, response.json()["error"]["message"]) == (503, str(error))
        server.opener.error = error
        streamed = server.http.post("/v1/load", json={"model": "one:t2", "stream": True}).text
        assert str(error) in streamed
        assert '"event": "error"' in streamed
    for context in (0, -1, "x", 1.5):
        assert server.http.post("/v1/load", json={"model": "one:t2", "context": context}).status_code == 400
    assert server.http.post("/v1/load", json={"model": "one:t2"}).status_code == 200


def test_an_idle_model_makes_room(server: Running) -> None:
    server.http.post("/v1/load", json={"model": "one:t2"}).raise_for_status()
    server.opener.error = DoesNotFitError("too large")
    loaded = server.http.post("/v1/load", json={"model": "two:t2"}).json()
    assert loaded["released"] == ["one:t2"]
    assert server.opener.models[0].closed
    server.http.post("/v1/unload", json={"model": "two:t2"}).raise_for_status()
    server.opener.error = DoesNotFitError("too large")
    response = server.http.post("/v1/load", json={"model": "two:t2"})
    assert (response.status_code, response.json()["error"]["message"]) == (503, "too large")


def on(server: Running, name: str, card: str) -> None:
    """The plan of an open model says that it is on ``card``."""
    (hosted,) = (hosted for hosted in server.pool.hosted if hosted.id == name)
    memory = MemoryPlan(1000, 200, 30, 2048, 4096, 10_000, 100, card)
    hosted.engine.info = replace(hosted.engine.info, memory=memory)


def test_a_card_and_main_memory_are_told_apart(server: Running) -> None:
    install("three")
    for name, card in (("one:t2", "a card"), ("two:t2", "")):
        server.http.post("/v1/load", json={"model": name}).raise_for_status()
        on(server, name, card)
    server.opener.error = DoesNotFitError("too large", "a card")
    loaded = server.http.post("/v1/load", json={"model": "three:t2"}).json()
    assert loaded["released"] == ["one:t2"]  # the other is no help
    assert server.opener.opened[-1][2] == Neighbours(occupied=1000)
    on(server, "three:t2", "a card")
    server.http.post("/v1/load", json={"model": "one:t2"}).raise_for_status()
    assert server.opener.opened[-1][2] == Neighbours(occupied=1000, reclaimable=1230)


def test_the_format_of_keys_and_values_is_chosen_when_a_model_is_loaded(server: Running) -> None:
    def load(**fields: str) -> dict[str, Any]:
        return dict(server.http.post("/v1/load", json={"model": "one:t2", **fields}).raise_for_status().json())

    assert load()["kv"] == "f16"
    load(kv="auto")
    load(kv="16")
    assert server.opener.formats == ["auto"]  # what is open has it already
    load(kv="8")
    assert server.opener.formats == ["auto", "k8v8"]
    refused = server.http.post("/v1/load", json={"model": "one:t2", "kv": "k5v5"})
    assert refused.status_code == 400
    assert "k6v5" in refused.json()["error"]["message"]


def test_a_model_whose_card_failed_is_opened_again(server: Running) -> None:
    server.http.post("/v1/load", json={"model": "one:t2"}).raise_for_status()
    server.pool.hosted[0].engine.lost = True
    body = {"model": "one:t2", "messages": HELLO, "max_tokens": 1}
    assert server.http.post("/v1/chat/completions", json=body).status_code == 200
    assert len(server.opener.opened) == 2
    assert server.opener.models[0].closed


def test_a_model_is_opened_once_for_many(server: Running) -> None:
    def ask(_: int) -> int:
        body = {"model": "one:t2", "messages": HELLO, "max_tokens": 2}
        return server.http.post("/v1/chat/completions", json=body).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [200] * 4
    assert len(server.opener.opened) == 1


def test_token_counts(server: Running) -> None:
    question = {"model": "one:t2", "messages": HELLO}
    cold = server.http.post("/v1/tokenize", json=question).json()
    assert server.opener.opened == []  # counting loads no weights
    answer = server.http.post("/v1/chat/completions", json={**question, "max_tokens": 1}).json()
    warm = server.http.post("/v1/tokenize", json=question).json()
    assert cold == {"tokens": answer["usage"]["prompt_tokens"], "context": None}
    assert warm == {"tokens": answer["usage"]["prompt_tokens"], "context": 2048}
    assert server.http.post("/v1/tokenize", json={"model": "one:t2", "text": ""}).json()["tokens"] == 0
    assert server.http.post("/v1/tokenize", json={"model": "one:t2", "text": "Hello"}).json()["tokens"] > 0
    for wrong in ({}, {"text": 3}, {"text": "a", "messages": HELLO}, {"text": "a\ud800"}):
        content = json.dumps({"model": "one:t2", **wrong})
        assert server.http.post("/v1/tokenize", content=content).status_code == 400


def test_allowed_origins(home: Path) -> None:
    install("one")
    page = "https://chat.example"
    with running(origins=(page,)) as server:
        asked = {
            "Origin": page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        before = server.http.options("/v1/models", headers=asked)
        assert before.status_code == 200
        assert before.headers["access-control-allow-origin"] == page
        answer = server.http.get("/v1/models", headers={"Origin": page})
        assert answer.headers["access-control-allow-origin"] == page
        assert server.http.get("/v1/models", headers={"Origin": "https://evil.example"}).status_code == 403
