"""Blocks, quantised one after the other in the order in which a token meets them.

Calibration windows pass through the original and, beside it, through what is made of it.  In each
block the stages (q/k/v, o, gate/up, down) are quantised in order of execution, each on inputs
that its already quantised predecessors produced, so that errors are met where they arise.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tzcore.architecture.spec import MatrixRef
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.quant import rotation, solver, written
from tzcore.quant.calibration import Calibration, Tokens
from tzcore.quant.decoder import Block, Routing
from tzcore.quant.job import Job
from tzcore.quant.originals import layer_vectors, stage_names
from tzcore.quant.states import WINDOWS_AT_ONCE, States, existing, mapped
from tzcore.trits import Floats

if TYPE_CHECKING:
    import torch

OTHERS = 1 / 16
"""What the tokens that an expert does not get count in its second moment."""


def convert_plain(job: Job) -> None:
    """All blocks without calibration."""
    for index, layer in enumerate(job.spec.layers):
        for stage in layer.stages():
            transform, signs = job.transform(stage)
            for name in stage_names(stage):
                if not job.writer.has(name):
                    weights = job.originals.matrix_tensor(name)
                    if transform is not None and signs is not None:
                        weights = rotation.rotate(weights, signs, transform.block)
                    job.store(name, weights.numpy(), transform)
                job.advance([name], job.where(index))
        job.add_vectors(layer_vectors(job.spec, index))
        job.writer.seal(f"model-{index:05d}")


class Streams:
    """The windows' states at a block's boundary, of the original and of what is made of it, in files."""

    def __init__(self, job: Job, calibration: Calibration) -> None:
        self._folder = job.writer.scratch
        self._shape = (*calibration.windows.shape, job.spec.hidden)
        self.index, self.original, self.converted = 0, *self._start(job, calibration)

    def _path(self, which: str, index: int) -> Path:
        return self._folder / f"{which}-{index:05d}.f32"

    def _start(self, job: Job, calibration: Calibration) -> tuple[States, States]:
        """The last boundary kept, or the embeddings."""
        for index in range(len(job.spec.layers), 0, -1):
            pair = [existing(self._path(which, index), self._shape) for which in ("original", "converted")]
            if pair[0] is not None and pair[1] is not None:
                self.index = index
                return pair[0], pair[1]
        table = job.originals.matrix(job.spec.embedding.name)
        first = states_of(table, job, calibration.windows, self._path("original", 0))
        return first, self.start(job, calibration, self._path("converted", 0))

    def start(self, job: Job, calibration: Calibration, path: Path) -> States:
        """The windows' embeddings as the conversion has them."""
        return states_of(written.matrix(job.writer, job.spec.embedding.name).numpy(), job, calibration.windows, path)

    def advance(self, original: States, converted: States) -> None:
        """Go on to the next boundary; the states there outlive a kill."""
        before = (self.original, self.converted)
        self.index += 1
        original.keep(self._path("original", self.index))
        converted.keep(self._path("converted", self.index))
        self.original, self.converted = original, converted
        for states in before:
            states.remove()


def states_of(table: Floats, job: Job, windows: Tokens, path: Path) -> States:
    """The embeddings of ``windows`` ``[n, tokens]`` by ``table`` ``[vocabulary, hidden]``."""
    import torch

    out = States(path, (*windows.shape, job.spec.hidden), create=True)
    for start in range(0, len(windows), WINDOWS_AT_ONCE):
        ids = windows[start : start + WINDOWS_AT_ONCE]
        out.part(start).copy_(torch.from_numpy(table[ids]) * job.spec.embedding_scale)
    return out


def convert_calibrated(job: Job, streams: Streams) -> None:
    """All blocks from where ``streams`` stand; the errors of each matrix's output are noted."""
    for layer in job.spec.layers[: streams.index]:
        job.advance((name for stage in layer.stages() for name in stage_names(stage)), "done before")
    for index in range(streams.index, len(job.spec.layers)):
        streams.advance(*_Conversion(job, index).run(streams))
        job.writer.seal(f"model-{index:05d}")


