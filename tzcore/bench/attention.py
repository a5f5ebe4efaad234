"""Attention at depth for one token and for eight, inside the engine: a model that is little but keys and values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tzcore.architecture.registry import spec_of
from tzcore.backend.cuda.model import CudaModel
from tzcore.backend.cuda.plan import plan
from tzcore.backend.cuda.workspace import FEW
from tzcore.bench.products import Say
from tzcore.bench.random_folder import random_folder
from tzcore.bench.recorder import Recorder, times_of_kinds
from tzcore.bench.timing import Timer, fill
from tzcore.bench.whole_model import kv_bytes
from tzcore.hub.formats.synthetic import Synthetic

NAME = "llama-3-70b"
CUT = "layers=8,hidden=1024,intermediate=1024,heads=64,kv_heads=8,head_dim=128,vocabulary=512"
"""The heads of Llama 3 70B, eight layers of them, so that 8k tokens are more than a cache holds."""
DEPTHS = (8 << 10, 32 << 10, 128 << 10)


def at_depths(
    timer: Timer, depths: tuple[int, ...], repeat: int, ceiling: float, say: Say, cut: str = CUT
) -> list[Any]:
    """Two rows a depth that fits on the card; ``ceiling`` is its copy bandwidth."""
    device = timer.device
    rows = []
    for depth in depths:
        synthetic = Synthetic(NAME, f"{cut},context={depth + 256}", "synthetic:attention", {})
        folder = random_folder(synthetic, "t1", "i8")
        spec = spec_of(folder)
        planned = plan(spec, folder.quantization.matrices, depth + 256, device.memory()[0], device.name)
        if not planned.fits:
            break
        recorder = Recorder(device)
        model = CudaModel(recorder.as_device, folder, spec, planned)
        try:
            block = np.random.default_rng(1).standard_normal(4 << 20, np.float32).astype(np.float16)
            fill(device, model.context.address, model.context.size, block)
            sequence = model.new_sequence(depth + FEW)
            sequence.jump(depth)
            for tokens in (1, FEW):
                model.forward(sequence, np.zeros(tokens, np.int32), "none")
                sequence.truncate(depth)
                assert recorder.last is not None
                launches = [one for one in recorder.last.launches if one.kernel.name.startswith("attend")]
                (kind,) = times_of_kinds(timer, launches, repeat)
                held = kv_bytes(spec, depth)
                rate = held / kind.seconds
                row = {"what": "attention", "kernel": kind.kernel, "depth": depth, "tokens": tokens,
                       "layers": kind.launches, "bytes": held, "seconds": kind.seconds, "bytes_per_second": rate,
                       "share_of_ceiling": rate / ceiling, "predicted_memory": held / ceiling}  # fmt: skip
                rows.append(row)
                say(row)
        finally:
            model.close()
    return rows
