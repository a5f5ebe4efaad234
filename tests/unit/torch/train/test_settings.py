"""Settings of training: what is refused, and how the rate runs."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tzcore.errors import RequestError
from tzcore.torch.train.settings import TrainSettings


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps must be 1 or more"),
        ({"mode": "all"}, "unknown mode 'all': it can be latents, scales, lora"),
        ({"rate": math.nan}, "positive number"),
        ({"rate": 0.0}, "positive number"),
        ({"minutes": 0.0}, "no time to train"),
        ({"minutes": math.inf}, "no time to train"),
        ({"text_share": 1.5}, "shares from 0 to 1"),
        ({"hidden_share": 1.0}, "top_k=0"),
        ({"betas": (1.0, 0.9)}, "betas"),
        ({"clip": -1.0}, "clip"),
        ({"window": 1}, "window must be 2"),
        ({"keep": 0}, "keep must be 1"),
    ],
)
def test_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        TrainSettings(**changes)


def test_the_rate_rises_and_falls() -> None:
    settings = TrainSettings(warmup=0.1, last_rate=0.1)
    assert 0 < settings.factor(0) < 0.01
    assert settings.factor(0.05) == pytest.approx(0.5)
    assert settings.factor(0.1) == pytest.approx(1.0)
    assert settings.factor(0.55) == pytest.approx(0.55)
    assert settings.factor(1.0) == pytest.approx(0.1)
    assert TrainSettings(warmup=0.0).factor(0) == 1.0


def test_what_may_change_when_a_run_goes_on() -> None:
    plain = TrainSettings()
    assert plain.fixed() == TrainSettings(rate=0.5, steps=7, batch=1, minutes=3).fixed()
    assert plain.fixed() != TrainSettings(seed=1).fixed()
    assert TrainSettings(tokens=4096, window=512).windows == 8
    assert TrainSettings(tokens=100, window=512).windows == 1
