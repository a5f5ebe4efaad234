"""What ``tz plan`` and ``tz show`` say of the starter: made by their own code, with times of a machine of our own."""

from __future__ import annotations

from functools import cache
from typing import Any

from tzcore.cli import plan, plan_options, speed
from tzcore.hub import catalogue
from tzcore.hub.reference import Kind
from tzcore.hub.sources import SourceInfo
from tzcore.keyvalues import FORMATS

MACHINE = speed.Machine(30e9, 700e9, 1.0, 3)


@cache
def _starter() -> tuple[SourceInfo, Any]:
    listed = catalogue.find("starter")
    assert listed is not None
    info = SourceInfo(
        "org/model", Kind.HUB, None, "llama", True, listed.parameters, 200_000_000, "apache-2.0", False,
        config=listed.config,
        weights=tuple((f"model-0000{number}.safetensors", 26_900_000) for number in range(10)),
    )  # fmt: skip
    return info, plan.shape_of(listed.config or {})


def planned(final: bool = True, **machine: Any) -> dict[str, Any]:
    """The JSON of ``tz plan --options``; ``machine`` replaces what this machine is."""
    info, spec = _starter()
    found, _ = plan_options.table(info, spec, [])
    rows = found["options"]
    points = found["context_points"]
    if final:
        rows = [
            {
                **row,
                "conversion_seconds": 312.0,
                "token_seconds": speed.token_seconds(row["bytes_per_token"], spec, MACHINE),
                "first_token_seconds": speed.prompt_seconds(row["bytes_per_token"], spec, MACHINE),
            }
            for row in rows
        ]
        points = [
            {
                **point,
                "token_seconds": {
                    name: speed.context_seconds(point["tokens"], spec, stored, MACHINE)
                    for name, stored in FORMATS.items()
                },
            }
            for point in points
        ]
    here = {
        **found["machine"], "memory_total": 16 << 30, "memory_available": 10 << 30, "other_programs_bytes": 6 << 30,
        "reserve_bytes": 800 << 20, "excess_bytes": None, "conversion_device": "the CPU", "answers": 3, **machine,
    }  # fmt: skip
    return {
        "event": "done" if final else "plan", "id": info.id, "family": "llama", "supported": True,
        "licence": "apache-2.0", "gated": False, "parameters": info.parameters, "download_bytes": info.download_bytes,
        "source_bytes": info.total_bytes, "native": False, "model_context": 8192, "installed_models": [],
        "options": rows, "context_points": points, "machine": here,
    }  # fmt: skip


def shown(**more: Any) -> dict[str, Any]:
    """The JSON of ``tz show``."""
    return {
        "event": "done", "id": "org/model", "kind": "hub", "address": "https://huggingface.co/org/model",
        "revision": "a" * 40, "family": "llama", "supported": True, "why": "", "parameters": 134_515_008,
        "licence": "apache-2.0", "gated": False, "access": None, "native": False, "context": 8192, "downloads": 1234,
        "likes": 5, "download_bytes": 269_000_000, "card": "# A model\n\nIt answers.", "card_note": "",
        "files": [
            {"name": "model.safetensors", "bytes": 269_000_000, "needed": True},
            {"name": "pytorch_model.bin", "bytes": 269_000_000, "needed": False},
        ],
        **more,
    }  # fmt: skip
