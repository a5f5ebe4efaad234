"""Tokenizers out of GGUF files, held against llama.cpp's algorithms written down anew, plainly."""

from __future__ import annotations

import heapq
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf")
regex = pytest.importorskip("regex")

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers  # noqa: E402

from tests.tiny_models import TEXT  # noqa: E402
from tzcore.errors import SourceError, UnsupportedModelError  # noqa: E402
from tzcore.hub.formats.gguf_header import GgufHeader  # noqa: E402
from tzcore.hub.formats.gguf_tokenizer import PRE_TOKENIZERS, build, write_tokenizer  # noqa: E402

SAMPLES = [
    "Hello, world!",
    "The capital of France is Paris. It's 12345 km away, isn't it?  WE'LL see: HE'LL go.",
    "  leading and   many    spaces \t\ttabs\n\n\nnewlines \r\n mixed  ",
    "def f(x):\n    return x ** 2 + 1  # comment\n\n\tif y != 3.14159: pass",
    "naïve Straße señor Œuvre — “quotes” … ½ ² ٣٤ Ⅷ",
    "東京は日本の首都です。Привет, мир! שלום 안녕하세요",
    "emoji 👩‍👩‍👧‍👦 🇫🇷 ✨ and combining e\u0301 a\u0308",
    "CamelCaseWords XMLHttpRequest iPhone15 A1b2C3",
    "'s 't 'RE I'VE don't rock'n'roll ''",
    "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n",
    "a",
    " ",
    "\n",
]


def byte_alphabet() -> dict[int, str]:
    """GPT-2's spelling of bytes: printable ones as they are, the rest from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in plain}
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + len(table) - len(plain))
    return table


def split_by(expressions: list[str], text: str) -> list[str]:
    """Each expression in turn isolates its matches in the pieces so far (unicode_regex_split)."""
    pieces = [text]
    for expression in expressions:
        finer: list[str] = []
        for piece in pieces:
            at = 0
            for match in regex.finditer(expression, piece):
                finer += [piece[at : match.start()], match.group()]
                at = match.end()
            finer.append(piece[at:])
        pieces = [piece for piece in finer if piece]
    return pieces


# As in llama.cpp's source, where contractions are spelt out and no inline flags are used.
_APOSTROPHE = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA_CPP = {
    "gpt-2": [_GPT2],
    "smollm": [r"\p{N}", _GPT2],
    "llama-bpe": [_APOSTROPHE + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _REST],
    "qwen2": [_APOSTROPHE + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _REST],
}


def bpe(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Merge the pair of lowest rank, leftmost first, until none is left."""
    parts = list(word)
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: (ranks.get((parts[i], parts[i + 1]), 1 << 60), i))
        if (parts[best], parts[best + 1]) not in ranks:
            break
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def spm(text: str, vocabulary: dict[str, int], scores: list[float]) -> list[int]:
    """llama.cpp's SentencePiece: merge the neighbours whose joint piece scores best; bytes for the rest."""
    parts: list[str | None] = list(text)
    following = list(range(1, len(parts) + 1))
    before = list(range(-1, len(parts) - 1))
    queue: list[tuple[float, int, int, str]] = []

    def offer(left: int, right: int) -> None:
        if left < 0 or right >= len(parts):
            return
        joint = f"{parts[left]}{parts[right]}"
        if joint in vocabulary:
            heapq.heappush(queue, (-scores[vocabulary[joint]], left, right, joint))

    for i in range(len(parts) - 1):
        offer(i, i + 1)
    while queue:
        _, left, right, joint = heapq.heappop(queue)
        if parts[left] is None or parts[right] is None or f"{parts[left]}{parts[right]}" != joint:
            continue
        parts[left], parts[right] = joint, None
        following[left] = following[right]
        if following[left] < len(parts):
            before[following[left]] = left
        offer(before[left], left)
        offer(left, following[left])
    ids: list[int] = []
    for part in parts:
        if part is None:
            continue
        ids += [vocabulary[part]] if part in vocabulary else [vocabulary[f"<0x{b:02X}>"] for b in part.encode()]
    return ids


def pieces_with_control(text: str, control: list[str]) -> list[str]:
    return [p for p in regex.split("(" + "|".join(map(regex.escape, control)) + ")", text) if p]


