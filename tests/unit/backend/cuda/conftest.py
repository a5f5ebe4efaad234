"""The driver as a pretended one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.backend.cuda.pretended_driver import PretendedDriver, pretended
from tzcore.backend.cuda import facts


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendedDriver]:
    monkeypatch.setattr(facts, "driver_version", lambda: "")
    with pretended() as made:
        yield made
