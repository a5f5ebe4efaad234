"""What the benchmarks make of seconds, and what they hold them against."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.backend.cuda.shapes import shape
from tzcore import trits
from tzcore.backend.cuda.layout import Shape
from tzcore.bench import products, timing, whole_model, words
from tzcore.bench.kernels import compare_packings
from tzcore.trits import FORMATS

CARD = SimpleNamespace(multiprocessors=128, clock=2.5e9, l2_bytes=72 << 20)
SQUARE = Shape(FORMATS["t1"], 8192, 8192, 128)


@pytest.mark.parametrize(("size", "copies"), [(16 << 20, 18), (288 << 20, 2), (1 << 30, 2), (100, 3019899)])
def test_work_rotates_over_four_times_the_cache(size: int, copies: int) -> None:
    assert timing.rotation(size, CARD.l2_bytes) == copies
    assert copies * size >= 4 * CARD.l2_bytes or copies == 2


@pytest.mark.parametrize(("size", "copies", "count"), [(16 << 20, 18, 126), (3 << 30, 2, 2), (1 << 30, 2, 2)])
def test_launches_are_whole_rounds_of_about_the_span(size: int, copies: int, count: int) -> None:
    assert timing.launches(size, copies) == count
    assert count % copies == 0


class Clock:
    """A device whose graphs take the seconds that they are."""

    def stream(self) -> None:
        return None

    def event(self) -> list[float]:
        return [0.0]

    now = 0.0

    def record(self, event: list[float], stream: Any = None) -> None:
        event[0] = self.now

    def elapsed(self, first: list[float], second: list[float]) -> float:
        return second[0] - first[0]


class Takes:
    def __init__(self, clock: Clock, seconds: list[float], log: list[Any]) -> None:
        self.clock, self.seconds, self.log = clock, iter(seconds), log

    def launch(self, stream: Any = None) -> None:
        self.log.append(self)
        self.clock.now += next(self.seconds)

    def close(self) -> None: ...


def test_turns_alternate_and_do_not_count_the_first() -> None:
    clock, log = Clock(), []
    a, b = Takes(clock, [9, 1, 2, 3], log), Takes(clock, [9, 4, 5, 6], log)
    timer = timing.Timer(clock)  # type: ignore[arg-type]
    assert timer.turns([a, b], 3) == [[1, 2, 3], [4, 5, 6]]
    assert log == [a, b] * 4


def test_rows_compare_with_the_copy_of_the_same_round() -> None:
    """Rounds of the same clocks: a slow round slows both, and the share stays."""
    rounds = [[1e-5, 2e-5, 1e-5], [1.1e-5] * 3, [1e-5] * 3, [1e-5] * 3]
    first, second, *_ = products.rows_of(CARD, SQUARE, rounds, [0.9e-5, 1.8e-5, 0.9e-5], 4e12)  # type: ignore[arg-type]
    assert first["share_of_copy"] == pytest.approx(0.9)
    assert first["bytes_per_second"] == pytest.approx(SQUARE.bytes / 1e-5)
    assert first["share_of_ceiling"] == pytest.approx(SQUARE.bytes / 1e-5 / 4e12)
    assert second["times_one_token"] == pytest.approx(1.1)
    assert first["predicted_memory"] == pytest.approx((8192 * 8192 * 2.125 / 8 + 4 * 512) / 4e12)


def test_time_to_issue() -> None:
    weights = 8192 * 8192
    expected = weights * products.ISSUED["slots2"][0] / 32 / (128 * 4 * 2.5e9)
    assert products.issue_seconds(CARD, SQUARE, False) == pytest.approx(expected)  # type: ignore[arg-type]
    unknown = SimpleNamespace(multiprocessors=1, clock=0.0)
    assert products.issue_seconds(unknown, SQUARE, False) is None  # type: ignore[arg-type]


def test_base_3_is_compared_with_slots_at_as_many_tokens() -> None:
    rows = [{"format": name, "tokens": tokens, "seconds": seconds} for name, tokens, seconds in
            (("t1", 1, 1.2), ("t1", 8, 1.5), ("t1b3", 1, 1.0), ("t1b3", 8, 1.0), ("t2b3", 1, 1.0))]  # fmt: skip
    compare_packings(rows)
    assert [row.get("times_slots") for row in rows] == [None, None, 1.2, 1.5, None]


@pytest.mark.parametrize("name", list(FORMATS))
def test_random_bytes_are_valid(name: str) -> None:
    fmt = FORMATS[name]
    made = products.valid_bytes(fmt, 999)
    assert made.shape == (999,)
    if fmt.packing == "base3":
        assert set(made) <= {(v * 256 + 242) // 243 for v in range(243)}
    elif fmt.packing in ("slots2", "slots4"):
        bits = 2 if fmt.packing == "slots2" else 4
        digits = np.stack([made >> shift & (1 << bits) - 1 for shift in range(0, 8, bits)])
        assert (digits.min(), digits.max()) == (fmt.low + fmt.zero, fmt.high + fmt.zero)
    elif fmt.packing == "slots8":
        assert made.view(np.int8).min() >= fmt.low


def test_keys_and_values_of_a_token() -> None:
    llama = shape("llama-3-70b")
    assert whole_model.kv_bytes(llama, 0) == 80 * 2 * 2 * 8 * 128
    assert whole_model.kv_bytes(llama, 32767) == 32768 * 80 * 2 * 2 * 8 * 128
    windowed = replace(llama, layers=tuple(replace(layer, window=100) for layer in llama.layers[:2]))
    assert whole_model.kv_bytes(windowed, 1000) == 2 * 100 * 2 * 2 * 8 * 128


def test_depths_that_fit() -> None:
    assert whole_model.fitting((0, 8192, 32768), 8192 + 40, 40) == [0, 8192]
    assert whole_model.fitting((0, 8192), 8192 + 39, 40) == [0]


def test_weights_that_a_prompt_is_multiplied_by() -> None:
    """68.45 G of Llama 3 70B: not the embedding, and not the head."""
    assert whole_model._weights(shape("llama-3-70b")) == 68_451_041_280


def test_lines() -> None:
    rows = products.rows_of(CARD, SQUARE, [[1e-5]] * 4, [0.9e-5], 4e12)  # type: ignore[arg-type]
    text = words.lines([{"what": "ceilings", "copy_bandwidth": 4.3e12}, *rows, {"what": "new"}])
    assert "4,300 GB/s" in text
    assert text.count("8192 x 8192") == 4
    assert "  90%" in text
    assert text.endswith("{'what': 'new'}")
    head, row = (line for line in text.splitlines() if "T / 1" in line or (" 1 " in line and "t1" in line))
    assert head.index("T / 1") + 5 == row.index("1.00") + 4


def test_prediction_of_the_bytes_of_a_format() -> None:
    """The card's bytes are those of the disk's format, but for padding: 1.725 and 2.125 bits a weight."""
    assert Shape(FORMATS["t1b3"], 8192, 10240, 128).bytes * 8 / 8192 / 10240 == pytest.approx(1.725, rel=1e-3)
    assert trits.tile_bytes(FORMATS["t1"], 8192) * 8 / 16 / 8192 == 2
