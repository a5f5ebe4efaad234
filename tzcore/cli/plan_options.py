"""Everything that could be made of a source, for a window with sliders: one row a choice of quality and size, one a
length of the context, so that every combination is an addition.

With ``tz plan SOURCE --options --json`` the table comes twice: at once, from metadata, as the event ``plan``, and,
when the machine has been probed, as ``done`` with times and speeds filled in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tzcore.cli import card_plan, experience, speed
from tzcore.cli.budget_arguments import Budget
from tzcore.cli.console import Console, human_bytes, human_time

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.checkpoint.schema import MatrixEntry
    from tzcore.cli.plan_result import Result
    from tzcore.hub.library import InstalledModel
    from tzcore.hub.sources import SourceInfo
    from tzcore.quant.expected import Expected
    from tzcore.quant.settings import Settings

CHOICES = ("t1", 2.0, 2.4, 2.7, "t2", "i4", "i8", "f16")
"""The points worth stopping at, from small to good: encodings, and bits a weight of mixed formats between them.
(``q2`` throughout is farther from the original than a mixture of the same size.)"""
LENGTHS = tuple(step << shift for shift in range(9, 21) for step in (2, 3))
"""Tokens of context: powers of two from 1,024 on and the middles between them."""
PROBE_SECONDS = 1.0
"""For each format's rate of conversion."""


class Option:
    """One choice: how it is asked for, and what would come out."""

    def __init__(self, key: str, settings: Settings, result: Result, budget: Budget | None, native: bool) -> None:
        self.key, self.settings, self.result, self.budget, self.native = key, settings, result, budget, native
        self.stored: Mapping[str, MatrixEntry] | None = None


def table(info: SourceInfo, spec: ModelSpec | None, made: list[InstalledModel]) -> tuple[dict[str, Any], list[Option]]:
    """The rows from metadata alone, and what they are about, to be handed to :func:`timed`."""
    options = list(_options(info, spec))
    rows = [_row(option, info, spec, made) for option in options]
    return {"options": rows, "context_points": _contexts(spec) if spec else [], "machine": _machine(spec)}, options


def timed(found: dict[str, Any], options: list[Option], info: SourceInfo, spec: ModelSpec | None) -> dict[str, Any]:
    """The same with what takes a probe of the machine: conversion times, and how fast each would answer."""
    seconds, device = _conversion_seconds(options, info, spec)
    machine = speed.probe() if spec is not None else None
    rows = []
    for row, option, took in zip(found["options"], options, seconds, strict=True):
        row = {**row, "conversion_seconds": took}
        if machine is not None and spec is not None and option.stored is not None:
            read = row["bytes_per_token"]
            row |= {
                "token_seconds": speed.token_seconds(read, spec, machine),
                "first_token_seconds": speed.prompt_seconds(read, spec, machine),
            }
        rows.append(row)
    points = found["context_points"]
    known = {**found["machine"], "conversion_device": device}
    if machine is not None and spec is not None:
        from tzcore.keyvalues import FORMATS

        points = [
            {
                **point,
                "token_seconds": {
                    name: speed.context_seconds(point["tokens"], spec, stored, machine)
                    for name, stored in FORMATS.items()
                },
            }
            for point in points
        ]
        known |= {
            "read_bandwidth": machine.bandwidth,
            "products_per_second": machine.products,
            "correction": machine.correction,
            "answers": machine.answers,
        }
    return {**found, "options": rows, "context_points": points, "machine": known}


def words(found: dict[str, Any]) -> str:
    """The rows for a person."""
    lines = ["choices    bits   on the disk   to convert   tokens/s   divergence from the original (nats a token)"]
    for row in found["options"]:
        took, token, quality = row["conversion_seconds"], row.get("token_seconds"), row["quality"]
        bits = "-" if row["bits_per_weight"] is None else f"{row['bits_per_weight']:.2f}"
        size = "?" if row["folder_bytes"] is None else human_bytes(row["folder_bytes"])
        time = "?" if took is None else human_time(took)
        pace = f"{1 / token:.0f}" if token else "?"
        lines.append(f"  {row['key']:<8} {bits:>5} {size:>13} {time:>12} {pace:>10}   {_quality_words(quality)}")
    return "\n".join(lines)


def _quality_words(quality: dict[str, Any] | None) -> str:
    if quality is None:
        return "its own weights" if quality is None else ""
    if quality["measured"]:
        return f"{quality['kl']:.3f} measured"
    return f"{quality['kl']:.3f} expected ({quality['low']:.3f} to {quality['high']:.3f})"


