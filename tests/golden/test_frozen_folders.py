"""Folders of versions that this program reads open, byte for byte, and compute the same; older ones say why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.parity import backend_logits, distance
from tzcore import trits
from tzcore.backend.base import Backend
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.checkpoint.schema import VERSION
from tzcore.errors import CheckpointError

HERE = Path(__file__).parent
FOLDERS = [HERE / f"version-{VERSION}"]
REFUSED = sorted(set(HERE.glob("version-*")) - set(FOLDERS))


def test_every_older_version_is_there() -> None:
    assert [path.name for path in REFUSED] == [f"version-{number}" for number in range(1, VERSION)]


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.name)
def test_an_older_version_is_refused_with_what_to_do(path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"version \d, this program reads {VERSION}: .*convert the model again"):
        ModelFolder.open(path)


@pytest.mark.parametrize("path", FOLDERS, ids=lambda p: p.name)
def test_it_opens_whole_and_holds_every_format(path: Path) -> None:
    folder = ModelFolder.open(path)
    folder.verify()
    entries = folder.quantization.matrices.values()
    assert {entry.format.name for entry in entries} == set(trits.FORMATS)
    assert {entry.group for entry in entries} == {0, *trits.GROUPS}
    assert any(entry.transform for entry in entries)


@pytest.mark.parametrize("path", FOLDERS, ids=lambda p: p.name)
def test_its_bytes_are_still_those_that_packing_gives(path: Path) -> None:
    folder = ModelFolder.open(path)
    for name, entry in folder.quantization.matrices.items():
        stored = folder.matrix(name)
        if stored.scales is None:
            again = trits.pack_half(trits.unpack_half(stored.codes, entry.rows, entry.cols))
        else:
            again = trits.pack(trits.unpack(stored.codes, entry.format, entry.rows, entry.cols), entry.format)
        assert again.tobytes() == stored.codes.tobytes(), name


@pytest.mark.parametrize(
    ("backend", "frozen"),
    [
        (ReferenceBackend(), "float"),
        (ReferenceBackend(activations="int8", cache="f16"), "int8"),
        (CpuBackend(), "int8"),
    ],
    ids=["reference", "reference-int8", "cpu"],
)
@pytest.mark.parametrize("path", FOLDERS, ids=lambda p: p.name)
def test_its_logits_are_the_frozen_ones(path: Path, backend: Backend, frozen: str) -> None:
    with np.load(path / "logits.npz") as file:
        tokens, wanted = file["tokens"], file[frozen]
    got = backend_logits(backend, path, tokens)
    # Rounding activations to int8 can tip over at a tie when sums are made in another order.
    tolerance = 1e-4 if frozen == "float" else 0.02
    assert wanted.std() > 0.5
    assert distance(got, wanted).difference < tolerance