class _Conversion:
    """One block's conversion."""

    def __init__(self, job: Job, index: int) -> None:
        import torch

        self.job, self.index = job, index
        vectors = layer_vectors(job.spec, index)
        job.add_vectors(vectors)
        self.block = Block(job.spec, index, {n: torch.from_numpy(job.originals.vector(n)).clone() for n in vectors})
        self.errors = job.noted("errors")
        self.stored: dict[str, torch.Tensor] = {}

    def run(self, streams: Streams) -> tuple[States, States]:
        """The states behind the block, of the original and of its conversion."""
        block, attention = self.block, self.block.layer.stages()[:2]
        original = self._original(streams.original)
        inputs = self._mapped("qkv", block.qkv_input, streams.converted)
        self._convert(attention[0], inputs)
        inputs = self._mapped("o", lambda h: block.o_input(h, self._matrices), inputs)
        self._convert(attention[1], inputs)
        after = lambda x, a: block.after_attention(x, a, self._matrices)  # noqa: E731
        hidden = self._mapped("middle", after, streams.converted, inputs)
        inputs = self._mapped("mlp", block.mlp_input, hidden)
        made = self._dense(inputs) if block.layer.router is None else self._experts(inputs)
        return original, self._mapped("behind", block.after_experts, hidden, made)

    def _dense(self, inputs: States) -> States:
        """What the MLP makes of its ``inputs``."""
        stages = self.block.layer.experts[0].stages()
        self._convert(stages[0], inputs)
        inputs = self._mapped("down", lambda h: self.block.down_input(h, self._matrices), inputs)
        self._convert(stages[1], inputs)
        return self._mapped("made", lambda m: self.block.down_output(m, self._matrices), inputs)

    def _experts(self, inputs: States) -> States:
        """What the experts make, each quantised on the tokens that come to it.

        Few come to some, so a sixteenth of what all tokens say is added to an expert's second moment.
        """
        import torch

        job, block, router = self.job, self.block, self.block.layer.router
        assert router is not None and job.calibration is not None
        name = router.matrix.name
        if not job.writer.has(name):
            job.store(name, job.originals.matrix(name), None)
        self.stored[name] = written.matrix(job.writer, name)
        job.advance([name], job.where(self.index))
        parts = [block.route(inputs.part(at), self._matrices) for at in range(0, len(inputs), WINDOWS_AT_ONCE)]
        routing = Routing(torch.cat([p.chosen for p in parts]), torch.cat([p.shares for p in parts]))
        common = second_moment(inputs, job.calibration.used)
        calibrating = job.calibration.used * inputs.shape[1]
        made = self._mapped("made", torch.zeros_like, inputs)
        for index, expert in enumerate(block.layer.experts):
            tokens, shares = routing.of(index)
            rows, count = inputs.rows(tokens), int((tokens < calibrating).sum())
            stages = expert.stages()
            self._convert(stages[0], lambda rows=rows, n=count: moment(rows[:n]).add_(common, alpha=OTHERS))
            rows = block.down_input(rows, self._matrices, index)
            self._convert(stages[1], lambda rows=rows, n=count: moment(rows[:n]))
            made.add_rows(tokens, block.down_output(rows, self._matrices, index) * shares[:, None])
            for ref in (ref for stage in stages for ref in stage):
                del self.stored[ref.name]
        return made

    def _original(self, states: States) -> States:
        names = [name for stage in self.block.layer.stages() for name in stage_names(stage)]
        weights = {name: self.job.originals.matrix_tensor(name) for name in names}

        def matrices(ref: MatrixRef) -> torch.Tensor:
            return weights[ref.name][ref.start : ref.start + ref.rows]

        if self.block.layer.router is not None:
            router = self.block.layer.router.matrix.name
            weights[router] = self.job.originals.matrix_tensor(router)
        return self._mapped("original", lambda x: self.block.forward(x, matrices), states)

    def _matrices(self, ref: MatrixRef) -> torch.Tensor:
        return self.stored[ref.name][ref.start : ref.start + ref.rows]

    def _mapped(self, name: str, function: Callable[..., torch.Tensor], *inputs: States) -> States:
        """``function`` over the windows; the file of the last use of that name is free again."""
        return mapped(function, self.job.writer.scratch / f"stage-{name}.f32", *inputs)

    def _convert(self, stage: tuple[MatrixRef, ...], inputs: States | Callable[[], torch.Tensor]) -> None:
        """Solve and record the stage's matrices; ``stored`` gets them as the engine will see them.

        ``inputs`` are the stage's, or give their second moment.
        """
        transform, signs = self.job.transform(stage)
        factored: solver.Factored | None = None
        for name in stage_names(stage):
            if not self.job.writer.has(name):
                if factored is None:
                    factored = self._factored(inputs, transform, signs, name)
                self._solve(name, factored, transform, signs)
            self.stored[name] = written.matrix(self.job.writer, name)
            self.job.advance([name], self.job.where(self.index))

    def _factored(
        self,
        inputs: States | Callable[[], torch.Tensor],
        transform: Transform | None,
        signs: torch.Tensor | None,
        name: str,
    ) -> solver.Factored:
        assert self.job.calibration is not None
        hessian = second_moment(inputs, self.job.calibration.used) if isinstance(inputs, States) else inputs()
        if transform is not None and signs is not None:
            hessian = rotation.rotate_hessian(hessian, signs, transform.block)
        return solver.factorise(hessian, self.job.settings.effort.damping, name)

    def _solve(
        self, name: str, factored: solver.Factored, transform: Transform | None, signs: torch.Tensor | None
    ) -> None:
        job = self.job
        weights = job.originals.matrix_tensor(name)
        if transform is not None and signs is not None:
            weights = rotation.rotate(weights, signs, transform.block)
        rows, cols = weights.shape
        fmt = job.format_of(name)
        group = job.settings.group_for(fmt, cols)
        codes, scales = solver.solve(weights, factored, fmt, group, job.settings.effort, job.threads, name)
        stored = solver.dequantised(codes, scales, group)
        self.errors[name] = solver.relative_error(weights, stored, factored.hessian)
        job.note("errors", self.errors)
        job.add(MatrixEntry(name, rows, cols, fmt, group, transform), codes, scales)


def second_moment(inputs: States, windows: int) -> torch.Tensor:
    """``XᵀX`` over the first ``windows`` windows: ``[width, width]``."""
    import torch

    width = inputs.shape[-1]
    total = torch.zeros(width, width)
    for start in range(0, windows, WINDOWS_AT_ONCE):
        flat = inputs.part(start, min(WINDOWS_AT_ONCE, windows - start)).reshape(-1, width)
        total.addmm_(flat.T, flat)
    return total


def moment(rows: torch.Tensor) -> torch.Tensor:
    """``XᵀX`` of ``[n, width]``."""
    return rows.T @ rows
