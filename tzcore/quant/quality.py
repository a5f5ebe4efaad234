"""How far a conversion is from its original, on the windows that it was not made with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tzcore.architecture.spec import ModelSpec
from tzcore.quant import written
from tzcore.quant.decoder import logits
from tzcore.quant.divergence import Tally
from tzcore.quant.job import Job
from tzcore.quant.states import States

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Ends:
    """The heads ``[vocabulary, hidden]`` of the original and of the conversion, and the original's last norm."""

    head: torch.Tensor
    original_head: torch.Tensor
    original_norm: torch.Tensor

    @classmethod
    def of(cls, job: Job) -> Ends:
        """Read them; the conversion's head must be written."""
        import torch

        ref = job.spec.head
        rows = slice(ref.start, ref.start + ref.rows)
        norm = torch.tensor(job.originals.vector(job.spec.final_norm))
        return cls(written.matrix(job.writer, ref.name)[rows], job.originals.matrix_tensor(ref.name)[rows], norm)

    def original_logits(self, states: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """From the states behind the original's last block."""
        return logits(states, self.original_norm, self.original_head, spec)


def measure(
    job: Job, original: States, ends: Ends, converted: Callable[[list[int]], torch.Tensor]
) -> dict[str, float]:
    """Perplexity, mean and 99.9 % KL divergence and agreement over the windows held out.

    ``original`` are the states behind its last block; ``converted`` gives the conversion's logits of
    a window ``[1, tokens, vocabulary]``.
    """
    calibration = job.calibration
    assert calibration is not None
    tally = Tally()
    for index in range(calibration.used, len(calibration.windows)):
        theirs = ends.original_logits(original.windows([index]), job.spec)[0].cpu().numpy()
        ours = converted([index])[0].detach().cpu().numpy()
        tally.add(calibration.windows[index].astype(np.int32), 1, ours, theirs)
    found = tally.measures()
    return {name: float(value) for name, value in found.items()}


def of_states(job: Job, original: States, converted: States, ends: Ends) -> dict[str, float]:
    """:func:`measure` from the states behind both last blocks."""
    import torch

    norm = torch.as_tensor(job.writer.read_tensor(job.spec.final_norm))
    return measure(job, original, ends, lambda w: logits(converted.windows(w), norm, ends.head, job.spec))
