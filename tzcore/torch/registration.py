"""Makes :class:`tzcore.torch.quantizer.TernaryConfig` known to transformers, without importing transformers for it.

transformers' quantisers take as long to import as torch does, and most programs that use a ternary layer need
none of them.  So the registration waits for the import of :data:`WATCHED`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

WATCHED = "transformers.quantizers.auto"


def register() -> None:
    """Tell transformers now, if it is there already, or as soon as it is imported."""
    if WATCHED in sys.modules:
        _register()
    elif not any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Waiting())


def _register() -> None:
    """The module registers what it defines, as its last act.  It may be on its way already, and have caused the import
    that was waited for."""
    importlib.import_module("tzcore.torch.quantizer")


class _Waiting(importlib.abc.MetaPathFinder):
    """Finds one module, in the ordinary way, and has something done after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Then(spec.loader)
        return spec


class _Then(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        _register()
