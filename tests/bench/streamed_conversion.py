"""Conversion of a many-layer random model under a limit on memory, killed three times, against a run left alone.

    python tests/bench/streamed_conversion.py
    python tests/bench/streamed_conversion.py --source synthetic:llama-3-8b@layers=32,hidden=1024 --tokens 8192

Each conversion is a process of its own whose private memory the system limits (RLIMIT_DATA: on Linux
the heap and every private writable mapping, which is where NumPy's and torch's arrays lie; files mapped
shared, as the activations are, do not count).  The second conversion is killed with SIGKILL at random
moments and begun again with the same command.  Both results must agree in every byte, the receipts
but for the time.  Memory and disk are sampled from outside.  Linux only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.cli.plan import scratch_bytes
from tzcore.hub import sources
from tzcore.hub.reference import parse
from tzcore.quant import probe
from tzcore.quant.settings import Settings, format_for, parameters

DEFAULT = "synthetic:llama-3-8b@layers=24,hidden=640,vocabulary=8192"
LARGE = ("synthetic:llama-3-8b", "synthetic:llama-3-70b")
_SAMPLE_SECONDS = 0.02


@dataclass
class Observed:
    """One process: how long it ran, what it reported, and the most it took (bytes)."""

    seconds: float = 0.0
    events: list[dict[str, Any]] = field(default_factory=list)
    resident: int = 0
    anonymous: int = 0
    mapped: int = 0
    folder: int = 0
    scratch: int = 0
    code: int = 0
    said: str = ""

    def share(self) -> float:
        """Of the weights, how many are converted."""
        last = self.events[-1] if self.events else {"phase": ""}
        return float(last["done"] / last["total"]) if last["phase"] == "convert" else 0.0

    def rate(self, phase: str) -> tuple[float, float]:
        """Seconds in a phase, from its first report to its last, and what it did a second."""
        found = [event for event in self.events if event["phase"] == phase]
        if len(found) < 2:
            return 0.0, 0.0
        seconds = found[-1]["at"] - found[0]["at"]
        return seconds, (found[-1]["done"] - found[0]["done"]) / max(seconds, 1e-9)


def settings_of(args: argparse.Namespace) -> Settings:
    chosen = format_for(args.encoding)
    found = Settings(format=chosen, tokens=args.tokens, window=args.window, batch=args.batch, tuned=args.tune)
    return replace(found, threads=args.threads)


def child(args: argparse.Namespace) -> None:
    """Convert under the limit; progress as JSON lines."""
    from tzcore.quant.convert import convert

    if args.limit:
        limit = args.limit << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import torch  # noqa: F401 - what the process takes before it does anything is worth knowing

    started = time.monotonic()
    loaded = {"phase": "loaded", "at": 0.0, "detail": "", "done": 0, **_memory("self")}
    print(json.dumps(loaded), flush=True)

    def report(progress: Any) -> None:
        print(json.dumps({**progress.as_event(), "at": time.monotonic() - started}), flush=True)

    convert(sources.open_source(parse(args.source)), args.out, settings_of(args), report)


def observe(args: argparse.Namespace, out: Path, kill_at: float | None = None) -> Observed:
    """Run the child, sampling it, and kill it once it has reported that share of the weights."""
    words = [sys.executable, __file__, *sys.argv[1:], "--out", str(out)]
    seen, partial = Observed(), out.with_name(out.name + ".partial")
    with tempfile.TemporaryDirectory() as logs, open(Path(logs, "err"), "w+") as failed:
        with open(Path(logs, "out"), "w") as said, open(Path(logs, "out")) as read:
            started = time.monotonic()
            process = subprocess.Popen(words, stdout=said, stderr=failed)
            try:
                while process.poll() is None:
                    _sample(process.pid, partial, seen)
                    _follow(read, seen)
                    if kill_at is not None and seen.share() >= kill_at:
                        process.kill()
                    time.sleep(_SAMPLE_SECONDS)
            finally:
                process.kill()
                process.wait()
            _follow(read, seen)
        seen.seconds, seen.code = time.monotonic() - started, process.returncode
        failed.seek(0)
        seen.said = failed.read()
    return seen


def _follow(read: TextIO, seen: Observed) -> None:
    """Take over the whole lines that came; the last may be torn by a kill."""
    while True:
        at, line = read.tell(), read.readline()
        if not line.endswith("\n"):
            read.seek(at)
            return
        seen.events.append(json.loads(line))


def _memory(pid: int | str) -> dict[str, int]:
    """Sizes of a process in bytes: most resident so far, private now, private writable mappings."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: int(value.split()[0]) << 10 for key, _, value in lines if key in ("VmHWM", "RssAnon", "VmData")}


