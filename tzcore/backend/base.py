"""The protocol that every backend implements.  The engine knows nothing else about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tzcore import trits
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.reader import ModelFolder
from tzcore.keyvalues import F16, KeyValueFormat

Logits = Literal["last", "all", "none"]


PENALTY = np.dtype([("token", np.int32), ("factor", np.float32), ("minus", np.float32)])
"""A token's logit is divided by ``factor`` if it is above 0, else multiplied by it, and less by ``minus``."""


@dataclass(frozen=True)
class Choice:
    """How the next token is chosen: penalties, temperature (0: the largest logit, the lowest id among equals),
    top-k (0: off), top-p (1: off), min-p (0: off), and a draw with the random number ``uniform`` in [0, 1).

    Ids from ``vocabulary`` on are padding and never chosen.  ``penalties`` are :data:`PENALTY`, a token once.
    """

    vocabulary: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    uniform: float
    penalties: npt.NDArray[np.void]


PIECE = 256
"""Tokens whose keys and values :meth:`Sequence.save` hands out together."""


class Sequence(Protocol):
    """The keys and values of one running text.  Not shared between threads.

    Texts that were forked from each other live in one memory, of as many tokens as the first was made for, and
    what they have in common is stored once.
    """

    @property
    def length(self) -> int:
        """Tokens held."""

    @property
    def capacity(self) -> int:
        """Tokens it can hold."""

    @property
    def room(self) -> int:
        """Tokens that can be appended now: what the memory has left beside the other texts in it."""

    def resumable(self, length: int) -> int:
        """The most of the first ``length`` tokens that :meth:`truncate` and :meth:`fork` can go back to.

        It is less than ``length`` where layers with a sliding window have let go of what those tokens saw.
        """

    def truncate(self, length: int) -> None:
        """Forget all tokens from position ``length`` on; BackendError where that is not :meth:`resumable`."""

    def fork(self, length: int) -> Sequence:
        """Another text in the same memory, which begins with the first ``length`` tokens of this one."""

    def save(self, piece: int) -> bytes:
        """The keys and values of the tokens from ``piece · PIECE`` on, at most :data:`PIECE`, in the backend's form."""

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        """Put what :meth:`save` gave of pieces 0, 1, 2, … into an empty text, which has ``length`` tokens then.

        BackendError for bytes that are not of this form, and where the memory has no room; the text is empty then.
        """

    def close(self) -> None:
        """Release the memory, but for what other texts share.  Using the sequence afterwards is a BackendError."""


class LoadedModel(Protocol):
    """A model ready to run.  Calls on one model are serialised by the caller (the engine)."""

    spec: ModelSpec
    exact_chunks: bool
    """Whether a token gets the same logits, to the bit, whatever tokens are appended in one call with it."""

    def new_sequence(self, capacity: int, stored: KeyValueFormat = F16) -> Sequence:
        """A memory of ``capacity`` tokens, and an empty text in it, its keys and values ``stored`` so.

        BackendError says how much memory was missing.
        """

    def cache_form(self, stored: KeyValueFormat) -> str:
        """A name for the form of what :meth:`Sequence.save` gives: another one cannot be read."""

    def forward(
        self, sequence: Sequence, tokens: npt.NDArray[np.int32], logits: Logits = "last"
    ) -> npt.NDArray[np.float32]:
        """Append ``tokens`` and return logits: ``[1, vocab]``, ``[len(tokens), vocab]`` or ``[0, vocab]``.

        Raises ContextFullError when there is no room for them, RequestError for a token outside the
        vocabulary.  On any error the sequence is as it was before.
        """

    def weight_bytes_per_token(self) -> int:
        """Bytes of weights that one decoded token reads (one row of the embedding counted as none)."""

    def close(self) -> None:
        """Release weights and threads."""


@runtime_checkable
class ChoosingModel(Protocol):
    """A model that chooses tokens where its logits are, so that these need not be brought to the processor."""

    def choose(self, sequence: Sequence, tokens: npt.NDArray[np.int32], choice: Choice) -> int:
        """Append ``tokens`` as :meth:`LoadedModel.forward` does, and choose what follows them.

        A BackendError where the logits are not numbers.
        """


def weight_bytes_per_token(folder: ModelFolder, spec: ModelSpec) -> int:
    """What :meth:`LoadedModel.weight_bytes_per_token` counts, as the folder stores it: codes and scales of
    every matrix that a token is multiplied by, of a layer's experts on average those that are active."""
    total = 0.0
    for ref, share in spec.read_per_token():
        stored = folder.matrix(ref.name)
        size = stored.codes.nbytes + (0 if stored.scales is None else stored.scales.nbytes)
        total += share * (size // len(stored.codes) * trits.tiles(ref.rows))
    return round(total)


class Backend(Protocol):
    """A way to run models on this machine."""

    name: str

    def describe(self) -> str:
        """One line for a person: device, instruction set, threads."""

    def load(self, folder: ModelFolder, spec: ModelSpec, threads: int | None = None) -> LoadedModel:
        """Bring the weights into reach.  BackendError or CheckpointError says what is wrong."""
