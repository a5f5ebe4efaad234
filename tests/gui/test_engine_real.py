"""The real ``tz serve`` as the window's child, on a tiny model: load, count, stream, stop, kill −9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pytestqt.qtbot import QtBot

from app.engine.client import ChatStream, EngineClient, Reply
from app.engine.process import RESTARTED, EngineProcess
from tests.tiny_models import tiny_folder

MODEL = "tiny:t2"
PROMPT = [{"role": "user", "content": "Tell me a long story about a fox."}]
LONG = {"temperature": 1.5, "max_tokens": 100_000, "seed": 1}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("tiny") / "model", "llama", "t2", "i8")


@pytest.fixture
def installed(converted: Path, home: Path) -> Path:
    """The tiny model among the installed ones, as ``tz convert`` leaves it."""
    folder = home / "models" / "tiny--t2"
    folder.mkdir(parents=True)
    for file in converted.iterdir():
        if file.name != "receipt.json":
            (folder / file.name).hardlink_to(file)
    receipt = {**json.loads((converted / "receipt.json").read_text()), "id": MODEL, "encoding": "t2"}
    receipt["source"] = {"id": "tiny"}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    return folder


@pytest.fixture
def client(qtbot: QtBot, installed: Path) -> Iterator[EngineClient]:
    engine = EngineProcess(threads=1)
    client = EngineClient(engine)
    yield client
    client.shutdown()
    engine.stop()


def outcome(qtbot: QtBot, reply: Reply) -> Any:
    said: list[Any] = []
    reply.done.connect(said.append)
    reply.failed.connect(lambda message: said.append(AssertionError(message)))
    qtbot.waitUntil(lambda: bool(said), timeout=30_000)
    if isinstance(said[0], AssertionError):
        raise said[0]
    return said[0]


def wait_for(qtbot: QtBot, condition: Callable[[], bool]) -> None:
    qtbot.waitUntil(condition, timeout=30_000)


def streaming(qtbot: QtBot, client: EngineClient) -> ChatStream:
    stream = client.chat(MODEL, PROMPT, LONG)
    stream.failed.connect(lambda message: None)
    wait_for(qtbot, lambda: len(stream.text) > 20)
    return stream


def test_load_count_and_chat(qtbot: QtBot, client: EngineClient) -> None:
    load = client.load(MODEL, 512)
    phases: list[str] = []
    load.progress.connect(lambda event: phases.append(event["phase"]))
    loaded = outcome(qtbot, load)
    assert (loaded["model"], loaded["context"]) == (MODEL, 512)
    assert set(phases) <= {"load"}
    assert [model["loaded"] for model in outcome(qtbot, client.models())["data"]] == [True]
    count = outcome(qtbot, client.count_tokens(MODEL, PROMPT))

    stream = client.chat(MODEL, PROMPT, {"temperature": 0, "max_tokens": 8})
    read: list[tuple[int, int]] = []
    stream.progress.connect(lambda done, total, left: read.append((done, total)))
    with qtbot.waitSignal(stream.finished, timeout=30_000) as finished:
        pass
    reason, usage, timings = finished.args
    assert reason in ("stop", "length")
    assert usage["prompt_tokens"] == count == read[-1][1] == read[-1][0]
    assert 1 <= usage["completion_tokens"] <= 8
    assert timings["first_token_seconds"] > 0
    assert timings["tokens_per_second"] > 0
    again = client.chat(MODEL, PROMPT, {"temperature": 0, "max_tokens": 8})
    with qtbot.waitSignal(again.finished, timeout=30_000):
        pass
    assert again.text == stream.text != ""
    assert outcome(qtbot, client.unload(MODEL))["model"] == MODEL
    assert client.loaded == {}


def test_stop_in_100_ms_and_the_engine_stops_computing(qtbot: QtBot, client: EngineClient) -> None:
    stream = streaming(qtbot, client)
    began = time.monotonic()
    stream.cancel()
    with qtbot.waitSignal(stream.finished, timeout=1000) as finished:
        pass
    assert time.monotonic() - began < 0.1
    assert finished.args[0] == "cancelled"
    text = stream.text

    def idle() -> bool:
        return not any(model["busy"] for model in outcome(qtbot, client.health())["models"])

    wait_for(qtbot, idle)
    assert stream.text == text


def test_kill_9_while_it_streams(qtbot: QtBot, client: EngineClient) -> None:
    stream = streaming(qtbot, client)
    engine = client._engine
    pid = engine.pid
    with qtbot.waitSignals([engine.restarted, stream.failed], timeout=30_000):
        psutil.Process(pid).kill()
    assert stream.text
    assert not stream.active
    assert engine.pid not in (0, pid)
    with qtbot.waitSignal(client.chat(MODEL, PROMPT, {"max_tokens": 4}).finished, timeout=30_000) as finished:
        pass
    assert finished.args[1]["completion_tokens"] >= 1


def test_what_the_window_says_then(qtbot: QtBot, client: EngineClient) -> None:
    stream = streaming(qtbot, client)
    said: list[str] = []
    stream.failed.connect(said.append)
    client._engine.restarted.connect(said.append)
    psutil.Process(client._engine.pid).kill()
    wait_for(qtbot, lambda: len(said) == 2)
    assert said == [ChatStream.lost, RESTARTED]


def test_unknown_model_and_full_context_are_one_sentence(qtbot: QtBot, client: EngineClient) -> None:
    with qtbot.waitSignal(client.load("nosuch").failed, timeout=30_000) as failed:
        pass
    assert "nosuch" in failed.args[0]
    outcome(qtbot, client.load(MODEL, 64))
    long = [{"role": "user", "content": "word " * 500}]
    with qtbot.waitSignal(client.chat(MODEL, long, {}).failed, timeout=30_000) as full:
        pass
    assert "context" in full.args[0].lower()
    assert "\n" not in full.args[0]


def test_the_token_is_on_no_command_line(qtbot: QtBot, client: EngineClient) -> None:
    outcome(qtbot, client.health())
    token = client._engine.token
    assert len(token) > 20
    assert token not in " ".join(psutil.Process(client._engine.pid).cmdline())


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_the_engine_dies_with_a_killed_window(qtbot: QtBot, installed: Path) -> None:
    script = (
        "from PySide6.QtCore import QCoreApplication; from app.engine.process import EngineProcess\n"
        "a = QCoreApplication([]); e = EngineProcess(); e.ready.connect(lambda _: print(e.pid, flush=True))\n"
        "e.start(); a.exec()\n"
    )
    window = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert window.stdout is not None
        engine = psutil.Process(int(window.stdout.readline()))
    finally:
        window.send_signal(signal.SIGKILL)
        window.communicate()
    assert engine.wait(10) in (None, 0)
