"""Weights brought from the disk's layout to the card's, for every format."""

import numpy as np
import pytest

from tests.ptx.launching import poisoned, run
from tzcore import trits
from tzcore.backend.cuda import layout

SHAPES = [(16, 128), (40, 576), (5, 64), (16, 1536), (33, 640), (16, 704)]
QUANTISED = [name for name, fmt in trits.FORMATS.items() if fmt.packing != "half"]


def grid_for(items: int) -> tuple[int, int, int]:
    return (-(-items // 256), 1, 1)


@pytest.mark.parametrize(("rows", "cols"), SHAPES)
@pytest.mark.parametrize("name", QUANTISED)
def test_codes(name, rows, cols):
    fmt = trits.FORMATS[name]
    shape = layout.Shape(fmt, rows, cols, 128)
    codes = np.random.default_rng(rows * cols).integers(fmt.low, fmt.high + 1, (rows, cols)).astype(np.int8)
    disk = trits.pack(codes, fmt)
    out = poisoned((shape.tiles, shape.tile_bytes), np.uint8)
    arguments = (disk, trits.places(fmt, cols), out, disk.shape[1], cols, shape.tiles, shape.steps, shape.tail)
    run(f"arrange_{shape.kind.name}", grid_for(out.size // 16), 256, *arguments, file="arrange")
    assert (out == layout.arrange(codes, shape)).all()


@pytest.mark.parametrize(("rows", "cols"), SHAPES[:3])
def test_halves(rows, cols):
    shape = layout.Shape(trits.FORMATS["f16"], rows, cols, 0)
    weights = np.random.default_rng(1).standard_normal((rows, cols)).astype(np.float32)
    disk = trits.pack_half(weights)
    out = poisoned((shape.tiles, shape.tile_bytes), np.uint8)
    arguments = (disk, None, out, disk[0].nbytes, cols, shape.tiles, shape.steps, shape.tail)
    run("arrange_half", grid_for(out.size // 16), 256, *arguments, file="arrange")
    assert (out == layout.arrange_half(weights.astype(np.float16), shape)).all()


@pytest.mark.parametrize("group", [64, 128])
def test_scales(group):
    shape = layout.Shape(trits.FORMATS["t1"], 40, 576, group)
    scales = np.random.default_rng(2).standard_normal((40, trits.groups(576, group))).astype(np.float16)
    out = poisoned((shape.tiles, shape.groups, 8, 2), np.float16)
    arguments = (trits.pack_scales(scales), out, shape.tiles, scales.shape[1], shape.groups)
    run("arrange_scales", grid_for(out.size // 2), 256, *arguments, file="arrange")
    assert (out == layout.arrange_scales(scales, shape)).all()


def test_every_byte_of_five_trits_is_read_exactly():
    """The rule that the kernels read by: the upper half of byte·3ⁱ is the number of the first i trits."""
    for value in range(243):
        stored = (value * 256 + 242) // 243
        before = 0
        for i in range(1, 6):
            now = (stored * 3**i) >> 8
            assert now - 3 * before == value // 3 ** (5 - i) % 3
            before = now
