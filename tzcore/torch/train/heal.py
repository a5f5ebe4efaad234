"""From an installed model and its original to a healed model folder: what ``tz train`` does."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tzcore import atomic
from tzcore.architecture.registry import check_source, spec_of
from tzcore.architecture.spec import ModelSpec
from tzcore.checkpoint import ModelFolder
from tzcore.checkpoint.reader import read_json
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import ConversionError, RequestError, SourceError, StorageError, TrainingError
from tzcore.progress import Report, ignore
from tzcore.quant.device import CPU, Device
from tzcore.quant.evaluation import small_files
from tzcore.quant.runtime import thread_count
from tzcore.torch.folder import load_model
from tzcore.torch.train.healed import modules_of, write
from tzcore.torch.train.loop import Loop, Outcome
from tzcore.torch.train.measure import Held
from tzcore.torch.train.original import cached, model_of_source, reader_of_source
from tzcore.torch.train.prepare import convert, prepare
from tzcore.torch.train.settings import TrainSettings
from tzcore.torch.train.targets import Live, Targets
from tzcore.torch.train.text import Windows, collect

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NO_MEMORY = (
    "not enough memory to train: run the same command again with --batch 1 and --checkpointing, it goes on where it "
    "stopped; or begin anew with --mode lora, or --mode scales, which need less"
)


@dataclass(frozen=True)
class Task:
    """What is to be healed and how.  ``base`` is the model's folder, ``final`` the result's, of the id
    ``identifier``; ``working`` holds what a stopped run goes on from, which is deleted for a ``fresh`` one.
    ``text`` and ``held_text`` as in :func:`tzcore.torch.train.text.collect`."""

    base: Path
    final: Path
    identifier: str
    working: Path
    settings: TrainSettings
    text: tuple[Path, ...] = ()
    held_text: tuple[Path, ...] = ()
    device: Device = CPU
    threads: int | None = None
    fresh: bool = False


def heal(
    task: Task,
    open_original: Callable[[], WeightSource],
    report: Report = ignore,
    note: Callable[[str], None] = lambda _: None,
) -> Path:
    """Train, and write the result's folder; returns it.  Already there, made by the same task, it is left alone.

    ``open_original`` is called where the original's weights are needed.  Phases ``"targets"``, ``"train"``,
    ``"evaluate"``.  Cancelled or killed, the same call goes on.  Raises what its parts raise: RequestError for texts,
    TrainingError, StorageError, ConversionError where ``final`` is something else, CheckpointError for a damaged
    model.
    """
    spec = _spec_of(task.base)
    longest, vocabulary = spec.max_context, spec.vocabulary
    if task.settings.top_k > vocabulary:
        raise RequestError(f"top_k is {task.settings.top_k}, and the vocabulary has {vocabulary} tokens")
    settings = replace(task.settings, window=max(2, min(task.settings.window, longest)))
    text, held = collect(
        small_files(task.base), settings.window, vocabulary, task.text, task.held_text, settings.eval_windows
    )
    about = _about(task, settings, text, held)
    if task.final.exists():
        _demand_same(task.final, about)
        note(f"{task.final} is there already, trained in the same way.")
        return task.final
    with _only_one(task.working), _threads(task.threads), _memory():
        if task.fresh:
            shutil.rmtree(task.working, ignore_errors=True)
        folder = _train(task, settings, text, held, about, open_original, report, note)
        shutil.rmtree(task.working, ignore_errors=True)
    return folder


def _train(
    task: Task,
    settings: TrainSettings,
    text: Windows,
    held: Windows,
    about: dict[str, Any],
    open_original: Callable[[], WeightSource],
    report: Report,
    note: Callable[[str], None],
) -> Path:
    source = open_original()
    try:
        _demand_fitting(task.base, source)
        made_from = {"original": source.id, "revision": source.revision}
        with atomic.storage_errors(task.working):
            task.working.mkdir(exist_ok=True)
        if settings.top_k:
            reader = reader_of_source(source, task.device, task.threads)
            k, working = settings.top_k, task.working
            followed: Targets = cached(working / "targets.bin", text, reader, made_from, k, report)
            kept = Held(held, cached(working / "held-targets.bin", held, reader, made_from, k, report))
        else:
            original = model_of_source(source).to(task.device.name)
            followed = Live(original, text.scored, layers=settings.hidden_share > 0)
            kept = Held(held, Live(original, held.scored))
        model = load_model(task.base)
        weights = _weights_of(source, task.base) if settings.mode != "scales" else None
        prepare(model, mode=settings.mode, original=weights, rank=settings.rank, seed=settings.seed)
    finally:
        source.close()
    model.to(task.device.name)
    loop = Loop(
        model, text, followed, settings, task.working, held=kept, fingerprint={**about, **made_from}, report=report,
        note=note,
    )  # fmt: skip
    outcome = loop.run()
    return _finish(task, settings, model, outcome, about, made_from)


def _finish(
    task: Task,
    settings: TrainSettings,
    model: PreTrainedModel,
    outcome: Outcome,
    about: dict[str, Any],
    made_from: dict[str, str],
) -> Path:
    convert(model.to("cpu"))
    training = {
        **about, **made_from, "settings": settings.as_json(), **outcome.position.as_json(),
        "best_step": outcome.best_step, "before": outcome.before, "after": outcome.best,
    }  # fmt: skip
    return write(model, task.base, task.final, task.identifier, training, outcome.curve)


def _weights_of(source: WeightSource, base: Path) -> Callable[[str], torch.Tensor]:
    """The original's weights by the names of the loaded model's layers."""
    stored = modules_of(base)
    return lambda name: torch.from_numpy(source.tensor(f"{stored[name]}.weight"))


def _spec_of(base: Path) -> ModelSpec:
    opened = ModelFolder.open(base)
    try:
        return spec_of(opened)
    finally:
        opened.close()


def _demand_fitting(base: Path, source: WeightSource) -> None:
    """TrainingError where the original's tensors are not those that the model was made of, before it is read."""
    try:
        check_source(source, _spec_of(base))
    except SourceError as error:
        raise TrainingError(f"this is not the original of {base}: {error}") from None


