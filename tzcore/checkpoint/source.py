"""The original model as the converter sees it, whatever file format it came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


class WeightSource(Protocol):
    """Original weights under their Hugging Face names, read one tensor at a time.

    ``id`` is what the user typed (``org/name``, ``starter``, a path); ``revision`` the exact
    commit or a hash of the files; ``licence`` an SPDX-like word or ``"unknown"``.  ``config`` is
    the model's ``config.json``.  ``files`` are the small files to copy into the model folder
    by their name there: ``tokenizer.json`` always, and where the model has them
    ``tokenizer_config.json``, ``generation_config.json``, ``chat_template.jinja``.
    """

    id: str
    revision: str
    licence: str
    config: dict[str, Any]
    files: dict[str, Path]

    def names(self) -> Iterable[str]:
        """All tensor names, e.g. ``model.layers.0.self_attn.q_proj.weight``."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The tensor's shape, from the header alone.  A missing name is a SourceError."""

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """The tensor's values as float32, freshly read.  Missing or broken: SourceError."""

    def bytes(self) -> int:
        """Stored bytes of all tensors of the original."""

    def close(self) -> None:
        """Release files and maps."""


@runtime_checkable
class PassingSource(Protocol):
    """A source that keeps only what is about to be read: told what is coming, it fetches and deletes."""

    def expect(self, names: Sequence[str]) -> None:
        """These tensors will be read from now on, in this order; no other is needed.

        Replaces what was expected before.  Nothing is fetched by this alone; what is on the disk
        and not expected is deleted.
        """

    def release(self, names: Iterable[str]) -> None:
        """These tensors have been used and are not expected any more."""

    def dispose(self) -> None:
        """The work is done: delete everything that was fetched for it."""
