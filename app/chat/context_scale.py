"""The scale of contexts to choose from: logarithmic, from 256 tokens to beyond what a model was made for.  No Qt."""

from __future__ import annotations

import math

LEAST = 256
MOST = 1_048_576
STEPS_PER_DOUBLING = 16
SNAPS = (4096, 8192, 16_384, 32_768, 65_536, 131_072)
"""Round lengths that the scale is drawn to."""
NEAR = 2
"""Steps within which it is drawn to them."""
BEYOND = 4
"""How many times what the model was made for the scale reaches."""


def longest(made_for: int) -> int:
    """The end of the scale."""
    return max(LEAST * 2, min(MOST, made_for * BEYOND))


def steps(made_for: int) -> int:
    """The number of the scale's last step."""
    return math.ceil(math.log2(longest(made_for) / LEAST) * STEPS_PER_DOUBLING)


def step_of(tokens: int) -> int:
    """The step nearest to ``tokens``."""
    return round(math.log2(max(tokens, LEAST) / LEAST) * STEPS_PER_DOUBLING)


def tokens_at(step: int, made_for: int) -> int:
    """Tokens at a step: round lengths and the model's own draw near steps to them; else a multiple of 256."""
    for snap in sorted({*SNAPS, made_for, longest(made_for)}, key=lambda snap: abs(step_of(snap) - step)):
        if abs(step_of(snap) - step) <= NEAR and snap <= longest(made_for):
            return snap
    exact = LEAST * 2 ** (step / STEPS_PER_DOUBLING)
    return max(LEAST, min(longest(made_for), round(exact / 256) * 256))
