"""What memory requests cost: 32-byte sectors of global ones, wavefronts of shared ones.

A request is one instruction of one warp. Shared memory has 32 banks of 4 bytes; accesses of up to 4 bytes go for the
whole warp at once, of 8 bytes for half a warp, of 16 bytes for a quarter, and each part takes as many wavefronts as the
most different words that fall into one bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.ptx.report import Traffic
from tests.ptx.scalars import Array
from tests.ptx.syntax import Instruction

if TYPE_CHECKING:
    from tests.ptx.state import State

_WARP, _BANKS, _SECTOR = 32, 32, 32


def _record(s: State, ins: Instruction, lanes: Array, size: int) -> Traffic:
    traffic = s.report.traffic.setdefault((s.kernel, ins.line, ins.text), Traffic())
    traffic.requests += np.unique(lanes // _WARP).size
    traffic.bytes += lanes.size * size
    return traffic


def count_global(s: State, ins: Instruction, addresses: Array, size: int) -> None:
    lanes = s.active()
    traffic = _record(s, ins, lanes, size)
    pairs = np.unique((lanes // _WARP) << 50 | addresses // _SECTOR)
    traffic.sectors += pairs.size
    # the fewest that so many different bytes can lie in, warp by warp
    whole = np.unique(((lanes // _WARP) << 55) | addresses)
    traffic.ideal += int((-(-np.bincount(whole >> 55) * size // _SECTOR)).sum())


def count_shared(s: State, ins: Instruction, addresses: Array, size: int) -> None:
    lanes = s.active()
    traffic = _record(s, ins, lanes, size)
    at_once = _WARP * 4 // max(size, 4)
    phase = lanes // at_once
    words = addresses[:, None] // 4 + np.arange(max(1, size // 4))
    keys = np.unique(phase[:, None] << 32 | (words % _BANKS) << 24 | words)
    bank = keys >> 24
    first = np.r_[True, bank[1:] != bank[:-1]]
    counts = np.diff(np.r_[np.flatnonzero(first), keys.size])  # different words of one phase in one bank
    phases = (bank[first] >> 8).astype(np.intp)
    start = np.flatnonzero(np.r_[True, phases[1:] != phases[:-1]])
    traffic.wavefronts += int(np.maximum.reduceat(counts, start).sum())
    traffic.ideal += start.size
