"""The CPU backend: models in the Rust library, straight from the mapped folder.

Weights are read where the page cache has them; nothing is copied or unpacked.  One pool of
threads serves a model; they are pinned, one a physical core, when they are as many as the
cores that this process may use, and left to the system otherwise, so that two half-sized
models do not sit on the same cores.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import hardware
from tzcore.architecture.spec import LayerSpec, MatrixRef, ModelSpec
from tzcore.backend import native
from tzcore.backend.base import PIECE, Logits, weight_bytes_per_token
from tzcore.backend.base import Sequence as BaseSequence
from tzcore.backend.cpu_memory import memory_bytes
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import BackendError, ContextFullError, RequestError
from tzcore.keyvalues import F16, KeyValueFormat

Floats = npt.NDArray[np.float32]

_MODES: dict[Logits, int] = {"last": 0, "all": 1, "none": 2}
_ROOM, _RESUMABLE, _MEMORY_BYTES, _PIECE_BYTES = range(4)
_ACTIVATIONS = {"silu": 0, "gelu_tanh": 1, "relu2": 2}
_BIASES = ("q_bias", "k_bias", "v_bias", "o_bias")
_NORMS = (
    *("input_norm", "q_norm", "k_norm", "attention_sub_norm", "post_attention_norm"),
    *("mlp_norm", "mlp_sub_norm", "post_mlp_norm"),
)


class CpuSequence:
    """A running text's keys and values; see :class:`tzcore.backend.base.Sequence`."""

    def __init__(self, handle: Any, capacity: int, length: int = 0) -> None:
        ffi, lib = native.library()
        self._handle = ffi.gc(handle, lib.tz_sequence_free)
        self._length, self._capacity = length, capacity

    @property
    def length(self) -> int:
        return self._length

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def room(self) -> int:
        return self._ask(_ROOM)

    def handle(self) -> Any:
        """The library's handle; BackendError after :meth:`close`."""
        if self._handle is None:
            raise BackendError("this sequence is closed")
        return self._handle

    def advance(self, count: int) -> None:
        """Count ``count`` more tokens as held, as the library does."""
        self._length += count

    def resumable(self, length: int) -> int:
        """Less than ``length`` also where the latest keys and values are there as codes alone: the 64 to 127 tokens
        before ``length`` are to be read anew then."""
        return self._ask(_RESUMABLE, length)

    def truncate(self, length: int) -> None:
        _, lib = native.library()
        if not 0 <= length <= self._length:
            raise BackendError(f"cannot shorten a sequence of {self._length} tokens to {length}")
        native.check(lib.tz_sequence_truncate(self.handle(), length))
        self._length = length

    def fork(self, length: int) -> CpuSequence:
        ffi, lib = native.library()
        if not 0 <= length <= self._length:
            raise BackendError(f"a sequence of {self._length} tokens has not {length} to begin another with")
        handle = ffi.new("TzSequence **")
        native.check(lib.tz_sequence_fork(self.handle(), length, handle))
        return CpuSequence(handle[0], self._capacity, length)

    def save(self, piece: int) -> bytes:
        ffi, lib = native.library()
        if not 0 <= piece * PIECE < self._length:
            raise BackendError(f"a sequence of {self._length} tokens has no piece {piece}")
        room = np.empty(self._ask(_PIECE_BYTES, piece), np.uint8)
        native.check(lib.tz_sequence_save(self.handle(), piece, ffi.cast("uint8_t *", room.ctypes.data), room.size))
        return room.tobytes()

    def load(self, pieces: Iterable[bytes], length: int) -> None:
        ffi, lib = native.library()
        if self._length:
            raise BackendError(f"a sequence of {self._length} tokens cannot take a saved one")
        try:
            for piece, data in enumerate(pieces):
                if self._length >= length:
                    break
                bytes_of = ffi.from_buffer("uint8_t[]", data)
                native.check(lib.tz_sequence_load(self.handle(), piece, length, bytes_of, len(data)))
                self._length = min((piece + 1) * PIECE, length)
            if self._length < length:
                raise BackendError(f"the saved context ends after {self._length} of {length} tokens")
        except BaseException as error:
            native.check(lib.tz_sequence_truncate(self.handle(), 0))
            self._length = 0
            if isinstance(error, ContextFullError):
                raise BackendError(str(error)) from None
            raise

    def memory_bytes(self) -> int:
        """Bytes of the memory that this text and those forked from it share."""
        return self._ask(_MEMORY_BYTES)

    def close(self) -> None:
        ffi, _ = native.library()
        if self._handle is not None:
            ffi.release(self._handle)
            self._handle = None

    def _ask(self, what: int, value: int = 0) -> int:
        ffi, lib = native.library()
        answer = ffi.new("uintptr_t *")
        native.check(lib.tz_sequence_ask(self.handle(), what, value, answer))
        return int(answer[0])


