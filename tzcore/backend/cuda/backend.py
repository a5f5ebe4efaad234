"""The CUDA backend: one card, and the plan of the model that goes there."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tzcore.architecture.spec import ModelSpec
from tzcore.backend.base import LoadedModel
from tzcore.backend.cuda import driver
from tzcore.backend.cuda.cards import Place
from tzcore.backend.cuda.plan import DevicePlan, plan
from tzcore.checkpoint.reader import ModelFolder
from tzcore.errors import BackendError
from tzcore.hardware import in_words

KERNELS = Path(__file__).parent / "ptx"
USUAL_CONTEXT = 8192
"""Tokens that are planned for where nobody has planned: measurements need no more."""
_ENGINE = "tzcore.backend.cuda.model"


class CudaBackend:
    """Runs models on ``place``, the way that ``plan`` says."""

    name = "cuda"

    def __init__(self, place: Place, plan: DevicePlan | None = None) -> None:
        self.place = place
        self.plan = plan

    def describe(self) -> str:
        card = self.place.card
        return f"{card.name}, {in_words(card.total)}, driver {card.driver}"

    def load(self, folder: ModelFolder, spec: ModelSpec, threads: int | None = None) -> LoadedModel:
        """Take the planned memory and bring the weights there.  ``threads`` has no effect.

        DoesNotFitError where the memory is not there (any more).
        """
        made = self.plan or self._plan(folder, spec)
        made.require()
        engine = import_module(_ENGINE)
        return engine.CudaModel(driver.open_device(self.place.number), folder, spec, made, self.place.ledger)

    def _plan(self, folder: ModelFolder, spec: ModelSpec) -> DevicePlan:
        matrices, budget = folder.quantization.matrices, self.place.budget
        context = min(USUAL_CONTEXT, spec.max_context)
        made = plan(spec, matrices, context, budget, self.place.card.name)
        if made.fits or not made.longest_context:
            return made
        return plan(spec, matrices, made.longest_context, budget, self.place.card.name)


def check_installed() -> None:
    """BackendError where this installation has no kernels, or nothing that runs them."""
    if not any(KERNELS.glob("*.ptx")) or find_spec(_ENGINE) is None:
        raise BackendError("this version has no CUDA engine yet")
