"""The engine as a PyTorch library: ternary layers in place of :class:`torch.nn.Linear`.

Everything here imports torch; nothing else of tzcore imports this.
"""

from tzcore.torch.linear import TernaryLinear

__all__ = ["TernaryLinear"]
