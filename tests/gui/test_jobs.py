"""The queue of conversions: one at a time, progress, every bad end, cancel, and life after a restart."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from pytestqt.qtbot import QtBot

from app.jobs.jobs import Job, Jobs, Pace
from tzcore.errors import StorageError

CONVERTER = (sys.executable, str(Path(__file__).with_name("misbehaving_converter.py")))
Open = Callable[[], Jobs]


@pytest.fixture
def open_jobs(qtbot: QtBot) -> Iterator[Open]:
    opened: list[Jobs] = []

    def make() -> Jobs:
        opened.append(Jobs(command=CONVERTER))
        return opened[-1]

    yield make
    for jobs in opened:
        jobs.shutdown()


@pytest.fixture
def jobs(open_jobs: Open) -> Jobs:
    return open_jobs()


def wait(qtbot: QtBot, job: Job, *states: str) -> None:
    qtbot.waitUntil(lambda: job.state in states, timeout=10_000)


def underway(qtbot: QtBot, job: Job) -> None:
    qtbot.waitUntil(lambda: job.done > 2000, timeout=10_000)


def test_a_job_runs_to_its_end(qtbot: QtBot, jobs: Jobs, home: Path) -> None:
    seen: list[tuple[str, int]] = []
    jobs.changed.connect(lambda job: seen.append((job.state, job.done)))
    finished: list[Job] = []
    jobs.finished.connect(finished.append)
    job = jobs.add("quick", "t2", "base3")
    wait(qtbot, job, "done")
    assert finished == [job]
    assert (job.model_id, job.phase, job.done, job.total, job.unit) == ("quick:t2", "convert", 5000, 6000, "weights")
    assert [state for state, _ in seen if state != "running"] == ["done"]
    assert ("running", 3000) in seen
    assert (home / "calls").read_text() == (
        "convert --json --background --encoding t2 --packing base3 -- quick\n"
    )


def test_one_at_a_time_in_order(qtbot: QtBot, jobs: Jobs, home: Path) -> None:
    running: list[int] = []
    jobs.changed.connect(lambda _: running.append(sum(job.state == "running" for job in jobs.jobs())))
    first, second = jobs.add("quick", "t2"), jobs.add("quick", "t1")
    assert (first.state, second.state) == ("running", "queued")
    wait(qtbot, second, "done")
    assert max(running) == 1
    assert [line.split()[4] for line in (home / "calls").read_text().splitlines()] == ["t2", "t1"]


def test_the_same_order_twice_is_one_job(qtbot: QtBot, jobs: Jobs) -> None:
    job = jobs.add("slow", "t2")
    assert jobs.add("slow", "t2") is job
    assert jobs.add("slow", "t1") is not job
    jobs.pause(job.id)
    assert jobs.add("slow", "t2") is job
    assert job.state == "queued"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("unknown", "There is no model called unknown."),
        ("wordy", "the disk is full"),
        ("speechless", "The conversion ended with exit code 4."),
        ("half", "The conversion ended with exit code 0."),
        ("shot", "The conversion was killed, perhaps for lack of memory; Retry goes on from where it was."),
    ],
)
def test_bad_ends_are_said_and_the_next_job_runs(qtbot: QtBot, jobs: Jobs, source: str, message: str) -> None:
    job, after = jobs.add(source, "t2"), jobs.add("quick", "t2")
    wait(qtbot, job, "failed")
    assert job.message == message
    wait(qtbot, after, "done")


def test_cancel_then_retry_resumes(qtbot: QtBot, jobs: Jobs) -> None:
    job = jobs.add("slow", "t2")
    underway(qtbot, job)
    pid = jobs._child.pid if jobs._child else 0
    jobs.cancel(job.id)
    assert job.state == "cancelled"
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid), timeout=3000)
    reached = job.done
    starts: list[int] = []
    jobs.changed.connect(lambda job: starts.append(job.done))
    jobs.retry(job.id)
    qtbot.waitUntil(lambda: job.done > reached + 3000, timeout=10_000)
    assert min(starts) >= reached - 1000


def test_retry_while_the_child_still_ends(qtbot: QtBot, jobs: Jobs) -> None:
    job = jobs.add("slow", "t2")
    underway(qtbot, job)
    jobs.cancel(job.id)
    jobs.retry(job.id)
    assert job.state == "queued"
    wait(qtbot, job, "running")
    qtbot.wait(100)
    assert job.state == "running"


def test_a_child_that_does_not_listen_is_killed(qtbot: QtBot, jobs: Jobs) -> None:
    job = jobs.add("stubborn", "t2")
    underway(qtbot, job)
    assert jobs._child is not None
    pid = jobs._child.pid
    jobs.cancel(job.id)
    qtbot.wait(500)
    assert psutil.pid_exists(pid)
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid), timeout=6000)
    assert job.state == "cancelled"


def test_remove_while_running(qtbot: QtBot, jobs: Jobs, open_jobs: Open) -> None:
    job = jobs.add("slow", "t2")
    underway(qtbot, job)
    with qtbot.waitSignal(jobs.removed) as removed:
        jobs.remove(job.id)
    assert removed.args == [job.id]
    qtbot.waitUntil(lambda: jobs._child is None, timeout=5000)
    assert jobs.jobs() == []
    jobs.shutdown()
    assert open_jobs().jobs() == []


def test_the_queue_survives_closing(qtbot: QtBot, jobs: Jobs, open_jobs: Open) -> None:
    done = jobs.add("quick", "t2")
    wait(qtbot, done, "done")
    running, waiting = jobs.add("slow", "t2"), jobs.add("slow", "i8")
    underway(qtbot, running)
    assert jobs._child is not None
    pid = jobs._child.pid
    jobs.shutdown()
    assert not psutil.pid_exists(pid)
    again = open_jobs()
    kept = again.jobs()
    assert [(job.id, job.state) for job in kept] == [
        (done.id, "done"), (running.id, "paused"), (waiting.id, "paused")
    ]
    assert kept[1].total == 400_000
    assert kept[0].model_id == "quick:t2"
    qtbot.wait(200)
    assert kept[1].state == "paused"
    again.retry(running.id)
    underway(qtbot, kept[1])


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_killed_window_leaves_a_paused_job_and_no_second_converter(qtbot: QtBot, open_jobs: Open, home: Path) -> None:
    script = (
        "import sys; from PySide6.QtCore import QCoreApplication; from app.jobs.jobs import Jobs\n"
        "a = QCoreApplication([]); j = Jobs(command=sys.argv[1:]); j.add('stubborn', 't2'); a.exec()\n"
    )
    window = subprocess.Popen([sys.executable, "-c", script, *CONVERTER])
    try:
        qtbot.waitUntil((home / "steps").exists, timeout=10_000)
        time.sleep(0.2)
        (child,) = psutil.Process(window.pid).children()
    finally:
        window.send_signal(signal.SIGKILL)
        window.wait()
    jobs = open_jobs()
    (job,) = jobs.jobs()
    assert (job.source, job.state) == ("stubborn", "paused")
    assert child.wait(2) is None


def test_a_queue_that_cannot_be_saved_is_said(qtbot: QtBot, jobs: Jobs, home: Path) -> None:
    other = sqlite3.connect(home / "jobs.sqlite")
    other.execute("DROP TABLE job")
    other.close()
    with pytest.raises(StorageError):
        jobs.add("quick", "t2")
    assert jobs.jobs() == []


def test_pace() -> None:
    pace = Pace()
    assert pace.measure("convert", 1000, 2000, 0.0) == (None, None)
    assert pace.measure("convert", 1100, 2000, 1.0) == (100.0, 9.0)
    assert pace.measure("convert", 1100, 0, 2.0) == (50.0, None)
    for second in range(3, 60):
        rate, left = pace.measure("convert", 1100 + 10 * second, 2000, float(second))
    assert rate == pytest.approx(10, rel=0.05)
    assert left == pytest.approx((2000 - 1690) / 10, rel=0.05)
    assert pace.measure("evaluate", 5, 10, 61.0) == (None, None)
