"""The quality that is expected is made from what was measured, and says how sure it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tzcore import paths
from tzcore.quant import expected
from tzcore.quant.budget import QUALITIES

ROOT = Path(__file__).resolve().parents[3]
RAW = json.loads((paths.resources() / "quality.json").read_text(encoding="utf-8"))["measured"]


@pytest.mark.parametrize("row", RAW, ids=lambda row: f"{row['model']}:{row['option']}")
def test_what_is_shipped_is_what_was_measured(row: dict[str, object]) -> None:
    text = (ROOT / str(row["file"])).read_text(encoding="utf-8")
    if not str(row["file"]).endswith(".txt"):
        assert str(row["kl"]) in text
        assert QUALITIES["high"] == row["kl"]
        return
    line = next(line for line in text.splitlines() if re.match(rf"\S+:{re.escape(str(row['option']))}\s", line))
    bits, _, _, perplexity, kl, _, same = line.split()[1:]
    assert float(bits) == pytest.approx(float(str(row["bits"])), abs=0.01)
    assert (float(perplexity), float(kl)) == (row["perplexity"], row["kl"])
    assert float(same.rstrip("%")) / 100 == pytest.approx(float(str(row["same_token"])))


def test_measured_models_lie_within_what_is_expected_of_them() -> None:
    for row in RAW:
        found = expected.expected(row["bits"], row["parameters"])
        assert found.low <= row["kl"] <= found.high + 1e-9


def test_fewer_bits_lose_more_and_larger_models_less() -> None:
    bits = [1.5, 1.75, 2.0, 2.4, 2.7, 3.36, 4.1, 8.1, 16.0]
    for parameters in (10**8, 10**9, 10**10, 7 * 10**10):
        losses = [expected.expected(each, parameters).kl for each in bits]
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] == 0
    assert expected.expected(2.0, 7 * 10**10).kl < expected.expected(2.0, 10**9).kl


def test_what_is_far_from_what_was_measured_is_less_sure() -> None:
    near, far = expected.expected(3.36, 3 * 10**8), expected.expected(3.36, 7 * 10**10)
    assert near.high / near.low < far.high / far.low
    assert far.low < far.kl < far.high
    assert not far.measured


def test_what_was_measured_is_said_as_such() -> None:
    found = expected.measured_for("starter", "t2")
    assert found == expected.known(0.2067)
    assert found is not None
    assert found.measured
    assert expected.measured_for("", "t2") is None
    assert expected.measured_for("org/other", "t2") is None


def test_levels() -> None:
    assert [expected.level_of(kl) for kl in (0.0, 0.05, 0.2, 0.5, 1.0)] == [
        "same", "close", "sensible", "weaker", "poor",
    ]  # fmt: skip
