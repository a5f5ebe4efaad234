"""Tensors of a module that keep their type whatever the module is converted to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import torch
from torch import nn

_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class Exact(nn.Module):
    """A module of which ``to(dtype)``, ``half()`` and their like convert nothing that :meth:`exact` gives."""

    def exact(self) -> Iterable[torch.Tensor | None]:
        """What moves and is never converted; the module's buffers as long as nobody says more."""
        return self._buffers.values()

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        kept = [tensor for tensor in self.exact() if tensor is not None]
        # A gradient has the type of its parameter.
        known = {id(tensor) for tensor in kept} | {id(one.grad) for one in kept if one.is_leaf and one.grad is not None}
        super()._apply(lambda tensor: _moved(fn, tensor) if id(tensor) in known else fn(tensor), recurse)
        return self


def _moved(fn: Callable[[torch.Tensor], torch.Tensor], tensor: torch.Tensor) -> torch.Tensor:
    """What ``fn`` makes of ``tensor``, in its own type: ``fn`` is shown its bits as whole numbers."""
    bits = tensor.view(_WHOLE[tensor.itemsize]) if tensor.is_floating_point() else tensor
    made = fn(bits)
    if made.dtype != bits.dtype:
        made = bits.to(made.device)
    return tensor if made is bits else made.view(tensor.dtype)
