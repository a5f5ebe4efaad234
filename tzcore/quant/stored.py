"""How a conversion stores every matrix of a model, before there is one."""

from __future__ import annotations

from collections.abc import Mapping

from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.quant.rotation import block_for
from tzcore.quant.settings import Settings
from tzcore.trits import format_named


def stored_as(spec: ModelSpec, formats: Mapping[str, str], settings: Settings) -> dict[str, MatrixEntry]:
    """From the format of each matrix; what is not among ``formats`` (routers) is halves."""
    turned: dict[str, Transform] = {}
    for layer in spec.layers if settings.rotates else ():
        owners = layer.transforms()
        for stage in layer.stages():
            if (block := block_for(stage[0].cols)) >= 2:
                turned |= {ref.name: Transform(block, f"{owners[stage[0].name]}.signs") for ref in stage}
    entries = {}
    for name, (rows, cols) in spec.matrices().items():
        fmt = format_named(formats.get(name, "f16"))
        entries[name] = MatrixEntry(name, rows, cols, fmt, settings.group_for(fmt, cols), turned.get(name))
    return entries