def _sample(pid: int, partial: Path, seen: Observed) -> None:
    try:
        sizes = _memory(pid)
    except OSError:
        return
    seen.resident = max(seen.resident, sizes.get("VmHWM", 0))
    seen.anonymous = max(seen.anonymous, sizes.get("RssAnon", 0))
    seen.mapped = max(seen.mapped, sizes.get("VmData", 0))
    seen.scratch = max(seen.scratch, _disk(partial / "scratch"))
    seen.folder = max(seen.folder, _disk(partial))


def _disk(folder: Path) -> int:
    """Bytes allocated to the files below ``folder``, any of which may vanish meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):  # passes over what is not there any more
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
    return total


def digest(folder: Path) -> dict[str, str]:
    """SHA-256 of every file; of the receipt without its times."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if path.name == "receipt.json":
            receipt = json.loads(content)
            del receipt["created"], receipt["seconds"]
            content = json.dumps(receipt, sort_keys=True).encode()
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def mega(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"


def compare(args: argparse.Namespace, folder: Path) -> bool:
    """Both conversions; True if they agree."""
    spec = spec_of(args.source)
    count = parameters(spec)
    settings = settings_of(args)
    print(f"{args.source}: {len(spec.layers)} layers, {count / 1e6:.0f} M weights ({mega(4 * count)} in float32), "
          f"{args.encoding}, {settings.tokens} tokens in windows of {settings.window}, "
          f"{'tuned' if settings.tunes else 'not tuned'}")  # fmt: skip
    whole = observe(args, folder / "whole")
    if whole.code:
        print(whole.said)
        raise SystemExit(f"the conversion failed ({whole.code})")
    size = sum(path.stat().st_size for path in (folder / "whole").iterdir())
    limit = f"{args.limit} MiB = {mega(args.limit << 20)}" if args.limit else "none"
    print(f"left alone   {whole.seconds:.0f} s; limit on private memory {limit}")
    before = whole.events[0]
    private = f"private {mega(whole.anonymous)}, of which {mega(before['RssAnon'])} before it began"
    print(f"  memory     peak resident {mega(whole.resident)} with mapped files; {private}")
    print(f"             the limit counts {mega(whole.mapped)}, of which {mega(before['VmData'])} before it began")
    scratch = f"{whole.scratch / 1e3:,.0f} kB"
    print(f"  disk       peak {mega(whole.folder)}, of which scratch up to {scratch}; result {mega(size)}")
    for phase, unit in (("convert", "weights"), ("tune", "tokens")):
        seconds, rate = whole.rate(phase)
        if seconds:
            print(f"  {phase:10} {seconds:.0f} s, {rate:,.0f} {unit}/s")
    rng, kills, peak = random.Random(args.seed), 0, 0
    moments = sorted(rng.uniform(0.03, 0.95) for _ in range(args.kills))
    while not (folder / "killed").exists():
        seen = observe(args, folder / "killed", moments[kills] if kills < args.kills else None)
        peak = max(peak, seen.anonymous)
        if seen.code == -9:
            kills += 1
            last = seen.events[-1] if seen.events else {"phase": "start", "detail": "nothing reported"}
            print(f"killed       after {seen.seconds:.1f} s: {last['phase']}, {last['detail']}")
        elif seen.code:
            print(seen.said)
            raise SystemExit(f"resuming failed ({seen.code})")
    print(f"resumed      {kills} times, ended after {seen.seconds:.0f} s more; private memory at most {mega(peak)}")
    ours, theirs = digest(folder / "whole"), digest(folder / "killed")
    same = ours == theirs and kills == args.kills
    shards = sum(name.endswith(".safetensors") for name in ours)
    print(f"{'identical' if ours == theirs else 'DIFFERENT'}: {len(ours)} files, {shards} shards")
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            print(f"  differs: {name}")
    if args.extrapolate:
        extrapolate(args, spec, settings, whole.rate("convert")[0])
    return same


def spec_of(source: str) -> ModelSpec:
    """The shape, without any of the tensors."""
    opened = sources.open_source(parse(source))
    return read_spec(opened.config, set(opened.names()))


def extrapolate(args: argparse.Namespace, spec: ModelSpec, settings: Settings, seconds: float) -> None:
    """Time and memory of the large models from the measured rate, by the operations of each."""
    rates = probe.measure(spec.hidden, settings)
    slower = seconds / probe.seconds(spec, settings, rates)
    print(f"the probe gives {rates.weights:,.0f} weights/s and {rates.operations / 1e9:.1f} G operations/s now; "
          f"the run took {slower:.2f} times its forecast")  # fmt: skip
    for name in LARGE:
        large, full = spec_of(name), Settings(format=settings.format, threads=args.threads, tuned=False)
        weights = sum(rows * cols for rows, cols in large.matrices().values())
        forecast = slower * probe.seconds(large, full, rates)
        print(f"{name}: {forecast / 3600:.1f} h at {full.tokens} tokens on {args.threads or 'all'} thread(s), "
              f"{weights / forecast:,.0f} weights/s")  # fmt: skip
        print("\n".join(f"  {line}" for line in Memory.of(large, full).lines(full)))


@dataclass(frozen=True)
class Memory:
    """The most that is alive at once in a conversion without a budget or tuning, and the disk it works on (bytes).

    It is the host's memory, or with ``--device cuda`` the card's; the host then has a layer's matrices on
    their way and the solver's groups.  Of all stages the one that takes most counts: ``block`` are the original
    matrices, float32, of this stage and those behind it (what is passed is forgotten), and what is made of
    its others before the last; ``problem``, with U = 4·width²: second moment, a float64 copy of it that is
    factored, and the factor, 4 U; or second moment, factor, drift and the first of two triangular systems'
    solutions, 4 U; then solving with 3 U and six float32 copies of the matrix at most.
    ``batch``: four activations of the widest stage.  ``ends``: codes twice and two float32 copies of the
    embedding, read back, or three of the head.  On a card libraries' workspaces come on top (cuSOLVER's for a
    factorisation, cuBLAS's), and what its allocator cannot use for lying in pieces: not known without one.
    ``scratch``: of each stream the states before and behind a block and those at its stages.
    """

    width: int
    moment: int
    block: int
    problem: int
    batch: int
    ends: int
    scratch: int

    @classmethod
    def of(cls, spec: ModelSpec, settings: Settings) -> Memory:
        found = [cls._at(layer.stages(), at) for layer in spec.layers for at in range(len(layer.stages()))]
        width, block, problem = max(found, key=lambda sizes: sizes[1] + sizes[2])
        table = max(ref.rows * ref.cols for ref in (spec.embedding, spec.head))
        return cls(
            width=width,
            moment=4 * width**2,
            block=block,
            problem=problem,
            batch=4 * 4 * settings.batch * settings.window * width,
            ends=12 * table,
            scratch=scratch_bytes(spec, settings),
        )

    @staticmethod
    def _at(stages: Sequence[Sequence[MatrixRef]], at: int) -> tuple[int, int, int]:
        """Width, ``block`` and ``problem`` of a layer's stage number ``at``."""
        sizes = [4 * ref.rows * ref.cols for ref in stages[at]]
        behind = sum(4 * ref.rows * ref.cols for stage in stages[at:] for ref in stage)
        width = stages[at][0].cols
        moment = 4 * width**2
        return width, behind + sum(sizes[:-1]), max(4 * moment, 3 * moment + 6 * max(sizes))

    @property
    def peak(self) -> int:
        return max(self.block + self.problem + self.batch, self.ends)

    def lines(self, settings: Settings) -> list[str]:
        def giga(size: float) -> str:
            return f"{size / 1e9:.2f} GB"

        moment = f"second moment {self.width}² float32 {giga(self.moment)}, in float64 {giga(2 * self.moment)}"
        parts = f"blocks {giga(self.block)}, problem {giga(self.problem)} ({moment}), activations {giga(self.batch)}"
        return [
            f"memory of the host, or of a card {giga(self.peak)}: {parts}; embedding or head alone {giga(self.ends)}",
            f"scratch {self.scratch // settings.tokens:,} bytes a token, {giga(self.scratch)}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default=DEFAULT)
    parser.add_argument("--encoding", default="t2")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--window", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tune", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--limit", type=int, default=640, metavar="MIB", help="private memory; 0 is no limit")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--extrapolate", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--folder", type=Path, help="work there (default: a temporary folder)")
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)  # the child's part
    args = parser.parse_args()
    if args.out:
        child(args)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        same = compare(args, Path(folder))
    raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
