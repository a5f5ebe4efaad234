from __future__ import annotations

import io
import json
import sys

import pytest

from tzcore.cli import console as module
from tzcore.cli.console import Console, Pace, human_bytes, human_count, human_time
from tzcore.progress import Progress


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_500_000, "1.5 MB"), (2.5e9, "2.5 GB"), (7.25e12, "7.25 TB")],
)
def test_bytes_are_decimal(count: float, text: str) -> None:
    assert human_bytes(count) == text


def test_counts_and_times() -> None:
    assert human_count(134_515_008) == "134.5 M"
    assert human_count(12) == "12"
    assert human_count(70.6e9) == "70.6 G"
    assert human_time(245) == "4:05"
    assert human_time(3723) == "1:02:03"
    assert human_time(132 * 3600 + 59) == "5 days 12 h"


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def test_pace_does_not_count_what_an_earlier_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(Progress("download", 900, 2000, "bytes"))
    clock.now += 2
    assert pace.words(Progress("download", 1000, 2000, "bytes")) == "50 B/s, 0:20 left"


def test_pace_forgets_a_quick_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    pace = Pace(Progress("convert", 0, 10_000, "weights"))
    words = ""
    for second in range(1, 61):
        clock.now += 1
        words = pace.words(Progress("convert", 5_000 + 10 * second, 10_000, "weights"))
    assert words == "10 weights/s, 7:20 left"


def test_pace_says_nothing_before_it_can_know(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    first = Progress("convert", 0, 10, "weights")
    assert Pace(first).words(first) == ""


def test_json_events_are_thinned_but_ends_and_new_phases_always_come(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    console = Console(json=True)
    for done in range(100):
        clock.now += 0.001
        console.report(Progress("download", done, 100, "bytes"))
    console.report(Progress("download", 100, 100, "bytes"))
    console.report(Progress("convert", 0, 5, "weights", "layer 0"))
    console.done("ready", id="a:t2")
    captured = capsys.readouterr()
    events = [json.loads(line) for line in captured.out.splitlines()]
    assert [(e["event"], e.get("phase"), e.get("done")) for e in events] == [
        ("progress", "download", 0),
        ("progress", "download", 100),
        ("progress", "convert", 0),
        ("done", None, None),
    ]
    assert events[2] == {
        "event": "progress", "phase": "convert", "done": 0, "total": 5, "unit": "weights", "detail": "layer 0",
    }  # fmt: skip
    assert events[-1]["id"] == "a:t2"
    assert captured.err == ""


def test_without_a_terminal_progress_is_plain_lines_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    console = Console()
    console.report(Progress("load", 0, 100, "bytes"))
    console.report(Progress("load", 100, 100, "bytes"))  # over at once: nobody need know
    for second in range(25):
        console.report(Progress("convert", second * 1000, 50_000, "weights", f"layer {second}"))
        clock.now += 1
    console.done("ready")
    captured = capsys.readouterr()
    assert captured.out == "ready\n"
    assert captured.err.splitlines() == [
        "convert: 4 %, 2.0 k weights of 50.0 k weights 1.0 k weights/s, 0:48 left layer 2",
        "convert: 24 %, 12.0 k weights of 50.0 k weights 1.0 k weights/s, 0:38 left layer 12",
        "convert: 44 %, 22.0 k weights of 50.0 k weights 1.0 k weights/s, 0:28 left layer 22",
    ]


def test_the_works_own_estimate_is_shown_and_another_prompt_begins_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    console = Console()
    for begin, total in ((0, 9000), (9500, 18_500), (500, 9500)):
        for done in range(begin, total + 1, 1000):
            console.report(Progress("prefill", done, total, "tokens", seconds_left=(total - done) / 500))
            clock.now += 1
        clock.now += 100  # the answer
    assert capsys.readouterr().err.splitlines() == [
        "prefill: 22 %, 2.0 k tokens of 9.0 k tokens 1.0 k tokens/s, 0:14 left",
        "prefill: 62 %, 11.5 k tokens of 18.5 k tokens 1.0 k tokens/s, 0:14 left",
        "prefill: 26 %, 2.5 k tokens of 9.5 k tokens 1.0 k tokens/s, 0:14 left",
    ]
    Console(json=True).report(Progress("prefill", 1, 3, "tokens", seconds_left=2.5))
    assert json.loads(capsys.readouterr().out)["seconds_left"] == 2.5


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_a_bar_shows_amount_and_rate_and_goes_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    clock = Clock(monkeypatch)
    console = Console()
    console.report(Progress("download", 0, 100_000_000, "bytes", "[model].safetensors"))
    clock.now += 1
    console.report(Progress("download", 100_000_000, 100_000_000, "bytes", "[model].safetensors"))
    console.done("ready")
    shown = terminal.getvalue()
    assert "100.0 MB of 100.0 MB" in shown
    assert "100.0 MB/s" in shown
    assert "[model].safetensors" in shown  # names are data, not markup
    assert capsys.readouterr().out == "ready\n"