# --- rows -----------------------------------------------------------------------------------------


def _options(info: SourceInfo, spec: ModelSpec | None) -> Iterator[Option]:
    from tzcore.cli.plan import Wish, own_settings, settings_for
    from tzcore.cli.plan_result import estimated, result_of
    from tzcore.quant.allocation import BudgetError
    from tzcore.quant.stored import stored_as

    def made(key: str, settings: Settings, budget: Budget | None = None, native: bool = False) -> Option:
        result = result_of(spec, settings) if spec is not None else estimated(info.parameters, settings, budget)
        option = Option(key, settings, result, budget, native)
        if spec is not None and result.stored is not None:
            option.stored = stored_as(spec, result.stored, settings)
        return option

    if info.ternary:
        yield made("own", own_settings(Wish()), native=True)
        return
    for choice in CHOICES:
        if isinstance(choice, str):
            yield made(choice, settings_for(spec, Wish(encoding=choice)))
            continue
        budget = Budget("bits", choice, f"{choice:g}bpw")
        with suppress(BudgetError):  # so few bits cannot be had
            yield made(budget.word, settings_for(spec, Wish(budget)), budget)


def _row(option: Option, info: SourceInfo, spec: ModelSpec | None, made: list[InstalledModel]) -> dict[str, Any]:
    from tzcore.cli.plan import scratch_bytes
    from tzcore.hub import library

    result, settings = option.result, option.settings
    scratch = scratch_bytes(spec, settings) if spec is not None and settings.calibrates else 0
    fetch, folder = info.download_bytes, result.folder
    here = next((model for model in made if model.encoding == settings.encoding), None)
    quality = _quality(option, info, here)
    read = speed.weight_bytes(spec, option.stored) if spec is not None and option.stored is not None else None
    return {
        "key": option.key,
        "encoding": None if option.budget or option.native else settings.encoding,
        "bits": option.budget.value if option.budget else None,
        "native": option.native,
        "bits_per_weight": result.bits,
        "weights_bytes": result.weights,
        "folder_bytes": folder,
        "peak_disk_bytes": None if folder is None or fetch is None else fetch + folder + scratch,
        "discard_disk_bytes": _discarding(option, info, spec, scratch),
        "discard_passes": 4 if option.budget else 1,
        "bytes_per_token": read,
        "conversion_seconds": None,
        "quality": None if quality is None else quality.as_json(),
        "installed": here.id if here else "",
        "folder_name": library.folder_for(info.id, settings.encoding).name,
        "card": _on_card(spec, option.stored),
    }


def _discarding(option: Option, info: SourceInfo, spec: ModelSpec | None, scratch: int) -> int | None:
    """The most on the disk at once with ``--discard-source``: the result, two of the source's files, activations,
    and the embedding where it is the head too.  ``None`` where weights cannot come in parts."""
    from tzcore.hub.reference import Kind

    if info.kind is not Kind.HUB or option.native or option.result.folder is None or not info.download_bytes:
        return None
    largest = sum(size for _, size in info.weights[:2])
    tied = 2 * spec.embedding.rows * spec.embedding.cols if spec is not None and spec.tied else 0
    return option.result.folder + largest + scratch + tied if largest else None


def _quality(option: Option, info: SourceInfo, here: InstalledModel | None) -> Expected | None:
    """What was measured for this model, else what is to be expected; ``None`` for weights that are taken over."""
    from tzcore.quant import expected

    if option.native:
        return None
    if here is not None and (kl := _measured_kl(here)) is not None:
        return expected.known(kl)
    if (found := expected.measured_for(info.id, option.key)) is not None:
        return found
    bits = option.result.bits
    return expected.expected(bits, info.parameters) if bits is not None and info.parameters else None