class CpuModel:
    """A model ready to run."""

    exact_chunks = True  # sums have one order for every number of tokens: product.rs, attention.rs

    def __init__(self, folder: ModelFolder, spec: ModelSpec, pool: native.Pool, variant: str | None) -> None:
        ffi, lib = native.library()
        self.spec = spec
        self.threads = pool.threads
        self._pool = pool
        self._keep: list[Any] = [folder]  # what the library points into
        struct = _spec_struct(folder, spec, self._keep)
        handle = ffi.new("TzModel **")
        native.check(lib.tz_model_new(pool.handle, native.variant_argument(variant), struct, handle))
        self._handle = ffi.gc(handle[0], lib.tz_model_free)
        self._bytes = weight_bytes_per_token(folder, spec)

    def _alive(self) -> Any:
        if self._handle is None:
            raise BackendError("this model is closed")
        return self._handle

    def new_sequence(self, capacity: int, stored: KeyValueFormat = F16) -> CpuSequence:
        """A memory of ``capacity`` tokens; what the machine has not free is a BackendError."""
        ffi, lib = native.library()
        if not 0 < capacity <= 1 << 31:
            raise BackendError(f"a context of {capacity} tokens is not possible")
        needed = memory_bytes(self.spec, capacity, stored)
        free = hardware.memory().available
        if needed > free:
            raise BackendError(
                f"a context of {capacity} tokens needs {needed / 2**30:.1f} GiB of memory, "
                f"{(needed - free) / 2**30:.1f} GiB more than is free; choose a shorter context"
            )
        handle = ffi.new("TzSequence **")
        bits = (stored.key_bits, stored.value_bits)
        native.check(lib.tz_sequence_new(self._alive(), capacity, *bits, handle))
        return CpuSequence(handle[0], capacity)

    def cache_form(self, stored: KeyValueFormat) -> str:
        return f"cpu-1-{stored.name}"

    def forward(self, sequence: BaseSequence, tokens: npt.NDArray[np.int32], logits: Logits = "last") -> Floats:
        """See :class:`tzcore.backend.base.LoadedModel`."""
        ffi, lib = native.library()
        if not isinstance(sequence, CpuSequence):
            raise BackendError("the sequence belongs to another backend")
        ids = np.ascontiguousarray(tokens)
        if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
            raise RequestError("tokens must be a vector of at least one whole number")
        if ids.dtype != np.int32:
            if ids.min() < -(2**31) or ids.max() >= 2**31:
                raise RequestError("a token is outside the vocabulary")
            ids = ids.astype(np.int32)
        rows = {"last": 1, "all": ids.size, "none": 0}[logits]
        out = np.empty((rows, self.spec.vocabulary), np.float32)
        status = lib.tz_forward(
            self._alive(),
            sequence.handle(),
            ffi.cast("int32_t *", ids.ctypes.data),
            ids.size,
            _MODES[logits],
            ffi.cast("float *", out.ctypes.data),
            out.size,
        )
        native.check(status)
        sequence.advance(ids.size)
        return out

    def weight_bytes_per_token(self) -> int:
        return self._bytes

    def close(self) -> None:
        """Release the library's memory and threads, and let go of the folder."""
        ffi, _ = native.library()
        if self._handle is not None:
            ffi.release(self._handle)
            self._handle = None
            self._pool.close()
            self._keep.clear()


