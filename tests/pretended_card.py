"""A CUDA card for tests on machines without one: tensors that say they are on it, computed by the CPU.

Everything a card would refuse is refused: a tensor on the CPU together with one on the card (copies from one
to the other apart), random numbers of the CPU's generator on the card, reading a tensor there as an array.
So code that is right here keeps its tensors where they belong, and must come to the CPU's results bit by
bit.  It says nothing of a real card's kernels, memory or speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from tzcore.quant import device
from tzcore.quant.device import Device

CARD = torch.device("meta")
_COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)


class OnCard(torch.Tensor):
    """``values`` on the CPU, shown to torch as a tensor of the same layout on the card."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> OnCard:
        made = torch.Tensor._make_wrapper_subclass(
            cls, values.size(), strides=values.stride(), storage_offset=values.storage_offset(), dtype=values.dtype,
            layout=values.layout, device=CARD,
        )  # fmt: skip
        made.values = values
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})

    def __repr__(self, **_: Any) -> str:
        return f"OnCard({self.values!r})"


class _Card(TorchDispatchMode):
    """Makes what is asked for on the card, and counts the operations there."""

    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = _computed(func, args, kwargs or {})
        self.operations += any(isinstance(leaf, OnCard) for leaf in tree_leaves(out))
        return out


class _FromLists(TorchFunctionMode):
    """``torch.tensor`` of numbers, which torch makes without asking a dispatch mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") is not None and torch.device(kwargs["device"]) == CARD:
            return func(*args, **{**kwargs, "device": "cpu"}).to(CARD)
        return func(*args, **kwargs)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    leaves = tree_leaves((args, kwargs))
    there = [leaf for leaf in leaves if isinstance(leaf, OnCard)]
    here = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and not isinstance(leaf, OnCard)]
    if there and func not in _COPIES:
        assert not any(leaf.dim() for leaf in here), f"{func} mixes tensors of the CPU and the card"
    asked = kwargs.get("device")
    to_card = bool(there) if asked is None else torch.device(asked) == CARD
    if to_card:
        assert not any(isinstance(leaf, torch.Generator) for leaf in leaves), f"{func} draws on the card"
    plain_args, plain_kwargs = tree_map_only(OnCard, lambda tensor: tensor.values, (args, kwargs))
    if asked is not None:
        plain_kwargs["device"] = torch.device("cpu")
    out = func(*plain_args, **plain_kwargs)
    if func is torch.ops.aten.copy_.default:
        to_card = isinstance(args[0], OnCard)
    written = [
        _argument(schema, index, args, kwargs)
        for index, schema in enumerate(func._schema.arguments)
        if schema.alias_info is not None and schema.alias_info.is_write
    ]
    if written and func._schema.returns:
        return written[0] if len(func._schema.returns) == 1 else tuple(written)
    return tree_map_only(torch.Tensor, OnCard, out) if to_card else out


def _argument(schema: Any, index: int, args: Any, kwargs: dict[str, Any]) -> Any:
    return kwargs[schema.name] if schema.name in kwargs else args[index]


@contextmanager
def pretended_card() -> Iterator[_Card]:
    """torch finds one card.  Attention is computed as products and sums, as on cards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "_cards", lambda: (1, ""))
        patch.setattr(device, "_card", lambda index: Device(str(CARD), "pretended card"))
        with _Card() as card, _FromLists():
            yield card


def same_attention() -> Any:
    """For the CPU: attention as a session on a card has it."""
    return sdpa_kernel(SDPBackend.MATH)
