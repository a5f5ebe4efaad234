"""From what the user typed to an installed model folder: resolve, fetch, convert."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tzcore.cli.budget_arguments import Budget
from tzcore.cli.console import Console, human_bytes, human_count
from tzcore.errors import ConversionError

if TYPE_CHECKING:
    from tzcore.architecture.spec import ModelSpec
    from tzcore.checkpoint.source import WeightSource
    from tzcore.checkpoint.ternary import Scheme
    from tzcore.hub.sources import SourceInfo
    from tzcore.quant.device import Device
    from tzcore.quant.settings import Settings


@dataclass(frozen=True)
class Order:
    """What to make of a source; ``None`` leaves the choice to the converter's defaults.

    ``budget`` and ``encoding`` exclude each other.  ``out`` writes the folder there instead of among
    the installed models; ``name`` installs it under another name than the source's; ``device`` is where torch
    computes.  ``discard`` deletes what is fetched of the source as soon as it has been used.  ``samples`` lets the
    result and the original answer a few questions for the receipt.
    """

    encoding: str | None = None
    packing: str | None = None
    calibration: Path | None = None
    out: Path | None = None
    name: str | None = None
    budget: Budget | None = None
    tune: bool | None = None
    batch: int | None = None
    device: str = "auto"
    discard: bool = False
    samples: bool = False


def find_or_make(text: str, console: Console) -> Path:
    """The folder of the model ``text``: the installed one, or else fetched and converted now.

    Says what that will cost before it begins.
    """
    from tzcore.hub import library, reference, sources

    found = library.resolve(text)
    if found is not None:
        return found.path
    if _is_ternarised(Path(text)):
        return Path(text)  # its receipt is unusable; opening it says what is wrong
    info = sources.describe(reference.parse(text))
    console.note(f"{text} is not installed yet. Making it: {cost(info)}.")
    return make(text, Order(), console)


def _is_ternarised(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return bool(config["quantization_config"]["quant_method"] == "ternary_zero")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def cost(info: SourceInfo) -> str:
    """What fetching and converting a source takes, in words."""
    from tzcore.cli.plan import Wish, of_source

    plan = of_source(info, Wish())
    if info.download_bytes is None:
        fetch = "a download of unknown size"
    else:
        fetch = f"{human_bytes(info.download_bytes)} to fetch" if info.download_bytes else "nothing to fetch"
    if plan["result_bytes"] is None:
        return f"{fetch}, then converting it, licence {info.licence}"
    took = plan["conversion_seconds"]
    time = "an unknown time" if took is None else f"some {max(1, round(took / 60)):,} min"
    size = f"{human_bytes(plan['result_bytes'])} on the disk"
    return (
        f"{fetch}, {time} to convert {human_count(info.parameters or 0)} weights, then about {size}, "
        f"licence {info.licence}"
    )


def make(text: str, order: Order, console: Console) -> Path:
    """Fetch the source ``text`` as far as it is not here yet, convert it, and return the folder.

    What an interrupted run finished is taken over.  Anything wrong is a TernaryZeroError.
    """
    from tzcore.checkpoint.source import PassingSource
    from tzcore.hub import reference, sources
    from tzcore.quant.device import find

    if order.device != "auto":
        find(order.device)  # what is not there is said before anything is fetched
    source = sources.open_source(reference.parse(text), report=console.report, discard=order.discard)
    try:
        folder = _make(source, order, console)
        if order.samples:
            _sample(folder, source, console)
        if isinstance(source, PassingSource):
            source.dispose()
        return folder
    finally:
        source.close()


def _sample(folder: Path, source: WeightSource, console: Console) -> None:
    """Put sample answers into the receipt; a conversion is none the worse for a receipt without them."""
    from tzcore.checkpoint.reader import read_json
    from tzcore.cli import samples
    from tzcore.errors import StorageError

    try:
        limit = samples.patience(read_json(folder / "receipt.json"))
        found = samples.complete(folder, lambda: source, console.report, limit)
    except StorageError as error:
        console.note(f"Sample answers could not be kept: {error}")
        return
    if skipped := found.get("skipped"):
        console.note(skipped)


def _make(source: WeightSource, order: Order, console: Console) -> Path:
    from tzcore.architecture.registry import read_spec
    from tzcore.hub import library
    from tzcore.quant.convert import convert
    from tzcore.quant.device import find
    from tzcore.quant.native_import import recognise
    from tzcore.quant.settings import Settings

    if order.encoding is None and order.budget is None and (scheme := recognise(source)):
        return _import(source, scheme, order, console)
    spec = read_spec(source.config, set(source.names()))
    settings = Settings.default_for(spec, order.encoding, order.packing, order.calibration, order.tune)
    if order.batch is not None:
        settings = replace(settings, batch=order.batch)
    settings = settings.with_window(spec.max_context)
    if order.budget is not None:
        settings = replace(settings, request=order.budget.request(spec))
    name = order.name or source.id
    final = order.out or library.folder_for(name, settings.encoding)
    if final.exists():
        _check_same(final, source, spec, settings)
        console.note(f"{final} is there already, made with the same settings.")
        return final
    if order.discard:
        console.note(_passage(source, order.budget is not None))
    device = find(order.device)
    console.note(torch_computes(device))
    settings = replace(settings, device=device.name)
    identifier = library.installed_id(name, settings.encoding)
    return convert(source, final, settings, report=console.report, identifier=identifier)


def _passage(source: WeightSource, measured: bool) -> str:
    """How a source that is discarded will come, in words."""
    from tzcore.hub.passing import PassingRepository

    shards = source.shards if isinstance(source, PassingRepository) else []
    if not shards:
        return f"{source.id} is in the Hugging Face cache already, and stays there."
    size, largest = sum(file.size for file in shards), max(file.size for file in shards)
    words = (
        f"{source.id} ({human_bytes(size)}) is fetched in parts and not kept: about two at a time lie on the disk, "
        f"the largest being {human_bytes(largest)}."
    )
    if measured and len(shards) > 1:
        words += f" For the budget it is read four times, and so fetched: {human_bytes(4 * size)} of transfer."
    return words


def _import(source: WeightSource, scheme: Scheme, order: Order, console: Console) -> Path:
    """Take over the codes and scales of a natively ternary source."""
    from tzcore.checkpoint.source import PassingSource
    from tzcore.hub import library
    from tzcore.quant.native_import import ENCODING, import_native

    console.note(f"{source.id} is natively ternary ({scheme.form}): its own codes and scales are taken over.")
    if order.calibration is not None:
        console.note("Nothing is calibrated in that; to quantise the model anew name an --encoding.")
    if isinstance(source, PassingSource):  # norms are read last, so that all of it lies on the disk until then
        console.note("It is fetched whole, and deleted when that is done.")
        source.expect(list(source.names()))
    name = order.name or source.id
    final, identifier = order.out or library.folder_for(name, ENCODING), library.installed_id(name, ENCODING)
    return import_native(source, scheme, final, console.report, identifier, order.packing)


def torch_computes(device: Device) -> str:
    """Where, and why not on a card, in a line."""
    return f"torch computes on {device.words}{f': {device.why}' if device.why else ''}."


def _check_same(folder: Path, source: WeightSource, spec: ModelSpec, settings: Settings) -> None:
    """ConversionError unless what is in ``folder`` is what converting now would give."""
    from tzcore.checkpoint.reader import read_json
    from tzcore.checkpoint.schema import Quantization
    from tzcore.quant.calibration import collect

    Quantization.from_json(read_json(folder / "config.json").get("quantization_config"))  # refuses older formats
    receipt = read_json(folder / "receipt.json")
    made_from = receipt.get("source", {})
    same_source = (made_from.get("id"), made_from.get("revision")) == (source.id, source.revision)
    if same_source and receipt.get("settings") == settings.as_json():
        if not settings.calibrates:
            return
        text = collect(source.files, settings.tokens, settings.window, settings.calibration, spec.vocabulary)
        if receipt.get("calibration", {}).get("sha256") == text.sha256:
            return
    what = "made with other settings" if same_source else f"made from {made_from.get('id')} {made_from.get('revision')}"
    raise ConversionError(f"{folder} exists already, {what}: remove it first (tz rm), or choose another --name")
