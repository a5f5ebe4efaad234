"""Whole models on the interpreter: the card's own code, launches and kernels, against the NumPy reference."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest

from tests.ptx.device import Checks, InterpretedDevice
from tests.tiny_models import tiny_folder, tiny_source
from tzcore.architecture.registry import spec_of
from tzcore.architecture.spec import LayerSpec
from tzcore.backend.base import PENALTY, Choice
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.cuda.model import CudaModel
from tzcore.backend.cuda.plan import plan
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder
from tzcore.errors import BackendError, ContextFullError, RequestError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

pytestmark = pytest.mark.timeout(600)  # whole models, interpreted on a busy machine
CONTEXT = 512


FAMILIES = {
    "llama": "t1b3", "mistral": "t2b3", "qwen2": "q2", "qwen3": "t1", "gemma2": "t2b3", "gemma3_text": "i4",
    "phi3": "t2", "granite": "t1b3", "smollm3": "t2b3", "bitnet": "t1b3", "falcon3": "t1", "biased": "f16",
    "mixtral": "t1b3", "qwen3_moe": "t2b3",
}  # fmt: skip
"""A family of models, and the format that its matrices have here."""


class Pair:
    """A tiny model on the card and in NumPy."""

    def __init__(self, path: Path, checks: Checks | None = None, kv: KeyValueFormat = F16) -> None:
        self.folder = ModelFolder.open(path)
        self.spec = spec_of(self.folder, CONTEXT)
        self.device = InterpretedDevice(checks or Checks.fast())
        planned = plan(self.spec, self.folder.quantization.matrices, 2 * CONTEXT, 4 << 30, chunk=64, kv=kv)
        self.card = CudaModel(self.device, self.folder, self.spec, planned)
        self.reference = ReferenceBackend("int8", "f16").load(self.folder, self.spec)

    def close(self) -> None:
        self.card.close()
        self.reference.close()
        self.folder.close()
        gc.collect()


def divergence(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The median difference of logits in units of their spread, and the mean KL divergence in nats."""
    p, q = (np.exp(x - x.max(-1, keepdims=True)) for x in (expected.astype(np.float64), found))
    p, q = (x / x.sum(-1, keepdims=True) for x in (p, q))
    return float(np.median(np.abs(found - expected)) / expected.std()), float((p * np.log(p / q)).sum(-1).mean())


@pytest.fixture(params=FAMILIES)
def pair(request, tmp_path):
    made = Pair(tiny_folder(tmp_path / "model", request.param, FAMILIES[request.param], "i8"))
    yield made
    made.close()


def test_logits_of_every_family(pair):
    """A prompt read at once, three tokens and one; rounded activations make the rest of the difference."""
    tokens = np.random.default_rng(0).integers(0, pair.spec.vocabulary, 24).astype(np.int32)
    ours, theirs = pair.card.new_sequence(64), pair.reference.new_sequence(64)
    for part in (tokens[:20], tokens[20:23], tokens[23:]):
        found, expected = pair.card.forward(ours, part, "all"), pair.reference.forward(theirs, part, "all")
        median, kl = divergence(found, expected)
        assert median < 0.03
        assert kl < 1e-2


@pytest.mark.parametrize(("family", "form"), [("llama", "k4v4"), ("gemma2", "k6v5"), ("qwen3", "k4v2")])
def test_logits_with_keys_and_values_as_codes(tmp_path, family, form):
    """A prompt in three calls, so that its beginning is read as codes, three tokens and one."""
    kv = FORMATS[form]
    pair = Pair(tiny_folder(tmp_path / "model", family, FAMILIES[family], "i8"), kv=kv)
    tokens = np.random.default_rng(0).integers(0, pair.spec.vocabulary, 142).astype(np.int32)
    ours, theirs = pair.card.new_sequence(160, kv), pair.reference.new_sequence(160, kv)
    pair.card.forward(ours, tokens[:138], "none")
    pair.reference.forward(theirs, tokens[:138], "none")
    for part in (tokens[138:141], tokens[141:]):
        found, expected = pair.card.forward(ours, part, "all"), pair.reference.forward(theirs, part, "all")
        median, kl = divergence(found, expected)
        assert median < 0.05
        assert kl < 2e-2
    pair.close()


