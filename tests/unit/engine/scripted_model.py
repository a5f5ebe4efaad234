"""A deterministic stand-in for a loaded model, for tests of the engine's own logic.

Its logits are a function of *all* tokens that the sequence holds, so a wrong reuse of the cache
changes the answer; or it follows a script.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.unit.engine import small_tokenizers
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import PIECE
from tzcore.backend.reference_sequence import Memory, PageTable
from tzcore.checkpoint.reader import INDEX
from tzcore.engine.generation import Engine, EngineInfo
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.snapshots import Snapshots
from tzcore.errors import BackendError, ContextFullError
from tzcore.keyvalues import F16, KeyValueFormat

SLACK = 8
"""Tokens that one can go back although they have left the window."""


def spec(vocabulary: int = 400, max_context: int = 4096, layers: int = 2) -> ModelSpec:
    """A small Llama of any number of layers, all called the same."""
    config = {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": vocabulary,
        "max_position_embeddings": max_context, "tie_word_embeddings": True,
    }  # fmt: skip
    names = {"model.embed_tokens.weight", "model.norm.weight"}
    norms = ("input_layernorm", "post_attention_layernorm")
    projections = (*(f"self_attn.{p}_proj" for p in "qkvo"), *(f"mlp.{p}_proj" for p in ("gate", "up", "down")))
    names |= {f"model.layers.0.{name}.weight" for name in (*norms, *projections)}
    one = read_spec(config, names)
    return replace(one, layers=one.layers * layers)


class ScriptedSequence:
    """Tokens, in a memory that is shared by forks.  With a window it lets go of what lies far behind, all but the
    last :data:`SLACK` tokens before it, as rings do: ``low`` is the first position that it still has."""

    def __init__(self, model: ScriptedModel, pages: PageTable, capacity: int, tokens: list[int], low: int = 0) -> None:
        self.model, self.pages = model, pages
        self.tokens, self.low = tokens, low
        self.capacity = capacity
        self.closed = False
        model.sequences.append(self)

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def room(self) -> int:
        assert not self.closed
        return self.pages.room(self.length)

    def append(self, tokens: npt.NDArray[np.int32]) -> None:
        self.pages.grow(self.length, tokens.size)
        self.tokens += tokens.tolist()
        if self.model.window is not None:
            self.low = max(self.low, self.length - self.model.window - SLACK)

    def resumable(self, length: int) -> int:
        assert not self.closed
        assert 0 <= length <= self.length
        whole = self.low == 0 or length == self.length or length - (self.model.window or 0) >= self.low
        return length if whole else 0

    def truncate(self, length: int) -> None:
        assert self.resumable(length) == length
        self.pages.shorten(length)
        del self.tokens[length:]
        self.low = min(self.low, length)

    def fork(self, length: int) -> ScriptedSequence:
        assert self.resumable(length) == length
        self.model.before_fork(self)
        pages = self.pages.fork(length)
        return ScriptedSequence(self.model, pages, self.capacity, self.tokens[:length], min(self.low, length))

    def save(self, piece: int) -> bytes:
        assert not self.closed
        tokens = self.tokens[piece * PIECE : (piece + 1) * PIECE]
        assert tokens
        time.sleep(self.model.seconds_per_save)
        return np.asarray([self.low, *tokens], np.int32).tobytes() + bytes(self.model.padding * len(tokens))

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        assert not self.tokens
        tokens: list[int] = []
        low = 0
        for number, raw in enumerate(pieces):
            count = (len(raw) - 4) // (4 + self.model.padding)
            first, *held = np.frombuffer(raw, np.int32, count + 1).tolist()
            if first > number * PIECE:
                low = min(first, number * PIECE + count)
            tokens += held
        if len(tokens) < length:
            raise BackendError("too few tokens")
        if length > self.room:
            raise BackendError("no room")
        self.pages.grow(0, length)
        self.tokens = tokens[:length]
        self.low = min(low, length)
        self.model.loaded.append(length)

    def close(self) -> None:
        if not self.closed:
            self.pages.shorten(0)
        self.closed = True


class ScriptedModel:
    """``script``: tokens to say after any prompt (then the first of ``script`` again).  Otherwise random logits."""

    def __init__(
        self,
        script: list[int] | None = None,
        seconds_per_token: float = 0.0,
        vocabulary: int = 400,
        window: int | None = None,
    ) -> None:
        plain = spec(vocabulary)
        self.spec = replace(plain, layers=tuple(replace(layer, window=window) for layer in plain.layers))
        self.window = window
        self.exact_chunks = script is None  # a script is said by calls, whatever the text: drafts would get ahead
        self.script = script
        self.seconds_per_token = seconds_per_token
        self.calls: list[int] = []  # tokens a call
        self.sequences: list[ScriptedSequence] = []
        self.said = 0
        self.fail_at: int | None = None
        self.closed = False
        self.padding = 0  # bytes of a token on disk beside itself
        self.seconds_per_save = 0.0
        self.loaded: list[int] = []  # lengths of texts that came from the disk

    def new_sequence(self, capacity: int, stored: KeyValueFormat = F16) -> ScriptedSequence:
        return ScriptedSequence(self, Memory(capacity).table(), capacity, [])

    def cache_form(self, stored: KeyValueFormat) -> str:
        return f"scripted {stored.name}"

    def before_fork(self, sequence: ScriptedSequence) -> None:
        """For tests in which a fork finds no room."""

    def forward(
        self, sequence: ScriptedSequence, tokens: npt.NDArray[np.int32], logits: str = "last"
    ) -> npt.NDArray[np.float32]:
        assert not sequence.closed
        assert tokens.dtype == np.int32
        assert tokens.ndim == 1
        assert tokens.size > 0
        if tokens.size > sequence.room:
            raise ContextFullError("full")
        if self.fail_at is not None and len(self.calls) == self.fail_at:
            self.fail_at = None
            raise BackendError("the backend failed")
        time.sleep(self.seconds_per_token * tokens.size)
        self.calls.append(int(tokens.size))
        wanted = {"none": 0, "last": 1, "all": tokens.size}[logits]
        rows = np.empty((wanted, self.spec.vocabulary), np.float32)
        before = sequence.length
        sequence.append(tokens)
        for place in range(wanted):
            rows[place] = self.row(sequence.tokens[: before + tokens.size - wanted + place + 1])
        return rows

    def row(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        """Logits of what follows ``tokens``."""
        if self.script is not None:
            row = np.zeros(self.spec.vocabulary, np.float32)
            row[self.script[self.said % len(self.script)]] = 10.0
            self.said += 1
            return row
        seed = hashlib.sha256(np.asarray(tokens, np.int32).tobytes()).digest()
        return np.random.default_rng(list(seed)).standard_normal(self.spec.vocabulary, np.float32) * 3

    def weight_bytes_per_token(self) -> int:
        return 1000

    def close(self) -> None:
        self.closed = True


def engine(
    folder: Path,
    model: ScriptedModel,
    context: int = 256,
    kind: str = "byte_level",
    speculation: bool = True,
    snapshots: Snapshots | None = None,
    **files: object,
) -> Engine:
    """An engine on ``model`` with a small real tokenizer and template."""
    prompts = PromptBuilder.open(small_tokenizers.write(folder, kind, **files))
    for name in ("config.json", "receipt.json", INDEX):  # what tells models apart
        if not (folder / name).exists():
            (folder / name).write_text("{}")
    info = EngineInfo(folder, "llama", context, "scripted", "scripted", "asked for", None, ())
    return Engine(model, prompts, info, speculation=speculation, snapshots=snapshots)  # type: ignore[arg-type]
