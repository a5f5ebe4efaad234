"""Random weights in the shape of a real model: to measure conversion and speed, not to talk to.

No tensor exists before it is asked for, so a source of 140 GB takes no disk and no more memory than
the tensor that is read.  The numbers depend on the tensor's name and the seed alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.architecture.registry import read_spec
from tzcore.errors import SourceError
from tzcore.hub import storage
from tzcore.hub.formats.synthetic_shapes import configuration

LICENCE = "none"
"""Random numbers belong to nobody."""
OUTLIERS, TIMES = 1 / 512, 6.0
"""Share of a matrix's input channels that stand out, as in trained models, and by how much."""
_VERSION = "1"
"""Of the recipe below; part of the revision."""
_CHUNK = 1 << 22
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


class _PlainNames(frozenset[str]):
    """The names of a text model's checkpoint: whatever its family asks for."""

    def __contains__(self, name: object) -> bool:
        return not str(name).startswith("language_model.")


class Synthetic:
    """The shape ``name``, cut by ``cut``, as a weight source with the tokenizer's ``files``."""

    def __init__(self, name: str, cut: str | None, source_id: str, files: dict[str, Path]) -> None:
        self.id, self.licence, self.files = source_id, LICENCE, files
        facts, self._seed = configuration(name, cut)
        vocabulary = facts["vocab_size"]
        if vocabulary < 256 + len(_SPECIAL):
            raise SourceError(f"{source_id}: the tokenizer's {256 + len(_SPECIAL)} tokens need a larger vocabulary")
        ends = {"bos_token_id": 256, "eos_token_id": 258, "torch_dtype": "bfloat16"}
        self.config: dict[str, Any] = {**facts, **ends}
        spec = read_spec(self.config, _PlainNames())
        self._shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": size for name, size in spec.matrices().items()}
        self._shapes |= {name: (length,) for name, length in spec.vectors().items()}
        self._norm = 1.0 - spec.norm_offset
        # What layers add to the residual stream keeps its size where it is shared among all of them.
        added = [ref.name for layer in spec.layers for ref in (layer.o, *(expert.down for expert in layer.experts))]
        self._scale = dict.fromkeys((f"{name}.weight" for name in added), (2 * len(spec.layers)) ** -0.5)
        about = json.dumps([_VERSION, self._seed, self.config], sort_keys=True)
        self.revision = hashlib.sha256(about.encode()).hexdigest()

    def names(self) -> Iterable[str]:
        return self._shapes.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        try:
            return self._shapes[name]
        except KeyError:
            raise SourceError(f"{self.id} has no tensor {name}") from None

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        """Norms near 1, biases near 0; matrices are Gaussian of variance 1/columns, with some columns larger.

        Every value is exact in bfloat16, the type such a model is published in.
        """
        shape = self.shape(name)
        generator = np.random.Generator(np.random.Philox(key=self._key(name)))
        if len(shape) == 1:
            centre, spread = (0.0, 0.02) if name.endswith(".bias") else (self._norm, 0.05)
            values = generator.standard_normal(shape, np.float32)
            return _rounded(values * np.float32(spread) + np.float32(centre))
        rows, cols = shape
        channels = np.full(cols, self._scale.get(name, 1.0) * cols**-0.5, np.float32)
        channels[generator.choice(cols, max(1, round(cols * OUTLIERS)), replace=False)] *= TIMES
        out = np.empty(shape, np.float32)
        step = max(1, _CHUNK // cols)
        for start in range(0, rows, step):
            part = out[start : start + step]
            generator.standard_normal(out=part, dtype=np.float32)
            part *= channels
            part[:] = _rounded(part)
        return out

    def _key(self, name: str) -> int:
        digest = hashlib.sha256(f"{self._seed} {name}".encode()).digest()
        return int.from_bytes(digest[:16], "little")

    def parameters(self) -> int:
        """Number of values in all tensors."""
        return sum(int(np.prod(shape)) for shape in self._shapes.values())

    def bytes(self) -> int:
        """What the tensors would take in bfloat16."""
        return 2 * self.parameters()

    def close(self) -> None:
        """Nothing is held open."""


def _rounded(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The nearest bfloat16 (ties to even) of finite values, as float32."""
    bits = values.view(np.uint32)
    even = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + even) & np.uint32(0xFFFF0000)).view(np.float32)


def tokenizer_files(folder: Path) -> dict[str, Path]:
    """Write a byte-level tokenizer without merges (256 bytes, three special tokens) with a chat template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: at for at, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _SPECIAL])
    settings = {"bos_token": _SPECIAL[0], "eos_token": _SPECIAL[2], "chat_template": _CHAT_TEMPLATE}
    storage.write_json(folder / "tokenizer.json", json.loads(tokenizer.to_str()))
    storage.write_json(folder / "tokenizer_config.json", settings)
    return {name: folder / name for name in ("tokenizer.json", "tokenizer_config.json")}
