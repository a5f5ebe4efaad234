"""A machine with a card, pretended from end to end: its management library, its driver, and an engine that
takes the planned memory there and computes in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.backend.cuda import pretended_driver, pretended_nvml
from tests.unit.backend.cuda.pretended_driver import PretendedDriver
from tests.unit.backend.cuda.pretended_nvml import PretendedCard
from tzcore.architecture.spec import ModelSpec
from tzcore.backend.cuda import backend, cards
from tzcore.backend.cuda.arena import Arena, Ledger
from tzcore.backend.cuda.device import Device
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.backend.reference import ReferenceModel
from tzcore.checkpoint.reader import ModelFolder


class CudaModel(ReferenceModel):
    def __init__(
        self, device: Device, folder: ModelFolder, spec: ModelSpec, plan: DevicePlan, ledger: Ledger | None
    ) -> None:
        self.arena = Arena(device, plan.memory, ledger)
        super().__init__(folder, spec, "int8", "f16")

    def close(self) -> None:
        self.arena.close()
        super().close()


@contextmanager
def pretended_machine(folder: Path, *found: PretendedCard) -> Iterator[PretendedDriver]:
    """``folder`` is for a file of kernels.  The driver sees as many cards as the library, in the same order."""
    (folder / "pretended.ptx").write_text(".version 8.0")
    shown = found or (PretendedCard(uuid="GPU-" + "0" * 32),)
    with (
        pytest.MonkeyPatch.context() as patch,
        pretended_nvml.pretended(*shown),
        pretended_driver.pretended() as api,
    ):
        api.count = len(shown)
        patch.setattr(backend, "KERNELS", folder)
        patch.setattr(backend, "_ENGINE", __name__)
        patch.setattr(cards, "_ledgers", {})
        yield api
