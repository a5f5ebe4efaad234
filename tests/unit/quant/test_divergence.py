from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tzcore.errors import CheckpointError
from tzcore.quant.divergence import POSITIONS_AT_ONCE, Tally, pooled

VOCABULARY = 40


def logits(seed: int, tokens: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal((tokens, VOCABULARY)) * 3).astype(np.float32)


def by_definition(window: np.ndarray, first: int, ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    p, q = (np.exp(x.astype(np.float64)) for x in (theirs, ours))
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    scored = range(max(0, first - 1), len(window) - 1)
    kl = [float((p[t] * np.log(p[t] / q[t])).sum()) for t in scored]
    return {
        "tokens": len(kl),
        "perplexity": float(np.exp(np.mean([-np.log(q[t, window[t + 1]]) for t in scored]))),
        "original_perplexity": float(np.exp(np.mean([-np.log(p[t, window[t + 1]]) for t in scored]))),
        "kl_mean": float(np.mean(kl)),
        "kl_p999": float(np.quantile(kl, 0.999)),
        "top1": float(np.mean([p[t].argmax() == q[t].argmax() for t in scored])),
    }


@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize("tokens", [5, POSITIONS_AT_ONCE + 1, 2 * POSITIONS_AT_ONCE + 30])
def test_measures_are_those_of_the_definitions(tokens: int, first: int) -> None:
    window = np.random.default_rng(1).integers(0, VOCABULARY, tokens).astype(np.int32)
    ours, theirs = logits(2, tokens), logits(3, tokens)
    tally = Tally()
    tally.add(window, first, ours, theirs)
    found, expected = tally.measures(), by_definition(window, first, ours, theirs)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert_allclose(found[name], value, rtol=1e-9, err_msg=name)


def test_texts_pooled_are_as_one() -> None:
    one, parts = Tally(), [Tally(), Tally()]
    for seed, part in enumerate(parts):
        window = np.full(9, seed, np.int32)
        for tally in (one, part):
            tally.add(window, 0, logits(seed, 9), logits(seed + 5, 9))
    assert pooled(parts).measures() == pytest.approx(one.measures())


def test_without_an_original_there_is_perplexity_alone() -> None:
    tally = Tally()
    tally.add(np.zeros(4, np.int32), 0, np.zeros((4, VOCABULARY), np.float32), None)
    assert tally.measures() == {"tokens": 3, "perplexity": pytest.approx(VOCABULARY)}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused(bad: float) -> None:
    ours = logits(0, 6)
    ours[2, 3] = bad
    with pytest.raises(CheckpointError, match="not finite"), np.errstate(invalid="ignore"):
        Tally().add(np.zeros(6, np.int32), 0, ours, None)
