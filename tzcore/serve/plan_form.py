"""The answer of ``GET /v1/plan?model=ID[&context=N]``: what a context costs, in bytes.

``{"model", "context", "max_context", "weights_bytes", "workspace_bytes", "free", "reserve", "card", "auto",
"formats": [{"kv", "bits", "kv_bytes", "bytes_per_token", "total_bytes", "fits", "longest_context"}]}``: ``free`` is
what the model may take, and of it ``reserve`` stays for the system; ``card`` is ``""`` for main memory; ``auto``
names the format that is taken when none is asked for; ``bits`` are those of one number on average, without scales;
``longest_context`` is 0 where the model does not fit at all.
"""

from __future__ import annotations

from typing import Any

from tzcore.engine.costs import Costs
from tzcore.engine.plan import MemoryPlan
from tzcore.keyvalues import KeyValueFormat


def form(model: str, costs: Costs) -> dict[str, Any]:
    """The body for ``model``."""
    made = costs.plans[0][1]
    return {
        "model": model,
        "context": costs.context,
        "max_context": costs.max_context,
        "weights_bytes": made.weights,
        "workspace_bytes": made.workspace,
        "free": made.available,
        "reserve": made.reserve,
        "card": made.card,
        "auto": costs.automatic.name,
        "formats": [_format(stored, plan) for stored, plan in costs.plans],
    }


def _format(stored: KeyValueFormat, made: MemoryPlan) -> dict[str, Any]:
    return {
        "kv": stored.name,
        "bits": (stored.key_bits + stored.value_bits) / 2,
        "kv_bytes": made.kv,
        "bytes_per_token": round(made.kv / made.context),
        "total_bytes": made.total,
        "fits": made.fits,
        "longest_context": made.largest_context,
    }
