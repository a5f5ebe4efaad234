"""What a forward pass needs besides weights, keys and values.

One list, :func:`workspace_items`, is what plans count and what :class:`Workspace` takes.  The stages of a
layer run one after the other, so that each buffer is as large as its largest use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tzcore import trits
from tzcore.architecture.spec import LayerSpec, MatrixRef, ModelSpec
from tzcore.backend.base import PENALTY
from tzcore.backend.cuda.arena import Region
from tzcore.backend.cuda.layout import KBLOCK
from tzcore.backend.cuda.pages import CHUNK, groups, padded_head, pages_for
from tzcore.checkpoint.schema import MatrixEntry

Matrices = Mapping[str, MatrixEntry]
Items = list[tuple[str, int]]

FEW = 8
"""Tokens of a decoding step, at most: such calls split the columns of a matrix, and the keys, among blocks."""
SPLITS = 8
"""Parts that the columns of a matrix are split into for few tokens, at most."""
KEY_SPLITS = 32
"""Parts that the keys are split into for few tokens, at most."""
HEADER = 2
"""Numbers in front of a page table: the first position that is held in half precision besides the pages, and the page
of the first tokens."""
LEAST_GROUP = 64


def workspace_items(spec: ModelSpec, chunk: int = CHUNK, matrices: Matrices | None = None, context: int = 0) -> Items:
    """Name and bytes of every buffer, for calls of up to ``chunk`` tokens in texts as long as the model was made for,
    or of ``context`` tokens if that is more.

    ``matrices`` says how each is stored: f16 matrices need their inputs in another form.  Without it
    any matrix may be f16.

    x ``[T][hidden]`` float; parts ``[splits][T][rows]`` float, the sums of a product; codes int8,
    factors (a float and an int32 a group), hi and lo half, plain float: the input of a product, ``[T][columns]``;
    q ``[T][heads][Dp]`` half; acc ``[splits][T][heads][Dp]`` and stats ``[splits][T][heads][2]`` float;
    angles ``[ropes][T][half][2]`` float; logits ``[FEW][vocabulary]`` float; chosen, shares and mixed:
    experts of each token; tokens, positions, uniform, picked: a number a token; penalties of a choice;
    page_table int32, a group of layers after the other.
    """
    few = min(FEW, chunk)
    spread = max(KEY_SPLITS * few, chunk) * spec.heads
    wide = max(columns for columns, _ in _inputs(spec))
    half = max((columns for columns, ref in _inputs(spec) if _is_half(ref, matrices)), default=0)
    head_half = _padded(spec.hidden) if _is_half(spec.head, matrices) else 0
    turned = sum(len(rope.inverse_frequencies) for rope in spec.ropes)
    items = [
        ("x", 4 * chunk * spec.hidden),
        ("parts", 4 * max(SPLITS * few * _rows(spec, head=True), chunk * _rows(spec, head=False))),
        ("codes", chunk * wide),
        ("factors", 8 * chunk * wide // LEAST_GROUP),
        ("hi", 2 * max(chunk * half, few * head_half)),
        ("lo", 2 * max(chunk * half, few * head_half)),
        ("plain", 4 * chunk * max((_plain(layer, spec, matrices) for layer in spec.layers), default=0)),
        ("q", 2 * chunk * spec.heads * padded_head(spec.head_dim)),
        ("acc", 4 * spread * padded_head(spec.head_dim)),
        ("stats", 8 * spread),
        ("angles", 8 * chunk * turned),
        ("logits", 4 * few * spec.vocabulary),
        ("tokens", 4 * chunk),
        ("positions", 4 * chunk),
        ("page_table", 4 * len(groups(spec)) * table_numbers(spec, context)),
        ("uniform", 4 * few),
        ("picked", 4 * few),
        ("penalties", PENALTY.itemsize * spec.vocabulary),
    ]
    active = _routed(spec)
    if active:
        items += [
            ("chosen", 4 * chunk * active),
            ("shares", 4 * chunk * active),
            ("mixed", 4 * chunk * spec.hidden),
        ]
    return [(name, size) for name, size in items if size]


def table_numbers(spec: ModelSpec, context: int) -> int:
    """Numbers of a group's page table and of what is in front of it."""
    return HEADER + pages_for(max(spec.max_context, context))


class Workspace:
    """The buffers of :func:`workspace_items`, taken from ``region``: ``workspace["x"]`` is an address."""

    def __init__(
        self, region: Region, spec: ModelSpec, chunk: int = CHUNK, matrices: Matrices | None = None, context: int = 0
    ) -> None:
        self.chunk = chunk
        items = workspace_items(spec, chunk, matrices, context)
        self._places = {name: region.take(size, name) for name, size in items}

    def __getitem__(self, name: str) -> int:
        return self._places[name]

    def get(self, name: str) -> int:
        """The address of a buffer, 0 where this model needs none: kernels take that for "not there"."""
        return self._places.get(name, 0)


class Buffers(Workspace):
    """A workspace of addresses that were taken elsewhere."""

    def __init__(self, places: dict[str, int]) -> None:
        self._places = places


def _padded(columns: int) -> int:
    return -(-columns // KBLOCK) * KBLOCK


def _inputs(spec: ModelSpec) -> Iterator[tuple[int, MatrixRef]]:
    """Every projection with its padded columns, times the rows that a token has there: one an active expert."""
    for layer in spec.layers:
        active = layer.router.active if layer.router else 1
        for ref in (layer.q, layer.k, layer.v, layer.o, *([layer.router.matrix] if layer.router else [])):
            yield _padded(ref.cols), ref
        for expert in layer.experts:
            yield _padded(expert.gate.cols), expert.gate
            yield _padded(expert.up.cols), expert.up
            yield _padded(expert.down.cols) * active, expert.down


def _rows(spec: ModelSpec, head: bool) -> int:
    """Results a token of the largest product, in whole tiles."""
    most = trits.tiles(spec.head.rows) if head else 0
    for layer in spec.layers:
        active = layer.router.active if layer.router else 1
        expert = layer.experts[0]
        stages = [(1, (layer.q, layer.k, layer.v)), (1, (layer.o,)), *((active, stage) for stage in expert.stages())]
        if layer.router:
            stages.append((1, (layer.router.matrix,)))
        most = max(most, *(times * sum(trits.tiles(ref.rows) for ref in stage) for times, stage in stages))
    return most * trits.LANES


def _plain(layer: LayerSpec, spec: ModelSpec, matrices: Matrices | None) -> int:
    """Numbers a token of the inputs that are looked at as a whole before they are rounded: those with a norm
    in front, with one scale a token, of f16 matrices, or of experts that want them in different forms."""
    whole = spec.activations == "token"
    active = layer.router.active if layer.router else 1
    down = layer.experts[0].down
    sizes = [0]
    if whole or layer.attention_sub_norm or _is_half(layer.o, matrices):
        sizes.append(layer.o.cols)
    downs = [expert.down for expert in layer.experts]
    forms = {(entry.group, entry.transform) for ref in downs if matrices for entry in [matrices[ref.name]]}
    if whole or layer.mlp_sub_norm or len(forms) > 1 or any(_is_half(ref, matrices) for ref in downs):
        sizes.append(active * down.cols)
    return max(sizes)


def _is_half(ref: MatrixRef, matrices: Matrices | None) -> bool:
    return matrices is None or matrices[ref.name].format.packing == "half"


def _routed(spec: ModelSpec) -> int:
    """Experts that a token goes through, at most; 0 without any router."""
    return max((layer.router.active for layer in spec.layers if layer.router), default=0)
