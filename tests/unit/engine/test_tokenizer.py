from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.engine import small_tokenizers
from tzcore.engine.tokenizer import IncrementalDecoder, Tokenizer
from tzcore.errors import CheckpointError, RequestError


@pytest.fixture(scope="module", params=["byte_level", "byte_fallback"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.open(small_tokenizers.write(tmp_path_factory.mktemp(request.param), request.param))


def pieces(tokenizer: Tokenizer, ids: list[int], context: list[int] | None = None) -> list[str]:
    decoder = IncrementalDecoder(tokenizer, context or [])
    return [*(decoder.push(i) for i in ids), decoder.finish()]


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60))
def test_pieces_join_to_the_text(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert "".join(pieces(tokenizer, ids)) == tokenizer.decode(ids)


@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_characters="\ufffd", exclude_categories=["Cs"]), max_size=40))
def test_no_piece_breaks_a_character(tokenizer: Tokenizer, text: str) -> None:
    assert not any("\ufffd" in piece for piece in pieces(tokenizer, tokenizer.encode(text)))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_tokens_join_to_the_whole_decoding(tokenizer: Tokenizer, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1), max_size=40))
    joined, whole = "".join(pieces(tokenizer, ids)), tokenizer.decode(ids)
    if "\ufffd" in whole and tokenizer.bos_id is not None:  # byte fallback takes whole characters back, see the class
        return
    assert joined == whole


def test_hopeless_bytes_are_not_held_for_ever(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(small_tokenizers.write(tmp_path))
    byte = tokenizer.encode("é")[:1]  # the first half of a character, again and again
    assert tokenizer.decode(byte) == "\ufffd"
    decoder = IncrementalDecoder(tokenizer)
    shown = [decoder.push(byte[0]) for _ in range(2 * IncrementalDecoder.HOLD_LIMIT)]
    assert sum(map(len, shown)) >= IncrementalDecoder.HOLD_LIMIT


def test_a_continued_text_keeps_its_space(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(small_tokenizers.write(tmp_path, "byte_fallback"))
    prompt = tokenizer.encode("France is", add_special_tokens=True)
    assert prompt[0] == tokenizer.bos_id
    whole = tokenizer.encode("is Paris")
    more = whole[whole.index(tokenizer.token_id("▁Par")) :]
    assert "".join(pieces(tokenizer, more, prompt)) == " Paris"
    assert "".join(pieces(tokenizer, more)) == "Paris"


def test_special_tokens_are_not_shown_and_not_added(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(small_tokenizers.write(tmp_path))
    start, end = tokenizer.token_id("<|im_start|>"), tokenizer.token_id("<|im_end|>")
    ids = tokenizer.encode("<|im_start|>Paris<|im_end|>")
    assert (ids[0], ids[-1]) == (start, end)
    assert "".join(pieces(tokenizer, ids)) == "Paris"
    assert tokenizer.special_prefix("<|im_end|>\nmore") == end
    assert tokenizer.special_prefix("Paris") is None


def test_eos_from_every_file(tmp_path: Path) -> None:
    folder = small_tokenizers.write(tmp_path, eos_token_id=[2, 7, 10**9])
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 5, "bos_token_id": 1}))
    tokenizer = Tokenizer.open(folder)
    assert tokenizer.eos_ids == {0, 2, 5, 7}  # 0 is eos_token of tokenizer_config.json; 10⁹ is no token
    assert tokenizer.special_tokens["bos_token"] == "<|im_start|>"


def test_bos_is_added_once_and_eos_never(tmp_path: Path) -> None:
    folder = small_tokenizers.write(tmp_path, "byte_fallback")
    raw = json.loads((folder / "tokenizer.json").read_text())
    raw["post_processor"]["single"].append({"SpecialToken": {"id": "</s>", "type_id": 0}})
    raw["post_processor"]["special_tokens"]["</s>"] = {"id": "</s>", "ids": [2], "tokens": ["</s>"]}
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "add_bos_token": True}))
    tokenizer = Tokenizer.open(folder)
    ids = tokenizer.encode("France", add_special_tokens=True)
    assert ids == [1, *tokenizer.encode("France")]


def test_truncation_in_the_file_is_ignored(tmp_path: Path) -> None:
    folder = small_tokenizers.write(tmp_path)
    raw = json.loads((folder / "tokenizer.json").read_text())
    raw["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    tokenizer = Tokenizer.open(folder)
    assert tokenizer.decode(tokenizer.encode(small_tokenizers.TEXT)) == small_tokenizers.TEXT


def test_half_a_character_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(small_tokenizers.write(tmp_path))
    with pytest.raises(RequestError, match="surrogate"):
        tokenizer.encode("a\ud800b")


def test_missing_tokenizer_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is missing"):
        Tokenizer.open(tmp_path)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "generation_config.json", "config.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 100000])
def test_broken_settings_name_the_file(tmp_path: Path, name: str, content: bytes) -> None:
    folder = small_tokenizers.write(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        Tokenizer.open(folder)


def test_damaged_tokenizers_never_crash(tmp_path: Path) -> None:
    folder = small_tokenizers.write(tmp_path)
    path = folder / "tokenizer.json"
    whole = path.read_bytes()
    chance = random.Random(0)
    refused = 0
    for cut in [b"", b"null", b"{}", whole[:100], whole[: len(whole) // 2], whole[:-2]]:
        path.write_bytes(cut)
        with pytest.raises(CheckpointError, match=r"tokenizer\.json is broken"):
            Tokenizer.open(folder)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            Tokenizer.open(folder).encode("The capital of France")
        except CheckpointError:
            refused += 1
    assert refused > 0
