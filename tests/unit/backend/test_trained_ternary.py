"""Networks that were trained ternary: the backends and the torch block against transformers' own layers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers.integrations.bitnet import replace_with_bitnet_linear
from transformers.utils.quantization_config import BitNetQuantConfig

from tests.parity import backend_logits, distance, prompt, transformers_logits
from tests.tiny_models import TinySource, tiny_source
from tzcore import trits
from tzcore.architecture.registry import read_spec, spec_of
from tzcore.backend import native
from tzcore.backend.base import Backend
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.reference import Cache, ReferenceBackend, quantise_tokens
from tzcore.checkpoint import FolderWriter, MatrixEntry, ModelFolder, dequantised

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
LLAMA = {"quantization_config": {"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"]}}


@functools.cache
def _source(family: str) -> TinySource:
    source = tiny_source(family, seed=5)
    if family != "bitnet":
        source.config |= LLAMA
    return source


@functools.cache
def _online_model(family: str) -> Any:
    """transformers' model of the source, weights and inputs of its projections rounded as it runs."""
    torch.compiler.set_stance("force_eager")  # its functions are marked to be compiled
    model = tiny_source(family, seed=5).model
    masters = model.state_dict()
    settings = BitNetQuantConfig(linear_class="autobitlinear", quantization_mode="online")
    model = replace_with_bitnet_linear(model, ["lm_head"], settings).to_empty(device="cpu")
    tables = model.model.rotary_emb
    tables.inv_freq.copy_(tiny_source(family, seed=5).model.model.rotary_emb.inv_freq)
    model.load_state_dict(masters)
    model.tie_weights()
    return model.eval()


def ternary_folder(path: Path, family: str) -> Path:
    """The source with codes and one scale a matrix by BitNet's rule, the scale kept as gain."""
    source = _source(family)
    spec = read_spec(source.config, set(source.names()))
    writer = FolderWriter(path, {})
    t1, half = trits.format_named("t1"), trits.format_named("f16")
    ends = {spec.embedding.name, spec.head.name}
    for name, (rows, cols) in spec.matrices().items():
        weights = source.tensor(f"{name}.weight")
        if name in ends:
            writer.add_matrix(MatrixEntry(name, rows, cols, half, 0), trits.pack_half(weights), None)
            continue
        # torch's mean, because another order of summing may tip a weight over.
        mean = torch.from_numpy(weights).abs().mean()
        codes = (torch.from_numpy(weights) * (1.0 / mean)).round().clamp(-1, 1).to(torch.int8).numpy()
        gain = float(1 / np.float32(1.0 / mean))
        gain = float(np.float32(gain))
        ones = np.ones((rows, trits.groups(cols, 64)), np.float16)
        entry = MatrixEntry(name, rows, cols, t1, 64, gain=gain)
        writer.add_matrix(entry, trits.pack(codes, t1), trits.pack_scales(ones))
    for name in spec.vectors():
        writer.add_vector(name, source.tensor(name))
    receipt = {"id": source.id, "source": {"id": source.id}, "encoding": "t1"}
    return writer.finish(source.config, source.files, receipt, spec.activations)


def differences(first: Callable[[Ids], Floats], second: Callable[[Ids], Floats]) -> npt.NDArray[np.float64]:
    """Distances of logits over short texts.

    A value in the middle between two int8 codes falls to either side by the order of a sum, and all
    behind it is then some hundredths off.  Most short texts have no such value.
    """
    return np.array([distance(first(text), second(text)).difference for text in prompt(96).reshape(-1, 3)])


@pytest.mark.parametrize("family", ["bitnet", "llama"])
def test_logits_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    path, model = ternary_folder(tmp_path / "m", family), _online_model(family)

    def ours(text: Ids, cache: Cache = "f32") -> Floats:
        return backend_logits(ReferenceBackend(cache=cache), path, text)

    def theirs(text: Ids) -> Floats:
        return transformers_logits(model, text)

    found = differences(ours, theirs)
    assert np.quantile(found, 0.75) < 1e-4
    assert found.max() < 0.2
    # Keys and values in half precision tip many inputs over.
    assert differences(lambda text: ours(text, "f16"), theirs).max() < 0.2
    config = path / "config.json"
    config.write_text(config.read_text().replace('"activations": "token"', '"activations": "group"'))
    assert np.quantile(differences(ours, theirs), 0.25) > 1e-3  # without the rounding of inputs


@pytest.mark.parametrize("variant", native.variants())
@pytest.mark.parametrize("family", ["bitnet", "llama"])
def test_the_cpu_computes_what_the_reference_does(family: str, variant: str, tmp_path: Path) -> None:
    path = ternary_folder(tmp_path / "m", family)
    backends: list[Backend] = [CpuBackend(variant), ReferenceBackend(cache="f16")]
    first, second = (functools.partial(backend_logits, backend, path) for backend in backends)
    found = differences(first, second)
    assert np.quantile(found, 0.75) < 1e-4
    assert found.max() < 0.2


def test_the_folder_says_what_it_is(tmp_path: Path) -> None:
    folder = ModelFolder.open(ternary_folder(tmp_path / "m", "llama"))
    assert folder.quantization.activations == "token"
    assert spec_of(folder).activations == "token"
    stored = folder.matrix("model.layers.0.mlp.down_proj")
    assert stored.scales is not None
    assert (stored.scales == 1).all()
    assert set(np.unique(dequantised(stored))) == {np.float32(c * stored.entry.gain) for c in (-1, 0, 1)}


def test_tokens_are_rounded_as_transformers_does_it() -> None:
    from transformers.integrations.bitnet import ActQuant

    torch.compiler.set_stance("force_eager")
    x = np.random.default_rng(0).standard_normal((7, 200)).astype(np.float32)
    x[1] *= 1e-7  # below the least scale
    x[2] = 0
    codes, factors = quantise_tokens(x)
    assert np.array_equal(codes / factors, ActQuant.apply(torch.from_numpy(x)).numpy())
