"""Real text of a wanted length, for measurements at depth: never repeated, never made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tzcore.quant.calibration import leading_tokens, open_tokenizer
from tzcore.quant.texts import default_paths, read


@dataclass(frozen=True)
class RealText:
    """The ``tokens`` of whole texts one after the other, cut at the wanted length or ending before it; ``names`` are
    those they came from."""

    tokens: npt.NDArray[np.int32]
    names: tuple[str, ...]


def text_paths(paths: Sequence[Path]) -> list[Path]:
    """``paths``, or the project's own evaluation texts: the longest first, so that one text reaches furthest."""
    return list(paths) or sorted(default_paths(), key=lambda path: -path.stat().st_size)


def open_text(paths: Sequence[Path], files: Mapping[str, Path], length: int) -> RealText:
    """Up to ``length`` tokens of the texts in ``paths``, as the model with these small ``files`` reads them.

    RequestError for a text that cannot be read.
    """
    tokenizer = open_tokenizer(files)
    ids, names = leading_tokens(tokenizer), []
    for path in text_paths(paths):
        if len(ids) >= length:
            break
        ids += tokenizer.encode(read(path, files), add_special_tokens=False).ids
        names.append(path.name)
    return RealText(np.array(ids[:length], np.int32), tuple(names))
