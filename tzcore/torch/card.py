"""The product on a CUDA card: the engine's kernels (:mod:`tzcore.backend.cuda`), queued on torch's current stream.

torch and the engine share the card's primary context, so that kernels read and write the tensors' own memory.
Nothing waits: a layer's product can be captured in a graph once it has been made before.  The kernels want codes
in another order than model folders have (:mod:`tzcore.backend.cuda.layout`); a copy in theirs is made at the first
product and is kept as long as the layer's codes are, so that a layer takes its bytes twice on a card.

What is below :class:`Card` is tested against the CPU's results on an interpreter of the kernels; the few lines of
:class:`TorchCard` that ask torch for a stream and for memory need a card.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import torch
from torch.utils.weak import WeakTensorKeyDictionary

from tzcore import trits
from tzcore.backend.cuda import driver, products
from tzcore.backend.cuda.arena import aligned
from tzcore.backend.cuda.device import Device
from tzcore.backend.cuda.kernels import Kernels
from tzcore.backend.cuda.layout import KBLOCK, Shape
from tzcore.backend.cuda.pages import CHUNK
from tzcore.backend.cuda.products import GROUPS, HALVES, TOKENS, Form, Part, Stage
from tzcore.backend.cuda.weights import Matrix, arrange
from tzcore.backend.cuda.workspace import FEW, Buffers
from tzcore.errors import BackendError
from tzcore.torch.form import MatrixForm

_THREADS = 512
_QUAD = 4
"""Numbers that kernels read at once: rows are padded to whole ones, and begin at multiples of their 16 bytes."""


class Card(Protocol):
    """A card as a product needs it: kernels, and memory and streams of whoever owns the tensors."""

    device: Device
    kernels: Kernels

    def empty(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        """New memory on the card, for use on the current stream."""

    def address(self, tensor: torch.Tensor) -> int:
        """Where it lies, for kernels."""

    def current(self) -> AbstractContextManager[Any]:
        """While this is open, the card is the thread's current one."""

    def stream(self) -> Any:
        """The queue that torch uses now."""

    def capturing(self) -> bool:
        """Whether what is queued is recorded and not run."""

    def mark(self) -> Any:
        """An event behind what is queued on the current stream."""

    def wait(self, event: Any) -> None:
        """The current stream goes on behind ``event``."""


class TorchCard:
    """The card ``index`` of torch."""

    def __init__(self, index: int) -> None:
        """MissingExtraError without cuda-python; BackendError for a card or a driver that is too old."""
        self._place = torch.device("cuda", index)
        self.device: Device = driver.open_device(index)
        self.kernels = Kernels(self.device)

    def empty(self, *shape: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=self._place)

    def address(self, tensor: torch.Tensor) -> int:
        return tensor.data_ptr()

    def current(self) -> AbstractContextManager[Any]:
        return torch.cuda.device(self._place)

    def stream(self) -> Any:
        return torch.cuda.current_stream(self._place).cuda_stream

    def capturing(self) -> bool:
        return torch.cuda.is_current_stream_capturing()

    def mark(self) -> Any:
        return torch.cuda.current_stream(self._place).record_event()

    def wait(self, event: Any) -> None:
        torch.cuda.current_stream(self._place).wait_event(event)


@cache
def card(index: int) -> Card:
    """The card ``index`` of torch, opened once."""
    return TorchCard(index)


@dataclass(frozen=True)
class Arranged:
    """A matrix as the kernels read it.

    ``made_of`` says of what; ``held`` is the memory that the addresses mean, and what it was made of but for the codes,
    whose end is this one's; ``event`` is behind its making on ``stream``.
    """

    part: Part
    form: Form
    stage: Stage
    made_of: tuple[Any, ...]
    held: tuple[torch.Tensor, ...]
    stream: Any
    event: Any

    def is_of(self, made_of: tuple[Any, ...], *tensors: torch.Tensor | None) -> bool:
        """Whether it was made of these tensors, and they are what they were."""
        held = {id(tensor) for tensor in self.held}
        return self.made_of == made_of and all(tensor is None or id(tensor) in held for tensor in tensors)


_known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
_lock = threading.Lock()


def product(
    on: Card,
    x: torch.Tensor,
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    bias: torch.Tensor | None,
    matrix: MatrixForm,
) -> torch.Tensor:
    """``x`` ``[..., cols]`` times the matrix, transposed, plus ``bias``: ``[..., rows]`` in the type of ``x``.

    All tensors are on the card.  BackendError where the first product of a layer is being captured.
    """
    with on.current():
        made = arranged(on, codes, scales, signs, matrix)
        flat = x.detach().reshape(-1, matrix.cols)
        width = made.stage.cols
        if flat.dtype != torch.float32 or not flat.is_contiguous() or width != matrix.cols or on.address(flat) % 16:
            rows, flat = flat, on.empty(len(flat), width, dtype=torch.float32)
            flat[:, : matrix.cols].copy_(rows)
            flat[:, matrix.cols :].zero_()
        out = on.empty(len(flat), matrix.rows, dtype=torch.float32)
        for first in range(0, len(flat), CHUNK):
            _multiply(on, made, flat[first : first + CHUNK], out[first : first + CHUNK])
        if made.form.mode == HALVES and matrix.gain != 1:  # the others' products have it from their tiles
            out *= matrix.gain
        if bias is not None:
            out += bias.detach()
        return out.to(x.dtype).reshape(*x.shape[:-1], matrix.rows)


