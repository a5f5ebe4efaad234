"""The tests on a card are all of the interpreter's that a card can run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gpu import test_kernels
from tzcore.bench.products import ISSUED

TESTS = Path(__file__).resolve().parents[2]
ABOUT_THE_INTERPRETER = {"broken_kernels", "static", "model"}
"""Files that use shipped kernels and stay here: kernels made wrong, texts, and models made by torch."""


def test_every_file_with_cases_is_shared() -> None:
    found = {
        path.stem.removeprefix("test_")
        for path in (TESTS / "ptx").glob("test_*.py")
        if re.search(r"tests\.ptx\.launching import|PTX /", path.read_text(encoding="utf-8"))
    }
    assert found - ABOUT_THE_INTERPRETER == set(test_kernels.FILES)


@pytest.mark.parametrize("file", test_kernels.FILES)
def test_each_file_gives_some(file: str) -> None:
    assert any(name.startswith(f"test_{file}_") for name in vars(test_kernels))


def test_broken_kernels_stay_away_from_cards() -> None:
    names = [name for name in vars(test_kernels) if name.startswith("test_")]
    assert not [name for name in names if name.endswith("_is_caught")]
    assert len(names) > 40


@pytest.mark.parametrize("kind", list(ISSUED))
def test_instructions_a_weight_are_about_those_of_the_table(kind: str) -> None:
    table = (TESTS / "bench" / "results" / "cuda-kernels.txt").read_text(encoding="utf-8")
    for number, most in enumerate((1, 8)):
        found = re.search(rf"^product_few_{kind}_g128_m{most} +90 +\d+ +\d+ +([\d.]+)", table, re.MULTILINE)
        assert found is not None
        assert ISSUED[kind][number] == pytest.approx(float(found[1]), rel=0.15)
