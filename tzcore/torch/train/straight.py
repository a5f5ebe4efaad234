"""The straight-through rule: the engine's product forwards, an ordinary matrix product's gradients backwards.

A stored weight is ``w = gain · s · q`` with ``q = clip(round(u))``, where ``s`` is the fp16 scale of a group of
columns and the *latent* ``u`` is a real number in units of that scale: the levels are integers whatever the matrix,
so that one learning rate serves them all.  Forwards, latents are rounded and packed, and the product is the one that
the engine computes, inputs rotated and rounded to int8 included.  Backwards (Bengio, Léonard & Courville 2013, with
the clipped estimator of BinaryConnect, Courbariaux et al. 2015)::

    ∂y/∂u = gain · s · x̂     where u lies within half a level of the levels, or the step leads back there; else 0
    ∂y/∂s = gain · q · x̂     summed over the group
    ∂y/∂x = gain · s · q     turned back, straight through the rounding of the input

with x̂ the rotated, rounded input.  The gradient is *not* cut for latents that round to 0: a weight in that dead zone
that got none could never leave it.
"""

from __future__ import annotations

from typing import Any

import torch

from tzcore.torch.form import MatrixForm
from tzcore.torch.product import ternary_linear
from tzcore.torch.train import passes
from tzcore.torch.train.rounding import packed_scales


class Product(torch.autograd.Function):
    """``y = x·Wᵀ + bias`` with ``W`` rounded from latents ``[rows, cols]`` and scales ``[rows, groups]``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        latents: torch.Tensor,
        scales: torch.Tensor,
        bias: torch.Tensor | None,
        signs: torch.Tensor | None,
        form: MatrixForm,
    ) -> torch.Tensor:
        """``x`` ``[..., cols]``; ``[..., rows]`` in its type."""
        ctx.save_for_backward(x, latents, scales, bias, signs)
        ctx.form = form
        codes = passes.packed(latents, form)
        return ternary_linear(
            x, codes, packed_scales(scales), signs, bias,
            form.rows, form.cols, form.format.name, form.group, form.block, form.gain, form.activations,
        )  # fmt: skip

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x, latents, scales and bias; products are in the type of x."""
        x, latents, scales, bias, signs = ctx.saved_tensors
        form: MatrixForm = ctx.form
        (grad,) = grads
        flat = grad.reshape(-1, form.rows).to(x.dtype)
        to_x = to_latents = to_scales = to_bias = None
        if ctx.needs_input_grad[0]:
            back = flat @ passes.weights(latents, scales, form, x.dtype)
            to_x = (back if signs is None else passes.turn_back(back, signs, form.block)).view(x.shape)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            met = passes.met(x.reshape(-1, form.cols), signs, form)
            to_latents, to_scales = passes.split(flat.T @ met, latents, scales, form)
        if bias is not None and ctx.needs_input_grad[3]:
            to_bias = flat.float().sum(0).to(bias.dtype)
        return to_x, to_latents, to_scales, to_bias, None, None
