"""A card for tensors of torch on machines without one: the kernels run on the interpreter, in memory that both see."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from tests.gpu.card import Rehearsal
from tzcore.backend.cuda.kernels import Kernels


class ArenaCard:
    """:class:`tzcore.torch.card.Card` whose memory is the interpreter's, which torch takes for the CPU's."""

    def __init__(self) -> None:
        self.device: Any = Rehearsal()
        self.kernels = Kernels(self.device)
        self.recorded = False
        self.queue = 7
        self.waited: list[Any] = []
        self.launched: list[tuple[str, Any]] = []
        launch = self.device.launch

        def noted(kernel: Any, *arguments: Any) -> None:
            self.launched.append((kernel.name, arguments[-1]))
            launch(kernel, *arguments)

        self.device.launch = noted

    def empty(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        size = max(1, torch.Size(shape).numel() * dtype.itemsize)
        address = self.device.arena.allocate(size, whole=True)
        whole = torch.from_numpy(self.device.arena.bytes[address : address + size])
        return whole[: torch.Size(shape).numel() * dtype.itemsize].view(dtype).reshape(shape)

    def put(self, tensor: torch.Tensor | None) -> torch.Tensor | None:
        """A copy in the card's memory."""
        return None if tensor is None else self.empty(*tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())

    def address(self, tensor: torch.Tensor) -> int:
        return tensor.data_ptr() - int(self.device.arena.bytes.ctypes.data)

    def current(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def stream(self) -> Any:
        return self.queue

    def capturing(self) -> bool:
        return self.recorded

    def mark(self) -> Any:
        return f"behind {self.queue}"

    def wait(self, event: Any) -> None:
        self.waited.append(event)
