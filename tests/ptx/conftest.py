"""What the interpreter's tests launch is noted for ``tests/ptx/cases.py``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.ptx.cases import PTX, RECORD
from tests.ptx.device import InterpretedDevice, Kernel
from tests.ptx.syntax import ModuleText


@pytest.fixture(scope="session", autouse=True)
def _recorded_launches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Notes every launch of a shipped kernel on an interpreted device."""
    record = request.config.stash[RECORD]
    texts = {path.read_text(encoding="utf-8") for path in PTX.glob("*.ptx")}
    shipped: dict[str, ModuleText] = {}
    load, launch = InterpretedDevice.load, InterpretedDevice.launch

    def loading(self: InterpretedDevice, ptx: str) -> Any:
        module = load(self, ptx)
        if ptx in texts:
            shipped[ptx] = module.text
        return module

    def launching(
        self: InterpretedDevice, kernel: Kernel, grid: Any, block: int, arguments: Any, *more: Any, **named: Any
    ) -> None:
        if any(text.kernels.get(kernel.name) is kernel.text for text in shipped.values()):
            numbers = [a for a, kind in zip(arguments, kernel.parameters, strict=False) if kind != "u64"]
            test = os.environ.get("PYTEST_CURRENT_TEST", "").split("[")[0].split(" ")[0]
            record["\t".join((kernel.name, test, str((*map(int, grid), *map(float, numbers)))))] += 1
        launch(self, kernel, grid, block, arguments, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InterpretedDevice, "load", loading)
        patch.setattr(InterpretedDevice, "launch", launching)
        yield
