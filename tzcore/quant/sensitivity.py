"""What an error in each matrix costs, and how large the solver will leave it, before anything is quantised.

To second order the KL divergence from the original is ``½·δᵀFδ``, where ``δ`` is the change of a matrix's
output and ``F`` the Fisher information: the second moment of the gradients of log p(token), the
tokens being drawn from the original's own predictions (Martens, *New insights and perspectives
on the natural gradient method*, 2020).  Errors that are spread evenly over the outputs and independent
from token to token, of energy ``ε·|y|²`` at a token whose output is ``y``, cost
``ε·½·mean(|g|²·|y|²)/rows`` nats a token: the *sensitivity* times the relative error ε.

The error that compensated rounding leaves is not that of rounding alone: with ``H = V·Vᵀ`` it is the
rounding error of independent weights in the metric ``diag(V)²`` instead of ``H``.  The ratio of both is
the *shrinkage*.  The original passes through once forward and once backward, a block at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.progress import Progress
from tzcore.quant import rotation, solver
from tzcore.quant.blocks import states_of
from tzcore.quant.decoder import Block, Matrices, logits
from tzcore.quant.job import Job
from tzcore.quant.originals import layer_vectors, stage_names
from tzcore.quant.states import States, mapped

if TYPE_CHECKING:
    import torch

WINDOWS = 16
"""Windows looked at; an average over 8,000 tokens is well known."""


@dataclass
class Measured:
    """Of one matrix: nats a token for each unit of relative output error, and how much of the rounding
    error compensation leaves."""

    sensitivity: float = 0.0
    shrinkage: float = 1.0


class _Observed(Block):
    """A block that shows what goes into and comes out of each projection."""

    def __init__(
        self,
        spec: ModelSpec,
        index: int,
        vectors: dict[str, torch.Tensor],
        seen: Callable[[MatrixRef, torch.Tensor, torch.Tensor], None],
    ) -> None:
        super().__init__(spec, index, vectors)
        self._seen = seen

    def _project(self, x: torch.Tensor, ref: MatrixRef, bias: str | None, matrices: Matrices) -> torch.Tensor:
        y = super()._project(x, ref, bias, matrices)
        self._seen(ref, x, y)
        return y


def measure(job: Job) -> dict[str, Measured]:
    """Of every projection, and of embedding and head.  Phase ``"measure"``, in blocks."""
    return _Measurement(job).run()


class _Measurement:
    def __init__(self, job: Job) -> None:
        assert job.calibration is not None
        self.job, self.spec = job, job.spec
        self.calibration = job.calibration
        self.count = min(WINDOWS, job.calibration.used)
        self.tokens = self.count * job.calibration.windows.shape[1]
        self.found = {name: Measured() for name in job.originals.shapes}
        for router in self.spec.routers():
            del self.found[router.name]

    def _tell(self, done: int, what: str) -> None:
        total = 2 * len(self.spec.layers)
        self.job.report(Progress("measure", done, total, "blocks", what))

    def run(self) -> dict[str, Measured]:
        import torch

        spec, scratch = self.spec, self.job.writer.scratch
        originals, layers = self.job.originals, range(len(spec.layers))
        originals.expect([spec.embedding.name, *layers])
        table = originals.matrix(spec.embedding.name)
        originals.release(spec.embedding.name)
        windows = self.calibration.windows[: self.count]
        boundaries = [states_of(table, self.job, windows, scratch / "measure-00000.f32")]
        for index in layers:
            self._tell(index, f"errors of layer {index + 1} of {len(spec.layers)}")
            boundaries.append(self._forward(index, boundaries[-1]))
            if index + 1 < len(spec.layers):  # the last comes first on the way back
                originals.release(index)
        ends = [spec.final_norm] if spec.tied else originals.ends()  # a tied head is the table, which is at hand
        originals.expect([*ends, *layers[::-1], spec.embedding.name])
        gradient = self._head(boundaries.pop(), torch.as_tensor(table))
        originals.release(*ends)
        for index in reversed(layers):
            self._tell(2 * len(spec.layers) - 1 - index, f"sensitivity of layer {index + 1} of {len(spec.layers)}")
            before = boundaries.pop()
            gradient = self._backward(index, before, gradient)
            before.remove()
            originals.release(index)
        self._embedding(gradient)
        gradient.remove()
        return self.found

    def _vectors(self, index: int) -> dict[str, torch.Tensor]:
        import torch

        names = layer_vectors(self.spec, index)
        return {name: torch.tensor(self.job.originals.vector(name)) for name in names}

    # --- forward: what rounding leaves --------------------------------------------------------

    def _forward(self, index: int, x: States) -> States:
        import torch

        weights, layer = self.job.originals.layer(index), self.spec.layers[index]
        first = {stage[0].name: stage for stage in layer.stages()}
        moments: dict[str, torch.Tensor] = {}

        def seen(ref: MatrixRef, inputs: torch.Tensor, _: torch.Tensor) -> None:
            if ref == first.get(ref.name, (None,))[0]:
                flat = inputs.reshape(-1, ref.cols)
                if ref.name not in moments:
                    moments[ref.name] = torch.zeros(ref.cols, ref.cols)
                moments[ref.name].addmm_(flat.T, flat)

        block = _Observed(self.spec, index, self._vectors(index), seen)
        out = mapped(
            lambda part: block.forward(part, lambda ref: weights[ref.name][ref.start : ref.start + ref.rows]),
            self.job.writer.scratch / f"measure-{index + 1:05d}.f32",
            x,
        )
        for name, stage in first.items():
            if name in moments:
                self._shrinkage(stage, moments.pop(name), weights)
        return out

    def _shrinkage(
        self, stage: tuple[MatrixRef, ...], hessian: torch.Tensor, weights: dict[str, torch.Tensor]
    ) -> None:
        transform, signs = self.job.transform(stage)
        if transform is not None and signs is not None:
            hessian = rotation.rotate_moment(hessian, signs, transform.block)
        factored = solver.factorise(hessian, self.job.settings.effort.damping, stage[0].name)
        left = float(factored.factor.diagonal().double().square().sum())
        for name in stage_names(stage):
            matrix = weights[name]
            if transform is not None and signs is not None:
                matrix = rotation.rotate(matrix, signs, transform.block)
            energy = float(((matrix @ factored.hessian) * matrix).double().sum())
            per_column = float(matrix.double().square().sum()) / matrix.shape[1]
            self.found[name].shrinkage = left * per_column / energy if energy > 0 else 1.0

    # --- backward: what an error costs --------------------------------------------------------

    def _head(self, states: States, table: torch.Tensor) -> States:
        """The gradient of log p of tokens drawn from the predictions, by the states before the last norm."""
        import torch

        spec, originals = self.spec, self.job.originals
        head = table if spec.tied else originals.matrix_tensor(spec.head.name)
        head = head[spec.head.start : spec.head.start + spec.head.rows]
        norm = torch.as_tensor(originals.vector(spec.final_norm))
        generator = torch.Generator().manual_seed(self.job.settings.seed)
        out = States(self.job.writer.scratch / "gradient-head.f32", states.shape, states.batch, create=True)
        per_weight = float(head.double().square_().sum()) / head.numel()
        cost = 0.0
        for index in range(self.count):
            with torch.enable_grad():
                x = states.windows([index]).requires_grad_()
                predicted = torch.log_softmax(logits(x, norm, head, spec), -1)[0]
                # Drawn on the CPU, so that they are the same tokens wherever the rest is computed.
                drawn = torch.multinomial(predicted.detach().exp().cpu(), 1, generator=generator).to(x.device)
                predicted.gather(1, drawn).sum().backward()
            out.put(index, index + 1, x.grad)
            # The gradient by the logits is what was drawn less the probabilities.
            p = predicted.detach().exp()
            energy = 1 - 2 * p.gather(1, drawn)[:, 0] + p.square().sum(-1)
            inputs = torch.nn.functional.rms_norm(x.detach()[0], (spec.hidden,), norm + spec.norm_offset, spec.norm_eps)
            cost += float((energy * inputs.square().sum(-1)).double().sum()) * per_weight
        self.found[spec.head.name].sensitivity += 0.5 * cost / self.tokens * spec.logit_multiplier**2
        states.remove()
        return out

    def _backward(self, index: int, before: States, behind: States) -> States:
        import torch

        weights = self.job.originals.layer(index)
        observed: list[tuple[MatrixRef, torch.Tensor]] = []

        def seen(ref: MatrixRef, _: torch.Tensor, y: torch.Tensor) -> None:
            y.retain_grad()
            observed.append((ref, y))

        block = _Observed(self.spec, index, self._vectors(index), seen)
        out = States(self.job.writer.scratch / f"gradient-{index:05d}.f32", before.shape, before.batch, create=True)
        for start, stop in before.batches():
            with torch.enable_grad():
                x = before.part(start, stop).clone().requires_grad_()
                y = block.forward(x, lambda ref: weights[ref.name][ref.start : ref.start + ref.rows])
                y.backward(behind.part(start, stop))
            for ref, output in observed:
                if output.grad is not None:
                    both = output.grad.square().sum(-1) * output.detach().square().sum(-1)
                    self.found[ref.name].sensitivity += 0.5 * float(both.double().sum()) / ref.rows / self.tokens
            observed.clear()
            out.put(start, stop, x.grad)
        behind.remove()
        return out

    def _embedding(self, gradient: States) -> None:
        cost, table = 0.0, self.job.originals.matrix(self.spec.embedding.name)
        per_weight = float(np.square(table, dtype=np.float64).mean()) * self.spec.embedding_scale**2
        for index in range(self.count):
            cost += float(gradient.part(index, index + 1).double().square().sum()) * per_weight
        self.found[self.spec.embedding.name].sensitivity += 0.5 * cost / self.tokens
