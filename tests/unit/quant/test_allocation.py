from __future__ import annotations

import time
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tzcore import trits
from tzcore.errors import ConversionError
from tzcore.quant import allocation
from tzcore.quant.allocation import BudgetError, Choice, Item

ERRORS = {"t1b3": 0.187, "q2": 0.132, "t2b3": 0.029, "i4": 0.0115, "i8": 4.5e-5}


def item(name: str, choices: dict[str, tuple[int, float]]) -> Item:
    return Item((name,), 1, {fmt: Choice(*pair) for fmt, pair in choices.items()})


def choices(losses: st.SearchStrategy[float], sizes: st.SearchStrategy[int]) -> st.SearchStrategy[list[Item]]:
    one = st.lists(st.tuples(sizes, losses), min_size=1, max_size=5)
    return st.lists(one, min_size=1, max_size=5).map(
        lambda rows: [item(f"m{i}", {f"f{j}": pair for j, pair in enumerate(row)}) for i, row in enumerate(rows)]
    )


SMALL = choices(st.floats(0, 10, width=32), st.integers(1, 30))
# Multiples of one number, equal losses and losses proportional to bytes: ties everywhere.
TIED = st.one_of(
    choices(st.integers(0, 3).map(float), st.integers(1, 4).map(lambda n: 64 * n)),
    choices(st.just(1.0), st.integers(1, 9)),
    st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=5).map(
        lambda rows: [item(f"m{i}", {f"f{n}": (n, (9 - n) / 3) for n in row}) for i, row in enumerate(rows)]
    ),
)


def every(items: list[Item]) -> list[tuple[int, float]]:
    """Bytes and loss of all allocations there are."""
    return [
        (sum(c.bytes for c in combination), sum(c.loss for c in combination))
        for combination in product(*(i.choices.values() for i in items))
    ]


@given(st.one_of(SMALL, TIED), st.floats(-0.1, 1.1))
@settings(deadline=None, max_examples=400)
def test_least_loss_is_that_of_brute_force(items: list[Item], share: float) -> None:
    sizes = [size for size, _ in every(items)]
    limit = round(min(sizes) + share * (max(sizes) - min(sizes)))
    allowed = [loss for size, loss in every(items) if size <= limit]
    if not allowed:
        with pytest.raises(BudgetError, match=f"{min(sizes):,}"):
            allocation.least_loss(items, limit)
        return
    formats = allocation.least_loss(items, limit)
    assert allocation.total_bytes(items, formats) <= limit
    assert allocation.total_loss(items, formats) == pytest.approx(min(allowed), rel=1e-8, abs=1e-9)


@given(st.one_of(SMALL, TIED), st.floats(-0.1, 1.1))
@settings(deadline=None, max_examples=400)
def test_least_bytes_are_those_of_brute_force(items: list[Item], share: float) -> None:
    losses = [loss for _, loss in every(items)]
    bound = min(losses) + share * (max(losses) - min(losses))
    clear = [loss for loss in losses if abs(loss - bound) > 1e-9 * max(losses)]
    if len(clear) < len(losses):
        bound += 1e-6 * max(losses)  # rounding must not decide whether an allocation keeps the bound
    allowed = [size for size, loss in every(items) if loss <= bound]
    if not allowed:
        with pytest.raises(BudgetError):
            allocation.least_bytes(items, bound)
        return
    formats = allocation.least_bytes(items, bound)
    assert allocation.total_loss(items, formats) <= bound * (1 + 1e-9)
    assert allocation.total_bytes(items, formats) == min(allowed)


@pytest.mark.parametrize("seed", range(20))
def test_many_items_against_a_table_of_every_byte(seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = [
        item(f"m{i}", {f"f{j}": (int(rng.integers(1, 40)), float(rng.integers(0, 1000))) for j in range(5)})
        for i in range(40)
    ]
    limit = int(rng.integers(allocation.smallest(items), 40 * 25))
    least = np.zeros(limit + 1)  # the least loss in at most so many bytes
    for one in items:
        shifted = [np.concatenate([np.full(c.bytes, np.inf), least[: -c.bytes]]) + c.loss for c in one.choices.values()]
        least = np.min(shifted, axis=0)
    formats = allocation.least_loss(items, limit)
    assert allocation.total_loss(items, formats) == least[limit]
    back = allocation.least_bytes(items, float(least[limit]))
    assert allocation.total_bytes(items, back) == int(np.argmax(least <= least[limit]))


def model(layers: int, width: int, kv: int, inner: int, group: int, seed: int = 0) -> list[Item]:
    """A model's projections with sensitivities as uneven as real ones."""
    rng = np.random.default_rng(seed)
    shapes = [(width, width), (kv, width), (kv, width), (width, width), (inner, width), (inner, width), (width, inner)]
    items = []
    for index, (rows, cols) in enumerate(shapes * layers):
        weight = float(np.exp(rng.normal()) / layers)
        table = {
            fmt: Choice(allocation.stored_bytes(rows, cols, fmt, group), weight * error * float(rng.uniform(0.8, 1.2)))
            for fmt, error in ERRORS.items()
        }
        items.append(Item((f"m{index}",), rows * cols, table))
    return items


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.9])
def test_a_thousand_matrices_take_moments(share: float) -> None:
    items = model(143, 8192, 1024, 28672, 128)
    least, most = allocation.smallest(items), allocation.largest(items)
    limit = int(least + share * (most - least))
    began = time.perf_counter()
    formats = allocation.least_loss(items, limit)
    best = allocation.total_loss(items, formats)
    back = allocation.least_bytes(items, best)
    assert time.perf_counter() - began < 2
    assert limit - 2e-3 * most <= allocation.total_bytes(items, formats) <= limit
    assert allocation.total_bytes(items, back) <= allocation.total_bytes(items, formats)
    # No single change that fits betters it, and neither does any pair of changes.
    assert not [s for s in allocation.swaps(items, formats, limit, 5) if s.loss < -1e-9 * best]


