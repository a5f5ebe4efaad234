"""``tz import`` and ``tz convert`` of natively ternary models: taken over as they are, and said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.native_models import bitnet_model, ternary_gguf
from tests.unit.cli.conftest import Tz

SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 2}


@pytest.mark.parametrize("verb", ["import", "convert"])
def test_a_bitnet_folder_keeps_its_codes_and_answers(verb: str, tz: Tz, tmp_path: Path) -> None:
    bitnet_model(tmp_path / "bit", "bitlinear", dtype="bfloat16", **SMALL)
    done = tz(verb, tmp_path / "bit", "--name", "bit")
    assert done.returncode == 0, done.stderr
    assert "is natively ternary (bitnet codes): its own codes and scales are taken over" in done.stderr
    assert "bit:t1 is ready" in done.stdout
    answer = json.loads(tz("run", "bit:t1", "A river", "--max-tokens", "3", "--json").stdout.splitlines()[-1])
    assert answer["completion_tokens"] == 3
    text = tmp_path / "text.txt"
    text.write_text("A river begins where rain meets high ground. " * 12)
    event = json.loads(tz("eval", "bit:t1", "--text", text, "--json").stdout.splitlines()[-1])
    assert (event.get("models") or [event])[0]["kl_mean"] < 0.01
    again = tz(verb, tmp_path / "bit", "--name", "bit", "--json")
    receipt = json.loads(again.stdout.splitlines()[-1])["receipt"]
    assert (receipt["lossless"], receipt["encoding"]) == (True, "t1")


def test_a_ternary_gguf_file_and_an_encoding_named_all_the_same(tz: Tz, tmp_path: Path) -> None:
    ternary_gguf(tmp_path / "bonsai.gguf", "Q2_0 g128", num_hidden_layers=1)
    done = tz("import", tmp_path / "bonsai.gguf", "--packing", "slots", "--json")
    assert done.returncode == 0, done.stderr
    receipt = json.loads(done.stdout.splitlines()[-1])["receipt"]
    assert (receipt["lossless"], set(receipt["formats"])) == (True, {"t1"})
    anew = tz("convert", tmp_path / "bonsai.gguf", "--encoding", "i8", "--json")
    assert anew.returncode == 0, anew.stderr
    assert "lossless" not in json.loads(anew.stdout.splitlines()[-1])["receipt"]
    assert "natively ternary" not in anew.stderr


def test_a_file_that_is_not_ternary_says_which_tensor(tz: Tz, tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    ternary_gguf(path, "Q2_0 g128", num_hidden_layers=1, ends=False)
    from tzcore.hub.formats.gguf_header import read_gguf_header

    content = bytearray(path.read_bytes())
    content[read_gguf_header(path).tensors["blk.0.ffn_down.weight"].start + 5] = 0xFF
    path.write_bytes(content)
    done = tz("import", path)
    assert done.returncode == 1
    assert "m.gguf: blk.0.ffn_down.weight holds the code 3" in done.stderr
    assert "--encoding" in done.stderr
