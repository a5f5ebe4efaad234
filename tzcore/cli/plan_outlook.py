"""What a plan says of speed, quality and of who has the memory: keys of ``tz plan --json`` that are estimates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tzcore.cli import experience, speed
from tzcore.cli.console import human_bytes

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.checkpoint.schema import MatrixEntry

UNKNOWN: dict[str, Any] = {
    "tokens_per_second": None, "first_token_seconds": None, "measured_tokens_per_second": None,
    "measured_excess_bytes": None, "expected_kl": None, "quality": None, "other_programs_bytes": None,
    "memory_items": [],
}  # fmt: skip
"""Every key, of a model of which nothing is known."""


def of_memory(known: Mapping[str, Any]) -> dict[str, Any]:
    """The items of main memory, with what other programs hold; ``known`` is the plan so far."""
    from tzcore import hardware

    memory = hardware.memory()
    others = max(0, memory.total - memory.available)
    items = []
    if known.get("memory_bytes") is not None:
        names = ("weights", "kv", "workspace", "reserve")
        items = [{"name": name, "bytes": known[f"{name}_bytes"]} for name in names]
    return {"other_programs_bytes": others, "memory_items": [*items, {"name": "other programs", "bytes": others}]}


def of_speed(spec: ModelSpec, stored: Mapping[str, MatrixEntry], kv: str) -> dict[str, Any]:
    """Tokens a second behind an empty context and seconds to the first of an answer to 512, on the processor."""
    from tzcore.keyvalues import FORMATS

    machine = speed.probe()
    if machine is None:
        return {}
    read = speed.weight_bytes(spec, stored)
    empty = speed.token_seconds(read, spec, machine) + speed.context_seconds(0, spec, FORMATS[kv], machine)
    return {"tokens_per_second": 1 / empty, "first_token_seconds": speed.prompt_seconds(read, spec, machine)}


def of_model(model_id: str) -> dict[str, Any]:
    """What was measured here of an installed model."""
    return {
        "measured_tokens_per_second": experience.usual_speed(model_id),
        "measured_excess_bytes": experience.excess(model_id),
    }


def of_quality(bits: float | None, parameters: int | None, source: str, option: str | None) -> dict[str, Any]:
    """The divergence from the original that is to be expected."""
    from tzcore.quant import expected

    found = expected.measured_for(source, option) if option else None
    if found is None and bits is not None and parameters:
        found = expected.expected(bits, parameters)
    return {} if found is None else {"expected_kl": found.kl, "quality": found.as_json()}


def words(plan: Mapping[str, Any]) -> list[str]:
    """The same for a person."""
    lines = []
    if plan["tokens_per_second"] is not None:
        measured = plan["measured_tokens_per_second"]
        here = f"; {measured:.0f} measured here" if measured else ""
        first = f"first word after {plan['first_token_seconds']:.1f} s behind {speed.PROMPT} tokens"
        lines.append(f"speed      about {plan['tokens_per_second']:.3g} tokens/s on the processor, {first}{here}")
    if (quality := plan["quality"]) is not None:
        between = "measured" if quality["measured"] else f"expected, {quality['low']:.2g} to {quality['high']:.2g}"
        lines.append(f"quality    divergence {quality['kl']:.2g} nats a token from the original ({between})")
    if plan["other_programs_bytes"]:
        lines.append(f"others     {human_bytes(plan['other_programs_bytes'])} of memory are held by other programs")
    return lines
