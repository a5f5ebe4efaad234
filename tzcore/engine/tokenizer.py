"""Text to tokens and back, from the files of a model folder.

Owns the reading of ``tokenizer.json`` (through the ``tokenizers`` library), of the special
tokens in ``tokenizer_config.json``, and of the end-of-text tokens in ``generation_config.json``
and ``config.json``.  Decoding while a model writes is :class:`IncrementalDecoder`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from tzcore.errors import CheckpointError, RequestError

_REPLACEMENT = "\ufffd"
_SPECIAL_KEYS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


class Tokenizer:
    """The tokenizer of one model.  Safe to use from several threads.

    ``size`` is the largest token id plus one; ``bos_id`` the token that begins a text, where the
    model has one; ``eos_ids`` those that end it; ``special_tokens`` maps ``bos_token`` and the
    like to their text, for the chat template.
    """

    def __init__(
        self,
        inner: tokenizers.Tokenizer,
        special_tokens: dict[str, str],
        eos_ids: Iterable[int] = (),
        add_bos: bool = False,
    ) -> None:
        # A tokenizer.json may ask for truncation or padding, left from training: both would
        # change a prompt in silence.
        inner.no_truncation()
        inner.no_padding()
        self._inner = inner
        self._special = {i for i, token in inner.get_added_tokens_decoder().items() if token.special}
        self._add_bos = add_bos
        self.special_tokens = special_tokens
        self.size = max(inner.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        bos = special_tokens.get("bos_token")
        self.bos_id: int | None = inner.token_to_id(bos) if bos else None
        self.eos_ids = frozenset(i for i in eos_ids if 0 <= i < self.size)

    @classmethod
    def open(cls, folder: Path) -> Tokenizer:
        """Read the tokenizer of a model folder.  Missing or broken files: CheckpointError."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise CheckpointError(f"{path} is missing: the model has no tokenizer; convert or install it again")
        try:
            inner = tokenizers.Tokenizer.from_file(str(path))
        except BaseException as error:  # the library's own panics do not derive from Exception
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{path} is broken ({reason}); convert or install the model again") from None
        config = read_json(folder / "tokenizer_config.json")
        generation = read_json(folder / "generation_config.json")
        model = read_json(folder / "config.json")

        special = {key: text for key in _SPECIAL_KEYS if (text := _token_text(config.get(key))) is not None}
        for key in ("bos_token", "eos_token"):
            ids = _ids(generation.get(f"{key}_id")) or _ids(model.get(f"{key}_id"))
            if key not in special and ids and (text := inner.id_to_token(ids[0])) is not None:
                special[key] = text
        eos = [*_ids(generation.get("eos_token_id")), *_ids(model.get("eos_token_id"))]
        named = inner.token_to_id(special["eos_token"]) if "eos_token" in special else None
        if named is not None:
            eos.append(named)
        return cls(inner, special, eos, add_bos=config.get("add_bos_token") is True)

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        """Token ids of ``text``.

        The output of a chat template already holds all its special tokens, so it is encoded
        without adding any; bare text is encoded with ``add_special_tokens``, which begins it with
        the model's bos token where the model was trained so, and never ends it.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise RequestError("The text holds half a character (a lone surrogate), which has no encoding") from None
        bare: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        if not add_special_tokens:
            return bare
        ids: list[int] = self._inner.encode(text, add_special_tokens=True).ids
        while ids and ids[-1] in self.eos_ids and ids[-1:] != bare[-1:]:
            ids.pop()
        if self._add_bos and self.bos_id is not None and ids[:1] != [self.bos_id]:
            ids.insert(0, self.bos_id)
        return ids

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of ``ids``; bytes that are no UTF-8 become U+FFFD."""
        text: str = self._inner.decode(list(ids), skip_special_tokens=skip_special_tokens)
        return text

    def token_id(self, text: str) -> int | None:
        """The id of the token written exactly so, or None."""
        found: int | None = self._inner.token_to_id(text)
        return found

    def is_special(self, token: int) -> bool:
        """Whether decoding leaves the token out."""
        return token in self._special

    def special_prefix(self, text: str) -> int | None:
        """The id of the longest special token that ``text`` begins with."""
        decoder = self._inner.get_added_tokens_decoder()
        found = [i for i in self._special if decoder[i].content and text.startswith(decoder[i].content)]
        return max(found, key=lambda i: len(decoder[i].content), default=None)


class IncrementalDecoder:
    """Decodes token by token; the pieces joined are the decoding of the whole.

    A piece never ends inside a character: tokens whose text ends in U+FFFD are held until the
    character is whole (or :meth:`finish`).  Only the last few tokens are decoded at each step.
    ``context`` are tokens before the first one (the end of a prompt that is continued): decoders
    that drop a leading space drop it at the start of a text, and this is not its start.

    Where the ids end up as invalid UTF-8, the *number* of U+FFFD may differ from that of the
    whole decoding: decoders with byte fallback look at a whole run of bytes at once and would
    take back characters that were already given out.
    """

    HOLD_LIMIT = 256  # tokens; no text is that long without one whole character, so it is garbage

    def __init__(self, tokenizer: Tokenizer, context: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = [i for i in context[-16:] if not tokenizer.is_special(i)]
        self._read = len(self._ids)
        self._prefix = tokenizer.decode(self._ids)
        if self._prefix.endswith(_REPLACEMENT):  # the context itself ends inside a character
            self._ids, self._read, self._prefix = [], 0, ""

    def push(self, token: int) -> str:
        """The text that ``token`` completes; empty while a character is not whole."""
        if self._tokenizer.is_special(token):
            return ""
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids)
        if text.endswith(_REPLACEMENT) and len(self._ids) - self._read < self.HOLD_LIMIT:
            return ""
        return self._take(text)

    def finish(self) -> str:
        """What is still held, as it is."""
        if len(self._ids) == self._read:
            return ""
        return self._take(self._tokenizer.decode(self._ids))

    def _take(self, text: str) -> str:
        new = self._ids[self._read :]
        piece = text[len(self._prefix) :] if text.startswith(self._prefix) else self._tokenizer.decode(new)
        self._ids, self._read = new, len(new)
        self._prefix = self._tokenizer.decode(new)
        return piece


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the model folder; empty where the file does not exist."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} cannot be read ({reason}); convert or install the model again") from None
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} is broken: it holds no JSON object; convert or install the model again")
    return raw


def _token_text(raw: object) -> str | None:
    """A special token is written as its text, or as an object with its text as ``content``."""
    if isinstance(raw, dict):
        raw = raw.get("content")
    return raw if isinstance(raw, str) and raw else None


def _ids(raw: object) -> list[int]:
    """Token ids are written as one number or as a list."""
    many = raw if isinstance(raw, list) else [raw]
    return [i for i in many if isinstance(i, int) and not isinstance(i, bool)]
