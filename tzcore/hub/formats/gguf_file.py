"""A GGUF file as a weight source: any quantisation, dequantised to float32, under Hugging Face names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import __version__, paths
from tzcore.checkpoint.ternary import Scheme, TernaryMatrix
from tzcore.errors import MissingExtraError, SourceError, UnsupportedModelError
from tzcore.hub.formats import ggml_ternary
from tzcore.hub.formats.ggml_ternary import Block
from tzcore.hub.formats.gguf_architecture import (
    ROPE_TENSORS,
    Family,
    configuration,
    family_of,
    hugging_face_name,
    restore_rows,
)
from tzcore.hub.formats.gguf_header import GgufHeader, GgufTensor, damaged, read_gguf_header
from tzcore.hub.formats.gguf_tokenizer import write_tokenizer


class GgufFile:
    """The file as a weight source.  Its header is read and checked when it is opened."""

    def __init__(self, path: Path, source_id: str, revision: str, licence: str | None = None) -> None:
        header = read_gguf_header(path)
        if int(header.get("split.count", 1) or 1) > 1:
            raise UnsupportedModelError(f"{path} is one part of several; join them with llama-gguf-split --merge first")
        self.id, self.revision = source_id, revision
        self.licence = licence_of(header) if licence is None else licence
        self._header = header
        self._family = family_of(header)
        self._ternary = _ternary_blocks(header)
        self._lengths = {
            tensor.name: _stored_bytes(header, tensor, self._ternary.get(tensor.name))
            for tensor in header.tensors.values()
        }
        self._names = _name_table(header, self._family)
        rope = {name: self._read(header.tensors[name]) for name in ROPE_TENSORS if name in header.tensors}
        self.config: dict[str, Any] = configuration(header, self._names, rope)
        self.scheme = _scheme(self._names, self._ternary)
        key = hashlib.sha256(f"{revision}\0{__version__}".encode()).hexdigest()[:24]
        self.files: dict[str, Path] = write_tokenizer(header, paths.sources() / "tokenizers" / key)

    def names(self) -> Iterable[str]:
        return self._names.keys()

    def _find(self, name: str) -> GgufTensor:
        try:
            return self._header.tensors[self._names[name]]
        except KeyError:
            raise SourceError(f"{self._header.path} has no tensor for {name}") from None

    def shape(self, name: str) -> tuple[int, ...]:
        return self._find(name).shape

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        values = self._read(self._find(name))
        if heads := self._reordered_heads(name):
            return restore_rows(values, heads)
        if self._family.norm_offset and name.endswith("norm.weight"):
            return values - np.float32(self._family.norm_offset)
        return values

    def ternary(self, name: str) -> TernaryMatrix:
        """As :class:`~tzcore.checkpoint.ternary.TernarySource` says."""
        tensor = self._find(name)
        found = ggml_ternary.decode(self._raw(tensor), self._ternary[tensor.name], self._where(tensor))
        if heads := self._reordered_heads(name):
            codes, scales = restore_rows(found.codes, heads), restore_rows(found.scales, heads)
            return TernaryMatrix(codes, scales, found.group)
        return found

    def _reordered_heads(self, name: str) -> int:
        """Heads whose rows are to be put back in order; 0 where nothing was reordered."""
        if self._family.reordered_qk and ".self_attn.q_proj." in name:
            return int(self.config["num_attention_heads"])
        if self._family.reordered_qk and ".self_attn.k_proj." in name:
            return int(self.config["num_key_value_heads"])
        return 0

    def bytes(self) -> int:
        return sum(self._lengths[stored] for stored in self._names.values())

    def close(self) -> None:
        """Nothing is held open between reads."""

    def _where(self, tensor: GgufTensor) -> str:
        return f"{self._header.path}: {tensor.name}"

    def _raw(self, tensor: GgufTensor) -> npt.NDArray[np.uint8]:
        """The stored bytes, row by row."""
        length = self._lengths[tensor.name]
        try:
            with open(self._header.path, "rb") as file:
                file.seek(tensor.start)
                raw = np.frombuffer(file.read(length), np.uint8)
        except OSError as error:
            raise SourceError(f"cannot read {self._header.path}: {error.strerror}") from error
        if len(raw) != length:
            raise damaged(self._header.path, f"{tensor.name} is cut off")
        return raw.reshape(*tensor.shape[:-1], -1)

    def _read(self, tensor: GgufTensor) -> npt.NDArray[np.float32]:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        rows = self._raw(tensor)
        if block := self._ternary.get(tensor.name):
            flat = rows.reshape(-1, rows.shape[-1])
            return ggml_ternary.values(flat, block, self._where(tensor)).reshape(tensor.shape)
        with np.errstate(invalid="ignore", over="ignore"):  # NaN scales of a damaged file: the converter names them
            values = dequantize(rows, GGMLQuantizationType(tensor.kind)).reshape(tensor.shape)
        return np.array(values, np.float32)  # in memory of its own


def licence_of(header: GgufHeader) -> str:
    """The licence that the file names, or ``"unknown"``."""
    return str(header.get("general.license.name") or header.get("general.license") or "unknown")


def _ternary_blocks(header: GgufHeader) -> dict[str, Block]:
    """The block format of each tensor that is stored in a ternary one, by the file's name."""
    blocks = {name: ggml_ternary.BLOCKS.get(tensor.kind) for name, tensor in header.tensors.items()}
    disputed = [tensor for tensor in header.tensors.values() if tensor.kind == ggml_ternary.Q2_0]
    if disputed:
        ends = sorted({tensor.start for tensor in header.tensors.values()} | {header.size})
        room = {start: after - start for start, after in pairwise(ends)}
        runs = [(tensor.elements, tensor.shape[-1], room.get(tensor.start, 0)) for tensor in disputed]
        form = ggml_ternary.form_of_q2_0(runs, header.alignment)
        if form is None:
            raise damaged(header.path, "the lengths of its Q2_0 tensors fit groups of neither 64 nor 128 weights")
        blocks |= dict.fromkeys((tensor.name for tensor in disputed), form)
    return {name: block for name, block in blocks.items() if block is not None}


