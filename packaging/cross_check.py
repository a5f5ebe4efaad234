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
from concurrent.futures import ThreadPoolExecutor
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
"""Time for everything.  From nothing it takes about two minutes on two free cores, then seconds."""


@dataclass
class Result:
    """What became of the targets."""

    compiled: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Targets that could not be tried, and why."""


@dataclass(frozen=True)
class Job:
    """One target: cargo's options, variables and folder."""

    target: str
    options: list[str]
    variables: dict[str, str]
    folder: Path


@dataclass
class Answer:
    """What cargo said of one target."""

    compiled: bool = False
    missing: str = ""
    """Why it could not be tried."""
    messages: list[str] = field(default_factory=list)


def check(targets: tuple[str, ...] = TARGETS, seconds: float = SECONDS) -> Result:
    """Compile for every target, printing a line for each and all that the compiler says."""
    deadline = time.monotonic() + seconds
    result, running, told = Result(), list[subprocess.Popen[str]](), set[str]()
    cache = cache_folder()
    jobs, why = {}, ""
    for target in targets:
        if why and not has_library(target):  # asked once: a mirror that is away takes its time to say so
            result.missing[target] = why
            continue
        try:
            jobs[target] = plan(target, cache, deadline)
        except debian_rust.Unavailable as problem:
            why = result.missing[target] = str(problem)
    # A target for each core, in turn: what the time ends is the last ones, not a part of each.
    with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
        futures = {target: workers.submit(compile_for, job, deadline, running) for target, job in jobs.items()}
        try:
            for target, future in futures.items():
                sort(target, future.result(), result, told)
        except BaseException:
            for future in futures.values():
                future.cancel()
            for process in running:
                end(process)
            raise
    for target, reason in result.missing.items():
        print(f"{target}: not checked, {reason}", flush=True)
    return result


def sort(target: str, answer: Answer, result: Result, told: set[str]) -> None:
    """Enter ``answer`` in ``result`` and print what is new in it."""
    for text in answer.messages:
        if text not in told:
            told.add(text)
            print(text, flush=True)
    if answer.missing:
        result.missing[target] = answer.missing
        return
    (result.compiled if answer.compiled else result.failed).append(target)
    print(f"{target}: {'compiles' if answer.compiled else 'DOES NOT COMPILE'}", flush=True)


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


def plan(target: str, cache: Path, deadline: float) -> Job:
    """How to compile for ``target`` here."""
    if has_library(target):
        # Assembly is checked only where code is generated, which ``cargo check`` alone does not do.
        return Job(target, ["--offline"], {"RUSTFLAGS": "--emit=obj"}, cache / "target")
    if os.name != "posix":
        raise debian_rust.Unavailable("install it with: rustup target add")
    source = Path(rustc_says("--print", "sysroot") or "none") / "lib/rustlib/src/rust/library"
    if (source / "Cargo.toml").exists():
        found = debian_rust.Toolchain(Path("rustc"), source, cache / "target")
    else:
        found = debian_rust.get(cache, deadline)
    more = ["-Zbuild-std=std", "-Zbuild-std-features=panic-unwind"]
    vendored = found.library / "vendor"
    if vendored.is_dir():  # else cargo fetches what the library itself depends on
        more += ["--offline", "--config", 'source.crates-io.replace-with="vendored"']
        more += ["--config", f"source.vendored.directory={json.dumps(str(vendored))}"]
    # The last variable admits unstable options to a stable compiler.
    variables = {
        "RUSTC": str(found.rustc),
        "RUSTC_WRAPPER": str(wrapper(cache)),
        "RUSTFLAGS": "",
        "RUSTC_BOOTSTRAP": "1",
    }
    return Job(target, more, variables, found.target)


def wrapper(cache: Path) -> Path:
    """A script around the compiler that makes of the standard library only what other crates must know, no code."""
    path = cache / "wrapper"
    text = (
        "#!/bin/sh\n"
        'case " $* " in\n'
        f'*" --crate-name {LIBRARY} "*) set -- "$@" --emit=obj ;;\n'
        '*" --target "*) set -- "$@" -Zno-codegen ;;\n'
        'esac\nexec "$@"\n'
    )
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    return path


def compile_for(job: Job, deadline: float, running: list[subprocess.Popen[str]]) -> Answer:
    """Run cargo for one target; its process is among ``running`` meanwhile."""
    command = ["cargo", "check", "--lib", "--message-format=json", "--manifest-path", str(MANIFEST)]
    command += ["--target", job.target, *job.options]
    settings = {"CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_DEV_CODEGEN_UNITS": "1"}
    # A folder for each: cargo locks it.
    folder = {"CARGO_TARGET_DIR": str(job.folder / job.target)}
    surroundings = {**os.environ, **settings, **job.variables, **folder}
    output, errors, in_time = run_until(deadline, command, surroundings, running)

    answer = Answer()
    for line in output.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if Path(message.get("manifest_path", "")) != MANIFEST:
            continue
        if message["reason"] == "compiler-artifact":
            answer.compiled = True
        elif message["reason"] == "compiler-message":
            answer.messages.append(message["message"]["rendered"])
    if answer.compiled:
        return answer
    if f"could not compile `{PACKAGE}`" not in errors:
        problem = next((text for text in errors.splitlines() if text.startswith("error")), "cargo said nothing")
        answer.missing = problem if in_time else "the time was up"
    elif not answer.messages:
        answer.messages.append(errors)  # the compiler broke off and reported nothing in form
    return answer


def run_until(
    deadline: float, command: list[str], variables: dict[str, str], running: list[subprocess.Popen[str]]
) -> tuple[str, str, bool]:
    """Output and errors of ``command``, and whether it ended in time; if not, it is ended with all that it started."""
    if time.monotonic() > deadline:
        return "", "", False
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
    running.append(process)
    try:
        return *process.communicate(timeout=max(deadline - time.monotonic(), 0.1)), True
    except subprocess.TimeoutExpired:
        end(process)
        return *process.communicate(), False


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
