"""Whole small models on the card against the NumPy reference: families, formats, graphs, and the same bits always."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from tzcore.architecture.registry import spec_of
from tzcore.backend.base import LoadedModel
from tzcore.backend.cuda.device import Device
from tzcore.backend.cuda.model import CudaModel
from tzcore.backend.cuda.plan import plan
from tzcore.backend.reference import ReferenceBackend
from tzcore.bench.random_folder import random_folder
from tzcore.errors import BackendError, ContextFullError, DoesNotFitError
from tzcore.hub.formats.synthetic import Synthetic
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

CONTEXT, CHUNK = 512, 64
DENSE = "layers=2,hidden=192,intermediate=320,heads=6,kv_heads=2,head_dim=64,vocabulary=500,context=512"
MODELS = {
    "llama-3-8b": (DENSE, "t1b3"),
    "llama-3.2-1b": (DENSE, "t2"),
    "qwen3-0.6b": (DENSE.replace("head_dim=64", "head_dim=96"), "t2b3"),
    "mistral-7b": (DENSE.replace("head_dim=64", "head_dim=128"), "q2"),
    "gemma-2-2b": (DENSE.replace("head_dim=64", "head_dim=256"), "i4"),
    "phi-4": (DENSE, "t1"),
    "mixtral-8x7b": (f"{DENSE},experts=4,active=2", "t1b3"),
    "qwen3-30b-a3b": (f"{DENSE},experts=5,active=3", "i8"),
}
"""Shapes of every kind, cut down, each in another format."""


class Small:
    """A random model on the card."""

    def __init__(
        self, device: Device, name: str, cut: str, fmt: str, head: str = "i8", context: int = CONTEXT,
        kv: KeyValueFormat = F16,
    ) -> None:  # fmt: skip
        self.folder = random_folder(Synthetic(name, cut, f"synthetic:{name}", {}), fmt, head)
        self.spec = spec_of(self.folder, context)
        planned = plan(self.spec, self.folder.quantization.matrices, context, 4 << 30, chunk=CHUNK, kv=kv)
        self.model = CudaModel(device, self.folder, self.spec, planned)

    def tokens(self, count: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, self.spec.vocabulary, count).astype(np.int32)


@pytest.fixture
def llama(device: Device) -> Iterator[Small]:
    small = Small(device, "llama-3-8b", DENSE, "t1b3")
    yield small
    small.model.close()


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Root of the mean squared difference of logits, in units of their spread."""
    return float(np.sqrt(np.mean((found - expected) ** 2)) / expected.std())


def logits(model: LoadedModel, tokens: np.ndarray) -> np.ndarray:
    """Of all tokens: a prompt, a few at once, and one."""
    sequence = model.new_sequence(64)
    cuts = (0, len(tokens) - 4, len(tokens) - 1, len(tokens))
    return np.concatenate([model.forward(sequence, tokens[a:b], "all") for a, b in pairwise(cuts)])


@pytest.mark.parametrize(
    ("name", "cut", "fmt", "head"),
    [*((name, *made, "i8") for name, made in MODELS.items()),
     ("llama-3.2-1b", DENSE, "t1", "i4"), ("llama-3.2-1b", DENSE, "i8", "f16")],
)  # fmt: skip
def test_logits_are_the_references(device: Device, name: str, cut: str, fmt: str, head: str) -> None:
    """A difference in the last bit moves a rounding to int8 here and there, and what follows with it.  So the card
    must be no farther from exact inputs than NumPy with the same roundings is, and about as near to that."""
    small = Small(device, name, cut, fmt, head)
    tokens = small.tokens(24)
    found = logits(small.model, tokens)
    small.model.close()
    rounded, exact = (
        logits(ReferenceBackend(inputs, "f16").load(small.folder, small.spec), tokens) for inputs in ("int8", "float")
    )
    noise = distance(rounded, exact)
    assert distance(found[:1], rounded[:1]) < 1e-3 + noise  # the first token attends to nothing but itself
    assert distance(found, exact) < 1.25 * noise
    assert distance(found, rounded) < 1.5 * noise
    assert (found.argmax(-1) == rounded.argmax(-1)).mean() > 0.9


CODED = [
    ("llama-3-8b", DENSE, "k8v8"), ("qwen3-0.6b", DENSE.replace("head_dim=64", "head_dim=96"), "k6v5"),
    ("mistral-7b", DENSE.replace("head_dim=64", "head_dim=128"), "k4v4"),
    ("gemma-2-2b", DENSE.replace("head_dim=64", "head_dim=256"), "k4v2"),
    ("llama-3-8b", DENSE.replace("head_dim=64", "head_dim=80"), "k4v4"),
]  # fmt: skip
"""Every format, every width of the kernels, and a head narrower than its width."""


@pytest.mark.parametrize(("name", "cut", "form"), CODED)
def test_logits_with_keys_and_values_as_codes(device: Device, name: str, cut: str, form: str) -> None:
    """As above, after a prompt whose beginning is read as codes."""
    kv = FORMATS[form]
    small = Small(device, name, cut, "t1", kv=kv)
    tokens, found = small.tokens(220), []
    references = (ReferenceBackend(inputs, "f16").load(small.folder, small.spec) for inputs in ("int8", "float"))
    for model in (small.model, *references):
        sequence = model.new_sequence(256, kv)
        model.forward(sequence, tokens[:210], "none")
        found.append(np.concatenate([model.forward(sequence, tokens[a:b], "all") for a, b in ((210, 217), (217, 220))]))
    small.model.close()
    ours, rounded, exact = found
    noise = distance(rounded, exact)
    assert distance(ours, exact) < 1.25 * noise
    assert distance(ours, rounded) < 1.5 * noise


