"""Which backend runs a model, and why, in words."""

from __future__ import annotations

from collections.abc import Callable

from tzcore.backend.base import Backend
from tzcore.backend.cuda.arena import Plan
from tzcore.backend.cuda.backend import CudaBackend, check_installed
from tzcore.backend.cuda.cards import Place, places
from tzcore.backend.cuda.facts import loaded_driver
from tzcore.backend.cuda.plan import DevicePlan
from tzcore.errors import BackendError, MissingExtraError
from tzcore.hardware import in_words

NAMES = ("auto", "cpu", "cuda", "reference")

Fit = Callable[[int, str], DevicePlan]
"""The plan of the model in question for so many bytes of the card of this name.  BackendError says why the
kernels cannot run it."""


def select(name: str = "auto", fit: Fit | None = None, reclaimable: int = 0) -> tuple[Backend, str]:
    """The backend called ``name``, and the reason for it.

    ``auto`` takes a card if one can hold the plan that ``fit`` makes, else the processor.  Where only
    ``reclaimable`` bytes, which unused models of this process have on the card, are missing, it is a
    DoesNotFitError: unload them and ask again.  Without ``fit`` any card will do.  ``cuda`` by name never
    becomes anything else: what is in the way is an error.  ``reference`` is the slow NumPy backend that
    the fast ones are tested against; it is never chosen by itself.
    """
    if name == "reference":
        from tzcore.backend.reference import ReferenceBackend

        return ReferenceBackend(), "asked for by name; slow, for comparison only"
    if name not in NAMES:
        raise BackendError(f"there is no backend {name!r}; choose one of {', '.join(NAMES)}")
    if name == "cuda":
        check_installed()
        backend = _on_card(places(), fit)
        if backend.plan is not None:
            backend.plan.require()
        return backend, "asked for by name"
    reason = "asked for by name"
    if name == "auto":
        found = _automatic(fit, reclaimable)
        if not isinstance(found, str):
            return found
        reason = found
    from tzcore.backend.cpu import CpuBackend

    return CpuBackend(), reason


def _automatic(fit: Fit | None, reclaimable: int) -> tuple[CudaBackend, str] | str:
    """The card and why, or why the processor."""
    try:
        check_installed()
        cards = places()
    except MissingExtraError as error:
        return f"there is an NVIDIA driver, but {error}" if loaded_driver() else "there is no NVIDIA driver"
    except BackendError as error:
        return str(error)
    try:
        backend = _on_card(cards, fit)
    except BackendError as error:
        return str(error)
    if fit is None or backend.plan is None:
        return backend, "the card can be used"
    memory = backend.plan.memory
    if memory.fits:
        return backend, f"it fits on the card: {_room(memory)}"
    if reclaimable and fit(memory.budget + reclaimable, memory.place).fits:
        memory.require()
    return f"it does not fit on {memory.place}: {backend.plan.sentence()}"


def _on_card(cards: list[Place], fit: Fit | None) -> CudaBackend:
    """The card with most room: where a model does not fit there, it fits nowhere."""
    place = cards[0]
    return CudaBackend(place, None if fit is None else fit(place.budget, place.card.name))


def _room(memory: Plan) -> str:
    return f"{in_words(memory.total + memory.reserve)} of {in_words(memory.budget)} free"
