"""What the tests on a card share: the card, and the interpreter's cases made to run on it."""

from __future__ import annotations

import pytest

from tests.gpu import card as cards
from tests.ptx import launching
from tzcore.backend.cuda.device import Device

FOUND = cards.find()
# Without a card one test says so, and hundreds need not.
ON_A_CARD = ["test_device.py", "test_kernels.py", "test_models.py", "test_torch.py"]
collect_ignore = ON_A_CARD if isinstance(FOUND, str) else []


@pytest.fixture(scope="session")
def card() -> Device:
    if isinstance(FOUND, str):
        pytest.skip(FOUND)
    return FOUND


@pytest.fixture(scope="module")
def device(card: Device) -> Device:
    """Under the name that the interpreter's tests have for it."""
    return card


@pytest.fixture(autouse=True)
def _cases_run_on_the_card(card: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "DEVICE", card)
