"""What the tests on a card share: the card, and the interpreter's cases made to run on it."""

from __future__ import annotations

import pytest

from tests.gpu import card as cards
from tests.ptx import launching
from tzcore.backend.cuda.device import Device


@pytest.fixture(scope="session")
def card() -> Device:
    found = cards.find()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture(scope="module")
def device(card: Device) -> Device:
    """Under the name that the interpreter's tests have for it."""
    return card


@pytest.fixture(autouse=True)
def _cases_run_on_the_card(card: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launching, "DEVICE", card)
