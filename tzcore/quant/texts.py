"""The texts that models are measured on: plain text and conversations, cut into windows of tokens.

Every window is read on its own and begins with what the tokenizer puts before a text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.errors import RequestError
from tzcore.paths import resources
from tzcore.quant import chat_text
from tzcore.quant.calibration import leading_tokens, open_tokenizer

Window = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Text:
    """``windows`` of a text, of which the ``first`` tokens are given and not predicted."""

    name: str
    windows: list[Window]
    first: int

    @property
    def tokens(self) -> int:
        """Tokens to read, the given ones included."""
        return sum(map(len, self.windows))


def default_paths() -> list[Path]:
    """The project's own texts, none of which is used for calibration."""
    folder = resources() / "evaluation"
    found = sorted([*folder.glob("*.txt"), *folder.glob("*.jsonl")])
    if not found:
        raise RequestError(f"the evaluation texts are missing from {folder}: install the program again, or use --text")
    return found


def read(path: Path, files: Mapping[str, Path]) -> str:
    """The text in ``path``; conversations (``.jsonl``) in the chat format of the model with these small ``files``.

    A line of conversations is ``{"messages": [{"role": ..., "content": ...}, ...]}``.  RequestError
    names a file that cannot be read, is no UTF-8, or holds something else; also where the model's
    chat template cannot write the conversations.
    """
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8 text") from None
    if path.suffix != ".jsonl":
        return content
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    conversations = [_conversation(line, f"{path}, line {number}") for number, line in lines]
    found = chat_text.template_of(files)
    if found is None:
        return "".join(map(chat_text.plain, conversations))
    try:
        return "".join(chat_text.render(*found, conversations))
    except chat_text.TemplateFailed as error:
        raise RequestError(f"{path}: the model's chat template cannot write these conversations: {error}") from None


def _conversation(line: str, where: str) -> list[dict[str, str]]:
    try:
        value: Any = json.loads(line)
        messages = [{"role": m["role"], "content": m["content"]} for m in value["messages"]]
    except (ValueError, KeyError, TypeError):
        messages = []
    if not messages or not all(isinstance(word, str) for message in messages for word in message.values()):
        raise RequestError(
            f'{where} is no conversation: expected {{"messages": [{{"role": ..., "content": ...}}, ...]}}'
        )
    return messages


def windows_of(text: str, files: Mapping[str, Path], window: int, limit: int | None = None) -> tuple[list[Window], int]:
    """``text`` in windows of ``window`` tokens, the first ``limit`` of them, and how many tokens are given in each.

    The last window may be shorter.  RequestError where the text has fewer than two tokens.
    """
    tokenizer = open_tokenizer(files)
    leading = leading_tokens(tokenizer)[: window - 1]
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    span = window - len(leading)
    cuts = [np.array(leading + ids[i : i + span], np.int32) for i in range(0, len(ids), span)]
    found = [cut for cut in cuts if len(cut) > max(1, len(leading))]
    if not found:
        raise RequestError("the text is too short to evaluate: it needs at least two tokens")
    return found[:limit], len(leading)


def open_texts(paths: Sequence[Path], files: Mapping[str, Path], window: int, limit: int | None = None) -> list[Text]:
    """The texts in ``paths`` (default: the project's own) for the model with these small ``files``."""
    found = []
    for path in paths or default_paths():
        try:
            found.append(Text(path.name, *windows_of(read(path, files), files, window, limit)))
        except RequestError as error:
            raise RequestError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    return found
