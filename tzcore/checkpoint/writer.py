"""Writes a model folder tensor by tensor, so that a kill at any instant loses at most one.

Work happens in ``<final>.partial``.  Each tensor is a small safetensors file in ``loose/`` until
:meth:`FolderWriter.seal` merges those of one block into a shard; ``finish`` adds the small files
and renames the folder.  Opening a writer on an existing partial folder goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore import atomic, trits
from tzcore.checkpoint import safetensors
from tzcore.checkpoint.reader import INDEX, read_json
from tzcore.checkpoint.schema import VERSION, Activations, MatrixEntry, Quantization
from tzcore.errors import CheckpointError, ConversionError

_ENTRIES = "entries"
_FINGERPRINT = "fingerprint.json"


class FolderWriter:
    """A model folder in the making.

    ``fingerprint`` is everything that determines the result (source, revision, settings): a
    partial folder begun with another one is refused with a ConversionError.
    """

    def __init__(self, final: Path, fingerprint: dict[str, Any]) -> None:
        self.final = Path(final)
        if self.final.exists():
            raise ConversionError(f"{self.final} exists already: remove it first, or choose another name")
        self.partial = self.final.with_name(self.final.name + ".partial")
        self.scratch = self.partial / "scratch"
        self._loose = self.partial / "loose"
        with atomic.storage_errors(self.partial):
            self.scratch.mkdir(parents=True, exist_ok=True)
            self._loose.mkdir(exist_ok=True)
        self._check_fingerprint(fingerprint)
        self._where: dict[str, Path] = {}
        self._entries: dict[str, MatrixEntry] = {}
        for path in [*sorted(self.partial.glob("*.safetensors")), *sorted(self._loose.glob("*.safetensors"))]:
            self._adopt(path)

    def _check_fingerprint(self, fingerprint: dict[str, Any]) -> None:
        note = self.partial / _FINGERPRINT
        wanted = json.loads(json.dumps({**fingerprint, "format_version": VERSION}))
        if not note.exists():
            atomic.write_json(note, wanted)
        elif read_json(note) != wanted:
            raise ConversionError(
                f"{self.partial} was begun with other settings or another version of the model or the program: "
                "finish it with the same ones, or delete that folder"
            )

    def _adopt(self, path: Path) -> None:
        try:
            header = safetensors.read_header(path)
        except CheckpointError:
            if path.parent == self._loose:  # a torn file after a power cut: it is made again
                path.unlink()
                return
            raise
        if path.parent == self._loose and all(name in self._where for name in header.tensors):
            path.unlink()  # killed between sealing a shard and removing its pieces
            return
        for name in header.tensors:
            self._where[name] = path
        for name, raw in json.loads(header.metadata.get(_ENTRIES, "{}")).items():
            self._entries[name] = MatrixEntry.from_json(name, raw)

    def has(self, name: str) -> bool:
        """Whether a matrix (name without ``.weight``), vector or signs tensor is already written."""
        return name in self._entries or name in self._where

    def add_matrix(self, entry: MatrixEntry, codes: npt.NDArray[Any], scales: npt.NDArray[np.float16] | None) -> None:
        """Store packed ``codes`` (and tiled ``scales``); on disk when this returns."""
        count = trits.tiles(entry.rows)
        half = entry.format.packing == "half"
        wanted = (count, trits.padded(entry.cols), 16) if half else (count, trits.tile_bytes(entry.format, entry.cols))
        if codes.shape != wanted or (scales is None) != half:
            raise ConversionError(f"{entry.name}: packed codes have shape {codes.shape}, expected {wanted}")
        tensors = {f"{entry.name}.codes": codes}
        if scales is not None:
            if scales.shape != (count, trits.groups(entry.cols, entry.group), trits.LANES):
                raise ConversionError(f"{entry.name}: scales have the shape {scales.shape}")
            tensors[f"{entry.name}.scales"] = scales
        self._write(entry.name, tensors, {entry.name: entry})

    def add_vector(self, name: str, values: npt.NDArray[np.float32]) -> None:
        """Store a norm weight or bias under its full name."""
        if values.ndim != 1 or not np.isfinite(values).all():
            raise ConversionError(f"{name} is not a vector of finite numbers")
        self._write(name, {name: np.ascontiguousarray(values, np.float32)}, {})

    def add_signs(self, name: str, signs: npt.NDArray[np.int8]) -> None:
        """Store the ±1 vector of a Hadamard transform."""
        self._write(name, {name: np.ascontiguousarray(signs, np.int8)}, {})

    def _write(self, name: str, tensors: dict[str, npt.NDArray[Any]], entries: dict[str, MatrixEntry]) -> None:
        path = self._loose / f"{name}.safetensors"
        table = {key: entry.as_json() for key, entry in entries.items()}
        safetensors.write_file(path, tensors, {_ENTRIES: json.dumps(table, sort_keys=True)})
        self._where.update(dict.fromkeys(tensors, path))
        self._entries.update(entries)

    def read_tensor(self, name: str) -> npt.NDArray[Any]:
        """A tensor written before, by its stored name."""
        path = self._where[name]
        info = safetensors.read_header(path).tensors[name]
        return np.array(safetensors.view(safetensors.map_file(path), info))

    def read_matrix(self, name: str) -> tuple[MatrixEntry, npt.NDArray[Any], npt.NDArray[np.float16] | None]:
        """A matrix written before: its entry, packed codes and tiled scales."""
        entry = self._entries[name]
        scales = self.read_tensor(f"{name}.scales") if f"{name}.scales" in self._where else None
        return entry, self.read_tensor(f"{name}.codes"), scales

    def seal(self, stem: str) -> None:
        """Merge all loose tensors into the shard ``stem.safetensors``.

        Nothing is done where nothing is loose, or where that shard was sealed before: on resuming,
        what is loose then belongs to a later one.
        """
        shard = self.partial / f"{stem}.safetensors"
        if shard.exists():
            return
        pieces = sorted({path for path in self._where.values() if path.parent == self._loose})
        if not pieces:
            return
        names = [name for name, path in self._where.items() if path.parent == self._loose]
        tensors = {name: self.read_tensor(name) for name in names}
        entries = {name: entry.as_json() for name, entry in self._entries.items() if f"{name}.codes" in tensors}
        safetensors.write_file(shard, tensors, {"format": "pt", _ENTRIES: json.dumps(entries, sort_keys=True)})
        self._where.update(dict.fromkeys(names, shard))
        for path in pieces:
            path.unlink(missing_ok=True)

    def replace(self, tensors: dict[str, npt.NDArray[Any]]) -> None:
        """Put other values of the same shape and type in place of tensors written before, shard by shard.

        Each shard is whole at every moment; after a kill the same call again completes the change.
        """
        for path in sorted({self._where[name] for name in tensors}):
            header = safetensors.read_header(path)
            mapped = safetensors.map_file(path)
            values = {name: safetensors.view(mapped, info) for name, info in header.tensors.items()}
            for name in values.keys() & tensors.keys():
                if (tensors[name].shape, tensors[name].dtype) != (values[name].shape, values[name].dtype):
                    raise ConversionError(f"{name} cannot be replaced by values of another shape or type")
                values[name] = tensors[name]
            safetensors.write_file(path, values, header.metadata)

    def entry(self, name: str) -> MatrixEntry:
        """How a matrix written before is stored."""
        return self._entries[name]

    def stored_bytes(self, name: str) -> int:
        """Bytes of a tensor's data as stored, by its stored name."""
        info = safetensors.read_header(self._where[name]).tensors[name]
        return info.stop - info.start

    def finish(
        self,
        config: dict[str, Any],
        files: dict[str, Path],
        receipt: dict[str, Any],
        activations: Activations = "group",
    ) -> Path:
        """Complete the folder and move it to its place.  Returns that place.

        ``config`` is the original's; ``quantization_config``, with ``activations``, is added.  ``files``
        are copied under their names.  ``shards`` (SHA-256 of each) and ``bytes`` are added to
        ``receipt``.
        """
        self.seal("model-rest")
        shards = sorted(self.partial.glob("*.safetensors"))
        total = sum(path.stat().st_size for path in shards)
        weight_map = {name: path.name for name, path in sorted(self._where.items())}
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        atomic.write_json(self.partial / INDEX, index)
        quantization = Quantization(self._entries, activations).as_json()
        atomic.write_json(self.partial / "config.json", {**config, "quantization_config": quantization})
        for name, path in files.items():
            atomic.write(self.partial / name, [path.read_bytes()])
        hashes = {path.name: _sha256(path) for path in shards}
        for path in shards:
            _forget(path)
        atomic.write_json(self.partial / "receipt.json", {**receipt, "bytes": total, "shards": hashes})
        with atomic.storage_errors(self.final):
            shutil.rmtree(self.scratch, ignore_errors=True)
            shutil.rmtree(self._loose, ignore_errors=True)
            os.replace(self.partial, self.final)
            # Last, so that a kill before the rename leaves a folder that still knows what it is.
            (self.final / _FINGERPRINT).unlink(missing_ok=True)
            atomic.sync_folder(self.final.parent)
        return self.final


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget(path: Path) -> None:
    """Let the system drop what it holds of the file in memory: written piece by piece it lies there in small
    pages, and read again it comes in huge ones (:func:`tzcore.checkpoint.safetensors.map_file`)."""
    if hasattr(os, "posix_fadvise"):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
