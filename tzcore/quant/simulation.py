"""What formats would cost, measured without quantising: the original with noise in place of errors.

To every projection's output noise is added, of the energy that its format is expected to leave.  Unlike the
sum of :mod:`tzcore.quant.sensitivity` this includes how errors act on each other.  All candidates
have the same noise but for its size, so that small differences between them show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.progress import Progress
from tzcore.quant.blocks import expect, states_of
from tzcore.quant.decoder import Block, Matrices, logits
from tzcore.quant.job import Job
from tzcore.quant.originals import layer_vectors
from tzcore.quant.states import States, mapped

if TYPE_CHECKING:
    import torch

WINDOWS = 4
"""Windows that every candidate reads."""

Errors = Mapping[str, float]
"""Relative error of each matrix's output."""


class _Noisy(Block):
    """A block whose projections err."""

    def __init__(
        self, spec: ModelSpec, index: int, vectors: dict[str, torch.Tensor], errors: Errors, seed: int
    ) -> None:
        import torch

        super().__init__(spec, index, vectors)
        self._errors = errors
        self._noise = torch.Generator().manual_seed(seed)

    def _project(self, x: torch.Tensor, ref: MatrixRef, bias: str | None, matrices: Matrices) -> torch.Tensor:
        import torch

        y = super()._project(x, ref, bias, matrices)
        size = (self._errors[ref.name] * y.square().sum(-1, keepdim=True) / ref.rows).sqrt_()
        # Drawn on the CPU, so that it is the same noise wherever the rest is computed.
        noise = torch.randn(y.shape, generator=self._noise, device="cpu").to(y.device)
        return y.add_(noise.mul_(size))


def divergences(job: Job, candidates: Sequence[Errors]) -> list[float]:
    """Mean KL divergence from the original of each candidate, in nats a token.  Phase ``"measure"``, in blocks.

    Each block is read once.  Reads windows held out from calibration as far as there are any.
    """
    assert job.calibration is not None
    spec, scratch = job.spec, job.writer.scratch
    windows = job.calibration.windows[-WINDOWS:]
    expect(job, 0)
    table = job.originals.matrix(spec.embedding.name)
    streams: list[Errors | None] = [None, *candidates]
    states = [
        states_of(table, job, windows, scratch / f"simulated-{which}-a.f32") for which in range(len(streams))
    ]
    del table
    job.originals.release(*job.originals.start())
    for index in range(len(spec.layers)):
        what = f"{len(candidates)} candidates, layer {index + 1} of {len(spec.layers)}"
        job.report(Progress("measure", index, len(spec.layers), "blocks", what))
        states = _through(job, index, states, streams)
        job.originals.release(index)
    return _compare(job, states)


def _through(job: Job, index: int, states: list[States], streams: Sequence[Errors | None]) -> list[States]:
    import torch

    spec = job.spec
    weights = job.originals.layer(index)
    vectors = {name: torch.tensor(job.originals.vector(name)) for name in layer_vectors(spec, index)}

    def matrices(ref: MatrixRef) -> torch.Tensor:
        return weights[ref.name][ref.start : ref.start + ref.rows]

    behind = []
    for which, (x, errors) in enumerate(zip(states, streams, strict=True)):
        seed = job.settings.seed * len(spec.layers) + index
        block = Block(spec, index, vectors) if errors is None else _Noisy(spec, index, vectors, errors, seed)
        path = job.writer.scratch / f"simulated-{which}-{'ab'[(index + 1) % 2]}.f32"
        behind.append(mapped(lambda part, block=block: block.forward(part, matrices), path, x))
    return behind


def _compare(job: Job, states: list[States]) -> list[float]:
    import torch

    spec = job.spec
    head = job.originals.matrix_tensor(spec.head.name)[spec.head.start : spec.head.start + spec.head.rows]
    norm = torch.as_tensor(job.originals.vector(spec.final_norm))
    totals = np.zeros(len(states) - 1)
    for window in range(len(states[0])):
        p = torch.log_softmax(logits(states[0].windows([window]), norm, head, spec), -1)
        for which, candidate in enumerate(states[1:]):
            q = torch.log_softmax(logits(candidate.windows([window]), norm, head, spec), -1)
            totals[which] += float((p.exp() * (p - q)).double().sum())
    job.originals.release(*job.originals.ends())
    tokens = states[0].shape[0] * states[0].shape[1]
    for one in states:
        one.remove()
    return [float(total) / tokens for total in totals]
