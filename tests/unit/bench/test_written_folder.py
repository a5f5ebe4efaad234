"""Random folders on disk: what was made of views is what is mapped afterwards, and it runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.bench.test_random_folder import made
from tzcore.architecture.registry import spec_of
from tzcore.backend.cpu import CpuBackend
from tzcore.bench import written_folder
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import Cancelled
from tzcore.progress import Progress


@pytest.mark.parametrize("fmt", ["t1", "t2b3"])
def test_the_same_model_is_mapped(tmp_path: Path, fmt: str) -> None:
    random = made(fmt)
    reports: list[Progress] = []
    path = written_folder.write(random, tmp_path / "model", reports.append)
    with_signs = 0
    folder = ModelFolder.open(path)
    folder.verify()
    spec = spec_of(folder)
    assert (spec.matrices(), spec.vectors()) == (spec_of(random).matrices(), spec_of(random).vectors())
    for name in folder.quantization.matrices:
        ours, theirs = folder.matrix(name), random.matrix(name)
        assert ours.codes.tobytes() == theirs.codes.tobytes()
        assert ours.scales is not None
        assert theirs.scales is not None
        assert ours.scales.tobytes() == theirs.scales.tobytes()
        if theirs.signs is not None:
            with_signs += 1
            assert ours.signs is not None
            assert (ours.signs == theirs.signs).all()
    assert with_signs
    assert reports[-1].done == reports[-1].total == random.bytes()

    model = CpuBackend().load(folder, spec, threads=1)
    sequence = model.new_sequence(4)
    assert np.isfinite(model.forward(sequence, np.arange(4, dtype=np.int32))).all()
    sequence.close()
    model.close()


def test_it_can_be_stopped(tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        written_folder.write(made("t1"), tmp_path / "model", stop)
    assert not (tmp_path / "model").exists()