def test_losses_proportional_to_bytes_do_not_explode() -> None:
    rng = np.random.default_rng(1)
    items = []
    for index in range(1000):
        sizes = [1_000_000 * (j + 1) + int(rng.integers(0, 100_000)) for j in range(6)]
        items.append(item(f"m{index}", {f"f{j}": (n, (7e6 - n) / 1e6 + 0.01 * (j % 2)) for j, n in enumerate(sizes)}))
    limit = (allocation.smallest(items) + allocation.largest(items)) // 2
    began = time.perf_counter()
    formats = allocation.least_loss(items, limit)
    assert time.perf_counter() - began < 5
    assert allocation.total_bytes(items, formats) <= limit
    # A byte is worth 1e-6 here: Lagrange's bound on what any allocation could reach.
    bound = sum(min(c.loss + 1e-6 * c.bytes for c in i.choices.values()) for i in items) - 1e-6 * limit
    assert bound < allocation.total_loss(items, formats) < bound * (1 + 1e-4)


def test_more_bytes_never_lose_more() -> None:
    items = model(6, 576, 192, 1536, 64)
    least, most = allocation.smallest(items), allocation.largest(items)
    losses = [
        allocation.total_loss(items, allocation.least_loss(items, limit))
        for limit in range(least, most + 1, (most - least) // 40)
    ]
    assert all(after <= before for before, after in pairwise(losses))


def test_sensitive_matrices_get_the_bytes() -> None:
    plain = {fmt: (allocation.stored_bytes(256, 256, fmt, 64), error) for fmt, error in ERRORS.items()}
    dear = {fmt: (size, 100 * loss) for fmt, (size, loss) in plain.items()}
    items = [item("plain", plain), item("dear", dear)]
    formats = allocation.least_loss(items, plain["t1b3"][0] + plain["i4"][0])
    assert formats == ["t1b3", "i4"]
    assert allocation.least_loss(items, 10**9) == ["i8", "i8"]
    assert allocation.least_loss([], 5) == []


@pytest.mark.parametrize("fmt", trits.FORMATS)
@pytest.mark.parametrize(("rows", "cols"), [(16, 64), (50, 192), (1, 1), (7, 576), (576, 1536)])
def test_bytes_are_those_of_the_packed_matrix(fmt: str, rows: int, cols: int) -> None:
    form = trits.format_named(fmt)
    if form.packing == "half":
        stored = trits.pack_half(np.zeros((rows, cols), np.float32)).nbytes
    else:
        codes, scales = trits.fit(np.ones((rows, cols), np.float32), form, 64)
        stored = trits.pack(codes, form).nbytes + trits.pack_scales(scales).nbytes
    assert allocation.stored_bytes(rows, cols, fmt, 64) == stored


# --- swaps ---------------------------------------------------------------------------------------


@given(SMALL, st.floats(0, 1))
@settings(deadline=None, max_examples=200)
def test_swaps_keep_the_limit_and_their_word(items: list[Item], share: float) -> None:
    least, most = allocation.smallest(items), allocation.largest(items)
    limit = round(least + share * (max(most, least) - least))
    formats = allocation.least_loss(items, limit)
    swaps = allocation.swaps(items, formats, limit, 3)
    changed = [name for swap in swaps for name in swap.formats]
    assert len(set(changed)) == len(changed)
    together = dict(zip((i.names[0] for i in items), formats, strict=True))
    for swap in swaps:
        one = [swap.formats.get(i.names[0], fmt) for i, fmt in zip(items, formats, strict=True)]
        assert one != formats
        assert allocation.total_bytes(items, one) - allocation.total_bytes(items, formats) == swap.bytes
        moved = allocation.total_loss(items, one) - allocation.total_loss(items, formats)
        assert moved == pytest.approx(swap.loss, rel=1e-6, abs=1e-6)
        assert swap.loss >= -1e-6
        together |= swap.formats
    assert allocation.total_bytes(items, list(together.values())) <= limit


def test_the_doubtful_swap_comes_first() -> None:
    table = {"small": (10, 1.0), "large": (20, 0.0)}
    near = {"small": (10, 0.99), "large": (20, 0.0)}
    far = {"small": (10, 0.2), "large": (20, 0.0)}
    items = [item("chosen", table), item("near", near), item("far", far)]
    formats = allocation.least_loss(items, 40)
    assert formats == ["large", "small", "small"]
    first, *rest = allocation.swaps(items, formats, 40, 5)
    assert first.formats == {"chosen": "small", "near": "large"}
    assert first.loss == pytest.approx(0.01)
    assert not rest  # "chosen" occurs once
    assert allocation.swaps(items[:1], ["large"], 20, 5) == []


@pytest.mark.parametrize("choice", [Choice(0, 1.0), Choice(5, float("nan")), Choice(5, -0.1), Choice(5, float("inf"))])
def test_impossible_choices_are_refused(choice: Choice) -> None:
    with pytest.raises(ConversionError, match="layer"):
        Item(("layer",), 1, {"t1b3": choice})
    with pytest.raises(ConversionError):
        Item(("layer",), 1, {})
