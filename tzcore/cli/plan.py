"""``tz plan SOURCE``: what a model would cost and whether it would fit, before anything is fetched.

Exact for an installed model, whose folder says everything.  For another it comes from metadata: the
shape in ``config.json`` gives every matrix and so its bytes; where not even that can be had
without the weights, the number of parameters gives an estimate.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tzcore.cli import budget_arguments, card_plan, context_arguments, context_table, plan_outlook
from tzcore.cli.budget_arguments import Budget
from tzcore.cli.console import Console
from tzcore.cli.plan_result import Result, estimated, result_of
from tzcore.cli.plan_words import words

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.backend.cuda.plan import DevicePlan
    from tzcore.checkpoint.schema import MatrixEntry
    from tzcore.engine.kv_choice import KvChoice
    from tzcore.engine.plan import MemoryPlan
    from tzcore.hardware import Memory
    from tzcore.hub.library import InstalledModel
    from tzcore.hub.sources import SourceInfo
    from tzcore.keyvalues import KeyValueFormat
    from tzcore.quant.settings import Settings

DEFAULT_ENCODING = "t2"


@dataclass(frozen=True)
class Wish:
    """What would be made of the source: a budget, or an encoding; the context, the format of its keys and
    values, and the memory of a card in bytes, to plan for."""

    budget: Budget | None = None
    encoding: str | None = None
    packing: str | None = None
    context: int | None = None
    vram: int | None = None
    kv: str = "auto"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("source", metavar="SOURCE", help="an installed model, or any source")
    budget_arguments.declare(parser, context_alone=True)
    context_arguments.declare_kv(parser)
    parser.add_argument("--options", action="store_true", help="all that could be made of it, from small to good")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the plan."""
    from tzcore.hub import library, reference, sources

    vram = args.vram[0] if args.vram is not None else None
    wish = Wish(budget_arguments.chosen(args), args.encoding, args.packing, args.context, vram, args.kv)
    installed = library.resolve(args.source)
    if args.options:
        text = installed.source if installed is not None else args.source
        return _all_options(sources.describe(reference.parse(text)), wish, console)
    if installed is not None and wish.budget is None and wish.encoding is None:
        result = of_installed(installed, wish.context, wish.kv)
    else:  # an installed model's original can be converted again, in another way
        text = installed.source if installed is not None else args.source
        result = of_source(sources.describe(reference.parse(text)), wish)
    console.done(words(result), **result)
    return 0


def _all_options(info: SourceInfo, wish: Wish, console: Console) -> int:
    """The plan with everything that could be made of the source."""
    from tzcore.cli import plan_options

    spec = shape_of(info.config) if info.config else None
    result = plan_options.report(info, of_source(info, wish, probed=False), spec, console)
    console.done("\n".join([words(result), plan_options.words(result)]), **result)
    return 0


# --- installed ----------------------------------------------------------------------------------


def of_installed(model: InstalledModel, context: int | None = None, kv: str = "auto") -> dict[str, Any]:
    """The plan of a model that is here: nothing to fetch, exact memory."""
    from tzcore.architecture.registry import spec_of
    from tzcore.checkpoint.reader import ModelFolder
    from tzcore.quant.settings import parameters

    folder = ModelFolder.open(model.path)
    try:
        spec = spec_of(folder)
        known = _in_main_memory(folder.bytes(), spec, context, kv)
        outlook = {**plan_outlook.UNKNOWN, **plan_outlook.of_memory(known), **plan_outlook.of_model(model.id)}
        return {
            "id": model.id,
            "installed": True,
            "exact": True,
            "family": spec.family,
            "supported": True,
            "licence": model.licence,
            "gated": False,
            "parameters": parameters(spec),
            "download_bytes": 0,
            "result_bytes": model.bytes,
            "bits_per_weight": model.bits_per_weight,
            "peak_disk_bytes": 0,
            "conversion_seconds": 0,
            **known,
            **outlook,
            **plan_outlook.of_speed(spec, folder.quantization.matrices, known["kv"]),
            "card": _on_this_card(spec, folder.quantization.matrices, context, kv),
        }
    finally:
        folder.close()


