"""Streams that meet trouble: clients that leave, queues, shutdown, templates that loop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.serve.running_server import Running, install, running
from tzcore.engine import template
from tzcore.serve import generation_response, pool

LONG = [{"role": "user", "content": "word " * 300}]
SHORT = [{"role": "user", "content": "Hello"}]


PLAIN = {"repetition_penalty": 1, "dry_multiplier": 0}
"""What is asked of a scripted model that repeats itself."""


def body(messages: list[dict[str, str]] = SHORT, **more: Any) -> dict[str, Any]:
    return {"model": "tiny:t2", "messages": messages, "stream": True, **more}


def lines(response: httpx.Response) -> Iterator[str]:
    return (line for line in response.iter_lines() if line)


def events(response: httpx.Response) -> list[dict[str, Any]]:
    found = [line.removeprefix("data: ") for line in lines(response) if not line.startswith(":")]
    assert found[-1] == "[DONE]"
    return [json.loads(line) for line in found[:-1]]


def wait_until_idle(server: Running, seconds: float) -> float:
    """Seconds until no request is running or waiting; fails after ``seconds``."""
    began = time.monotonic()
    while any(hosted.jobs for hosted in server.pool.hosted):
        assert time.monotonic() - began < seconds
        time.sleep(0.002)
    return time.monotonic() - began


@pytest.fixture
def slow(home: Path) -> Iterator[Running]:
    """10 ms a token, and an answer that goes on to the end of the context."""
    install()
    with running(lambda _: ScriptedModel([70, 71], seconds_per_token=0.01)) as made:
        made.http.post("/v1/load", json={"model": "tiny:t2"}).raise_for_status()
        yield made


def test_a_client_that_leaves_ends_the_work(slow: Running) -> None:
    for _ in range(3):
        with slow.http.stream("POST", "/v1/chat/completions", json=body()) as response:
            for line in lines(response):
                if '"content": "' in line and '"content": ""' not in line:
                    break
        assert wait_until_idle(slow, 5) < 0.1
        calls = len(slow.model.calls)
        time.sleep(0.1)
        assert len(slow.model.calls) == calls


def test_a_client_that_leaves_while_its_prompt_is_read(slow: Running) -> None:
    slow.model.seconds_per_token = 0.003
    with slow.http.stream("POST", "/v1/chat/completions", json=body(LONG)) as response:
        for line in lines(response):
            if '"processed": 0' not in line and "prompt_progress" in line:
                break
    assert wait_until_idle(slow, 5) < 0.1  # a chunk of 16 tokens takes 0.05 s
    assert sum(slow.model.calls) < 150


def test_a_client_that_leaves_without_a_stream(slow: Running) -> None:
    with pytest.raises(httpx.ReadTimeout):
        slow.http.post("/v1/chat/completions", json={**body(), "stream": False}, timeout=0.4)
    assert wait_until_idle(slow, 5) < 0.15


def test_a_client_that_leaves_the_queue(slow: Running) -> None:
    with slow.http.stream("POST", "/v1/chat/completions", json=body()) as response:
        first = lines(response)
        next(first)
        with pytest.raises(httpx.ReadTimeout):
            slow.http.post("/v1/chat/completions", json={**body(), "stream": False}, timeout=0.3)
        assert next(first)  # the first one goes on
    wait_until_idle(slow, 5)


def test_two_streams_take_turns_and_the_second_is_kept_alive(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation_response, "KEEP_ALIVE", 0.1)

    def ask(delay: float) -> tuple[float, float, list[str]]:
        time.sleep(delay)
        with slow.http.stream("POST", "/v1/chat/completions", json=body(max_tokens=60, **PLAIN)) as response:
            got = list(lines(response))
        return delay, time.monotonic(), got

    with ThreadPoolExecutor(2) as threads:
        (_, first_end, first), (_, second_end, second) = threads.map(ask, [0.0, 0.2])
    assert first_end < second_end
    assert first[0].startswith("data: ")
    assert second[:5] == [": waiting"] * 5
    texts = []
    for got in (first, second):
        chunks = [json.loads(line[6:]) for line in got if line.startswith("data: {")]
        texts.append("".join(c["choices"][0]["delta"].get("content", "") for c in chunks))
        assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert texts[0] == texts[1] != ""


def test_requests_are_served_in_order(slow: Running) -> None:
    ended: list[int] = []

    def ask(number: int) -> None:
        time.sleep(0.1 * number)
        slow.http.post("/v1/chat/completions", json=body(max_tokens=30, stream=False)).raise_for_status()
        ended.append(number)

    with ThreadPoolExecutor(5) as threads:
        list(threads.map(ask, range(5)))
    assert ended == list(range(5))


def test_a_full_queue_says_so(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_WAITING", 2)
    with ThreadPoolExecutor(2) as threads:
        waiting = [
            threads.submit(slow.http.post, "/v1/chat/completions", json=body(max_tokens=50, stream=False))
            for _ in range(2)
        ]
        time.sleep(0.3)
        refused = slow.http.post("/v1/chat/completions", json=body())
        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "queue_full"
        assert [w.result().status_code for w in waiting] == [200, 200]


def test_unloading_a_model_in_use(slow: Running) -> None:
    with slow.http.stream("POST", "/v1/chat/completions", json=body()) as response:
        iterator = lines(response)
        next(iterator)
        refused = slow.http.post("/v1/unload", json={"model": "tiny:t2"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_busy")
        changed = slow.http.post("/v1/load", json={"model": "tiny:t2", "context": 512})
        assert changed.status_code == 409
        assert slow.http.post("/v1/unload", json={"model": "tiny:t2", "force": True}).status_code == 200
        rest = list(iterator)
    assert json.loads(rest[-2][6:])["error"]["message"] == "The model was unloaded"
    assert rest[-1] == "data: [DONE]"
    assert slow.model.closed
    again = slow.http.post("/v1/unload", json={"model": "tiny:t2"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_loaded")


def test_shutdown_ends_running_answers(home: Path) -> None:
    install()
    got: list[str] = []
    began = threading.Event()
    with running(lambda _: ScriptedModel([70, 71], seconds_per_token=0.01)) as server:

        def read() -> None:
            with httpx.stream(
                "POST", f"{server.url}/v1/chat/completions", json=body(), headers=dict(server.http.headers), timeout=20
            ) as response:
                for line in lines(response):
                    got.append(line)
                    began.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert began.wait(10)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 3
    reader.join(5)
    assert "shutting down" in json.loads(got[-2][6:])["error"]["message"]


def test_a_template_that_loops(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "SECONDS", 1.0)
    install(template="{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
    with running() as server:
        loaded = server.http.post("/v1/load", json={"model": "tiny:t2"}).json()
        assert "longer than 1 seconds" in loaded["notices"][0]
        for stream in (True, False):
            response = server.http.post("/v1/chat/completions", json=body(stream=stream))
            assert response.status_code == 400
            assert response.json()["error"]["code"] == "chat_template_failed"
        bare = server.http.post("/v1/completions", json={"model": "tiny:t2", "prompt": "Hello", "max_tokens": 2})
        assert bare.status_code == 200


def test_an_error_in_mid_stream_is_an_event(slow: Running) -> None:
    slow.model.fail_at = len(slow.model.calls) + 6
    with slow.http.stream("POST", "/v1/chat/completions", json=body()) as response:
        assert response.status_code == 200
        found = events(response)
    assert found[-1]["error"]["code"] == "backend_failed"
    assert any(e.get("choices", [{}])[0].get("delta", {}).get("content") for e in found)
    with slow.http.stream("POST", "/v1/chat/completions", json=body(max_tokens=2)) as response:
        assert events(response)[-1]["choices"][0]["finish_reason"] == "length"


def test_a_bug_is_an_internal_error_without_its_details(slow: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(slow.model, "forward", broken)
    for stream in (True, False):
        response = slow.http.post("/v1/chat/completions", json=body(stream=stream))
        text = response.read().decode()
        assert "secret" not in text
        assert "internal_error" in text
