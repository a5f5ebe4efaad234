"""``bitnet`` checkpoints as transformers writes them, read back to the weights that its layers use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers.integrations import bitnet

from tests.native_models import FORMS, Form, bitnet_model
from tests.tiny_models import tiny_config
from tzcore.checkpoint.ternary import TernarySource
from tzcore.errors import UnsupportedModelError
from tzcore.hub import sources
from tzcore.hub.formats.bitnet_folder import BitnetFolder, unpack
from tzcore.hub.reference import parse


def opened(folder: Path) -> BitnetFolder:
    return BitnetFolder(folder, "id", "rev", "mit")


def in_use(module: Any) -> torch.Tensor:
    """The weights by which a layer of transformers multiplies, its scale included."""
    if isinstance(module, bitnet.BitLinear):
        return bitnet.unpack_weights(module.weight, torch.float32) / module.weight_scale
    if module.online_quant:
        return bitnet.WeightQuant.apply(module.weight).detach()
    return module.weight.detach() * module.weight_scale


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("form", FORMS)
def test_weights_are_those_that_transformers_uses(form: Form, dtype: str, tmp_path: Path) -> None:
    model = bitnet_model(tmp_path / "m", form, dtype=dtype)
    source = opened(tmp_path / "m")
    assert isinstance(source, TernarySource)
    assert source.scheme is not None
    layers = [
        name for name, module in model.named_modules() if isinstance(module, bitnet.BitLinear | bitnet.AutoBitLinear)
    ]
    assert source.scheme.matrices == set(layers)
    assert len(layers) == 21
    for name in layers:
        module = model.get_submodule(name)
        if form == "online":
            module.weight.data = module.weight.data.to(getattr(torch, dtype))
        wanted = in_use(module).float().numpy()
        found = source.ternary(f"{name}.weight")
        assert found.codes.dtype == np.int8
        assert set(np.unique(found.codes)) == {-1, 0, 1}
        assert (found.scales == 1).all()
        assert np.array_equal(found.values(), source.tensor(f"{name}.weight"))
        assert source.shape(f"{name}.weight") == wanted.shape
        # In float32 the mean of masters may be summed in another order: its last bit is not ours to know.
        close = 2e-7 if form == "online" and dtype == "float32" else 0
        np.testing.assert_allclose(found.values(), wanted, rtol=close, atol=0, err_msg=name)
    for name, value in model.state_dict().items():
        if name.rpartition(".")[0] not in layers:
            assert np.array_equal(source.tensor(name), value.to(getattr(torch, dtype)).float().numpy()), name


@pytest.mark.parametrize("form", FORMS)
def test_it_looks_like_the_unquantised_model(form: Form, tmp_path: Path) -> None:
    bitnet_model(tmp_path / "m", form, "bitnet")
    source = opened(tmp_path / "m")
    with torch.device("meta"):
        plain = transformers.AutoModelForCausalLM.from_config(tiny_config("bitnet"))
    shapes = {name: tuple(value.shape) for name, value in plain.state_dict().items() if name != "lm_head.weight"}
    assert {name: source.shape(name) for name in source.names()} == shapes
    assert source.config["model_type"] == "bitnet"
    assert source.config["quantization_config"] == {"quant_method": "bitnet"}
    assert "tokenizer.json" in source.files
    assert source.bytes() == sum(path.stat().st_size for path in (tmp_path / "m").glob("*.safetensors")) - _header(
        tmp_path / "m" / "model.safetensors"
    )


def _header(path: Path) -> int:
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def test_opening_by_reference_tells_it_from_other_folders(tmp_path: Path) -> None:
    model = bitnet_model(tmp_path / "m", "bitlinear")
    reference = parse(str(tmp_path / "m"))
    info = sources.describe(reference)
    assert (info.family, info.supported) == ("llama", True)
    weights = sum(p.numel() for p in model.parameters())
    packed = sum(4 * m.weight.numel() + 1 for m in model.modules() if isinstance(m, bitnet.BitLinear))
    assert info.parameters == weights + packed
    assert isinstance(sources.open_source(reference), BitnetFolder)


def test_packing_by_the_example_of_transformers() -> None:
    packed = np.array([[0b10100001, 0b00011000], [0b10010000, 0b00001010]], np.uint8)
    wanted = [[0, -1], [-1, 1], [-1, 1], [-1, 1], [1, 0], [0, -1], [1, -1], [1, -1]]
    assert unpack(packed, "here").tolist() == wanted


def test_masters_in_the_middle_go_to_the_even_code() -> None:
    """|w|·s = 0.5 rounds to 0 and 1.5 to 1 (clamped), as torch rounds."""
    from tzcore.hub.formats.bitnet_folder import _quantised

    masters = np.array([[0.5, -0.5, 1.5, -1.5], [1.0, -1.0, 1.0, -1.0]], np.float32)
    found = _quantised(masters, "F32", "here")
    assert found.codes.tolist() == [[0, 0, 1, -1], [1, -1, 1, -1]]
    assert found.gain == 1.0
    assert _quantised(np.zeros((4, 4), np.float32), "BF16", "here").gain == pytest.approx(1e-5, rel=1e-2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"use_rms_norm": True}, "use_rms_norm"),
        ({"linear_class": "trilinear"}, "linear_class = 'trilinear'"),
        ({"quantization_mode": "later"}, "quantization_mode = 'later'"),
        ({"modules_to_not_convert": ["lm_head", "model.layers.1"]}, r"layers\.1\..* left unquantised"),
        ({"modules_to_not_convert": "lm_head"}, "is not a list"),
        ({"modules_to_not_convert": ["("]}, "unusable pattern"),
        ({"linear_class": "autobitlinear", "modules_to_not_convert": []}, r"lm_head\.weight is quantised too"),
    ],
)
def test_settings_that_are_not_supported_are_named(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    bitnet_model(tmp_path / "m", "bitlinear")
    path = tmp_path / "m" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= changes
    path.write_text(json.dumps(config))
    with pytest.raises(UnsupportedModelError, match=words):
        opened(tmp_path / "m")


@pytest.mark.parametrize("skipped", [["lm_head"], ["lm_head", "model.embed_tokens"], [r"lm_.*"], None])
def test_a_head_left_alone_in_other_words(skipped: list[str] | None, tmp_path: Path) -> None:
    bitnet_model(tmp_path / "m", "autobitlinear")
    path = tmp_path / "m" / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"]["modules_to_not_convert"] = skipped
    path.write_text(json.dumps(config))
    scheme = opened(tmp_path / "m").scheme
    assert scheme is not None
    assert len(scheme.matrices) == 21
