"""A conversation that is forgotten leaves nothing behind, in memory or on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.serve.running_server import Running, install, running
from tzcore import paths
from tzcore.engine.prompt import SUMMARY
from tzcore.engine.snapshots import Snapshots

ASKED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "a long story " * 40}]
OTHER = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "another story " * 40}]


@pytest.fixture
def server(home: Path) -> Iterator[Running]:
    install("one")
    with running() as made:
        made.opener.snapshots = Snapshots()
        yield made


def cached(server: Running, messages: list[dict[str, str]]) -> int:
    asked = {"model": "one", "messages": messages, "max_tokens": 3, "temperature": 0}
    answer = server.http.post("/v1/chat/completions", json=asked).json()
    assert answer["usage"]["prompt_tokens"] > 256
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


def wait_for(pieces: int) -> None:
    """Until so many are on the disk: they are written behind the answer, and what is not there is not counted."""
    end = time.monotonic() + 20
    while len(list(paths.contexts().glob("*/*.kv"))) < pieces:
        assert time.monotonic() < end
        time.sleep(0.02)


def forget(server: Running, messages: list[dict[str, str]], summary: str | None = None) -> int:
    body = {"model": "one", "messages": messages, "context_summary": summary}
    answer = server.http.post("/v1/forget", json=body).json()
    assert answer["model"] == "one:t2"
    return int(answer["pieces"])


def test_it_is_gone_and_others_are_not(server: Running) -> None:
    assert cached(server, ASKED) == 0
    longer = [*ASKED, {"role": "assistant", "content": "Well."}, {"role": "user", "content": "And then?"}]
    assert cached(server, longer) > 256
    wait_for(2)
    common = cached(server, OTHER)
    assert common < 100
    wait_for(4)
    assert forget(server, longer) >= 2
    assert cached(server, ASKED) == common
    wait_for(4)
    assert forget(server, ASKED) >= 2
    assert forget(server, ASKED) == 0
    assert cached(server, OTHER) > 256


def test_models_that_are_not_loaded_forget_too(server: Running) -> None:
    cached(server, ASKED)
    cached(server, OTHER)
    server.http.post("/v1/unload", json={"model": "one"})
    before = len(list(paths.contexts().glob("*/*.kv")))
    assert forget(server, ASKED) == before - len(list(paths.contexts().glob("*/*.kv"))) >= 2
    assert server.http.get("/health").json()["models"] == []
    assert cached(server, ASKED) < 256
    assert cached(server, OTHER) > 256
    assert forget(server, [{"role": "user", "content": "never said"}]) == 0


def test_what_was_read_with_a_summary_or_without_the_beginning(server: Running) -> None:
    later = [*ASKED, {"role": "assistant", "content": "Well."}, *OTHER[1:]]
    summed_up = {"role": "system", "content": f"Be kind.\n\n{SUMMARY}\nIt was long."}
    cached(server, [summed_up, *OTHER[1:]])
    assert forget(server, later) == 0
    assert forget(server, later, "It was long.") >= 2
    cached(server, OTHER)  # what is left when the first question has slid out
    assert forget(server, later) >= 2


def test_what_cannot_be_forgotten_says_why(server: Running) -> None:
    for body, status in (({"model": "one"}, 400), ({"model": "one", "messages": []}, 400)):
        assert server.http.post("/v1/forget", json=body).status_code == status
    assert server.http.post("/v1/forget", json={"model": "two", "messages": ASKED}).status_code == 404
