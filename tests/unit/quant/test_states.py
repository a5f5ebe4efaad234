from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tzcore.errors import StorageError
from tzcore.quant.states import States, existing, mapped


def test_a_function_over_all_windows(tmp_path: Path) -> None:
    x = States(tmp_path / "x", (7, 3, 5), 4, create=True)
    values = torch.randn(7, 3, 5)
    assert list(x.batches()) == [(0, 4), (4, 7)]
    assert list(x.batches(5)) == [(0, 4), (4, 5)]
    for start, stop in x.batches():
        x.put(start, stop, values[start:stop])
    out = mapped(lambda a, b: torch.cat([a, 2 * b], -1), tmp_path / "y", x, x)
    assert out.shape == (7, 3, 10)
    assert torch.equal(out.windows([6, 0]), torch.cat([values, 2 * values], -1)[[6, 0]])
    assert torch.equal(out.rows(torch.tensor([20, 4])), torch.cat([values, 2 * values], -1).view(21, 10)[[20, 4]])


def test_rows_are_added(tmp_path: Path) -> None:
    x = States(tmp_path / "x", (2, 3, 4), 2, create=True)
    x.add_rows(torch.tensor([5, 0]), torch.ones(2, 4))
    x.add_rows(torch.tensor([5]), torch.ones(1, 4))
    assert x.part(0, 2).sum(-1).tolist() == [[4, 0, 0], [0, 0, 8]]


def test_kept_states_are_found_whole_or_not_at_all(tmp_path: Path) -> None:
    x = States(tmp_path / "x", (2, 3, 4), 2, create=True)
    x.put(0, 2, torch.full((2, 3, 4), 7.0))
    x.keep(tmp_path / "kept")
    assert not (tmp_path / "x").exists()
    again = existing(tmp_path / "kept", (2, 3, 4), 2)
    assert again is not None
    assert again.part(0, 2).eq(7).all()
    assert existing(tmp_path / "kept", (2, 3, 5), 2) is None
    again.remove()
    assert existing(tmp_path / "kept", (2, 3, 4), 2) is None
    assert again.part(0, 2).eq(7).all()


def test_no_room_on_the_disk_is_said_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"full|large|write"):
        States(tmp_path / "x", (1 << 20, 1 << 20, 1 << 10), 1, create=True)
