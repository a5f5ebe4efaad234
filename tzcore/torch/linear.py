"""A ternary layer in place of :class:`torch.nn.Linear`."""

from __future__ import annotations

import torch
from torch import nn

from tzcore import trits
from tzcore.errors import ConversionError
from tzcore.quant import rotation
from tzcore.torch.exact import Exact
from tzcore.torch.product import ternary_linear, weight_rows

GROUP = 128


class TernaryLinear(Exact):
    """``y = x·Wᵀ + bias`` with ``W`` stored as small integers and group scales, as in a model folder.

    ``codes``, ``scales`` and ``signs`` are buffers in the bytes of :mod:`tzcore.trits`; ``bias`` is a parameter.
    Inputs of any floating type, ``[..., in_features]``; outputs have their type, or that of ``torch.autocast``, as with
    :class:`torch.nn.Linear`.  Gradients go to the input and the bias.  ``activations``: see
    :data:`tzcore.checkpoint.schema.Activations`.

    ``to(dtype)``, ``half()`` and their like convert the bias alone: the weights are stored exactly, and stay so.
    """

    codes: torch.Tensor
    scales: torch.Tensor | None
    signs: torch.Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        fmt: str = "t1",
        group: int = GROUP,
        block: int = 0,
        gain: float = 1.0,
        activations: str = "group",
    ) -> None:
        """An empty layer (all weights 0), to be filled by :meth:`from_linear` or ``load_state_dict``.

        ``block`` > 0: its input is turned by a Hadamard transform with ``signs``.  ConversionError for a
        fmt, a group or a block that there is not.
        """
        super().__init__()
        chosen = trits.format_named(fmt)
        half = chosen.packing == "half"
        if not half and group not in trits.GROUPS:
            raise ConversionError(f"groups have {' or '.join(map(str, trits.GROUPS))} weights, not {group}")
        if block and (block < 2 or block & (block - 1) or in_features % block):
            raise ConversionError(f"a Hadamard block of {block} does not fit {in_features} columns")
        self.in_features, self.out_features = in_features, out_features
        self.fmt, self.group, self.block, self.gain = fmt, 0 if half else group, block, gain
        self.activations = activations
        tiles = trits.tiles(out_features)
        if half:
            codes = torch.zeros(tiles, trits.padded(in_features), trits.LANES, dtype=torch.float16)
        else:
            codes = torch.zeros(tiles, trits.tile_bytes(chosen, in_features), dtype=torch.uint8)
        groups = 0 if half else trits.groups(in_features, group)
        scales = None if half else torch.zeros(tiles, groups, trits.LANES, dtype=torch.float16)
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        self.register_buffer("signs", torch.ones(in_features, dtype=torch.int8) if block else None)
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def from_linear(cls, linear: nn.Linear, fmt: str = "t1", group: int = GROUP, name: str = "layer") -> TernaryLinear:
        """The layer whose weights are nearest to those of ``linear``, group by group, without calibration."""
        weight = linear.weight.detach().to("cpu", torch.float32).numpy()
        rows, cols = weight.shape
        made = cls(cols, rows, linear.bias is not None, fmt=fmt, group=group)
        chosen = trits.format_named(fmt)
        try:
            if chosen.packing == "half":
                made.codes.copy_(torch.from_numpy(trits.pack_half(weight)))
            else:
                codes, scales = trits.fit(weight, chosen, group)
                made.codes.copy_(torch.from_numpy(trits.pack(codes, chosen)))
                assert made.scales is not None
                made.scales.copy_(torch.from_numpy(trits.pack_scales(scales)))
        except ConversionError as error:
            raise ConversionError(f"{name}: {error}") from None
        if linear.bias is not None and made.bias is not None:
            with torch.no_grad():
                made.bias.copy_(linear.bias)
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[..., out_features]``; BackendError for an input of another shape, type or device."""
        kind = x.device.type
        known = torch.amp.is_autocast_available(kind)
        if known and torch.is_autocast_enabled(kind) and x.dtype in (torch.float32, torch.bfloat16, torch.float16):
            x = x.to(torch.get_autocast_dtype(kind))
        return ternary_linear(
            x, self.codes, self.scales, self.signs, self.bias,
            self.out_features, self.in_features, self.fmt, self.group, self.block, self.gain, self.activations,
        )  # fmt: skip

    @property
    def qweight(self) -> torch.Tensor:
        """The codes, under the name by which peft looks for a quantised layer's device."""
        return self.codes

    def dequantised(self) -> torch.Tensor:
        """The weights in float32 ``[out_features, in_features]``, as an ``nn.Linear`` would have them."""
        rows, cols = self.out_features, self.in_features
        found = weight_rows(self.codes, self.scales, 0, rows, cols, self.fmt, self.group)
        if self.signs is not None:
            found = rotation.unrotate(found, self.signs, self.block)
        return (found * self.gain).contiguous()

    def extra_repr(self) -> str:
        turned = f", block={self.block}" if self.block else ""
        return f"{self.in_features}, {self.out_features}, fmt={self.fmt}, group={self.group}{turned}"
