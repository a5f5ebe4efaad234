from __future__ import annotations

import pytest

from tests.unit.backend.cuda.pretended_driver import GIB, PretendedDriver
from tzcore.backend.cuda.arena import Arena, Ledger, Plan, Region, aligned
from tzcore.backend.cuda.device import OutOfMemoryError
from tzcore.backend.cuda.driver import CudaDevice, open_device
from tzcore.errors import BackendError, DoesNotFitError

ITEMS = (("weights", 4096), ("context", 1024), ("workspace", 256))


@pytest.fixture
def card(api: PretendedDriver) -> CudaDevice:
    return open_device()


def test_the_sum_of_a_plan() -> None:
    plan = Plan(ITEMS, budget=10_000, reserve=4_000)
    assert plan.total == 5376
    assert plan.fits
    assert (plan.size("context"), plan.size("nothing")) == (1024, 0)
    plan.require()
    assert Plan(ITEMS, budget=9376, reserve=4000).fits
    assert not Plan(ITEMS, budget=9375, reserve=4000).fits


def test_what_does_not_fit_is_itemised() -> None:
    items = (("weights", 20 * GIB), ("keys and values", 0), ("workspace", 256 << 20))
    plan = Plan(items, 12 * GIB, 512 << 20, "NVIDIA GeForce RTX 4070", "use a shorter context (--context 512)")
    with pytest.raises(DoesNotFitError) as caught:
        plan.require()
    assert caught.value.card == "NVIDIA GeForce RTX 4070"
    assert str(caught.value) == (
        "The model does not fit on NVIDIA GeForce RTX 4070: weights 21.5 GB + workspace 268.4 MB = 21.7 GB; "
        "NVIDIA GeForce RTX 4070 has 12.9 GB free, of which 536.9 MB are kept for the driver and the kernels; "
        "use a shorter context (--context 512)"
    )


@pytest.mark.parametrize("items", [(("a", 1),), (("a", -256),), (("a", 256), ("a", 256))])
def test_impossible_plans(items: tuple[tuple[str, int], ...]) -> None:
    with pytest.raises(BackendError, match="bug"):
        Plan(items, 1000)


def test_what_was_planned_is_what_is_allocated(api: PretendedDriver, card: CudaDevice) -> None:
    arena = Arena(card, Plan(ITEMS, GIB))
    assert [arguments for name, arguments in api.calls if name == "cuMemAlloc"] == [(5376,)]
    addresses = [arena.region(name).address - arena.address for name, _ in ITEMS]
    assert addresses == [0, 4096, 5120]
    arena.close()
    arena.close()
    assert api.names().count("cuMemFree") == 1
    with pytest.raises(BackendError, match="closed"):
        arena.region("weights")


def test_a_region_is_handed_out_aligned_and_ends() -> None:
    region = Region("weights", 1 << 20, 1024)
    assert [region.take(size, "a matrix") - (1 << 20) for size in (1, 256, 300)] == [0, 256, 512]
    assert region.used == 1024
    with pytest.raises(BackendError, match=r"q needs 1 bytes, and 0 of the 1024 planned for weights"):
        region.take(1, "q")
    assert [aligned(size) for size in (0, 1, 256, 257)] == [0, 256, 256, 512]


def test_memory_that_another_program_took_meanwhile(api: PretendedDriver, card: CudaDevice) -> None:
    plan = Plan(ITEMS, GIB, place="Pretended RTX")
    api.free = 5375
    with pytest.raises(DoesNotFitError, match=r"Another program took memory of Pretended RTX .* 5 kB are needed"):
        Arena(card, plan)
    assert "cuMemAlloc" not in api.names()
    api.free = GIB
    api.failing["cuMemAlloc"] = "OUT_OF_MEMORY"
    with pytest.raises(DoesNotFitError, match="Another program took"):
        Arena(card, plan)
    with pytest.raises(OutOfMemoryError):
        card.allocate(5376)


def test_what_does_not_fit_is_not_tried(api: PretendedDriver, card: CudaDevice) -> None:
    with pytest.raises(DoesNotFitError, match="does not fit on the card"):
        Arena(card, Plan(ITEMS, 5375))
    assert "cuMemAlloc" not in api.names()


def test_models_share_a_limit(api: PretendedDriver, card: CudaDevice) -> None:
    ledger = Ledger(12_000)
    assert ledger.budget(GIB) == 12_000
    assert ledger.budget(100) == 100
    plan = Plan(ITEMS, GIB, reserve=624)
    first = Arena(card, plan, ledger)
    second = Arena(card, plan, ledger)
    assert (ledger.taken, ledger.budget(GIB)) == (12_000, 0)
    with pytest.raises(DoesNotFitError, match=r"12 kB together, 12 kB are taken, and 6 kB more .*unload a model"):
        Arena(card, plan, ledger)
    first.close()
    assert ledger.budget(GIB) == 6_000
    api.failing["cuMemAlloc"] = "OUT_OF_MEMORY"
    with pytest.raises(DoesNotFitError):
        Arena(card, plan, ledger)
    assert ledger.taken == 6_000  # what failed has taken nothing
    second.close()
    assert ledger.taken == 0
    assert Ledger().budget(77) == 77