def header_of(metadata: dict[str, Any], architecture: str = "llama") -> GgufHeader:
    prefixed = {f"tokenizer.ggml.{key}" if not key.startswith("tokenizer.") else key: v for key, v in metadata.items()}
    return GgufHeader(Path("m.gguf"), 0, {"general.architecture": architecture, **prefixed}, {})


def byte_level_metadata(pre: str) -> dict[str, Any]:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator([TEXT, *SAMPLES], trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return {
        "model": "gpt2",
        "pre": pre,
        "tokens": tokens,
        "merges": merges,
        "token_type": [3, 3] + [1] * (len(tokens) - 2),
        "bos_token_id": 0,
        "eos_token_id": 1,
        "add_bos_token": False,
    }


def sentencepiece_metadata(**more: Any) -> dict[str, Any]:
    """A small SentencePiece vocabulary with bytes, made by BPE training on pieces."""
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=400, show_progress=False))
    vocab = trained.get_vocab()
    learnt = sorted(vocab, key=vocab.__getitem__)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), *learnt, "<tool>", "<|end|>"]
    kinds = [2, 3, 3] + [6] * 256 + [1] * len(learnt) + [4, 3]
    scores = [0.0] * 259 + [-float(i) for i in range(len(learnt))] + [0.0, 0.0]
    roles = {"bos_token_id": 1, "eos_token_id": 2, "unknown_token_id": 0}
    return {"model": "llama", "tokens": tokens, "token_type": kinds, "scores": scores, **roles, **more}


@pytest.mark.parametrize("pre", LLAMA_CPP)
def test_byte_level_encodes_as_llama_cpp_does(pre: str) -> None:
    metadata = byte_level_metadata(pre)
    tokenizer = Tokenizer.from_str(build(header_of(metadata)))
    ids = {token: i for i, token in enumerate(metadata["tokens"])}
    ranks = {tuple(merge.split(" ")): i for i, merge in enumerate(metadata["merges"])}
    spelling = byte_alphabet()
    for text in SAMPLES:
        expected: list[int] = []
        for piece in pieces_with_control(text, ["<|im_start|>", "<|im_end|>"]):
            if piece in ids and piece.startswith("<|"):
                expected.append(ids[piece])
                continue
            for word in split_by(LLAMA_CPP[pre], piece):
                spelt = "".join(spelling[b] for b in word.encode())
                whole = pre == "llama-bpe" and spelt in ids
                expected += [ids[spelt]] if whole else [ids[part] for part in bpe(spelt, ranks)]  # type: ignore[arg-type]
        got = tokenizer.encode(text).ids
        assert got == expected, (pre, text)
        assert tokenizer.decode(got, skip_special_tokens=False) == text


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_encodes_as_llama_cpp_does(prefix: bool) -> None:
    metadata = sentencepiece_metadata(add_space_prefix=prefix)
    tokenizer = Tokenizer.from_str(build(header_of(metadata)))
    ids = {token: i for i, token in enumerate(metadata["tokens"])}
    normal = {t: i for t, i in ids.items() if metadata["token_type"][i] == 1}
    with_bytes = normal | {t: i for t, i in ids.items() if metadata["token_type"][i] == 6}
    for text in [*SAMPLES, "call <tool> now<|end|> and <0x41> stays text"]:
        expected = [1]  # <s>: SentencePiece files begin with it unless they say otherwise
        for piece in pieces_with_control(text, ["<tool>", "<|end|>", "</s>"]):
            if piece in ("<tool>", "<|end|>"):
                expected.append(ids[piece])
                continue
            spaced = (" " + piece if prefix else piece).replace(" ", "▁")
            expected += spm(spaced, with_bytes, metadata["scores"])
        assert tokenizer.encode(text).ids == expected, text
    plain = "The capital of France is Paris, 東京 and 👩‍👧.\n"
    assert tokenizer.decode(tokenizer.encode(plain).ids) == plain


@pytest.mark.parametrize(
    ("metadata", "begins", "ends"),
    [
        ({"add_bos_token": True, "add_eos_token": True}, True, True),
        ({"add_bos_token": False, "add_eos_token": False}, False, False),
        ({}, False, False),
    ],
)
def test_bos_and_eos_as_the_file_says(metadata: dict[str, bool], begins: bool, ends: bool) -> None:
    base = byte_level_metadata("qwen2")
    del base["add_bos_token"]
    ids = Tokenizer.from_str(build(header_of(base | metadata))).encode("Hi").ids
    assert (ids[0] == 0, ids[-1] == 1) == (begins, ends)
    assert Tokenizer.from_str(build(header_of(base | metadata))).encode("Hi", add_special_tokens=False).ids[0] != 0