def _scheme(names: dict[str, str], blocks: dict[str, Block]) -> Scheme | None:
    """The ternary matrices under their Hugging Face names."""
    found = {name.removesuffix(".weight"): blocks[stored] for name, stored in names.items() if stored in blocks}
    if not found:
        return None
    kinds = sorted({block.title for block in found.values()})
    return Scheme(f"GGUF {' and '.join(kinds)} weights", "float16, multiplied", frozenset(found))


def _stored_bytes(header: GgufHeader, tensor: GgufTensor, ternary: Block | None) -> int:
    """Bytes of the tensor in the file, which must hold them all."""
    if ternary:
        return _bytes_of_blocks(header, tensor, ternary.weights, ternary.size)
    try:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError:
        raise MissingExtraError('reading GGUF files needs an extra: pip install "ternary-zero[convert]"') from None
    try:
        kind = GGMLQuantizationType(tensor.kind)
        block, size = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise UnsupportedModelError(
            f"{header.path}: {tensor.name} is stored in a form (ggml type {tensor.kind}) that is not supported; "
            "take another quantisation of the model, such as Q8_0 or F16"
        ) from None
    if not _can_dequantise(kind):
        raise UnsupportedModelError(
            f"{header.path}: {tensor.name} is stored as {kind.name}, which cannot be read; "
            "take another quantisation of the model, such as Q8_0 or F16"
        )
    return _bytes_of_blocks(header, tensor, block, size)


def _bytes_of_blocks(header: GgufHeader, tensor: GgufTensor, block: int, size: int) -> int:
    if tensor.shape[-1] % block:
        raise damaged(header.path, f"{tensor.name} has rows of {tensor.shape[-1]}, no multiple of {block}")
    length = tensor.elements // block * size
    if tensor.start + length > header.size:
        raise damaged(header.path, f"the data of {tensor.name} would lie outside the file")
    return int(length)


@cache
def _can_dequantise(kind: Any) -> bool:
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import dequantize

    try:
        dequantize(np.zeros(GGML_QUANT_SIZES[kind][1], np.uint8), kind)
    except NotImplementedError:
        return False
    return True


def _name_table(header: GgufHeader, family: Family) -> dict[str, str]:
    """Hugging Face name → the file's name.  A tensor the family does not know is refused: leaving
    one out would give a model that talks nonsense."""
    table: dict[str, str] = {}
    for stored in header.tensors:
        if stored in ROPE_TENSORS:
            continue
        name = hugging_face_name(family, stored)
        if name is None:
            raise UnsupportedModelError(
                f"{header.path} has the tensor {stored}, which the family {header.architecture} is not known to have"
            )
        table[name] = stored
    if "model.embed_tokens.weight" not in table:
        raise damaged(header.path, "it has no token embedding")
    return table
