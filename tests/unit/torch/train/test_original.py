"""The original that is followed: whole in memory, block by block, and its likeliest tokens in a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny_models import FAMILIES, tiny_source
from tests.unit.torch.train import training_cases as cases
from tzcore.errors import Cancelled, CheckpointError, RequestError, StorageError
from tzcore.progress import Progress
from tzcore.torch.train.original import cached, model_of_source, reader_of_model, reader_of_source
from tzcore.torch.train.student import Split
from tzcore.torch.train.targets import Live, likeliest, with_rest
from tzcore.torch.train.targets_file import HEADER, TargetsFile
from tzcore.torch.train.text import Tokens, Windows

FROM = {"original": "tiny", "revision": "0"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_reads_as_transformers_does(family: str) -> None:
    """The model made from tensors of a source, and its two parts, give transformers' own logits."""
    source = tiny_source(family)
    ids = torch.arange(40)[None] * 7 % 500
    made = model_of_source(source)
    split = Split(made)
    with torch.no_grad():
        expected = source.model(input_ids=ids).logits
        room = 1e-4 * float(expected.abs().max())  # attention sums in another order
        torch.testing.assert_close(made(input_ids=ids).logits, expected, rtol=1e-4, atol=room)
        torch.testing.assert_close(split.head(split.body(ids)[0]), expected[0], rtol=1e-4, atol=room)
    assert not any(p.requires_grad for p in made.parameters())


def test_block_by_block_gives_the_same_logits() -> None:
    source = tiny_source("llama")
    text = cases.windows(3)
    told: list[tuple[int, str]] = []
    streamed = list(reader_of_source(source)(text.ids, lambda done, detail: told.append((done, detail))))
    whole = list(reader_of_model(source.model)(text.ids, lambda *_: None))
    for a, b in zip(streamed, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    assert told[-1][0] == text.ids.size
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_divergence_of_the_likeliest_is_that_of_all_merged() -> None:
    """With the whole vocabulary it is KL itself; with fewer tokens, of the distributions with the others as one."""
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (torch.randn(5, 50, generator=generator) * 3 for _ in range(2))
    p, q = theirs.softmax(-1), ours.softmax(-1)
    full = (p * (p / q).log()).sum(-1)
    for k in (1, 8, 50):
        values, tokens, rest = likeliest(theirs, k)
        assert torch.allclose(values.exp().sum(-1) + rest.exp(), torch.ones(5))
        merged_p = torch.cat([p.gather(1, tokens), 1 - p.gather(1, tokens).sum(-1, keepdim=True)], 1).clamp(min=1e-30)
        merged_q = torch.cat([q.gather(1, tokens), 1 - q.gather(1, tokens).sum(-1, keepdim=True)], 1).clamp(min=1e-30)
        expected = (merged_p * (merged_p / merged_q).log())[:, : k if k == 50 else None].sum(-1)
        log_p = torch.cat([values, rest[:, None]], 1)
        found = (log_p.exp() * (log_p - with_rest(ours, tokens))).sum(-1)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
        assert (found <= full + 1e-5).all()
        if k == 50:
            torch.testing.assert_close(found, full, rtol=1e-3, atol=1e-5)
    wide = ours.clone().requires_grad_()
    with_rest(wide, likeliest(theirs, 50)[1]).sum().backward()
    assert wide.grad is not None
    assert bool(wide.grad.isfinite().all())


def test_cached_targets_are_those_of_the_model(tmp_path: Path) -> None:
    text, model = cases.windows(5), cases.original()
    kept = cached(tmp_path / "t", text, reader_of_model(model), FROM, 500)
    student = Split(cases.student())
    ids = torch.from_numpy(text.ids[[3, 1]])
    with torch.no_grad():
        logits = student.head(student.body(ids)[:, text.scored].flatten(0, 1))
        live = Live(model, text.scored).batch([3, 1], ids)
        rows = slice(4, 30)
        a, b = (f.divergence(logits[rows], rows) for f in (kept.batch([3, 1], ids), live))
    assert float(a) == pytest.approx(float(b), rel=2e-3)
    following = torch.from_numpy(text.following([3, 1])).flatten()
    assert kept.batch([3, 1], ids).text_loss(following) == pytest.approx(live.text_loss(following), rel=1e-4)
    few = cached(tmp_path / "few", text, reader_of_model(model), FROM, 16).batch([3, 1], ids)
    assert 0 < float(few.divergence(logits[rows], rows)) < float(b)
    with pytest.raises(RequestError, match="top_k is 501, and the vocabulary has 500 tokens"):
        cached(tmp_path / "many", text, reader_of_model(model), FROM, 501)


@pytest.mark.parametrize("bf16", [False, True])
def test_training_follows_cached_targets(tmp_path: Path, bf16: bool) -> None:
    text, held = cases.windows(), cases.windows(2, seed=9)
    read = reader_of_model(cases.original())
    targets = cached(tmp_path / "t", text, read, FROM, 64)
    kept = cases.Held(held, cached(tmp_path / "h", held, read, FROM, 64))
    settings = cases.settings(steps=20, rate=0.05, eval_every=5, top_k=64, bf16=bf16)
    outcome = cases.run(tmp_path / "run", cases.student(), settings=settings, targets=targets, held=kept)
    assert outcome.best["kl"] < outcome.before["kl"]


def test_a_cancelled_or_killed_cache_goes_on(tmp_path: Path) -> None:
    from tzcore.torch.train import original as original_file

    text = cases.windows(2 * original_file.AT_ONCE + 3)
    counted: list[int] = []
    read = reader_of_model(cases.original())

    def counting(ids: Tokens, advance: Callable[[int, str], None]) -> Iterator[torch.Tensor]:
        counted.append(len(ids))
        return read(ids, advance)

    def stop(progress: Progress) -> None:
        if progress.done > original_file.AT_ONCE * text.window:
            raise Cancelled

    whole = tmp_path / "whole"
    cached(whole, text, read, FROM, 8)
    path = tmp_path / "t"
    with pytest.raises(Cancelled):
        cached(path, text, counting, FROM, 8, stop)
    shutil.copy(path, tmp_path / "torn")
    told: list[Progress] = []
    cached(path, text, counting, FROM, 8, told.append)
    assert counted == [original_file.AT_ONCE, original_file.AT_ONCE, original_file.AT_ONCE, 3]
    assert told[0].done == original_file.AT_ONCE * text.window
    assert told[-1].done == told[-1].total == text.ids.size
    assert path.read_bytes() == whole.read_bytes()
    os.truncate(tmp_path / "torn", (tmp_path / "torn").stat().st_size - 5)  # its last record was torn
    cached(tmp_path / "torn", text, read, FROM, 8)
    assert (tmp_path / "torn").read_bytes() == whole.read_bytes()


def test_killed_while_writing(tmp_path: Path) -> None:
    script = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()})\n"
        "import os, sys; from pathlib import Path; from tests.unit.torch.train import training_cases as c\n"
        "from tzcore.torch.train.original import cached, reader_of_model\n"
        "def report(p):\n"
        "    if p.done >= 16 * 24: os._exit(9)\n"
        f"cached(Path(sys.argv[1]), c.windows(20), reader_of_model(c.original()), {FROM!r}, 8, report)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "t"], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    read = reader_of_model(cases.original())
    cached(tmp_path / "t", cases.windows(20), read, FROM, 8)
    cached(tmp_path / "whole", cases.windows(20), read, FROM, 8)
    assert (tmp_path / "t").read_bytes() == (tmp_path / "whole").read_bytes()


