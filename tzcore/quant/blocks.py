"""Blocks, quantised one after the other in the order in which a token meets them.

Calibration windows pass through the original and, beside it, through what is made of it.  In each
block the stages (q/k/v, o, gate/up, down) are quantised in order of execution, each on inputs
that its already quantised predecessors produced, so that errors are met where they arise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tzcore.architecture.spec import MatrixRef
from tzcore.checkpoint.schema import MatrixEntry, Transform
from tzcore.quant import rotation, solver, written
from tzcore.quant.calibration import Calibration, Tokens
from tzcore.quant.decoder import Block, Matrices, Routing
from tzcore.quant.job import Job
from tzcore.quant.originals import layer_vectors, stage_names
from tzcore.quant.states import States, existing, mapped
from tzcore.trits import Floats

if TYPE_CHECKING:
    import torch

OTHERS = 1 / 16
"""What the tokens that an expert does not get count in its second moment."""
STRIPS = 4
"""Strips in which a second moment is summed, each from the diagonal on: 5/8 of the work."""


def expect(job: Job, index: int) -> None:
    """The originals still to be read are those of the layers from ``index`` on, and of the ends."""
    start = job.originals.start() if index == 0 else []
    job.originals.expect([*start, *range(index, len(job.spec.layers)), *job.originals.ends()])


def expect_unwritten(job: Job) -> None:
    """The same without calibration: what is written is not read again."""
    names = [*job.spec.matrices(), *job.spec.vectors()]
    layers = [n for i, layer in enumerate(job.spec.layers) for n in (*layer.names(), *layer_vectors(job.spec, i))]
    order = dict.fromkeys([job.spec.embedding.name, *layers, *names])
    job.originals.expect([name for name in order if not job.writer.has(name)])


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
                    job.store(name, weights.cpu().numpy(), transform)
                job.advance([name], job.where(index))
        job.add_router(index)
        job.add_vectors(layer_vectors(job.spec, index))
        job.writer.seal(f"model-{index:05d}")
        job.originals.release(index)


class Streams:
    """The windows' states at a block's boundary, of the original and of what is made of it, in files."""

    def __init__(self, job: Job, calibration: Calibration) -> None:
        self._folder = job.writer.scratch
        self._shape = (*calibration.windows.shape, job.spec.hidden)
        self.index = 0
        self.original, self.converted = self._start(job, calibration)

    def _path(self, which: str, index: int) -> Path:
        return self._folder / f"{which}-{index:05d}.f32"

    def _start(self, job: Job, calibration: Calibration) -> tuple[States, States]:
        """The last boundary kept, or the embeddings."""
        for index in range(len(job.spec.layers), 0, -1):
            paths = (self._path(which, index) for which in ("original", "converted"))
            pair = [existing(path, self._shape, job.settings.batch) for path in paths]
            if pair[0] is not None and pair[1] is not None:
                self.index = index
                expect(job, index)
                return pair[0], pair[1]
        expect(job, 0)
        # The table goes before the next one comes: each can be larger than all blocks' problems.
        first = states_of(
            job.originals.matrix(job.spec.embedding.name), job, calibration.windows, self._path("original", 0)
        )
        job.originals.release(*job.originals.start())
        return first, self.start(job, calibration, self._path("converted", 0))

    def start(self, job: Job, calibration: Calibration, path: Path) -> States:
        """The windows' embeddings as the conversion has them."""
        table = written.matrix(job.writer, job.spec.embedding.name).cpu().numpy()
        return states_of(table, job, calibration.windows, path)

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

    out = States(path, (*windows.shape, job.spec.hidden), job.settings.batch, create=True)
    for start, stop in out.batches():
        out.put(start, stop, torch.as_tensor(table[windows[start:stop]]) * job.spec.embedding_scale)
    return out


def convert_calibrated(job: Job, streams: Streams) -> None:
    """All blocks from where ``streams`` stand; the errors of each matrix's output are noted."""
    for layer in job.spec.layers[: streams.index]:
        job.advance(layer.names(), "done before")
    for index in range(streams.index, len(job.spec.layers)):
        behind = _Conversion(job, index).run(streams)
        # Sealed first: behind the boundary nobody would come back to it after a kill.
        job.writer.seal(f"model-{index:05d}")
        streams.advance(*behind)
        job.originals.release(index)


