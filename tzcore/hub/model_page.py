"""What a model's page shows: what :func:`tzcore.hub.sources.describe` says, its files, its popularity and its card.

Everything in it was written by strangers: the card is text of at most :data:`LONGEST_CARD` bytes, to be shown as
such, and nothing that it names is fetched.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from tzcore.errors import AccessError, NetworkError, SourceError, TernaryZeroError, UnsupportedModelError
from tzcore.hub import download, repository, sources
from tzcore.hub.reference import Kind, Reference
from tzcore.hub.repository import Repository
from tzcore.hub.sources import SourceInfo

LONGEST_CARD = 400_000
CARD = "README.md"


@dataclass(frozen=True)
class File:
    """``needed``: a conversion reads it; others are never fetched."""

    name: str
    bytes: int
    needed: bool


@dataclass(frozen=True)
class ModelPage:
    """``why`` says why a model that is not ``supported`` is not; ``card_note`` why there is no whole card.
    ``access`` says whether its files may be fetched with the token in use; ``None`` where nobody has to be asked."""

    id: str
    kind: str
    address: str
    revision: str | None
    family: str | None
    supported: bool
    why: str
    parameters: int | None
    licence: str
    gated: bool
    access: bool | None
    native: bool
    context: int | None
    downloads: int | None
    likes: int | None
    files: tuple[File, ...]
    download_bytes: int | None
    card: str
    card_note: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def model_page(reference: Reference, token: str | None = None) -> ModelPage:
    """Metadata and card, and nothing else.  Errors as in :func:`sources.describe`."""
    if reference.kind is Kind.HUB:
        return _hub_page(reference, token)
    info = sources.describe(reference, token)
    card, note = _local_card(reference)
    files = tuple(File(name, size, True) for name, size in info.weights)
    return _page(info, reference, files, card, note, why="" if info.supported else _why(info.config, info.family))


def _hub_page(reference: Reference, token: str | None) -> ModelPage:
    popularity: tuple[int | None, int | None] = (None, None)
    if not repository.offline():
        known, popularity = repository.look_up_popular(reference.target, reference.revision, token)
    elif snapshot := download.cached(reference.target, reference.revision):
        known = snapshot.repository
    else:
        raise repository.is_offline(reference.target)
    access: bool | None = None
    why = ""
    needed: set[str] = set()
    try:
        needed = {file.name for group in download.needed(known) for file in group}
        info = sources.describe_repository(reference, known, token)
        if known.gated:
            access = info.config is not None and "hidden_size" in info.config
        if not info.supported:
            why = _why(info.config, info.family)
    except (AccessError, NetworkError):
        raise
    except SourceError as error:  # of no use to us, and its page can still be read
        why = str(error)
        info = SourceInfo(
            reference.id, reference.kind, known.commit, known.model_type, False, known.parameters, None, known.licence,
            known.gated,
        )
    files = tuple(File(file.name, file.size, file.name in needed) for file in known.files)
    card, note = _card(known, token)
    return _page(info, reference, files, card, note, why, access, popularity)


def _page(
    info: SourceInfo,
    reference: Reference,
    files: tuple[File, ...],
    card: str,
    note: str,
    why: str,
    access: bool | None = None,
    popularity: tuple[int | None, int | None] = (None, None),
) -> ModelPage:
    config = info.config or {}
    text = config.get("text_config", config)
    context = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return ModelPage(
        id=info.id,
        kind=str(info.kind),
        address=f"{_endpoint()}/{reference.target}" if reference.kind is Kind.HUB else reference.target,
        revision=info.revision,
        family=info.family,
        supported=info.supported,
        why=why,
        parameters=info.parameters,
        licence=info.licence,
        gated=info.gated,
        access=access,
        native=info.ternary,
        context=context if isinstance(context, int) else None,
        downloads=popularity[0],
        likes=popularity[1],
        files=tuple(sorted(files, key=lambda file: (not file.needed, -file.bytes, file.name))),
        download_bytes=info.download_bytes,
        card=card,
        card_note=note,
    )


def _endpoint() -> str:
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def _why(config: dict[str, Any] | None, family: str | None) -> str:
    """Why it cannot be converted."""
    try:
        sources.demand_supported(config if config is not None else {"model_type": family})
    except (SourceError, UnsupportedModelError) as error:
        return str(error)
    return "what its files say of it is not understood"


def _card(known: Repository, token: str | None) -> tuple[str, str]:
    """The card, and what to say where it is not there or not whole."""
    from tzcore.hub.ranges import read_range

    file = next((file for file in known.files if file.name == CARD), None)
    if file is None or not file.size:
        return "", "it has none"
    if repository.offline():
        return "", "it is not read while offline"
    length = min(file.size, LONGEST_CARD)
    try:
        raw = read_range(download.remote_file(known, file, token), 0, length, download.PATIENCE)
    except TernaryZeroError as error:
        return "", str(error)
    return without_head(raw.decode("utf-8", "replace")), "" if length == file.size else "only its beginning is shown"


def _local_card(reference: Reference) -> tuple[str, str]:
    if reference.kind is Kind.FOLDER:
        with suppress(OSError):
            with (reference.path / CARD).open("rb") as file:
                raw = file.read(LONGEST_CARD + 1)
            text = without_head(raw[:LONGEST_CARD].decode("utf-8", "replace"))
            return text, "only its beginning is shown" if len(raw) > LONGEST_CARD else ""
    return "", "it has none"


def without_head(text: str) -> str:
    """A card without the block of metadata at its head."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if text.startswith("---\n"):
        end = text.find("\n---", 3)
        if end >= 0:
            return text[end + 4 :].lstrip("-").lstrip("\n")
    return text
