"""The engine child and its client against an engine that dies, stalls, garbles and refuses."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytestqt.qtbot import QtBot

from app.engine import process as engine_process
from app.engine.client import ChatStream, EngineClient, Reply
from app.engine.process import EngineProcess

ENGINE = Path(__file__).with_name("misbehaving_engine.py")
Start = Callable[[str], EngineProcess]


@pytest.fixture
def engine(qtbot: QtBot) -> Iterator[Start]:
    started: list[EngineProcess] = []

    def start(mode: str) -> EngineProcess:
        started.append(EngineProcess(command=(sys.executable, str(ENGINE), mode)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def client(engine: Start) -> EngineClient:
    return EngineClient(engine("good"))


def outcome(qtbot: QtBot, reply: Reply) -> tuple[str, Any]:
    said: list[tuple[str, Any]] = []
    reply.done.connect(lambda value: said.append(("done", value)))
    reply.failed.connect(lambda message: said.append(("failed", message)))
    qtbot.waitUntil(lambda: bool(said), timeout=10_000)
    qtbot.wait(20)
    assert len(said) == 1
    return said[0]


def ask(client: EngineClient, text: str) -> tuple[ChatStream, list[Any]]:
    stream = client.chat("m", [{"role": "user", "content": text}], {})
    said: list[Any] = []
    stream.delta.connect(lambda piece: said.append(("delta", piece)))
    stream.finished.connect(lambda reason, usage, timings: said.append(("finished", reason)))
    stream.failed.connect(lambda message: said.append(("failed", message)))
    return stream, said


def answer(qtbot: QtBot, client: EngineClient, text: str) -> tuple[str, tuple[str, str]]:
    stream, said = ask(client, text)
    qtbot.waitUntil(lambda: not stream.active, timeout=10_000)
    qtbot.wait(20)
    assert [kind for kind, _ in said[:-1]] == ["delta"] * (len(said) - 1)
    assert stream.text == "".join(piece for _, piece in said[:-1])
    return stream.text, said[-1]


def test_calls_wait_for_the_engine_and_start_it(qtbot: QtBot, client: EngineClient) -> None:
    kind, value = outcome(qtbot, client.health())
    assert (kind, value["status"]) == ("done", "ok")


def test_the_token_is_sent_and_a_wrong_one_is_said(qtbot: QtBot, client: EngineClient) -> None:
    outcome(qtbot, client.health())
    client._engine._token = "another"
    assert outcome(qtbot, client.health()) == ("failed", "wrong token")


def test_a_redirect_is_not_followed(qtbot: QtBot, client: EngineClient) -> None:
    assert outcome(qtbot, client.models()) == ("failed", "The engine answered with status 302.")


def test_an_unknown_model(qtbot: QtBot, client: EngineClient) -> None:
    assert outcome(qtbot, client.load("nosuch")) == ("failed", "There is no model nosuch here.")
    assert outcome(qtbot, client.load("html")) == ("failed", "The engine answered with status 502.")
    stream = client.chat("nosuch", [{"role": "user", "content": "split"}], {})
    with qtbot.waitSignal(stream.failed, timeout=10_000) as failed:
        pass
    assert failed.args == ["There is no model nosuch here."]


def test_a_chat_waits_for_the_load_under_way_and_loads_by_itself_otherwise(qtbot: QtBot, client: EngineClient) -> None:
    load = client.load("m", 512)
    assert answer(qtbot, client, "split")[1] == ("finished", "stop")
    assert not load.active
    assert answer(qtbot, client, "split")[1] == ("finished", "stop")
    client.load("m", 512)
    outcome(qtbot, client.load("other"))
    assert outcome(qtbot, client.health())[1]["seen"] == ["load", "chat", "chat", "load", "load"]
    assert client.loaded == {"m": 512, "other": None}


def test_closing_ends_everything(qtbot: QtBot, client: EngineClient) -> None:
    stream, said = ask(client, "endless")
    qtbot.waitUntil(lambda: len(said) > 3, timeout=10_000)
    reply = client.health()
    with qtbot.waitSignal(reply.failed):
        client.shutdown()
    assert not stream.active
    assert said[-1] == ("failed", "The program was closed while this was under way.")


def test_pieces_of_any_size(qtbot: QtBot, client: EngineClient) -> None:
    assert answer(qtbot, client, "split") == ("zwölf 世界 😀!", ("finished", "stop"))


def test_broken_answers(qtbot: QtBot, client: EngineClient) -> None:
    assert answer(qtbot, client, "cut") == ("half", ("failed", ChatStream.lost))
    assert answer(qtbot, client, "garbage") == ("so far", ("failed", "The engine's answer cannot be understood."))
    assert answer(qtbot, client, "trouble") == ("so far", ("failed", "The context is full."))


@pytest.mark.parametrize("behaviour", ["endless", "silent"])
def test_cancel_is_answered_within_100_ms(qtbot: QtBot, client: EngineClient, behaviour: str) -> None:
    stream, said = ask(client, behaviour)
    if behaviour == "endless":
        qtbot.waitUntil(lambda: len(said) > 3, timeout=10_000)
    else:
        qtbot.waitUntil(lambda: stream._reply is not None, timeout=10_000)
        qtbot.wait(100)
    began = time.monotonic()
    stream.cancel()
    qtbot.waitUntil(lambda: not stream.active, timeout=1000)
    assert time.monotonic() - began < 0.1
    assert said[-1] == ("finished", "cancelled")
    count = len(said)
    stream.cancel()
    qtbot.wait(100)
    assert len(said) == count
    if behaviour == "endless":  # the server noticed that nobody listens
        qtbot.waitUntil(lambda: "gone" in outcome(qtbot, client.health())[1]["seen"], timeout=10_000)


def test_cancel_before_the_engine_is_up(qtbot: QtBot, client: EngineClient) -> None:
    stream, said = ask(client, "split")
    stream.cancel()
    qtbot.waitUntil(lambda: not stream.active, timeout=100)
    assert said == [("finished", "cancelled")]
    assert outcome(qtbot, client.health())[1]["seen"] == []


def test_death_while_streaming_restarts_and_the_next_chat_works(qtbot: QtBot, client: EngineClient) -> None:
    engine = client._engine
    assert answer(qtbot, client, "split")[1] == ("finished", "stop")
    first = engine.pid
    with qtbot.waitSignal(engine.restarted, timeout=10_000) as restarted:
        assert answer(qtbot, client, "die") == ("so far", ("failed", ChatStream.lost))
    assert restarted.args == ["The engine stopped unexpectedly and was restarted; the answer so far is kept."]
    assert engine.pid not in (0, first)
    assert client.loaded == {}
    assert answer(qtbot, client, "split")[1] == ("finished", "stop")
    assert client.loaded == {"m": None}


def test_stop_leaves_nothing_running(qtbot: QtBot, engine: Start) -> None:
    one = engine("good")
    states: list[str] = []
    one.state_changed.connect(states.append)
    with qtbot.waitSignal(one.ready, timeout=10_000):
        one.start()
    assert one.url.startswith("http://127.0.0.1:")
    pid = one.pid
    one.stop()
    qtbot.wait(300)
    assert not psutil.pid_exists(pid)
    assert (one.pid, one.url, states) == (0, "", ["starting", "running", "stopped"])


def test_an_engine_that_says_why_is_not_tried_again(qtbot: QtBot, engine: Start) -> None:
    one = engine("explains")
    with qtbot.waitSignal(one.failed, timeout=10_000) as failed:
        one.start()
    assert failed.args == ["The engine cannot be started: The port is taken."]
    assert one.state == "failed"


@pytest.mark.parametrize("mode", ["broken", "short-lived"])
def test_five_deaths_in_a_row_end_it(
    qtbot: QtBot, engine: Start, mode: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_process, "FIRST_PAUSE", 0.01)
    one = engine(mode)
    states: list[str] = []
    one.state_changed.connect(states.append)
    with qtbot.waitSignal(one.failed, timeout=20_000) as failed:
        one.start()
    assert "5 times in a row" in failed.args[0]
    assert states.count("restarting") == 4
    if mode == "broken":
        assert "something is wrong" in failed.args[0]
        assert (home / "logs" / "engine.log").read_text().count("something is wrong") == 5
    states.clear()
    client = EngineClient(one)
    assert outcome(qtbot, client.health())[0] == ("failed" if mode == "broken" else "done")
    assert states[0] == "starting"


def test_no_interpreter(qtbot: QtBot) -> None:
    one = EngineProcess(command=("/no/such/python", "-m", "tzcore.cli"))
    with qtbot.waitSignal(one.failed, timeout=10_000) as failed:
        one.start()
    assert "cannot be started" in failed.args[0]
