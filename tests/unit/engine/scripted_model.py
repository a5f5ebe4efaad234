"""A deterministic stand-in for a loaded model, for tests of the engine's own logic.

Its logits are a function of *all* tokens that the sequence holds, so a wrong reuse of the cache
changes the answer; or it follows a script.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.unit.engine import small_tokenizers
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import ModelSpec
from tzcore.engine.generation import Engine, EngineInfo
from tzcore.engine.prompt import PromptBuilder
from tzcore.errors import BackendError, ContextFullError


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
    def __init__(self, capacity: int) -> None:
        self.tokens: list[int] = []
        self.capacity = capacity
        self.closed = False

    @property
    def length(self) -> int:
        return len(self.tokens)

    def truncate(self, length: int) -> None:
        assert 0 <= length <= len(self.tokens)
        del self.tokens[length:]

    def close(self) -> None:
        self.closed = True


class ScriptedModel:
    """``script``: tokens to say after any prompt (then the first of ``script`` again).  Otherwise random logits."""

    def __init__(self, script: list[int] | None = None, seconds_per_token: float = 0.0, vocabulary: int = 400) -> None:
        self.spec = spec(vocabulary)
        self.exact_chunks = script is None  # a script is said by calls, whatever the text: drafts would get ahead
        self.script = script
        self.seconds_per_token = seconds_per_token
        self.calls: list[int] = []  # tokens a call
        self.sequences: list[ScriptedSequence] = []
        self.said = 0
        self.fail_at: int | None = None
        self.closed = False

    def new_sequence(self, capacity: int) -> ScriptedSequence:
        self.sequences.append(ScriptedSequence(capacity))
        return self.sequences[-1]

    def forward(
        self, sequence: ScriptedSequence, tokens: npt.NDArray[np.int32], logits: str = "last"
    ) -> npt.NDArray[np.float32]:
        assert not sequence.closed
        assert tokens.dtype == np.int32
        assert tokens.ndim == 1
        assert tokens.size > 0
        if sequence.length + tokens.size > sequence.capacity:
            raise ContextFullError("full")
        if self.fail_at is not None and len(self.calls) == self.fail_at:
            self.fail_at = None
            raise BackendError("the backend failed")
        time.sleep(self.seconds_per_token * tokens.size)
        self.calls.append(int(tokens.size))
        wanted = {"none": 0, "last": 1, "all": tokens.size}[logits]
        rows = np.empty((wanted, self.spec.vocabulary), np.float32)
        for place, token in enumerate(tokens, wanted - tokens.size):
            sequence.tokens.append(int(token))
            if place >= 0:
                rows[place] = self.row(sequence.tokens)
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
    **files: object,
) -> Engine:
    """An engine on ``model`` with a small real tokenizer and template."""
    prompts = PromptBuilder.open(small_tokenizers.write(folder, kind, **files))
    info = EngineInfo(folder, "llama", context, "scripted", "scripted", "asked for", None, ())
    return Engine(model, prompts, info, speculation=speculation)  # type: ignore[arg-type]
