"""The queue with the real ``tz convert``: a small model to its end, and interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from pytestqt.qtbot import QtBot

from app.jobs import log
from app.jobs.jobs import Job, Jobs
from app.jobs.receipt import read
from app.library.library import Library
from app.settings.settings import Settings
from tests.tiny_models import tiny_source, write_small_files

MINUTES = 240_000


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder on this disk."""
    from safetensors.numpy import save_file

    model = tiny_source("llama")
    folder = tmp_path_factory.mktemp("source") / "tiny-llama"
    write_small_files(folder)
    (folder / "config.json").write_text(json.dumps(model.config), encoding="utf-8")
    tensors = {name: np.ascontiguousarray(model.tensor(name), np.float16) for name in model.names()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def jobs(qtbot: QtBot) -> Iterator[Jobs]:
    jobs = Jobs()
    yield jobs
    jobs.shutdown()


def settled(qtbot: QtBot, job: Job) -> None:
    qtbot.waitUntil(lambda: job.state not in ("queued", "running"), timeout=MINUTES)


@pytest.mark.timeout(600)
def test_a_conversion_and_its_interruption(qtbot: QtBot, jobs: Jobs, source: Path) -> None:
    phases: list[str] = []
    fractions: list[float] = []
    jobs.changed.connect(lambda job: (phases.append(job.phase), fractions.append(job.fraction)))
    job = jobs.add(str(source), "t2")
    qtbot.waitUntil(lambda: job.phase in ("calibrate", "convert") and job.done > 0, timeout=MINUTES)
    child = jobs._child
    assert child is not None
    psutil.Process(child.pid).kill()
    settled(qtbot, job)
    assert job.state == "failed"
    assert "killed" in job.message
    assert job.remedy == "memory"

    jobs.retry(job.id)
    settled(qtbot, job)
    assert (job.state, job.message) == ("done", f"{job.model_id} is ready.")
    assert {"convert", "tune", "answer"} <= set(phases)
    assert fractions == sorted(fractions), "over two runs and all phases it never runs backwards"
    assert fractions[-1] == 1.0
    assert "ended with exit code 0" in log.tail(jobs.log(job.id))
    library = Library(Settings())
    with qtbot.waitSignal(library.changed, timeout=20_000):
        library.refresh()
    (model,) = library.installed()
    assert (model.id, model.encoding) == (job.model_id, "t2")
    assert model.fit.ok
    receipt = read(model.path)
    assert receipt is not None
    assert receipt.kl is not None
    assert [bool(sample.original) for sample in receipt.samples] == [True] * 4


def test_what_cannot_be_converted_says_why(qtbot: QtBot, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.add(str(tmp_path), "t2")
    settled(qtbot, job)
    assert job.state == "failed"
    assert tmp_path.name in job.message
    assert "\n" not in job.message
    assert not job.message.startswith("tz:")
