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
    assert 12 <= len(entries) <= 20
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        assert parse(entry.id).id == entry.id
        assert entry.family in SUPPORTED
        assert entry.download_bytes < 3 * entry.parameters
        assert entry.context >= 2048
        assert 20 < len(entry.about) < 120
        assert "\n" not in entry.about
    assert entries[0].id == "starter"
    assert [e.parameters for e in entries] == sorted(e.parameters for e in entries)


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
