"""From what the user asked for to a format for every matrix.

A budget is stored bits a weight of the projections (``bits``), bytes of the whole model folder
(``size``), bytes of it that may be resident while it runs (``memory``; what a card holds less
context and workspace), or a bound on the divergence from the original (``quality``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

from tzcore.architecture.spec import ModelSpec
from tzcore.errors import ConversionError
from tzcore.quant import allocation, rotation
from tzcore.quant.allocation import END_MENU, MENU, BudgetError, Choice, Item, Swap
from tzcore.trits import FORMATS, Format, format_named

QUALITIES = {"high": 0.05, "balanced": 0.2, "small": 0.6}
"""Bounds on the predicted mean KL divergence from the original, in nats a token.

Measured on SmolLM2-135M: 0.05 is what plain 4-bit integers lose (85 % of likeliest tokens the
same, perplexity 6 % up): hard to tell from the original.  0.2 is two trit planes throughout
(74 %, 23 % up): answers stay sensible.  0.6 lies between that and four levels throughout (1.0:
45 %, perplexity × 2.7): as small as can still be called the same model.
"""
KINDS = ("bits", "size", "memory", "quality")
DISTORTION = {"t1b3": 0.187, "q2": 0.132, "t2b3": 0.029, "i4": 0.0115, "i8": 4.5e-5}
"""Error over energy of Gaussian weights in groups of 128: what plans assume before anything is measured."""

_HEADER_BYTES = 250
"""JSON about one stored tensor in its shard's header; SmolLM2-135M has 173.  Rounded up for longer names."""
_INDEX_BYTES = 400
"""JSON about it in the index, ``config.json`` and the receipt; SmolLM2-135M has 176 before anything is measured."""
_FOLDER_BYTES = 1 << 14
"""The rest of the folder's JSON files: the model's own settings, the receipt's head.  Rounded up."""


@dataclass(frozen=True)
class Request:
    """A budget.  ``value`` is bits a weight, bytes, bytes, or nats, by :data:`KINDS`.

    ``word`` says it briefly and is part of the installed model's id: ``2.35bpw``, ``20GiB``,
    ``24GiB-32k``, ``balanced``.
    """

    kind: str
    value: float
    word: str

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConversionError(f"unknown kind of budget {self.kind!r}; known are {', '.join(KINDS)}")
        if not 0 < self.value < float("inf") or not self.word:
            raise ConversionError(f"a budget of {self.value} ({self.kind}) is impossible")

    def as_json(self) -> dict[str, Any]:
        """For the receipt and the fingerprint."""
        return asdict(self)

    @property
    def governs_ends(self) -> bool:
        """Whether embedding and head come out of the budget too; ``bits`` speaks of projections alone."""
        return self.kind != "bits"


@dataclass(frozen=True)
class Overhead:
    """Bytes that no choice changes: ``signs`` of transforms (counted as the projections'), the ``rest`` of
    the tensors (norms, biases, routers) with all headers, and the folder's other ``files``."""

    signs: int
    rest: int
    files: int

    @classmethod
    def of(cls, spec: ModelSpec, rotates: bool, files: Mapping[str, Path] | None = None) -> Overhead:
        """Of a model and the small ``files`` that are copied into its folder."""
        turned: dict[str, int] = {}
        for layer in spec.layers if rotates else ():
            owners = layer.transforms()
            turned |= {owners[stage[0].name]: stage[0].cols for stage in layer.stages()}
        turned = {owner: cols for owner, cols in turned.items() if rotation.block_for(cols) >= 2}
        vectors = spec.vectors()
        routers = sum(allocation.stored_bytes(ref.rows, ref.cols, "f16", 0) for ref in spec.routers())
        tensors = 2 * len(spec.matrices()) + len(turned) + len(vectors)
        copied = sum(path.stat().st_size for path in (files or {}).values())
        return cls(
            signs=sum(turned.values()),
            rest=4 * sum(vectors.values()) + routers + tensors * _HEADER_BYTES,
            files=copied + tensors * _INDEX_BYTES + _FOLDER_BYTES,
        )


