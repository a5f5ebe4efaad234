"""The address for other programs: opened and closed by the window alone, watched, its contents in no list."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openai import AuthenticationError, NotFoundError, OpenAI
from starlette.types import Message, Receive, Scope, Send

from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.serve.running_server import Running, install, running
from tzcore.serve.activity import Activity, Watched
from tzcore.serve.address import AddressError, _why

TOKEN = "for-other-programs"


@pytest.fixture
def window(home: Path) -> Iterator[Running]:
    install("tiny")
    with running(lambda _: ScriptedModel(), window=True) as made:
        yield made


def listen(window: Running, **fields: Any) -> Any:
    return window.http.post("/v1/admin/listen", json={"port": 0, "token": TOKEN, **fields})


def client_of(opened: dict[str, Any], token: str = TOKEN) -> OpenAI:
    return OpenAI(base_url=opened["url"] + "/v1", api_key=token, max_retries=0, timeout=20)


def test_another_program_gets_answers_from_the_models_in_memory(window: Running) -> None:
    window.http.post("/v1/load", json={"model": "tiny:t2"}).raise_for_status()
    opened = listen(window).json()["listening"]
    assert opened["host"] == "127.0.0.1"
    with client_of(opened) as client:
        assert [model.id for model in client.models.list()] == ["tiny:t2"]
        said = [{"role": "user", "content": "a secret question"}]
        answer = client.chat.completions.create(model="tiny:t2", messages=said, max_tokens=5)  # type: ignore[call-overload]
        assert answer.usage.completion_tokens == 5
        stream = client.chat.completions.create(model="tiny:t2", messages=said, max_tokens=5, stream=True)  # type: ignore[call-overload]
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] == "length"
        client.models.list()  # the connection of a stream may be closed at its end
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            seen = window.http.get("/v1/admin/activity").json()
            if all(connection["process"] for connection in seen["connections"]):
                break
            time.sleep(0.05)
    assert len(window.opener.opened) == 1  # the same model
    _, streamed, whole, listed = seen["requests"]
    assert (listed["route"], listed["status"]) == ("/v1/models", 200)
    for request in (streamed, whole):
        assert (request["model"], request["status"], request["tokens"]) == ("tiny:t2", 200, 5)
        assert request["prompt_tokens"] > 0
        assert request["tokens_per_second"] > 0
        assert not request["running"]
    assert "secret question" not in str(seen)
    (connection,) = seen["connections"]
    assert connection["requests"] > 0
    assert connection["process"] == psutil.Process().name()


def test_the_token_is_asked_for_and_the_window_s_routes_are_not_there(window: Running) -> None:
    opened = listen(window).json()["listening"]
    with client_of(opened, "wrong") as client, pytest.raises(AuthenticationError):
        client.models.list()
    with client_of(opened, "a-token-for-tests") as client, pytest.raises(AuthenticationError):
        client.models.list()
    with httpx.Client(base_url=opened["url"], headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        for route in ("/v1/load", "/v1/unload", "/v1/forget", "/v1/admin/listen"):
            assert client.post(route, json={}).status_code == 404
        assert client.get("/v1/admin/activity").status_code == 404
    assert httpx.get(window.url + "/v1/admin/activity").status_code == 401


def test_without_the_window_there_are_no_such_routes(home: Path) -> None:
    with running() as server:
        assert server.http.get("/v1/admin/activity").status_code == 404


def test_no_token_only_for_this_machine(window: Running) -> None:
    opened = listen(window, token=None).json()["listening"]
    assert httpx.get(opened["url"] + "/v1/models").status_code == 200
    refused = listen(window, host="0.0.0.0", token=None)
    assert refused.status_code == 400
    assert "needs a token" in refused.json()["error"]["message"]
    open_to_all = listen(window, host="0.0.0.0").json()["listening"]
    assert open_to_all["url"].startswith("http://127.0.0.1:")
    assert httpx.get(open_to_all["url"] + "/v1/models").status_code == 401


def test_a_port_in_use_is_said_and_the_old_address_stays(window: Running) -> None:
    opened = listen(window).json()["listening"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = listen(window, port=taken.getsockname()[1])
    assert refused.status_code == 409
    message = refused.json()["error"]["message"]
    assert "is in use by another program" in message
    assert "--port" not in message
    assert httpx.get(opened["url"] + "/health", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    again = listen(window, port=opened["port"]).json()["listening"]
    assert again["port"] == opened["port"]
    assert listen(window, port=70_000).status_code == 409


def test_ports_of_the_system_are_said_to_be_that() -> None:
    error = AddressError(*_why("127.0.0.1", 80, OSError(errno.EACCES, "Permission denied")))
    assert "from 1024 on" in error.reason
    assert "--port" in str(error)


def test_closing_ends_what_runs_and_frees_the_port(window: Running) -> None:
    opened = listen(window).json()["listening"]
    ended = threading.Event()

    def ask() -> None:
        with client_of(opened) as client:
            try:
                said = [{"role": "user", "content": "x"}]
                for _ in client.chat.completions.create(model="tiny:t2", messages=said, stream=True):  # type: ignore[call-overload]
                    pass
            except Exception:  # cut off, as it should be, or at its end before
                pass
        ended.set()

    threading.Thread(target=ask).start()
    deadline = time.monotonic() + 10
    while not window.http.get("/v1/admin/activity").json()["requests"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert window.http.post("/v1/admin/listen", json={"stop": True}).json() == {"listening": None}
    assert ended.wait(10)
    with socket.create_server(("127.0.0.1", opened["port"])):
        pass
    assert window.http.get("/v1/admin/activity").json()["listening"] is None


def test_an_unknown_model_is_in_the_list_with_its_status(window: Running) -> None:
    opened = listen(window).json()["listening"]
    with client_of(opened) as client, pytest.raises(NotFoundError):
        client.chat.completions.create(model="nosuch", messages=[{"role": "user", "content": "x"}])
    (request,) = window.http.get("/v1/admin/activity").json()["requests"]
    assert (request["status"], request["running"]) == (404, False)


def test_a_request_has_ended_before_its_last_byte_is_sent() -> None:
    activity = Activity()
    seen: list[tuple[str, bool]] = []

    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async def send(message: Message) -> None:
        (request,) = activity.form([])["requests"]
        seen.append((str(message.get("body", b"")), request["running"]))

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    scope = {"type": "http", "method": "GET", "path": "/v1/models", "client": ("127.0.0.1", 1)}
    asyncio.run(Watched(answer, activity)(scope, receive, send))
    assert [running for _, running in seen] == [True, True, False]
