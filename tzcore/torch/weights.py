"""Stored weights as floats, with torch's own operations: for gradients on a card, and of halves.

On the CPU :func:`tzcore.torch.core.dense` unpacks codes.

:mod:`tzcore.trits` has the layout, and the same in NumPy.
"""

from __future__ import annotations

from functools import cache

import torch

from tzcore import trits
from tzcore.trits import LANES, Format

_VECTOR = 64
"""Bytes of a vector of a tile."""


def weight_rows(
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    fmt: Format,
    cols: int,
    group: int,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """The rows of some tiles as they meet the transformed input, without the gain: ``[16 · tiles, cols]``.

    It is a view of columns, in which the lanes of all tiles lie side by side as they do in a vector.
    """
    rows = LANES * len(codes)
    if scales is None:
        return codes.permute(0, 2, 1)[..., :cols].to(dtype).reshape(rows, cols)
    values = _base3(codes, fmt, cols) if fmt.packing == "base3" else _slots(codes, fmt)
    steps = scales.to(torch.float32).permute(1, 0, 2).reshape(-1, 1, rows)
    out, whole = values.to(torch.float32), len(values) // group
    out[: whole * group].view(whole, group, rows).mul_(steps[:whole])
    if whole < len(steps):  # the last group is cut short
        out[whole * group :].mul_(steps[-1])
    return out[:cols].to(dtype).t()


def _slots(codes: torch.Tensor, fmt: Format) -> torch.Tensor:
    """Codes of slots as int8 ``[padded, 16 · tiles]``."""
    tiles, bits = len(codes), int(fmt.packing.removeprefix("slots"))
    found = codes.reshape(tiles, -1, LANES, 4).permute(1, 3, 0, 2).contiguous()  # [vectors, bytes, tiles, lanes]
    if bits == 8:
        return found.view(torch.int8).reshape(-1, LANES * tiles)
    out = torch.empty(len(found), 8 // bits, *found.shape[1:], dtype=torch.uint8, device=codes.device)
    for slot in range(8 // bits):
        torch.bitwise_and(found >> bits * slot, (1 << bits) - 1, out=out[:, slot])
    return out.view(torch.int8).sub_(fmt.zero).reshape(-1, LANES * tiles)


def _base3(codes: torch.Tensor, fmt: Format, cols: int) -> torch.Tensor:
    """Codes of base 3 as int8 ``[cols, 16 · tiles]``."""
    tiles, base, digits = len(codes), fmt.levels, _DIGITS[fmt.levels]
    words = codes.reshape(tiles, -1, LANES, 2, 2).view(torch.int16)[..., 0].permute(1, 3, 0, 2)
    rest = words.to(torch.int32).bitwise_and_(0xFFFF).contiguous()  # [vectors, 2, tiles, lanes]
    out = torch.empty(digits, *rest.shape, dtype=torch.int8, device=codes.device)
    for digit in range(digits):
        # The word is a fraction; times the base, its whole part is the next digit.
        rest.mul_(base)
        out[digit] = rest >> 16
        rest.bitwise_and_(0xFFFF)
    return out.sub_(fmt.zero).view(-1, LANES * tiles).index_select(0, _places(fmt, cols, codes.device))


_DIGITS = {3: 10, 9: 5}
"""Digits of a word, by its base."""


@cache
def _places(fmt: Format, cols: int, device: torch.device) -> torch.Tensor:
    """Where each column is among the digits ``[digits, vectors, 2]`` of a lane: int64 ``[cols]``."""
    at = trits.places(fmt, cols).astype("int64")
    words = 2 * trits.tile_bytes(fmt, cols) // _VECTOR
    return torch.from_numpy((at & 15) * words + (at >> 8) * 2 + (at >> 4 & 15) // 2).to(device)
