"""Engines that are closed when a test ends, with and without snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine.scripted_model import ScriptedModel, engine
from tests.unit.engine.snapshot_cases import OPENED
from tzcore.engine.generation import Engine
from tzcore.engine.snapshots import Snapshots


@pytest.fixture
def engines() -> Iterator[list[Engine]]:
    made: list[Engine] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "contexts"


@pytest.fixture
def opened(tmp_path: Path, root: Path, engines: list[Engine]) -> OPENED:
    def build(folder: str = "m", window: int | None = None, padding: int = 0, quota: int = 1 << 30) -> Engine:
        model = ScriptedModel(window=window)
        model.padding = padding
        store = Snapshots(quota, root)
        engines.append(engine(tmp_path / folder, model, 2048, speculation=False, snapshots=store))
        return engines[-1]

    return build
