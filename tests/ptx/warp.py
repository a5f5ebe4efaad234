"""Threads of a warp among themselves: shuffles, votes, matches, reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ptx.bits import count_ones
from tests.ptx.operands import Context, Read, Run, pair, read, write
from tests.ptx.registry import exact, instruction
from tests.ptx.scalars import SCALARS, Array
from tests.ptx.state import WARP, State
from tests.ptx.syntax import Immediate, Instruction

WORD = SCALARS["u32"]
_BITS = np.uint32(1) << np.arange(WARP, dtype=np.uint32)
# Instructions that threads of a warp meet in, and whether their last operand says which; else it is the whole warp.
COLLECTIVE = {"shfl": True, "vote": True, "match": True, "redux": True, "bar": True, "mma": False, "ldmatrix": False}


def meets(ins: Instruction) -> bool:
    """Whether threads of a warp must meet in ``ins``."""
    return ins.opcode in COLLECTIVE and (ins.has("sync") if ins.opcode != "bar" else ins.has("warp"))


def membermask(context: Context, ins: Instruction) -> Read:
    """The mask of the threads that must meet in ``ins``."""
    return read(context, ins, ins.operands[-1] if COLLECTIVE[ins.opcode] else Immediate(0xFFFFFFFF), WORD)


def by_warp(s: State, value: Array, fill: int = 0) -> Array:
    """Values of the running lanes as [warps, 32] of all warps; ``fill`` for other lanes."""
    if s.idx is None:
        return np.broadcast_to(value, s.size).reshape(-1, WARP)
    out = np.full(s.size, fill, np.asarray(value).dtype)
    out[s.idx] = value
    return out.reshape(-1, WARP)


def mine(s: State, value: Array) -> Array:
    """Of [warps, 32] values those of the running lanes."""
    flat = np.ascontiguousarray(value).reshape(-1)
    return flat if s.idx is None else flat[s.idx]


def spread(value: Array) -> Array:
    """One value a warp given to all its lanes."""
    return np.repeat(value[:, None], WARP, 1)


def running(s: State) -> Array:
    """[warps, 32] bool: who runs."""
    out = np.zeros(s.size, bool)
    out[s.active()] = True
    return out.reshape(-1, WARP)


def ballot(chosen: Array) -> Array:
    """[warps, 32] bool as one word a warp."""
    return np.where(chosen, _BITS, np.uint32(0)).sum(1, dtype=np.uint32)


@instruction("shfl")
def _shfl(context: Context, ins: Instruction) -> Run:
    """``d|p, a, b, c, mask``: segments and bounds as the manual's pseudocode; p says whether the lane was in range."""
    mode = ins.pick("up", "down", "bfly", "idx")
    first, second = pair(ins.operands[0])
    store, store_p = write(ins, first, WORD), write(ins, second, SCALARS["pred"])
    a, b, c = (read(context, ins, operand, WORD) for operand in ins.operands[1:4])
    me = np.arange(WARP, dtype=np.int64)

    def run(s: State) -> None:
        values = by_warp(s, a(s))
        amount = by_warp(s, b(s)).astype(np.int64) & 31
        limits = by_warp(s, c(s)).astype(np.int64)
        clamp, segment = limits & 31, limits >> 8 & 31
        top = (me & segment) | (clamp & ~segment)
        if mode == "up":
            source = me - amount
            inside = source >= top
        elif mode == "down":
            source = me + amount
            inside = source <= top
        elif mode == "bfly":
            source = me ^ amount
            inside = source <= top
        else:
            source = (me & segment) | (amount & ~segment)
            inside = source <= top
        source = np.where(inside, source, me) & 31
        if s.idx is not None:
            here = running(s)
            absent = here & ~np.take_along_axis(here, source, 1)
            if absent.any():
                lane = int(np.flatnonzero(absent.reshape(-1))[0])
                s.fault(ins, "takes the value of a thread that is not there", lane)
        store(s, mine(s, np.take_along_axis(values, source, 1)))
        store_p(s, mine(s, inside))

    return exact(run)


