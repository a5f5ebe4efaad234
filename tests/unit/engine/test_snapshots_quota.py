"""Snapshots take no more of the disk than they may, and are gone when they are to be."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.unit.engine.snapshot_cases import HEAD, OPENED, PROMPT, files, once
from tests.unit.engine.test_texts import say, tokens
from tzcore.backend.base import PIECE
from tzcore.engine import snapshots
from tzcore.engine.piece import ROOT, PieceName
from tzcore.engine.piece_tree import PieceTree
from tzcore.engine.snapshots import Snapshots
from tzcore.errors import StorageError


class Disk:
    """Pieces of 1,000 bytes or so, written at times that are set."""

    def __init__(self, root: Path, quota: int) -> None:
        self.store, self.root = Snapshots(quota, root), root
        self.clock = 1_000_000_000

    def write(self, folder: str, text: list[int]) -> list[Path]:
        tree, parent, made = PieceTree(self.root / folder), ROOT, []
        self.clock += 1000
        for place, at in enumerate(range(0, len(text), PIECE)):
            held = text[at : at + PIECE]
            name = PieceName.of(parent, held)
            if not (tree.path / str(name)).exists():
                self.store.make_room(2000)
                tree.put(parent, held, bytes(2000 - HEAD - 4 * len(held)))
            made.append(tree.path / str(name))
            os.utime(made[-1], (self.clock - place, self.clock - place))
            parent = name.own
        return made


def test_the_quota_takes_the_oldest_leaves_first(root: Path) -> None:
    disk = Disk(root, quota=20_000)
    system = tokens(0, PIECE)
    old = disk.write("a", [*system, *tokens(1, 512)])
    middle = disk.write("b", tokens(2, 512))
    new = disk.write("a", [*system, *tokens(3, 512)])
    newest = disk.write("b", tokens(4, 768))
    assert disk.store.bytes() == 20_000 == 1000 * 2 * len([*old, *middle, *new[1:], *newest])
    by_age = [old[2], old[1], middle[1], middle[0], new[2], new[1]]
    gone = 0
    for seed in range(5, 9):
        added = disk.write("a", tokens(seed, 256))
        assert disk.store.bytes() <= 20_000
        assert all(path.exists() for path in [*newest, *added])
        assert old[0].exists() == (gone < 6), "the newer text needs it"
        there = [path.exists() for path in by_age]
        assert there == sorted(there), "the oldest first"
        gone = there.count(False)
    assert gone >= 4


def test_the_quota_holds_for_an_engine(opened: OPENED, root: Path) -> None:
    size = 2 * PIECE * 1000
    one = opened(padding=1000, quota=5 * size // 2)  # five pieces
    for seed in range(4):
        say(one, tokens(seed, 500), 2)
        assert one._keeper is not None
        assert one._keeper.wait(20)
        assert Snapshots(root=root).bytes() <= 5 * size // 2
    one.close()
    assert say(opened(padding=1000), tokens(3, 500))[1].cached_tokens == 499
    assert say(opened(padding=1000), tokens(0, 500))[1].cached_tokens == 0


def test_a_text_beyond_the_quota_is_saved_as_far_as_it_goes(opened: OPENED, root: Path) -> None:
    once(opened(padding=1000, quota=600_000))
    assert 1 <= len(files(root)) <= 2
    assert once(opened(padding=1000), PROMPT)[1] == len(files(root)[:2]) * PIECE or len(files(root)) == 4


def test_a_quota_of_nothing_is_said_once(opened: OPENED, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tzcore.engine"):
        one = opened(padding=1000, quota=1000)
        say(one, PROMPT)
        say(one, tokens(1, 500))
        one.close()
    assert len(caplog.records) == 1
    assert "not enough" in caplog.text
    assert files(root) == []


def test_no_more_than_a_tenth_of_what_is_free_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(root.parent)
    monkeypatch.setattr(snapshots.shutil, "disk_usage", lambda _: usage._replace(free=50_000))
    disk = Disk(root, quota=1 << 30)
    for seed in range(10):
        disk.write("a", tokens(seed, 256))
        assert disk.store.bytes() <= 7000
    monkeypatch.setattr(snapshots.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StorageError, match="not enough"):
        disk.store.make_room(2000)


def test_a_forgotten_conversation_is_gone_and_others_are_not(opened: OPENED, root: Path) -> None:
    one = opened()
    system = tokens(0, 300)
    question = [*system, *tokens(1, 300)]
    texts = {
        "an answer": [*question, *tokens(2, 500)],
        "another": [*question, *tokens(3, 100)],
        "less of it": question[:570],
        "another question": [*system, *tokens(4, 300)],
        "something else": tokens(5, 600),
    }
    assert one._keeper is not None
    for text in texts.values():
        say(one, text, 1)
        assert one._keeper.wait(20)
    (folder,) = root.iterdir()
    tree = PieceTree(folder)
    for text in texts.values():
        assert tree.find(text).length == len(text)
    one._texts.forget(question)
    one._keeper.forget(question)
    kept = {name: tree.find(text).length for name, text in texts.items()}
    assert kept["another question"] == 600
    assert kept["something else"] == 600
    assert kept["an answer"] == kept["another"] == 300  # what the other question shares
    assert kept["less of it"] == 300
    held = b"".join(path.read_bytes() for path in files(root))
    assert np.asarray(question[520:560], np.int32).tobytes() not in held
    one._keeper.forget(texts["another question"])
    one._keeper.forget(texts["something else"])
    assert files(root) == []


def test_all_of_a_model_can_be_removed(opened: OPENED, root: Path, tmp_path: Path) -> None:
    once(opened())
    store = Snapshots(root=root)
    assert store.bytes() > 0
    store.forget(tmp_path / "m", PROMPT[:300])
    assert store.bytes() == 0
    once(opened())
    store.remove(tmp_path / "m")
    assert list(root.iterdir()) == []
