"""The choice of the next token, against the engine's sampler and against the whole distribution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.ptx.device import KernelFault
from tests.ptx.launching import poisoned, ptx_of, run
from tzcore.engine.sampler import Sampler, Sampling

Floats = npt.NDArray[np.float32]


def choose(
    logits: Floats, uniform: list[float] | Floats, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0,
    min_p: float = 0.0, allowed: int | None = None, ptx: str | None = None,
) -> list[int]:  # fmt: skip
    """One token for every row of ``logits``, or for every one of ``uniform`` where there is a single row."""
    draws = np.array(uniform, np.float32)
    rows = np.array(np.broadcast_to(logits, (len(draws), logits.shape[-1])), order="C")
    token = poisoned((len(rows),), np.int32)
    run(
        "choose", (len(rows), 1, 1), 1024,
        rows, rows.shape[1], rows.shape[1] if allowed is None else allowed, temperature, top_k, top_p, min_p, draws,
        token, ptx=ptx,
    )  # fmt: skip
    return [int(t) for t in token]


class Fixed:
    """A random stream of one number."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


def sampled(logits: Floats, uniform: Floats, **settings: float) -> list[int]:
    chosen = []
    for u in uniform:
        sampler = Sampler(Sampling(repetition_penalty=1.0, dry_multiplier=0.0, **settings), logits.size)  # type: ignore[arg-type]
        sampler._random = Fixed(float(u))  # type: ignore[assignment]
        chosen.append(sampler.pick(logits))
    return chosen