def _measured_kl(model: InstalledModel) -> float | None:
    try:
        quality = json.loads((model.path / "receipt.json").read_bytes())["quality"]
        return float(quality["kl_mean"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _contexts(spec: ModelSpec) -> list[dict[str, Any]]:
    """What keys and values of each length take in each format."""
    from tzcore.backend.cpu_memory import memory_bytes
    from tzcore.keyvalues import FORMATS

    most = spec.max_context
    lengths = sorted({length for length in LENGTHS if length < most} | {most})
    return [
        {"tokens": length, "kv": {name: memory_bytes(spec, length, stored) for name, stored in FORMATS.items()}}
        for length in lengths
    ]


# --- the machine ----------------------------------------------------------------------------------


def _machine(spec: ModelSpec | None) -> dict[str, Any]:
    """Memory now: ``other_programs_bytes`` is what is taken of it, ``reserve_bytes`` what is left to the system."""
    from tzcore import hardware
    from tzcore.engine.plan import workspace_bytes

    memory = hardware.memory()
    return {
        "memory_total": memory.total,
        "memory_available": memory.available,
        "other_programs_bytes": max(0, memory.total - memory.available),
        "reserve_bytes": min(1 << 30, memory.total // 20),
        "workspace_bytes": workspace_bytes(spec) if spec is not None else None,
        "excess_bytes": experience.excess(),
        "card": _card(),
    }


def _card() -> dict[str, Any] | None:
    """This machine's roomiest card, and which programs hold memory of it; ``None`` without any."""
    here = card_plan.this_machines()
    if here is None:
        return None
    from tzcore.backend.cuda import facts

    budget, name = here
    card = next((card for card in facts.cards() if card.name == name), None)
    others = [] if card is None else [{"name": one.name, "bytes": one.bytes} for one in card.holders]
    return {"name": name, "budget_bytes": budget, "programs": others}


def _on_card(spec: ModelSpec | None, stored: Mapping[str, MatrixEntry] | None) -> dict[str, Any] | None:
    """What the choice takes of this machine's card at the usual context; ``None`` without one."""
    from tzcore.engine.plan import plan_on_card
    from tzcore.errors import BackendError

    here = card_plan.this_machines() if spec is not None and stored is not None else None
    if here is None or spec is None or stored is None:
        return None
    try:
        return card_plan.described(spec, plan_on_card(spec, stored, None, *here))
    except BackendError:
        return None


def _conversion_seconds(
    options: list[Option], info: SourceInfo, spec: ModelSpec | None
) -> tuple[list[float | None], str | None]:
    """Seconds of each conversion and where it would run, by a probe of this machine.

    Formats that are calibrated cost about the same, so that one of them is probed, with two trit planes; and the
    best rate of products counts for all, because what disturbs a probe only ever slows it down.
    """
    from tzcore.errors import MissingExtraError
    from tzcore.quant import probe

    if not info.supported or (spec is None and not info.parameters):
        return [None] * len(options), None
    rates: dict[str, probe.Rates] = {}
    kinds = ["t2b3" if option.settings.calibrates else option.settings.format for option in options]
    try:
        for option, kind in zip(options, kinds, strict=True):
            if kind not in rates:
                wide = spec.hidden if spec is not None else 1024
                rates[kind] = probe.measure(wide, replace(option.settings, format=kind, device="auto"), PROBE_SECONDS)
    except MissingExtraError:
        return [None] * len(options), None
    products = max(rate.operations for rate in rates.values())
    seconds: list[float | None] = []
    for option, kind in zip(options, kinds, strict=True):
        rate = replace(rates[kind], operations=products)
        if spec is not None:
            seconds.append(probe.seconds(spec, option.settings, rate))
        else:
            seconds.append(probe.seconds_by_size(info.parameters or 0, option.settings, rate))
    return seconds, next(iter(rates.values())).device if rates else None


def report(info: SourceInfo, plan: dict[str, Any], spec: ModelSpec | None, console: Console) -> dict[str, Any]:
    """``plan`` with the table: at once as an event, and whole as the result."""
    from tzcore.hub import library
    from tzcore.hub.reference import parse

    wanted = parse(info.id).canonical
    made = [model for model in library.installed() if model.source and _canonical(model.source) == wanted]
    found, options = table(info, spec, made)
    about = {
        **plan,
        "weights_files": [{"name": name, "bytes": size} for name, size in info.weights],
        "source_bytes": info.total_bytes,
        "native": info.ternary,
        "layers": len(spec.layers) if spec is not None else None,
        "installed_models": [
            {"id": model.id, "encoding": model.encoding, "bytes": model.bytes, "path": str(model.path)}
            for model in made
        ],
    }
    if console.json:
        console.event("plan", **about, **found)
    return {**about, **timed(found, options, info, spec)}


def _canonical(source: str) -> str:
    from tzcore.hub.reference import ALIASES

    return ALIASES.get(source.lower(), source)
