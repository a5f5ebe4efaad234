"""Ternary models by transformers' own words: from_pretrained, save_pretrained, pipeline, Trainer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from tests.tiny_models import tiny_folder
from tests.unit.torch.folders import assert_same_folder, engine_says, generated, original, token_ids
from tzcore.checkpoint import ModelFolder
from tzcore.errors import CheckpointError, ConversionError, UnsupportedModelError
from tzcore.torch import TernaryConfig, TernaryLinear, load_model

FAMILIES = ["llama", "qwen2", "gemma3_text", "phi3", "bitnet", "mixtral", "qwen3_moe"]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_there_and_back(tmp_path: Path, family: str) -> None:
    path = tiny_folder(tmp_path / "m", family, "t1b3", "i8")
    model = AutoModelForCausalLM.from_pretrained(path)
    assert torch.equal(model(token_ids(9)).logits, load_model(path)(token_ids(9)).logits)
    model.save_pretrained(tmp_path / "again")
    assert_same_folder(path, tmp_path / "again")


def test_a_text_part_is_no_multimodal_model(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "gemma3", "t1", "i8")
    with pytest.raises(UnsupportedModelError, match="load_model"):
        AutoModelForCausalLM.from_pretrained(path)


def test_the_type_asked_for(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    assert AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_pipeline_says_what_the_engine_says(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "f16", "f16")
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    pipe = transformers.pipeline("text-generation", model=str(path), device="cpu")
    text = "The capital of France is"
    start = tokenizer(text, return_tensors="pt")["input_ids"]
    (said,) = pipe(text, max_new_tokens=10, do_sample=False, return_full_text=False)
    assert said["generated_text"] == tokenizer.decode([t for t in engine_says(path, start, 10) if t != 1])


@pytest.mark.parametrize(("family", "count"), [("llama", 21), ("phi3", 12), ("biased", 21), ("qwen3_moe", 57)])
def test_quantised_while_loading(tmp_path: Path, family: str, count: int) -> None:
    source = original(tmp_path / "float", family)
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=TernaryConfig("f16"), dtype=torch.float32)
    plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    assert torch.allclose(model(token_ids(9)).logits, plain(token_ids(9)).logits, atol=1e-3)
    assert len(model.hf_quantizer.report.replaced) == count
    assert not any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])
    model.save_pretrained(tmp_path / "saved")
    said = engine_says(tmp_path / "saved", token_ids(9), 4)
    assert generated(load_model(tmp_path / "saved"), token_ids(9), 4) == said


def test_settings_reach_the_layers(tmp_path: Path) -> None:
    source = original(tmp_path / "float", "llama")
    config = TernaryConfig("q2", group=64, include=("*mlp*",), hadamard=False)
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=config)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, TernaryLinear)}
    assert {name.split(".")[-2] for name in layers} == {"mlp"}
    assert {(layer.fmt, layer.group, layer.block) for layer in layers.values()} == {("q2", 64, 0)}
    assert {one.reason for one in model.hf_quantizer.report.left} == {
        "it is excluded by 'lm_head'",
        "no pattern includes it",
    }
    with pytest.raises(ConversionError, match="t9"):
        TernaryConfig("t9")


def test_a_layer_that_cannot_be_is_loaded_as_it_is(tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    source = original(tmp_path / "float", "llama")
    tensors = load_file(source / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = float("inf")
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    model = AutoModelForCausalLM.from_pretrained(source, quantization_config=TernaryConfig())
    (left,) = [one for one in model.hf_quantizer.report.left if one.name != "lm_head"]
    assert (left.name, left.reason) == ("model.layers.1.mlp.up_proj", "it has weights that are not finite")
    assert float(model.model.layers[1].mlp.up_proj.weight[0, 0].detach()) == float("inf")


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    shard = path / "model-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="model-00001"):
        AutoModelForCausalLM.from_pretrained(path)
    config = path / "config.json"
    config.write_text(config.read_text().replace('"version": 2', '"version": 1'))
    with pytest.raises(CheckpointError, match="version 1"):
        AutoModelForCausalLM.from_pretrained(path)


def test_several_devices_are_refused(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    with pytest.raises(ConversionError, match="one device"):
        AutoModelForCausalLM.from_pretrained(path, device_map={"model": "cpu", "lm_head": "disk"})


def test_integer_codes_are_not_trained(tmp_path: Path) -> None:
    model = load_model(tiny_folder(tmp_path / "m", "llama", "t1", "i8"))
    arguments = transformers.TrainingArguments(output_dir=str(tmp_path / "out"), report_to=[], use_cpu=True)
    with pytest.raises(ValueError, match="attach trainable adapters"):
        transformers.Trainer(model=model, args=arguments)
    with pytest.raises(RuntimeError, match="floating point"):
        model.model.layers[0].mlp.up_proj.codes.requires_grad_()


def test_saved_over_what_was_there(tmp_path: Path) -> None:
    """As Trainer does, which makes the folder first."""
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model = AutoModelForCausalLM.from_pretrained(path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "optimizer.pt").write_bytes(b"kept")
    model.save_pretrained(tmp_path / "out", state_dict=model.state_dict())
    assert_same_folder(path, tmp_path / "out")
    assert (tmp_path / "out" / "optimizer.pt").exists()
    with pytest.raises(ConversionError, match="upload"):
        model.save_pretrained(tmp_path / "out", push_to_hub=True)
    ModelFolder.open(tmp_path / "out").verify()


@pytest.mark.parametrize(
    "lines",
    [
        "import tzcore.torch; assert not {'transformers', 'peft', 'accelerate'} & set(sys.modules); "
        "import transformers",
        "import transformers.quantizers.auto; import tzcore.torch",
        "import tzcore.torch; tzcore.torch.TernaryConfig",
        "import tzcore.torch.quantizer",
    ],
)
def test_known_to_transformers_whatever_is_imported_first(lines: str) -> None:
    check = "from transformers.quantizers.auto import AUTO_QUANTIZER_MAPPING as known; assert 'ternary_zero' in known"
    subprocess.run([sys.executable, "-c", f"import sys; {lines}; {check}"], check=True, timeout=100)
