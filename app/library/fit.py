"""Whether a model fits this machine, from bytes alone, in a sentence with the numbers in it.

The sum is that of ``tz plan``: stored weights, keys and values of the context at fp16, the
activations of one prompt chunk, the process.  For an installed model all of it is exact (its
``config.json`` is there); for one that is not, weights are estimated from the number of
parameters and the encoding, and the sentence says "about".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import wording
from app.translation import tr
from tzcore.errors import CheckpointError

CONTEXT = 8192
"""Tokens of context that a fit is judged for, or the model's own maximum where that is less."""
CHUNK = 512
PROCESS = 64 << 20
BITS = {"t1": 1.85, "q2": 2.25, "t2": 3.45, "i4": 4.25, "i8": 8.25, "f16": 16.0}
"""Stored bits a weight with a scale of 16 bits for every 64, in each encoding's default packing."""
TABLE_BITS = 8.25
"""The same of embedding and head, which are ``i8`` unless the model is ``f16``."""
KV_PER_TOKEN = 160_000
"""Bytes of keys and values of a token, about, of a model of 10⁹ parameters whose shape is not known yet."""


@dataclass(frozen=True)
class Fit:
    """Whether a model runs in this machine's memory, and the sentence that says so with numbers."""

    ok: bool
    sentence: str


@dataclass(frozen=True)
class Machine:
    """Bytes of memory and of disk where models are kept."""

    memory: int
    free_memory: int
    free_disk: int

    @classmethod
    def here(cls, folder: Path) -> Machine:
        """This machine, now.  ``folder`` need not exist yet."""
        import shutil

        import psutil

        memory = psutil.virtual_memory()
        while not folder.exists():
            folder = folder.parent
        return cls(memory.total, memory.available, shutil.disk_usage(folder).free)


def judge(need: int, machine: Machine, exact: bool) -> Fit:
    """A fit for ``need`` bytes of memory.  Some is left to the system: a twentieth, at most 1 GiB."""
    reserve = min(1 << 30, machine.memory // 20)
    ok = need <= machine.memory - 2 * reserve
    if need <= machine.free_memory - reserve:
        ok = True
        text = tr("fits: needs {need} of {memory}") if exact else tr("fits: needs about {need} of {memory}")
    elif ok and exact:
        text = tr("fits when other programs are closed: needs {need} of {memory}, {free} are free now")
    elif ok:
        text = tr("fits when other programs are closed: needs about {need} of {memory}, {free} are free now")
    elif exact:
        text = tr("does not fit: needs {need}, this machine has {memory}")
    else:
        text = tr("does not fit: needs about {need}, this machine has {memory}")
    sizes = {"need": need, "memory": machine.memory, "free": machine.free_memory}
    return Fit(ok, text.format_map({name: gigabytes(size) for name, size in sizes.items()}))


def installed_need(weights: int, config: Mapping[str, Any]) -> int:
    """Bytes in memory of an installed model.  CheckpointError for a config that is not understood."""
    text = config.get("text_config", config)
    try:
        layers, hidden, heads = (int(text[key]) for key in ("num_hidden_layers", "hidden_size", "num_attention_heads"))
        kv_heads = int(text.get("num_key_value_heads") or heads)
        head_dim = int(text.get("head_dim") or hidden // heads)
        intermediate, vocabulary = int(text["intermediate_size"]), int(text["vocab_size"])
        context = min(CONTEXT, int(text.get("max_position_embeddings") or CONTEXT))
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise CheckpointError(tr("config.json is not understood: {reason}").format(reason=error)) from None
    kv = layers * 2 * kv_heads * head_dim * 2 * context
    row = 4 * hidden + 3 * intermediate + 2 * (heads + 2 * kv_heads) * head_dim
    return weights + kv + 4 * (CHUNK * row + 2 * vocabulary) + PROCESS


def installed_fit(weights: int, folder: Path, machine: Machine, excess: int | None = None) -> Fit:
    """The fit of an installed model; one that cannot be read does not fit, and the sentence says why.

    ``excess`` is what loads of it took beyond their plan on this machine: then the sentence says that it was measured.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        fit = judge(max(0, installed_need(weights, config) + (excess or 0)), machine, exact=True)
        return fit if excess is None else Fit(fit.ok, tr("{fit} (measured here)").format(fit=fit.sentence))
    except (OSError, ValueError, CheckpointError, AttributeError) as error:
        return Fit(False, tr("cannot be read: {reason}").format(reason=error))


def stored_bytes(parameters: int, encoding: str) -> int:
    """About what the converted model takes.

    Embedding and head, whose size is not known yet, grow with the width of the model: 4·10⁸ weights
    at 10⁹ parameters and with the square root from there, and a quarter of the weights at most
    (known: SmolLM2 135M 0.03, Llama 3.2 1B 0.26, Llama 3.1 8B 1.05, Llama 3.3 70B 2.1 · 10⁹).
    """
    tables = min(parameters / 4, 4e8 * (parameters / 1e9) ** 0.5)
    return round(((parameters - tables) * BITS[encoding] + tables * max(BITS[encoding], TABLE_BITS)) / 8)


def estimated_need(parameters: int, encoding: str, context: int = CONTEXT) -> int:
    """About the bytes in memory of a model of which only the size is known.

    Keys and values grow with the parameters up to 10⁹ and slowly from there: the line lies near
    SmolLM2 135M (23 kB), Llama 3.1 8B (131 kB), Qwen3 8B (147 kB) and Llama 3.3 70B (328 kB);
    models with few key heads need a third of it, those without shared ones twice as much.
    """
    billions = parameters / 1e9
    kv = KV_PER_TOKEN * min(billions, 1.0) * (1 + billions / 70) * min(context, CONTEXT)
    activations = 20e6 * min(billions, 20.0)
    return round(stored_bytes(parameters, encoding) + kv + activations) + PROCESS


def estimated_fit(
    parameters: int, download_bytes: int, encoding: str, machine: Machine, context: int = CONTEXT
) -> Fit:
    """The fit of a model that is not here, disk included.  Without a number of parameters: from the download
    (16 bits each); with neither, it says that it is not known."""
    parameters = parameters or download_bytes // 2
    if not parameters:
        return Fit(True, tr("size not known before its metadata is read"))
    disk = stored_bytes(parameters, encoding) + (download_bytes or 2 * parameters)
    fit = judge(estimated_need(parameters, encoding, context), machine, exact=False)
    if fit.ok and disk > machine.free_disk:
        text = tr("not enough disk space: needs about {need}, {free} are free")
        return Fit(False, text.format(need=gigabytes(disk), free=gigabytes(machine.free_disk)))
    return fit


def largest_fitting(encoding: str, machine: Machine) -> int:
    """About how many weights a model may have to run in this machine's memory: for a filter of the search."""
    low, high = 0, 1 << 42
    while high - low > 10_000_000:
        middle = (low + high) // 2
        fits = judge(estimated_need(middle, encoding), machine, exact=False).ok if middle else True
        low, high = (middle, high) if fits else (low, middle)
    return max(low, 10_000_000)


def gigabytes(count: int) -> str:
    """``0.2 GB``, ``23 GB``: in units of 2³⁰, as memory is sold."""
    size = count / (1 << 30)
    return f"{wording.decimal(max(size, 0.1))} GB" if size < 9.95 else f"{size:.0f} GB"
