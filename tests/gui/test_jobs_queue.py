"""The queue: its order, its options, its file when that is old or damaged, and what is said when a job fails."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.jobs import failures, log
from app.jobs.course import MEASURING, Course
from app.jobs.job import MEASURE
from app.jobs.jobs import Jobs, command_line
from app.jobs.options import Options
from app.jobs.store import MIGRATIONS
from tzcore.errors import StorageError

CONVERTER = (sys.executable, str(Path(__file__).with_name("misbehaving_converter.py")))
NOTHING = ("a-program-that-is-not-there",)
Open = Callable[..., Jobs]


@pytest.fixture
def open_jobs(qtbot: QtBot) -> Iterator[Open]:
    opened: list[Jobs] = []

    def make(command: tuple[str, ...] = CONVERTER) -> Jobs:
        opened.append(Jobs(command=command))
        return opened[-1]

    yield make
    for jobs in opened:
        jobs.shutdown()


def sources(jobs: Jobs) -> list[str]:
    return [job.source for job in jobs.jobs()]


# --- order ----------------------------------------------------------------------------------------


def test_the_order_is_the_users_and_survives(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    jobs.hold("the test")
    for name in "abcd":
        jobs.add(name, "t2")
    with qtbot.waitSignal(jobs.moved):
        jobs.move(jobs.jobs()[3].id, -2)
    assert sources(jobs) == ["a", "d", "b", "c"]
    jobs.move(jobs.jobs()[0].id, 100)
    assert sources(jobs) == ["d", "b", "c", "a"]
    jobs.move(jobs.jobs()[0].id, -1)  # it is the first already
    assert sources(jobs) == ["d", "b", "c", "a"]
    jobs.add("e", "t2")
    jobs.shutdown()
    again = open_jobs()
    assert sources(again) == ["d", "b", "c", "a", "e"]
    assert [job.position for job in again.jobs()] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError):
        again.move("unknown", 1)


def test_the_first_in_order_runs_next(qtbot: QtBot, open_jobs: Open, home: Path) -> None:
    jobs = open_jobs()
    jobs.hold("the test")
    first, second = jobs.add("quick", "t1"), jobs.add("quick", "t2")
    jobs.move(second.id, -1)
    jobs.release()
    qtbot.waitUntil(lambda: first.state == second.state == "done", timeout=20_000)
    assert [line.split()[4] for line in (home / "calls").read_text().splitlines()] == ["t2", "t1"]
    assert first.finished >= second.finished > 0
    jobs.move(first.id, -1)  # what is done has no place in the queue
    assert [job.state for job in jobs.jobs()] == ["done", "done"]


def test_a_held_queue_waits_and_its_job_keeps_its_place(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    job, after = jobs.add("slow", "t2"), jobs.add("quick", "t2")
    qtbot.waitUntil(lambda: job.done > 2000, timeout=10_000)
    reasons: list[str] = []
    jobs.held.connect(reasons.append)
    jobs.hold("a game")
    assert (job.state, after.state, jobs.hold_reason) == ("queued", "queued", "a game")
    qtbot.waitUntil(lambda: jobs._child is None, timeout=5000)
    qtbot.wait(150)
    assert (job.state, after.state) == ("queued", "queued")
    jobs.release()
    assert job.state == "running"
    assert reasons == ["a game", ""]
    jobs.hold("a game")
    jobs.release()  # before the child is gone
    qtbot.waitUntil(lambda: job.state == "running", timeout=5000)


# --- options --------------------------------------------------------------------------------------


def test_options_are_kept_and_become_arguments(open_jobs: Open) -> None:
    jobs = open_jobs(NOTHING)
    jobs.hold("the test")
    job = jobs.add("org/a", "t2", "base3", {"size": "20 GB", "discard_source": True, "out": "/tmp/x", "tune": False})
    words = ["convert", "--json", "--background", "--size", "20GB", "--out", "/tmp/x", "--discard-source", "--no-tune"]
    assert command_line(job) == [*words, "--", "org/a"], "a budget leaves no room for an encoding"
    jobs.shutdown()
    again = open_jobs(NOTHING)
    assert command_line(again.jobs()[0]) == [*words, "--", "org/a"]
    assert again.add("org/a", "", None, {"bits": 2.4}) is not again.jobs()[0]
    assert again.add("org/a", "", None, Options(bits=2.4)) is again.jobs()[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"bits": 0.5}, {"bits": "2"}, {"bits": True}, {"size": "20"}, {"size": "--out"}, {"bits": 2.0, "size": "2GB"},
        {"quality": "best"}, {"context": 4096}, {"vram": "24GiB", "context": -1}, {"out": ""}, {"name": "--json"},
        {"discard_source": "yes"}, {"tune": 1}, {"nonsense": 1},
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_they_are_queued(open_jobs: Open, wrong: dict[str, object]) -> None:
    jobs = open_jobs(NOTHING)
    with pytest.raises(ValueError, match=r"\w"):
        jobs.add("org/a", "", None, wrong)
    assert jobs.jobs() == []


def test_a_measurement_is_a_job(qtbot: QtBot, open_jobs: Open, home: Path) -> None:
    jobs = open_jobs()
    job = jobs.measure("quick")
    assert job.kind == MEASURE
    assert jobs.measure("quick") is job
    qtbot.waitUntil(lambda: job.state == "done", timeout=10_000)
    assert (home / "calls").read_text() == "eval --json --background --receipt -- quick\n"
    assert job.message == "quick:t2 is measured."
    course = Course({"expected": MEASURING})
    course.advance("evaluate", 1, 2, 0.0)
    assert 0.3 < course.fraction < 0.6, "the phases of a conversion do not count"


# --- the file -------------------------------------------------------------------------------------


def test_a_queue_of_the_first_version_is_taken_over(open_jobs: Open, home: Path) -> None:
    old = sqlite3.connect(home / "jobs.sqlite")
    old.executescript(MIGRATIONS[0] + "PRAGMA user_version = 1;")
    for number, (source, state) in enumerate((("b", "running"), ("a", "done"), ("c", "paused"))):
        old.execute(
            "INSERT INTO job VALUES (?, ?, 't2', NULL, ?, 'convert', 1, 2, 'weights', '', '', '', ?, 0, 0)",
            (source, source, state, 100.0 + number),
        )
    old.commit()
    old.close()
    jobs = open_jobs(NOTHING)
    assert [(job.source, job.state, job.position) for job in jobs.jobs()] == [
        ("b", "paused", 0), ("a", "done", 1), ("c", "paused", 2)
    ]
    assert jobs.interrupted == ["b"]
    assert jobs.trouble == ""
    assert (home / "jobs.sqlite.before-v2").exists()
    jobs.move("c", -1)
    assert sources(jobs) == ["a", "c", "b"]


@pytest.mark.parametrize("damage", ["header", "pages", "empty row", "cut"])
def test_a_damaged_queue_is_set_aside_and_said(open_jobs: Open, home: Path, damage: str) -> None:
    jobs = open_jobs(NOTHING)
    jobs.hold("the test")
    for number in range(200):
        jobs._store.save(jobs.add(f"org/{number}", "t2") if number == 0 else _copy(jobs, number))
    jobs.shutdown()
    path = home / "jobs.sqlite"
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[:100] = b"x" * 100
    elif damage == "pages":
        content[4096:] = b"\xa5" * (len(content) - 4096)
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[:] = b"not a database at all, but long enough to be looked at" * 100
    path.write_bytes(content)
    again = open_jobs(NOTHING)
    assert again.jobs() == []
    assert "damaged" in again.trouble
    kept = [file for file in home.iterdir() if ".damaged-" in file.name and not file.name.endswith(("-wal", "-shm"))]
    assert [file.read_bytes() for file in kept] == [bytes(content)]
    again.hold("the test")
    again.add("org/new", "t2")
    again.shutdown()
    third = open_jobs(NOTHING)
    assert (sources(third), third.trouble) == (["org/new"], "")


def _copy(jobs: Jobs, number: int) -> object:
    from dataclasses import replace

    return replace(jobs.jobs()[0], id=f"copy{number}", source="x" * 300)


def test_a_queue_of_a_newer_program_is_left_alone(open_jobs: Open, home: Path) -> None:
    open_jobs(NOTHING).shutdown()
    newer = sqlite3.connect(home / "jobs.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match="newer"):
        open_jobs(NOTHING)
    assert not list(home.glob("*.damaged-*"))


def test_a_second_window_leaves_the_firsts_jobs_alone(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    job = jobs.add("slow", "t2")
    qtbot.waitUntil(lambda: job.done > 2000, timeout=10_000)
    with pytest.raises(StorageError, match="Another window"):
        open_jobs()
    reached = job.done
    qtbot.waitUntil(lambda: job.done > reached, timeout=10_000)
    assert job.state == "running"


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.77, 1.0])
def test_a_power_cut_leaves_a_paused_job(
    qtbot: QtBot, open_jobs: Open, home: Path, tmp_path: Path, kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on the disk at any moment, with the end of the journal missing, opens: the machine is simulated by a
    copy of the files that is taken while all runs."""
    jobs = open_jobs()
    job = jobs.add("slow", "t2")
    qtbot.waitUntil(lambda: job.done > 5000, timeout=10_000)
    other = tmp_path / "after"
    other.mkdir()
    for name in ("jobs.sqlite", "jobs.sqlite-wal"):
        content = (home / name).read_bytes()
        (other / name).write_bytes(content[: round(len(content) * kept)] if name.endswith("-wal") else content)
    jobs.shutdown()
    monkeypatch.setenv("TZ_HOME", str(other))
    again = open_jobs()
    assert again.trouble == ""
    assert [(job.source, job.state) for job in again.jobs()] in ([("slow", "paused")], [])
    if kept == 1.0:
        (found,) = again.jobs()
        again.retry(found.id)
        qtbot.waitUntil(lambda: found.state == "done" or found.done > 1000, timeout=10_000)


