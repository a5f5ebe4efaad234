"""The training loop: plain PyTorch, with evaluation, saved states, and stops that lose nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tzcore import atomic
from tzcore.errors import Cancelled, TrainingError
from tzcore.progress import Progress, Report, ignore
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.train.curve import NAME, Curve
from tzcore.torch.train.latent import LatentLinear
from tzcore.torch.train.measure import MEASURES, Held, measure
from tzcore.torch.train.prepare import parameter_groups
from tzcore.torch.train.saved import Position, SavedStates, generators, trained
from tzcore.torch.train.settings import TrainSettings
from tzcore.torch.train.student import Split
from tzcore.torch.train.targets import Targets, add_gradients
from tzcore.torch.train.text import Windows

Note = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``before`` and ``best`` are measures on held-out text (empty without any), ``best_step`` the
    step whose parameters the model has now."""

    position: Position
    before: dict[str, float]
    best: dict[str, float]
    best_step: int
    curve: Path


class Loop:
    """One training run of ``model`` in ``folder``, where it keeps its states and its curve.

    ``model`` is a causal language model with parameters that want gradients (:func:`tzcore.torch.train.prepare`
    makes one); ``windows`` with ``targets`` is the text it learns from, ``held`` that it is measured with.
    ``fingerprint`` is what besides the settings decides the result.  ``groups`` are the optimiser's, by default
    :func:`parameter_groups`.  TrainingError where nothing is to be trained, or ``folder`` holds another run.
    """

    def __init__(
        self,
        model: nn.Module,
        windows: Windows,
        targets: Targets,
        settings: TrainSettings,
        folder: Path,
        *,
        held: Held | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        groups: Iterable[dict[str, Any]] | None = None,
        report: Report = ignore,
        note: Note = lambda _: None,
    ) -> None:
        _check(model)
        self.model, self.windows, self.targets, self.settings = model, windows, targets, settings
        self.held, self.folder, self.report, self._note = held, folder, report, note
        with atomic.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._split = Split(model)
        self._parameters = list(trained(model).values())
        self._device = self._parameters[0].device
        chosen = list(groups) if groups is not None else parameter_groups(model, settings.rate)
        self._optimiser = torch.optim.AdamW(
            chosen, lr=settings.rate, betas=settings.betas, eps=settings.epsilon, weight_decay=0.0, fused=True
        )
        self._rates = [float(group["lr"]) for group in self._optimiser.param_groups]
        about = {"settings": settings.fixed(), "text": windows.sha256, **(fingerprint or {})}
        self._saved = SavedStates(folder, about, settings.keep, note)
        self._position = self._saved.restore(model, self._optimiser) or Position()
        self._random = generators()
        self._curve = Curve(folder / NAME, self._position.step)
        self._began = time.monotonic() - self._position.seconds
        self._kept_step = self._position.step if self._saved.last else -1

    def run(self) -> Outcome:
        """Train to the end and put the best parameters into the model, which is in evaluation mode then.

        Phases ``"train"`` (tokens) and ``"evaluate"``.  Cancelled by ``report``, the state after the last whole step is
        saved, and the same loop made anew goes on from there; on the CPU, with as many threads, it arrives at the
        same bits.
        TrainingError for a loss or gradient that is not finite, StorageError for a full disk: what was saved
        last stays.
        """
        if self._position.step:
            self._note(f"going on after step {self._position.step}")
        self.model.train()
        if self.settings.checkpointing:
            _checkpoint(self.model)
        try:
            self._evaluate_if_due()
            while not self._ended():
                self._step()
                self._evaluate_if_due()
                if self._position.step % self.settings.save_every == 0:
                    self._save()
            if self.held is not None and not self._curve.evaluated(self._position.step):
                self._evaluate()
            self._save()
        except Cancelled:
            self._save()
            raise
        return self._finish()

    # --- steps ----------------------------------------------------------------------------------

    def _step(self) -> None:
        """Gradients of all windows of a step, then the optimiser's step; stopped before that, nothing has changed."""
        settings, position = self.settings, self._position
        factor = settings.factor(self._share(ahead=0.5))  # that of the middle of the step
        places = self.windows.at_step(position.step, settings.windows, settings.seed)
        scale = 1.0 / (len(places) * self.windows.positions)
        loss = 0.0
        try:
            for start in range(0, len(places), settings.batch):
                self._tell(start * self.windows.window, self._last_loss())
                loss += self._gradients(places[start : start + settings.batch], scale)
                if not math.isfinite(loss):
                    raise self._not_finite("loss", loss, position.step + 1)
            norm = float(nn.utils.clip_grad_norm_(self._parameters, settings.clip or math.inf))
            if not math.isfinite(norm):
                raise self._not_finite("gradient", norm, position.step + 1)
            for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
                group["lr"] = rate * factor
            self._optimiser.step()
        finally:
            self._optimiser.zero_grad(set_to_none=True)
        position.step += 1
        position.tokens += len(places) * self.windows.window
        position.seconds = time.monotonic() - self._began
        self._random = generators()
        self._curve.add(**position.as_json(), loss=loss, rate=settings.rate * factor)

    def _gradients(self, places: list[int], scale: float) -> float:
        ids = torch.from_numpy(self.windows.ids[places]).to(self._device)
        with self._precision():
            followed = self.targets.batch(places, ids)
            found = self._split.layers(ids, all_of_them=self.settings.hidden_share > 0)
            layers = [states[:, self.windows.scored].flatten(0, 1) for states in found]
            following = torch.from_numpy(self.windows.following(places)).flatten().to(self._device)
            settings = self.settings
            return add_gradients(
                self._split, layers, followed, following, scale, settings.text_share, settings.hidden_share
            )

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self._device.type, torch.bfloat16) if self.settings.bf16 else nullcontext()

    def _share(self, ahead: float = 0.0) -> float:
        """How much of the whole is done, 0 to 1; ``ahead`` steps from now, where steps make the whole."""
        if self.settings.minutes is not None:
            # By the position, not by the clock: what has ended has ended when it is gone on with.
            return min(1.0, self._position.seconds / (60 * self.settings.minutes))
        return min(1.0, (self._position.step + ahead) / self.settings.steps)

    def _ended(self) -> bool:
        if self.settings.minutes is not None:
            return self._position.step > 0 and self._share() >= 1
        return self._position.step >= self.settings.steps

    def _not_finite(self, what: str, value: float, step: int) -> TrainingError:
        rate = self.settings.rate
        last = self._saved.last
        kept = "nothing was saved yet" if last is None else f"the state after step {int(last.stem[5:])} is kept"
        return TrainingError(
            f"the {what} of step {step} is not a number one can train with ({value}); {kept}: go on with a lower rate, "
            f"{rate / 4:.2g} for instance"
        )

    # --- reports --------------------------------------------------------------------------------

    def _tell(self, more: int, detail: str) -> None:
        position, settings = self._position, self.settings
        a_step = settings.windows * self.windows.window
        done = position.tokens + more
        if settings.minutes is not None:
            left: float | None = max(0.0, 60 * settings.minutes - (time.monotonic() - self._began))
            whole = "for " + _time(60 * settings.minutes)
            # So many tokens as the time allows, judged by those read so far.
            total = max(done, round(done / max(self._share(), 1e-6))) if position.step else 0
        else:
            total = settings.steps * a_step
            left = position.seconds / position.tokens * (total - done) if position.tokens else None
            whole = f"of {settings.steps}"
        self.report(Progress("train", done, total, "tokens", f"step {position.step + 1} {whole}{detail}", left))

    def _last_loss(self) -> str:
        found = [line["loss"] for line in self._curve.lines[-2:] if "loss" in line]
        return f", loss {found[-1]:.4f}" if found else ""

    # --- evaluation and states ------------------------------------------------------------------

    def _evaluate_if_due(self) -> None:
        step = self._position.step
        if self.held is not None and step % self.settings.eval_every == 0 and not self._curve.evaluated(step):
            self._evaluate()

    def _evaluate(self) -> None:
        assert self.held is not None
        # In full precision, whatever it trains in: what is measured is what the saved model computes.
        found = measure(self._split, self.held, self._device, self.report)
        if not all(map(math.isfinite, found.values())):
            raise self._not_finite("perplexity", found["perplexity"], self._position.step)
        self._position.seconds = time.monotonic() - self._began
        best = self._saved.best()
        if best is None or found["kl"] < best[1]["kl"]:
            self._saved.save_best(self.model, self._position, found)
        self._curve.add(**self._position.as_json(), **found)

    def _save(self) -> None:
        if self._position.step != self._kept_step:
            self._saved.save(self.model, self._optimiser, self._position, self._random)
            self._kept_step = self._position.step

    def _finish(self) -> Outcome:
        self.model.eval()
        best_step = self._position.step
        best: dict[str, float] = {}
        measured = [line for line in self._curve.lines if "kl" in line]
        before = {name: measured[0][name] for name in MEASURES} if measured else {}
        if (kept := self._saved.best()) is not None:
            at, best = kept
            best_step = at.step
            self._saved.restore_best(self.model)
        return Outcome(self._position, before, best, best_step, self._curve.path)


def _check(model: nn.Module) -> None:
    """TrainingError where there is nothing that trains."""
    stored = [name for name, layer in model.named_modules() if isinstance(layer, TernaryLinear)]
    latent = any(isinstance(layer, LatentLinear) for layer in model.modules())
    if stored and not latent:
        raise TrainingError(
            f"{stored[0]} holds integer codes, which no gradient can move: call tzcore.torch.train.prepare(model) first"
        )
    if not trained(model):
        raise TrainingError("no parameter of this model wants a gradient: there is nothing to train")


def _checkpoint(model: nn.Module) -> None:
    # transformers has given it another name, and warns of the old one.
    names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
    enable: Any = next((getattr(model, name) for name in names if hasattr(model, name)), None)
    if enable is None:
        raise TrainingError("this model cannot recompute its activations: train it without gradient checkpointing")
    enable({"use_reentrant": False})


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} min"
