"""What a conversion would make of a source: bytes and formats, from the shape alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.cli.budget_arguments import Budget
    from tzcore.quant.settings import Settings


@dataclass(frozen=True)
class Result:
    """The model that would come out.  ``weights`` are resident bytes, ``folder`` those on the disk, ``bits``
    stored bits a weight of the projections, ``stored`` the format of each matrix.  ``None`` is not known;
    then ``between`` may bound ``folder``."""

    weights: int | None
    folder: int | None
    bits: float | None = None
    formats: dict[str, int] | None = None
    stored: dict[str, str] | None = None
    between: tuple[int, int] | None = None
    note: str = ""


def result_of(spec: ModelSpec, settings: Settings) -> Result:
    """What would come out, to the byte but for the tokenizer's files.

    Which matrix gets which format is decided by measuring; only the bytes of that are foreseen here.
    """
    from tzcore.quant import allocation
    from tzcore.quant.budget import Overhead, assumed_losses, items_of, resolve

    overhead = Overhead.of(spec, settings.rotates)
    resident = overhead.signs + overhead.rest
    request = settings.request
    if request is None:
        return _uniform(spec, settings, overhead.signs, resident, overhead.files)
    items = items_of(spec, assumed_losses(spec), settings.group_for)
    if request.kind == "quality":
        least, most = (
            count + resident + overhead.files for count in (allocation.smallest(items), allocation.largest(items))
        )
        return Result(None, None, between=(least, most), note="which size it takes is measured when it is converted")
    chosen = resolve(request, items, overhead)
    weights = chosen.bytes + resident
    return Result(
        weights, weights + overhead.files, chosen.bits_per_weight, chosen.counts, chosen.formats, note=chosen.note
    )


def _uniform(spec: ModelSpec, settings: Settings, signs: int, resident: int, files: int) -> Result:
    """One format for all projections, another for embedding and head."""
    from tzcore.quant.allocation import stored_bytes
    from tzcore.trits import format_named

    ends, routers = {spec.embedding.name, spec.head.name}, {ref.name for ref in spec.routers()}
    counts: dict[str, int] = {}
    formats: dict[str, str] = {}
    stored = projections = weights = 0
    for name, (rows, cols) in spec.matrices().items():
        if name in routers:
            continue  # part of what is resident anyway
        fmt = settings.head_format if name in ends else settings.format
        size = stored_bytes(rows, cols, fmt, settings.group_for(format_named(fmt), cols))
        counts[fmt] = counts.get(fmt, 0) + 1
        formats[name] = fmt
        stored += size
        if name not in ends:
            projections, weights = projections + size, weights + rows * cols
    total = stored + resident
    return Result(total, total + files, 8 * (projections + signs) / weights, counts, formats)


def estimated(parameters: int | None, settings: Settings, budget: Budget | None) -> Result:
    """What would come out of so many weights in unknown shapes."""
    from tzcore import trits

    if budget is not None and budget.flag in ("size", "vram"):
        whole = int(budget.value) if budget.flag == "size" else None
        return Result(whole, whole, note="whether that can be had is known when config.json is here")
    if not parameters or (budget is not None and budget.flag == "quality"):
        return Result(None, None)

    def bits(name: str) -> float:
        fmt, wide = trits.format_named(name), 8192
        scales = 0.0 if fmt.packing == "half" else 16 / settings.group
        return 8 * trits.tile_bytes(fmt, wide) / (trits.LANES * wide) + scales

    each = budget.value if budget is not None else bits(settings.format)
    tables = _usual_tables(parameters)
    total = int(((parameters - tables) * each + tables * bits(settings.head_format)) / 8)
    return Result(total, total, each)


def _usual_tables(parameters: int) -> int:
    """Weights of embedding and head where the shape is not known: they grow with the model's width.

    (SmolLM2 135M has 0.03, Llama 3.2 1B 0.26, Llama 3.1 8B 1.05, Llama 3.3 70B 2.1 · 10⁹.)
    """
    return round(min(parameters / 4, 4e8 * (parameters / 1e9) ** 0.5))