def test_a_width_of_no_whole_runs_of_32(tmp_path):
    """The prepared rows take shared memory to the end of their last run."""
    sizes = {"hidden_size": 68, "intermediate_size": 100, "num_hidden_layers": 1, "head_dim": 64}
    source = tiny_source("llama", num_attention_heads=1, num_key_value_heads=1, **sizes)
    pair = Pair(tiny_folder(tmp_path / "model", "llama", "t1", "i8", source=source))
    tokens = np.array([5, 9, 300], np.int32)
    found = pair.card.forward(pair.card.new_sequence(16), tokens, "all")
    expected = pair.reference.forward(pair.reference.new_sequence(16), tokens, "all")
    assert divergence(found, expected)[1] < 1e-2
    pair.close()


def test_experts_whose_inputs_are_turned_each_in_its_own_way(tmp_path, monkeypatch):
    """As conversions had it that did not share the signs: one form of the input for every expert."""
    with monkeypatch.context() as patch:
        patch.setattr(LayerSpec, "transforms", lambda layer: {stage[0].name: stage[0].name for stage in layer.stages()})
        path = tiny_folder(tmp_path / "model", "mixtral", "t1b3", "i8")
    pair = Pair(path)
    tokens = np.array([5, 9, 300], np.int32)
    found = pair.card.forward(pair.card.new_sequence(16), tokens, "all")
    expected = pair.reference.forward(pair.reference.new_sequence(16), tokens, "all")
    assert divergence(found, expected)[1] < 1e-2
    pair.close()


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    made = Pair(tiny_folder(tmp_path_factory.mktemp("llama") / "model", "llama", "t1b3", "i8"))
    yield made
    made.close()


def test_one_token_gives_the_bits_that_it_gives_among_eight(llama):
    """Across the end of a page, with graphs that were captured and ones that are replayed."""
    tokens = np.random.default_rng(1).integers(0, llama.spec.vocabulary, 272).astype(np.int32)
    sequence = llama.card.new_sequence(CONTEXT)
    try:
        llama.card.forward(sequence, tokens[:252], "none")
        together = llama.card.forward(sequence, tokens[252:260], "all")
        sequence.truncate(252)
        alone = np.concatenate([llama.card.forward(sequence, tokens[i : i + 1]) for i in range(252, 260)])
        assert (alone == together).all()
        sequence.truncate(252)
        assert (llama.card.forward(sequence, tokens[252:260], "all") == together).all()
    finally:
        sequence.close()


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    folder = tiny_folder(tmp_path_factory.mktemp("coded") / "model", "llama", "t1b3", "i8")
    made = Pair(folder, kv=FORMATS["k8v8"])
    yield made
    made.close()


@pytest.mark.parametrize("name", ["llama", "coded"])
def test_texts_that_begin_alike(request, name):
    """A fork has the bits of a text that was never forked, and leaves its parent as it is; saved pages come back."""
    card = request.getfixturevalue(name).card

    def alike(expected, found):
        """What the one reads in half precision the other may read as codes."""
        return divergence(found, expected)[1] < 1e-2 if kv.quantised else (found == expected).all()

    kv, tokens = card.plan.kv, np.random.default_rng(2).integers(0, card.spec.vocabulary, 90).astype(np.int32)
    first = card.new_sequence(2 * CONTEXT, kv)
    card.forward(first, tokens[:64], "none")
    card.forward(first, tokens[64:70], "none")
    second, third = first.fork(67), first.fork(0)
    forked = card.forward(second, tokens[80:82], "all")
    card.forward(third, tokens[70:75], "none")
    third.close()
    went_on = card.forward(first, tokens[70:72], "all")
    first.truncate(67)
    assert (card.forward(first, tokens[80:82], "all") == forked).all() or kv.quantised
    first.truncate(0)
    card.forward(first, tokens[:64], "none")
    card.forward(first, tokens[64:67], "none")
    assert (card.forward(first, tokens[80:82], "all") == forked).all()
    first.truncate(67)
    card.forward(first, tokens[67:70], "none")
    found = card.forward(first, tokens[70:72], "all")
    assert alike(went_on, found)

    saved, length = [second.save(0)], second.length
    following = card.forward(second, tokens[82:84], "all")
    first.close()
    second.close()
    loaded = card.new_sequence(CONTEXT, kv)
    with pytest.raises(BackendError, match="another model or version"):
        loaded.load([saved[0][:-1]], length)
    loaded.load(saved, length)
    found = card.forward(loaded, tokens[82:84], "all")
    assert alike(following, found)
    assert kv.name in card.cache_form(kv)
    loaded.close()