def test_damaged_records_are_made_again(tmp_path: Path) -> None:
    text, read, path = cases.windows(4), reader_of_model(cases.original()), tmp_path / "t"
    kept = cached(path, text, read, FROM, 8)
    good = path.read_bytes()
    bad = bytearray(good)
    bad[HEADER + (len(good) - HEADER) // 4 + 17] ^= 4
    path.write_bytes(bad)
    file = TargetsFile(path, {**FROM, "text": text.sha256}, 4, text.positions, 8)
    assert file.missing == [1]
    with pytest.raises(CheckpointError, match="is damaged at window 1: run the same command again"):
        file.read(1)
    cached(path, text, read, FROM, 8)
    assert path.read_bytes() == good
    assert kept.batch([0], torch.from_numpy(text.ids[:1])).layers is None


@pytest.mark.parametrize("what", ["text", "original", "k", "header"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, what: str) -> None:
    text, read, path = cases.windows(4), reader_of_model(cases.original()), tmp_path / "t"
    cached(path, text, read, FROM, 8)
    if what == "header":
        content = bytearray(path.read_bytes())
        content[3] ^= 1
        path.write_bytes(content)
    other = {**FROM, "revision": "1"} if what == "original" else FROM
    with pytest.raises(CheckpointError, match="is damaged, or holds the predictions of another original or text"):
        cached(path, cases.windows(4, seed=2) if what == "text" else text, read, other, 9 if what == "k" else 8)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_no_room_for_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.with_name("t.tmp").symlink_to("/dev/full")
    with pytest.raises(StorageError, match="is full: free some space"):
        cached(path, cases.windows(2), reader_of_model(cases.original()), FROM, 8)


def test_the_last_position_and_the_given_tokens_do_not_count() -> None:
    text = Windows(np.zeros((1, 10), np.int64), first=2)
    assert (text.scored, text.positions) == (slice(1, 9), 8)
    assert Windows(np.zeros((1, 10), np.int64)).scored == slice(0, 9)
