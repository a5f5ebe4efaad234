"""A layer in training: real weights behind a matrix of codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from tzcore import trits
from tzcore.errors import TrainingError
from tzcore.quant import rotation
from tzcore.torch.exact import Exact
from tzcore.torch.form import MatrixForm
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.train.passes import packed
from tzcore.torch.train.rounding import packed_scales, rounded, spread
from tzcore.torch.train.straight import Product

CELL = 0.49
"""How far from its code a latent may start, in levels: short of the threshold at 0.5, so that the trained model begins
as the converted one, to the bit."""

Weights = Callable[[], torch.Tensor]
"""Gives the float weights ``[rows, cols]`` that a matrix was rounded from."""


class LatentLinear(Exact):
    """A :class:`TernaryLinear` whose codes are rounded from ``latents``, and whose scales are ``start · ratio``.

    ``latents`` ``[rows, cols]`` are in units of their scale, ``ratio`` ``[rows, groups]`` begins at 1; both are
    float32 and trained (or held fixed, by ``requires_grad``).  With ``statistical`` scales the ratio is not trained:
    it is the mean magnitude of a group's latents over that at the start, as in BitNet b1.58 (Ma et al. 2024),
    and latents are rounded in units of it.  With ``rank`` > 0 the latents are ``base + aside/256 + up·down`` with the
    first two fixed, a byte each: what is trained are two thin matrices (LoRA, Hu et al. 2021, before the rounding).
    ``fixed`` ones are their codes, a byte each, and only the ratio is trained.  Latents that are made in the forward
    are made again in the backward, and not kept in between.

    ``to(dtype)``, ``half()`` and their like convert the bias alone.
    """

    ratio: torch.Tensor
    signs: torch.Tensor | None

    def __init__(
        self, form: MatrixForm, bias: torch.Tensor | None, signs: torch.Tensor | None, scales: torch.Tensor
    ) -> None:
        """``scales`` ``[rows, groups]``: where they start.  Use :meth:`of`."""
        super().__init__()
        self.form = form
        self.in_features, self.out_features = form.cols, form.rows
        self.statistical, self.rank = False, 0
        self.bias = bias if bias is None else nn.Parameter(bias.detach().clone())
        self.register_buffer("signs", signs)
        self.register_buffer("start", scales.float())

    @classmethod
    def of(
        cls,
        layer: TernaryLinear,
        weights: Weights | None = None,
        *,
        statistical: bool = False,
        rank: int = 0,
        fixed: bool = False,
        seed: int = 0,
    ) -> LatentLinear:
        """Latents that round to the codes of ``layer``: within the cell of each code as near to ``weights`` as can be,
        or at its middle without them.  TrainingError for a matrix of halves, which has no codes."""
        fmt = trits.format_named(layer.fmt)
        if fmt.packing == "half" or layer.scales is None:
            raise TrainingError("a matrix of halves has no codes to train: leave it out of the patterns")
        rows, cols = layer.out_features, layer.in_features
        form = MatrixForm(rows, cols, fmt, layer.group, layer.block, layer.gain, layer.activations)
        device = layer.codes.device
        codes = torch.from_numpy(trits.unpack(layer.codes.cpu().numpy(), fmt, rows, cols)).to(device).float()
        scales = torch.from_numpy(trits.unpack_scales(layer.scales.cpu().numpy(), rows)).to(device).float()
        made = cls(form, layer.bias, layer.signs, scales)
        latents = codes if weights is None else made._within_cells(codes, weights())
        if fixed:
            made._add_codes(codes)
        else:
            made._add_latents(latents, statistical, rank, seed)
        return made

    def _within_cells(self, codes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        form = self.form
        weights = weights.to(codes.device, torch.float32)
        if weights.shape != codes.shape or not bool(weights.isfinite().all()):
            raise TrainingError(
                f"the original's weights are {list(weights.shape)}, or not finite, where codes are "
                f"{list(codes.shape)}: is this the model that was converted?"
            )
        if self.signs is not None:
            weights = rotation.rotate(weights, self.signs, form.block)
        wide = spread(self.start * form.gain, form.cols, form.group)
        away = torch.where(wide == 0, 0, weights / wide - codes)
        # Errors fed forward put many codes beside the nearest.  Laid against the threshold, they would all cross it in
        # the first steps, before gradients mean anything (perplexity 85 became 6,855); this leaves few near it.
        return codes + (away / (1 + 2 * away.abs())).clamp_(-CELL, CELL)

    def _add_codes(self, codes: torch.Tensor) -> None:
        self.register_buffer("base", codes.to(torch.int8))
        self.ratio = nn.Parameter(torch.ones_like(self.start))

    def _add_latents(self, latents: torch.Tensor, statistical: bool, rank: int, seed: int) -> None:
        self.statistical, self.rank = statistical, rank
        form = self.form
        if rank:
            generator = torch.Generator().manual_seed(seed)
            base = latents.round()
            self.register_buffer("base", base.to(torch.int8))
            self.register_buffer("aside", ((latents - base) * 256).round().to(torch.int8))
            latents = self._base()
            down = torch.randn(rank, form.cols, generator=generator) / rank**0.5
            self.down, self.up = nn.Parameter(down.to(latents.device)), nn.Parameter(latents.new_zeros(form.rows, rank))
        else:
            self.latents = nn.Parameter(latents)
        if statistical:
            self.register_buffer("reference", _means(latents, form))
        else:
            self.ratio = nn.Parameter(torch.ones_like(self.start))

    def _base(self) -> torch.Tensor:
        return self.aside.float().div_(256).add_(self.base)

    def _raw(self) -> torch.Tensor:
        if self.rank:
            return torch.addmm(self._base(), self.up, self.down)
        latents: torch.Tensor | None = getattr(self, "latents", None)
        return self.base.float() if latents is None else latents

    def _now(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents and scales of this moment."""
        latents = self._raw()
        if not self.statistical:
            return latents, self.start * self.ratio
        # A group whose latents are all 0 keeps its scale.
        ratio = torch.where(self.reference > 0, _means(latents, self.form) / self.reference.clamp(min=1e-12), 1)
        return latents / spread(ratio, self.form.cols, self.form.group).clamp(min=1e-6), self.start * ratio

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        latents, scales = self._now()
        with self._made_again(latents):
            result: torch.Tensor = Product.apply(x, latents, scales, self.bias, self.signs, self.form)
        return result

    def _made_again(self, latents: torch.Tensor) -> AbstractContextManager[Any]:
        """Autograd keeps a note in place of ``latents`` that are no parameter: all layers' together are a whole model
        of floats, which is what those modes are there to avoid."""
        if latents is getattr(self, "latents", None):
            return nullcontext()
        place = latents.data_ptr()

        def keep(tensor: torch.Tensor) -> torch.Tensor | None:
            return None if tensor.data_ptr() == place else tensor

        def give(kept: torch.Tensor | None) -> torch.Tensor:
            if kept is not None:
                return kept
            with torch.no_grad():
                return self._now()[0]

        return torch.autograd.graph.saved_tensors_hooks(keep, give)

    def codes(self) -> torch.Tensor:
        """The codes that the latents round to now, ``[rows, cols]`` int8."""
        with torch.no_grad():
            return rounded(self._now()[0], self.form.format).to(torch.int8)

    def to_ternary(self) -> TernaryLinear:
        """The layer of integers with the same forward, to the bit."""
        form = self.form
        with torch.no_grad():
            latents, scales = self._now()
            made = TernaryLinear(
                form.cols, form.rows, self.bias is not None, fmt=form.format.name, group=form.group, block=form.block,
                gain=form.gain, activations=form.activations,
            ).to(latents.device)  # fmt: skip
            halves = packed_scales(scales)
            if not bool(halves.isfinite().all()):
                raise TrainingError("a scale has left the range of half precision: train with a lower rate")
            made.codes.copy_(packed(latents, form))
            assert made.scales is not None
            made.scales.copy_(halves)
            if made.signs is not None and self.signs is not None:
                made.signs.copy_(self.signs)
            if made.bias is not None and self.bias is not None:
                made.bias = nn.Parameter(self.bias.detach().clone())
        return made

    def exact(self) -> Iterator[torch.Tensor]:
        """All but the bias: what bfloat16 makes of latents rounds to other codes."""
        yield from self.buffers(recurse=False)
        yield from (own for name, own in self.named_parameters(recurse=False) if name != "bias")

    def extra_repr(self) -> str:
        kind = "statistical" if self.statistical else "learned"
        thin = f", rank={self.rank}" if self.rank else ""
        return f"{self.in_features}, {self.out_features}, fmt={self.form.format.name}, {kind} scales{thin}"


def _means(latents: torch.Tensor, form: MatrixForm) -> torch.Tensor:
    """Mean magnitude of each group, ``[rows, groups]``; a short last group is divided by its own length."""
    short = -form.cols % form.group
    total = torch.nn.functional.pad(latents.abs(), (0, short)).view(form.rows, -1, form.group).sum(-1)
    counts = torch.full_like(total[:1], form.group)
    counts[0, -1] = form.group - short
    return total / counts
