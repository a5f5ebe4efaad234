"""Small real tokenizers of the two kinds that models have, written as model folders."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

TEXT = """The capital of France is Paris. A river begins where rain meets high ground, naïve señor.
Numbers, words, names and places: each of them has its own rhythm. One, two, three, four, 10, 100."""

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def byte_level() -> str:
    """Byte-level BPE, as in GPT-2, Llama 3 and Qwen: any bytes can come out."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([TEXT], trainer)
    return str(made.to_str())


@cache
def byte_fallback() -> str:
    """Pieces with ▁ for a space and ``<0xNN>`` for unknown bytes, as in Llama 2 and Gemma."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    for character in sorted({"▁", *TEXT.replace(" ", "▁").replace("\n", "")}):
        vocabulary.setdefault(character, len(vocabulary))
    merges = []
    for left, right in (("▁", "P"), ("▁P", "a"), ("▁Pa", "r"), ("i", "s"), ("▁", "t"), ("▁t", "h"), ("▁", "F")):
        merges.append((left, right))
        vocabulary[left + right] = len(vocabulary)
    made = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(t, special=True) for t in ("<unk>", "<s>", "</s>")])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return str(made.to_str())


def write(folder: Path, kind: str = "byte_level", template: Any = CHATML, **generation: Any) -> Path:
    """The tokenizer's files of a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fallback = kind == "byte_fallback"
    (folder / "tokenizer.json").write_text(byte_fallback() if fallback else byte_level(), encoding="utf-8")
    config: dict[str, Any] = {"eos_token": "</s>" if fallback else "<|endoftext|>"}
    if fallback:
        config["bos_token"] = {"content": "<s>", "special": True}
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "generation_config.json").write_text(json.dumps(generation), encoding="utf-8")
    return folder