def test_llama_3_begins_with_bos_unless_told() -> None:
    base = byte_level_metadata("llama-bpe")
    del base["add_bos_token"]
    assert Tokenizer.from_str(build(header_of(base))).encode("Hi").ids[0] == 0
    assert Tokenizer.from_str(build(header_of(base | {"add_bos_token": False}))).encode("Hi").ids[0] != 0


def test_phi_3_control_tokens_swallow_the_space_behind() -> None:
    metadata = sentencepiece_metadata()
    phi = Tokenizer.from_str(build(header_of(metadata, "phi3")))
    llama = Tokenizer.from_str(build(header_of(metadata)))
    end = len(metadata["tokens"]) - 1
    assert phi.encode("<|end|>\n", add_special_tokens=False).ids == [end]
    assert len(llama.encode("<|end|>\n", add_special_tokens=False).ids) > 1


def test_files_beside_it(tmp_path: Path) -> None:
    metadata = byte_level_metadata("smollm") | {"tokenizer.chat_template": "{{ messages }}", "padding_token_id": 1}
    files = write_tokenizer(header_of(metadata), tmp_path / "t")
    assert set(files) == {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"}
    config = json.loads(files["tokenizer_config.json"].read_text())
    assert (config["bos_token"], config["eos_token"], config["pad_token"]) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    assert (config["unk_token"], config["add_bos_token"]) == (None, False)
    assert json.loads(files["generation_config.json"].read_text()) == {
        "eos_token_id": [1],
        "bos_token_id": 0,
        "pad_token_id": 1,
    }
    assert files["chat_template.jinja"].read_text() == "{{ messages }}"
    before = {p: p.stat().st_mtime_ns for p in files.values()}
    write_tokenizer(header_of(metadata), tmp_path / "t")
    assert {p: p.stat().st_mtime_ns for p in files.values()} == before
    no_template = write_tokenizer(header_of(byte_level_metadata("smollm")), tmp_path / "u")
    assert "chat_template.jinja" not in no_template


def test_every_token_that_ends_a_turn_is_named() -> None:
    metadata = sentencepiece_metadata(eot_token_id=1)
    from tzcore.hub.formats.gguf_tokenizer import _Vocabulary

    end = len(metadata["tokens"]) - 1
    assert _Vocabulary(header_of(metadata)).generation_config()["eos_token_id"] == [1, 2, end]


def test_transformers_reads_the_same(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    files = write_tokenizer(header_of(byte_level_metadata("smollm")), tmp_path / "t")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "t")
    ours = Tokenizer.from_file(str(files["tokenizer.json"]))
    for text in SAMPLES:
        assert theirs(text)["input_ids"] == ours.encode(text).ids


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_every_way_of_splitting_keeps_the_text(pre: str) -> None:
    tokenizer = Tokenizer.from_str(build(header_of(byte_level_metadata(pre))))
    for text in SAMPLES:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_what_is_unknown_or_broken_is_named() -> None:
    good = byte_level_metadata("smollm")
    spm_good = sentencepiece_metadata()
    for metadata, kind, words in (
        (good | {"pre": "chameleon"}, UnsupportedModelError, "'chameleon', is not known"),
        (good | {"pre": ""}, UnsupportedModelError, "'not named', is not known"),
        (good | {"model": "bert"}, UnsupportedModelError, "'bert' is not supported"),
        ({key: v for key, v in good.items() if key != "tokens"}, SourceError, "no tokenizer in it"),
        (good | {"merges": []}, SourceError, "no merges"),
        (good | {"merges": ["x"]}, SourceError, "the merge 'x'"),
        (good | {"merges": ["qq zz"]}, SourceError, "the merge 'qq zz'"),
        (good | {"tokens": [*good["tokens"][:-1], "a"]}, SourceError, "come twice"),
        (good | {"token_type": [1]}, SourceError, "token_type does not fit"),
        (good | {"bos_token_id": 10**6, "add_bos_token": True}, SourceError, "outside the vocabulary"),
        ({k: v for k, v in spm_good.items() if k != "scores"}, SourceError, "no scores"),
        (spm_good | {"bos_token_id": None}, SourceError, "asks for a bos token and names none"),
    ):
        with pytest.raises(kind, match=words):
            build(header_of(metadata))
