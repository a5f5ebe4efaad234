"""Memory of a card: planned before anything is loaded, taken at once, handed out by name.

A :class:`Plan` lists what a model will need; an :class:`Arena` is that much memory and no more, cut into
the plan's regions.  :class:`Ledger` counts what the models of this process have taken of a card
together, so that they keep a limit that the user has set.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from tzcore.backend.cuda.device import Device, OutOfMemoryError
from tzcore.errors import BackendError, DoesNotFitError
from tzcore.hardware import in_words

ALIGNMENT = 256
"""Every region, and everything in one, begins at a multiple of this."""


def aligned(size: int) -> int:
    """``size`` rounded up to whole units of :data:`ALIGNMENT`."""
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True)
class Plan:
    """What will be allocated on ``place``: named ``items`` in bytes, aligned.

    ``budget`` is what may be taken, ``reserve`` what the driver takes of it besides.  ``advice`` says what
    would help if it does not fit.
    """

    items: tuple[tuple[str, int], ...]
    budget: int
    reserve: int = 0
    place: str = "the card"
    advice: str = "close other programs on the card, or use a smaller model or encoding"

    def __post_init__(self) -> None:
        names = [name for name, _ in self.items]
        if len(set(names)) < len(names) or any(size < 0 or size % ALIGNMENT for _, size in self.items):
            raise BackendError(f"a plan of {self.items} is impossible: this is a bug")

    @property
    def total(self) -> int:
        """Bytes that are allocated, the reserve not among them."""
        return sum(size for _, size in self.items)

    @property
    def fits(self) -> bool:
        return self.total + self.reserve <= self.budget

    def size(self, name: str) -> int:
        """Bytes of an item; 0 where the plan has none of that name."""
        return dict(self.items).get(name, 0)

    def sentence(self) -> str:
        """The sum, for a person."""
        parts = " + ".join(f"{name} {in_words(size)}" for name, size in self.items if size)
        kept = f", of which {in_words(self.reserve)} are kept for the driver and the kernels" if self.reserve else ""
        return f"{parts} = {in_words(self.total)}; {self.place} has {in_words(self.budget)} free{kept}"

    def require(self) -> None:
        """Raise DoesNotFitError, with the sum and what would help, where the plan does not fit."""
        if not self.fits:
            words = f"The model does not fit on {self.place}: {self.sentence()}; {self.advice}"
            raise DoesNotFitError(words, self.place)


class Ledger:
    """What the models of this process have taken of one card.  ``limit`` None: all that is there."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.taken = 0
        self._lock = threading.Lock()

    def budget(self, free: int) -> int:
        """Bytes that one more model may take where the card has ``free``."""
        return free if self.limit is None else max(0, min(free, self.limit - self.taken))

    def take(self, size: int, place: str) -> None:
        """Count ``size`` bytes of the card ``place`` as taken; DoesNotFitError beyond the limit."""
        with self._lock:
            if self.limit is not None and self.taken + size > self.limit:
                words = (
                    f"The models on {place} may take {in_words(self.limit)} together, {in_words(self.taken)} are "
                    f"taken, and {in_words(size)} more are needed: unload a model"
                )
                raise DoesNotFitError(words, place)
            self.taken += size

    def give(self, size: int) -> None:
        """Count ``size`` bytes as free again."""
        with self._lock:
            self.taken -= size


class Region:
    """A named part of an arena, handed out from its beginning on."""

    def __init__(self, name: str, address: int, size: int) -> None:
        self.name, self.address, self.size = name, address, size
        self.used = 0

    def take(self, size: int, what: str) -> int:
        """The address of ``size`` bytes for ``what``.  BackendError beyond the region: the plan was wrong."""
        if self.used + aligned(size) > self.size:
            raise BackendError(
                f"{what} needs {size} bytes, and {self.size - self.used} of the {self.size} planned for {self.name} "
                "are left: this is a bug"
            )
        address = self.address + self.used
        self.used += aligned(size)
        return address


class Arena:
    """One allocation on ``device`` that holds the regions of ``plan``, in their order."""

    def __init__(self, device: Device, plan: Plan, ledger: Ledger | None = None) -> None:
        """DoesNotFitError where the plan does not fit, or where it did and the memory is gone since."""
        plan.require()
        self.plan = plan
        self._device = device
        self._ledger = ledger
        self._held = plan.total + plan.reserve
        if ledger is not None:
            ledger.take(self._held, plan.place)
        try:
            self.address = self._allocated()
        except BaseException:
            self._give()
            raise
        self._open = True
        self.regions: dict[str, Region] = {}
        at = self.address
        for name, size in plan.items:
            self.regions[name] = Region(name, at, size)
            at += size

    def _allocated(self) -> int:
        # Asked first: where a driver lends main memory instead of saying no (Windows), a model would crawl.
        free, _ = self._device.memory()
        if free < self.plan.total:
            raise self._taken(free)
        try:
            return self._device.allocate(self.plan.total)
        except OutOfMemoryError as error:
            raise self._taken(self._device.memory()[0]) from error

    def _taken(self, free: int) -> DoesNotFitError:
        words = (
            f"Another program took memory of {self.plan.place} while the model was being loaded: "
            f"{in_words(self.plan.total)} are needed and {in_words(free)} are free; close it (tz doctor names it) "
            "and load the model again"
        )
        return DoesNotFitError(words, self.plan.place)

    def region(self, name: str) -> Region:
        """The region ``name``; BackendError for one that was not planned, or after :meth:`close`."""
        if not self._open or name not in self.regions:
            raise BackendError(f"no memory was planned for {name}, or the model is closed")
        return self.regions[name]

    def close(self) -> None:
        """Give everything back."""
        if self._open:
            self._open = False
            try:
                self._device.free(self.address)
            finally:
                self._give()

    def _give(self) -> None:
        if self._ledger is not None:
            self._ledger.give(self._held)
