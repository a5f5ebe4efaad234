"""Adapters of peft on ternary layers."""

from __future__ import annotations

from pathlib import Path

import peft
import pytest
import torch

from tests.tiny_models import tiny_folder
from tests.unit.torch.folders import token_ids
from tzcore.errors import ConversionError
from tzcore.torch import for_adapters, load_model, save_model


def settings() -> peft.LoraConfig:
    return for_adapters(peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))


def test_trained_saved_and_loaded(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    ids = token_ids(12)
    base = load_model(path)
    plain = base(ids).logits.detach()
    model = peft.get_peft_model(base, settings())
    assert torch.equal(model(ids).logits, plain)
    codes = base.model.layers[0].self_attn.q_proj.base_layer.codes.clone()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=3e-2)
    losses = []
    for _ in range(5):
        loss = model(ids, labels=ids).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert torch.equal(base.model.layers[0].self_attn.q_proj.base_layer.codes, codes)
    model.save_pretrained(tmp_path / "adapter")
    config = for_adapters(peft.LoraConfig.from_pretrained(tmp_path / "adapter"))
    again = peft.PeftModel.from_pretrained(load_model(path), tmp_path / "adapter", config=config)
    assert torch.equal(again(ids).logits, model.eval()(ids).logits)


def test_nothing_is_merged_into_integers(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model = peft.get_peft_model(load_model(path), settings())
    with pytest.raises(ConversionError, match="cannot be merged"):
        model.merge_and_unload()
    with pytest.raises(ConversionError, match=r"q_proj has an adapter"):
        save_model(model.base_model.model, tmp_path / "saved")
    save_model(model.unload(), tmp_path / "saved")


def test_transformers_own_adapters(tmp_path: Path) -> None:
    """``add_adapter``: what is saved is the adapter alone."""
    path = tiny_folder(tmp_path / "m", "llama", "t1", "i8")
    model = load_model(path)
    model.add_adapter(settings())
    model.save_pretrained(tmp_path / "adapter")
    names = {file.name for file in (tmp_path / "adapter").iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names
    assert "receipt.json" not in names