def arranged(
    on: Card, codes: torch.Tensor, scales: torch.Tensor | None, signs: torch.Tensor | None, matrix: MatrixForm
) -> Arranged:
    """The matrix in the kernels' order: the known one as long as its tensors are what they were."""
    tensors = [tensor for tensor in (codes, scales, signs) if tensor is not None]
    made_of = (matrix, *((on.address(tensor), _version(tensor)) for tensor in tensors))
    with _lock:
        made: Arranged | None = _known.get(codes)
        if made is None or not made.is_of(made_of, scales, signs):
            if on.capturing():
                raise BackendError(
                    "the first product of a ternary layer cannot be captured in a CUDA graph: run the model once before"
                )
            made = _arrange(on, codes, scales, signs, matrix, made_of)
            _known[codes] = made
    # A capture begins when all that was queued before is done, and cannot wait for it.
    if made.stream != on.stream() and not on.capturing():
        on.wait(made.event)
    return made


def _version(tensor: torch.Tensor) -> int:
    """Changes when the tensor's contents do."""
    return 0 if tensor.is_inference() else tensor._version


def _arrange(
    on: Card,
    codes: torch.Tensor,
    scales: torch.Tensor | None,
    signs: torch.Tensor | None,
    matrix: MatrixForm,
    made_of: tuple[Any, ...],
) -> Arranged:
    fmt = matrix.format
    shape = Shape(fmt, matrix.rows, matrix.cols, matrix.group)
    width = -(-matrix.cols // _QUAD) * _QUAD
    memory = on.empty(shape.bytes, dtype=torch.uint8)
    sizes, at = dict(shape.parts), on.address(memory)
    to = Matrix(shape, at, at + sizes["codes"], at + sizes["codes"] + sizes["scales"])
    memory[-sizes["gains"] :].view(torch.float32).fill_(matrix.gain)
    held = [memory, *(tensor for tensor in (scales, signs) if tensor is not None)]

    def put(tensor: torch.Tensor) -> int:
        """The address of ``tensor``, or of a copy that begins where kernels can read it."""
        if not tensor.is_contiguous() or on.address(tensor) % 16:
            tensor = on.empty(*tensor.shape, dtype=tensor.dtype).copy_(tensor)
            held.append(tensor)
        return on.address(tensor)

    table = torch.empty(0, dtype=torch.int32)
    if scales is not None:
        table = torch.from_numpy(trits.places(fmt, matrix.cols).view("int32"))
    places = on.empty(len(table), dtype=torch.int32).copy_(table)
    arrange(on.kernels, to, shape.tiles, put(codes), put(places), 0 if scales is None else put(scales), on.stream())
    turned = 0
    if signs is not None:
        padded = on.empty(width, dtype=torch.int8).fill_(1)
        padded[: matrix.cols].copy_(signs)
        held.append(padded)
        turned = on.address(padded)
    mode = HALVES if scales is None else TOKENS if matrix.activations == "token" else GROUPS
    form = Form(turned, matrix.block if turned else 1, mode, matrix.group or KBLOCK)
    part = Part(to, 0)
    stage = replace(products.stage([(form, part)], matrix.rows, on.device.multiprocessors), cols=width)
    _fetch(on.kernels, form, part)
    return Arranged(part, form, stage, made_of, tuple(held), on.stream(), on.mark())


def _fetch(kernels: Kernels, form: Form, part: Part) -> None:
    """Load every kernel that a product launches: nothing is loaded while a graph is captured."""
    for file, name in (
        *products.names(form, part),
        ("norm_prepare", "norm_prepare"),
        ("finish_logits", "finish_logits"),
    ):
        kernels.get(file, name)


def _multiply(on: Card, made: Arranged, x: torch.Tensor, out: torch.Tensor) -> None:
    """``out`` ``[tokens, rows]`` of ``x`` ``[tokens, width]``, both float32: at most :data:`CHUNK` tokens."""
    tokens, (shape, form, stage) = len(x), (made.part.matrix.shape, made.form, made.stage)
    splits = stage.splits if tokens <= FEW else 1
    padded = shape.blocks * KBLOCK
    half = form.mode == HALVES
    sums = 4 * splits * tokens * shape.rows if splits > 1 else 0
    sizes = {
        "codes": 0 if half else tokens * padded,
        "factors": 4 * tokens if half else 8 * tokens * padded // form.group,
        "hi": 2 * tokens * padded if half else 0,
        "lo": 2 * tokens * padded if half else 0,
        "parts": sums,
    }
    scratch = on.empty(sum(map(aligned, sizes.values())), dtype=torch.uint8)
    places, at = {}, on.address(scratch)
    for name, size in sizes.items():
        places[name] = at
        at += aligned(size)
    if not sums:
        places["parts"] = on.address(out)
    work, stream = Buffers(places), on.stream()
    _launch(on, "norm_prepare", (tokens, 1, 1), _THREADS, (
        on.address(x), 0, 0, 0, 0, 1.0, 0, 0.0, 0.0, *form, tokens, stage.cols,
        work["codes"], work["factors"], work["hi"], work["lo"], 0,
    ), shared=products.row_bytes(stage.cols))  # fmt: skip
    products.multiply(on.kernels, work, form, [made.part], stage, tokens, stream)
    if sums:
        grid = (-(-shape.rows // 256), tokens, 1)
        arguments = (work["parts"], splits, tokens, shape.rows, 1.0, 0.0, on.address(out))
        _launch(on, "finish_logits", grid, 256, arguments)


def _launch(
    on: Card, name: str, grid: tuple[int, int, int], block: int, arguments: Sequence[int | float], shared: int = 0
) -> None:
    on.kernels.launch(name, grid, block, arguments, shared=shared, stream=on.stream())
