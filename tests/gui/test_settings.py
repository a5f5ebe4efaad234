"""Settings: declared once, checked, kept on disk, never lost to a damaged file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings.settings import SETTINGS, Settings
from tzcore.errors import StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deeper" / "settings.json"


def test_every_default_is_valid_and_every_key_is_declared_once() -> None:
    assert len({setting.key for setting in SETTINGS}) == len(SETTINGS)
    for setting in SETTINGS:
        assert setting.check(setting.default) == setting.default


def test_values_survive_and_only_differences_are_stored(file: Path) -> None:
    settings = Settings(file)
    seen: list[str] = []
    settings.changed.connect(seen.append)
    settings.set("temperature", 0.25)
    settings.set("theme", "dark")
    settings.set("theme", "dark")
    settings.set("max_tokens", 512)
    settings.reset("max_tokens")
    assert seen == ["temperature", "theme", "max_tokens", "max_tokens"]
    assert json.loads(file.read_text()) == {"temperature": 0.25, "theme": "dark"}
    again = Settings(file)
    assert again.get("temperature") == 0.25
    assert again.get("max_tokens") is None
    assert "max_tokens" not in again.sampling()


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", 3.0), ("temperature", "hot"), ("temperature", float("nan")), ("theme", "pink"),
     ("threads", 0), ("threads", True), ("theme", None), ("top_k", 1.5)],
)
def test_wrong_values_are_refused(file: Path, key: str, value: object) -> None:
    settings = Settings(file)
    before = settings.get(key)
    with pytest.raises(ValueError, match=r"Temperature|Appearance|threads|Top-k"):
        settings.set(key, value)  # type: ignore[arg-type]
    assert settings.get(key) == before
    with pytest.raises(KeyError):
        settings.get("no such key")


def test_a_damaged_file_is_set_aside(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"theme": "da')
    settings = Settings(file)
    assert settings.get("theme") == "system"
    assert file.with_name("settings.json.broken").read_text() == '{"theme": "da'
    settings.set("theme", "light")
    assert Settings(file).get("theme") == "light"


def test_single_bad_values_are_ignored_and_the_rest_holds(file: Path) -> None:
    file.parent.mkdir()
    file.write_text(json.dumps({"theme": "dark", "temperature": "hot", "threads": -4, "from_the_future": 1}))
    settings = Settings(file)
    assert settings.get("theme") == "dark"
    assert settings.get("temperature") is None
    assert settings.get("threads") is None


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(tmp_path / "file" / "settings.json")
    with pytest.raises(StorageError, match="cannot be saved"):
        settings.set("theme", "dark")