class _Conversion:
    """One block's conversion.  ``inputs`` of a stage are the conversion's, ``wanted`` the original's."""

    def __init__(self, job: Job, index: int) -> None:
        import torch

        self.job, self.index = job, index
        vectors = layer_vectors(job.spec, index)
        job.add_vectors(vectors)
        self.block = Block(job.spec, index, {n: torch.tensor(job.originals.vector(n)) for n in vectors})
        self.weights = job.originals.layer(index)
        self.stored: dict[str, torch.Tensor] = {}
        self.errors = job.noted("errors")

    def run(self, streams: Streams) -> tuple[States, States]:
        """The states behind the block, of the original and of its conversion."""
        block, stages = self.block, self.block.layer.stages()
        inputs, wanted = self._both("qkv", block.qkv_input, (streams.converted,), (streams.original,))
        self._convert(stages[0], _Moments(inputs, wanted, self.used))
        inputs, wanted = self._both("o", block.o_input, (inputs,), (wanted,), multiplies=True)
        self._forget(stages[0])
        self._convert(stages[1], _Moments(inputs, wanted, self.used))
        hidden = self._both(
            "middle", block.after_attention, (streams.converted, inputs), (streams.original, wanted), multiplies=True
        )
        self._forget(stages[1])
        inputs, wanted = self._both("mlp", block.mlp_input, hidden[:1], hidden[1:])
        made = self._dense(inputs, wanted) if block.layer.router is None else self._experts(inputs, wanted)
        converted, original = self._both("behind", block.after_experts, (hidden[0], made[0]), (hidden[1], made[1]))
        return original, converted

    @property
    def used(self) -> int:
        assert self.job.calibration is not None
        return self.job.calibration.used

    def _dense(self, inputs: States, wanted: States) -> tuple[States, States]:
        """What the MLP makes of its inputs, in the conversion and in the original."""
        block, stages = self.block, self.block.layer.experts[0].stages()
        self._convert(stages[0], _Moments(inputs, wanted, self.used))
        inputs, wanted = self._both("down", block.down_input, (inputs,), (wanted,), multiplies=True)
        self._forget(stages[0])
        self._convert(stages[1], _Moments(inputs, wanted, self.used))
        return self._both("made", block.down_output, (inputs,), (wanted,), multiplies=True)

    def _experts(self, inputs: States, wanted: States) -> tuple[States, States]:
        """The same of a layer with a router: each expert is quantised on the tokens that come to it.

        Few come to some, so a sixteenth of what all tokens say is added to an expert's second moment.
        """
        import torch

        job, block, router = self.job, self.block, self.block.layer.router
        assert router is not None
        job.add_router(self.index)
        self.stored[router.matrix.name] = written.matrix(job.writer, router.matrix.name)
        routing, original_routing = self._route(inputs, self._converted), self._route(wanted, self._original)
        common = second_moment(inputs, self.used)
        made, original = self._both("made", torch.zeros_like, (inputs,), (wanted,))
        for index, expert in enumerate(block.layer.experts):
            stages = expert.stages()
            tokens, shares = routing.of(index)
            calibrating = int((tokens < self.used * inputs.shape[1]).sum())
            rows, target = inputs.rows(tokens), wanted.rows(tokens)
            self._convert(stages[0], _Rows(rows[:calibrating], target[:calibrating], common))
            rows = block.down_input(rows, self._converted, index)
            target = block.down_input(target[:calibrating], self._original, index)
            self._convert(stages[1], _Rows(rows[:calibrating], target))
            made.add_rows(tokens, block.down_output(rows, self._converted, index) * shares[:, None])
            tokens, shares = original_routing.of(index)
            rows = block.down_input(wanted.rows(tokens), self._original, index)
            original.add_rows(tokens, block.down_output(rows, self._original, index) * shares[:, None])
            self._forget(*stages)
        return made, original

    def _route(self, inputs: States, matrices: Matrices) -> Routing:
        import torch

        parts = [self.block.route(inputs.part(start, stop), matrices) for start, stop in inputs.batches()]
        return Routing(torch.cat([p.chosen for p in parts]), torch.cat([p.shares for p in parts]))

    # --- both streams ------------------------------------------------------------------------

    def _forget(self, *stages: tuple[MatrixRef, ...]) -> None:
        """Nothing is multiplied by these any more; the widest stage, the last, needs the memory."""
        for name in (name for stage in stages for name in stage_names(stage)):
            del self.stored[name], self.weights[name]

    def _converted(self, ref: MatrixRef) -> torch.Tensor:
        return self.stored[ref.name][ref.start : ref.start + ref.rows]

    def _original(self, ref: MatrixRef) -> torch.Tensor:
        return self.weights[ref.name][ref.start : ref.start + ref.rows]

    def _both(
        self,
        name: str,
        function: Callable[..., torch.Tensor],
        converted: tuple[States, ...],
        original: tuple[States, ...],
        multiplies: bool = False,
    ) -> tuple[States, States]:
        """``function`` over the windows of both streams; it ``multiplies`` by the matrices of each."""
        out = []
        for which, inputs, matrices in (
            ("converted", converted, self._converted),
            ("original", original, self._original),
        ):
            more = (matrices,) if multiplies else ()
            path = self.job.writer.scratch / f"{name}-of-{which}.f32"
            out.append(mapped(lambda *parts, more=more: function(*parts, *more), path, *inputs))
        return out[0], out[1]

    # --- matrices ----------------------------------------------------------------------------

    def _convert(self, stage: tuple[MatrixRef, ...], moments: _Moments | _Rows) -> None:
        """Solve and record the stage's matrices; ``stored`` gets them as the engine will see them."""
        transform, signs = self.job.transform(stage)
        problem: solver.Problem | None = None
        for name in stage_names(stage):
            if not self.job.writer.has(name):
                problem = problem or self._problem(moments, transform, signs, name)
                self._solve(name, problem, transform, signs)
            self.stored[name] = written.matrix(self.job.writer, name)
            self.job.advance([name], self.job.where(self.index))

    def _problem(
        self, moments: _Moments | _Rows, transform: Transform | None, signs: torch.Tensor | None, name: str
    ) -> solver.Problem:
        def turned(moment: torch.Tensor) -> torch.Tensor:
            if transform is None or signs is None:
                return moment
            return rotation.rotate_moment(moment, signs, transform.block)

        effort = self.job.settings.effort
        factored = solver.factorise(turned(moments.second()), effort.damping, name)
        # Summed only now: while the other is factored there is no room to spare.
        return solver.Problem(factored, solver.correction(factored, turned(moments.drift()), effort.correction))

    def _solve(
        self, name: str, problem: solver.Problem, transform: Transform | None, signs: torch.Tensor | None
    ) -> None:
        job, weights = self.job, self.weights[name]
        if transform is not None and signs is not None:
            weights = rotation.rotate(weights, signs, transform.block)
        rows, cols = weights.shape
        fmt = job.format_of(name)
        group = job.settings.group_for(fmt, cols)
        target, effort = problem.target(weights), job.settings.effort
        codes, scales = solver.solve(target, problem.factored, fmt, group, effort, job.threads, name)
        del target
        stored = solver.dequantised(codes, scales, group)
        self.errors[name] = solver.relative_error(weights, stored, problem.factored.hessian)
        job.note("errors", self.errors)
        job.add(MatrixEntry(name, rows, cols, fmt, group, transform), codes, scales)