def items_of(
    spec: ModelSpec, losses: Mapping[str, Mapping[str, float]], group_for: Callable[[Format, int], int]
) -> list[Item]:
    """The items to choose for: every matrix with its stored bytes and predicted ``losses[matrix][format]``.

    ``losses`` holds the menu of each matrix, in nats; a matrix that is not in it (a router, an embedding
    whose format is settled) is no item.  ``group_for(format, cols)`` is the length of its groups.
    The same projection of all experts of a layer is one item.
    """
    shapes, ends = spec.matrices(), {spec.embedding.name, spec.head.name}
    items = []
    for bundle in _bundles(spec):
        names = [name for name in dict.fromkeys(bundle) if name in losses]
        if not names:
            continue
        choices = {}
        for fmt in (fmt for fmt in losses[names[0]] if all(fmt in losses[name] for name in names)):
            sizes = [_stored(shapes[name], fmt, group_for) for name in names]
            choices[fmt] = Choice(sum(sizes), float(sum(losses[name][fmt] for name in names)))
        weights = sum(shapes[name][0] * shapes[name][1] for name in names)
        items.append(Item(tuple(names), weights, choices, names[0] in ends))
    return items


def _bundles(spec: ModelSpec) -> list[list[str]]:
    """The matrices that get one format together; some occur twice (q, k and v may be parts of one)."""
    bundles = [[spec.embedding.name], [spec.head.name]]
    for layer in spec.layers:
        bundles += [[ref.name] for ref in (layer.q, layer.k, layer.v, layer.o)]
        for role in ("gate", "up", "down"):
            bundles.append([getattr(expert, role).name for expert in layer.experts])
    return [list(names) for names in dict.fromkeys(tuple(dict.fromkeys(bundle)) for bundle in bundles)]


def _stored(shape: tuple[int, int], fmt: str, group_for: Callable[[Format, int], int]) -> int:
    return allocation.stored_bytes(*shape, fmt, group_for(format_named(fmt), shape[1]))


def assumed_losses(spec: ModelSpec) -> dict[str, dict[str, float]]:
    """Losses before anything is measured: by :data:`DISTORTION`, every weight as important as another.

    Good for the bytes of a plan, not for a prediction of quality.
    """
    ends, routers = {spec.embedding.name, spec.head.name}, {ref.name for ref in spec.routers()}
    shapes = {name: shape for name, shape in spec.matrices().items() if name not in routers}
    total = sum(rows * cols for rows, cols in shapes.values())
    return {
        name: {fmt: DISTORTION[fmt] * rows * cols / total for fmt in (END_MENU if name in ends else MENU)}
        for name, (rows, cols) in shapes.items()
    }


