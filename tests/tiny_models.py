"""Tiny models with random weights in every supported family, whole enough for every part.

Shapes are awkward on purpose: widths that are not multiples of 128, a vocabulary that fills no
tile.  Weights are drawn by NumPy from a seed and are exact in half precision, so that an
``f16`` folder holds the same numbers as the source.  Needs transformers and torch.
"""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import weakref
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tzcore import trits
from tzcore.architecture.registry import read_spec
from tzcore.checkpoint import FolderWriter, MatrixEntry, Transform
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import SourceError
from tzcore.hadamard import rotate

VOCABULARY = 500

TEXT = """
A river begins where rain meets high ground. The first streams are thin and quick, and they carry
sand, leaves and the cold of the hills. Further down, the valley widens, the water slows, and what
it carried sinks to the bottom. People have built mills and bridges there for as long as anyone can
remember, and they have written down how high the floods came, year after year, on the walls of
their churches. "What is the capital of France?" asked the teacher. "The capital of France is
Paris," said the girl, "and the river that runs through it is called the Seine." He counted: one,
two, three, four, five, six, seven, eight, nine, ten, 11, 12, 13, 20, 100, 1000.
A program reads its input, does its work and writes its output. If the input is wrong, it says so
and says what to do about it. def add(a, b): return a + b. for i in range(10): print(i * i)
The weather was fine, the weather was bad, the weather was changing; nobody could say which of the
three they would rather have. Numbers, words, names and places: each of them has its own rhythm, and
a short text has to make do with very few of them. Œuvre, naïve, Straße, señor, 東京, Привет.
"""
"""What the tokenizer is trained on; long enough for tests to use as a text as well."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 192,
    "intermediate_size": 320,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.1,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": None,
}
_GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 24, "sliding_window": 24, "tie_word_embeddings": True}
_LONGROPE = {
    "rope_type": "longrope",
    "short_factor": [1.0 + 0.02 * i for i in range(12)],
    "long_factor": [1.0 + 0.4 * i for i in range(12)],
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama"},
    "llama3": {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "mistral": {"model_type": "mistral", "sliding_window": 24, "head_dim": 48},
    "qwen2": {
        "model_type": "qwen2",
        "tie_word_embeddings": True,
        "use_sliding_window": True,
        "sliding_window": 24,
        "max_window_layers": 1,
    },
    "qwen3": {"model_type": "qwen3", "head_dim": 64},
    "gemma2": {"model_type": "gemma2", **_GEMMA},
    "gemma3_text": {
        "model_type": "gemma3_text",
        **_GEMMA,
        "num_hidden_layers": 4,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1_000_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    },
    "phi3": {"model_type": "phi3", "num_key_value_heads": 2, "sliding_window": 24},
    "falcon3": {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256},
    "biased": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "bitnet": {"model_type": "bitnet", "tie_word_embeddings": True},
    "granite": {
        "model_type": "granite",
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.22,
        "attention_multiplier": 0.25,
        "logits_scaling": 0.125,
        "attention_bias": True,
    },
    "smollm3": {
        "model_type": "smollm3",
        "no_rope_layer_interval": 2,
        "use_sliding_window": True,
        "sliding_window": 24,
    },
    "mixtral": {
        "model_type": "mixtral",
        "intermediate_size": 200,
        "num_local_experts": 5,
        "num_experts_per_tok": 2,
        "sliding_window": 24,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe",
        "num_experts": 7,
        "num_experts_per_tok": 3,
        "moe_intermediate_size": 96,
        "norm_topk_prob": True,
        "mlp_only_layers": [1],
    },
    "phi3_longrope": {
        "model_type": "phi3",
        "original_max_position_embeddings": 64,
        "partial_rotary_factor": 0.75,
        "rope_parameters": {**_LONGROPE, "rope_theta": 10_000.0, "partial_rotary_factor": 0.75},
    },
}

FAMILIES: tuple[str, ...] = (*_SETTINGS, "gemma3")
"""What ``family`` can be: a ``model_type``, or one with other features of the same."""


def tiny_config(family: str, **changes: Any) -> Any:
    """A transformers configuration; ``changes`` override single settings (of the text part)."""
    if family == "gemma3":
        text = tiny_config("gemma3_text", **changes).to_dict()
        vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
        vision |= {"image_size": 28, "patch_size": 14, "model_type": "siglip_vision_model"}
        return transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    settings = copy.deepcopy({**_BASE, **_SETTINGS[family], **changes})
    return transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)


def tiny_model(family: str, seed: int = 0, **changes: Any) -> Any:
    """A transformers model in float32 (eager attention) with random weights that are exact in fp16."""
    config = tiny_config(family, **changes)
    config._attn_implementation = "eager"
    if family == "gemma3":
        model = transformers.Gemma3ForConditionalGeneration(config)
    else:
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.float().eval()
    model.config.architectures = [type(model).__name__]
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            shape = tuple(parameter.shape)
            values = rng.standard_normal(shape) * 0.1
            if "norm" in name and name.endswith("weight"):  # around what the norm starts from: 1, or 0 in Gemma
                values = values * 2 + parameter.numpy()
            parameter.copy_(torch.from_numpy(values.astype(np.float16).astype(np.float32)))
    return model


def hub_name(family: str, name: str) -> str:
    """The name that checkpoints on the hub give to transformers' tensor ``name``."""
    if family == "mixtral":
        return name.replace(".mlp.gate.", ".block_sparse_moe.gate.")
    if family == "gemma3":
        return name.replace("model.language_model.", "language_model.model.").removeprefix("model.")
    return name


