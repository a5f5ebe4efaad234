"""Races in shared memory: accesses of two threads to one place, one of them a write, that no barrier sets in order.

Every access is noted with the number of barriers its thread has passed, those of its block and those of its warp
(``bar.warp.sync``). Two accesses of a block race if both threads have passed as many barriers of the block and they are
in different warps or have passed as many barriers of the warp. Atomics do not race with each other, nor do threads of
a warp that write the same value with one instruction (different values are a fault at once).

A table says for every place who touched it first in the interval that goes on, whether others did and whether it was
written. Only what several threads touched and one wrote is looked at closely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.ptx.scalars import Array
from tests.ptx.syntax import Instruction

if TYPE_CHECKING:
    from tests.ptx.state import State

_MANY = 2_000_000  # accesses, after which what can be judged is judged
_THREAD_BITS = 11


class RaceLog:
    """Accesses since the last look; places are kept in units of ``unit`` bytes, the least that the kernel moves."""

    def __init__(self, unit: int, size: int) -> None:
        self.unit, self.units = unit, size // unit
        self.first = np.zeros(self.units, np.int64)  # interval and thread, as ``stamp`` below
        self.many, self.written = (np.zeros(self.units, np.int64) for _ in range(2))  # the interval in which last
        self.suspects: list[Array] = []
        self.keys: list[Array] = []
        self.info: list[Array] = []
        self.events: list[int] = []
        self.sites: list[Instruction] = []
        self.count = 0
        self.found: set[tuple[int, int]] = set()

    def note(self, s: State, ins: Instruction, lanes: Array, start: Array, size: int, write: bool) -> None:
        """``lanes`` access ``size`` bytes each from ``start`` (a place in all blocks' shared memory) on."""
        atomic = ins.opcode in ("atom", "red")
        place, epoch, thread = start // self.unit, s.epoch[lanes], s.thread[lanes]
        info = (s.order[lanes] << _THREAD_BITS | thread) << 2 | atomic << 1 | write
        stamp = epoch << _THREAD_BITS | thread
        times = size // self.unit
        if times > 1:
            place = (place[:, None] + np.arange(times)).reshape(-1)
            info, stamp, epoch = (np.repeat(each, times) for each in (info, stamp, epoch))
        key = epoch * self.units + place
        self._touch(place, stamp, epoch, key, write)
        self.keys.append(key)
        self.info.append(info)
        self.events.append(len(self.sites))
        self.sites.append(ins)
        self.count += key.size
        if self.count > _MANY:
            self.judge(s)

    def _touch(self, place: Array, stamp: Array, epoch: Array, key: Array, write: bool) -> None:
        """Brings the tables up to date and finds the places that need a closer look."""
        first = self.first[place]
        fresh = first >> _THREAD_BITS != epoch
        if fresh.any():
            self.first[place[fresh]] = stamp[fresh]
            first = self.first[place]
        others = first != stamp
        some = bool(others.any())
        if some:
            self.many[place[others]] = epoch[others]
        if write:
            self.written[place] = epoch
            bad = self.many[place] == epoch
        elif some:
            bad = others & (self.written[place] == epoch)
        else:
            return
        if bad.any():
            self.suspects.append(np.unique(key[bad]))

    def judge(self, s: State) -> None:
        """Reports the races among what was noted and keeps only accesses of intervals that go on."""
        if not self.keys:
            return
        if not self.suspects and not s.alive_count:
            self.keys, self.info, self.events, self.count = [], [], [], 0
            return
        key, info = np.concatenate(self.keys), np.concatenate(self.info)
        event = np.repeat(np.asarray(self.events), [each.size for each in self.keys])
        if self.suspects:
            chosen = np.flatnonzero(np.isin(key, np.concatenate(self.suspects)))
            self._look(s, key[chosen], info[chosen], event[chosen])
        self.suspects = []
        self._keep(s, key, info, event)

    def _look(self, s: State, key: Array, info: Array, event: Array) -> None:
        """Reports races between warps, then those within."""
        warp_key = info >> (2 + 5)  # warp and its barriers: thread without its place in the warp
        order = np.lexsort((warp_key, key))
        key, info, event, warp_key = key[order], info[order], event[order], warp_key[order]
        thread = info >> 2 & (1 << _THREAD_BITS) - 1
        new_key = np.r_[True, key[1:] != key[:-1]]
        self._report(s, key, info, event, thread, np.flatnonzero(new_key), thread >> 5, alone=False)
        new_warp = new_key | np.r_[True, warp_key[1:] != warp_key[:-1]]
        self._report(s, key, info, event, thread, np.flatnonzero(new_warp), thread, alone=True)

    def _report(
        self, s: State, key: Array, info: Array, event: Array, thread: Array, starts: Array, who: Array, alone: bool
    ) -> None:  # fmt: skip
        """Faults of the groups that begin at ``starts`` and hold different ``who``, a write and not atomics alone."""
        bad = _conflict(info, who, starts)
        if alone:
            bad &= np.maximum.reduceat(event, starts) != np.minimum.reduceat(event, starts)
        ends = np.r_[starts[1:], key.size]
        for group in np.flatnonzero(bad)[:64]:
            members = np.arange(starts[group], ends[group])
            writer = members[info[members] & 1 == 1][0]
            other = members[who[members] != who[writer]][0]
            verb = "writes" if info[other] & 1 else "reads"
            sites = self.sites[event[writer]], self.sites[event[other]]
            self._fault(s, int(key[writer]), int(thread[writer]), int(thread[other]), verb, *sites)

    def _fault(
        self, s: State, key: int, writer: int, other: int, verb: str, first: Instruction, second: Instruction
    ) -> None:  # fmt: skip
        pair = (first.line, second.line)
        if pair in self.found or pair[::-1] in self.found:
            return
        self.found.add(pair)
        place = key % self.units * self.unit
        reason = (
            f"races: thread {other} {verb} the same byte {place % s.shared_bytes} of shared memory with no barrier "
            f"between in line {second.line} ({second.text})"
        )
        s.fault(first, reason, place // s.shared_bytes * s.width + writer)

    def _keep(self, s: State, key: Array, info: Array, event: Array) -> None:
        self.keys, self.info, self.events, self.count = [], [], [], 0
        if not s.alive_count:
            return
        block = key % self.units * self.unit // s.shared_bytes
        current = np.full(s.blocks, np.iinfo(np.int64).max)
        np.minimum.at(current, s.block[s.alive], s.epoch[s.alive])
        going_on = np.flatnonzero(key // self.units >= current[block])
        order = going_on[np.lexsort((info[going_on], key[going_on]))]
        again = (key[order][1:] == key[order][:-1]) & (info[order][1:] == info[order][:-1])
        kept = order[~np.r_[np.zeros(min(1, order.size), bool), again]]
        sites = event[kept]
        # split by event again, so that each access keeps its instruction
        order = np.argsort(sites, kind="stable")
        kept, sites = kept[order], sites[order]
        cuts = np.flatnonzero(np.r_[True, sites[1:] != sites[:-1]]) if sites.size else np.zeros(0, np.intp)
        self.keys = np.split(key[kept], cuts[1:]) if sites.size else []
        self.info = np.split(info[kept], cuts[1:]) if sites.size else []
        self.events = [int(sites[cut]) for cut in cuts]
        self.count = int(kept.size)


def _conflict(info: Array, who: Array, starts: Array) -> Array:
    """Of the groups that begin at ``starts``, those of different ``who`` with a write and not atomics alone."""
    differ = np.maximum.reduceat(who, starts) != np.minimum.reduceat(who, starts)
    writes = np.bitwise_or.reduceat(info, starts) & 1 == 1
    return differ & writes & (np.bitwise_and.reduceat(info, starts) & 2 == 0)
