"""The library with real children against a hub on loopback: search, a model's page, and its plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.library.inquiry import Inquiry
from app.library.library import HubEntry, Library
from app.library.model_facts import ModelFacts
from app.library.plan import Plan
from app.library.search_filters import SearchFilters
from app.settings.settings import Settings
from tests.unit.hub.hub_server import HubServer, Repo
from tests.unit.hub.model_files import repository_files

PATIENCE = 60_000
CONFIG: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
    "num_key_value_heads": 3, "num_hidden_layers": 30, "vocab_size": 49152, "tie_word_embeddings": True,
    "max_position_embeddings": 8192, "hidden_act": "silu",
}  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        files = repository_files() | {"config.json": json.dumps(CONFIG).encode()}
        server.repos["org/llama-small"] = Repo(
            files, config=CONFIG, licence="mit", safetensors={"parameters": {"F32": 134_515_008}, "total": 134_515_008}
        )
        server.repos["org/llama-mamba"] = Repo({}, config={"model_type": "mamba"})
        yield server


@pytest.fixture
def library(qtbot: QtBot, home: Path) -> Iterator[Library]:
    library = Library(Settings())
    yield library
    library.shutdown()


def answer(qtbot: QtBot, inquiry: Inquiry) -> tuple[list[dict[str, Any]], Any]:
    """What came before the end, and the end."""
    events: list[dict[str, Any]] = []
    inquiry.partial.connect(events.append)
    with qtbot.waitSignal(inquiry.done, timeout=PATIENCE) as done:
        pass
    return events, done.args[0] if done.args else None


def test_search_page_and_plan(qtbot: QtBot, hub: HubServer, library: Library) -> None:
    with qtbot.waitSignal(library.search_finished, timeout=PATIENCE) as found:
        library.search("llama", SearchFilters(supported=True, fitting=True))
    (entry,) = found.args[0] if found.args else ()
    assert isinstance(entry, HubEntry)
    assert (entry.source, entry.licence, entry.supported) == ("org/llama-small", "mit", True)

    _, raw = answer(qtbot, library.show(entry.source))
    facts = ModelFacts.read(raw)
    assert (facts.family, facts.card, facts.context) == ("llama", "# model", 8192)

    events, raw = answer(qtbot, library.plan(entry.source))
    assert [event["event"] for event in events] == ["plan"]
    first, last = Plan.read(events[0], False), Plan.read(raw, True)
    assert [option.key for option in first.options] == [option.key for option in last.options]
    assert last.options[0].conversion_seconds
    outcome = last.outcome(last.usual_option("t2"), last.usual_context())
    assert outcome.tokens_per_second
    assert outcome.need
    assert last.download == sum(
        len(data) for name, data in hub.repos["org/llama-small"].files.items()
        if name.endswith((".safetensors", ".json", ".jinja")) and "/" not in name and name != "config.json"
    )
    assert not any(name.endswith(".safetensors") for name in hub.served)  # not one weight was fetched


def test_refusals_reach_the_window_as_one_sentence(qtbot: QtBot, hub: HubServer, library: Library) -> None:
    with qtbot.waitSignal(library.show("org/nothing").failed, timeout=PATIENCE) as failed:
        pass
    assert failed.args is not None
    assert "there is no model org/nothing on the Hub" in str(failed.args[0])


def test_offline_nothing_is_asked(
    qtbot: QtBot, hub: HubServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ_OFFLINE", "1")
    before = len(hub.log)
    for ask in (library.show, library.plan):
        with qtbot.waitSignal(ask("org/llama-small").failed, timeout=PATIENCE) as failed:
            pass
        assert failed.args is not None
        assert "Offline is switched on in the settings" in str(failed.args[0])
    assert len(hub.log) == before


def test_the_first_run_asks_no_hub(qtbot: QtBot, hub: HubServer, library: Library) -> None:
    _, raw = answer(qtbot, library.plan("starter"))
    plan = Plan.read(raw, True)
    assert plan.options[plan.usual_option("t2")].conversion_seconds
    assert plan.contexts
    _, doctor = answer(qtbot, library.doctor())
    assert "processor" in {finding["subject"] for finding in doctor["findings"]}
    assert hub.log == []


def test_an_answer_that_does_not_come(qtbot: QtBot, home: Path) -> None:
    inquiry = Inquiry(["-c", "import time; time.sleep(60)"], ("python3",), timeout=0.3)
    with qtbot.waitSignal(inquiry.failed, timeout=PATIENCE) as failed:
        inquiry.start()
    assert failed.args is not None
    assert "no answer in time" in str(failed.args[0])