def _on_this_card(
    spec: ModelSpec, matrices: Mapping[str, MatrixEntry] | None, context: int | None, kv: str
) -> dict[str, Any] | None:
    """What it would take of this machine's card; ``None`` without one, or for what no kernel runs."""
    from tzcore.errors import BackendError

    here = card_plan.this_machines() if matrices is not None else None
    if here is None or matrices is None:
        return None
    try:
        return card_plan.described(spec, _for_card(spec, matrices, context, kv, *here).plan)
    except BackendError:
        return None


def _for_card(
    spec: ModelSpec, matrices: Mapping[str, MatrixEntry], context: int | None, kv: str, budget: int, card: str
) -> KvChoice[DevicePlan]:
    from tzcore.engine.kv_choice import choose_kv
    from tzcore.engine.plan import plan_on_card

    def made(tokens: int | None, stored: KeyValueFormat) -> DevicePlan:
        return plan_on_card(spec, matrices, tokens, budget, card, stored)

    return choose_kv(kv, spec, context, made)


def _in_main_memory(
    weights: int, spec: ModelSpec, context: int | None, kv: str, memory: Memory | None = None
) -> dict[str, Any]:
    from tzcore import hardware
    from tzcore.engine.kv_choice import choose_kv
    from tzcore.engine.plan import plan

    free = memory or hardware.memory()
    chosen = choose_kv(kv, spec, context, lambda tokens, stored: plan(weights, spec, tokens, free, kv=stored))
    made = chosen.plan
    table = context_table.rows(weights, spec, context, free)
    return {**_memory(made, spec, chosen.reason), "contexts": table}


def _memory(plan: MemoryPlan, spec: ModelSpec, reason: str) -> dict[str, Any]:
    from tzcore.engine.reach import beyond

    return {
        "kv": plan.stored.name,
        "kv_reason": reason,
        "notice": beyond(spec, plan.context),
        "model_context": spec.max_context,
        "contexts": [],
        "memory_bytes": plan.total,
        "weights_bytes": plan.weights,
        "kv_bytes": plan.kv,
        "workspace_bytes": plan.workspace,
        "reserve_bytes": plan.reserve,
        "context": plan.context,
        "longest_context": plan.largest_context,
        "fits": plan.fits,
        "free_memory": plan.available,
    }


# --- to be made ---------------------------------------------------------------------------------


