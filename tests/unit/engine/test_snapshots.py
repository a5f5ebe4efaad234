"""Texts that were read are there when a model is opened again, whatever happened to the disk in between."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import TEXT, tiny_folder
from tests.unit.engine import snapshot_process
from tests.unit.engine.scripted_model import ScriptedModel, ScriptedSequence, engine
from tests.unit.engine.snapshot_cases import HEAD, OPENED, PROMPT, along, files, once, scripted
from tests.unit.engine.test_texts import GREEDY, say, tokens
from tzcore import atomic
from tzcore.backend.base import PIECE
from tzcore.engine import piece
from tzcore.engine.generation import Engine
from tzcore.engine.piece import ROOT, PieceError, PieceName, read_payload, read_tokens, written
from tzcore.engine.request import Finished, PrefillProgress, Request, TextDelta
from tzcore.engine.snapshots import Snapshots
from tzcore.errors import BackendError


def test_a_second_engine_reads_nothing_again(opened: OPENED, root: Path) -> None:
    one = opened()
    expected, cached = once(one)
    whole = list(one._held)
    assert cached == 0
    other = opened()
    progress = list(other.generate(Request(prompt=PROMPT, sampling=GREEDY, max_tokens=20)))
    assert next(e for e in progress if isinstance(e, PrefillProgress)).done == len(PROMPT) - 1
    assert "".join(e.text for e in progress if isinstance(e, TextDelta)) == expected
    assert sum(scripted(other).calls) == 20
    assert scripted(other).loaded == [len(PROMPT) - 1]
    other.close()
    again = opened()
    follow = [*whole, *tokens(1, 30)]
    text, usage = say(again, follow)
    assert usage.cached_tokens == len(whole)
    again._texts.forget([])
    assert scripted(opened(folder="fresh")).loaded == []
    assert text == once(opened(folder="fresh"), follow)[0]


def test_what_memory_has_is_not_loaded(opened: OPENED, root: Path) -> None:
    once(opened(), PROMPT[:600])
    one = opened()
    say(one, PROMPT[:400])
    assert scripted(one).loaded == [399]
    say(one, PROMPT[:590])  # the disk has 190 tokens more, which are read sooner than loaded
    assert scripted(one).loaded == [399]
    one._texts.forget([])
    say(one, PROMPT[: PIECE - 1])
    assert scripted(one).loaded == [399]
    say(one, PROMPT[:600])
    assert scripted(one).loaded == [399, 599]


def test_short_texts_are_not_worth_a_file(opened: OPENED, root: Path) -> None:
    once(opened(), PROMPT[:200])
    assert files(root) == []


def test_branches_share_their_pieces_and_longer_ones_take_the_place_of_shorter(opened: OPENED, root: Path) -> None:
    one = opened()
    say(one, PROMPT[:600], 2)
    assert one._keeper is not None
    assert one._keeper.wait(20)
    before = files(root)
    assert len(before) == 3  # 256, 256 and 89 tokens
    say(one, [*PROMPT[:600], *one._held[600:], *tokens(1, 60)], 2)
    assert one._keeper.wait(20)
    after = files(root)
    assert len(after) == 3
    assert len(set(before) & set(after)) == 2
    once(one, [*PROMPT[:300], *tokens(2, 300)], 2)
    assert len(files(root)) == 5
    assert not list(root.glob("*/*.tmp"))


def test_models_and_forms_are_kept_apart(opened: OPENED, root: Path, tmp_path: Path) -> None:
    once(opened())
    one = opened("other")
    (tmp_path / "other" / "receipt.json").write_text('{"id": "another"}')
    one.close()
    other = opened("other")
    assert say(other, PROMPT)[1].cached_tokens == 0
    other.close()
    assert len(list(root.iterdir())) == 2
    store, spec = Snapshots(root=root), scripted(one).spec
    assert store.open(tmp_path / "m", spec, "a").path != store.open(tmp_path / "m", spec, "b").path


Damage = Callable[[Path], None]


def cut(length: int) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def flipped(place: int) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[place] ^= 0x40
        path.write_bytes(content)

    return damage


def rewritten(version: int = piece.VERSION, key: bytes | None = None) -> Damage:
    def damage(path: Path) -> None:
        content = path.read_bytes()
        magic, _, count, length, owner, *rest = piece._HEAD.unpack(content[:HEAD])
        head = piece._HEAD.pack(magic, version, count, length, key or owner, *rest)
        path.write_bytes(head + content[HEAD:])

    return damage


DAMAGES: dict[str, Damage] = {
    "empty": cut(0),
    "half a head": cut(HEAD - 1),
    "a head alone": cut(HEAD),
    "half the tokens": cut(HEAD + 512),
    "no payload": cut(HEAD + 4 * PIECE),
    "half the payload": cut(HEAD + 4 * PIECE + 500),
    "a byte short": cut(-1),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "another version": rewritten(version=2),
    "another model": rewritten(key=bytes(16)),
    "another file": lambda path: path.write_bytes(b"{}" * 5000),
    "another piece": lambda path: shutil.copy(sorted(p for p in path.parent.iterdir() if p != path)[0], path),
    **{f"byte {place}": flipped(place) for place in (0, 8, 12, 16, 30, 50, 60, 75, HEAD, HEAD + 700, HEAD + 1500, -1)},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_piece_is_read_again_from_there(
    opened: OPENED, root: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = once(opened())
    chain = along(root, PROMPT)
    good = chain[1].read_bytes()
    DAMAGES[damage](chain[1])
    assert chain[1].read_bytes() != good
    with caplog.at_level(logging.WARNING, "tzcore.engine"):
        text, cached = once(opened())
    assert text == expected
    assert cached == PIECE
    assert len(caplog.records) == 1
    assert str(chain[1]) in caplog.text
    assert chain[1].read_bytes() == good  # it was removed, and saved anew
    caplog.clear()
    assert once(opened()) == (expected, len(PROMPT) - 1)
    assert caplog.records == []


def test_a_damaged_first_piece_leaves_nothing(opened: OPENED, root: Path) -> None:
    expected, _ = once(opened())
    flipped(-1)(along(root, PROMPT)[0])
    assert once(opened()) == (expected, 0)


def test_foreign_files_are_left_alone(opened: OPENED, root: Path) -> None:
    expected, _ = once(opened())
    folder = next(root.iterdir())
    for name in ("notes.txt", "x-y.kv", f"{'0' * 32}-{'0' * 31}g.kv"):
        (folder / name).write_text("mine")
    (root / "a file").write_text("mine")
    assert once(opened()) == (expected, len(PROMPT) - 1)
    assert (folder / "notes.txt").read_text() == "mine"


def test_names_say_what_pieces_hold(tmp_path: Path) -> None:
    key, held = bytes(range(16)), PROMPT[:PIECE]
    name = PieceName.of(ROOT, held)
    assert PieceName.parse(str(name)) == name
    assert PieceName.of(name.own, held) != name
    assert PieceName.of(ROOT, held[:-1]) != name
    path = tmp_path / str(name)
    path.write_bytes(b"".join(written(key, name, held, b"payload")))
    assert read_tokens(path, key) == held
    assert read_payload(path, key) == b"payload"
    with pytest.raises(PieceError, match="another model"):
        read_tokens(path, bytes(16))
    moved = path.rename(tmp_path / str(PieceName.of(ROOT, held[:-1])))
    with pytest.raises(PieceError, match="not those of its name"):
        read_tokens(moved, key)


@pytest.mark.parametrize("window", [60, 700])
def test_with_windows_a_text_goes_on_at_its_end(opened: OPENED, window: int) -> None:
    one = opened(window=window)
    say(one, PROMPT)
    first = list(one._held)
    second = [*first, *tokens(1, 400)]
    once(one, second)
    whole = list(one._held)
    other = opened(window=window)
    follow = [*whole, *tokens(2, 20)]
    text, usage = say(other, follow)
    assert usage.cached_tokens == len(whole)
    # Elsewhere its windows are gone, which costs the reading of it, never the answer.
    text, usage = say(opened(window=window), [*PROMPT[:600], *tokens(3, 20)])
    assert usage.cached_tokens in (0, 600)
    assert text == once(opened("fresh", window), [*PROMPT[:600], *tokens(3, 20)])[0]


def test_a_full_disk_stops_the_saving_not_the_chat(
    opened: OPENED, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = once(opened("fresh"))[0]
    shutil.rmtree(root)
    one, tries = opened(), 0

    def full(handle: int, plain: Any = os.fsync) -> None:
        nonlocal tries
        tries += 1
        if tries >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        plain(handle)

    monkeypatch.setattr(atomic, "sync_folder", lambda path: None)
    monkeypatch.setattr(atomic.os, "fsync", full)
    with caplog.at_level(logging.WARNING, "tzcore.engine"):
        assert say(one, PROMPT)[0] == expected
        assert one._keeper is not None
        assert one._keeper.wait(20)
        assert say(one, tokens(1, 600))[1].cached_tokens == 0
        once(one)
    assert tries == 3
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "full" in caplog.text
    assert "not saved any more" in caplog.text
    assert len(files(root)) == 2  # whole ones, and nothing half
    monkeypatch.undo()
    assert once(opened()) == (expected, 2 * PIECE)


def test_a_folder_that_cannot_be_made_stops_the_saving_not_the_chat(
    opened: OPENED, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root.write_text("in the way")
    with caplog.at_level(logging.WARNING, "tzcore.engine"):
        one = opened()
        say(one, PROMPT)
        once(one)
    assert len(caplog.records) == 1
    assert "cannot write" in caplog.text


@pytest.mark.parametrize("stage", ["half", "whole", "renamed"])
def test_a_kill_at_any_moment_leaves_whole_pieces(opened: OPENED, root: Path, tmp_path: Path, stage: str) -> None:
    expected = once(opened("fresh", padding=1000))[0]
    shutil.rmtree(root)
    words = [sys.executable, snapshot_process.__file__, str(tmp_path / "m"), str(root), "0", "900", stage]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"standing\n"
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    saved = 3 if stage == "renamed" else 2
    assert len(list(root.glob("*/*.kv"))) == saved
    assert len(list(root.glob("*/*.tmp"))) == (stage != "renamed")
    one = opened(padding=1000)
    assert list(root.glob("*/*.tmp")) == []
    assert once(one) == (expected, saved * PIECE)
    assert once(opened(padding=1000)) == (expected, len(PROMPT) - 1)


def test_what_a_living_process_is_writing_is_left_alone(root: Path) -> None:
    (root / "a").mkdir(parents=True)
    names = {f"x.kv.{os.getpid()}.tmp": True, f"y.kv.{os.getpid()}.tmp": False, "z.kv.4194304.tmp": False}
    for name in names:
        (root / "a" / name).write_bytes(b"half")
    os.utime(root / "a" / f"y.kv.{os.getpid()}.tmp", (1000, 1000))  # of one that had the number before
    Snapshots(root=root).clean()
    assert {name: (root / "a" / name).exists() for name in names} == names


def test_stop_is_heard_while_a_text_is_taken_from_the_disk(opened: OPENED) -> None:
    expected, _ = once(opened())
    one, cancel = opened(), threading.Event()
    cancel.set()
    *_, last = one.generate(Request(prompt=PROMPT, sampling=GREEDY, max_tokens=20), cancel)
    assert isinstance(last, Finished)
    assert (last.reason, last.usage.cached_tokens) == ("cancelled", 0)
    assert scripted(one).calls == scripted(one).loaded == []
    assert once(one) == (expected, len(PROMPT) - 1)


def test_what_the_backend_does_not_take_is_read(
    opened: OPENED, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = once(opened())
    before = files(root)

    def load(sequence: ScriptedSequence, pieces: Iterator[bytes], length: int) -> None:
        next(pieces)
        raise BackendError("not of this form")

    monkeypatch.setattr(ScriptedSequence, "load", load)
    with caplog.at_level(logging.INFO, "tzcore.engine"):
        assert once(opened()) == (expected, 0)
    assert "not of this form" in caplog.text
    assert files(root) == before


def test_two_processes_share_a_folder(opened: OPENED, root: Path, tmp_path: Path) -> None:
    def start(seed: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, snapshot_process.__file__, str(tmp_path / "m"), str(root), str(seed), "900", "none"]
        return subprocess.Popen(words, stderr=subprocess.PIPE)

    engine(tmp_path / "m", ScriptedModel()).close()  # the folder is there before both write it
    children = [start(seed) for seed in (0, 0, 7)]
    for child in children:
        _, errors = child.communicate(timeout=60)
        assert (child.returncode, errors) == (0, b"")
    for seed in (0, 7):
        assert once(opened(padding=1000), tokens(seed, 900))[1] == 899
    assert list(root.glob("*/*.tmp")) == []


def test_an_end_in_the_middle_of_saving_is_soon_and_loses_nothing_whole(
    opened: OPENED, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tzcore.engine.keeper._PATIENCE", 0.3)
    one = opened()
    scripted(one).seconds_per_save = 0.25
    say(one, PROMPT)
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 1.5
    assert 1 <= len(files(root)) < 4
    assert once(opened())[1] == len(files(root)[:3]) * PIECE or len(files(root)) == 4


def test_saving_does_not_hold_up_answers(opened: OPENED) -> None:
    one = opened()
    say(one, PROMPT)
    for seed in range(8):
        say(one, tokens(seed, 500))
    assert one._keeper is not None
    assert one._keeper.wait(20)
    assert not any(text.lent for text in one._texts._kept)


def test_a_text_that_is_saved_gives_way_to_one_that_runs(opened: OPENED, root: Path) -> None:
    one = opened()
    scripted(one).seconds_per_save = 0.05
    say(one, tokens(1, 1900))
    say(one, tokens(2, 1900))  # fills the memory
    assert one._keeper is not None
    assert one._keeper.wait(20)
    other = opened()
    assert say(other, tokens(2, 1900))[1].cached_tokens == 1899


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_a_real_model_goes_on_as_if_it_had_never_been_closed(tmp_path: Path, root: Path, family: str) -> None:
    folder = tiny_folder(tmp_path / "m", family)
    answers = []
    for store in (None, Snapshots(root=root), Snapshots(root=root)):
        one = Engine.open(folder, "reference", context=512, snapshots=store)
        prompt = one.prompts.tokenizer.encode(TEXT)[:400]
        *events, last = one.generate(Request(prompt=prompt, sampling=GREEDY, max_tokens=20))
        one.close()
        assert isinstance(last, Finished)
        answers.append(("".join(e.text for e in events if isinstance(e, TextDelta)), last.usage.cached_tokens))
    assert answers[0] == answers[1]
    assert answers[2] == (answers[0][0], 399)