def test_rows_that_make_no_sense_do_no_harm(open_jobs: Open, home: Path) -> None:
    jobs = open_jobs(NOTHING)
    jobs.hold("the test")
    jobs.add("org/a", "t2")
    jobs.shutdown()
    file = sqlite3.connect(home / "jobs.sqlite")
    file.execute("""UPDATE job SET arguments = '{"bits": 99, "x": [', course = '[1, {"fraction": 3}]'""")
    file.commit()
    file.close()
    (job,) = open_jobs(NOTHING).jobs()
    assert (job.options, job.fraction) == (Options(), 0.0)


# --- failures and logs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind", "message", "remedy"),
    [
        (-1, "", "killed", "memory"),
        (1, "NetworkError", "could not download x", "network"),
        (1, "AccessError", "huggingface.co refused x: 403 Forbidden", "gated"),
        (1, "StorageError", "the disk that holds /x is full: free some space, then start again", "disk"),
        (1, "StorageError", "not enough room for x: 2 GB to go", "disk"),
        (1, "StorageError", "cannot write /x: Permission denied", "place"),
        (1, "ConversionError", "not enough memory: close other programs", "memory"),
        (1, "MissingExtraError", "install the extra convert", "torch"),
        (1, "OfflineError", "the window is offline", "offline"),
        (1, "ConversionError", "q_proj holds values that are not finite", ""),
    ],
)
def test_what_helps(code: int, kind: str, message: str, remedy: str) -> None:
    assert failures.remedy(code, kind, message) == remedy
    assert remedy == "" or remedy in failures.REMEDIES


