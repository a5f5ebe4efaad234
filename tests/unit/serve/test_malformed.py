"""Requests that no client should send: each is one clear error object, and the server lives on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.serve.running_server import TOKEN, Running, install, running

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ_HOME", str(tmp_path_factory.mktemp("home")))
        install()
        with running(lambda _: ScriptedModel([70, 71])) as made:
            yield made


@pytest.fixture(autouse=True)
def _same_home(server: Running, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (home / "models").exists():
        monkeypatch.setenv("TZ_HOME", str(home))
        install()


def error_of(response: httpx.Response) -> dict[str, Any]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert "\n" not in error["message"]
    assert len(error["message"]) < 600
    return dict(error)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"model": NaN}',
        b'{"temperature": Infinity}',
        b'{"seed": ' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
    ],
)
def test_bad_json(server: Running, content: bytes) -> None:
    response = server.http.post("/v1/chat/completions", content=content)
    assert response.status_code == 400
    assert "JSON" in error_of(response)["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", None),
        ("messages", []),
        ("messages", "hi"),
        ("messages", [3]),
        ("messages", [{"role": "user"}]),
        ("messages", [{"role": "wizard", "content": "x"}]),
        ("messages", [{"content": "x"}]),
        ("messages", [{"role": "user", "content": 3}]),
        ("messages", [{"role": "user", "content": [{"type": "text"}]}]),
        ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]),
        ("messages", [{"role": "user", "content": ["x"]}]),
        ("messages", [{"role": "tool", "content": "x"}]),
        ("messages", [{"role": "assistant", "tool_calls": [{"id": "x"}]}]),
        ("model", 3),
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", -1),
        ("temperature", 1e300),
        ("temperature", 10**400),
        ("top_p", 2),
        ("top_k", 1.5),
        ("top_k", -1),
        ("top_k", 10**30),
        ("min_p", -0.5),
        ("repetition_penalty", 0),
        ("presence_penalty", 1e9),
        ("frequency_penalty", []),
        ("seed", 10**30),
        ("seed", "x"),
        ("max_tokens", 0),
        ("max_tokens", -5),
        ("max_tokens", 1.5),
        ("max_tokens", "many"),
        ("max_completion_tokens", 0),
        ("stop", 3),
        ("stop", [""]),
        ("stop", ""),
        ("stop", [["x"]]),
        ("stop", ["x"] * 17),
        ("stream", "yes"),
        ("stream_options", []),
        ("n", 2),
        ("n", 0),
        ("logprobs", True),
        ("top_logprobs", 3),
        ("tools", [{"type": "function"}]),
        ("functions", [{}]),
        ("response_format", {"type": "json_object"}),
        ("logit_bias", {"50": 1}),
        ("modalities", ["text", "audio"]),
        ("chat_template_kwargs", []),
    ],
)
def test_bad_fields_are_named(server: Running, field: str, value: object) -> None:
    body = {"model": "tiny:t2", "messages": HELLO, field: value}
    response = server.http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    error = error_of(response)
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).split("[")[0] == field


@pytest.mark.parametrize(
    "extra",
    [
        {"prompt": None},
        {"prompt": []},
        {"prompt": ""},
        {"prompt": ["a", "b"]},
        {"prompt": [1, "a"]},
        {"prompt": [True]},
        {"prompt": [-1]},
        {"prompt": [10**9]},
        {"prompt": "x", "echo": True},
        {"prompt": "x", "suffix": "y"},
        {"prompt": "x", "best_of": 3},
        {"prompt": "x", "logprobs": 1},
        {"prompt": "a\ud800"},
    ],
)
def test_bad_bare_completions(server: Running, extra: dict[str, Any]) -> None:
    response = server.http.post("/v1/completions", content=json.dumps({"model": "tiny:t2", **extra}))
    assert response.status_code == 400
    error_of(response)


@pytest.mark.parametrize("name", ["gpt-4o", "../../etc", "/etc", "~", "tiny:t3", "x" * 10_000, "a\nb", "a\0b"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/load", "/v1/unload", "/v1/tokenize"])
def test_unknown_models(server: Running, name: str, path: str) -> None:
    response = server.http.post(path, json={"model": name, "messages": HELLO})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "model_not_found"


def test_a_folder_outside_the_library_cannot_be_opened(server: Running, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    install().rename(folder)
    install()
    for path in ("/v1/load", "/v1/chat/completions", "/v1/tokenize"):
        assert server.http.post(path, json={"model": str(folder), "messages": HELLO}).status_code == 404


def test_a_missing_model_needs_one_that_is_loaded(server: Running) -> None:
    server.http.post("/v1/load", json={"model": "tiny:t2"}).raise_for_status()
    body = {"messages": HELLO, "max_tokens": 2}
    assert server.http.post("/v1/chat/completions", json=body).json()["model"] == "tiny:t2"
    server.http.post("/v1/unload", json={"model": "tiny:t2"}).raise_for_status()
    response = server.http.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert error_of(response)["code"] == "model_missing"


@pytest.mark.parametrize("given", [None, "Bearer wrong", TOKEN, f"Basic {TOKEN}", b"Bearer \xff\xfe", "Bearer"])
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/nothing"])
def test_no_token_no_answer(server: Running, given: Any, path: str) -> None:
    headers = {} if given is None else {"Authorization": given}
    response = httpx.get(server.url + path, headers=headers)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "192.168.1.1", "", "[::1", "a:b:c"]
)
def test_rebound_names_are_refused(server: Running, host: str) -> None:
    response = server.http.get("/health", headers={"Host": host})
    assert response.status_code in (400, 403)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "127.9.9.9:80", "[::1]:80", "[::1]", "app.localhost:1"]
)
def test_own_names_are_accepted(server: Running, host: str) -> None:
    assert server.http.get("/health", headers={"Host": host}).status_code == 200


def test_pages_of_others_are_refused(server: Running) -> None:
    for origin in ("https://evil.example", "null", "file://", f"http://127.0.0.1:{server.port + 1}"):
        response = server.http.get("/health", headers={"Origin": origin})
        assert response.status_code == 403
        assert "access-control-allow-origin" not in response.headers
    assert server.http.get("/health", headers={"Origin": server.url}).status_code == 200


def test_unknown_urls_and_methods(server: Running) -> None:
    assert error_of(server.http.get("/nothing"))["code"] == "unknown_url"
    assert server.http.get("/nothing").status_code == 404
    assert server.http.get("/v1/chat/completions").status_code == 405
    error_of(server.http.delete("/v1/models"))


def test_an_endless_body_is_cut_off(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        head = f"POST /v1/load HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        raw.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        sent = 0
        try:
            for _ in range(200):
                raw.sendall(chunk)
                sent += 1
        except OSError:
            pass
        assert sent < 200 or b" 413 " in raw.recv(100)


def test_after_all_that_it_still_answers(server: Running) -> None:
    body = {"model": "tiny:t2", "messages": HELLO, "max_tokens": 2}
    assert server.http.post("/v1/chat/completions", json=body).status_code == 200
