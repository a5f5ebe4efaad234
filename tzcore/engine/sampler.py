"""Choosing the next token from the logits.

The order is: penalties, temperature, top-k, top-p, min-p, draw.  Penalties count the answer
alone: repetition (Keskar et al. 2019, CTRL: a positive logit is divided by it, a negative one
multiplied), presence and frequency (as in the OpenAI API: subtracted from the logit).  Counting
the prompt in the first, as some programs do, drives small models away from the very words that
they were asked about.  DRY ("don't repeat yourself", as in llama.cpp and text-generation-webui)
ends loops that span whole sentences: a token that would prolong a run of tokens already written
once, beyond ``DRY_ALLOWED`` of them, loses ``dry_multiplier · DRY_BASE^(length − DRY_ALLOWED)``.

A temperature of 0 takes the largest logit, the lowest id among equals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.backend.base import PENALTY, Choice
from tzcore.errors import BackendError, RequestError

DRY_ALLOWED = 8
"""Tokens that may be repeated word for word.  Code and lists do; sentences in a loop go on."""
DRY_BASE = 1.75
DRY_STEEPEST = 20
"""Tokens beyond which the penalty grows no further: it is past any logit by then."""


@dataclass(frozen=True)
class Sampling:
    """Settings of a sampler; ``top_k`` 0, ``top_p`` 1, ``min_p`` 0 and ``dry_multiplier`` 0 are off.

    The defaults are for chat with small models, which wander at higher temperatures and fall into
    loops without a penalty; a model's own ``generation_config.json`` goes
    before them (:meth:`from_generation_config`).  Values out of range: RequestError.
    """

    temperature: float = 0.3
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.1
    repetition_penalty: float = 1.1
    dry_multiplier: float = 0.8
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name == "seed" and self.seed is None:
                continue
            value = getattr(self, field.name)
            whole = field.name in ("top_k", "seed")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "whole number" if whole else "number"
                raise RequestError(f"{field.name} must be a {kind}, not {repr(value)[:40]}")
            if not whole:
                self._in_range(field.name, value)
        if not 0 <= self.top_k < 1 << 31:
            raise RequestError(f"top_k must be 0 (off) or a positive number of tokens, not {repr(self.top_k)[:40]}")
        if self.seed is not None and not -(1 << 63) <= self.seed < 1 << 64:
            raise RequestError("seed must fit into 64 bits")

    @staticmethod
    def _in_range(name: str, value: float) -> None:
        low, high = _RANGES[name]
        if not low <= value <= high:  # false for NaN as well
            raise RequestError(f"{name} must be from {low:g} to {high:g}, not {repr(value)[:40]}")
        if name == "repetition_penalty" and value <= 0:
            raise RequestError("repetition_penalty must be more than 0 (1 is off)")

    @classmethod
    def from_generation_config(cls, config: dict[str, Any]) -> Sampling:
        """The defaults, with what the model's authors recommend put in their place.

        A recommendation that is no valid value is left out, as it is no more than advice.
        """
        settings: dict[str, Any] = {}
        for name in ("temperature", "top_k", "top_p", "min_p", "repetition_penalty"):  # what such a file can hold
            value = config.get(name)
            try:
                if value is not None:
                    cls(**{name: value})
                    settings[name] = value
            except RequestError:
                continue
        return cls(**settings)


_RANGES = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.0, 100.0),
    "dry_multiplier": (0.0, 100.0),
    "presence_penalty": (-100.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
}


_DEPTH = 32


class Sampler:
    """One running choice: its random stream and what was written so far."""

    def __init__(self, settings: Sampling, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self._settings = settings
        self._random = np.random.default_rng(None if settings.seed is None else settings.seed % (1 << 64))
        self._written = _Written(vocabulary)
        self._repeats = _Repeats()

    def choice(self) -> Choice:
        """What :meth:`pick` would do now, for a backend that chooses by itself; it uses up a random number.

        :meth:`write` what it chose.
        """
        s = self._settings
        uniform = self._random.random()
        return Choice(self.vocabulary, s.temperature, s.top_k, s.top_p, s.min_p, uniform, self._penalties())

    def write(self, token: int) -> None:
        """Remember what was chosen."""
        self._written.write(token)
        if self._settings.dry_multiplier:
            self._repeats.write(token)

    def pick(self, logits: npt.NDArray[np.float32]) -> int:
        """Choose from ``logits`` [vocabulary] and remember the choice.  Not finite: BackendError."""
        row = self._penalised(logits)
        best = int(row.argmax())
        top = float(row[best])
        if not math.isfinite(top):  # argmax and max find NaN and +inf; −inf only where all are
            raise BackendError("The model's output is not a number: its weights are damaged; convert it again")
        token = best if self._settings.temperature == 0 else self._draw(row, top)
        self.write(token)
        return token

    def _penalised(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        penalties = self._penalties()
        if not penalties.size:
            return logits
        row = logits.astype(np.float32, copy=True)
        values, factors = row[penalties["token"]], penalties["factor"]
        row[penalties["token"]] = np.where(values > 0, values / factors, values * factors) - penalties["minus"]
        return row

    def _penalties(self) -> npt.NDArray[np.void]:
        """What each token loses now, as :data:`tzcore.backend.base.PENALTY`."""
        s = self._settings
        tokens, lengths = self._repeats.prolonging()
        counted = s.repetition_penalty != 1.0 or bool(s.presence_penalty or s.frequency_penalty)
        if not counted and not tokens.size:
            return _NO_PENALTIES
        written, counts = self._written.tokens(), self._written.counts()
        found = np.zeros(written.size, PENALTY)
        found["token"], found["factor"] = written, s.repetition_penalty
        if s.presence_penalty or s.frequency_penalty:
            found["minus"] = s.presence_penalty + s.frequency_penalty * counts.astype(np.float32)
        if tokens.size:  # all of them were written before
            excess = np.minimum(lengths - DRY_ALLOWED, DRY_STEEPEST).astype(np.float32)
            places = self._written.places(tokens)
            found["minus"][places] += np.float32(s.dry_multiplier) * np.float32(DRY_BASE) ** excess
            if not counted:
                return found[places]
        return found

    def _draw(self, row: npt.NDArray[np.float32], top: float) -> int:
        s = self._settings
        ids: npt.NDArray[np.intp] | None = None
        if 0 < s.top_k < row.size:
            ids = _largest(row, s.top_k)
            row = row[ids]
        # Relative to the largest, so that nothing overflows and the largest weighs exactly 1.
        with np.errstate(over="ignore", under="ignore"):
            weights = np.exp((row - np.float32(top)) / np.float32(max(s.temperature, 1e-30)))
        if s.top_p < 1.0:
            kept = _nucleus(weights, s.top_p)
            ids = kept if ids is None else ids[kept]
            weights = weights[kept]
        if s.min_p > 0.0:
            kept = np.flatnonzero(weights >= s.min_p)
            ids = kept if ids is None else ids[kept]
            weights = weights[kept]
        cumulative = np.cumsum(weights, dtype=np.float64)
        place = int(np.searchsorted(cumulative, self._random.random() * cumulative[-1], side="right"))
        if place == weights.size:  # the product was rounded up to the sum itself
            place = int(weights.argmax())
        return place if ids is None else int(ids[place])


_NO_PENALTIES = np.zeros(0, PENALTY)
_NO_REPEATS = (np.zeros(0, np.intp), np.zeros(0, np.int32))


class _Written:
    """The distinct tokens of the answer and how often each was written."""

    def __init__(self, vocabulary: int) -> None:
        self._places = np.full(vocabulary, -1, np.int32)
        self._tokens = np.empty(256, np.int32)
        self._counts = np.zeros(256, np.int32)
        self._size = 0

    def write(self, token: int) -> None:
        """``token`` was added to the answer."""
        place = int(self._places[token])
        if place < 0:
            place = self._places[token] = self._size
            if place == self._tokens.size:
                self._tokens = np.resize(self._tokens, 2 * place)
                self._counts = np.concatenate([self._counts, np.zeros(place, np.int32)])
            self._tokens[place] = token
            self._size += 1
        self._counts[place] += 1

    def tokens(self) -> npt.NDArray[np.int32]:
        """In the order in which they first came."""
        return self._tokens[: self._size]

    def counts(self) -> npt.NDArray[np.int32]:
        """Of each of :meth:`tokens`."""
        return self._counts[: self._size]

    def places(self, tokens: npt.NDArray[np.intp]) -> npt.NDArray[np.int32]:
        """Where among :meth:`tokens` these are."""
        return self._places[tokens]


class _Repeats:
    """Which runs of the answer are being repeated at its end.

    For every place in the answer, how many tokens up to it equal the last ones: a new token
    prolongs the runs that it continues and ends the others, so each costs one pass over the answer.
    """

    def __init__(self) -> None:
        self._tokens = np.empty(256, np.intp)
        self._lengths = np.zeros(256, np.int32)
        self._count = 0
        self._longest = 0

    def write(self, token: int) -> None:
        """``token`` was added to the answer."""
        n = self._count
        if n == self._tokens.size:
            self._tokens = np.resize(self._tokens, 2 * n)
            self._lengths = np.concatenate([self._lengths, np.zeros(n, np.int32)])
        before = self._lengths[: max(n - 1, 0)]  # runs that end one place earlier, the last token's own left out
        self._lengths[1:n] = np.where(self._tokens[1:n] == token, before + 1, 0)
        if n:
            self._lengths[0] = self._tokens[0] == token
        self._tokens[n] = token
        self._lengths[n] = 0  # a run is not a repetition of itself
        self._longest = int(self._lengths[:n].max()) if n else 0
        self._count += 1

    def prolonging(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int32]]:
        """Tokens that would make a repetition longer than allowed, each once, and how long it is already."""
        if self._longest < DRY_ALLOWED:
            return _NO_REPEATS
        places = np.flatnonzero(self._lengths[: max(self._count - 1, 0)] >= DRY_ALLOWED)
        tokens, which = np.unique(self._tokens[places + 1], return_inverse=True)
        lengths = np.zeros(tokens.size, np.int32)
        np.maximum.at(lengths, which, self._lengths[places])
        return tokens, lengths


def _nucleus(weights: npt.NDArray[np.float32], top_p: float) -> npt.NDArray[np.intp]:
    """Indices of the fewest largest weights whose share of the sum is at least ``top_p``.

    Only as many of the largest are sorted as are needed, as in a large vocabulary they are few.
    """
    needed = top_p * float(weights.sum(dtype=np.float64))
    count = min(64, weights.size)
    while True:
        largest = _largest(weights, count)
        order = largest[np.argsort(-weights[largest], kind="stable")]
        cumulative = np.cumsum(weights[order], dtype=np.float64)
        if cumulative[-1] >= needed or count == weights.size:
            return order[: int(np.searchsorted(cumulative, needed, side="left")) + 1]
        count = min(count * 8, weights.size)


def _largest(values: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Indices, in ascending order, of the ``count`` largest values.

    A partition of the whole costs milliseconds in a vocabulary of 262,144.  The ``count`` largest
    of the maxima of interleaved runs of ``_DEPTH`` values bound the ``count`` largest values from below,
    which leaves few to look at.
    """
    if count >= values.size:
        return np.arange(values.size)
    stripes = values.size // _DEPTH
    if stripes > 2 * count:
        tops = values[: stripes * _DEPTH].reshape(_DEPTH, stripes).max(axis=0)
        near = np.flatnonzero(values >= np.partition(tops, stripes - count)[stripes - count])
    else:
        near = np.arange(values.size)
    if near.size > count:
        near = near[np.argpartition(values[near], near.size - count)[near.size - count :]]
    return np.sort(near)
