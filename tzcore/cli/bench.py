"""``tz bench MODEL``: tokens a second, and how much of the memory's bandwidth decoding uses.

Decoding here is plain: it goes past the engine, so that no text that is easily guessed flatters it.
What needs a card is in :mod:`tzcore.cli.bench_card`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tzcore.cli import bench_card, context_arguments
from tzcore.cli.console import Console, human_bytes
from tzcore.errors import BackendError, MissingExtraError, RequestError

if TYPE_CHECKING:
    from tzcore.backend.base import Backend, LoadedModel
    from tzcore.hub.reference import Reference
    from tzcore.keyvalues import KeyValueFormat


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("model", metavar="MODEL", nargs="?", help="an installed model, a folder, or a source")
    parser.add_argument("--prompt", type=int, metavar="N", help="tokens of prompt (default 512; synthetic: 4096)")
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens to decode (default 128; synthetic: 32)")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="runs; medians are reported (default 5)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: one a physical core)")
    parser.add_argument("--backend", default="auto", metavar="NAME", help="auto, or a backend's name")
    context_arguments.declare_kv(parser)
    bench_card.declare(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure and report medians.  The tokens are random: speed does not depend on what they say."""
    for name in ("prompt", "tokens", "repeat"):
        if (value := getattr(args, name)) is not None and value < 1:
            raise RequestError(f"--{name} must be 1 or more")
    if args.kernels == (args.model is not None):
        args.usage_error("name a model, or give --kernels")
    if args.kernels:
        return bench_card.kernels(console)
    if (shape := _on_card(args.model, args.backend, console)) is not None:
        return bench_card.model(args, shape, console)
    args.prompt, args.tokens = args.prompt or 512, args.tokens or 128
    with _folder(args, console) as folder:
        result = measure(folder, args.prompt, args.tokens, args.repeat, args.threads, args.backend, args.kv)
    console.done(
        f"prefill  {result['prefill_tps']:9.1f} tokens/s   ({args.prompt} tokens)\n"
        f"decode   {result['decode_tps']:9.1f} tokens/s   ({args.tokens} tokens after the prompt)\n"
        f"weights  {human_bytes(result['bytes_per_token']):>9} a token: {human_bytes(result['decode_bandwidth'])}/s, "
        f"{result['bandwidth_share']:.0%} of the {human_bytes(result['read_bandwidth'])}/s this machine can read\n"
        f"on       {result['processor']}, {result['backend']}, {result['threads']} threads; "
        f"medians of {args.repeat} runs",
        **result,
    )
    return 0


@contextmanager
def _folder(args: argparse.Namespace, console: Console) -> Iterator[Path]:
    """The folder of the model: the installed one, or made now; a synthetic one is there for this run only."""
    from tzcore import paths
    from tzcore.cli.pipeline import find_or_make
    from tzcore.hub import library, reference

    if not args.model.startswith("synthetic:") or library.resolve(args.model) is not None:
        yield find_or_make(args.model, console)
        return
    from tzcore.atomic import storage_errors
    from tzcore.bench.random_folder import random_folder
    from tzcore.bench.written_folder import write
    from tzcore.hub.formats.synthetic import Synthetic
    from tzcore.quant.settings import format_for

    shape = reference.parse(args.model)
    source = Synthetic(shape.target, shape.revision, shape.id, {})
    made = random_folder(source, format_for(args.encoding, args.packing), args.head)
    console.note(f"Writing {human_bytes(made.bytes())} of random weights, for this run only.")
    with storage_errors(paths.home()):
        paths.home().mkdir(parents=True, exist_ok=True)
        kept = TemporaryDirectory(prefix="bench-", dir=paths.home())
    with kept as place:
        yield write(made, Path(place) / "model", console.report)


def _on_card(model: str, backend: str, console: Console) -> Reference | None:
    """The shape that ``model`` names if it is to run on a card: a synthetic one, where a card is."""
    from tzcore.hub import reference

    if not model.startswith("synthetic:") or backend not in ("auto", "cuda"):
        return None
    if backend == "auto":
        try:
            bench_card.open_card()
        except (BackendError, MissingExtraError) as error:
            console.note(f"Not on a card ({error}): measured on the processor instead.")
            return None
    return reference.parse(model)


def measure(
    folder: Path,
    prompt: int,
    tokens: int,
    repeat: int,
    threads: int | None = None,
    backend_name: str = "auto",
    kv: str = "auto",
) -> dict[str, Any]:
    """The numbers of ``tz bench --json``; bandwidths in bytes a second, each a median of ``repeat`` runs."""
    import numpy as np

    from tzcore.architecture.registry import spec_of
    from tzcore.checkpoint.reader import ModelFolder
    from tzcore.engine.placement import place

    with closing(ModelFolder.open(folder)) as opened:
        spec = spec_of(opened)
        if prompt + tokens > spec.max_context:
            raise RequestError(f"the model's context holds {spec.max_context} tokens, not {prompt} + {tokens}")
        placed = place(opened, spec, backend_name, prompt + tokens, kv=kv)
        backend, stored = placed.backend, placed.kv
        model = backend.load(opened, spec, threads)
        try:
            ids = np.random.default_rng(0).integers(0, spec.vocabulary, prompt + tokens, dtype=np.int32)
            _time_run(
                model, ids[: min(prompt, 64)], ids[prompt : prompt + min(tokens, 8)], stored
            )  # pages in, warms up
            runs = [_time_run(model, ids[:prompt], ids[prompt:], stored) for _ in range(repeat)]
            read_bandwidth, processor = _ceiling(backend, threads)
            decode_tps = tokens / statistics.median(decode for _, decode in runs)
            bytes_per_token = model.weight_bytes_per_token()
            return {
                "prefill_tps": prompt / statistics.median(prefill for prefill, _ in runs),
                "decode_tps": decode_tps,
                "read_bandwidth": read_bandwidth,
                "decode_bandwidth": decode_tps * bytes_per_token,
                "bandwidth_share": decode_tps * bytes_per_token / read_bandwidth,
                "bytes_per_token": bytes_per_token,
                "kv": stored.name,
                "threads": getattr(model, "threads", threads or 1),
                "backend": f"{backend.name} {getattr(backend, 'variant', '')}".strip(),
                "processor": processor,
                "prompt": prompt,
                "tokens": tokens,
                "repeat": repeat,
            }
        finally:
            model.close()


def _ceiling(backend: Backend, threads: int | None) -> tuple[float, str]:
    """Bytes a second that the memory gives where ``backend`` runs, and what computes there."""
    from tzcore import hardware
    from tzcore.backend.cuda.backend import CudaBackend

    if isinstance(backend, CudaBackend):
        return bench_card.copy_rate(backend.place.number), backend.place.card.name
    from tzcore.backend.cpu import CpuBackend

    rate = statistics.median(CpuBackend().read_bandwidth(threads) for _ in range(3))
    return rate, hardware.processor().name


def _time_run(model: LoadedModel, prompt: Any, tokens: Any, stored: KeyValueFormat) -> tuple[float, float]:
    """Seconds for the prompt at once, and for the tokens one by one after it."""
    sequence = model.new_sequence(len(prompt) + len(tokens), stored)
    try:
        began = time.perf_counter()
        model.forward(sequence, prompt)
        middle = time.perf_counter()
        for index in range(len(tokens)):
            model.forward(sequence, tokens[index : index + 1])
        return middle - began, time.perf_counter() - middle
    finally:
        sequence.close()
