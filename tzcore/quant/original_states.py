"""The original's last hidden states for windows of tokens, so that it is run once whatever is compared with it.

Blocks stream through torch one at a time.  The states are kept in memory, or in a temporary file
where they are large; logits exist for one window only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import MatrixRef
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import StorageError
from tzcore.quant.decoder import Block, logits
from tzcore.quant.divergence import Logits
from tzcore.quant.originals import Originals, layer_vectors
from tzcore.quant.texts import Window
from tzcore.trits import Floats

if TYPE_CHECKING:
    import torch

IN_MEMORY = 1 << 30
"""Bytes of hidden states from which they lie in a temporary file."""


class OriginalStates:
    """Runs ``source`` over ``windows`` when made, within a torch session.

    ``advance(tokens, detail)`` is told of every window that passed a block, ``len(layers)`` times in
    all.  Raises what :class:`Originals` raises, and StorageError where a temporary file cannot be had.
    """

    def __init__(self, source: WeightSource, windows: Sequence[Window], advance: Callable[[int, str], None]) -> None:
        self.spec = read_spec(source.config, set(source.names()))
        self._originals = Originals(source, self.spec)
        self._ends = np.cumsum([0, *map(len, windows)])
        self._states = _room(int(self._ends[-1]), self.spec.hidden)
        self._head: tuple[torch.Tensor, torch.Tensor] | None = None
        self._run(windows, advance)

    def _run(self, windows: Sequence[Window], advance: Callable[[int, str], None]) -> None:
        import torch

        spec, originals = self.spec, self._originals
        table = originals.matrix(spec.embedding.name)
        for at, window in enumerate(windows):
            self._window(at)[:] = table[window] * np.float32(spec.embedding_scale)
        del table
        for index in range(len(spec.layers)):
            vectors = {name: torch.as_tensor(originals.vector(name)) for name in layer_vectors(spec, index)}
            block = Block(spec, index, vectors)
            weights = originals.layer(index)

            def matrices(ref: MatrixRef, weights: dict[str, torch.Tensor] = weights) -> torch.Tensor:
                return weights[ref.name][ref.start : ref.start + ref.rows]

            for at, window in enumerate(windows):
                x = torch.as_tensor(self._window(at).copy())[None]
                self._window(at)[:] = block.forward(x, matrices)[0].cpu().numpy()
                advance(len(window), f"the original, layer {index + 1} of {len(spec.layers)}")

    def _window(self, index: int) -> Floats:
        return self._states[self._ends[index] : self._ends[index + 1]]

    def logits(self, index: int) -> Logits:
        """The original's logits for window ``index``: ``[tokens, vocabulary]``."""
        import torch

        if self._head is None:
            ref = self.spec.head
            head = self._originals.matrix_tensor(ref.name)[ref.start : ref.start + ref.rows]
            self._head = torch.as_tensor(self._originals.vector(self.spec.final_norm)), head
        norm, head = self._head
        made: Logits = logits(torch.as_tensor(self._window(index).copy()), norm, head, self.spec).cpu().numpy()
        return made


def _room(tokens: int, width: int) -> Floats:
    """``[tokens, width]`` float32; large ones are a map of a file that goes when they do."""
    if 4 * tokens * width < IN_MEMORY:
        return np.empty((tokens, width), np.float32)
    try:
        with tempfile.TemporaryFile(prefix="tz-original-") as file:
            return np.memmap(file, np.float32, "w+", shape=(tokens, width))
    except OSError as error:
        raise StorageError(
            f"no room for {4 * tokens * width / 1e9:.1f} GB of the original's hidden states in "
            f"{tempfile.gettempdir()}: {error.strerror}; use fewer windows, or set TMPDIR"
        ) from error
