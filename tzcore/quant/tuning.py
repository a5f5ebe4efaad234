"""The pass over the whole model: scales, norms and biases follow the original's predictions.

Codes stay.  Every group's scale and every norm and bias moves down the gradient of the KL
divergence from the original's next-token distributions, on the calibration windows (the second
phase of EfficientQAT, Chen et al. 2024, with the original's logits in place of the text).  What
single blocks cannot see, errors that add up over the layers, is made good here.

Gradients pass backwards through one block at a time, which is run again from its kept input, so a
block's weights are the most that is held in float.  The states of the optimiser (Adam, Kingma & Ba
2015) are saved every few steps: a killed run goes on from there with the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tzcore import atomic, trits
from tzcore.architecture.spec import MatrixRef
from tzcore.checkpoint import safetensors
from tzcore.progress import Progress
from tzcore.quant import quality, rotation, written
from tzcore.quant.decoder import Block, logits
from tzcore.quant.job import Job
from tzcore.quant.originals import layer_vectors, stage_names
from tzcore.quant.settings import Tuning
from tzcore.quant.states import States
from tzcore.trits import Codes

if TYPE_CHECKING:
    import torch

SAVE_EVERY = 8
"""Steps between saves."""
_TUNED = "tuned.safetensors"
_STATE = "tuning.safetensors"


class _Parameter:
    """``start + unit·moved``, with Adam's state."""

    def __init__(self, start: torch.Tensor, unit: torch.Tensor) -> None:
        import torch

        self.start, self.unit = start, unit
        self.moved, self.first, self.second = (torch.zeros_like(start) for _ in range(3))

    @property
    def value(self) -> torch.Tensor:
        return self.start + self.unit * self.moved

    def step(self, gradient: torch.Tensor, rate: float, count: int, tuning: Tuning) -> None:
        """``gradient`` is that of the value."""
        gradient = gradient * self.unit
        b1, b2 = tuning.first_moment, tuning.second_moment
        self.first.mul_(b1).add_(gradient, alpha=1 - b1)
        self.second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        root = (self.second / (1 - b2**count)).sqrt_()
        root.add_(tuning.floor * root.mean() + 1e-12)
        self.moved.sub_((self.first / (1 - b1**count)).div_(root), alpha=rate)


class _Matrix:
    """A quantised matrix whose scales are tuned.  Codes are mapped from a file, a byte each; a card gets those of
    one block at a time."""

    def __init__(self, job: Job, name: str) -> None:
        import torch

        self.entry, codes, scales = written.codes_and_scales(job.writer, name)
        self.signs = written.signs_of(job.writer, self.entry)
        self.codes = _kept(job.writer.scratch / "codes" / f"{name}.i8", codes)
        start = torch.as_tensor(scales.astype(np.float32))
        self.scales = _Parameter(start, start.clone())

    def weights(self) -> torch.Tensor:
        """Float32 in the basis of the original."""
        import torch

        # Made float first: a product of two types takes five times as long.
        codes = torch.as_tensor(self.codes).float()
        stored = codes.mul_(self.scales.value.repeat_interleave(self.entry.group, 1)[:, : self.entry.cols])
        if self.entry.transform and self.signs is not None:
            return rotation.unrotate(stored, self.signs, self.entry.transform.block)
        return stored

    def gradient(self, of_weights: torch.Tensor) -> torch.Tensor:
        """That of the scales from that of the weights."""
        import torch

        if self.entry.transform and self.signs is not None:
            of_weights = rotation.rotate(of_weights, self.signs, self.entry.transform.block)
        found = of_weights * torch.as_tensor(self.codes)
        short = self.scales.start.shape[1] * self.entry.group - self.entry.cols
        return torch.nn.functional.pad(found, (0, short)).unflatten(1, (-1, self.entry.group)).sum(-1)