def kept(
    logits: Floats, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> npt.NDArray[np.float64]:
    """Everybody's probability; of equals the lower ids are kept."""
    order = np.argsort(-logits, kind="stable")
    with np.errstate(under="ignore"):
        ranked = np.exp((logits[order].astype(np.float64) - logits.max()) / temperature)
    if 0 < top_k < logits.size:
        ranked[top_k:] = 0
    if top_p < 1:
        above = np.cumsum(ranked) - ranked
        ranked[1:][above[1:] >= top_p * ranked.sum()] = 0
    ranked[ranked < min_p] = 0
    out = np.zeros_like(ranked)
    out[order] = ranked
    return out / out.sum()


def drawn(shares: npt.NDArray[np.float64], uniform: Floats) -> list[int]:
    """The first id, in ascending order, up to which the shares make up more than the number drawn."""
    return [int(np.searchsorted(np.cumsum(shares), u, side="right")) for u in uniform]


def peaked(V: int, seed: int = 0, scale: float = 3.0) -> Floats:
    return (np.random.default_rng(seed).standard_normal(V) * scale).astype(np.float32)


UNIFORM = np.linspace(0.003, 0.997, 8, dtype=np.float32)

SETTINGS = {
    "defaults": (3000, 3.0, {"temperature": 0.3, "top_k": 40, "top_p": 0.95, "min_p": 0.1}),
    "nothing but temperature": (2500, 3.0, {"temperature": 0.8}),
    "top k": (5000, 1.0, {"temperature": 1.3, "top_k": 100}),
    "top k of few ids": (70, 1.0, {"temperature": 1.0, "top_k": 69}),
    "top p": (4000, 4.0, {"temperature": 0.7, "top_p": 0.9}),
    "top p beyond the near ones": (6000, 0.5, {"temperature": 1.0, "top_p": 0.95}),
    "top k larger than a block": (3000, 1.0, {"temperature": 1.0, "top_k": 1500}),
    "both, larger than a block": (4000, 0.3, {"temperature": 1.0, "top_k": 2000, "top_p": 0.8}),
    "min p": (3000, 2.0, {"temperature": 1.0, "min_p": 0.05}),
    "top p and min p": (1025, 2.0, {"temperature": 1.0, "top_p": 0.6, "min_p": 0.02}),
    "top p of nothing": (1500, 2.0, {"temperature": 1.0, "top_p": 0.0}),
    "all but cold": (1500, 2.0, {"temperature": 1e-9, "top_k": 7, "top_p": 0.5}),
}


@pytest.mark.parametrize(("V", "scale", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
def test_draws_from_what_the_sampler_keeps(V: int, scale: float, settings: dict[str, float]) -> None:
    """The same token where the sampler goes by id too, as it does without top_p; with it, from the same tokens."""
    logits = peaked(V, V, scale)
    shares = kept(logits, **settings)  # type: ignore[arg-type]
    tokens = choose(logits, UNIFORM, **settings)  # type: ignore[arg-type]
    assert tokens == drawn(shares, UNIFORM)
    off = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
    by_sampler = sampled(logits, UNIFORM, **(off | settings))
    if "top_p" not in settings:
        assert tokens == by_sampler
    assert shares[by_sampler].all()
    (last,) = sampled(logits, np.array([1 - 2**-24], np.float32), **(off | settings))
    if "top_p" in settings and "min_p" not in settings:  # the sampler's last is then its lightest
        assert shares[last] == shares[shares > 0].min()


@pytest.mark.parametrize("V", [1, 31, 1024, 1025, 5000])
def test_the_largest_and_the_lowest_id_among_equals(V: int) -> None:
    logits = peaked(V, 3)
    top = int(logits.argmax())
    assert choose(logits, [0.5], temperature=0.0) == [top]
    logits[V // 2 :: 7] = logits[top]
    assert choose(logits, [0.5], temperature=0.0) == [int(logits.argmax())]


def test_signed_zeros_are_equal() -> None:
    assert choose(np.array([-1, -0.0, 0.0, -0.0], np.float32), [0.9], temperature=0.0) == [1]


@pytest.mark.parametrize("settings", [{}, {"top_k": 5}, {"top_p": 0.5}, {"temperature": 0.0}], ids=str)
def test_ids_beyond_the_allowed_are_never_chosen(settings: dict[str, float]) -> None:
    logits = peaked(2000, 1)
    logits[1500:] = np.nan
    logits[1600] = 1e9
    expected = choose(np.ascontiguousarray(logits[:1500]), UNIFORM[::4], **settings)  # type: ignore[arg-type]
    assert choose(logits, UNIFORM[::4], allowed=1500, **settings) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [{}, {"top_k": 5}, {"temperature": 0.0}], ids=str)
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf])
def test_no_token_where_the_output_is_no_number(bad: float, settings: dict[str, float]) -> None:
    logits = peaked(1300, 2)
    logits[1234] = bad
    assert choose(logits, [0.5], **settings) == [-1]  # type: ignore[arg-type]
    assert choose(np.full(64, -np.inf, np.float32), [0.5], **settings) == [-1]  # type: ignore[arg-type]
    logits[1234] = -np.inf
    assert choose(logits, [0.5], temperature=0.0) == [int(logits.argmax())]


@pytest.mark.parametrize(("top_k", "top_p"), [(5, 1.0), (0, 0.004), (0, 0.5), (2900, 1.0), (7, 0.55)])
def test_among_equals_the_lower_ids_are_kept(top_k: int, top_p: float) -> None:
    """A row of one value, and a few above it: the first in order of id, in equal shares."""
    logits = np.zeros(3000, np.float32)
    logits[[2500, 100]] = 1
    uniform = np.array([0.0, 0.1, 0.37, 0.61, 0.9, 0.9999], np.float32)
    expected = drawn(kept(logits, top_k=top_k, top_p=top_p), uniform)
    assert choose(logits, uniform, top_k=top_k, top_p=top_p) == expected


@pytest.mark.parametrize("settings", [{}, {"top_k": 40}, {"top_k": 1200}, {"top_p": 0.7}, {"min_p": 0.1}], ids=str)
def test_ids_that_are_ruled_out(settings: dict[str, float]) -> None:
    """Logits of -∞, as a grammar makes them: never drawn, whatever is kept."""
    logits = np.full(2500, -np.inf, np.float32)
    logits[[3, 1700, 2499]] = [1.0, 2.0, 1.5]
    assert choose(logits, UNIFORM, **settings) == drawn(kept(logits, **settings), UNIFORM)  # type: ignore[arg-type]


def test_frequencies_are_the_distributions() -> None:
    """Uniform numbers spread evenly give every token its share of them, to within one."""
    logits = np.log(np.array([0.4, 0.05, 0.3, 0.05, 0.2]), dtype=np.float32)
    uniform = (np.arange(40, dtype=np.float32) + 0.5) / 40
    assert np.bincount(choose(logits, uniform), minlength=5).tolist() == [16, 2, 12, 2, 8]
    assert np.bincount(choose(logits, uniform, top_k=3), minlength=5).tolist() == [18, 0, 13, 0, 9]


def test_one_row_gives_the_token_that_it_gives_among_eight() -> None:
    rows = np.stack([peaked(1800, seed) for seed in range(8)])
    uniform = np.linspace(0, 0.99, 8, dtype=np.float32)
    for settings in ({}, {"top_k": 30, "top_p": 0.9}):
        together = choose(rows, uniform, **settings)  # type: ignore[arg-type]
        for t in (0, 5, 7):
            assert choose(rows[t : t + 1], uniform[t : t + 1], **settings) == together[t : t + 1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "new", "settings"),
    [
        ("max.u64", "min.u64", {"temperature": 0.0}),
        ("bar.sync", "// bar.sync", {"top_k": 40}),
        ("ex2.approx", "lg2.approx", {"top_k": 40}),
        ("mul.hi.u64", "mul.lo.u64", {"top_k": 40}),
    ],
    ids=["smallest", "no barriers", "wrong weights", "wrong share"],
)
def test_a_wrong_kernel_is_caught(old: str, new: str, settings: dict[str, float]) -> None:
    ptx = ptx_of("choose")
    assert old in ptx
    logits = peaked(2000, 4)
    expected = choose(logits, UNIFORM, **settings)  # type: ignore[arg-type]
    with pytest.raises((AssertionError, KernelFault)):
        assert choose(logits, UNIFORM, ptx=ptx.replace(old, new), **settings) == expected  # type: ignore[arg-type]
