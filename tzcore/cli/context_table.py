"""What contexts of several lengths take in each format of keys and values, for ``tz plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tzcore.cli.console import human_bytes

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.hardware import Memory

LENGTHS = tuple(k << 10 for k in (4, 8, 16, 32, 64, 128))
"""Tokens; the model's maximum and what is asked for come besides."""


def rows(weights: int, spec: ModelSpec, wanted: int | None, memory: Memory | None = None) -> list[dict[str, Any]]:
    """A row a length up to the model's maximum, and one for ``wanted``: ``{"tokens", "formats"}``, where each
    format has ``kv_bytes``, ``total_bytes`` and whether it ``fits`` into ``memory`` (default: what is free here)."""
    from tzcore import hardware
    from tzcore.engine.plan import context_costs

    memory = memory or hardware.memory()
    lengths = {length for length in LENGTHS if length < spec.max_context} | {spec.max_context, wanted or 1} - {1}
    return [
        {
            "tokens": length,
            "formats": {
                made.stored.name: {"kv_bytes": made.kv, "total_bytes": made.total, "fits": made.fits}
                for made in context_costs(weights, spec, length, memory)
            },
        }
        for length in sorted(lengths)
    ]


def words(table: list[dict[str, Any]], longest: int) -> list[str]:
    """The same for a person; ``longest`` is what the model was made for."""
    if not table:
        return []
    names = list(table[0]["formats"])
    lines = [
        "contexts   bytes of keys and values by their format (--kv), ✓ where all fits into what is free",
        f"  {'tokens':>9}   {' '.join(f'{name:>11}' for name in names)}",
    ]
    for row in table:
        cells = [f"{human_bytes(one['kv_bytes']):>9} {'✓' if one['fits'] else '–'}" for one in row["formats"].values()]
        beyond = "   more than the model was made for" if row["tokens"] > longest else ""
        lines.append(f"  {row['tokens']:>9,}   {' '.join(cells)}{beyond}")
    return lines
