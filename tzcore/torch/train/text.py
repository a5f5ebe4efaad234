"""What is read in training: windows of tokens, in an order that the seed and the step alone decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tzcore.errors import RequestError
from tzcore.quant import calibration, texts

Tokens = npt.NDArray[np.int64]
_ALL = 1 << 40
"""More tokens than the project's own text has."""


@dataclass(frozen=True)
class Windows:
    """``ids`` ``[n, window]``; the ``first`` tokens of each are what the tokenizer puts before a text."""

    ids: Tokens
    first: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def window(self) -> int:
        """Tokens a window."""
        return self.ids.shape[1]

    @property
    def scored(self) -> slice:
        """The positions whose predictions count: of tokens of the text, from the tokens before them."""
        return slice(max(0, self.first - 1), self.window - 1)

    @property
    def positions(self) -> int:
        """Scored positions a window."""
        return self.scored.stop - self.scored.start

    def following(self, places: Sequence[int]) -> Tokens:
        """The tokens that the scored positions of these windows predict, ``[windows, positions]``."""
        return self.ids[list(places), self.scored.start + 1 :]

    @property
    def sha256(self) -> str:
        """Of the tokens and their cut."""
        about = f"{self.window} {self.first} ".encode()
        return hashlib.sha256(about + self.ids.astype("<i8").tobytes()).hexdigest()

    def at_step(self, step: int, count: int, seed: int) -> list[int]:
        """The ``count`` windows of step ``step`` (from 0).

        All windows are read once, in an order drawn for that reading, then all of them again in
        another.  Nothing but the arguments decides: a run that goes on reads what it would have read.
        """
        places = range(step * count, (step + 1) * count)
        orders: dict[int, npt.NDArray[np.int64]] = {}
        found = []
        for place in places:
            reading, at = divmod(place, len(self))
            if reading not in orders:
                orders[reading] = np.random.default_rng([seed, reading]).permutation(len(self))
            found.append(int(orders[reading][at]))
        return found

    def without(self, other: Windows) -> Windows:
        """The windows that are not in ``other``."""
        known = {row.tobytes() for row in other.ids}
        kept = [at for at, row in enumerate(self.ids) if row.tobytes() not in known]
        return self if len(kept) == len(self) else Windows(self.ids[kept], self.first)

    def spread(self, count: int) -> Windows:
        """``count`` windows from all over, or all where there are no more."""
        if len(self) <= count:
            return self
        places = (np.arange(count) * len(self)) // count
        return Windows(self.ids[places], self.first)


def collect(
    files: Mapping[str, Path],
    window: int,
    vocabulary: int,
    text: Sequence[Path] = (),
    held_text: Sequence[Path] = (),
    held: int = 16,
) -> tuple[Windows, Windows]:
    """What to train on and what is held out, for the model with these small ``files``.

    ``text`` are files of plain text or conversations (:func:`tzcore.quant.texts.read`), by default the
    project's calibration text.  ``held_text`` are those to measure with, of which ``held`` windows are
    taken.  Without any, every sixteenth window of ``text``, or the project's evaluation texts where
    ``text`` is its own too.  No window is in both.

    RequestError for files that cannot be used, that are named for both, or are too short; SourceError
    for a tokenizer that does not fit.
    """
    twice = {path.resolve() for path in text} & {path.resolve() for path in held_text}
    if twice:
        raise RequestError(f"{min(twice)} cannot be trained on and measured with: take another text for one of them")
    if text:
        read = _cut(text, files, window)
    else:
        own = calibration.collect(files, _ALL, window, None, vocabulary)
        read = Windows(own.windows, _leading(files, window))
    if held_text or not text:
        kept = _cut(held_text or texts.default_paths(), files, window)
    else:
        picked = np.arange(len(read)) % calibration.HELD_SHARE == min(len(read), calibration.HELD_SHARE) - 1
        kept, read = Windows(read.ids[picked], read.first), Windows(read.ids[~picked], read.first)
    kept = kept.spread(held)
    read = read.without(kept)
    for found, what in ((read, "to train on"), (kept, "to measure with")):
        if not len(found):
            raise RequestError(
                f"the text {what} is too short: it has no window of {window} tokens of its own; take more text or a "
                "smaller window"
            )
        if found.ids.max() >= vocabulary:
            top = int(found.ids.max())
            raise RequestError(f"the tokenizer gives the token {top}, the model's vocabulary has {vocabulary}")
    return read, kept


def _leading(files: Mapping[str, Path], window: int) -> int:
    return len(calibration.leading_tokens(calibration.open_tokenizer(files))[: window - 1])


def _cut(paths: Sequence[Path], files: Mapping[str, Path], window: int) -> Windows:
    """Whole windows of each text, one after another."""
    tokenizer = calibration.open_tokenizer(files)
    leading = calibration.leading_tokens(tokenizer)[: window - 1]
    parts = []
    for path in paths:
        ids = tokenizer.encode(texts.read(path, files), add_special_tokens=False).ids
        parts.append(calibration.cut(list(ids), window, leading))
    return Windows(np.concatenate(parts), len(leading))
