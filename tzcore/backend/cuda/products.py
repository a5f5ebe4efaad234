"""Products of one input with the matrices that share it: what is launched, and how the columns are split.

A matrix is told from others by the *form* of its input: the transform before it, and how it is
rounded.  Matrices of one stage nearly always share a form, so that their input is prepared once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tzcore.backend.cuda.device import Stream
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.layout import KBLOCK, Shape
from tzcore.backend.cuda.weights import Matrix
from tzcore.backend.cuda.workspace import FEW, SPLITS, Workspace

GROUPS, TOKENS, HALVES, PLAIN, NOTHING = 0, 1, 2, 3, -1
"""How a prepared input is written; see ``kernels/cuda/prepare.cuh``."""
WARPS = 4
"""Tiles that a block of ``product_few`` makes."""
WIDE, NARROW = 128, 32
"""Tokens that a block of ``product_many`` makes."""
HALF_TOKENS = {"few": 8, "many": 32}
_TILE_ROWS = 8
"""Tiles that a block of ``product_many`` makes."""
_RESIDENT = 3
"""Blocks of ``product_few`` that a multiprocessor runs at once."""
_BANKS = 32
"""Numbers of a row that kernels permute among themselves in shared memory."""
_LEAST_BLOCKS = 8
"""Kblocks of a split, at least: below that its beginning and end outweigh it."""


class Form(NamedTuple):
    """An input as a product takes it: ``signs`` is the address of the transform's, 0 without one."""

    signs: int
    block: int
    mode: int
    group: int


@dataclass(frozen=True)
class Part:
    """Columns ``column`` … ``column + rows − 1`` of a stage's output."""

    matrix: Matrix
    column: int


@dataclass(frozen=True)
class Stage:
    """The matrices that share an input of ``cols`` columns and write rows of ``width`` sums."""

    cols: int
    width: int
    splits: int
    inputs: tuple[tuple[Form, tuple[Part, ...]], ...]


def splits_for(shapes: Sequence[Shape], processors: int) -> int:
    """Into how many parts few tokens' products cut the columns: as many as keep all processors busy.

    It depends on the matrices and the card alone, never on the tokens, whose bits it decides.
    """
    blocks = sum(-(-shape.tiles // WARPS) for shape in shapes)
    kblocks = min(shape.blocks for shape in shapes)
    room = processors * _RESIDENT

    def cost(splits: int) -> float:
        """Rounds of blocks, each as long as its share of the columns and its beginning and end."""
        return -(-blocks * splits // room) * (kblocks / splits + _LEAST_BLOCKS / 2)

    most = max(1, min(SPLITS, kblocks // _LEAST_BLOCKS))
    return min(range(1, most + 1), key=lambda splits: (cost(splits), splits))


def stage(parts: Sequence[tuple[Form, Part]], width: int, processors: int) -> Stage:
    """Group ``parts`` by the form of their input, in order."""
    forms = list(dict.fromkeys(form for form, _ in parts))
    inputs = tuple((form, tuple(part for other, part in parts if other == form)) for form in forms)
    shapes = [part.matrix.shape for _, part in parts]
    return Stage(shapes[0].cols, width, splits_for(shapes, processors), inputs)


def multiply(
    kernels: Kernels, work: Workspace, form: Form, parts: Sequence[Part], stage: Stage, tokens: int,
    stream: Stream = None,
) -> int:  # fmt: skip
    """Launch the products of a prepared input into ``work["parts"]``; how many splits were written.

    ``stream`` None is the kernels' own.
    """
    splits = stage.splits if tokens <= FEW else 1
    for part in parts:
        matrix, shape = part.matrix, part.matrix.shape
        place = (tokens, stage.width, part.column)
        if form.mode == HALVES:
            name = "few" if tokens <= FEW else "many"
            grid = (-(-shape.tiles // WARPS), splits, -(-tokens // HALF_TOKENS[name]))
            inputs = (matrix.codes, work["hi"], work["lo"], work["factors"], work["parts"], shape.rows, shape.blocks)
            name = f"product_{name}_half"
            kernels.launch("product_half", grid, 32 * WARPS, (*inputs, *place), name=name, stream=stream)
            continue
        sources = (matrix.codes, matrix.scales, matrix.gains, work["codes"], work["factors"], work["parts"])
        layout = (shape.rows, shape.steps, shape.tail, shape.fmt.zero)
        if tokens <= FEW:
            file = f"product_few_{shape.kind.name}"
            name = f"{file}_g{shape.group}_m{1 if tokens == 1 else FEW}"
            grid = (-(-shape.tiles // WARPS), splits, 1)
            kernels.launch(file, grid, 32 * WARPS, (*sources, *layout, *place), name=name, stream=stream)
        else:
            width = NARROW if tokens <= 2 * NARROW else WIDE
            file = f"product_many_{shape.kind.name}"
            grid = (-(-tokens // width), -(-shape.tiles // _TILE_ROWS), 1)
            name = f"{file}_g{shape.group}_n{width}"
            shared = _buffers(shape, width)
            kernels.launch(file, grid, 256, (*sources, *layout, *place), name=name, shared=shared, stream=stream)
    return splits


def _buffers(shape: Shape, tokens: int) -> int:
    """Bytes of the two buffers of a block of ``product_many``: operands of eight tiles, inputs, their factors."""
    return 2 * (_TILE_ROWS * 16 * KBLOCK + tokens * (KBLOCK + 8 * (KBLOCK // shape.group)))


def row_bytes(cols: int) -> int:
    """Dynamic shared memory of ``norm_prepare`` for a row of ``cols`` columns, which it permutes in runs of 32."""
    return 4 * -(-cols // _BANKS) * _BANKS


def names(form: Form, part: Part) -> list[tuple[str, str]]:
    """File and name of every kernel that :func:`multiply` may launch for ``part``."""
    if form.mode == HALVES:
        return [("product_half", f"product_{name}_half") for name in HALF_TOKENS]
    kind, group = part.matrix.shape.kind.name, part.matrix.shape.group
    few, many = f"product_few_{kind}", f"product_many_{kind}"
    found = [(few, f"{few}_g{group}_m{tokens}") for tokens in (1, FEW)]
    return found + [(many, f"{many}_g{group}_n{width}") for width in (NARROW, WIDE)]
