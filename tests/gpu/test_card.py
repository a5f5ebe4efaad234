"""Whether there is a card: the one test that says why, where all others are left out."""

from __future__ import annotations

from tzcore.backend.cuda.device import Device


def test_facts(device: Device) -> None:
    free, total = device.memory()
    assert 0 < free <= total
    assert device.capability >= (8, 0)
    assert device.multiprocessors > 0
    assert device.clock > 0
