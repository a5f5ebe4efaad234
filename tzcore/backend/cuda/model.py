"""A model on the card: its arena, its launches, and a graph for every shape of a decoding step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import Choice, Logits, weight_bytes_per_token
from tzcore.backend.base import Sequence as BaseSequence
from tzcore.backend.cuda import plan
from tzcore.backend.cuda.arena import Arena, Ledger, Region
from tzcore.backend.cuda.contents import Contents, KeyValuePools
from tzcore.backend.cuda.device import Device, Graph, LostDeviceError
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.loaded import Loaded, staging
from tzcore.backend.cuda.network import Network, Step, split_keys, step_for
from tzcore.backend.cuda.pages import PAGE, Memory, Pages, sinks
from tzcore.backend.cuda.sequence import CudaSequence, Root
from tzcore.backend.cuda.weights import Uploader
from tzcore.backend.cuda.workspace import FEW, Workspace, table_numbers
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import BackendError, RequestError
from tzcore.keyvalues import F16, KeyValueFormat
from tzcore.progress import Progress, Report, ignore

Floats = npt.NDArray[np.float32]


class CudaModel:
    """See :class:`tzcore.backend.base.LoadedModel`.

    A device that failed takes the model with it: every later call is a LostDeviceError.
    """

    exact_chunks = False  # up to FEW tokens do not meet; more go through other kernels

    def __init__(
        self,
        device: Device,
        folder: ModelFolder,
        spec: ModelSpec,
        planned: plan.DevicePlan,
        ledger: Ledger | None = None,
        report: Report = ignore,
    ) -> None:
        self.spec, self.plan = spec, planned
        self._device = device
        self._bytes = weight_bytes_per_token(folder, spec)
        self._arena = Arena(device, planned.memory, ledger)
        self._loaded: Loaded | None = None
        self._graphs: dict[Step, Graph] = {}
        self._shown: tuple[object, ...] = ()  # whose page table is on the card
        try:
            self._stream = device.stream()
            self._kernels = Kernels(device, self._stream)
            self._load(folder, report)
        except BaseException:
            self.close()
            raise

    def _load(self, folder: ModelFolder, report: Report) -> None:
        arena, spec, device = self._arena, self.spec, self._device
        weights, head, tables, context, workspace = (
            arena.region(name) for name in (plan.WEIGHTS, plan.HEAD, plan.TABLES, plan.CONTEXT, plan.WORKSPACE)
        )
        uploader = Uploader(device, self._kernels, weights, *staging([context, workspace]))
        try:
            self._loaded = Loaded(device, folder, spec, uploader, head, tables, report, self.plan.chunk)
        finally:
            uploader.close()
        self._work = Workspace(workspace, spec, self.plan.chunk, folder.quantization.matrices, self.plan.context)
        pools = KeyValuePools(context, spec, self.plan.context, self.plan.kv, self.plan.chunk)
        self._pages = [Pages(count) for count in pools.counts]
        self._contents = Contents(device, self._stream, pools)
        # Keys and values beyond a text's end are read with the weight 0, so that they must be numbers.
        device.fill(context.address, 0, context.size, self._stream)
        numbers = table_numbers(spec, self.plan.context)
        self._network = Network(spec, self._loaded, self._work, pools, self._kernels, numbers)
        report(Progress("load", folder.bytes(), folder.bytes(), "bytes", "compiling kernels"))
        self._network.fetch()

    def new_sequence(self, capacity: int, stored: KeyValueFormat = F16) -> CudaSequence:
        """A memory of ``capacity`` tokens; BackendError says how many would fit, or which format was planned for."""
        self._check_open()
        if capacity < 1:
            raise BackendError(f"a context of {capacity} tokens is impossible")
        if stored != self.plan.kv:
            raise BackendError(
                f"this model was loaded with its keys and values as {self.plan.kv.name}: load it again to have them "
                f"as {stored.name}"
            )
        return CudaSequence(Root(self._memories(capacity), capacity), self._contents)

    def _memories(self, capacity: int) -> list[Memory]:
        made: list[Memory] = []
        try:
            for pages, group in zip(self._pages, self._contents.pools.groups, strict=True):
                tokens = min(capacity, PAGE * group.pages(capacity, self.plan.chunk))
                made.append(Memory(pages, tokens, sinks(self.plan.kv)))
        except BackendError:
            for memory in made:
                memory.release()
            raise
        return made

    def cache_form(self, stored: KeyValueFormat) -> str:
        """See :class:`tzcore.backend.base.LoadedModel`."""
        self._check_open()
        form = self._contents.pools.form
        return form if stored == self.plan.kv else f"{form}, not {stored.name}"

    def forward(self, sequence: BaseSequence, tokens: npt.NDArray[np.int32], logits: Logits = "last") -> Floats:
        """See :class:`tzcore.backend.base.LoadedModel`."""
        rows = {"last": 1, "all": np.size(tokens), "none": 0}[logits]
        out = np.empty((rows, self.spec.vocabulary), np.float32)

        def keep(first: int, count: int) -> None:
            at = first if logits == "all" else 0
            self._device.copy_out(out[at : at + count], self._work["logits"], self._stream)

        self._run(sequence, tokens, logits, keep)
        return out

    def choose(self, sequence: BaseSequence, tokens: npt.NDArray[np.int32], choice: Choice) -> int:
        """See :class:`tzcore.backend.base.ChoosingModel`: one number crosses the bus."""
        picked, uniform, work = np.empty(1, np.int32), np.array([choice.uniform], np.float32), self._work

        def pick(_first: int, _count: int) -> None:
            if choice.penalties.size:
                self._device.copy_in(work["penalties"], choice.penalties, self._stream)
                count = choice.penalties.size
                self._kernels.launch(
                    "penalise", (-(-count // 256), 1, 1), 256, (work["logits"], work["penalties"], count)
                )
            self._device.copy_in(work["uniform"], uniform, self._stream)
            limits = (float(choice.temperature), choice.top_k, float(choice.top_p), float(choice.min_p))
            ids = (self.spec.vocabulary, choice.vocabulary)
            self._kernels.launch(
                "choose", (1, 1, 1), 1024, (work["logits"], *ids, *limits, work["uniform"], work["picked"])
            )
            self._device.copy_out(picked, work["picked"], self._stream)

        self._run(sequence, tokens, "last", pick)
        if picked[0] < 0:
            raise BackendError("The model's output is not a number: its weights are damaged; convert it again")
        return int(picked[0])

    def _run(self, sequence: BaseSequence, tokens: Any, logits: Logits, take: Callable[[int, int], None]) -> None:
        """Append ``tokens``; ``take(first, count)`` is called when so many tokens' logits are in the workspace."""
        self._check_open()
        if not isinstance(sequence, CudaSequence):
            raise BackendError("the sequence belongs to another backend")
        ids = self._ids(tokens)
        began, done = sequence.length, 0
        sequence.check_room(ids.size)
        try:
            while done < ids.size:
                count = self._next(sequence.length, ids.size - done, logits)
                last = done + count == ids.size
                wanted = count if logits == "all" else int(last and logits == "last")
                self._step(sequence, ids[done : done + count], wanted)
                if wanted:
                    take(done, wanted)
                sequence.advance(count)
                done += count
            self._device.synchronize(self._stream)
        except BaseException as error:
            if not isinstance(error, LostDeviceError):
                # Where a window has let go of what was seen there, the text begins again.
                sequence.truncate(sequence.resumable(began))
            raise

    def _next(self, position: int, left: int, logits: Logits) -> int:
        """Tokens of the next launch: few where all have logits, and never over an edge where splits of keys change."""
        count = min(left, FEW if logits == "all" else self.plan.chunk)
        if count > FEW:
            return count
        size = split_keys(position)
        return next((n for n in range(1, count) if split_keys(position + n) != size), count)

    def _step(self, sequence: CudaSequence, ids: npt.NDArray[np.int32], logits: int) -> None:
        device, work, first = self._device, self._work, sequence.length
        sequence.begin(ids.size)
        self._show(sequence)
        # In the stream's order: the step before, which may still run, reads these places too.
        device.copy_in(work["tokens"], ids, self._stream)
        device.copy_in(work["positions"], np.arange(first, first + ids.size, dtype=np.int32), self._stream)
        step = step_for(first, ids.size, logits, self.plan.chunk)
        if not step.few:
            self._network.run(step)
            return
        if step not in self._graphs:
            device.begin_capture(self._stream)
            try:
                self._network.run(step)
            finally:
                graph = device.end_capture(self._stream)
            self._graphs[step] = graph
        self._graphs[step].launch(self._stream)

    def _show(self, sequence: CudaSequence) -> None:
        """Bring the page tables to the card, where others are there."""
        exact_from = sequence.exact_from(sequence.length)
        shown = (sequence, exact_from, *(table.version for table in sequence.tables))
        if self._shown == shown:
            return
        pitch = 4 * table_numbers(self.spec, self.plan.context)
        for number, table in enumerate(sequence.tables):
            numbers = np.concatenate([np.array([exact_from, table.sink or 0], np.int32), table.numbers()])
            self._device.copy_in(self._work["page_table"] + number * pitch, numbers, self._stream)
        self._shown = shown

    def _ids(self, tokens: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        ids = np.asarray(tokens)
        if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
            raise RequestError("tokens must be a vector of at least one whole number")
        if ids.min() < 0 or ids.max() >= self.spec.vocabulary:
            raise RequestError(f"a token lies outside the vocabulary of {self.spec.vocabulary}")
        return np.ascontiguousarray(ids, np.int32)

    def weight_bytes_per_token(self) -> int:
        return self._bytes

    @property
    def context(self) -> Region:
        """The memory of all keys and values; measurements fill it with numbers that no text gave."""
        return self._arena.region(plan.CONTEXT)

    def _check_open(self) -> None:
        if self._loaded is None:
            raise BackendError("this model is closed")

    def close(self) -> None:
        """Give the card's memory back."""
        try:
            for graph in self._graphs.values():
                graph.close()
            self._graphs.clear()
            if self._loaded is not None:
                self._loaded.close()
                self._loaded = None
        finally:
            self._arena.close()
