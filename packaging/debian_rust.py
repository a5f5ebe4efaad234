"""A current Rust compiler and its library's source from Debian's packages, unpacked into a folder of our own.

For a machine whose Rust has no other targets and cannot fetch any.  Nothing is installed: apt finds, downloads
and verifies the packages of Debian's newest suite from the mirror that this system uses anyway, with lists and
settings of its own, and they are unpacked side by side, with the C library that they need, which is
newer than the system's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SUITE = "sid"
"""The one suite that always has a current Rust."""
LIBRARIES = ("libstd-rust-dev", "rust-src")
"""With what they depend on.  ``rustc`` comes alone: it would ask for a whole C compiler."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FRESH = 7 * 24 * 3600
"""Seconds during which an unpacked compiler is used without asking for a newer one."""


class Unavailable(Exception):
    """Why there is no such compiler here, in one line."""


@dataclass(frozen=True)
class Toolchain:
    """An unpacked compiler: what to run, the library's source, and where to build."""

    rustc: Path
    library: Path
    target: Path


def get(cache: Path, deadline: float) -> Toolchain:
    """The unpacked compiler in ``cache``, downloaded first where there is none or an old one."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("neither targets nor the library's source are installed, and this is no Debian")
    cache.mkdir(parents=True, exist_ok=True)
    there = max(cache.glob("rust-*/complete"), key=lambda stamp: stamp.stat().st_mtime, default=None)
    if there is not None and time.time() - there.stat().st_mtime < FRESH:
        return _toolchain(there.parent)
    try:
        return _toolchain(_newest(cache, deadline))
    except Unavailable:
        if there is None:
            raise
        return _toolchain(there.parent)


def _newest(cache: Path, deadline: float) -> Path:
    """The folder of the newest version, filled."""
    with tempfile.TemporaryDirectory(dir=cache, prefix="apt-") as name:
        apt = _Apt(Path(name), deadline)
        apt.update()
        version = apt.version("rustc")
        folder = cache / f"rust-{re.sub(r'[^A-Za-z0-9.]', '-', version)}"
        if not (folder / "complete").exists():
            unpacked = Path(name) / "root"
            for package in apt.download():
                _unpack(package, unpacked, deadline)
            _write_launcher(unpacked, folder)
            shutil.rmtree(folder, ignore_errors=True)  # half of one, left by a machine that stopped
            unpacked.rename(folder)
        (folder / "complete").touch()
    for old in cache.glob("rust-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


class _Apt:
    """apt with lists, archives and settings in ``folder``: the system's own are only read."""

    def __init__(self, folder: Path, deadline: float) -> None:
        self.folder, self.deadline = folder, deadline
        self.archives = folder / "archives"
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()  # nothing counts as installed, so the C library comes along
        settings = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::State::Lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Cache::archives": self.archives,
            "Acquire::Languages": "none",
            "Acquire::Retries": "1",
            "Acquire::http::Timeout": "20",
            "APT::Sandbox::User": "root",  # the sandbox's user cannot read this folder
            "Debug::NoLocking": "1",
        }
        text = "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (folder / "apt.conf").write_text(text, encoding="utf-8")

    def run(self, *words: str, own: bool = True) -> str:
        more = {"APT_CONFIG": str(self.folder / "apt.conf")} if own else {}
        return _run(words, self.deadline, cwd=self.archives, env={**os.environ, **more, "LC_ALL": "C"})

    def update(self) -> None:
        """Read the list of packages from the first of the system's mirrors that answers."""
        uris = self.run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", own=False)
        mirrors = [uri for uri in dict.fromkeys(uris.split()) if uri.rstrip("/").endswith("/debian")]
        signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        problem = Unavailable("the system has no Debian mirror")
        for mirror in mirrors:
            (self.folder / "sources.list").write_text(f"deb {signed}{mirror} {SUITE} main\n", encoding="utf-8")
            try:
                # Without the option apt calls an unreachable mirror a success with warnings.
                self.run("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any")
                return
            except Unavailable as error:
                problem = error
        raise problem

    def version(self, package: str) -> str:
        found = re.search(r"^Version: (\S+)$", self.run("apt-cache", "show", package), re.MULTILINE)
        if not found:
            raise Unavailable(f"the mirror has no {package}")
        return found[1]

    def download(self) -> list[Path]:
        """Every package that is needed, checked against the signed list by apt."""
        self.run("apt-get", "install", "-qq", "-y", "--download-only", "--no-install-recommends", *LIBRARIES)
        self.run("apt-get", "download", "-qq", "rustc")
        return sorted(self.archives.glob("*.deb"))


def _run(words: tuple[str, ...], deadline: float, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a command printed; a failure or the end of the time is said in one line."""
    left = deadline - time.monotonic()
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=max(left, 0.1), cwd=cwd, env=env
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no time left for {words[0]} {words[1]}") from None
    except OSError as error:
        raise Unavailable(f"{words[0]}: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(f"{words[0]} {words[1]}: {lines[-1]}")
    return done.stdout


def _unpack(package: Path, folder: Path, deadline: float) -> None:
    folder.mkdir(exist_ok=True)
    _run(("dpkg-deb", "--extract", str(package), str(folder)), deadline)
    package.unlink()
    # The compiler's own source is most of it and no use here.
    for unused in [*folder.glob("usr/src/*/compiler"), *folder.glob("usr/src/*/src"), folder / "usr/share"]:
        shutil.rmtree(unused, ignore_errors=True)


def _write_launcher(unpacked: Path, final: Path) -> None:
    """A script that starts the compiler with the C library beside it, which the system's loader would not find."""
    loaders = sorted(unpacked.glob("usr/lib/*/ld-linux*.so.*"))
    if not loaders or not (unpacked / "usr/bin/rustc").exists():
        raise Unavailable("Debian's packages are not laid out as expected")
    libraries = final / loaders[0].parent.relative_to(unpacked)
    launcher = unpacked / "rustc"
    launcher.write_text(
        f'#!/bin/sh\nexec "{libraries / loaders[0].name}" --library-path "{libraries}" "{final}/usr/bin/rustc" "$@"\n',
        encoding="utf-8",
    )
    launcher.chmod(0o755)


def _toolchain(folder: Path) -> Toolchain:
    return Toolchain(folder / "rustc", folder / "usr/lib/rustlib/src/rust/library", folder / "target")