def test_texts_that_begin_alike(device: Device) -> None:
    """A fork runs beside its parent, and comes back from what was saved."""
    for form in ("f16", "k4v4"):
        kv = FORMATS[form]
        small = Small(device, "llama-3-8b", DENSE, "t1", kv=kv)
        tokens, model = small.tokens(300), small.model
        first = model.new_sequence(CONTEXT, kv)
        model.forward(first, tokens[:270], "none")
        fork = first.fork(265)
        forked = model.forward(fork, tokens[280:283], "all")
        model.forward(first, tokens[270:274], "none")
        saved, length = [fork.save(0), fork.save(1)], fork.length
        following = model.forward(fork, tokens[290:292], "all")
        assert np.isfinite(forked).all()
        assert np.isfinite(following).all()
        first.close()
        fork.close()
        loaded = model.new_sequence(CONTEXT, kv)
        loaded.load(saved, length)
        found = model.forward(loaded, tokens[290:292], "all")
        assert (found == following).all() or (kv.quantised and distance(found, following) < 0.2)
        loaded.close()
        model.close()


def test_one_token_gives_the_bits_that_it_gives_among_eight(llama: Small) -> None:
    tokens, model = llama.tokens(24), llama.model
    together, apart = model.new_sequence(64), model.new_sequence(64)
    model.forward(together, tokens[:16], "none")
    model.forward(apart, tokens[:16], "none")
    among = model.forward(together, tokens[16:], "all")
    for row, token in zip(among, tokens[16:], strict=True):
        assert model.forward(apart, np.array([token]), "last").tobytes() == row.tobytes()


def test_a_graph_that_runs_again_gives_the_same_bits(llama: Small) -> None:
    """Tokens, positions and pages are read anew: the first pass captures, the second, on other pages, replays."""
    tokens, model = llama.tokens(12), llama.model
    passes, held = [], None
    for _ in range(2):
        sequence = model.new_sequence(20)
        passes.append([model.forward(sequence, tokens[i : i + 1]).tobytes() for i in range(len(tokens))])
        sequence.close()
        held = held or model.new_sequence(10)  # moves the next pass to another page
    assert passes[0] == passes[1]


def test_runs_repeat_to_the_bit(llama: Small) -> None:
    """Prompts of many tokens and steps of few, ten times: a race would show sooner or later."""
    tokens, model = llama.tokens(100), llama.model
    seen = set()
    for _ in range(10):
        sequence = model.new_sequence(128)
        prompt = model.forward(sequence, tokens[:90], "last").tobytes()
        steps = model.forward(sequence, tokens[90:], "all").tobytes()
        seen.add((prompt, steps))
        sequence.close()
    assert len(seen) == 1


def test_sequences_do_not_disturb_each_other(llama: Small) -> None:
    tokens, model = llama.tokens(20), llama.model
    alone = model.new_sequence(32)
    expected = [model.forward(alone, tokens[i : i + 1]).tobytes() for i in range(10)]
    alone.close()
    first, second = model.new_sequence(32), model.new_sequence(32)
    for i in range(10):
        assert model.forward(first, tokens[i : i + 1]).tobytes() == expected[i]
        model.forward(second, tokens[10 + i : 11 + i])


def test_a_full_context_is_an_error_and_changes_nothing(llama: Small) -> None:
    model = llama.model
    sequence = model.new_sequence(4)
    model.forward(sequence, llama.tokens(3), "none")
    with pytest.raises(ContextFullError, match="3 \\+ 2 tokens do not fit into a context of 4"):
        model.forward(sequence, llama.tokens(2))
    assert sequence.length == 3
    assert np.isfinite(model.forward(sequence, llama.tokens(1))).all()


def test_more_context_than_was_loaded_is_refused(llama: Small) -> None:
    held = llama.model.new_sequence(CONTEXT)
    with pytest.raises(BackendError, match="does not fit on the card"):
        llama.model.new_sequence(1)
    held.close()


def test_a_model_beyond_the_memory_is_refused(device: Device) -> None:
    free, total = device.memory()
    folder = random_folder(Synthetic("llama-3-8b", DENSE, "synthetic:x", {}), "t1", "i8")
    spec = spec_of(folder)
    planned = plan(spec, folder.quantization.matrices, CONTEXT, free, device.name)
    times = 2 * total // planned.memory.size("keys and values")
    large = plan(spec, folder.quantization.matrices, times * CONTEXT, free, device.name)
    assert not large.fits
    with pytest.raises(DoesNotFitError, match="does not fit"):
        CudaModel(device, folder, spec, large)
    assert device.memory()[0] >= free - (1 << 20)


def test_a_closed_model_gives_its_memory_back(device: Device) -> None:
    before = device.memory()[0]
    small = Small(device, "llama-3-8b", DENSE, "t1")
    taken = before - device.memory()[0]
    assert taken >= small.model.plan.memory.total
    small.model.close()
    assert device.memory()[0] >= before - (64 << 20)  # the driver keeps what kernels take
    with pytest.raises(BackendError, match="closed"):
        small.model.new_sequence(1)
