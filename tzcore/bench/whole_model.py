"""A whole model on a card: loading, prefill, decoding at depth, memory against the plan, and where the time goes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda.device import Device
from tzcore.backend.cuda.kernels import FOLDER
from tzcore.backend.cuda.model import CudaModel
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.backend.cuda.sequence import CudaSequence
from tzcore.backend.cuda.workspace import FEW
from tzcore.bench.recorder import Recorder, times_of_kinds
from tzcore.bench.timing import Timer, copy_bandwidth, fill, host_bandwidth
from tzcore.checkpoint.reader import ModelFolder

DEPTHS = (0, 8 << 10, 32 << 10, 64 << 10, 128 << 10)
"""Tokens before the ones that are timed."""
_FIRST = 32
"""Tokens of the prompt whose answer is the first token."""
_WARM = 3

Row = dict[str, Any]
Say = Callable[[Row], None]


@dataclass(frozen=True)
class Effort:
    """``tokens`` are decoded ``repeat`` times at each depth, ``prompt`` tokens read as often.  ``room`` bytes are
    copied to learn what the memory gives; ``compile`` has the driver compile all kernels before loading is timed."""

    tokens: int = 32
    prompt: int = 4096
    repeat: int = 5
    room: int = 1 << 30
    depths: tuple[int, ...] = DEPTHS
    compile: bool = True


def kv_bytes(spec: ModelSpec, position: int) -> int:
    """Bytes of keys and values that the token at ``position`` reads: in half precision, within each layer's window."""
    seen = (min(position + 1, layer.window or position + 1) for layer in spec.layers)
    return sum(seen) * 2 * 2 * spec.kv_heads * spec.head_dim


def fitting(depths: tuple[int, ...], context: int, tokens: int) -> list[int]:
    """Those of ``depths`` after which ``tokens`` more fit into ``context``."""
    return [depth for depth in depths if depth + tokens <= context]


