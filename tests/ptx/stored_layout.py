"""How keys and values lie as codes on the card, in NumPy: what ``kernels/cuda/codes.cuh`` says, place by place."""

from __future__ import annotations

from typing import Any

import numpy as np

from tzcore.keyvalues import LEVELS, SINK, KeyValueFormat, encode

PAGE, TILE, TILES = 256, 32, 8
KEY_PIECE = {4: 512, 6: 768, 8: 1024}
VALUE_PIECE = {2: 256, 4: 512, 5: 512, 8: 1024}


def key_bytes(width: int, fmt: KeyValueFormat) -> int:
    return width // 32 * KEY_PIECE[fmt.key_bits]


def tile_bytes(width: int, fmt: KeyValueFormat) -> int:
    signs = -(-width // 64) * 256 if fmt.value_bits == 5 else 0
    return key_bytes(width, fmt) + 2 * TILE + width // 32 * VALUE_PIECE[fmt.value_bits] + signs


def signed(codes: Any, bits: int) -> tuple[Any, Any]:
    """Signs (1: minus) and numbers of magnitudes."""
    half = 1 << bits - 1
    if bits == 8:
        levels = LEVELS[8].astype(int)[codes]
        return (levels < 0).astype(int), np.abs(levels)
    codes = codes.astype(int)
    return (codes < half).astype(int), np.where(codes < half, half - 1 - codes, codes - half)


class Bits:
    """Bytes of a tile of one head, of which single bits are set."""

    def __init__(self, size: int) -> None:
        self.bytes = np.zeros(size, np.uint8)
        self.own = np.zeros(size, bool)

    def put(self, at: int, bit: int, value: int) -> None:
        at, bit = at + bit // 8, bit % 8
        self.bytes[at] |= value << bit
        self.own[at] = True


def put_key(tile: Bits, number: int, signs: Any, sizes: Any, bits: int) -> None:
    """Token ``number`` of the tile."""
    g, s = 2 * (number // 8) + number % 2, number % 8 // 2
    for e, (sign, size) in enumerate(zip(signs, sizes, strict=True)):
        lane, piece, d = 4 * g + e % 32 // 8, e // 32 * KEY_PIECE[bits], e % 8
        if bits == 8:
            tile.put(piece + s // 2 * 512 + lane * 16 + (2 * (s % 2) + d // 4) * 4 + d % 4, 0, sign << 7 | size)
            continue
        four = sign << 3 | size if bits == 4 else size & 15
        tile.put(piece + lane * 16 + 4 * s, 4 * (4 * (d % 2) + d // 2), four)
        if bits == 6:
            tile.put(piece + 512 + lane * 8 + 2 * s, 8 * (d % 2) + 6 - 2 * (d // 2), sign << 1 | size >> 4)


def put_value(tile: Bits, start: int, number: int, signs: Any, sizes: Any, bits: int) -> None:
    """Token ``number`` of the tile, whose values begin at ``start``."""
    c, m = number // 8, number % 8
    word, byte = m // 2 % 2, 2 * (m % 2) + m // 4
    for e, (sign, size) in enumerate(zip(signs, sizes, strict=True)):
        j, i, lane = e // 32, e % 32 // 8, 4 * (e % 8) + c
        if bits == 8:
            at = start + j * 1024 + i // 2 * 512 + lane * 16 + (2 * (i % 2) + m // 4) * 4 + m % 4
            tile.put(at, 0, sign << 7 | size)
        elif bits == 2:
            tile.put(start + j * 256 + lane * 8 + m, 2 * i, sign << 1 | size)
        else:
            piece = start + j * 512 + (256 * (j // 2 + 1) if bits == 5 else 0)
            four = sign << 3 | size if bits == 4 else size
            tile.put(piece + lane * 16 + (2 * (i // 2) + word) * 4 + byte, 4 * (i % 2), four)
            if bits == 5:
                tile.put(start + j // 2 * 1280 + lane * 8 + 4 * word + byte, 4 * (j % 2) + i, sign)


def tiles_of(keys: Any, values: Any, width: int, fmt: KeyValueFormat, positions: Any = None, poison: int = 0xA5) -> Any:
    """Turned vectors ``[tokens, head_dim]`` of one head, those at ``positions`` (default: all), as tiles
    ``[ceil(tokens / 32), bytes]``; ``poison`` where nothing of them is."""
    which = set(range(len(keys)) if positions is None else positions)
    scales_at = key_bytes(width, fmt)
    codes, scales = encode(keys, fmt.key_bits)
    value_codes, value_scales = encode(values, fmt.value_bits)
    padding = ((0, 0), (0, width - keys.shape[-1]))
    of_keys = [np.pad(part, padding) for part in signed(codes, fmt.key_bits)]
    of_values = [np.pad(part, padding) for part in signed(value_codes, fmt.value_bits)]
    found = []
    for first in range(0, len(keys), TILE):
        tile = Bits(tile_bytes(width, fmt))
        for t in range(first, min(first + TILE, len(keys))):
            if t not in which:
                continue
            put_key(tile, t - first, of_keys[0][t], of_keys[1][t], fmt.key_bits)
            put_value(tile, scales_at + 2 * TILE, t - first, of_values[0][t], of_values[1][t], fmt.value_bits)
            tile.put(scales_at + t - first, 0, int(scales[t]))
            tile.put(scales_at + TILE + t - first, 0, int(value_scales[t]))
        tile.bytes[~tile.own] = poison
        found.append(tile.bytes)
    return np.stack(found)


def exact_tiles(keys: Any, values: Any, positions: Any, width: int, slots: int) -> Any:
    """Halves ``[slots, 64 · width]``: tile i of a text's vectors in slot i % ``slots``, NaN where there is none."""
    out = np.full((slots, 2, TILE * width), np.nan, np.float16)
    of_keys, of_values = out[:, 0].reshape(slots, TILE, width), out[:, 1].reshape(slots, width, TILE)
    dim = keys.shape[-1]
    for position in positions:
        slot, number = position // TILE % slots, position % TILE
        of_keys[slot, number] = 0
        of_values[slot, :, number] = 0
        of_keys[slot, number, :dim] = keys[position]
        of_values[slot, :dim, number] = values[position]
    return out.reshape(slots, -1)


def in_memory(
    keys: Any, values: Any, latest: Any, width: int, fmt: KeyValueFormat, slots: int, seed: int = 2
) -> tuple[Any, Any, Any]:
    """Pool ``[pages, heads, 8 tiles]``, recent ``[heads, slots, …]`` and table of turned ``[tokens, heads, head_dim]``;
    of the table, place 0 is for the first exact position, 1 is the page of the first tokens."""
    tokens, heads = keys.shape[:2]
    size = tile_bytes(width, fmt)
    count = -(-tokens // PAGE)
    table = np.random.default_rng(seed).permutation(count + 2)[: count + 1].astype(np.int32)
    pool = np.full((count + 2, heads, TILES, size), 0xA5, np.uint8)
    recent = np.empty((heads, slots, 2 * TILE * width), np.float16)
    for head in range(heads):
        one = keys[:, head], values[:, head]
        for i, tile in enumerate(tiles_of(*one, width, fmt)):
            pool[table[1 + i // TILES], head, i % TILES] = tile
        recent[head] = exact_tiles(*one, latest, width, slots)
        sink = exact_tiles(*one, range(min(SINK, tokens)), width, 1).view(np.uint8)
        pool[table[0], head].reshape(-1)[: sink.size] = sink.reshape(-1)
    return pool, recent, np.concatenate([np.zeros(1, np.int32), table])