class CpuBackend:
    """Runs models on the processor.  ``variant`` forces a set of kernels (:func:`native.variants`)."""

    name = "cpu"

    def __init__(self, variant: str | None = None) -> None:
        known = native.variants()
        chosen = variant or os.environ.get(native.VARIANT_VARIABLE) or known[0]
        if chosen not in known:
            raise BackendError(f"no CPU kernels called {chosen!r} run here; these do: {', '.join(known)}")
        self.variant = chosen

    def describe(self) -> str:
        processor = hardware.processor()
        return f"{processor.name}, {self.variant}, {self._threads(None)} threads"

    def load(self, folder: ModelFolder, spec: ModelSpec, threads: int | None = None) -> CpuModel:
        """Check everything and point the library at the mapped weights."""
        return CpuModel(folder, spec, self._pool(threads), self.variant)

    def read_bandwidth(self, threads: int | None = None) -> float:
        """Bytes per second that ``threads`` threads read together from memory beyond the caches."""
        pool = self._pool(threads)
        try:
            return pool.read_bandwidth()
        finally:
            pool.close()

    def _threads(self, threads: int | None) -> int:
        processor = hardware.processor()
        return threads if threads is not None else max(1, min(processor.physical, processor.usable))

    def _pool(self, threads: int | None) -> native.Pool:
        count = self._threads(threads)
        cores = _cores()
        return native.Pool(count, cores if len(cores) == count else ())


def _cores() -> list[int]:
    """One logical processor of each physical core that this process may use; empty where unknown."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    chosen: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
        except OSError:
            siblings = str(cpu)
        chosen.setdefault(siblings, cpu)
    return list(chosen.values())


def _spec_struct(folder: ModelFolder, spec: ModelSpec, keep: list[Any]) -> Any:
    ffi, _ = native.library()

    def matrix(ref: MatrixRef) -> Any:
        stored = folder.matrix(ref.name)
        if ref.cols != stored.entry.cols:
            raise BackendError(f"{ref.name} has {stored.entry.cols} columns where the model needs {ref.cols}")
        return native.matrix(stored, keep, ref.start, ref.rows)

    def vector(name: str | None) -> Any:
        return native.floats(None if name is None else folder.vector(name), keep)

    def fill(target: Any, layer: LayerSpec) -> None:
        for part in (*_NORMS, *_BIASES):
            setattr(target, part, vector(getattr(layer, part)))
        for part in ("q", "k", "v", "o"):
            setattr(target, part, matrix(getattr(layer, part)))
        experts = ffi.new("TzExpert[]", len(layer.experts))
        keep.append(experts)
        target.experts, target.expert_count = experts, len(layer.experts)
        for slot, expert in zip(experts, layer.experts, strict=True):
            for part in ("gate", "up", "down"):
                setattr(slot, part, matrix(getattr(expert, part)))
                setattr(slot, f"{part}_bias", vector(getattr(expert, f"{part}_bias")))
        if layer.router:
            target.router = matrix(layer.router.matrix)
            target.active, target.normalise = layer.router.active, layer.router.normalise
        target.window, target.rope = layer.window or 0, -1 if layer.rope is None else layer.rope

    layers, ropes = ffi.new("TzLayer[]", len(spec.layers)), ffi.new("TzRope[]", len(spec.ropes))
    keep += [layers, ropes]
    for target, layer in zip(layers, spec.layers, strict=True):
        fill(target, layer)
    for target, rope in zip(ropes, spec.ropes, strict=True):
        target.inverse_frequencies, target.scale = native.floats(rope.inverse_frequencies, keep), rope.scale
    result = ffi.new("TzModelSpec *")
    for field in ("hidden", "heads", "kv_heads", "head_dim", "vocabulary"):
        setattr(result, field, getattr(spec, field))
    for field in ("norm_eps", "norm_offset", "embedding_scale", "residual_multiplier", "attention_scale"):
        setattr(result, field, getattr(spec, field))
    result.attention_softcap = spec.attention_softcap or 0.0
    result.logit_multiplier = spec.logit_multiplier
    result.logit_softcap = spec.logit_softcap or 0.0
    result.activation = _ACTIVATIONS[spec.activation]
    result.per_token = int(spec.activations == "token")
    result.embedding, result.head = matrix(spec.embedding), matrix(spec.head)
    result.final_norm = vector(spec.final_norm)
    result.layers, result.layer_count = layers, len(spec.layers)
    result.ropes, result.rope_count = ropes, len(spec.ropes)
    return result