def of_source(info: SourceInfo, wish: Wish, probed: bool = True) -> dict[str, Any]:
    """The plan of a source: what is not known is ``None``.  Without ``probed`` no time is measured.

    BudgetError where the budget cannot be kept.
    """
    from tzcore import hardware
    from tzcore.engine.plan import MemoryPlan
    from tzcore.quant.stored import stored_as

    memory = hardware.memory() if wish.vram is None else hardware.Memory(wish.vram, wish.vram)
    spec = shape_of(info.config) if info.config else None
    native = info.ternary and wish.budget is None and wish.encoding is None
    settings = own_settings(wish) if native else settings_for(spec, wish)
    made = result_of(spec, settings) if spec is not None else estimated(info.parameters, settings, wish.budget)
    fetch = info.download_bytes
    scratch = scratch_bytes(spec, settings) if spec is not None and settings.calibrates else 0
    seconds, device = _forecast(info, spec, settings, made) if probed else (None, None)
    known: dict[str, Any] = dict.fromkeys(
        ("memory_bytes", "weights_bytes", "kv_bytes", "workspace_bytes", "context", "longest_context", "fits")
    )
    known |= dict.fromkeys(("kv", "kv_reason", "notice", "model_context")) | {"contexts": []}
    known |= {"reserve_bytes": min(1 << 30, memory.total // 20), "free_memory": memory.available, "card": None}
    known |= plan_outlook.UNKNOWN
    if spec is not None and made.weights is not None:
        known |= _in_main_memory(made.weights, spec, wish.context, wish.kv, memory)
        stored = None if made.stored is None else stored_as(spec, made.stored, settings)
        if wish.vram is None:
            known["card"] = _on_this_card(spec, stored, wish.context, wish.kv)
        elif stored is not None:
            chosen = _for_card(spec, stored, wish.context, wish.kv, wish.vram, card_plan.GIVEN)
            on_card = MemoryPlan.of_card(chosen.plan, chosen.kv)
            known |= {**_memory(on_card, spec, chosen.reason), "card": card_plan.described(spec, chosen.plan)}
        if stored is not None and probed:
            known |= plan_outlook.of_speed(spec, stored, known["kv"])
    elif made.weights is not None:
        known["fits"] = made.weights < memory.available - known["reserve_bytes"]
    known |= plan_outlook.of_memory(known)
    if not native:
        option = wish.budget.word if wish.budget else settings.encoding
        known |= plan_outlook.of_quality(made.bits, info.parameters, info.id, option)
    return {
        "id": info.id,
        "installed": False,
        "exact": False,
        "family": info.family,
        "supported": info.supported,
        "licence": info.licence,
        "gated": info.gated,
        "parameters": info.parameters,
        "download_bytes": fetch,
        "encoding": wish.budget.word if wish.budget else settings.encoding,
        "budget": wish.budget.flag if wish.budget else None,
        "result_bytes": made.folder,
        "result_between": made.between,
        "bits_per_weight": made.bits,
        "formats": made.formats,
        "note": "natively ternary: its own codes and scales are taken over" if native else made.note,
        "peak_disk_bytes": None if made.folder is None or fetch is None else fetch + made.folder + scratch,
        "conversion_seconds": seconds,
        "conversion_device": device,
        **known,
    }


class _EveryName(frozenset[str]):
    """The tensor names of a checkpoint of which only ``config.json`` is here: whatever the family asks for."""

    def __contains__(self, name: object) -> bool:
        return True


def shape_of(config: dict[str, Any]) -> ModelSpec | None:
    """The model that ``config.json`` describes, without a look at its tensors; ``None`` if it is not supported."""
    from tzcore.architecture.registry import read_spec
    from tzcore.errors import SourceError, UnsupportedModelError

    try:
        return read_spec(config, _EveryName())
    except (SourceError, UnsupportedModelError):
        return None


def settings_for(spec: ModelSpec | None, wish: Wish) -> Settings:
    """How a conversion that was asked for so is made."""
    from tzcore.quant.settings import Settings, format_for

    if spec is not None:
        settings = Settings.default_for(spec, wish.encoding, wish.packing).with_window(spec.max_context)
        return replace(settings, request=wish.budget.request(spec)) if wish.budget else settings
    chosen = format_for(wish.encoding or DEFAULT_ENCODING, wish.packing)
    return Settings(format=chosen, head_format="f16" if chosen == "f16" else "i8")


def own_settings(wish: Wish) -> Settings:
    """How a natively ternary model is stored that is taken over as it is."""
    from tzcore.quant.settings import Settings, format_for

    chosen = format_for("t1", wish.packing)
    return Settings(format=chosen, head_format="f16", calibrated=False, rotate=False, tuned=False)


def scratch_bytes(spec: ModelSpec, settings: Settings) -> int:
    """The most that activations take on the disk while a model is converted, in float32.

    Calibration keeps the states before, in and behind a block and the inputs of its stages and of its
    MLP, of the original and of the quantised model (what is inside experts stays in memory); measuring
    for a budget keeps those between all blocks, of fewer tokens.
    """
    from tzcore.quant import sensitivity

    inner = max(layer.o.cols + (0 if layer.router else layer.experts[0].down.cols) for layer in spec.layers)
    kept = settings.tokens * 2 * (6 * spec.hidden + inner)
    if settings.request is not None:
        tokens = min(sensitivity.WINDOWS * settings.window, settings.tokens)
        kept = max(kept, (len(spec.layers) + 1) * tokens * spec.hidden)
    return 4 * kept


def _forecast(
    info: SourceInfo, spec: ModelSpec | None, settings: Settings, made: Result
) -> tuple[float | None, str | None]:
    """Conversion time by a probe of this machine, and the device it would take; ``None`` where it cannot be had."""
    from tzcore.errors import MissingExtraError
    from tzcore.quant import probe

    if not info.supported or (spec is None and not info.parameters):
        return None, None
    if counts := made.formats:  # of a mixture, the format that most matrices get
        settings = replace(settings, format=max(counts, key=lambda name: counts[name]))
    try:
        rates = probe.measure(spec.hidden if spec is not None else 1024, replace(settings, device="auto"))
    except MissingExtraError:
        return None, None
    if spec is not None:
        return probe.seconds(spec, settings, rates), rates.device
    return probe.seconds_by_size(info.parameters or 0, settings, rates), rates.device
