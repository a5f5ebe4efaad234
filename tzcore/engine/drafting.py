"""How many of the proposed tokens are worth checking in one step.

A step that checks drafts reads the weights once for all of them, so that it costs less than the
steps it may save; how much less depends on the machine and the model, and how often drafts are right
on the text.  Both are learned while an answer is written.  Times and counts decide only how
many tokens are drafted, never which tokens come out.
"""

from __future__ import annotations

from dataclasses import dataclass

from tzcore.engine.lookup import LEAST, LONGEST

MOST_DRAFTS = 7
"""Drafts of a step, which with the token before them are eight: beyond, processors gain little by reading the
weights once, as they are busy calculating."""

_WORTH = 1.06  # a gain that is smaller is lost in what is not known exactly
# Of a draft to be right after a match of LEAST, ..., LONGEST tokens, before any was seen.
_CHANCES = (0.35, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8)
_TEXT_WINDOW = 24  # drafts that an estimate of a chance looks back on, roughly
_TIME_WINDOW = 8  # steps that an estimate of a time looks back on, roughly
_KEPT = 1 - 1 / 16  # weight that a time of a step with drafts keeps when the next one comes
_KEPT_AT_PROBE = 0.5  # the same where steps with drafts were so long ago that they are doubtful
_ASSUMED = ((1, 0.2, 0.25), (MOST_DRAFTS, 1.0, 0.25))  # drafts, their cost in steps, weight: until times are known
_MEMORY_BOUND = 0.02  # cost of a draft, in steps, where nothing but the memory limits
_PLAIN_AFTER = 64  # steps with drafts after which one without is timed again
_LEAST_PATIENCE, _MOST_PATIENCE = 64, 1024  # drafts declined until the cost is tried out again
_OUTLIER = 3.0  # times beyond so many of the expected ones say more about other programs


@dataclass
class Tally:
    """Tokens of one answer that were drafted, and those of them that the model then chose."""

    drafted: int = 0
    accepted: int = 0


class Drafting:
    """What one open model has learned so far.

    The chance of a draft is kept per length of the match before it, and learned from every
    proposal, whether or not it was drafted, as the token that comes next judges either.  The time
    of a step with ``d`` drafts, in steps without any, is taken as ``1 + first + slope · d``, by least
    squares over recent steps.
    """

    def __init__(self) -> None:
        self._chances = list(_CHANCES)
        self._alone = 0.0  # seconds of a step without drafts; 0 until one was timed
        self._sums = [0.0] * 5  # of 1, x, y, x², xy over steps with drafts: x their number, y the added cost
        self._first = self._slope = 0.0
        self._fit()
        self._row = 0  # steps with drafts since the last without
        self._declined = 0  # drafts declined since the last that were taken, though they might be worth it
        self._patience = _LEAST_PATIENCE
        self._probing = False

    def length(self, matched: int, limit: int) -> int:
        """How many drafts to check, at most ``limit``, after a match of ``matched`` tokens."""
        self._probing = False
        if not self._alone or self._row >= _PLAIN_AFTER:
            return 0
        best, gain = 0, _WORTH
        expected = likely = 1.0  # tokens that come of the step; chance that all drafts so far are right
        for drafts in range(1, limit + 1):
            likely *= self._chances[min(matched + drafts - 1, LONGEST) - LEAST]
            expected += likely
            if (now := expected / self.cost(drafts)) > gain:
                best, gain = drafts, now
        if best:
            return best
        if expected > _WORTH * (1 + _MEMORY_BOUND * limit):
            self._declined += 1
            if self._declined >= self._patience:
                self._patience = min(2 * self._patience, _MOST_PATIENCE)
                self._probing = True
                return limit
        return 0

    def cost(self, drafts: int) -> float:
        """Time of a step with so many drafts, in steps without any."""
        return max(1.0, 1 + self._first + self._slope * drafts) if drafts else 1.0

    def checked(self, matched: int, right: bool) -> None:
        """Whether the token that was proposed after ``matched`` equal ones is the one that came."""
        place = min(matched, LONGEST) - LEAST
        self._chances[place] += (right - self._chances[place]) / _TEXT_WINDOW

    def took(self, drafts: int, seconds: float) -> None:
        """A step of one token and so many ``drafts`` took so long."""
        if drafts == 0:
            self._row = 0
            usual = self._alone or seconds
            self._alone = max(usual + (min(seconds, _OUTLIER * usual) - usual) / _TIME_WINDOW, 1e-9)
            return
        self._row += 1
        self._declined = 0
        if not self._probing:
            self._patience = _LEAST_PATIENCE
        kept = _KEPT_AT_PROBE if self._probing else _KEPT
        added = min(seconds / self._alone, _OUTLIER * self.cost(drafts)) - 1 if self._alone else 0.0
        new = (1.0, drafts, added, drafts * drafts, drafts * added)
        self._sums = [kept * old + term for old, term in zip(self._sums, new, strict=True)]
        self._fit()

    def _fit(self) -> None:
        n, x, y, xx, xy = self._sums
        for drafts, cost, weight in _ASSUMED:  # they also keep the equations solvable where all x are the same
            n, x, y = n + weight, x + weight * drafts, y + weight * cost
            xx, xy = xx + weight * drafts * drafts, xy + weight * drafts * cost
        self._slope = max((n * xy - x * y) / (n * xx - x * x), 0.0)
        self._first = (y - self._slope * x) / n
        if self._first < 0:  # few drafts never cost less, each, than many do
            self._first, self._slope = 0.0, max(xy / xx, 0.0)
