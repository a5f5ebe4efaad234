"""The part of ``tz plan`` about an NVIDIA card: what a model takes there, and the longest contexts."""

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


def described(spec: ModelSpec, made: DevicePlan) -> dict[str, Any]:
    """The plan as ``tz plan --json`` prints it under ``card``."""
    from tzcore.backend.cuda.plan import RUNS, longest_contexts

    memory = made.memory
    return {
        "name": memory.place,
        "budget_bytes": memory.budget,
        "items": dict(memory.items),
        "total_bytes": memory.total,
        "reserve_bytes": memory.reserve,
        "host_bytes": made.host,
        "context": made.context,
        "longest_context": made.longest_context,
        "model_context": spec.max_context,
        "fits": made.fits,
        "contexts": [
            {"bits": bits, "tokens": tokens, "runs": bits in RUNS} for bits, tokens in longest_contexts(spec, memory)
        ],
    }


def words(card: dict[str, Any]) -> list[str]:
    """The same for a person."""
    items = {**card["items"], "driver and kernels": card["reserve_bytes"]}
    remarks = {
        "keys and values": f"{card['context']:,} tokens in half precision",
        "driver and kernels": "kept free for them",
    }
    needed = card["total_bytes"] + card["reserve_bytes"]
    fits = "it fits on" if card["fits"] else "it does not fit on"
    lines = [f"card       {fits} {card['name']}: {human_bytes(needed)} of {human_bytes(card['budget_bytes'])}"]
    lines += [f"  {name:<18} {human_bytes(size):>9}   {remarks.get(name, '')}".rstrip() for name, size in items.items()]
    lines.append(f"           the embedding takes {human_bytes(card['host_bytes'])} of main memory besides")
    lines.append("contexts   that would fit there, by the bits of a key's or value's number")
    for row in card["contexts"]:
        mark = "" if row["runs"] else "   in a later version"
        lines.append(f"  {row['bits']:<18g} {row['tokens']:>9,} tokens{mark}")
    if max(row["tokens"] for row in card["contexts"]) > card["model_context"]:
        lines.append(f"           the model was made for at most {card['model_context']:,}")
    return lines
