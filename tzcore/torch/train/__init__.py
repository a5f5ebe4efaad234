"""Healing by training: ternarised models whose codes, scales and norms follow a gradient.

:func:`prepare` gives every :class:`tzcore.torch.TernaryLinear` real weights behind its codes (*latents*),
any loop of torch trains them, and :func:`convert` makes codes of them again.
"""

from tzcore.torch.train.latent import LatentLinear
from tzcore.torch.train.prepare import convert, parameter_groups, prepare

__all__ = ["LatentLinear", "convert", "parameter_groups", "prepare"]