def hub_parts(family: str, model: Any) -> dict[str, torch.Tensor]:
    """The model's tensors, which stay the model's own memory, under the names that checkpoints on the hub
    have for them.  transformers holds all experts of a layer in two tensors, checkpoints hold each."""
    parts: dict[str, torch.Tensor] = {}
    for name, value in model.state_dict().items():
        base, _, kind = name.rpartition(".experts.")
        if not base:
            parts[hub_name(family, name)] = value
            continue
        for n, expert in enumerate(value):
            split = expert.chunk(2) if kind == "gate_up_proj" else (expert,)
            kinds = ("gate_proj", "up_proj") if kind == "gate_up_proj" else ("down_proj",)
            for part, tensor in zip(kinds, split, strict=True):
                parts[_expert_name(family, base, n, part)] = tensor
    return parts


def _expert_name(family: str, base: str, number: int, part: str) -> str:
    if family == "mixtral":
        base, part = base.replace(".mlp", ".block_sparse_moe"), {"gate": "w1", "up": "w3", "down": "w2"}[part[:-5]]
    return f"{base}.experts.{number}.{part}.weight"


def hub_tensors(family: str, model: Any) -> dict[str, npt.NDArray[np.float32]]:
    """The model's tensors under those names; a tied head is left out, as checkpoints do."""
    tied = model.config.get_text_config().tie_word_embeddings
    return {
        name: tensor.numpy().astype(np.float32)
        for name, tensor in hub_parts(family, model).items()
        if not (tied and name.endswith("lm_head.weight"))
    }


