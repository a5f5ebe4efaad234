"""A model on an NVIDIA card, for ``tz plan`` and for ``--vram``: what it takes there, the longest contexts, and
what is left for weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tzcore.cli.console import human_bytes

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.backend.cuda.plan import DevicePlan

GIVEN = "a card of that size"


def this_machines() -> tuple[int, str] | None:
    """Bytes that a model may take of this machine's roomiest card, and the card's name; None without any."""
    from tzcore.backend.cuda.backend import check_installed
    from tzcore.backend.cuda.cards import places
    from tzcore.errors import BackendError, MissingExtraError

    try:
        check_installed()
        place = places()[0]
    except (BackendError, MissingExtraError):
        return None
    return place.budget, place.card.name


def room(memory: int, context: int | None, spec: ModelSpec) -> int:
    """Bytes that the weights may take in a model folder that is to run in ``memory`` bytes of a card.

    Beside them are ``context`` tokens (``None``: what a chat gets when none is asked for), the workspace and
    what the driver takes.  Whatever formats are chosen within that, the plan on the card fits: rows are
    padded there, and the embedding, which stays in main memory, is counted with the smallest format.
    """
    from tzcore.backend.cuda.plan import CONTEXT, WORKSPACE
    from tzcore.engine.plan import DEFAULT_CONTEXT, plan_on_card
    from tzcore.quant.allocation import END_MENU, BudgetError, stored_bytes
    from tzcore.quant.settings import Settings
    from tzcore.quant.stored import stored_as

    tokens = min(DEFAULT_CONTEXT, spec.max_context) if context is None else context
    routers = {ref.name for ref in spec.routers()}
    anything = {name: END_MENU[0] for name in spec.matrices() if name not in routers}
    need = plan_on_card(spec, stored_as(spec, anything, Settings()), tokens, memory, GIVEN).memory
    left = memory - need.reserve - need.size(CONTEXT) - need.size(WORKSPACE)
    if left <= 0:
        raise BudgetError(
            f"{human_bytes(memory)} leave no room for weights: {tokens:,} tokens of context take "
            f"{human_bytes(need.size(CONTEXT))}, the workspace {human_bytes(need.size(WORKSPACE))}, and "
            f"{human_bytes(need.reserve)} are kept for the driver and the kernels"
        )
    rows, cols = spec.embedding.rows, spec.embedding.cols
    beside = 0 if spec.tied else min(stored_bytes(rows, cols, fmt, 128) for fmt in END_MENU)
    return int(left / _growth(spec)) + beside


def _growth(spec: ModelSpec) -> float:
    """Bytes on a card over bytes in a folder, of the matrix and the format where that is most."""
    from tzcore.backend.cuda.layout import device_bytes
    from tzcore.quant.allocation import MENU, stored_bytes
    from tzcore.quant.settings import Settings
    from tzcore.trits import format_named

    most, settings = 1.0, Settings()
    for rows, cols in set(spec.matrices().values()):
        for name in MENU:
            group = settings.group_for(format_named(name), cols)
            stored = stored_bytes(rows, cols, name, group)
            most = max(most, device_bytes(format_named(name), rows, cols, group) / stored)
    return most


def described(spec: ModelSpec, made: DevicePlan) -> dict[str, Any]:
    """The plan as ``tz plan --json`` prints it under ``card``."""
    from tzcore.backend.cuda.plan import longest_contexts

    memory = made.memory
    return {
        "name": memory.place,
        "budget_bytes": memory.budget,
        "items": dict(memory.items),
        "total_bytes": memory.total,
        "reserve_bytes": memory.reserve,
        "host_bytes": made.host,
        "context": made.context,
        "kv": made.kv.name,
        "longest_context": made.longest_context,
        "model_context": spec.max_context,
        "fits": made.fits,
        "contexts": [
            {"kv": kv.name, "bits": kv.bits(spec.head_dim), "tokens": tokens}
            for kv, tokens in longest_contexts(spec, memory, made.chunk)
        ],
    }


def words(card: dict[str, Any]) -> list[str]:
    """The same for a person."""
    items = {**card["items"], "driver and kernels": card["reserve_bytes"]}
    remarks = {
        "keys and values": f"{card['context']:,} tokens as {card['kv']}",
        "driver and kernels": "kept free for them",
    }
    needed = card["total_bytes"] + card["reserve_bytes"]
    fits = "it fits on" if card["fits"] else "it does not fit on"
    lines = [f"card       {fits} {card['name']}: {human_bytes(needed)} of {human_bytes(card['budget_bytes'])}"]
    lines += [f"  {name:<18} {human_bytes(size):>9}   {remarks.get(name, '')}".rstrip() for name, size in items.items()]
    lines.append(f"           the embedding takes {human_bytes(card['host_bytes'])} of main memory besides")
    lines.append("contexts   that would fit there, by how keys and values are stored (--kv)")
    for row in card["contexts"]:
        lines.append(f"  {row['kv']:<18} {row['tokens']:>9,} tokens   {row['bits']:.4g} bits a number")
    if max(row["tokens"] for row in card["contexts"]) > card["model_context"]:
        lines.append(f"           the model was made for at most {card['model_context']:,}")
    return lines
