"""Stored weights as floats, with torch's own operations: for gradients, on whatever device they lie.

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
    """The rows of some tiles as they meet the transformed input, without the gain: ``[16 · tiles, cols]``."""
    tiles = len(codes)
    if scales is None:
        return codes.permute(0, 2, 1)[..., :cols].to(dtype).reshape(LANES * tiles, cols)
    values = _base3(codes, fmt, cols) if fmt.packing == "base3" else _slots(codes, fmt)
    width = values.shape[-1]
    steps = scales.to(torch.float32).permute(0, 2, 1).reshape(LANES * tiles, -1)
    out = values.to(torch.float32)
    if width % group == 0:
        out.view(LANES * tiles, -1, group).mul_(steps[..., None])
    else:  # the last group is cut short
        out.mul_(steps.repeat_interleave(group, 1)[:, :width])
    return out.to(dtype)[:, :cols]


def _slots(codes: torch.Tensor, fmt: Format) -> torch.Tensor:
    """Codes of slots as int8 ``[16 · tiles, padded]``.  Lanes are moved as whole words: four codes at once."""
    tiles = len(codes)
    bits = int(fmt.packing.removeprefix("slots"))
    words = codes.reshape(tiles, -1, 1, LANES, 4).view(torch.int32)[..., 0]
    if bits < 8:
        shifts = torch.arange(0, 8, bits, dtype=torch.int32, device=codes.device)[:, None]
        # The sign, which a shift draws after it, is beyond every mask.
        words = (words >> shifts) & ((1 << bits) - 1) * 0x01010101
    values = words.permute(0, 3, 1, 2).contiguous().view(torch.int8).reshape(LANES * tiles, -1)
    return values if bits == 8 else values - fmt.zero


def _base3(codes: torch.Tensor, fmt: Format, cols: int) -> torch.Tensor:
    """Codes of base 3 as int8 ``[16 · tiles, cols]``."""
    tiles, base = len(codes), fmt.levels
    powers, places = _digits(fmt, cols, codes.device)
    halves = codes.reshape(tiles, -1, LANES, 2, 2).to(torch.int32)
    words = halves[..., 0] | halves[..., 1] << 8  # [tiles, vectors, lanes, 2]
    # The word is a fraction; times the base, its whole part is the next digit.
    found = ((words[..., None] * powers & 0xFFFF) * base >> 16).to(torch.int8) - fmt.zero
    flat = found.permute(0, 2, 1, 3, 4).reshape(LANES * tiles, -1)
    return flat.index_select(1, places)


@cache
def _digits(fmt: Format, cols: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The powers that bring each digit of a word to its front, and where each column is among all digits of a lane."""
    powers = [fmt.levels**i for i in range(10 if fmt.levels == 3 else 5)]
    at = trits.places(fmt, cols).astype("int64")
    vector, word, digit = at >> 8, (at >> 4 & 15) // 2, at & 15
    places = torch.from_numpy((vector * 2 + word) * len(powers) + digit)
    return torch.tensor(powers, dtype=torch.int32).to(device), places.to(device)


def turned(x: torch.Tensor, block: int) -> torch.Tensor:
    """``H·x/√block`` on each run of ``block`` numbers of the last axis, in float32; see :mod:`tzcore.hadamard`.

    ``H`` of a·b is the Kronecker product of those of a and b, so that two small products make it.
    """
    first = 1 << (block.bit_length() - 1) // 2
    second = block // first
    runs = x.to(torch.float32).reshape(-1, first, second)
    made = _hadamard(first, x.device) @ runs @ _hadamard(second, x.device)
    return (made * block**-0.5).reshape(x.shape)


def _hadamard(size: int, device: torch.device) -> torch.Tensor:
    made = torch.ones(1, 1, device=device)
    while len(made) < size:
        made = torch.cat([torch.cat([made, made], 1), torch.cat([made, -made], 1)])
    return made