@cache
def tokenizer() -> Tokenizer:
    """A byte-level BPE trained on :data:`TEXT`, with ``<|im_start|>`` (0) and ``<|im_end|>`` (1)."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([TEXT], trainer)
    assert made.get_vocab_size() == VOCABULARY
    return made


def write_small_files(folder: Path) -> dict[str, Path]:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json; their paths by name."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer().save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>",
        "add_bos_token": False,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 1}), encoding="utf-8")
    return {p.name: p for p in sorted(folder.glob("*.json"))}


class TinySource:
    """A :class:`tzcore.checkpoint.source.WeightSource` in memory; only the small files are on disk."""

    def __init__(self, family: str, model: Any, seed: int) -> None:
        self.id = f"tiny/{family}"
        self.revision = str(seed)
        self.licence = "apache-2.0"
        self.config: dict[str, Any] = json.loads(model.config.to_json_string(use_diff=False))
        self.model = model
        self._tensors = {name: tensor.copy() for name, tensor in hub_tensors(family, model).items()}
        self._folder = Path(tempfile.mkdtemp(prefix="tiny-source-"))
        self._cleanup = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.files = write_small_files(self._folder)

    def names(self) -> Iterable[str]:
        return list(self._tensors)

    def _known(self, name: str) -> npt.NDArray[np.float32]:
        if name not in self._tensors:
            raise SourceError(f"{self.id} has no tensor {name}")
        return self._tensors[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._known(name).shape

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        return self._known(name).copy()

    def bytes(self) -> int:
        return sum(2 * tensor.size for tensor in self._tensors.values())

    def close(self) -> None:
        self._cleanup()


def tiny_source(family: str, seed: int = 0, **changes: Any) -> TinySource:
    """Random weights of ``family`` as a WeightSource; the transformers model is its ``.model``."""
    return TinySource(family, tiny_model(family, seed, **changes), seed)


def tiny_folder(
    path: Path,
    family: str,
    format: str = "f16",  # noqa: A002 — the word of the folder schema
    head_format: str = "f16",
    hadamard: bool = True,
    group: int | None = None,
    source: WeightSource | None = None,
    seed: int = 0,
) -> Path:
    """A converted model at ``path``: data-free :func:`tzcore.trits.fit` of every matrix.

    ``head_format`` is that of embedding and head.  ``group`` defaults to 128 where it divides the
    width, else 64.  ``hadamard`` transforms the inputs of all block matrices that are not f16, in
    the largest blocks that divide the width, with random signs shared by each stage.
    """
    source = source or tiny_source(family, seed)
    spec = read_spec(source.config, set(source.names()))
    rng = np.random.default_rng(seed)
    writer = FolderWriter(path, {"source": source.id, "format": format, "head": head_format})
    used: set[str] = set()
    made: dict[str, Any] = {}

    def add(name: str, fmt_name: str, transform: Transform | None = None, signs: Any = None) -> None:
        weights = source.tensor(f"{name}.weight")
        rows, cols = weights.shape
        fmt = trits.format_named(fmt_name)
        used.add(f"{name}.weight")
        if fmt.packing == "half":
            writer.add_matrix(MatrixEntry(name, rows, cols, fmt, 0), trits.pack_half(weights), None)
            return
        if transform:
            weights = rotate(weights, signs, transform.block)
        size = group or (128 if cols % 128 == 0 else 64)
        codes, scales = trits.fit(weights, fmt, size)
        entry = MatrixEntry(name, rows, cols, fmt, size, transform)
        writer.add_matrix(entry, trits.pack(codes, fmt), trits.pack_scales(scales))

    for name in dict.fromkeys((spec.embedding.name, spec.head.name)):
        add(name, head_format)
    for i, layer in enumerate(spec.layers):
        for stage in layer.stages():
            transform, signs = None, None
            if hadamard and format != "f16":
                cols = stage[0].cols
                transform = Transform(cols & -cols, f"{layer.transforms()[stage[0].name]}.signs")
                if transform.signs not in made:
                    made[transform.signs] = rng.choice(np.array([-1, 1], np.int8), cols)
                    writer.add_signs(transform.signs, made[transform.signs])
                signs = made[transform.signs]
            for name in dict.fromkeys(ref.name for ref in stage):
                add(name, format, transform, signs)
        if layer.router:
            add(layer.router.matrix.name, "f16")
        for name in (*layer.vectors(spec.head_dim), *([spec.final_norm] if i + 1 == len(spec.layers) else [])):
            writer.add_vector(name, source.tensor(name))
        writer.seal(f"model-{i:05d}")
    encoding = trits.format_named(format).encoding
    origin = {"id": source.id, "revision": source.revision, "licence": source.licence}
    receipt = {"id": f"{source.id}:{encoding}", "source": origin, "encoding": encoding}
    return writer.finish(source.config, source.files, receipt, spec.activations)
