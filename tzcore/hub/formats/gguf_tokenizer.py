"""The tokenizer and chat template of a GGUF file as ``tokenizer.json`` and its companions.

A GGUF file holds a vocabulary, merges or scores, and names of behaviours that llama.cpp has in
code (its ``src/llama-vocab.cpp``); this writes the same behaviours down as a pipeline of the
``tokenizers`` library.  Two kinds exist in the supported families: byte-level BPE (``gpt2``),
whose way of cutting text into words ``tokenizer.ggml.pre`` names, and SentencePiece BPE
(``llama``).  A name that is not known is refused: a wrong cut gives wrong tokens in silence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tzcore.errors import SourceError, UnsupportedModelError
from tzcore.hub.formats.gguf_header import GgufHeader, damaged
from tzcore.hub.storage import write_atomically, write_json

# Kinds of token (ggml's gguf.md, tokenizer.ggml.token_type).
_UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 2, 3, 4, 6

_CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = rf"{_CONTRACTION}|{_WORDS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*{_TAIL}"
_QWEN2 = rf"{_CONTRACTION}|{_WORDS}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*{_TAIL}"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_TAIL}"
)
_GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}?|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}?"
    rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*{_TAIL}"
)
PRE_TOKENIZERS: dict[str, tuple[str, ...]] = {
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "llama-bpe": (_LLAMA3,),
    "llama3": (_LLAMA3,),
    "llama-v3": (_LLAMA3,),
    "dbrx": (_LLAMA3,),
    "smaug-bpe": (_LLAMA3,),
    "falcon3": (_LLAMA3,),
    "qwen2": (_QWEN2,),
    "deepseek-r1-qwen": (_QWEN2,),
    "megrez": (_QWEN2,),
    "tekken": (_TEKKEN,),
    "gpt-4o": (_GPT4O,),
}
"""``tokenizer.ggml.pre`` → the expressions that cut text, applied one after the other."""
_WHOLE_WORDS_FIRST = {"llama-bpe", "llama3", "llama-v3", "falcon3", "tekken"}
"""A word that is in the vocabulary is taken as it is, whatever its merges."""
_BOS_UNLESS_TOLD = {"llama-bpe", "llama3", "llama-v3", "tekken"}
"""Byte-level kinds that begin with the BOS token where the file does not say."""
_TURN_ENDS = {
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
    "<|return|>", "<EOT>", "</s>",
}  # fmt: skip
"""Control tokens that end an answer by their name, whether or not the file says so (llama.cpp does the same)."""


def write_tokenizer(header: GgufHeader, folder: Path) -> dict[str, Path]:
    """Write the file's tokenizer into ``folder`` (once) and return the files by name.

    ``tokenizer.json``, ``tokenizer_config.json``, ``generation_config.json`` and, where the file
    has a chat template, ``chat_template.jinja``.  Errors name what is missing or unsupported.
    """
    names = ["tokenizer.json", "generation_config.json"]
    template = header.get("tokenizer.chat_template")
    if template:
        names.append("chat_template.jinja")
    names.append("tokenizer_config.json")  # written last: its presence means all of it is there
    files = {name: folder / name for name in names}
    if not all(path.is_file() for path in files.values()):
        vocabulary = _Vocabulary(header)
        write_atomically(files["tokenizer.json"], build(header).encode())
        write_json(files["generation_config.json"], vocabulary.generation_config())
        if template:
            write_atomically(files["chat_template.jinja"], str(template).encode())
        write_json(files["tokenizer_config.json"], vocabulary.tokenizer_config(template))
    return files


class _Vocabulary:
    """The tokens, their kinds and roles."""

    def __init__(self, header: GgufHeader) -> None:
        self.header = header
        self.model = str(header.get("tokenizer.ggml.model", ""))
        self.pre = str(header.get("tokenizer.ggml.pre", ""))
        tokens = header.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, list) or not tokens or not isinstance(tokens[0], str):
            raise SourceError(f"{header.path} has no tokenizer in it; take a GGUF file that was made with one")
        self.tokens: list[str] = tokens
        self.kinds = self._list("token_type", int) or [1] * len(tokens)
        self.ids: dict[str, int] = {token: i for i, token in enumerate(tokens)}
        if len(self.ids) != len(tokens):
            raise SourceError(f"{header.path}: {len(tokens) - len(self.ids)} tokens of its vocabulary come twice")

    def _list(self, key: str, kind: type) -> list[Any] | None:
        values = self.header.get(f"tokenizer.ggml.{key}")
        if values is None:
            return None
        if not isinstance(values, list) or len(values) != len(self.tokens) or not isinstance(values[0], kind):
            raise damaged(self.header.path, f"its tokenizer's {key} does not fit the vocabulary")
        return values

    def scores(self) -> list[float]:
        values = self._list("scores", float)
        if values is None:
            raise damaged(self.header.path, "its SentencePiece vocabulary has no scores")
        return values

    def flag(self, key: str, default: bool) -> bool:
        return bool(self.header.get(f"tokenizer.ggml.{key}", default))

    @property
    def byte_level(self) -> bool:
        return self.model == "gpt2"

    @property
    def add_bos(self) -> bool:
        return self.flag("add_bos_token", not self.byte_level or self.pre in _BOS_UNLESS_TOLD)

    @property
    def add_eos(self) -> bool:
        return self.flag("add_eos_token", False)

    def role(self, key: str) -> int | None:
        """The id of the token with the role ``key`` (``bos``, ``eos``, ...), if there is one."""
        value = self.header.get(f"tokenizer.ggml.{key}_token_id")
        if value is None:
            return None
        if not isinstance(value, int) or not 0 <= value < len(self.tokens):
            raise damaged(self.header.path, f"its {key} token is {value!r}, outside the vocabulary")
        return value

    def ends(self) -> list[int]:
        """The tokens that end an answer."""
        found = [self.role(key) for key in ("eos", "eot", "eom")]
        named = [
            self.ids[t] for t in _TURN_ENDS if t in self.ids and self.kinds[self.ids[t]] in (_CONTROL, _USER_DEFINED)
        ]
        return sorted({token for token in found if token is not None} | set(named))

    def generation_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"eos_token_id": self.ends()}
        for key, name in (("bos", "bos_token_id"), ("padding", "pad_token_id")):
            if (token := self.role(key)) is not None:
                config[name] = token
        return config

    def tokenizer_config(self, template: str | None) -> dict[str, Any]:
        config: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.add_bos,
            "add_eos_token": self.add_eos,
            "clean_up_tokenization_spaces": False,
        }
        for key, name in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
            token = self.role(key)
            config[f"{name}_token"] = None if token is None else self.tokens[token]
        if (context := self.header.get(f"{self.header.architecture}.context_length")) is not None:
            config["model_max_length"] = context
        if template:
            config["chat_template"] = template
        return config


def build(header: GgufHeader) -> str:
    """The text of ``tokenizer.json``."""
    from tokenizers import AddedToken

    vocabulary = _Vocabulary(header)
    if vocabulary.model == "gpt2":
        tokenizer = _byte_level(vocabulary)
    elif vocabulary.model == "llama":
        tokenizer = _sentencepiece(vocabulary)
    else:
        raise UnsupportedModelError(
            f"{header.path}: its tokenizer {vocabulary.model!r} is not supported (gpt2, llama are)"
        )
    special, plain = [], []
    trimmed = _swallowing_space(vocabulary)
    for token, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True):
        if kind in (_CONTROL, _UNKNOWN):
            special.append(AddedToken(token, normalized=False, special=True, rstrip=token in trimmed))
        elif kind == _USER_DEFINED:
            plain.append(AddedToken(token, normalized=False, special=False))
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(plain)
    text: str = tokenizer.to_str()
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if size != len(vocabulary.tokens):
        raise damaged(header.path, "its vocabulary changes its numbering when it is loaded")
    return text


def _swallowing_space(vocabulary: _Vocabulary) -> set[str]:
    """Phi-3's control tokens take the white space behind them along (a rule of llama.cpp's, by name)."""
    if vocabulary.byte_level or vocabulary.header.architecture != "phi3":
        return set()
    control = {t for t, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind == _CONTROL}
    return (control | {"</s>"}) - {"<unk>", "<s>", "<|endoftext|>"}


def _byte_level(vocabulary: _Vocabulary) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    header = vocabulary.header
    if vocabulary.pre not in PRE_TOKENIZERS:
        raise UnsupportedModelError(
            f"{header.path}: its way of splitting text, {vocabulary.pre or 'not named'!r}, is not known; "
            f"known are {', '.join(PRE_TOKENIZERS)}"
        )
    merges = header.get("tokenizer.ggml.merges")
    if not isinstance(merges, list) or not merges or not isinstance(merges[0], str):
        raise damaged(header.path, "its BPE vocabulary has no merges")
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    for pair in pairs:
        if len(pair) != 2 or any(part not in vocabulary.ids for part in (*pair, "".join(pair))):
            raise damaged(header.path, f"the merge {' '.join(pair)!r} is not of tokens in the vocabulary")
    tokenizer = Tokenizer(BPE(vocabulary.ids, pairs, ignore_merges=vocabulary.pre in _WHOLE_WORDS_FIRST))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            *(pre_tokenizers.Split(Regex(cut), "isolated") for cut in PRE_TOKENIZERS[vocabulary.pre]),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    if ends := _framing(vocabulary):
        tokenizer.post_processor = ends
    return tokenizer


def _sentencepiece(vocabulary: _Vocabulary) -> Any:
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers.models import BPE

    unknown = vocabulary.role("unknown")
    if unknown is None:
        unknown = next((i for i, kind in enumerate(vocabulary.kinds) if kind == _UNKNOWN), None)
    prefix = vocabulary.flag("add_space_prefix", True)
    tokenizer = Tokenizer(
        BPE(
            vocabulary.ids,
            _merges_from_scores(vocabulary),
            unk_token=None if unknown is None else vocabulary.tokens[unknown],
            fuse_unk=True,
            byte_fallback=_BYTE in vocabulary.kinds,
        )
    )
    steps: list[Any] = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", "▁")])
    undo: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*undo, decoders.Strip(" ", 1, 0)] if prefix else undo)
    if ends := _framing(vocabulary):
        tokenizer.post_processor = ends
    return tokenizer


def _merges_from_scores(vocabulary: _Vocabulary) -> list[tuple[str, str]]:
    """SentencePiece merges the pair whose joint piece scores best: so the pairs, by falling score."""
    ids, scores, kinds = vocabulary.ids, vocabulary.scores(), vocabulary.kinds
    usable = {
        token for token, kind in zip(vocabulary.tokens, kinds, strict=True) if kind not in (_CONTROL, _UNKNOWN, _BYTE)
    }
    found: list[tuple[float, int, int, int]] = []
    for token in usable:
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in usable and right in usable:
                found.append((-scores[ids[token]], ids[token], ids[left], ids[right]))
    found.sort()
    return [(vocabulary.tokens[left], vocabulary.tokens[right]) for _, _, left, right in found]


def _framing(vocabulary: _Vocabulary) -> Any:
    """BOS before and EOS behind the text, where the file asks for them."""
    from tokenizers.processors import TemplateProcessing

    def named(key: str) -> list[tuple[str, int]]:
        token = vocabulary.role(key)
        if token is None:
            raise damaged(vocabulary.header.path, f"it asks for a {key} token and names none")
        return [(vocabulary.tokens[token], token)]

    before = named("bos") if vocabulary.add_bos else []
    behind = named("eos") if vocabulary.add_eos else []
    if not before and not behind:
        return None

    first, last = [token for token, _ in before], [token for token, _ in behind]
    second = [f"{token}:1" for token in first], [f"{token}:1" for token in last]
    return TemplateProcessing(
        single=[*first, "$A", *last],
        pair=[*first, "$A", *last, *second[0], "$B:1", *second[1]],
        special_tokens=before + behind,
    )
