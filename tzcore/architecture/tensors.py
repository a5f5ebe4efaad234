"""Checks a model's tensor names against what its architecture needs: none missing, none ignored."""

from __future__ import annotations

import re
from collections.abc import Collection

from tzcore.architecture.spec import MatrixRef
from tzcore.errors import SourceError, UnsupportedModelError

PREFIXES = ("model.", "language_model.model.", "model.language_model.", "")
"""Where checkpoints keep the decoder: text models, multimodal ones on the hub, as saved by
transformers 4.52 and later, and bare ``*Model`` saves."""

_NEEDLESS = re.compile(r"rotary_emb\.inv_freq$|^(language_model\.)?lm_head\.|vision_tower\.|multi_modal_projector\.")
"""Tensors that may lie unused: recomputed tables, a copy of a tied head, the image side."""


class Tensors:
    """The names in a checkpoint.  Every request is noted; :meth:`check` raises what is wrong."""

    def __init__(self, names: Collection[str], family: str) -> None:
        self._names = names if isinstance(names, set | frozenset) else frozenset(names)
        self._family = family
        self._asked: dict[str, None] = {}  # a set that keeps its order, for messages
        found = [p for p in PREFIXES if f"{p}embed_tokens.weight" in self._names]
        self.prefix = found[0] if found else PREFIXES[0]

    def vector(self, name: str) -> str:
        """A norm or bias, by its name behind the prefix; returns the full name."""
        self._asked[self.prefix + name] = None
        return self.prefix + name

    def matrix(self, name: str, rows: int, cols: int) -> MatrixRef:
        """A whole matrix, by its name behind the prefix, without ``.weight``."""
        self._asked[f"{self.prefix}{name}.weight"] = None
        return MatrixRef(self.prefix + name, 0, rows, cols)

    def split(self, name: str, cols: int, *rows: int) -> tuple[MatrixRef, ...]:
        """A matrix that holds several below one another, with these numbers of rows."""
        if any(count % 16 for count in rows[:-1]):
            raise UnsupportedModelError(f"{self._family}: {name} is split at rows {rows}, not multiples of 16")
        self._asked[f"{self.prefix}{name}.weight"] = None
        starts = [sum(rows[:i]) for i in range(len(rows))]
        return tuple(MatrixRef(self.prefix + name, s, r, cols) for s, r in zip(starts, rows, strict=True))

    def head(self, rows: int, cols: int) -> MatrixRef:
        """The separate output matrix of a model whose embedding is not tied."""
        for name in ("language_model.lm_head", "lm_head"):
            if f"{name}.weight" in self._names:
                break
        self._asked[f"{name}.weight"] = None
        return MatrixRef(name, 0, rows, cols)

    def check(self) -> None:
        """SourceError names missing tensors, UnsupportedModelError those that nothing would use."""
        missing = [name for name in self._asked if name not in self._names]
        if missing:
            raise SourceError(f"{self._family}: the checkpoint lacks {_some(missing)}")
        extra = sorted(n for n in self._names if n not in self._asked and not _NEEDLESS.search(n))
        if extra:
            raise UnsupportedModelError(
                f"{self._family}: the checkpoint has tensors this architecture does not use: {_some(extra)}"
            )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
