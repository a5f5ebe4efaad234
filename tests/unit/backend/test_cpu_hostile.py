"""Calls that lie about lengths, shapes or handles end in an error, never in a fault."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import tiny_folder
from tests.unit.backend.last_error import INVALID, MEMORY, message
from tzcore.architecture.registry import spec_of
from tzcore.backend import native
from tzcore.backend.cpu import CpuBackend, CpuModel, _spec_struct
from tzcore.checkpoint import ModelFolder
from tzcore.errors import BackendError, ContextFullError, RequestError

ffi, lib = native.library()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return ModelFolder.open(tiny_folder(tmp_path_factory.mktemp("m") / "m", "llama", format="t2", head_format="i8"))


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    return ModelFolder.open(tiny_folder(tmp_path_factory.mktemp("e") / "m", "mixtral", format="t2", head_format="i8"))


@pytest.fixture(scope="module")
def model(folder: ModelFolder) -> CpuModel:
    return CpuBackend().load(folder, spec_of(folder), threads=2)


def spoil_layer(field: str, value: Any) -> Callable[[Any], None]:
    def spoil(spec: Any) -> None:
        target, parts = spec.layers[0], field.split(".")
        for part in parts[:-1]:
            target = getattr(target, part)
        setattr(target, parts[-1], value)

    return spoil


def spoil_expert(field: str, value: Any, number: int = 0) -> Callable[[Any], None]:
    def spoil(spec: Any) -> None:
        target, parts = spec.layers[0].experts[number], field.split(".")
        for part in parts[:-1]:
            target = getattr(target, part)
        setattr(target, parts[-1], value)

    return spoil


def spoil_spec(field: str, value: Any) -> Callable[[Any], None]:
    return lambda spec: setattr(spec, field, value)


SPOILED_EXPERT = (
    ("down.codes", ffi.NULL),
    ("gate.format", 7),
    ("gate.rows", 0),
    ("gate.rows", 2**32 - 1),
    ("up.rows", 16),
    ("down.cols", 64),
    ("down_bias.length", 3),
)


@pytest.mark.parametrize(
    "spoil",
    [
        *(spoil_spec(name, 0) for name in ("hidden", "heads", "kv_heads", "head_dim", "vocabulary")),
        *(spoil_spec(name, 2**32 - 1) for name in ("hidden", "heads", "head_dim", "vocabulary")),
        spoil_spec("kv_heads", 3),
        spoil_spec("activation", 3),
        spoil_spec("per_token", 2),
        spoil_spec("residual_multiplier", float("inf")),
        spoil_spec("logit_multiplier", float("nan")),
        spoil_spec("norm_eps", float("nan")),
        spoil_spec("attention_softcap", -1.0),
        spoil_spec("logit_softcap", float("inf")),
        spoil_spec("layers", ffi.NULL),
        spoil_spec("layer_count", 0),
        spoil_spec("layer_count", 2**40),
        spoil_spec("ropes", ffi.NULL),
        spoil_spec("rope_count", 0),
        spoil_spec("final_norm", ffi.new("TzVector *")[0]),
        spoil_layer("rope", 99),
        spoil_layer("rope", -2),
        spoil_layer("attention_sub_norm.length", 5),
        spoil_layer("mlp_sub_norm.length", 5),
        spoil_layer("input_norm.length", 3),
        spoil_layer("mlp_norm.data", ffi.NULL),
        spoil_layer("q.codes_length", 64),
        spoil_layer("q.rows", 16),
        spoil_layer("k.rows", 16),
        spoil_layer("o.cols", 64),
        spoil_layer("q_bias.length", 5),
        spoil_layer("experts", ffi.NULL),
        spoil_layer("expert_count", 0),
        spoil_layer("expert_count", 2**40),
        *(spoil_expert(part, value) for part, value in SPOILED_EXPERT),
    ],
)
def test_spoiled_spec(folder: ModelFolder, spoil: Callable[[Any], None]) -> None:
    refuse(folder, spoil)


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_layer("expert_count", 4),
        spoil_layer("active", 0),
        spoil_layer("active", 6),
        spoil_layer("normalise", 2),
        spoil_layer("router.codes", ffi.NULL),
        spoil_layer("router.codes_length", 64),
        spoil_layer("router.rows", 4),
        spoil_layer("router.cols", 64),
        spoil_layer("router.format", 7),
        *(spoil_expert(part, value, 3) for part, value in SPOILED_EXPERT),
    ],
)
def test_spoiled_experts(experts: ModelFolder, spoil: Callable[[Any], None]) -> None:
    refuse(experts, spoil)


def refuse(folder: ModelFolder, spoil: Callable[[Any], None]) -> None:
    keep: list[Any] = []
    struct = _spec_struct(folder, spec_of(folder), keep)
    pool, handle = native.Pool(1), ffi.new("TzModel **")
    spoil(struct)
    assert lib.tz_model_new(pool.handle, ffi.NULL, struct, handle) == INVALID
    assert handle[0] == ffi.NULL
    assert message()


def test_null_handles() -> None:
    nothing = ffi.NULL
    handle = ffi.new("TzModel **")
    assert lib.tz_model_new(nothing, nothing, nothing, handle) == INVALID
    assert lib.tz_sequence_new(nothing, 5, 16, 16, ffi.new("TzSequence **")) == INVALID
    assert lib.tz_sequence_truncate(nothing, 0) == INVALID
    assert lib.tz_sequence_fork(nothing, 0, ffi.new("TzSequence **")) == INVALID
    assert lib.tz_sequence_ask(nothing, 0, 0, ffi.new("uintptr_t *")) == INVALID
    assert lib.tz_sequence_save(nothing, 0, nothing, 0) == INVALID
    assert lib.tz_sequence_load(nothing, 0, 1, nothing, 0) == INVALID
    assert lib.tz_forward(nothing, nothing, nothing, 1, 0, nothing, 0) == INVALID
    assert lib.tz_pool_new(1, nothing, 0, nothing) == INVALID
    assert lib.tz_read_bandwidth(nothing, 1 << 20, 1, ffi.new("double *")) == INVALID
    assert lib.tz_hadamard(nothing, nothing, 64, 64) == INVALID
    assert lib.tz_quantise(nothing, nothing, 64, 64, nothing, 64, nothing, 1) == INVALID
    for free in (lib.tz_model_free, lib.tz_sequence_free, lib.tz_pool_free):
        free(nothing)
    assert lib.tz_last_error(nothing, 0) > 0


@pytest.mark.parametrize("threads", [0, 1025, 2**64 - 1])
def test_impossible_pools(threads: int) -> None:
    assert lib.tz_pool_new(threads, ffi.NULL, 0, ffi.new("TzPool **")) == INVALID


def test_pinning_to_a_processor_that_is_not_there_only_costs_speed() -> None:
    assert native.Pool(2, [4000, 1 << 31]).read_bandwidth(1 << 22, 1) > 0


def test_forward_refuses_wrong_lengths_and_modes(model: CpuModel) -> None:
    sequence = model.new_sequence(8)
    tokens = np.zeros(4, np.int32)
    out = np.zeros((4, model.spec.vocabulary), np.float32)
    ids, logits = ffi.cast("int32_t *", tokens.ctypes.data), ffi.cast("float *", out.ctypes.data)

    def call(count: int, mode: int, target: Any, size: int) -> int:
        return int(lib.tz_forward(model._alive(), sequence.handle(), ids, count, mode, target, size))

    vocabulary = model.spec.vocabulary
    assert call(4, 0, logits, vocabulary) == 0
    for wrong in (
        (0, 0, logits, vocabulary),
        (2**40, 0, logits, vocabulary),
        (4, 3, logits, vocabulary),
        (4, 0, logits, vocabulary - 1),
        (4, 1, logits, vocabulary),
        (4, 2, logits, vocabulary),
        (4, 0, ffi.NULL, vocabulary),
    ):
        assert call(*wrong) == INVALID, wrong
    assert call(4, 2, ffi.NULL, 0) == 0  # eight tokens in all: the failed calls added none


def test_bad_tokens_leave_the_sequence_as_it_was(model: CpuModel) -> None:
    sequence = model.new_sequence(40)
    ids = np.arange(30, dtype=np.int32)
    first = model.forward(sequence, ids)
    for bad in (-1, model.spec.vocabulary, 2**31 - 1, -(2**31)):
        with pytest.raises(RequestError, match="vocabulary"):
            model.forward(sequence, np.array([1, bad], np.int32))
    with pytest.raises(RequestError):
        model.forward(sequence, np.array([2**40], np.int64))
    for malformed in (np.zeros(0, np.int32), np.zeros((2, 2), np.int32), np.zeros(2, np.float32)):
        with pytest.raises(RequestError):
            model.forward(sequence, malformed)
    with pytest.raises(ContextFullError, match="10 of 40"):
        model.forward(sequence, np.zeros(11, np.int32))
    assert sequence.length == 30
    sequence.truncate(29)
    assert np.array_equal(model.forward(sequence, ids[29:]), first)


def test_truncate_bounds(model: CpuModel) -> None:
    sequence = model.new_sequence(4)
    for length in (-1, 1):
        with pytest.raises(BackendError):
            sequence.truncate(length)
    assert lib.tz_sequence_truncate(sequence.handle(), 1) == INVALID


def test_absurd_capacities_are_errors(model: CpuModel) -> None:
    handle = ffi.new("TzSequence **")
    assert lib.tz_sequence_new(model._alive(), 0, 16, 16, handle) == INVALID
    assert lib.tz_sequence_new(model._alive(), 2**63, 16, 16, handle) == INVALID
    assert lib.tz_sequence_new(model._alive(), 2**32 - 1, 16, 16, handle) in (INVALID, MEMORY)
    for bits in ((16, 8), (3, 3), (0, 0), (8, 2**32 - 1)):
        assert lib.tz_sequence_new(model._alive(), 64, *bits, handle) == INVALID
    with pytest.raises(BackendError, match="GiB"):
        model.new_sequence(1 << 31)
    for capacity in (0, -5, 2**40):
        with pytest.raises(BackendError):
            model.new_sequence(capacity)


def test_sequences_of_another_model(folder: ModelFolder, model: CpuModel) -> None:
    other = CpuBackend().load(folder, spec_of(folder), threads=1)
    with pytest.raises(BackendError, match="another model"):
        model.forward(other.new_sequence(4), np.zeros(1, np.int32))
    other.close()


def test_closed_things_say_so(folder: ModelFolder) -> None:
    model = CpuBackend().load(folder, spec_of(folder), threads=2)
    sequence = model.new_sequence(4)
    sequence.close()
    sequence.close()
    with pytest.raises(BackendError, match="closed"):
        model.forward(sequence, np.zeros(1, np.int32))
    alive = model.new_sequence(4)
    model.close()
    model.close()
    with pytest.raises(BackendError, match="closed"):
        model.forward(alive, np.zeros(1, np.int32))
    with pytest.raises(BackendError, match="closed"):
        model.new_sequence(4)


def test_rows_of_a_matrix_that_are_not_there(folder: ModelFolder) -> None:
    stored = folder.matrix(next(iter(folder.quantization.matrices)))
    for start, rows in ((8, 16), (-16, 16), (0, stored.entry.rows + 1), (0, 0)):
        with pytest.raises(BackendError):
            native.matrix(stored, [], start, rows)


def test_many_models_come_and_go(folder: ModelFolder) -> None:
    spec, ids = spec_of(folder), np.arange(5, dtype=np.int32)
    expected = None
    for _ in range(20):
        loaded = CpuBackend().load(folder, spec, threads=3)
        result = loaded.forward(loaded.new_sequence(5), ids)
        assert expected is None or np.array_equal(result, expected)
        expected = result
        loaded.close()


def test_the_library_stays_while_anything_may_use_it(folder: ModelFolder) -> None:
    """At the interpreter's end modules go before the objects whose destructors call the library."""
    program = f"""
import gc, sys
from pathlib import Path
import numpy as np
import tzcore.backend
from tzcore.architecture.registry import spec_of
from tzcore.backend import native
from tzcore.backend.cpu import CpuBackend
from tzcore.checkpoint import ModelFolder
folder = ModelFolder.open(Path({str(folder.path)!r}))
model = CpuBackend().load(folder, spec_of(folder), 1)
sequence = model.new_sequence(8)
model.forward(sequence, np.zeros(3, np.int32))
for name in [n for n in sys.modules if n.startswith("tzcore.backend._native")]:
    vars(sys.modules.pop(name)).clear()
vars(tzcore.backend).pop("_native")
native.library.cache_clear()
gc.collect()
del sequence, model
gc.collect()
print("end")
"""
    result = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (0, "end\n"), result.stderr
