"""A device that remembers what passes through it, so that a model's launches can be timed one kind at a time.

The model knows nothing of it, and runs as it does on the device behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from tzcore.backend.cuda.device import Argument, Device, Graph, Grid, Kernel, Stream
from tzcore.bench.timing import Timer


@dataclass(frozen=True)
class Launch:
    """One launch, whole."""

    kernel: Kernel
    grid: Grid
    block: int
    arguments: tuple[Argument, ...]
    shared: int


@dataclass(frozen=True)
class KindTime:
    """All launches of one kernel in a step: how many, and the seconds they take alone, one after the other."""

    kernel: str
    launches: int
    seconds: float


@dataclass(eq=False)
class Recorded:
    """A graph, and the launches that it was captured from."""

    graph: Graph
    launches: list[Launch]
    recorder: Recorder

    def launch(self, stream: Stream = None) -> None:
        self.recorder.last = self
        self.graph.launch(stream)

    def close(self) -> None:
        self.graph.close()


@dataclass(eq=False)
class Recorder:
    """``launches`` are those since the list was cleared, ``last`` is the graph that ran last, ``least_free`` the
    fewest bytes that were free on the card when :meth:`look` was called."""

    device: Device
    launches: list[Launch] = field(default_factory=list)
    last: Recorded | None = None
    least_free: int = 1 << 62

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    @property
    def as_device(self) -> Device:
        return cast(Device, self)

    def look(self) -> None:
        self.least_free = min(self.least_free, self.device.memory()[0])

    def launch(
        self,
        kernel: Kernel,
        grid: Grid,
        block: int,
        arguments: Sequence[Argument],
        shared: int = 0,
        stream: Stream = None,
    ) -> None:
        self.launches.append(Launch(kernel, grid, block, tuple(arguments), shared))
        self.device.launch(kernel, grid, block, arguments, shared, stream)

    def begin_capture(self, stream: Stream) -> None:
        self.launches.clear()
        self.device.begin_capture(stream)

    def end_capture(self, stream: Stream) -> Graph:
        return Recorded(self.device.end_capture(stream), list(self.launches), self)


def times_of_kinds(timer: Timer, launches: Iterable[Launch], repeat: int) -> list[KindTime]:
    """Where the time of a step goes: the launches of each kernel captured by themselves, the longest first.

    They are done again with the arguments they had: what lies in the model's buffers afterwards is no answer.
    """
    kinds: dict[str, list[Launch]] = {}
    for launch in launches:
        kinds.setdefault(launch.kernel.name, []).append(launch)
    found = []
    for name, group in kinds.items():
        graph = timer.capture(lambda group=group: _again(timer, group))  # type: ignore[misc] # bound now, not later
        try:
            found.append(KindTime(name, len(group), timer.median(graph, repeat)))
        finally:
            graph.close()
    return sorted(found, key=lambda kind: -kind.seconds)


def _again(timer: Timer, launches: list[Launch]) -> None:
    for one in launches:
        timer.device.launch(one.kernel, one.grid, one.block, one.arguments, one.shared, timer.stream)
