"""Products on the card's layout against sums in float64: every packing, group, width and number of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.launching import poisoned, run
from tzcore import trits
from tzcore.backend.cuda import layout

FORMATS = ["t1", "q2", "t1b3", "t2", "i4", "t2b3", "i8"]


@dataclass
class Case:
    """A random matrix on the card with random prepared inputs."""

    shape: layout.Shape
    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float16]
    gains: npt.NDArray[np.float32]
    inputs: npt.NDArray[np.int8]
    factors: npt.NDArray[np.float32]

    def weights(self) -> tuple[Any, ...]:
        return layout.arrange(self.codes, self.shape), layout.arrange_scales(self.scales, self.shape), self.gains

    def layout_arguments(self) -> tuple[int, ...]:
        return self.shape.rows, self.shape.steps, self.shape.tail, self.shape.fmt.zero

    def expected(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The product ``[tokens, rows]``, and the sum of its terms' magnitudes."""
        rows, cols, group = self.shape.rows, self.shape.cols, self.shape.group
        wide = np.repeat(self.scales.astype(np.float64), group, axis=1)[:, :cols]
        weights = self.codes * wide * np.repeat(self.gains, 16)[:rows, None]
        x = self.inputs.astype(np.float64) * np.repeat(self.factors[..., 0].astype(np.float64), group, axis=1)
        x = x[:, :cols]
        return x @ weights.T, np.abs(x) @ np.abs(weights).T

    def only(self, token: int) -> Case:
        pick = slice(token, token + 1)
        return Case(self.shape, self.codes, self.scales, self.gains, self.inputs[pick], self.factors[pick])


def case(name: str, rows: int, cols: int, group: int, tokens: int, seed: int = 0) -> Case:
    rng = np.random.default_rng(seed)
    fmt = trits.FORMATS[name]
    shape = layout.Shape(fmt, rows, cols, group)
    codes = rng.integers(fmt.low, fmt.high + 1, (rows, cols)).astype(np.int8)
    scales = rng.uniform(-2, 2, (rows, trits.groups(cols, group))).astype(np.float16)
    gains = rng.uniform(0.5, 2, shape.tiles).astype(np.float32)
    inputs = np.zeros((tokens, shape.blocks * layout.KBLOCK), np.int8)
    inputs[:, :cols] = rng.integers(-128, 128, (tokens, cols))
    factors = np.zeros((tokens, shape.groups, 2), np.float32)
    factors[..., 0] = rng.uniform(0.001, 1, (tokens, shape.groups))
    factors.view(np.int32)[..., 1] = inputs.reshape(tokens, shape.groups, group).sum(-1, dtype=np.int32)
    return Case(shape, codes, scales, gains, inputs, factors)


