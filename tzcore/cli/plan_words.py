"""A plan for a person: lines of text, and a bar of what fills the memory."""

from __future__ import annotations

from typing import Any

from tzcore.cli import card_plan, context_table, plan_outlook
from tzcore.cli.console import human_bytes, human_count, human_time

_WIDTH = 48
_SHADES = {"weights": "█", "context": "▓", "workspace": "▒", "kept free": "·"}


def words(plan: dict[str, Any]) -> str:
    """The plan as lines of text."""
    lines = [_model(plan)]
    if plan["installed"]:
        lines.append(f"installed  {human_bytes(plan['result_bytes'])}{_bits(plan)}")
    else:
        lines += _making(plan)
    if plan["memory_bytes"] is not None:
        lines += _memory(plan)
    if plan["card"] is not None:
        lines += card_plan.words(plan["card"])
    lines += plan_outlook.words(plan)
    if plan["fits"] is not None:
        lines.append(f"fits       {'yes' if plan['fits'] else 'no'}")
    return "\n".join(lines)


def _model(plan: dict[str, Any]) -> str:
    supported = "" if plan["supported"] else " (not supported)"
    gated = " (gated: accept its licence on the hub first)" if plan["gated"] else ""
    count = human_count(plan["parameters"]) if plan["parameters"] else "?"
    family = plan["family"] or "family not known"
    return f"model      {plan['id']}: {family}{supported}, {count} parameters, licence {plan['licence']}{gated}"


def _size(count: int | None, about: str = "about ") -> str:
    return "not known" if count is None else about + human_bytes(count)


def _bits(plan: dict[str, Any]) -> str:
    return (
        "" if plan["bits_per_weight"] is None else f", {plan['bits_per_weight']:.2f} bits a weight in the projections"
    )


def _making(plan: dict[str, Any]) -> list[str]:
    if plan["result_between"]:
        least, most = plan["result_between"]
        result = f"between {human_bytes(least)} and {human_bytes(most)}"
    else:
        result = _size(plan["result_bytes"])
    lines = [
        f"to fetch   {_size(plan['download_bytes'], '')}",
        f"result     {result} as {plan['encoding']}{_bits(plan)}",
    ]
    if plan["peak_disk_bytes"] is not None:
        lines.append(f"disk       about {human_bytes(plan['peak_disk_bytes'])} at most at once")
    if plan["note"]:
        lines.append(f"note       {plan['note']}")
    if plan["conversion_seconds"] is not None:
        took = human_time(plan["conversion_seconds"])
        time = f"roughly {took} to convert on {plan['conversion_device']}, by a probe of this machine"
    else:
        time = "of the conversion not known" if plan["parameters"] is None else _unknown_time()
    return [*lines, f"time       {time}"]


def _unknown_time() -> str:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return 'of the conversion not known: that needs torch (pip install "ternary-zero[convert]")'
    return "of the conversion not known"


def _memory(plan: dict[str, Any]) -> list[str]:
    parts = {
        "weights": plan["weights_bytes"],
        "context": plan["kv_bytes"],
        "workspace": plan["workspace_bytes"],
        "kept free": plan["reserve_bytes"],
    }
    about, longest = "" if plan["exact"] else "about ", plan["longest_context"]
    items = [f"{_SHADES[name]} {name} {human_bytes(count)}" for name, count in parts.items()]
    items[1] = f"{_SHADES['context']} {plan['context']:,} tokens of context {human_bytes(plan['kv_bytes'])}"
    lines = [
        f"memory     {about}{human_bytes(plan['memory_bytes'])} of {human_bytes(plan['free_memory'])} that are free",
        f"           |{bar(parts, plan['free_memory'])}|",
        f"           {', '.join(items)}",
        f"context    {f'{about}{longest:,} tokens would fit' if longest else 'none would fit beside the weights'}",
    ]
    if plan["kv_reason"]:
        lines.append(f"           {plan['kv_reason']}")
    if plan["notice"]:
        lines.append(f"           {plan['notice']}")
    return lines + context_table.words(plan["contexts"], plan["model_context"])


def bar(parts: dict[str, int], total: int, width: int = _WIDTH) -> str:
    """The parts' shares of ``total``, largest remainders rounded up; what is over it is marked by ``!``."""
    scale = width / max(1, total)
    text, reached = "", 0.0
    for name, count in parts.items():
        reached += count * scale
        text += _SHADES[name] * (round(reached) - len(text))
    if len(text) > width:
        return text[: width - 1] + "!"
    return text.ljust(width)
