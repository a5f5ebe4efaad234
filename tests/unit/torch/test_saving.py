"""A transformers model as a folder that the engine runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from tests.parity import backend_logits, distance, prompt, transformers_logits
from tests.tiny_models import FAMILIES, tiny_folder, tiny_model
from tests.unit.torch.folders import assert_same_folder, contents, engine_says, generated, original, token_ids
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.errors import ConversionError, UnsupportedModelError
from tzcore.hub.library import resolve
from tzcore.torch import load_model, save_model, ternarize


def near(model: transformers.PreTrainedModel, path: Path, kl: float = 0.02) -> bool:
    """Whether the folder's logits are the model's, but for rounding: a change in one last bit costs a hundredth."""
    wanted = transformers_logits(model, prompt(24))
    return distance(backend_logits(ReferenceBackend("int8"), path, prompt(24)), wanted).kl < kl


def tokenizer(folder: Path) -> transformers.PreTrainedTokenizerBase:
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_round_trip_to_the_byte(tmp_path: Path, family: str) -> None:
    path = tiny_folder(tmp_path / "m", family, "t1b3", "i8")
    assert_same_folder(path, save_model(load_model(path), tmp_path / "again"))
    files = ("tokenizer.json", "tokenizer_config.json")
    assert all((path / name).read_bytes() == (tmp_path / "again" / name).read_bytes() for name in files)


def test_the_receipt_is_one_for_the_library(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    save_model(load_model(path), tmp_path / "again")
    model = resolve(str(tmp_path / "again"))
    assert model is not None
    assert (model.encoding, model.source, model.licence) == ("t1", "tiny/llama", "apache-2.0")
    assert 2.1 < (model.bits_per_weight or 0) < 2.6
    ModelFolder.open(tmp_path / "again").verify()


MADE = [("qwen2", "t2"), ("gemma3_text", "t1"), ("phi3", "i4"), ("biased", "i8")]
MADE += [("mixtral", "f16"), ("qwen3_moe", "f16")]


@pytest.mark.parametrize(("family", "fmt"), MADE)
def test_a_model_made_ternary_runs(tmp_path: Path, family: str, fmt: str) -> None:
    """Experts in halves: by another rounding a router chooses others."""
    source = original(tmp_path / "float", family)
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    ternarize(model, fmt)
    path = save_model(model, tmp_path / "saved", rest="f16" if fmt == "f16" else "i8")
    assert near(model, path)
    assert near(load_model(path), path)


def test_floats_are_stored_as_halves_when_asked(tmp_path: Path) -> None:
    source = original(tmp_path / "float", "llama")
    model = transformers.AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    start = token_ids(20)
    path = save_model(model, tmp_path / "saved", rest="f16")
    assert engine_says(path, start, 12) == generated(model, start, 12)
    with pytest.raises(ConversionError, match="i8 or f16"):
        save_model(model, tmp_path / "other", rest="t1")


def test_some_layers_ternary_and_some_not(tmp_path: Path) -> None:
    """q alone is turned, so k and v, which have the same input, are stored turned as well."""
    model = tiny_model("llama")
    ternarize(model, "i8", include=("q_proj",))
    path = save_model(model, tmp_path / "saved", tokenizer=tokenizer(original(tmp_path / "float", "llama")))
    stored = ModelFolder.open(path).quantization.matrices
    layer = "model.layers.0.self_attn."
    assert stored[f"{layer}k_proj"].transform == stored[f"{layer}q_proj"].transform is not None
    assert stored[f"{layer}o_proj"].transform is None
    assert near(model, path)


def test_layers_that_turn_one_input_differently(tmp_path: Path) -> None:
    source = original(tmp_path / "float", "llama")
    model = tiny_model("llama")
    ternarize(model, include=("q_proj",))
    ternarize(model, include=("k_proj",), seed=1)
    with pytest.raises(ConversionError, match="same settings"):
        save_model(model, tmp_path / "saved", tokenizer=tokenizer(source))
    model = tiny_model("llama")
    ternarize(model, include=("q_proj",))
    ternarize(model, include=("k_proj",), hadamard=False)
    with pytest.raises(ConversionError, match="same settings"):
        save_model(model, tmp_path / "saved", tokenizer=tokenizer(source))


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_a_changed_embedding(tmp_path: Path, family: str) -> None:
    """It is stored anew, and apart from the head where they were one."""
    path = tiny_folder(tmp_path / "m", family, "t1", "f16")
    model = load_model(path)
    with torch.no_grad():
        model.get_input_embeddings().weight[3] += 0.5
        model.model.norm.weight *= 2
    saved = save_model(model, tmp_path / "saved")
    matrices = ModelFolder.open(saved).quantization.matrices
    assert (matrices["model.embed_tokens"].format.name, matrices["lm_head"].format.name) == ("i8", "f16")
    assert json.loads((saved / "config.json").read_text())["tie_word_embeddings"] is False
    assert (contents(saved)["model.norm.weight"] == 2 * contents(path)["model.norm.weight"]).all()
    assert near(model, saved)


def test_the_folder_it_came_from_is_gone(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model, named = load_model(path), tokenizer(path)
    shutil.rmtree(path)
    with pytest.raises(ConversionError, match="tokenizer="):
        save_model(model, tmp_path / "saved")
    assert near(model, save_model(model, tmp_path / "saved", tokenizer=named))


def test_a_folder_that_exists(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model = load_model(path)
    saved = save_model(model, tmp_path / "saved")
    with pytest.raises(ConversionError, match="exists already"):
        save_model(model, saved)
    (saved / "model-00099.safetensors").write_bytes(b"stale")
    (saved / "notes.txt").write_text("mine")
    save_model(model, saved, overwrite=True)
    assert_same_folder(path, saved)
    assert (saved / "notes.txt").read_text() == "mine"
    assert not [p for p in tmp_path.iterdir() if "sav" in p.name and p != saved]


def test_a_save_that_was_killed_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model = load_model(path)
    with monkeypatch.context() as patch:
        patch.setattr(model, "get_parameter", lambda name: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_model(model, tmp_path / "saved")
    assert (tmp_path / "saved.partial").exists()
    with torch.no_grad():
        model.model.norm.weight *= 2
    saved = save_model(model, tmp_path / "saved")
    assert (contents(saved)["model.norm.weight"] == 2 * contents(path)["model.norm.weight"]).all()


def test_models_that_the_engine_does_not_run(tmp_path: Path) -> None:
    small = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    bert = transformers.BertForMaskedLM(transformers.BertConfig(intermediate_size=96, **small))
    ternarize(bert)
    with pytest.raises(UnsupportedModelError, match="bert"):
        save_model(bert, tmp_path / "saved")
    with pytest.raises(UnsupportedModelError, match="bert"):
        bert.save_pretrained(tmp_path / "saved")
    with pytest.raises(UnsupportedModelError, match="not a causal language model"):
        save_model(bert.bert, tmp_path / "saved")