def test_a_failure_has_its_remedy_and_a_retry_forgets_it(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    failed: list[object] = []
    jobs.failed.connect(failed.append)
    job = jobs.add("wordy", "t2")
    qtbot.waitUntil(lambda: job.state == "failed", timeout=10_000)
    assert (job.remedy, failed) == ("disk", [job])
    jobs.shutdown()
    (again,) = open_jobs().jobs()
    assert (again.message, again.remedy) == ("the disk is full", "disk")


def test_every_job_has_a_log_of_its_own(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    one, two = jobs.add("quick", "t2"), jobs.add("wordy", "t2")
    qtbot.waitUntil(lambda: two.state == "failed", timeout=20_000)
    text = log.tail(jobs.log(one.id))
    for words in ("tz convert --json", "about to begin", "convert: layer 3", "ended with exit code 0"):
        assert words in text
    assert "tz: the disk is full" in log.tail(jobs.log(two.id))
    jobs.remove(one.id)
    assert not jobs.log(one.id).exists()
    assert log.tail(jobs.log("unknown")) == ""


def test_progress_over_all_phases_is_kept(qtbot: QtBot, open_jobs: Open) -> None:
    jobs = open_jobs()
    job = jobs.add("slow", "t2")
    seen: list[float] = []
    jobs.changed.connect(lambda job: seen.append(job.fraction))
    qtbot.waitUntil(lambda: job.done > 20_000, timeout=20_000)
    jobs.pause(job.id)
    reached = job.fraction
    assert reached > 0
    jobs.shutdown()
    again = open_jobs()
    assert again.jobs()[0].fraction == reached
    again.changed.connect(lambda job: seen.append(job.fraction))
    again.retry(job.id)
    qtbot.waitUntil(lambda: again.jobs()[0].fraction > reached, timeout=20_000)
    assert seen == sorted(seen)
