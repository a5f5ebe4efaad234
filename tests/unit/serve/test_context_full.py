"""What clients are told when the context does not suffice, and what a context would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.serve.running_server import Running, install, running
from tests.unit.serve.test_streams import events
from tzcore import paths
from tzcore.keyvalues import FORMATS

TALK = [
    {"role": role, "content": f"{role} {number} " + "word " * 20}
    for number in range(30)
    for role in ("user", "assistant")
] + [{"role": "user", "content": "last"}]


@pytest.fixture
def served(home: Path) -> Iterator[Running]:
    install()
    with running(lambda _: ScriptedModel([70, 71])) as made:
        made.http.post("/v1/load", json={"model": "tiny:t2", "context": 1024}).raise_for_status()
        yield made


def ask(**more: Any) -> dict[str, Any]:
    return {"model": "tiny:t2", "messages": TALK, "max_tokens": 4, **more}


def test_without_the_field_a_prompt_that_does_not_fit_is_an_error(served: Running) -> None:
    answer = served.http.post("/v1/chat/completions", json=ask())
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_a_stream_says_what_is_left_out_before_the_text(served: Running) -> None:
    with served.http.stream("POST", "/v1/chat/completions", json=ask(stream=True, context_overflow="slide")) as stream:
        chunks = events(stream)
    [change] = [chunk["context_changed"] for chunk in chunks if "context_changed" in chunk]
    assert change["kind"] == "slide"
    assert change["messages_left_out"] > 0
    assert change["summary"] is None
    assert change["tokens_kept"] <= 768
    place = next(i for i, chunk in enumerate(chunks) if "context_changed" in chunk)
    assert not any(chunk["choices"][0]["delta"].get("content") for chunk in chunks[:place])
    assert any(chunk["choices"][0]["delta"].get("content") for chunk in chunks[place:])


def test_a_whole_answer_says_it_too(served: Running) -> None:
    answer = served.http.post("/v1/chat/completions", json=ask(context_overflow="compact")).json()
    [change] = answer["context_changed"]
    assert change["kind"] == "compact"
    assert change["summary"]
    short = served.http.post("/v1/chat/completions", json=ask(messages=TALK[-1:], context_overflow="slide")).json()
    assert "context_changed" not in short


def test_the_progress_of_a_summary_is_streamed(served: Running) -> None:
    wanted = ask(stream=True, context_overflow="compact")
    with served.http.stream("POST", "/v1/chat/completions", json=wanted) as stream:
        chunks = events(stream)
    progress = [chunk["summary_progress"] for chunk in chunks if "summary_progress" in chunk]
    assert progress[0]["written"] == 0
    assert 0 < progress[-1]["written"] <= progress[-1]["longest"]


def test_a_bare_prompt_slides_and_cannot_be_compacted(served: Running) -> None:
    body = {"model": "tiny:t2", "prompt": "word " * 600, "max_tokens": 3}
    slid = served.http.post("/v1/completions", json={**body, "context_overflow": "slide"}).json()
    assert slid["context_changed"][0]["messages_left_out"] == 0
    refused = served.http.post("/v1/completions", json={**body, "context_overflow": "compact"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "context_overflow")


def test_a_wrong_word_is_refused(served: Running) -> None:
    refused = served.http.post("/v1/chat/completions", json=ask(context_overflow="forget"))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "context_overflow")


def test_a_summary_is_counted(served: Running) -> None:
    body = {"model": "tiny:t2", "messages": TALK[-1:]}
    without = served.http.post("/v1/tokenize", json=body).json()["tokens"]
    with_it = served.http.post("/v1/tokenize", json={**body, "context_summary": "They spoke of Rome."}).json()
    assert with_it["tokens"] > without + 10


def test_what_a_context_costs_is_told_without_loading(home: Path) -> None:
    folder = tiny_folder(paths.models() / "llama--t2", "llama", "t2")
    receipt = {"id": "tiny/llama:t2", "source": {"id": "tiny/llama"}, "encoding": "t2"}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    with running() as server:
        plan = server.http.get("/v1/plan", params={"model": "tiny/llama:t2"}).json()
        assert not server.opener.opened
        assert plan["model"] == "tiny/llama:t2"
        assert [one["kv"] for one in plan["formats"]] == list(FORMATS)
        assert plan["auto"] == "f16"
        for one in plan["formats"]:
            assert one["total_bytes"] == plan["weights_bytes"] + plan["workspace_bytes"] + one["kv_bytes"]
            assert one["fits"] == (one["total_bytes"] <= plan["free"] - plan["reserve"])
            assert one["longest_context"] > 0
        sizes = [one["kv_bytes"] for one in plan["formats"]]
        assert sizes[1:] == sorted(sizes[1:], reverse=True)
        assert sizes[-1] < sizes[0]
        half = plan["context"] // 2
        less = server.http.get("/v1/plan", params={"model": "tiny/llama:t2", "context": half}).json()
        assert less["context"] == half
        assert less["formats"][0]["kv_bytes"] < plan["formats"][0]["kv_bytes"]
        for wrong in ("0", "many", "-5"):
            refused = server.http.get("/v1/plan", params={"model": "tiny/llama:t2", "context": wrong})
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "context")
        assert server.http.get("/v1/plan", params={"model": "nobody"}).status_code == 404