def _about(task: Task, settings: TrainSettings, text: Windows, held: Windows) -> dict[str, Any]:
    """What besides the settings decides the result."""
    receipt = read_json(task.base / "receipt.json")
    shards = repr(sorted((receipt.get("shards") or {}).items()))
    model = hashlib.sha256(f"{receipt.get('id')} {shards}".encode()).hexdigest()
    return {
        "model": model, "text_sha256": text.sha256, "text_tokens": int(text.ids.size), "held_sha256": held.sha256,
        "held_tokens": int(held.ids.size),
    }  # fmt: skip


def _demand_same(final: Path, about: dict[str, Any]) -> None:
    """ConversionError unless the folder is what the same task made."""
    training = read_json(final / "receipt.json").get("training")
    if not isinstance(training, dict) or any(training.get(key) != value for key, value in about.items()):
        raise ConversionError(
            f"{final} exists already, made otherwise: remove it first (tz rm), or choose another --name"
        )


@contextmanager
def _threads(wanted: int | None) -> Iterator[None]:
    """A fixed number of threads: the order of sums depends on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(thread_count(wanted))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _memory() -> Iterator[None]:
    """Memory that runs out, a card's or the machine's, is a TrainingError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error).lower()
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in said:
            raise TrainingError(NO_MEMORY) from error
        raise


@contextmanager
def _only_one(working: Path) -> Iterator[None]:
    """Keeps a second process out of the folder of a run."""
    from filelock import FileLock, Timeout

    with atomic.storage_errors(working):
        working.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(working.with_name(working.name + ".lock"), timeout=0)
    with atomic.storage_errors(working):
        try:
            lock.acquire()
        except Timeout:
            raise StorageError(f"another process trains in {working}; wait until that is done") from None
    try:
        yield
    finally:
        lock.release()
