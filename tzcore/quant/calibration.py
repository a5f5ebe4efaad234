"""The token windows that are run through a model to see which of its inputs matter.

The text is the user's own file, if there is one, and then the project's (``resources/
calibration``): prose, essays, code, mathematics, other languages, and conversations rendered with
the model's own chat template.  The kinds are mixed evenly, so that a short budget holds its share
of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import ConversionError, SourceError
from tzcore.paths import resources
from tzcore.quant import chat_text

if TYPE_CHECKING:
    from tokenizers import Tokenizer

HELD_SHARE = 16
"""One window in this many is held out, where there are at least that many."""
OWN_SHARE = 4
"""With a user's text, one window in this many is still ours, to keep the model general."""

Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """``windows`` ``[n, window]`` of token ids, their SHA-256, and how conversations were written.

    The last ``held`` windows calibrate nothing: what was done with the others is judged on them.
    """

    windows: Tokens
    sha256: str
    chat: str
    held: int

    @property
    def used(self) -> int:
        """Windows that calibrate."""
        return len(self.windows) - self.held


def open_tokenizer(files: Mapping[str, Path]) -> Tokenizer:
    """The model's ``tokenizer.json``; SourceError where it is missing or broken."""
    from tokenizers import Tokenizer

    path = files.get("tokenizer.json")
    if path is None:
        raise SourceError("the model has no tokenizer.json; a model without one cannot be used")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise SourceError(f"{path} cannot be read: {error}") from error


def leading_tokens(tokenizer: Tokenizer) -> list[int]:
    """What the tokenizer puts before every text (a beginning-of-text token, or nothing)."""
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    full = tokenizer.encode("a", add_special_tokens=True).ids
    for at in range(len(full) - len(bare) + 1):
        if full[at : at + len(bare)] == bare:
            return list(full[:at])
    return []


def cut(ids: list[int], window: int, leading: list[int]) -> Tokens:
    """Whole windows, each beginning with the ``leading`` tokens; a tail too short for one is left out."""
    span = window - len(leading)
    count = len(ids) // span
    body = np.array(ids[: count * span], np.int64).reshape(count, span)
    head = np.tile(np.array(leading, np.int64), (count, 1))
    return np.concatenate([head, body], axis=1)


def collect(files: Mapping[str, Path], tokens: int, window: int, own: Path | None, vocabulary: int) -> Calibration:
    """About ``tokens`` tokens in windows of ``window``, for the model with these small ``files``.

    ``own`` is the user's text file.  At least one window comes back: a text too short for it is
    repeated.  Ids outside the vocabulary are a SourceError.
    """
    tokenizer = open_tokenizer(files)
    leading = leading_tokens(tokenizer)[: window - 1]
    wanted = max(1, tokens // window)
    documents, chat = _documents(files)
    general = cut(_ids(tokenizer, "".join(documents), window), window, leading)
    if own is None:
        windows = general[:wanted]
    else:
        personal = cut(_ids(tokenizer, _read(own), window), window, leading)
        ours = general[: max(1, wanted // OWN_SHARE)]
        windows = np.concatenate([personal[: wanted - len(ours)], ours])[:wanted]
    if windows.max() >= vocabulary:
        raise SourceError(f"the tokenizer gives the token {windows.max()}, the model's vocabulary has {vocabulary}")
    windows, held = _hold_out(windows)
    return Calibration(windows, hashlib.sha256(windows.astype("<i8").tobytes()).hexdigest(), chat, held)


def _hold_out(windows: Tokens) -> tuple[Tokens, int]:
    """Move every sixteenth window, from all over the text, to the end."""
    picked = np.arange(len(windows)) % HELD_SHARE == HELD_SHARE - 1
    return np.concatenate([windows[~picked], windows[picked]]), int(picked.sum())


def _ids(tokenizer: Tokenizer, text: str, window: int) -> list[int]:
    ids = list(tokenizer.encode(text, add_special_tokens=False).ids) if text.strip() else []
    if not ids:
        raise ConversionError("the calibration text is empty")
    return ids * (-(-window // len(ids)))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConversionError(f"cannot read the calibration text {path}: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConversionError(f"the calibration text {path} is not UTF-8 text") from None


def _documents(files: Mapping[str, Path]) -> tuple[list[str], str]:
    """The project's texts, and how the conversations among them are written.

    Each kind is spread evenly over the whole, so that the beginning has the mixture of the whole.
    """
    folder = resources() / "calibration"
    kinds = [_paragraphs(_read(path)) for path in sorted(folder.glob("*.txt"))]
    conversations: list[list[dict[str, str]]] = []
    for path in sorted(folder.glob("*.jsonl")):
        lines: list[Any] = [json.loads(line) for line in _read(path).splitlines() if line.strip()]
        conversations += [line["messages"] for line in lines]
    found = chat_text.template_of(files)
    if found is None:
        rendered, how = [chat_text.plain(c) for c in conversations], "plain: the model has no chat template"
    else:
        try:
            rendered, how = chat_text.render(*found, conversations), "the model's chat template"
        except chat_text.TemplateFailed as error:
            rendered, how = [chat_text.plain(c) for c in conversations], f"plain: {error}"
    places = [((at + 0.5) / len(kind), document) for kind in (rendered, *kinds) for at, document in enumerate(kind)]
    documents = [document for _, document in sorted(places, key=lambda place: place[0])]
    if not documents:
        raise ConversionError(f"the calibration texts are missing from {folder}: install the program again")
    return documents, how


def _paragraphs(text: str, least: int = 1200) -> list[str]:
    """Runs of whole paragraphs of at least ``least`` characters."""
    runs, run = [], ""
    for paragraph in text.split("\n\n"):
        run += paragraph + "\n\n"
        if len(run) >= least:
            runs.append(run)
            run = ""
    return [*runs, run] if run else runs
