"""Windows of text: their order, what is held out, and what cannot be used."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import TEXT
from tests.unit.torch.train import training_cases as cases
from tzcore.errors import RequestError
from tzcore.torch.train.text import Windows, collect


def test_the_order_is_that_of_seed_and_step_alone() -> None:
    text = cases.windows(10)
    steps = [text.at_step(step, 4, seed=1) for step in range(5)]
    assert Counter(place for step in steps for place in step) == Counter(dict.fromkeys(range(10), 2))
    assert sorted(steps[0] + steps[1] + steps[2][:2]) == list(range(10))
    assert text.at_step(3, 4, seed=1) == steps[3]
    assert [text.at_step(step, 4, seed=2) for step in range(5)] != steps
    assert cases.windows(1).at_step(7, 3, 0) == [0, 0, 0]


@pytest.fixture
def books(tmp_path: Path) -> list[Path]:
    (tmp_path / "a.txt").write_text(TEXT * 3, encoding="utf-8")
    talk = [{"role": "user", "content": "What is a river?"}, {"role": "assistant", "content": TEXT[:400]}]
    lines = [json.dumps({"messages": [*talk, {"role": "user", "content": f"And {n}?"}]}) for n in range(8)]
    (tmp_path / "b.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [tmp_path / "a.txt", tmp_path / "b.jsonl"]


def test_own_text_and_its_held_out_share(books: list[Path], tmp_path: Path) -> None:
    files = cases.files(tmp_path / "files")
    read, held = collect(files, 32, 500, books)
    assert read.window == held.window == 32
    assert len(held) == (len(held) + len(read) + 15) // 16 or len(held) == (len(held) + len(read)) // 16
    rows = {row.tobytes() for row in read.ids}
    assert not any(row.tobytes() in rows for row in held.ids)
    again = collect(files, 32, 500, books)
    assert (again[0].sha256, again[1].sha256) == (read.sha256, held.sha256)
    assert collect(files, 16, 500, books)[0].sha256 != read.sha256
    from tests.tiny_models import tokenizer

    assert "<|im_start|>" in tokenizer().decode(read.ids.reshape(-1).tolist(), skip_special_tokens=False)


def test_a_text_of_its_own_to_measure_with(books: list[Path], tmp_path: Path) -> None:
    files = cases.files(tmp_path / "files")
    read, held = collect(files, 32, 500, books[:1], books[1:], held=3)
    assert len(held) == 3
    assert len(read) > len(collect(files, 32, 500, books[:1])[0])


def test_the_projects_texts(tmp_path: Path) -> None:
    files = cases.files(tmp_path / "files")
    read, held = collect(files, 128, 500)
    assert len(held) == 16
    assert read.ids.size > 100_000
    rows = {row.tobytes() for row in read.ids}
    assert not any(row.tobytes() in rows for row in held.ids)


def test_windows_in_both_are_not_trained_on() -> None:
    text = cases.windows(6)
    assert len(text.without(Windows(text.ids[2:4]))) == 4
    assert text.without(cases.windows(2, seed=4)) is text
    assert np.array_equal(text.spread(3).ids, text.ids[[0, 2, 4]])


def test_what_cannot_be_used(books: list[Path], tmp_path: Path) -> None:
    files = cases.files(tmp_path / "files")
    with pytest.raises(RequestError, match="cannot be trained on and measured with"):
        collect(files, 32, 500, books, books[:1])
    with pytest.raises(RequestError, match=r"none\.txt"):
        collect(files, 32, 500, [tmp_path / "none.txt"])
    (tmp_path / "short.txt").write_text("A river.", encoding="utf-8")
    with pytest.raises(RequestError, match="too short: it has no window of 32 tokens"):
        collect(files, 32, 500, [tmp_path / "short.txt"])
    with pytest.raises(RequestError, match="too short"):
        collect(files, 32, 500, books, [tmp_path / "short.txt"])
    with pytest.raises(RequestError, match="vocabulary has 90"):
        collect(files, 32, 90, books)
    (tmp_path / "bad.jsonl").write_text("{}", encoding="utf-8")
    with pytest.raises(RequestError, match="line 1 is no conversation"):
        collect(files, 32, 500, [tmp_path / "bad.jsonl"])
