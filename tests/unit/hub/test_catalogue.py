"""The shipped catalogue: sound entries of families we run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tzcore import paths
from tzcore.errors import SourceError
from tzcore.hub import catalogue
from tzcore.hub.reference import parse


def test_entries_are_sound() -> None:
    from tzcore.architecture.registry import SUPPORTED

    entries = catalogue.load()
    assert 20 <= len(entries) <= 40
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        assert parse(entry.id).id == entry.id
        assert entry.family in SUPPORTED
        assert entry.download_bytes < 3 * entry.parameters
        assert entry.context >= 2048
        assert 20 < len(entry.about) < 120
        assert "\n" not in entry.about
        assert entry.kinds
        assert set(entry.kinds) <= {"laptop", "24 GB card"}
        assert entry.gated == (entry.licence == "gemma" or entry.licence.startswith("llama"))
    assert entries[0].id == "starter"
    assert [e.parameters for e in entries] == sorted(e.parameters for e in entries)


def test_natively_ternary_ones_are_downloads_of_packed_codes() -> None:
    native = [entry for entry in catalogue.load() if entry.native]
    assert len(native) >= 5
    packed = [entry for entry in native if "Unpacked" not in entry.id]
    assert all(entry.download_bytes < entry.parameters for entry in packed)


def test_the_starter_can_be_planned_before_it_is_fetched() -> None:
    from tzcore.cli.plan import shape_of
    from tzcore.quant.settings import parameters

    starter = catalogue.find("starter")
    assert starter is not None
    assert starter.config is not None
    spec = shape_of(starter.config)
    assert spec is not None
    assert parameters(spec) == pytest.approx(starter.parameters, rel=1e-3)


def test_its_figures_are_marked_approximate() -> None:
    raw = json.loads((paths.resources() / "catalogue.json").read_text(encoding="utf-8"))
    assert "approximate" in raw["note"]


def test_nearest() -> None:
    assert catalogue.nearest("Qwen/Qwen3-4b")[0] == "Qwen/Qwen3-4B"
    assert catalogue.nearest("zzzz/qqqq") == []


def test_a_damaged_catalogue_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "resources", lambda: tmp_path)
    (tmp_path / "catalogue.json").write_text('{"models": [{"id": "x"}]}')
    catalogue.load.cache_clear()
    with pytest.raises(SourceError, match=r"catalogue\.json is damaged"):
        catalogue.load()
    catalogue.load.cache_clear()
