"""What a training run does, apart from the model and the texts."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from tzcore.errors import RequestError

Mode = Literal["latents", "scales", "lora"]
"""What is trained: the weights behind the codes, their scales alone, or low-rank changes of the weights; norms and
biases always."""

CHANGEABLE = frozenset(
    {"steps", "minutes", "batch", "rate", "warmup", "last_rate", "clip", "bf16", "checkpointing", "eval_every",
     "save_every", "keep"}
)  # fmt: skip
"""Settings that may be others when a run goes on: a lower rate after a loss that was not finite, more steps."""


@dataclass(frozen=True)
class TrainSettings:
    """A step reads about ``tokens`` tokens, whole windows of ``window``, of which ``batch`` are worked on at a time:
    that bounds the memory and changes the last digits only.

    The rate rises over the first ``warmup`` (a share of the whole) to ``rate`` and falls along a cosine to
    ``last_rate`` times it.  The whole is ``steps``, or with ``minutes`` the time, evaluation included.  The rate is
    that of :func:`tzcore.torch.train.parameter_groups`, in levels of a weight a step.
    ``top_k`` is the number of the original's likeliest tokens that are followed at each position, 0 for all of them,
    which needs the original in memory all the time.  The loss is ``1 − text_share`` times the divergence from the
    original, plus ``text_share`` times the cross entropy of the text, plus ``hidden_share`` times the squared error
    of hidden states, relative to their square, the mean of all layers (with ``top_k=0`` alone).  ``clip`` bounds the
    norm of the gradient, 0 does not.  ``keep`` saved states stay.  RequestError for values out of range.
    """

    steps: int = 300
    minutes: float | None = None
    tokens: int = 4096
    window: int = 512
    batch: int = 2
    rate: float = 8e-3
    warmup: float = 0.05
    last_rate: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-8
    clip: float = 1.0
    seed: int = 0
    mode: Mode = "latents"
    rank: int = 16
    top_k: int = 64
    text_share: float = 0.0
    hidden_share: float = 0.0
    bf16: bool = False
    checkpointing: bool = False
    eval_every: int = 50
    eval_windows: int = 16
    save_every: int = 50
    keep: int = 2

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise RequestError(f"unknown mode {self.mode!r}: it can be {', '.join(get_args(Mode))}")
        least = {"steps": 1, "tokens": 2, "window": 2, "batch": 1, "rank": 1, "top_k": 0, "keep": 1, "seed": 0}
        for name in ("eval_every", "eval_windows", "save_every"):
            least[name] = 1
        for name, value in least.items():
            if getattr(self, name) < value:
                raise RequestError(f"{name} must be {value} or more, not {getattr(self, name)}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise RequestError(f"{self.minutes:g} minutes is no time to train")
        if not 0 < self.rate < math.inf:
            raise RequestError(f"the rate must be a positive number, not {self.rate:g}")
        if not all(0 <= beta < 1 for beta in self.betas) or not self.epsilon > 0 or not 0 <= self.clip < math.inf:
            raise RequestError("betas lie from 0 to below 1, epsilon above 0, clip at 0 or above")
        if not all(0 <= getattr(self, name) <= 1 for name in ("warmup", "last_rate", "text_share")):
            raise RequestError("warmup, last_rate and text_share are shares from 0 to 1")
        if not 0 <= self.hidden_share < math.inf:
            raise RequestError("hidden_share is 0 or more")
        if self.hidden_share and self.top_k:
            raise RequestError("hidden_share needs the original in memory: top_k=0")

    @property
    def windows(self) -> int:
        """Windows a step."""
        return max(1, round(self.tokens / self.window))

    def factor(self, share: float) -> float:
        """The rate as a share of ``rate`` when ``share`` of the whole is done."""
        if share < self.warmup:
            return max(share, 1e-3 * self.warmup) / self.warmup
        rest = min(1.0, (share - self.warmup) / max(1e-9, 1.0 - self.warmup))
        return self.last_rate + (1.0 - self.last_rate) * 0.5 * (1.0 + math.cos(math.pi * rest))

    def as_json(self) -> dict[str, Any]:
        """Everything, for a receipt."""
        return {**asdict(self), "betas": list(self.betas)}

    def fixed(self) -> dict[str, Any]:
        """What must be the same when a run goes on."""
        return {name: value for name, value in self.as_json().items() if name not in CHANGEABLE}
