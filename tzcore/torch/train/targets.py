"""What a student follows: the original's predictions, computed as they are needed or kept on disk.

The divergence is the forward one, KL(original ‖ student).  From the ``k`` likeliest tokens of the original it
counts all other tokens as one: a little less than the divergence over the whole vocabulary, and 0 where that is 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tzcore.torch.train.student import Split
from tzcore.torch.train.targets_file import TargetsFile


class Followed(Protocol):
    """The original on one batch of windows; rows are the scored positions of all of them, one after another."""

    layers: list[torch.Tensor] | None
    """Its hidden states ``[rows, width]`` behind every layer, where they are known."""

    def text_loss(self, following: torch.Tensor) -> float:
        """Its own cross entropy, summed over all rows, of the tokens ``following`` ``[rows]``."""

    def divergence(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        """The sum over ``rows`` of KL(original ‖ student), from the student's ``logits`` ``[rows, vocabulary]``."""


class Targets(Protocol):
    """The original on all windows of a text."""

    def batch(self, places: Sequence[int], ids: torch.Tensor) -> Followed:
        """For the windows ``places`` of the text, whose tokens are ``ids`` ``[windows, tokens]``."""


class Live:
    """The original in memory: its whole vocabulary, and with ``layers`` its hidden states."""

    def __init__(self, original: nn.Module, scored: slice, *, layers: bool = False) -> None:
        self._split, self._scored, self._layers = Split(original.eval()), scored, layers

    def batch(self, places: Sequence[int], ids: torch.Tensor) -> Followed:
        with torch.no_grad():
            found = self._split.layers(ids, all_of_them=self._layers)
        return _LiveBatch(self._split, [states[:, self._scored].flatten(0, 1) for states in found])


class _LiveBatch:
    def __init__(self, split: Split, layers: list[torch.Tensor]) -> None:
        self._split = split
        self.layers: list[torch.Tensor] | None = layers
        self._rows = layers[-1]

    def text_loss(self, following: torch.Tensor) -> float:
        total, step = 0.0, self._split.rows_at_once(self._rows)
        with torch.no_grad():
            for start in range(0, len(following), step):
                logits = self._split.head(self._rows[start : start + step]).float()
                total += float(functional.cross_entropy(logits, following[start : start + step], reduction="sum"))
        return total

    def divergence(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        with torch.no_grad():
            theirs = functional.log_softmax(self._split.head(self._rows[rows]).float(), -1)
        ours = functional.log_softmax(logits.float(), -1)
        return functional.kl_div(ours, theirs, reduction="sum", log_target=True)


class Cached:
    """The original's likeliest tokens, from a file that is complete."""

    def __init__(self, file: TargetsFile) -> None:
        self._file = file

    def batch(self, places: Sequence[int], ids: torch.Tensor) -> Followed:
        parts = [self._file.read(place) for place in places]
        # Joined by NumPy: torch's autocast refuses to join halves on the CPU.
        joined = (np.concatenate([part[n] for part in parts]) for n in range(4))
        values, tokens, rest, own = map(torch.from_numpy, joined)
        device = ids.device
        return _CachedBatch(values.to(device), tokens.to(device, torch.int64), rest.to(device), -float(own.sum()))


class _CachedBatch:
    layers: list[torch.Tensor] | None = None

    def __init__(self, values: torch.Tensor, tokens: torch.Tensor, rest: torch.Tensor, own: float) -> None:
        theirs = torch.cat([values.float(), rest.float()[:, None]], 1)
        # Half precision has moved the sum a little away from 1.
        self._theirs, self._tokens = functional.log_softmax(theirs, -1), tokens
        self._own = own

    def text_loss(self, following: torch.Tensor) -> float:
        return self._own  # of the text that the file was made of

    def divergence(self, logits: torch.Tensor, rows: slice) -> torch.Tensor:
        ours = with_rest(logits, self._tokens[rows])
        return functional.kl_div(ours, self._theirs[rows], reduction="sum", log_target=True)


def with_rest(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log probabilities ``[rows, k + 1]`` of ``tokens`` ``[rows, k]``, and last of all other tokens together."""
    wide = logits.float()
    total = wide.logsumexp(-1, keepdim=True)
    if tokens.shape[1] < wide.shape[1]:
        rest = wide.scatter(1, tokens, -torch.inf).logsumexp(-1, keepdim=True) - total
    else:  # nothing is left: not −∞, whose product with 0 is no number
        rest = torch.full_like(total, -1e4)
    return torch.cat([wide.gather(1, tokens) - total, rest], 1)


def likeliest(logits: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of ``logits`` ``[rows, vocabulary]``: log probabilities and ids of the ``k`` likeliest tokens, likeliest first,
    and the log probability of all others."""
    tokens = logits.float().topk(k, -1).indices
    found = with_rest(logits, tokens)
    return found[:, :-1], tokens, found[:, -1]


def add_gradients(
    split: Split,
    layers: Sequence[torch.Tensor],
    followed: Followed,
    next_tokens: torch.Tensor,
    scale: float,
    text_share: float = 0.0,
    hidden_share: float = 0.0,
) -> float:
    """Back-propagates the loss, summed over rows and times ``scale``, to the student's parameters; returns it.

    ``layers`` are the student's hidden states ``[rows, width]``, of which only the last one's logits need be there;
    ``next_tokens`` ``[rows]`` come from the text.  Logits exist for a run of rows at a time, forward and backward.
    Where the loss is not finite no gradient reaches the body.
    """
    states = layers[-1]
    gradient = torch.zeros_like(states)
    step, total = split.rows_at_once(states), 0.0
    for start in range(0, len(states), step):
        rows = slice(start, min(start + step, len(states)))
        part = states[rows].detach().requires_grad_()
        loss = scale * _loss(split, part, followed, next_tokens[rows], rows, text_share)
        total += float(loss.detach())
        if not math.isfinite(total):
            return total
        loss.backward()
        if part.grad is not None:
            gradient[rows] = part.grad
    if not hidden_share or followed.layers is None:
        states.backward(gradient)
        return total
    apart = scale * hidden_share * _distance(layers, followed.layers)
    torch.autograd.backward([states, apart], [gradient, None])
    return total + float(apart.detach())


def _distance(ours: Sequence[torch.Tensor], theirs: Sequence[torch.Tensor]) -> torch.Tensor:
    """The squared distance of hidden states relative to their square, the mean of all layers, summed over rows.

    Each layer learns from its own states, not only from what becomes of them at the end: many numbers a token, where
    the divergence is one.  A distance beyond the size of the states counts by its logarithm: where a student misplaces
    one of those huge activations that models have at a few tokens, it is thousands of times that size.
    """
    total = ours[-1].new_zeros((), dtype=torch.float32)
    for own, wanted in zip(ours, theirs, strict=True):
        wide = wanted.float()
        error = (own.float() - wide).square().sum(-1) / wide.square().sum(-1).clamp(min=1e-12)
        total = total + (error.clamp(max=1) + error.clamp(min=1).log()).sum() / len(ours)
    return total


def _loss(
    split: Split,
    states: torch.Tensor,
    followed: Followed,
    next_tokens: torch.Tensor,
    rows: slice,
    text_share: float,
) -> torch.Tensor:
    logits = split.head(states)
    loss = logits.new_zeros((), dtype=torch.float32)
    if text_share < 1:
        loss = loss + (1 - text_share) * followed.divergence(logits, rows)
    if text_share:
        loss = loss + text_share * functional.cross_entropy(logits.float(), next_tokens, reduction="sum")
    return loss
