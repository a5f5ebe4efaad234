"""llama.cpp's small types and our encodings on the same text and tokens, every projection forced into the type.

    python tests/bench/quality_peers.py SOURCE --peer-python VENV/bin/python [--ours MODEL ...] [--text FILE ...]

llama.cpp itself silently takes 4 to 5 bits where a width is no multiple of 256 (576, 640).  So every
projection goes through ggml's own row quantiser and back, in the peer's interpreter, and the model with what
came back is evaluated here: the peer's weights in float32, without the error of its int8 activations.
Its types work on blocks of 256; rows of such widths are joined, several to a row of whole blocks, so
that nothing is padded and the stored bits are the type's own.  (Padding each row with zeros gives the same error of
the weights to 1 %, and a third more bytes.)

Importance is the mean square of each input over our calibration text, as ``llama-imatrix`` measures it.
Embedding and head are 8-bit integers everywhere, as in our encodings.  ``--ours`` adds installed models,
run by the engine as they are.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch loads; waiting threads sleep
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tzcore import trits
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import MatrixRef, ModelSpec
from tzcore.backend.select import select
from tzcore.hub import library, reference, sources
from tzcore.progress import ignore
from tzcore.quant.calibration import collect
from tzcore.quant.decoder import Block, Matrices, logits
from tzcore.quant.divergence import Tally, pooled
from tzcore.quant.evaluation import compare
from tzcore.quant.originals import Originals, layer_vectors, stage_names
from tzcore.quant.runtime import torch_session
from tzcore.quant.texts import Text, open_texts

Floats = npt.NDArray[np.float32]
Weights = dict[str, torch.Tensor]

PEER = Path(__file__).with_name("llama_peer.py")
BLOCK = 256
KINDS = (
    "Q3_K", "Q3_K+i", "Q2_K", "Q2_K+i", "IQ2_S+i", "IQ2_XS+i", "IQ2_XXS+i", "IQ1_M+i", "IQ1_S+i", "TQ2_0", "TQ1_0"
)  # fmt: skip
"""Types; ``+i`` with the importance matrix, which the IQ2 and IQ1 types need."""
ORIGINAL, ENDS = "original", "original, 8-bit ends"


class Peer:
    """ggml's quantiser in the peer's interpreter."""

    def __init__(self, python: str, threads: int, folder: Path) -> None:
        command = [python, str(PEER), "roundtrip", "--threads", str(threads)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._folder = folder

    def roundtrip(self, weights: Floats, importance: Floats, kind: str) -> tuple[Floats, int]:
        """``weights`` ``[rows, cols]`` after being stored as ``kind``, and the bytes stored."""
        name, _, weigh = kind.partition("+")
        rows, columns = _whole_blocks(weights, importance)
        paths = {part: str(self._folder / f"{part}.npy") for part in ("weights", "importance", "out")}
        np.save(paths["weights"], rows)
        np.save(paths["importance"], columns)
        order = {**paths, "kind": name, "importance": paths["importance"] if weigh else None}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"the peer stopped at {kind}; its message is above")
        values = np.load(paths["out"])
        return values.reshape(-1, weights.shape[1])[: len(weights)], json.loads(answer)["bytes"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _whole_blocks(weights: Floats, importance: Floats) -> tuple[Floats, Floats]:
    """The matrix and its importance with as many rows joined to one as make whole blocks."""
    rows, cols = weights.shape
    together = BLOCK // math.gcd(cols, BLOCK)
    whole = np.pad(weights, ((0, -rows % together), (0, 0)))
    return whole.reshape(-1, together * cols), np.tile(importance, together)


@dataclass
class Stream:
    """One variant of the model on its way through the layers: a hidden state a window."""

    hidden: list[torch.Tensor]
    bytes: int = 0
    error: list[float] = field(default_factory=list)

    def advance(self, block: Block, weights: Weights) -> None:
        self.hidden = [block.forward(x, _matrices(weights)) for x in self.hidden]


def _matrices(weights: Weights) -> Matrices:
    def matrices(ref: MatrixRef) -> torch.Tensor:
        return weights[ref.name][ref.start : ref.start + ref.rows]

    return matrices


def _importance(block: Block, hidden: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, dict[str, Floats]]:
    """The calibration windows behind the block, and the mean square of every input by matrix."""
    sums: dict[str, torch.Tensor] = {}
    out = torch.empty_like(hidden)
    matrices = _matrices(weights)

    def note(stage: tuple[MatrixRef, ...], x: torch.Tensor) -> torch.Tensor:
        square = x.double().square().sum((0, 1))
        for name in stage_names(stage):
            sums[name] = sums.get(name, torch.zeros_like(square)) + square
        return x

    qkv, o, up, down = block.layer.stages()
    for at in range(len(hidden)):
        x = hidden[at : at + 1]
        x = block.after_attention(x, note(o, block.o_input(note(qkv, block.qkv_input(x)), matrices)), matrices)
        m = note(down, block.down_input(note(up, block.mlp_input(x)), matrices))
        out[at] = block.after_mlp(x, m, matrices)[0]
    count = hidden.shape[0] * hidden.shape[1]
    return out, {name: (s / count).float().numpy() for name, s in sums.items()}


def _in_8_bits(weights: Floats) -> Floats:
    """Embedding or head as our encodings store it."""
    fmt = trits.format_named("i8")
    parts = [weights[at : at + 8192] for at in range(0, len(weights), 8192)]
    return np.concatenate([trits.dequantise(*trits.fit(part, fmt, 64), 64) for part in parts])


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for the original and each kind."""
    source = sources.open_source(reference.parse(args.source))
    spec = read_spec(source.config, set(source.names()))
    originals = Originals(source, spec)
    texts = open_texts(args.text, source.files, args.window, args.windows)
    windows = [window for text in texts for window in text.windows]
    calibration = collect(source.files, args.tokens, args.window, None, spec.vocabulary).windows

    table = originals.matrix(spec.embedding.name)
    rounded = _in_8_bits(table)
    states = torch.from_numpy(table[calibration]) * spec.embedding_scale
    plain = [torch.from_numpy(table[window])[None] * spec.embedding_scale for window in windows]
    coarse = [torch.from_numpy(rounded[window])[None] * spec.embedding_scale for window in windows]
    streams = {ORIGINAL: Stream(plain)} | {name: Stream(list(coarse)) for name in (ENDS, *args.kinds)}
    del table, rounded
    weights_in_all = 0
    with tempfile.TemporaryDirectory() as scratch:
        peer = Peer(args.peer_python, args.threads, Path(scratch))
        for index in range(len(spec.layers)):
            block = Block(spec, index, {n: torch.from_numpy(originals.vector(n)) for n in layer_vectors(spec, index)})
            names = [name for stage in block.layer.stages() for name in stage_names(stage)]
            weights = {name: originals.matrix_tensor(name) for name in names}
            weights_in_all += sum(w.numel() for w in weights.values())
            states, importance = _importance(block, states, weights)
            for name, stream in streams.items():
                theirs = weights
                if name in args.kinds:
                    theirs = {}
                    for n, w in weights.items():
                        values, stored = peer.roundtrip(w.numpy(), importance[n], name)
                        theirs[n] = torch.from_numpy(values)
                        stream.bytes += stored
                        stream.error.append(float((theirs[n] - w).square().sum() / w.square().sum()))
                stream.advance(block, theirs)
            print(f"layer {index + 1} of {len(spec.layers)}", file=sys.stderr, flush=True)
        peer.close()
    return list(_rows(spec, originals, texts, streams, weights_in_all))