class Tuner:
    """Tunes what ``job`` has written.  ``start`` are the windows' embeddings, ``target`` what the original
    makes of them behind its last block."""

    def __init__(self, job: Job, start: States, target: States) -> None:
        import torch

        assert job.calibration is not None
        self.job, self.spec, self.start, self.target = job, job.spec, start, target
        self.tuning = job.settings.tuning
        self.used = min(job.calibration.used, max(1, self.tuning.tokens // job.settings.window))
        names = [n for layer in self.spec.layers for stage in layer.stages() for n in stage_names(stage)]
        self.matrices = {n: _Matrix(job, n) for n in names if job.writer.entry(n).format.packing != "half"}
        self.fixed = {n: written.matrix(job.writer, n) for n in self._unquantised(names)}
        vectors = (torch.as_tensor(job.writer.read_tensor(name)) for name in self.spec.vectors())
        self.vectors = dict(zip(self.spec.vectors(), map(self._vector, vectors), strict=True))
        self.ends = quality.Ends.of(job)
        self.count = self._resume()

    def _unquantised(self, names: list[str]) -> list[str]:
        routers = [ref.name for ref in self.spec.routers()]
        return [*(n for n in names if n not in self.matrices), *routers]

    def _vector(self, start: torch.Tensor) -> _Parameter:
        unit = (start + self.spec.norm_offset).abs().mean().clamp(min=1e-6)
        return _Parameter(start, unit.expand_as(start).clone())

    # --- steps -------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        return self.tuning.passes * math.ceil(self.used / self.tuning.windows)

    def run(self) -> None:
        """All steps that are left."""

        tokens = self.start.shape[1]
        for index, windows in enumerate(self._batches()):
            if index < self.count:
                continue
            self.count = index + 1
            warm = min(1.0, self.count / 4)
            rate = self.tuning.rate * warm * 0.5 * (1 + math.cos(math.pi * index / self.steps))
            loss = self._step(windows, rate)
            if self.count % SAVE_EVERY == 0 or self.count == self.steps:
                self._save()
            done = min(self.count * self.tuning.windows, self.tuning.passes * self.used)
            what = f"KL divergence {loss:.4f} on {len(windows)} windows"
            self.job.report(Progress("tune", done * tokens, self.tuning.passes * self.used * tokens, "tokens", what))

    def _batches(self) -> Iterator[list[int]]:
        generator = np.random.Generator(np.random.PCG64([self.job.settings.seed, 0x7E57]))
        for _ in range(self.tuning.passes):
            order = generator.permutation(self.used)
            for at in range(0, self.used, self.tuning.windows):
                yield order[at : at + self.tuning.windows].tolist()

    def _step(self, windows: list[int], rate: float) -> float:
        """Move all parameters by the gradient on ``windows``; the loss there before."""
        boundaries = [self.start.windows(windows)]
        for index in range(len(self.spec.layers)):
            boundaries.append(self._forward(index, boundaries[-1])[0])
        loss, gradient = self._head(boundaries.pop(), windows, rate)
        for index in reversed(range(len(self.spec.layers))):
            gradient = self._backward(index, boundaries.pop(), gradient, rate)
        return loss

    def _head(self, x: torch.Tensor, windows: list[int], rate: float) -> tuple[float, torch.Tensor]:
        """The loss, and its gradient by the states behind the last block; the last norm takes its step."""
        import torch

        loss, gradient, norm = 0.0, torch.empty_like(x), self.vectors[self.spec.final_norm]
        by_norm = torch.zeros_like(norm.start)
        for at, window in enumerate(windows):  # one at a time: logits are wide
            theirs = torch.log_softmax(self.ends.original_logits(self.target.windows([window]), self.spec), -1)
            with torch.enable_grad():
                states, weight = x[at : at + 1].requires_grad_(), norm.value.requires_grad_()
                scores = logits(states, weight, self.ends.head, self.spec)
            ours = torch.log_softmax(scores.detach(), -1)
            likely = theirs.exp()
            tokens = x.shape[0] * x.shape[1]
            loss += float((likely * theirs.sub_(ours)).sum()) / tokens
            scores.backward(ours.exp_().sub_(likely).div_(tokens))  # the gradient of Σ p·(log p − log softmax(scores))
            gradient[at] = states.grad[0]
            by_norm += weight.grad
        norm.step(by_norm, rate, self.count, self.tuning)
        return loss, gradient

    def _forward(
        self, index: int, x: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """What block ``index`` makes of ``x``, with the weights and vectors it used."""
        import torch

        vectors = {name: self.vectors[name].value for name in layer_vectors(self.spec, index)}
        weights: dict[str, torch.Tensor] = {}

        def matrices(ref: MatrixRef) -> torch.Tensor:
            if ref.name in self.fixed:
                return self.fixed[ref.name][ref.start : ref.start + ref.rows]
            if ref.name not in weights:
                with torch.no_grad():
                    weights[ref.name] = self.matrices[ref.name].weights()
                if x.requires_grad:
                    weights[ref.name].requires_grad_()
            return weights[ref.name][ref.start : ref.start + ref.rows]

        if x.requires_grad:
            vectors = {name: value.requires_grad_() for name, value in vectors.items()}
        return Block(self.spec, index, vectors).forward(x, matrices), weights, vectors

    def _backward(self, index: int, x: torch.Tensor, gradient: torch.Tensor, rate: float) -> torch.Tensor:
        """Pass ``gradient`` through block ``index`` and let its parameters take their step."""
        import torch

        with torch.enable_grad():
            out, weights, vectors = self._forward(index, x.requires_grad_())
            out.backward(gradient)
        for name, weight in weights.items():
            if weight.grad is not None:
                matrix = self.matrices[name]
                matrix.scales.step(matrix.gradient(weight.grad), rate, self.count, self.tuning)
        for name, vector in vectors.items():
            if vector.grad is not None:
                self.vectors[name].step(vector.grad, rate, self.count, self.tuning)
        return x.grad

    # --- states on the disk -------------------------------------------------------------------

    def _parameters(self) -> dict[str, _Parameter]:
        return {f"{name}.scales": matrix.scales for name, matrix in self.matrices.items()} | self.vectors

    def _save(self) -> None:
        tensors: dict[str, Any] = {}
        for name, parameter in self._parameters().items():
            for part in ("moved", "first", "second"):
                tensors[f"{name}:{part}"] = getattr(parameter, part).cpu().numpy()
        safetensors.write_file(self.job.writer.scratch / _STATE, tensors, {"steps": str(self.count)})

    def _resume(self) -> int:
        """Take over a saved state; the number of its last step."""
        import torch

        path = self.job.writer.scratch / _STATE
        if not path.exists():
            return 0
        header = safetensors.read_header(path)
        mapped = safetensors.map_file(path)
        for name, parameter in self._parameters().items():
            for part in ("moved", "first", "second"):
                found = np.array(safetensors.view(mapped, header.tensors[f"{name}:{part}"]))
                setattr(parameter, part, torch.as_tensor(found))
        return int(header.metadata["steps"])

    # --- result ------------------------------------------------------------------------------

    def divergence(self) -> dict[str, float]:
        """:func:`quality.measure` of the windows held out, with the tuned parameters as they will be stored."""

        for matrix in self.matrices.values():
            stored = matrix.scales.value.half().float()
            matrix.scales = _Parameter(stored, matrix.scales.unit)
        norm = self.vectors[self.spec.final_norm].value

        def converted(windows: list[int]) -> torch.Tensor:
            x = self.start.windows(windows)
            for index in range(len(self.spec.layers)):
                x, _, _ = self._forward(index, x)
            return logits(x, norm, self.ends.head, self.spec)

        return quality.measure(self.job, self.target, self.ends, converted)

    def tensors(self) -> dict[str, Any]:
        """What to store in place of the untuned, by stored name."""
        tuned: dict[str, Any] = {}
        for name, matrix in self.matrices.items():
            tuned[f"{name}.scales"] = trits.pack_scales(matrix.scales.value.half().cpu().numpy())
        for name, vector in self.vectors.items():
            tuned[name] = vector.value.cpu().numpy()
        return tuned


def _kept(path: Path, codes: Codes) -> Codes:
    """``codes`` in a file of their own, mapped, so that they need not fit in memory."""
    if not path.exists() or path.stat().st_size != codes.nbytes:
        atomic.write(path, [codes.tobytes()])
    return np.asarray(np.memmap(path, np.int8, "r+", shape=codes.shape))


def tune(job: Job, start: States, target: States, before: dict[str, float]) -> dict[str, Any]:
    """Tune what ``job`` has written and store it if it brings the held-out windows nearer to the original.

    ``before`` is what :func:`quality.measure` gave without it.  Returns the same of what is stored now,
    and under ``"tuning"`` what was tried and whether it was kept.
    """
    path = job.writer.scratch / _TUNED
    found = job.noted("tuned")
    if not found:
        tuner = Tuner(job, start, target)
        tuner.run()
        after = tuner.divergence()
        found = {"before": before, "after": after, "kept": after["kl_mean"] < before["kl_mean"]}
        if found["kept"]:
            safetensors.write_file(path, tuner.tensors(), {})
        job.note("tuned", found)
    if found["kept"]:
        header, mapped = safetensors.read_header(path), safetensors.map_file(path)
        job.writer.replace({name: np.array(safetensors.view(mapped, info)) for name, info in header.tensors.items()})
    return {**found["after" if found["kept"] else "before"], "tuning": found}
