"""The engine as a PyTorch library: ternary layers in place of :class:`torch.nn.Linear`.

Everything here imports torch; nothing else of tzcore imports this.  transformers knows the model folders of
``tz convert`` once this has been imported, and is imported only by what needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tzcore.torch import registration
from tzcore.torch.folder import load_model
from tzcore.torch.linear import TernaryLinear
from tzcore.torch.replace import ternarize
from tzcore.torch.saving import save_model

if TYPE_CHECKING:
    from tzcore.torch.adapters import for_adapters
    from tzcore.torch.quantizer import TernaryConfig

__all__ = ["TernaryConfig", "TernaryLinear", "for_adapters", "load_model", "save_model", "ternarize"]

_LATER = {"TernaryConfig": "quantizer", "for_adapters": "adapters"}

registration.register()


def __getattr__(name: str) -> Any:
    """What imports transformers or peft, when it is asked for."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"tzcore.torch.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
