"""What is measured is kept, corrects the next estimate, and never stops anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.library import measured


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TZ_HOME", str(tmp_path))
    return tmp_path


def test_the_median_of_the_latest_counts() -> None:
    for taken in (100, 900, 120):
        measured.record_load("starter:t2", 100, taken)
    assert measured.excess("starter:t2") == 20
    for pace in (10.0, 30.0, 20.0):
        measured.record_speed("starter:t2", pace, 5)
    assert measured.usual_speed("starter:t2") == 20.0
    assert measured.excess("other") is None
    assert measured.usual_speed("other") is None


def test_no_more_than_the_latest_are_kept() -> None:
    for depth in range(measured.KEPT + 5):
        measured.record_speed("m", 1.0, depth)
    assert [one.depth for one in measured.speeds("m")] == list(range(5, measured.KEPT + 5))


def test_impossible_numbers_are_left_out() -> None:
    measured.record_load("m", 0, 5)
    measured.record_load("", 5, 5)
    measured.record_speed("m", float("nan"), 0)
    measured.record_speed("m", -1.0, 0)
    assert not measured.loads("m")
    assert not measured.speeds("m")
    assert not measured.file().exists()


def test_a_correction_is_bounded() -> None:
    measured.record_load("m", 1, 1 << 50)
    assert measured.excess("m") == measured.LARGEST_EXCESS


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"version": 99}', '{"version": 1, "loads": {"m": [{"planned": "x"}]}}']
)
def test_a_damaged_file_counts_as_empty(content: str) -> None:
    measured.file().write_text(content)
    assert not measured.loads("m")
    measured.record_load("m", 1, 2)
    assert [one.measured for one in measured.loads("m")] == [2]


def test_a_full_disk_stops_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ_HOME", str(home / "file" / "below"))
    (home / "file").write_text("")
    measured.record_load("m", 1, 2)
    assert not measured.loads("m")


def test_what_is_deleted_is_forgotten() -> None:
    measured.record_load("m", 1, 2)
    measured.record_speed("n", 1.0, 2)
    measured.forget("m")
    assert set(json.loads(measured.file().read_text())["loads"]) == set()
    assert measured.usual_speed("n") == 1.0