@dataclass(frozen=True)
class Allocation:
    """What was chosen.  ``formats`` names that of every matrix; ``bytes`` counts their codes and scales;
    ``bits_per_weight`` is that of the projections, signs included; KL is in nats a token.

    ``limit`` is what ``bytes`` of the governed items might have been; ``note`` says what the user
    should know about it.
    """

    request: Request
    formats: dict[str, str]
    predicted_kl: float
    bytes: int
    bits_per_weight: float
    limit: int
    note: str = ""
    counts: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        chosen = list(self.formats.values())
        object.__setattr__(self, "counts", {fmt: chosen.count(fmt) for fmt in FORMATS if fmt in chosen})

    def as_json(self) -> dict[str, Any]:
        """For the receipt."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Allocation:
        """Undo :meth:`as_json`."""
        fields = {key: value for key, value in raw.items() if key != "counts"}
        return cls(**{**fields, "request": Request(**raw["request"])})


def resolve(request: Request, items: list[Item], overhead: Overhead, original: int | None = None) -> Allocation:
    """The formats of least predicted loss within the budget; for ``quality`` the fewest bytes within the bound.

    ``original`` is the size of the original's tensors.  BudgetError where the budget is below
    the smallest possible (it says what is), or a ``size`` is above the original's.
    """
    governed = [item for item in items if request.governs_ends or not item.end]
    if not governed:
        raise BudgetError("there is nothing to choose: no matrix has more than one format")
    if request.kind == "quality":
        chosen, note = _within_bound(request, governed), ""
        limit = allocation.total_bytes(governed, chosen)
    else:
        limit, note = _limit(request, governed, items, overhead, original)
        chosen = allocation.least_loss(governed, limit)
    picked = dict(zip((item.names for item in governed), chosen, strict=True))
    best = [picked.get(item.names) or _best(item) for item in items]
    return _allocation(request, items, best, overhead, limit, note)


def _best(item: Item) -> str:
    return min(item.choices, key=lambda name: (item.choices[name].loss, item.choices[name].bytes))


def _allocation(
    request: Request, items: list[Item], chosen: list[str], overhead: Overhead, limit: int, note: str
) -> Allocation:
    pairs = [(item, fmt) for item, fmt in zip(items, chosen, strict=True) if not item.end]
    weights = sum(item.weights for item, _ in pairs)
    stored = sum(item.choices[fmt].bytes for item, fmt in pairs) + overhead.signs
    return Allocation(
        request,
        {name: fmt for item, fmt in zip(items, chosen, strict=True) for name in item.names},
        allocation.total_loss(items, chosen),
        allocation.total_bytes(items, chosen),
        8 * stored / weights if weights else 0.0,
        limit,
        note,
    )


def _within_bound(request: Request, items: list[Item]) -> list[str]:
    try:
        return allocation.least_bytes(items, request.value)
    except BudgetError:
        best = allocation.total_loss(items, [_best(item) for item in items])
        raise BudgetError(
            f"no choice of formats keeps the predicted divergence within {request.value:g} nats: the largest "
            f"of them lose {best:.2g}; ask for a lower --quality, or for --encoding i8 or f16"
        ) from None


def _limit(
    request: Request, governed: list[Item], items: list[Item], overhead: Overhead, original: int | None
) -> tuple[int, str]:
    """Bytes that the governed items may take, and what to say where that is more than they can use."""
    if request.kind == "size" and original is not None and request.value > original:
        raise BudgetError(
            f"{_size(request.value)} is more than the original takes ({_size(original)}): "
            "ask for less, or use the original as it is"
        )
    weights = sum(item.weights for item in items if not item.end)
    if request.kind == "bits":
        beside, asked = overhead.signs, int(request.value * weights / 8)
    else:
        beside, asked = overhead.signs + overhead.rest, int(request.value)
    if request.kind == "size":
        beside += overhead.files
    limit, least, most = asked - beside, allocation.smallest(governed), allocation.largest(governed)

    def said(count: int, up: bool) -> str:
        if request.kind != "bits":
            return _size(count + beside, up)
        bits = 8 * (count + beside) / weights
        return f"{ceil(bits * 100) / 100 if up else bits:.2f} bits a weight"

    if limit < least:
        wanted = f"{request.value:g} bits a weight" if request.kind == "bits" else _size(request.value)
        room = " for the weights" if request.kind == "memory" else ""
        raise BudgetError(f"{wanted}{room} is not enough: the smallest this model can be made is {said(least, True)}")
    if limit >= most:
        return limit, f"the budget allows more than the largest formats take ({said(most, False)}): those were taken"
    return limit, ""


def alternatives(allocation_: Allocation, items: list[Item], count: int) -> list[Swap]:
    """The ``count`` swaps within the budget that are most worth measuring; see :func:`allocation.swaps`."""
    governed = [item for item in items if allocation_.request.governs_ends or not item.end]
    chosen = [allocation_.formats[item.names[0]] for item in governed]
    return allocation.swaps(governed, chosen, allocation_.limit, count)


def swapped(chosen: Allocation, swap: Swap, items: list[Item], overhead: Overhead) -> Allocation:
    """``chosen`` with ``swap`` made."""
    formats = chosen.formats | swap.formats
    names = [formats[item.names[0]] for item in items]
    made = _allocation(chosen.request, items, names, overhead, chosen.limit, chosen.note)
    return replace(made, formats={**chosen.formats, **made.formats})


def _size(count: float, up: bool = False) -> str:
    """Decimal units, as disks are sold, and the binary ones that cards are."""
    for unit, width in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= width:
            scaled = count / width
            return f"{ceil(scaled * 10) / 10 if up else scaled:.1f} {unit}"
    return f"{count:.0f} bytes"
