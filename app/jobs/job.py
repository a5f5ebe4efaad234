"""One piece of work in the queue, as it is shown and as it is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.jobs.course import Course
from app.jobs.options import Options

CONVERT, MEASURE = "convert", "measure"
"""What a job can be: a model is fetched and ternarised, or an installed one is measured for its receipt."""


@dataclass(eq=False)
class Job:
    """One download and conversion, or one measurement of an installed model.

    ``source`` is what is converted, or the id of the model that is measured (``kind`` :data:`MEASURE`).
    ``encoding`` ``""`` leaves the choice to the converter; ``options`` are the other choices.  ``state``:
    queued, running, paused, failed, done or cancelled.

    ``phase``, ``done``, ``total``, ``unit`` and ``detail`` are the child's last report (see
    :class:`tzcore.progress.Progress`; ``total`` 0 = not known).  ``rate`` is in ``unit`` a second and
    ``seconds_left`` for this phase, both ``None`` until measured.  ``message`` says why it failed, or
    what was made; ``remedy`` what would help, a key of :data:`app.jobs.failures.REMEDIES`.
    """

    id: str
    source: str
    encoding: str
    packing: str | None = None
    state: str = "queued"
    phase: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    detail: str = ""
    rate: float | None = None
    seconds_left: float | None = None
    message: str = ""
    model_id: str = ""
    """The installed model's id, once done."""
    created: float = 0.0
    kind: str = CONVERT
    position: int = 0
    options: Options = field(default_factory=Options)
    course: Course = field(default_factory=Course)
    """How far the whole is, over all phases."""
    remedy: str = ""
    verdict: str = ""
    """How good what was made is, in a sentence; of this session alone."""
    finished: float = 0.0
    """When it reached its end, in seconds since 1970; 0 before."""

    @property
    def unfinished(self) -> bool:
        return self.state in ("queued", "running", "paused")

    @property
    def over(self) -> bool:
        """It is history: nothing is left to be done."""
        return self.state == "done"

    @property
    def fraction(self) -> float:
        """How much of all the work is done, from 0 to 1; never less than before."""
        return 1.0 if self.state == "done" else self.course.fraction
