"""The installed models: folders under ``paths.model_folders()``, read by their two small JSON files alone.

A folder counts as a model if its ``config.json`` is one of ours and ``receipt.json`` says what it
is; the converter renames a folder into place when it is whole.  Names ending in ``.partial`` are
unfinished conversions, names ending in ``.deleting`` what a killed removal left over.
Imports nothing heavy: ``tz list`` and the window's start depend on it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tzcore import paths
from tzcore.errors import SourceError, StorageError

_METHOD = "ternary_zero"  # schema.METHOD; that module imports numpy
_PARTIAL, _DELETING = ".partial", ".deleting"


@dataclass(frozen=True)
class InstalledModel:
    """A model that can be run.  ``source`` is the id of the original; ``bytes`` counts the folder;
    ``created`` is an ISO time; ``bits_per_weight`` is ``None`` where the receipt lacks it."""

    id: str
    path: Path
    source: str
    encoding: str
    bytes: int
    created: str
    revision: str = ""
    licence: str = "unknown"
    bits_per_weight: float | None = None


@dataclass(frozen=True)
class Unfinished:
    """A folder that is not (or no longer) a model.  ``why`` is for a person."""

    path: Path
    bytes: int
    why: str


def installed() -> list[InstalledModel]:
    """All whole models, by id."""
    found = (_read(folder) for folder in _folders() if not folder.name.endswith((_PARTIAL, _DELETING)))
    return sorted((model for model in found if model), key=lambda model: model.id.lower())


def unfinished() -> list[Unfinished]:
    """Begun conversions, and folders that are damaged."""
    result = []
    for folder in _folders():
        if folder.name.endswith(_DELETING):
            continue
        if folder.name.endswith(_PARTIAL):
            result.append(Unfinished(folder, folder_bytes(folder), "unfinished: the same tz convert goes on with it"))
        elif _read(folder) is None:
            result.append(Unfinished(folder, folder_bytes(folder), "damaged: config.json or receipt.json is unusable"))
    return result


def resolve(text: str) -> InstalledModel | None:
    """The model that ``text`` means: a folder, an installed id, or the id of an original.

    Of several conversions of one original the newest is taken.  Upper and lower case may differ.
    """
    path = Path(text).expanduser()
    if (path / "config.json").is_file() and (model := _read(path.absolute(), by_path=True)):
        return model
    models = installed()
    wanted = _canonical(text).lower()
    for model in models:
        if model.id == text or _canonical(model.id).lower() == wanted:
            return model
    of_source = [model for model in models if _canonical(model.source).lower() == wanted]
    return max(of_source, key=lambda model: model.created, default=None)


def installed_id(source_id: str, encoding: str) -> str:
    """The id under which a conversion of ``source_id`` is installed, e.g. ``starter:t2``."""
    return f"{_short(source_id)}:{encoding}"


def folder_for(source_id: str, encoding: str) -> Path:
    """Where that conversion belongs.  Different ids never share a folder."""
    short = _short(source_id)
    plain = re.sub(r"[^A-Za-z0-9._@+=-]+", "_", short.replace("/", "--").replace(":", "-")).strip("._") or "model"
    if plain != short.replace("/", "--") or plain.lower().endswith((_PARTIAL, _DELETING)):
        plain += "-" + hashlib.sha256(source_id.encode()).hexdigest()[:8]
    return paths.models() / f"{plain}--{re.sub(r'[^A-Za-z0-9]+', '_', encoding)}"


def remove(model_id: str) -> int:
    """Delete an installed model; the bytes freed.  It is gone at once or not at all, however it is stopped.

    An unknown id is a SourceError, a folder that cannot be changed a StorageError.
    """
    _sweep()
    model = next((m for m in installed() if m.id == model_id), None) or resolve(model_id)
    if model is None:
        known = ", ".join(m.id for m in installed()) or "none"
        raise SourceError(f"no installed model is called {model_id!r}; installed: {known}")
    if not in_library(model.path):
        raise SourceError(f"{model.path} lies outside the library {paths.models()}; delete the folder yourself")
    return model.bytes if _delete(model.path) else 0


def discard(path: Path) -> int:
    """Delete an :class:`Unfinished` folder of the library; the bytes freed."""
    if not in_library(path) or not path.is_dir():
        raise SourceError(f"{path} is no folder of the library {paths.models()}")
    size = folder_bytes(path)
    _delete(path)
    return size


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in ``folder``."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += folder_bytes(Path(entry.path))
                else:
                    total += entry.stat().st_size
    except FileNotFoundError:
        pass  # removed meanwhile
    return total


def unavailable() -> list[tuple[Path, str]]:
    """Folders of the settings that cannot be read now (a drive that is not plugged in), and why."""
    result = []
    for folder in paths.model_folders()[1:]:
        try:
            with os.scandir(folder):
                pass
        except OSError as error:
            result.append((folder, error.strerror or str(error)))
    return result


def _folders() -> list[Path]:
    """The folders in all libraries.  One that cannot be reached is left out, the first excepted: without
    it nothing can be kept."""
    found = []
    for root in paths.model_folders():
        try:
            found += [Path(entry.path) for entry in os.scandir(root) if entry.is_dir()]
        except FileNotFoundError:
            continue
        except OSError as error:
            if root == paths.models():
                raise StorageError(f"cannot read the library {root}: {error.strerror}") from error
    return found


def in_library(folder: Path) -> bool:
    """Whether ``folder`` lies directly in one of the folders of models."""
    return folder.parent.resolve() in {root.resolve() for root in paths.model_folders()}


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read(folder: Path, by_path: bool = False) -> InstalledModel | None:
    """The model in ``folder``; ``None`` if it is none.  ``by_path``: one outside the library is known by its path."""
    quantization = _json(folder / "config.json").get("quantization_config")
    if not isinstance(quantization, dict) or quantization.get("quant_method") != _METHOD:
        return None
    receipt = _json(folder / "receipt.json")
    source = receipt.get("source")
    if not isinstance(source, dict) or not isinstance(receipt.get("id"), str):
        return None
    outside = by_path and not in_library(folder)
    bits = receipt.get("bits_per_weight")
    return InstalledModel(
        id=str(folder) if outside else receipt["id"],
        path=folder,
        source=str(source.get("id", "")),
        encoding=str(receipt.get("encoding", "")),
        bytes=folder_bytes(folder),
        created=str(receipt.get("created", "")),
        revision=str(source.get("revision", "")),
        licence=str(source.get("licence", "unknown")),
        bits_per_weight=float(bits) if isinstance(bits, int | float) and not isinstance(bits, bool) else None,
    )


def _canonical(text: str) -> str:
    """``text`` with an alias at its head undone."""
    from tzcore.hub.reference import ALIASES

    head, colon, tail = text.partition(":")
    return ALIASES[head.lower()] + colon + tail if head.lower() in ALIASES else text


def _short(source_id: str) -> str:
    """A path is shortened to its name and a hash; other ids are short as they are."""
    if not (os.path.isabs(source_id) or re.match(r"[A-Za-z]:[\\/]", source_id)):
        return source_id
    name = re.split(r"[\\/]", source_id.rstrip("\\/"))[-1]
    stem = re.sub(r"\.(gguf|whl)$", "", name, flags=re.IGNORECASE)
    return f"{stem}-{hashlib.sha256(source_id.encode()).hexdigest()[:6]}"


def _delete(folder: Path) -> bool:
    """Rename, then delete: what is half deleted no longer carries the name of a model."""
    doomed = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}{_DELETING}")
    try:
        os.replace(folder, doomed)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(
            f"cannot remove {folder}: {error.strerror}; close what uses it (a running tz serve?) and try again"
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)
    return True


def _sweep() -> None:
    for folder in _folders():
        if folder.name.endswith(_DELETING):
            shutil.rmtree(folder, ignore_errors=True)