def few(
    c: Case,
    splits: int = 1,
    one: bool | None = None,
    stride: int | None = None,
    column: int = 0,
    ptx: str | None = None,
) -> Any:
    """``[splits, tokens, stride]`` of product_few."""
    tokens, rows = len(c.inputs), c.shape.rows
    out = poisoned((splits, tokens, stride or rows), np.float32)
    kernel = f"product_few_{c.shape.kind.name}"
    many = "m1" if (tokens == 1 if one is None else one) else "m8"
    arguments = (*c.weights(), c.inputs, c.factors, out, *c.layout_arguments(), tokens, out.shape[2], column)
    grid = (-(-c.shape.tiles // 4), splits, 1)
    run(f"{kernel}_g{c.shape.group}_{many}", grid, 128, *arguments, file=kernel, ptx=ptx)
    return out


def many(c: Case, width: int, ptx: str | None = None) -> Any:
    tokens, rows = len(c.inputs), c.shape.rows
    out = poisoned((tokens, rows), np.float32)
    kernel = f"product_many_{c.shape.kind.name}"
    arguments = (*c.weights(), c.inputs, c.factors, out, *c.layout_arguments(), tokens, rows, 0)
    grid = (-(-tokens // width), -(-c.shape.tiles // 8), 1)
    shared = 2 * (16384 + width * (128 + 8 * 128 // c.shape.group))
    run(f"{kernel}_g{c.shape.group}_n{width}", grid, 256, *arguments, file=kernel, shared=shared, ptx=ptx)
    return out


def assert_close(found: Any, c: Case) -> None:
    expected, size = c.expected()
    assert np.isfinite(found).all()
    assert (np.abs(found - expected) <= 2e-6 * size + 1e-12).all()


@pytest.mark.parametrize("group", [64, 128])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("rows", "cols", "tokens", "splits"),
    [(40, 576, 1, 1), (40, 576, 8, 2), (70, 1536, 3, 1), (16, 64, 2, 1), (16, 2304, 1, 3), (33, 1408, 5, 2)],
)
def test_few(name, group, rows, cols, tokens, splits):
    c = case(name, rows, cols, group, tokens, seed=rows + cols)
    assert_close(few(c, splits).astype(np.float64).sum(0), c)


@pytest.mark.parametrize("group", [64, 128])
@pytest.mark.parametrize("name", FORMATS)
def test_one_token_gives_the_bits_that_it_gives_among_eight(name, group):
    c = case(name, 48, 1984, group, 8)
    among = few(c, 2)
    for token in (0, 3, 7):
        assert (few(c.only(token), 2)[:, 0] == among[:, token]).all()
        assert (few(c.only(token), 2, one=False)[:, 0] == among[:, token]).all()


def test_parts_of_a_wider_output():
    c = case("t1", 20, 192, 64, 2)
    out = few(c, 2, stride=64, column=32)
    assert np.isnan(out[..., :32]).all()
    assert np.isnan(out[..., 52:]).all()
    assert_close(out[..., 32:52].astype(np.float64).sum(0), c)


@pytest.mark.parametrize("group", [64, 128])
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("width", "tokens"), [(32, 9), (32, 40), (128, 20)])
def test_many(name, group, width, tokens):
    c = case(name, 40 if tokens == 9 else 140, 832, group, tokens)
    assert_close(many(c, width), c)


@pytest.mark.parametrize(("group", "own"), [(64, 1), (128, 0)])
@pytest.mark.parametrize("name", ["t1", "t1b3", "i4", "t2b3", "i8"])
def test_routed(name, group, own):
    experts, active, tokens, rows, cols, splits = 3, 2, 2, 40, 704, 2
    slots = active * tokens
    made = [case(name, rows, cols, group, slots, seed=7 + e) for e in range(experts)]
    chosen = np.array([2, 0, 1, 2], np.int32)
    codes = np.concatenate([c.weights()[0].reshape(-1) for c in made])
    scales = np.concatenate([c.weights()[1].reshape(-1) for c in made])
    gains = np.concatenate([c.gains for c in made])
    shape = made[0].shape
    out = poisoned((splits, slots, rows), np.float32)
    sizes = (codes.nbytes // experts, scales.nbytes // experts, gains.nbytes // experts)

    def table(addresses: list[int]) -> npt.NDArray[np.uint64]:
        return np.array([[a + e * s for a, s in zip(addresses, sizes, strict=True)] for e in range(experts)], np.uint64)

    x = made[0]
    arguments = (chosen, x.inputs, x.factors, out, *x.layout_arguments(), active, own, rows, 0)
    grid = (-(-shape.tiles // 4), splits, slots)
    kernel = f"product_routed_{shape.kind.name}"
    run(f"{kernel}_g{group}", grid, 128, (table, codes, scales, gains), *arguments, file=kernel)
    for slot in range(slots):
        e, row = chosen[slot], slot if own else slot // active
        rows_of_input = (x.inputs[row : row + 1], x.factors[row : row + 1])
        one = Case(shape, made[e].codes, made[e].scales, made[e].gains, *rows_of_input)
        assert_close(out[:, slot : slot + 1].astype(np.float64).sum(0), one)
        assert (out[:, slot] == few(one, splits)[:, 0]).all()


@pytest.mark.parametrize(("kernel", "tokens", "splits"), [("few", 1, 1), ("few", 8, 2), ("many", 40, 1)])
def test_half(kernel, tokens, splits):
    rng = np.random.default_rng(3)
    rows, cols = 40, 704
    shape = layout.Shape(trits.FORMATS["f16"], rows, cols, 0)
    weights = rng.standard_normal((rows, cols)).astype(np.float16)
    x = rng.standard_normal((tokens, cols)).astype(np.float32) * 100
    scales = np.exp2(np.floor(np.log2(np.abs(x).max(-1)))).astype(np.float32)
    hi, lo = (np.zeros((tokens, shape.blocks * 128), np.float16) for _ in range(2))
    hi[:, :cols] = x / scales[:, None]
    lo[:, :cols] = (x / scales[:, None] - hi[:, :cols].astype(np.float32)) * 2048
    out = poisoned((splits, tokens, rows), np.float32)
    per = 8 if kernel == "few" else 32
    arguments = (layout.arrange_half(weights, shape), hi, lo, scales, out, rows, shape.blocks, tokens, rows, 0)
    run(f"product_{kernel}_half", (1, splits, -(-tokens // per)), 128, *arguments, file="product_half")
    wide = weights.astype(np.float64)
    assert (np.abs(out.sum(0) - x @ wide.T) <= 1e-6 * (np.abs(x) @ np.abs(wide.T)) + 1e-12).all()