@instruction("vote")
def _vote(context: Context, ins: Instruction) -> Run:
    mode = ins.pick("all", "any", "uni", "ballot")
    source = read(context, ins, ins.operands[1], SCALARS["pred"])
    mask = read(context, ins, ins.operands[2], WORD) if ins.has("sync") else None
    result = WORD if mode == "ballot" else SCALARS["pred"]
    store = write(ins, ins.operands[0], result)

    def run(s: State) -> None:
        takes_part = running(s)
        if mask is not None:
            takes_part = takes_part & ((by_warp(s, mask(s)).max(1)[:, None] & _BITS) != 0)
        yes = by_warp(s, s.full(np.asarray(source(s)))).astype(bool)
        every, some = (yes | ~takes_part).all(1), (yes & takes_part).any(1)
        out: dict[str, Any] = {"all": every, "any": some, "uni": every | ~some, "ballot": ballot(yes & takes_part)}
        store(s, mine(s, spread(out[mode])))

    return exact(run)


@instruction("match")
def _match(context: Context, ins: Instruction) -> Run:
    """Which threads hold the same value; .all gives 0 and false unless all do."""
    scalar = ins.scalar
    first, second = pair(ins.operands[0])
    store, store_p = write(ins, first, WORD), write(ins, second, SCALARS["pred"])
    source, mask = read(context, ins, ins.operands[1], scalar), read(context, ins, ins.operands[2], WORD)

    def run(s: State) -> None:
        values, here = by_warp(s, s.full(np.asarray(source(s)))), running(s)
        here = here & ((by_warp(s, mask(s)).max(1)[:, None] & _BITS) != 0)
        same = (values[:, :, None] == values[:, None, :]) & here[:, None, :]
        words = np.where(same, _BITS, np.uint32(0)).sum(2, dtype=np.uint32)
        if ins.has("all"):
            agree = words == spread(ballot(here))
            words = np.where(agree, words, np.uint32(0))
            store_p(s, mine(s, agree))
        store(s, mine(s, words))

    return exact(run)


@instruction("activemask")
def _activemask(context: Context, ins: Instruction) -> Run:
    store = write(ins, ins.operands[0], WORD)
    return exact(lambda s: store(s, mine(s, spread(ballot(running(s))))))


@instruction("redux")
def _redux(context: Context, ins: Instruction) -> Run:
    scalar = ins.scalar
    source, mask = read(context, ins, ins.operands[1], scalar), read(context, ins, ins.operands[2], WORD)
    store = write(ins, ins.operands[0], scalar)
    low, high = scalar.limits
    ones = scalar.dtype.type(-1) if scalar.signed else scalar.dtype.type(high)
    kinds: dict[str, tuple[Callable[..., Array], int]] = {
        "add": (np.add.reduce, 0),
        "min": (np.minimum.reduce, high),
        "max": (np.maximum.reduce, low),
        "and": (np.bitwise_and.reduce, int(ones)),
        "or": (np.bitwise_or.reduce, 0),
        "xor": (np.bitwise_xor.reduce, 0),
    }
    reduce, neutral = kinds[ins.pick(*kinds)]

    def run(s: State) -> None:
        here = running(s) & ((by_warp(s, mask(s)).max(1)[:, None] & _BITS) != 0)
        values = np.where(here, by_warp(s, s.full(np.asarray(source(s)))), scalar.dtype.type(neutral))
        total = reduce(values, axis=1, dtype=scalar.dtype) if ins.has("add") else reduce(values, axis=1)
        store(s, mine(s, spread(total)))

    return exact(run)


@instruction("elect")
def _elect(context: Context, ins: Instruction) -> Run:
    raise ins.error("known from sm_90 on alone")


def missing(s: State, mask: Array) -> Array:
    """Which running lanes wait for lanes of their warp that are named in ``mask``, alive and not here."""
    here = running(s)
    alive = ballot(s.alive.reshape(-1, WARP))
    needed = by_warp(s, mask) & alive[:, None]
    absent = (needed & ~ballot(here)[:, None]) != 0
    lanes = s.active()
    # one lane that waits holds its whole warp back, so that it meets as one
    held = spread((absent & here).any(1)).reshape(-1)
    return held[lanes]


def members(mask: Array) -> Array:
    """How many threads a mask names."""
    return count_ones(mask)