def _rows(
    spec: ModelSpec, originals: Originals, texts: list[Text], streams: dict[str, Stream], weights: int
) -> Iterator[dict[str, Any]]:
    whole = originals.matrix(spec.head.name)[spec.head.start : spec.head.start + spec.head.rows]
    norm = torch.from_numpy(originals.vector(spec.final_norm))
    exact, rounded = torch.from_numpy(whole), torch.from_numpy(_in_8_bits(whole))
    tallies = {name: [Tally() for _ in texts] for name in streams}
    at = 0
    for number, text in enumerate(texts):
        for window in text.windows:
            original = logits(streams[ORIGINAL].hidden[at][0], norm, exact, spec).numpy()
            for name, stream in streams.items():
                if name == ORIGINAL:
                    tallies[name][number].add(window, text.first, original, original)
                else:
                    ours = logits(stream.hidden[at][0], norm, rounded, spec).numpy()
                    tallies[name][number].add(window, text.first, ours, original)
            at += 1
    for name, stream in streams.items():
        yield {
            "kind": name,
            "bits_per_weight": 8 * stream.bytes / weights if stream.bytes else None,
            "weight_error": float(np.mean(stream.error)) if stream.error else 0.0,
            **pooled(tallies[name]).measures(),
            "texts": {text.name: tally.measures() for text, tally in zip(texts, tallies[name], strict=True)},
        }


def ours(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each of ``--ours``, run by the engine against the same original."""
    folders = []
    for name in args.ours:
        found = library.resolve(name)
        if found is None:
            raise SystemExit(f"{name} is not installed: tz convert makes it")
        folders.append(found.path)
    if not folders:
        return
    source = sources.open_source(reference.parse(args.source))
    backend, _ = select("auto")
    results = compare(folders, args.text, source, backend, ignore, args.window, args.windows, args.threads)
    source.close()
    for result in results:
        yield {"kind": result["model"], "weight_error": None, **result}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for a person; perplexity by text behind the pooled measures."""
    names = list(rows[0]["texts"])
    lines = [f"{'':22} {'bits':>6} {'ppl':>10} {'mean KL':>8} {'KL 99.9':>8} {'top 1':>7}   {'  '.join(names)}"]
    for row in sorted(rows, key=lambda row: -(row["bits_per_weight"] or 99)):
        bits = f"{row['bits_per_weight']:.3f}" if row["bits_per_weight"] else ""
        each = "  ".join(f"{row['texts'][name]['perplexity']:{len(name)}.4g}" for name in names)
        lines.append(
            f"{row['kind']:22} {bits:>6} {row['perplexity']:10.2f} {row['kl_mean']:8.4f} {row['kl_p999']:8.3f} "
            f"{row['top1']:7.1%}   {each}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="the original: a source as tz takes it")
    parser.add_argument("--peer-python", required=True, help="an interpreter with llama-cpp-python")
    parser.add_argument("--kinds", nargs="*", default=KINDS, help="ggml types, +i with importance")
    parser.add_argument("--ours", nargs="*", default=[], help="installed models made from the same source")
    parser.add_argument("--text", nargs="*", type=Path, default=[], help="texts (default: the project's)")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--windows", type=int, default=8, help="windows of each text")
    parser.add_argument("--tokens", type=int, default=16384, help="calibration tokens for the importance")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the rows there")
    args = parser.parse_args()
    with torch_session(args.threads):
        rows = measure(args)
    rows += ours(args)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