def measure(device: Device, folder: ModelFolder, spec: ModelSpec, planned: DevicePlan, effort: Effort, say: Say) -> Row:
    """Load the model, time it, and let go of it.  Each result is said as soon as it is there; all are returned."""
    timer = Timer(device)
    copy = copy_bandwidth(timer, min(effort.room, device.memory()[0] // 2), effort.repeat)
    bus = host_bandwidth(timer, effort.room // 4, effort.repeat)
    ceilings = {"copy_bandwidth": copy, "host_bandwidth": bus}
    say({"what": "ceilings", **ceilings})
    before = device.memory()[0]
    if effort.compile:
        say(compiled(device))
    recorder = Recorder(device)
    began = time.perf_counter()
    model = CudaModel(recorder.as_device, folder, spec, planned)
    try:
        device.synchronize()
        bench = _Bench(model, recorder, timer, effort, copy)
        loading = bench.loading(time.perf_counter() - began, folder.bytes(), bus)
        say(loading)
        prefill = bench.prefill()
        say(prefill)
        block = np.random.default_rng(1).standard_normal(4 << 20, np.float32).astype(np.float16)
        fill(device, model.context.address, model.context.size, block)
        depths = fitting(effort.depths, planned.context, effort.tokens + _WARM)
        rows = []
        for depth in depths:
            rows.append(bench.decode(depth))
            say(rows[-1])
        eight = bench.decode(0, FEW) if planned.context >= (effort.tokens + _WARM) * FEW else None
        if eight is not None:
            say(eight)
        memory = {"what": "memory", "planned": planned.memory.total, "reserve": planned.memory.reserve,
                  "taken": before - recorder.least_free, "items": dict(planned.memory.items)}  # fmt: skip
        say(memory)
        kinds = [bench.kinds(depth) for depth in sorted({depths[0], depths[-1]})] if depths else []
        kinds.append(bench.kinds(0, planned.chunk))
        for row in kinds:
            say(row)
        return {
            **ceilings, "loading": loading, "prefill": prefill, "decode": rows, "eight": eight, "memory": memory,
            "kinds": kinds, "context": planned.context, "weight_bytes": model.weight_bytes_per_token(),
        }  # fmt: skip
    finally:
        model.close()


def compiled(device: Device) -> Row:
    """Every shipped file compiled, or taken from the driver's cache: loading is not to be blamed for it afterwards."""
    files = sorted(FOLDER.glob("*.ptx"))
    began = time.perf_counter()
    for path in files:
        device.load(path.read_text(encoding="utf-8"))
    return {"what": "compile", "files": len(files), "seconds": time.perf_counter() - began}


class _Bench:
    """The measurements of one model."""

    def __init__(self, model: CudaModel, recorder: Recorder, timer: Timer, effort: Effort, copy: float) -> None:
        self._model, self._recorder, self._timer, self._effort, self._copy = model, recorder, timer, effort, copy
        self._random = np.random.default_rng(2)

    def _ids(self, count: int) -> npt.NDArray[np.int32]:
        return self._random.integers(0, self._model.spec.vocabulary, count).astype(np.int32)

    def _sequence(self, depth: int, tokens: int) -> CudaSequence:
        """A text of ``depth`` tokens that were never computed: its pages hold random numbers."""
        sequence = self._model.new_sequence(depth + tokens)
        if depth:
            sequence.jump(depth)
        return sequence

    def _timed(self, sequence: CudaSequence, ids: npt.NDArray[np.int32]) -> float:
        began = time.perf_counter()
        self._model.forward(sequence, ids)
        return time.perf_counter() - began

    def loading(self, seconds: float, stored: int, bus: float) -> Row:
        """The first token is that of a short prompt, with everything that is captured for it."""
        sequence = self._sequence(0, _FIRST + 1)
        first = self._timed(sequence, self._ids(_FIRST))
        second = self._timed(sequence, self._ids(1))
        sequence.close()
        self._recorder.look()
        rate = stored / seconds
        return {"what": "load", "seconds": seconds, "bytes": stored, "bytes_per_second": rate,
                "share_of_bus": rate / bus, "first_token_seconds": first, "second_token_seconds": second}  # fmt: skip

    def prefill(self) -> Row:
        count = min(self._effort.prompt, self._model.plan.context)
        sequence = self._sequence(0, count)
        runs = []
        for number in range(self._effort.repeat // 2 + 2):
            sequence.truncate(0)
            seconds = self._timed(sequence, self._ids(count))
            runs += [seconds] if number else []  # the first warms up
        sequence.close()
        self._recorder.look()
        middle = statistics.median(runs)
        operations = 2 * _weights(self._model.spec) * count
        return {"what": "prefill", "tokens": count, "seconds": middle, "tokens_per_second": count / middle,
                "operations_per_second": operations / middle}  # fmt: skip

    def decode(self, depth: int, at_once: int = 1) -> Row:
        """``at_once`` tokens a step.  ``step_seconds`` is what the device alone takes for the last step's graph."""
        effort, model = self._effort, self._model
        sequence = self._sequence(depth, (effort.tokens + _WARM) * at_once)
        runs = []
        for _ in range(effort.repeat):
            sequence.truncate(depth)
            for _ in range(_WARM):
                model.forward(sequence, self._ids(at_once))
            ids = self._ids(effort.tokens * at_once).reshape(effort.tokens, at_once)
            began = time.perf_counter()
            for row in ids:
                model.forward(sequence, row)
            runs.append((time.perf_counter() - began) / effort.tokens)
        step = self._alone()
        sequence.close()
        self._recorder.look()
        seconds = statistics.median(runs)
        weights = model.weight_bytes_per_token()
        held = kv_bytes(model.spec, depth + at_once * (_WARM + effort.tokens // 2))
        ideal = (weights + held) / self._copy
        return {
            "what": "decode", "depth": depth, "tokens_a_step": at_once, "seconds": seconds, "step_seconds": step,
            "tokens_per_second": at_once / seconds, "least": min(runs), "most": max(runs), "weight_bytes": weights,
            "kv_bytes": held, "predicted_seconds": ideal, "share_of_copy": ideal / seconds,
            "step_share_of_copy": ideal / step,
        }  # fmt: skip

    def _alone(self) -> float:
        """Seconds of the graph that ran last, done again where it stands."""
        last = self._recorder.last
        assert last is not None
        return self._timer.median(last.graph, self._effort.repeat)

    def kinds(self, depth: int, tokens: int = 1) -> Row:
        """Seconds of each kernel in a step."""
        recorder, tokens = self._recorder, min(tokens, self._model.plan.context - depth)
        sequence = self._sequence(depth, tokens)
        recorder.launches.clear()
        self._model.forward(sequence, self._ids(tokens))
        few = tokens <= FEW and recorder.last is not None
        launches = recorder.last.launches if few and recorder.last else list(recorder.launches)
        found = times_of_kinds(self._timer, launches, self._effort.repeat)
        sequence.close()
        return {"what": "kinds", "depth": depth, "tokens": tokens, "kernels": [asdict(kind) for kind in found]}


def _weights(spec: ModelSpec) -> float:
    """Weights of the layers that a token of a prompt is multiplied by; the head sees the last one only."""
    used = ((ref, share) for ref, share in spec.read_per_token() if ref.name != spec.head.name)
    return sum(share * ref.rows * ref.cols for ref, share in used)
