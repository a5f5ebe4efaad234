"""``tz plan SOURCE``: what a model would cost and whether it would fit, before anything is fetched.

Exact for an installed model, whose folder says everything.  For another it is an estimate from
metadata: sizes of files, number of parameters, and the shape in ``config.json`` where that can
be had without the weights.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tzcore.cli.console import Console, human_bytes, human_count, human_time
from tzcore.cli.pipeline import DEFAULT_ENCODING, ENCODINGS, PACKINGS

if TYPE_CHECKING:
    from tzcore.hub.library import InstalledModel
    from tzcore.hub.sources import SourceInfo

SCALE_BITS = 16
GROUP = 64
HEAD_BITS = 8 + SCALE_BITS / GROUP
CONVERSION_RATE = 400_000
"""Weights a second and core: SmolLM2-135M took 300 s of processor time (server core, AVX-512).  Rough: a
wider model takes longer for each weight, formats without calibration far less."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="an installed model, or any source")
    parser.add_argument("--encoding", choices=ENCODINGS, default=DEFAULT_ENCODING, help="how weights would be stored")
    parser.add_argument("--packing", choices=PACKINGS, help="2- and 4-bit slots, or the denser base 3")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the plan."""
    from tzcore.hub import library, reference, sources

    installed = library.resolve(args.source)
    if installed is not None:
        result = of_installed(installed)
    else:
        result = of_source(sources.describe(reference.parse(args.source)), args.encoding, args.packing)
    console.done(words(result), **result)
    return 0


def of_installed(model: InstalledModel) -> dict[str, Any]:
    """The plan of a model that is here: nothing to fetch, exact memory."""
    from tzcore.architecture.registry import spec_of
    from tzcore.checkpoint.reader import ModelFolder
    from tzcore.engine.plan import plan
    from tzcore.quant.settings import parameters

    folder = ModelFolder.open(model.path)
    try:
        spec = spec_of(folder)
        memory = plan(folder.bytes(), spec)
        return {
            "id": model.id,
            "installed": True,
            "exact": True,
            "family": spec.family,
            "supported": True,
            "licence": model.licence,
            "gated": False,
            "parameters": parameters(spec),
            "download_bytes": 0,
            "result_bytes": model.bytes,
            "peak_disk_bytes": 0,
            "conversion_seconds": 0,
            "memory_bytes": memory.total,
            "context": memory.context,
            "longest_context": memory.largest_context,
            "fits": memory.fits,
            "free_memory": memory.available,
        }
    finally:
        folder.close()


def of_source(info: SourceInfo, encoding: str, packing: str | None) -> dict[str, Any]:
    """The plan of a source: what is not known is ``None``."""
    from tzcore import hardware

    memory, cores = hardware.memory(), hardware.processor().physical
    shape = Shape.read(info.config) if info.config else None
    result = need = longest = context = None
    if info.parameters:
        result = stored_bytes(info.parameters, shape, encoding, packing)
        if shape:
            context = min(8192, shape.max_context)
            need = result + context * shape.kv_bytes
            reserve = min(1 << 30, memory.total // 20)
            longest = max(0, min(shape.max_context, (memory.available - reserve - result) // shape.kv_bytes))
    fetch = info.download_bytes
    return {
        "id": info.id,
        "installed": False,
        "exact": False,
        "family": info.family,
        "supported": info.supported,
        "licence": info.licence,
        "gated": info.gated,
        "parameters": info.parameters,
        "download_bytes": fetch,
        "encoding": encoding,
        "result_bytes": result,
        "peak_disk_bytes": None if result is None or fetch is None else fetch + result,
        "conversion_seconds": info.parameters / (CONVERSION_RATE * cores) if info.parameters else None,
        "memory_bytes": need,
        "context": context,
        "longest_context": longest,
        "fits": None if result is None else (need or result) < memory.available - min(1 << 30, memory.total // 20),
        "free_memory": memory.available,
    }


@dataclass(frozen=True)
class Shape:
    """What of ``config.json`` the size of a model depends on.  ``kv_bytes``: of one token, at fp16."""

    tables: int  # weights of embedding and head
    kv_bytes: int
    max_context: int

    @classmethod
    def read(cls, config: dict[str, Any]) -> Shape | None:
        """``None`` where a number is missing: then there is no estimate that needs it."""
        text = config.get("text_config") or config
        try:
            hidden, heads = int(text["hidden_size"]), int(text["num_attention_heads"])
            per_head = int(text.get("head_dim") or hidden // heads)
            kv = int(text.get("num_key_value_heads") or heads) * per_head * int(text["num_hidden_layers"]) * 2 * 2
            tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
            tables = int(text["vocab_size"]) * hidden * (1 if tied else 2)
            return cls(tables, kv, int(text["max_position_embeddings"]))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            return None


def stored_bytes(parameters: int, shape: Shape | None, encoding: str, packing: str | None) -> int:
    """Bytes of the converted model: projections in ``encoding``, embedding and head in 8 bits."""
    from tzcore import trits
    from tzcore.quant.settings import format_for

    fmt = trits.format_named(format_for(encoding, packing))
    wide = 128 * 64
    bits = 8 * trits.tile_bytes(fmt, wide) / (trits.LANES * wide) + (SCALE_BITS / GROUP if fmt.packing != "half" else 0)
    tables = min(shape.tables, parameters) if shape else _usual_tables(parameters)
    head = HEAD_BITS if fmt.packing != "half" else 16.0
    return int((parameters - tables) * bits / 8 + tables * head / 8)


def _usual_tables(parameters: int) -> int:
    """Weights of embedding and head where the shape is not known: they grow with the model's width.

    (SmolLM2 135M has 0.03, Llama 3.2 1B 0.26, Llama 3.1 8B 1.05, Llama 3.3 70B 2.1 · 10⁹.)
    """
    return round(min(parameters / 4, 4e8 * (parameters / 1e9) ** 0.5))


def words(plan: dict[str, Any]) -> str:
    """The plan for a person."""

    def size(key: str) -> str:
        return "not known" if plan[key] is None else human_bytes(plan[key])

    about = "" if plan["exact"] else "about "
    family = plan["family"] or "family not known"
    lines = [
        f"model      {plan['id']}: {family}{'' if plan['supported'] else ' (not supported)'}, "
        f"{human_count(plan['parameters']) if plan['parameters'] else '?'} parameters, licence {plan['licence']}"
        + (" (gated: accept its licence on the hub first)" if plan["gated"] else "")
    ]
    if plan["installed"]:
        lines.append(f"installed  {size('result_bytes')}")
    else:
        lines += [
            f"to fetch   {size('download_bytes')}",
            f"result     {about}{size('result_bytes')} as {plan['encoding']}",
            f"disk       {about}{size('peak_disk_bytes')} for both",
        ]
        if plan["conversion_seconds"]:
            lines.append(f"time       roughly {human_time(plan['conversion_seconds'])} to convert on this machine")
    if plan["memory_bytes"] is not None:
        lines += [
            f"memory     {about}{size('memory_bytes')} with {plan['context']:,} tokens of context; "
            f"{size('free_memory')} are free",
            f"context    {about}{plan['longest_context']:,} tokens would fit",
        ]
    if plan["fits"] is not None:
        lines.append(f"fits       {'yes' if plan['fits'] else 'no'}")
    return "\n".join(lines)