def test_one_token_gives_the_bits_that_it_gives_among_eight_as_codes(coded):
    """Over the edge of a block of 64, where the latest tokens before it are read as codes from then on."""
    tokens = np.random.default_rng(1).integers(0, coded.spec.vocabulary, 200).astype(np.int32)
    sequence = coded.card.new_sequence(CONTEXT, coded.card.plan.kv)
    coded.card.forward(sequence, tokens[:188], "none")
    together = coded.card.forward(sequence, tokens[188:196], "all")
    sequence.truncate(188)
    alone = np.concatenate([coded.card.forward(sequence, tokens[i : i + 1]) for i in range(188, 196)])
    assert (alone == together).all()
    sequence.close()


def test_another_format_than_was_planned_for_is_refused(coded):
    with pytest.raises(BackendError, match="keys and values as k8v8: load it again to have them as f16"):
        coded.card.new_sequence(16)


def test_the_greedy_tokens_of_the_cpu_backend(llama):
    """What a model without rounding in its favour says: the same twelve tokens, chosen on the card."""
    cpu = CpuBackend().load(llama.folder, llama.spec, 1)
    prompt = np.arange(40, 52, dtype=np.int32)
    greedy = Choice(llama.spec.vocabulary, 0.0, 0, 1.0, 0.0, 0.5, np.zeros(0, PENALTY))
    ours, theirs = llama.card.new_sequence(64), cpu.new_sequence(64)
    try:
        token, expected = llama.card.choose(ours, prompt, greedy), int(cpu.forward(theirs, prompt)[0].argmax())
        for _ in range(12):
            assert token == expected
            row = np.array([token], np.int32)
            token, expected = llama.card.choose(ours, row, greedy), int(cpu.forward(theirs, row)[0].argmax())
    finally:
        ours.close()
        cpu.close()


def test_penalties_count_on_the_card(llama):
    sequence = llama.card.new_sequence(16)
    row = llama.card.forward(sequence, np.array([3], np.int32))[0]
    sequence.truncate(0)
    best, second = np.argsort(-row)[:2]
    penalties = np.array([(best, 1.0, row[best] - row[second] + 1)], PENALTY)
    choice = Choice(llama.spec.vocabulary, 0.0, 0, 1.0, 0.0, 0.5, penalties)
    assert llama.card.choose(sequence, np.array([3], np.int32), choice) == second
    sequence.close()


def test_a_text_longer_than_its_pages_is_refused_and_changes_nothing(llama):
    sequence = llama.card.new_sequence(800)
    llama.card.forward(sequence, np.arange(5, dtype=np.int32), "none")
    with pytest.raises(ContextFullError, match="do not fit"):
        llama.card.forward(sequence, np.zeros(800, np.int32))
    assert sequence.length == 5
    with pytest.raises(BackendError, match="would fit"):
        llama.card.new_sequence(300)
    with pytest.raises(RequestError, match="vocabulary"):
        llama.card.forward(sequence, np.array([-1], np.int32))
    sequence.close()


def test_what_the_plan_says_is_what_is_allocated(tmp_path):
    made = Pair(tiny_folder(tmp_path / "model", "qwen3", "t2b3", "i8"))
    planned, device = made.card.plan.memory, made.device
    assert device.used == planned.total
    made.card.close()
    assert device.used == 0
    made.close()