@dataclass(frozen=True)
class _Moments:
    """Inputs of a stage in files, of which the first ``used`` windows calibrate."""

    inputs: States
    wanted: States
    used: int

    def second(self) -> torch.Tensor:
        """``XᵀX``: ``[width, width]``."""
        return second_moment(self.inputs, self.used)

    def drift(self) -> torch.Tensor:
        """``Xᵀ(X̂ − X)`` with the original's inputs X̂: ``[width, width]``."""
        import torch

        width = self.inputs.shape[-1]
        drift = torch.zeros(width, width)
        for start, stop in self.inputs.batches(self.used):
            flat = self.inputs.part(start, stop).reshape(-1, width)
            drift.addmm_(flat.T, self.wanted.part(start, stop).reshape(-1, width) - flat)
        return drift


@dataclass(frozen=True)
class _Rows:
    """The same of an expert: the tokens that it gets, ``[n, width]``, and the second moment of all."""

    inputs: torch.Tensor
    wanted: torch.Tensor
    common: torch.Tensor | None = None

    def second(self) -> torch.Tensor:
        """``XᵀX``, with a share of that of all tokens."""
        moment = self.inputs.T @ self.inputs
        if self.common is not None:
            moment.add_(self.common, alpha=OTHERS)
        return moment

    def drift(self) -> torch.Tensor:
        """As :meth:`_Moments.drift`."""
        return self.inputs.T @ (self.wanted - self.inputs)


def second_moment(inputs: States, windows: int) -> torch.Tensor:
    """``XᵀX`` over the first ``windows`` windows: ``[width, width]``."""
    import torch

    width = inputs.shape[-1]
    total = torch.zeros(width, width)
    edges = [width * at // STRIPS for at in range(STRIPS + 1)]
    for start, stop in inputs.batches(windows):
        flat = inputs.part(start, stop).reshape(-1, width)
        for left, right in pairwise(edges):  # what is below the diagonal is what is above it
            total[left:right, left:].addmm_(flat[:, left:right].T, flat[:, left:])
    for left, right in pairwise(edges):
        total[right:, left:right] = total[left:right, right:].T
    return total
