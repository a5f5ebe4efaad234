"""Compile the Rust core for the systems that this machine is not: ``python packaging/cross_check.py``.

To machine code, so that assembly is checked too, but without linking, which would take each system's own
libraries.  The standard library comes from what is here: targets that rustup installed; else its source beside
the compiler; else Debian's packages of a current compiler (150 MB, once), see ``debian_rust.py``.  A target that
cannot be had is said in one line and is no failure, unless ``--require`` is given; a compile error always is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import debian_rust
import environment

TARGETS = (
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
    "aarch64-unknown-linux-gnu",
)
MANIFEST = environment.ROOT / "kernels" / "cpu" / "Cargo.toml"
PACKAGE, LIBRARY = "ternary-zero", "tzcpu"
SECONDS = 240
"""Time for everything.  From nothing it takes two minutes on two cores, then seconds."""


@dataclass
class Result:
    """What became of the targets."""

    compiled: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Targets that could not be tried, and why."""


def check(targets: tuple[str, ...] = TARGETS, seconds: float = SECONDS) -> Result:
    """Compile for every target, printing a line for each and all that the compiler says."""
    deadline = time.monotonic() + seconds
    result = Result()
    cache = cache_folder()
    installed = tuple(target for target in targets if has_library(target))
    rest = tuple(target for target in targets if target not in installed)
    if installed:
        # Assembly is checked only where code is generated, which ``cargo check`` alone does not do.
        compile_for(installed, ["--offline"], {"RUSTFLAGS": "--emit=obj"}, cache / "target", deadline, result)
    if rest:
        source = Path(rustc_says("--print", "sysroot") or "none") / "lib/rustlib/src/rust/library"
        try:
            if (source / "Cargo.toml").exists():
                found = debian_rust.Toolchain(Path("rustc"), source, cache / "target")
            else:
                found = debian_rust.get(cache, deadline)
            build_library_for(rest, found, cache, deadline, result)
        except debian_rust.Unavailable as reason:
            result.missing |= dict.fromkeys(rest, str(reason))
    for target in targets:
        told = "compiles" if target in result.compiled else "DOES NOT COMPILE"
        print(f"{target}: {f'not checked, {result.missing[target]}' if target in result.missing else told}", flush=True)
    return result


def cache_folder() -> Path:
    """Where downloads and what was built stay for the next time."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "ternary-zero" / "cross"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rustc_says(*words: str) -> str:
    """One answer of the installed compiler, or nothing."""
    done = subprocess.run(["rustc", *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def has_library(target: str) -> bool:
    """Whether the installed compiler has the standard library for ``target``."""
    folder = rustc_says("--print", "target-libdir", "--target", target)
    return bool(folder) and any(Path(folder).glob("libstd-*"))


def build_library_for(
    targets: tuple[str, ...], found: debian_rust.Toolchain, cache: Path, deadline: float, result: Result
) -> None:
    """Compile with a standard library from source.

    Of that only what other crates must know is made: no code, and no features that ours does not use.
    """
    if os.name != "posix":
        raise debian_rust.Unavailable("install it with: rustup target add")
    wrapper = cache / "wrapper"
    text = (
        "#!/bin/sh\n"
        'case " $* " in\n'
        f'*" --crate-name {LIBRARY} "*) set -- "$@" --emit=obj ;;\n'
        '*" --target "*) set -- "$@" -Zno-codegen ;;\n'
        'esac\nexec "$@"\n'
    )
    if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != text:
        wrapper.write_text(text, encoding="utf-8")
        wrapper.chmod(0o755)
    more = ["-Zbuild-std=std", "-Zbuild-std-features=panic-unwind"]
    vendored = found.library / "vendor"
    if vendored.is_dir():  # else cargo fetches what the library itself depends on
        more += ["--offline", "--config", 'source.crates-io.replace-with="vendored"']
        more += ["--config", f"source.vendored.directory={json.dumps(str(vendored))}"]
    # The variable admits unstable options to a stable compiler.
    variables = {"RUSTC": str(found.rustc), "RUSTC_WRAPPER": str(wrapper), "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": ""}
    compile_for(targets, more, variables, found.target, deadline, result)


def compile_for(
    targets: tuple[str, ...],
    more: list[str],
    variables: dict[str, str],
    folder: Path,
    deadline: float,
    result: Result,
) -> None:
    """Run cargo once for all ``targets``, which shares the cores best, and sort them into ``result``."""
    command = ["cargo", "check", "--lib", "--keep-going", "--message-format=json"]
    command += ["--manifest-path", str(MANIFEST), *more, *(word for target in targets for word in ("--target", target))]
    settings = {"CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_DEV_CODEGEN_UNITS": "1"}
    surroundings = {**os.environ, **settings, **variables, "CARGO_TARGET_DIR": str(folder)}
    output, errors, in_time = run_until(deadline, command, surroundings)

    compiled, told = set(), set()
    for line in output.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if Path(message.get("manifest_path", "")) != MANIFEST:
            continue
        if message["reason"] == "compiler-artifact":
            compiled |= {target for name in message["filenames"] for target in targets if target in Path(name).parts}
        elif message["reason"] == "compiler-message" and message["message"]["rendered"] not in told:
            told.add(message["message"]["rendered"])  # the same for several targets
            print(message["message"]["rendered"], flush=True)

    ours = f"could not compile `{PACKAGE}`" in errors
    if ours and not told:
        print(errors, flush=True)  # the compiler broke off and reported nothing in form
    problem = next((text for text in errors.splitlines() if text.startswith("error")), "cargo failed and said nothing")
    for target in targets:
        if target in compiled:
            result.compiled.append(target)
        elif ours:
            result.failed.append(target)
        else:
            result.missing[target] = problem if in_time else "the time was up"


def run_until(deadline: float, command: list[str], variables: dict[str, str]) -> tuple[str, str, bool]:
    """Output and errors of ``command``, and whether it ended in time; if not, it is ended with all that it started."""
    process = subprocess.Popen(
        command,
        cwd=environment.ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    in_time = True
    try:
        output, errors = process.communicate(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        in_time = False
        end(process)
        output, errors = process.communicate()
    finally:  # Ctrl-C reaches this script alone
        end(process)
    return output, errors, in_time


def end(process: subprocess.Popen[str]) -> None:
    """End ``process`` with its children, unless it has ended."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile the Rust core for other systems.")
    parser.add_argument("targets", nargs="*", default=TARGETS, help="all by default")
    parser.add_argument("--require", action="store_true", help="a target that cannot be had is a failure")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="time for everything (%(default)s)")
    options = parser.parse_args()
    environment.check_tools()
    result = check(tuple(options.targets), options.seconds)
    return 1 if result.failed or (options.require and result.missing) else 0


if __name__ == "__main__":
    sys.exit(main())
