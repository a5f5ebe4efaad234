"""What a job is doing, in sentences."""

from __future__ import annotations

import time

from app import wording
from app.jobs.course import ORDER
from app.jobs.failures import REMEDIES
from app.jobs.job import MEASURE, Job
from app.translation import mark, tr

STATES = {
    "queued": mark("Waiting for its turn"),
    "running": mark("Starting"),
    "paused": mark("Paused. What is done is kept."),
    "failed": mark("Failed"),
    "done": mark("Done"),
    "cancelled": mark("Cancelled. What is done is kept."),
}
STEPS: tuple[tuple[str, frozenset[str]], ...] = (
    (mark("Download"), frozenset({"resolve", "download"})),
    (mark("Prepare"), frozenset({"calibrate", "measure"})),
    (mark("Ternarise"), frozenset({"convert"})),
    (mark("Tune"), frozenset({"tune"})),
    (mark("Check"), frozenset({"evaluate", "answer"})),
)
"""The steps of a conversion as a person sees them, and the phases in each."""


def tags(job: Job) -> list[str]:
    """How it is made: encoding or budget, and what else was chosen."""
    if job.kind == MEASURE:
        return [tr("Measurement")]
    found = [wording.encoding(job.encoding)] if job.encoding else []
    options = job.options
    if options.bits is not None:
        found.append(tr("{bits} bits a weight").format(bits=f"{options.bits:g}"))
    if options.size is not None:
        found.append(tr("at most {size}").format(size=options.size))
    if options.vram is not None:
        found.append(tr("for {size} of a card").format(size=options.vram))
    if options.quality is not None:
        found.append(tr("quality: {name}").format(name=options.quality))
    if job.packing:
        found.append(job.packing)
    if options.discard_source:
        found.append(tr("original not kept"))
    return found


def progress(job: Job) -> str:
    """``"Ternarising · 58 M of 135 M weights · 1.2 M weights/s"``, or the state."""
    if job.state == "failed":
        return sentence_case(job.message) or tr(STATES["failed"])
    if job.state != "running" or not job.phase:
        return tr(STATES.get(job.state, job.state))
    parts = [tr(wording.PHASES.get(job.phase, job.phase.capitalize()))]
    if job.done or job.total:
        parts.append(wording.amount(job.done, job.total, job.unit))
    if job.rate:
        parts.append(wording.rate(job.rate, job.unit))
    return "  ·  ".join(parts)


def sentence_case(text: str) -> str:
    """What the command line says begins with a small letter; a sentence does not."""
    return text[:1].upper() + text[1:]


def time_left(job: Job) -> str:
    """``"43 % · about 4 min left"``: of all phases together."""
    percent = int(100 * job.fraction)
    if job.state != "running":
        return tr("{percent} %").format(percent=percent) if percent else ""
    left = job.course.seconds_left(job.seconds_left)
    if left is None:
        return tr("{percent} %").format(percent=percent)
    return tr("{percent} %  ·  about {time} left").format(percent=percent, time=wording.duration(rounded(left)))


def summary(job: Job) -> str:
    """All of it in one line: ``"Ternarising · 58 M of 135 M weights · 1.2 M weights/s · 43 % · about 4 min left"``."""
    if job.state in ("failed", "done") and job.message:
        return sentence_case(job.message)
    return "  ·  ".join(part for part in (progress(job), time_left(job)) if part)


def rounded(seconds: float) -> float:
    """An estimate no more precise than it is: it should not flicker."""
    step = 5.0 if seconds < 60 else 10.0 if seconds < 300 else 60.0
    return max(step, step * round(seconds / step))


def remedy(job: Job) -> str:
    """What would help a job that failed, where that is known."""
    return tr(REMEDIES[job.remedy]) if job.state == "failed" and job.remedy in REMEDIES else ""


def steps(job: Job) -> list[tuple[str, str]]:
    """The steps with ``"done"``, ``"now"``, ``"later"`` or ``"none"`` (this job has no such step)."""
    names = STEPS if job.kind != MEASURE else (STEPS[0], STEPS[4])
    at = ORDER.index(job.phase) if job.phase in ORDER else -1
    found = []
    for name, phases in names:
        places = [ORDER.index(phase) for phase in phases]
        state = "done" if job.state == "done" or at > max(places) else "now" if at >= min(places) else "later"
        if not any(job.course.has(phase) for phase in phases):
            state = "none"
        found.append((tr(name), state))
    return found


def when(moment: float) -> str:
    """``"today, 14:05"`` or ``"2026-11-29"``."""
    if not moment:
        return ""
    then, now = time.localtime(moment), time.localtime()
    clock = time.strftime("%H:%M", then)
    if then[:3] == now[:3]:
        return tr("today, {time}").format(time=clock)
    return f"{time.strftime('%Y-%m-%d', then)}, {clock}"
