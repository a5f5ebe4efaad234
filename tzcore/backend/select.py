"""Which backend runs a model, and why, in words."""

from __future__ import annotations

from tzcore.backend.base import Backend
from tzcore.errors import BackendError

NAMES = ("auto", "cpu", "reference")


def select(name: str = "auto") -> tuple[Backend, str]:
    """The backend called ``name``, and the reason for it.

    ``auto`` takes the processor: this version has no other fast backend.  ``reference`` is the slow
    NumPy one that the fast ones are tested against; it is never chosen by itself.
    """
    if name == "reference":
        from tzcore.backend.reference import ReferenceBackend

        return ReferenceBackend(), "asked for by name; slow, for comparison only"
    if name not in NAMES:
        raise BackendError(f"there is no backend {name!r}; choose one of {', '.join(NAMES)}")
    from tzcore.backend.cpu import CpuBackend

    reason = "asked for by name" if name == "cpu" else "this version runs models on the processor only"
    return CpuBackend(), reason
