"""Killed at any moment, a conversion that is started again ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import tiny_source
from tzcore import atomic
from tzcore.checkpoint.writer import FolderWriter
from tzcore.quant.convert import Settings, convert
from tzcore.quant.states import States

SETTINGS = Settings(tokens=2048, window=64)


class Killed(BaseException):
    """Stands for the process's end: nothing in the program catches it."""


def digest(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    receipt = json.loads(files.pop("receipt.json"))
    assert receipt.pop("created")
    receipt.pop("seconds")
    return {**files, "receipt": json.dumps(receipt).encode()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """The undisturbed result, and how many times it syncs to the disk."""
    counted, real = 0, os.fsync

    def count(handle: int) -> None:
        nonlocal counted
        counted += 1
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "fsync", count)
        folder = convert(tiny_source("llama3"), tmp_path_factory.mktemp("whole") / "m", SETTINGS)
    return digest(folder), counted


@pytest.mark.parametrize("share", [0.01, 0.3, 0.52, 0.74, 0.93, 0.99])
def test_interrupted_between_any_two_writes(
    share: float, whole: tuple[dict[str, bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, syncs = whole
    left, real = int(share * syncs), os.fsync

    def die(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", die)
    with pytest.raises(Killed):
        convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)
    assert not (tmp_path / "m").exists()
    monkeypatch.undo()
    again = convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)
    assert digest(again) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("kind", "method", "call"), [(FolderWriter, "seal", 2), (States, "keep", 2), (States, "keep", 3)]
)
def test_interrupted_at_a_block_s_end(
    kind: type, method: str, call: int, late: bool, whole: tuple[dict[str, bytes], int], tmp_path: Path
) -> None:
    """Between the shard of a block and the boundaries of the two streams, in whatever order they are kept."""
    left, real = call, getattr(kind, method)

    def die(self: Any, *args: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0 and not late:
            raise Killed
        real(self, *args)
        if left == 0:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, method, die)
        with pytest.raises(Killed):
            convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)
    assert digest(convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)) == whole[0]


def test_interrupted_before_the_last_rename(
    whole: tuple[dict[str, bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scratch files are gone then already; the receipt's own numbers come from the receipt."""
    real = os.replace

    def die(source: Any, target: Any) -> None:
        if Path(target) == tmp_path / "m":
            raise Killed
        real(source, target)

    monkeypatch.setattr("tzcore.checkpoint.writer.os.replace", die)
    with pytest.raises(Killed):
        convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)
    monkeypatch.undo()
    assert digest(convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)) == whole[0]


CHILD = """
import sys
from pathlib import Path
from tests.tiny_models import tiny_source
from tzcore.quant.convert import Settings, convert
def say(progress):
    print(progress.phase, progress.done, progress.total, flush=True)
convert(tiny_source("llama3"), Path(sys.argv[1]), Settings(tokens=2048, window=64), report=say)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill −9 here")
def test_killed_by_signal_in_the_middle(whole: tuple[dict[str, bytes], int], tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[3]
    words = [sys.executable, "-c", CHILD, str(tmp_path / "m")]
    with subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            phase, done, total = line.split()
            if phase == "convert" and int(done) > 0.6 * int(total):
                break
        assert child.poll() is None
        child.kill()
    assert (tmp_path / "m.partial").exists()
    assert digest(convert(tiny_source("llama3"), tmp_path / "m", SETTINGS)) == whole[0]
