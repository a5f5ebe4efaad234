"""The reference backend against transformers: every family, scaling and format."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.parity import backend_logits, distance, prompt, put_folder_into, transformers_logits
from tests.tiny_models import FAMILIES, TinySource, tiny_folder, tiny_source
from tzcore.architecture.registry import spec_of
from tzcore.backend.reference import ReferenceBackend, ReferenceModel, quantise_activations
from tzcore.checkpoint import ModelFolder
from tzcore.errors import BackendError, CheckpointError, ContextFullError, RequestError
from tzcore.trits import FORMATS

TOLERANCE = 1e-4  # of the logits' standard deviation; measured: at most 2e-5
LONG = 96  # beyond the windows (24) and the trained lengths (64) of the tiny models

_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}
_SMALL = {"max_position_embeddings": 64}
_LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LONG_ROPE: dict[str, tuple[str, dict[str, Any]]] = {
    "linear": ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}}),
    "dynamic": (
        "llama",
        {
            "max_position_embeddings": 64,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0},
        },
    ),
    "yarn": ("qwen2", {"max_position_embeddings": 64, "rope_parameters": _YARN}),
    "yarn with mscales": ("llama", {**_SMALL, "rope_parameters": {**_YARN, "mscale": 1.0, "mscale_all_dim": 0.5}}),
    "yarn with an attention factor": ("llama", {**_SMALL, "rope_parameters": {**_YARN, "attention_factor": 1.4}}),
    "yarn without a rounded ramp": (
        "llama",
        {**_SMALL, "rope_parameters": {**_YARN, "truncate": False, "beta_fast": 16, "beta_slow": 2}},
    ),
    "llama 3.2": (
        "llama",
        {"rope_parameters": {**_LLAMA3, "factor": 32.0, "original_max_position_embeddings": 64}},
    ),
    "softcapped": ("gemma2", {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 2.0}),
    "gelu": ("llama", {"hidden_act": "gelu_pytorch_tanh"}),
    "gemma3 logit cap": ("gemma3_text", {"final_logit_softcapping": 2.0}),
    "no window": ("mistral", {"sliding_window": None}),
    "shares not divided by their sum": ("qwen3_moe", {"norm_topk_prob": False}),
    "one expert a token": ("mixtral", {"num_experts_per_tok": 1}),
    "all experts": ("mixtral", {"num_experts_per_tok": 5}),
    "qwen3 with biases": ("qwen3", {"attention_bias": True}),
    "one key head": ("llama", {"num_key_value_heads": 1}),
    "as many key heads": ("llama", {"num_key_value_heads": 6}),
}


@cache
def _source(family: str) -> TinySource:
    return tiny_source(family)


def _load(path: Path, backend: ReferenceBackend | None = None, context: int = LONG) -> ReferenceModel:
    folder = ModelFolder.open(path)
    return (backend or ReferenceBackend()).load(folder, spec_of(folder, context))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("llama") / "m", "llama", "t2b3", source=_source("llama"))


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family: str, tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", family, source=_source(family))
    wanted = transformers_logits(_source(family).model, prompt(LONG))
    assert wanted.std() > 0.5  # the comparison is empty if logits are flat
    assert distance(backend_logits(ReferenceBackend(), path, prompt(LONG)), wanted).difference < TOLERANCE


@pytest.mark.parametrize("case", _LONG_ROPE)
def test_settings_change_the_logits_as_in_transformers(case: str, tmp_path: Path) -> None:
    family, changes = _LONG_ROPE[case]
    source = tiny_source(family, **changes)
    path = tiny_folder(tmp_path / "m", family, source=source)
    wanted = transformers_logits(source.model, prompt(LONG))
    assert distance(backend_logits(ReferenceBackend(), path, prompt(LONG)), wanted).difference < TOLERANCE
    plain = transformers_logits(_source(family).model, prompt(LONG))
    assert wanted.shape == plain.shape
    assert np.abs(wanted - plain).max() > 0.05  # the setting matters at all


def test_longrope_takes_the_short_factors_within_the_trained_length(tmp_path: Path) -> None:
    source = _source("phi3_longrope")
    path = tiny_folder(tmp_path / "m", "phi3_longrope", source=source)
    wanted = transformers_logits(source.model, prompt(64))
    assert distance(backend_logits(ReferenceBackend(), path, prompt(64)), wanted).difference < TOLERANCE
    planned_long = _load(path, context=65)
    got = planned_long.forward(planned_long.new_sequence(64), prompt(64), "all")
    assert distance(got, wanted).difference > 100 * TOLERANCE


@pytest.mark.parametrize("family", ["mistral", "gemma3_text", "phi3"])
def test_any_split_into_calls_gives_the_same_logits(family: str, tmp_path: Path) -> None:
    model = _load(tiny_folder(tmp_path / "m", family, "t2", source=_source(family)))
    tokens = prompt(60)
    whole = model.forward(model.new_sequence(60), tokens, "all")
    sequence = model.new_sequence(64)
    parts, at = [], 0
    for size in (1, 30, 1, 1, 17, 10):
        parts.append(model.forward(sequence, tokens[at : at + size], "all"))
        at += size
        assert sequence.length == at
    assert at == 60
    assert distance(np.concatenate(parts), whole).difference < TOLERANCE
    sequence.truncate(20)
    assert sequence.length == 20
    other = np.full(5, 7, np.int32)
    model.forward(sequence, other, "none")
    sequence.truncate(20)
    again = model.forward(sequence, tokens[20:], "last")
    assert again.shape == (1, 500)
    assert distance(again, whole[-1:]).difference < TOLERANCE


def test_queries_are_processed_in_parts_without_a_seam(tmp_path: Path) -> None:
    path = tiny_folder(tmp_path / "m", "mistral", source=_source("mistral"))
    tokens = prompt(300)  # more than twice the queries held at once
    wanted = transformers_logits(_source("mistral").model, tokens)
    assert distance(backend_logits(ReferenceBackend(), path, tokens), wanted).difference < TOLERANCE


@pytest.mark.parametrize("hadamard", [True, False])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_computes_with_its_dequantised_weights(name: str, hadamard: bool, tmp_path: Path) -> None:
    source = tiny_source("phi3_longrope" if hadamard else "gemma2")
    family = "phi3_longrope" if hadamard else "gemma2"
    path = tiny_folder(tmp_path / "m", family, name, head_format=name, hadamard=hadamard, source=source)
    put_folder_into(source.model, family, path)
    wanted = transformers_logits(source.model, prompt(LONG))
    assert distance(backend_logits(ReferenceBackend(), path, prompt(LONG)), wanted).difference < TOLERANCE


def test_a_group_that_does_not_divide_the_width(tmp_path: Path) -> None:
    source = tiny_source("llama")
    path = tiny_folder(tmp_path / "m", "llama", "t1b3", group=128, source=source)
    put_folder_into(source.model, "llama", path)
    wanted = transformers_logits(source.model, prompt(LONG))
    assert distance(backend_logits(ReferenceBackend(), path, prompt(LONG)), wanted).difference < TOLERANCE
    int8 = backend_logits(ReferenceBackend(activations="int8"), path, prompt(LONG))
    assert 1e-4 < distance(int8, wanted).difference < 0.3


def test_quality_falls_as_bits_do(tmp_path: Path) -> None:
    source = _source("llama")
    wanted = transformers_logits(source.model, prompt(LONG))
    kl = {}
    for name in ("i8", "i4", "t2b3", "t1b3"):
        path = tiny_folder(tmp_path / name, "llama", name, source=source)
        kl[name] = distance(backend_logits(ReferenceBackend(), path, prompt(LONG)), wanted).kl
    assert 0 < kl["i8"] < kl["i4"] < kl["t1b3"]
    assert kl["t2b3"] < kl["t1b3"]


def test_activations_are_rounded_per_group() -> None:
    x = np.random.default_rng(0).standard_normal((3, 200)).astype(np.float32) * 10
    x[1, 64:128] = 0
    codes, scales = quantise_activations(x, 64)
    assert codes.shape == (3, 200)
    assert scales.shape == (3, 4)
    assert scales[1, 1] == 0
    assert not codes[1, 64:128].any()
    for row in range(3):
        for g in range(4):
            part, q, s = x[row, 64 * g : 64 * g + 64], codes[row, 64 * g : 64 * g + 64], scales[row, g]
            assert s == np.abs(part).max() / np.float32(127)
            assert np.abs(q * s - part).max() <= s / 2 * (1 + 1e-6)
            if s:
                assert np.abs(q).max() == 127


def test_ties_round_to_even() -> None:
    x = np.zeros((1, 64), np.float32)
    x[0, :5] = [127, 0.5, 1.5, 2.5, -0.5]
    codes, _ = quantise_activations(x, 64)
    assert codes[0, :5].tolist() == [127, 0, 2, 2, 0]


def test_int8_activations_touch_quantised_matrices_only(llama: Path, tmp_path: Path) -> None:
    half = tiny_folder(tmp_path / "f16", "llama", source=_source("llama"))
    exact = backend_logits(ReferenceBackend(), half, prompt(LONG))
    assert np.array_equal(backend_logits(ReferenceBackend(activations="int8"), half, prompt(LONG)), exact)
    plain = backend_logits(ReferenceBackend(), llama, prompt(LONG))
    rounded = distance(backend_logits(ReferenceBackend(activations="int8"), llama, prompt(LONG)), plain)
    assert 1e-4 < rounded.difference < 0.3
    assert rounded.kl < 0.01


def test_a_half_precision_cache_is_near(llama: Path) -> None:
    plain = backend_logits(ReferenceBackend(), llama, prompt(LONG))
    halved = distance(backend_logits(ReferenceBackend(cache="f16"), llama, prompt(LONG)), plain)
    assert 0 < halved.difference < 0.01


def test_what_does_not_fit_is_refused_and_changes_nothing(llama: Path) -> None:
    model = _load(llama)
    sequence = model.new_sequence(10)
    first = model.forward(sequence, prompt(8))
    with pytest.raises(ContextFullError, match="8 \\+ 3 tokens do not fit into a context of 10"):
        model.forward(sequence, prompt(3))
    for bad in ([500], [-1], []):
        with pytest.raises(RequestError):
            model.forward(sequence, np.array(bad, np.int32))
    with pytest.raises(BackendError, match="cannot shorten"):
        sequence.truncate(9)
    assert sequence.length == 8
    sequence.truncate(7)
    assert np.allclose(model.forward(sequence, prompt(8)[7:]), first, atol=1e-4)
    sequence.close()
    with pytest.raises(BackendError, match="closed"):
        model.forward(sequence, prompt(1))
    model.close()
    with pytest.raises(BackendError, match="closed"):
        model.forward(sequence, prompt(1))


def test_an_impossible_context_names_the_memory_it_needs(llama: Path) -> None:
    model = _load(llama)
    with pytest.raises(BackendError, match="GiB"):
        model.new_sequence(1 << 50)
    with pytest.raises(BackendError, match="impossible"):
        model.new_sequence(0)


def test_weight_bytes_are_those_stored(llama: Path) -> None:
    folder = ModelFolder.open(llama)
    wanted = 0
    for name in folder.quantization.matrices:
        if name != "model.embed_tokens":
            stored = folder.matrix(name)
            wanted += stored.codes.nbytes + (stored.scales.nbytes if stored.scales is not None else 0)
    assert _load(llama).weight_bytes_per_token() == wanted


def test_a_spec_of_another_model_is_refused(llama: Path, tmp_path: Path) -> None:
    other = ModelFolder.open(tiny_folder(tmp_path / "m", "llama", source=tiny_source("llama", intermediate_size=256)))
    with pytest.raises(CheckpointError, match=r"gate_proj.weight has the shape \[320, 192\]"):
        ReferenceBackend().load(ModelFolder.open(llama), spec_of(other))
