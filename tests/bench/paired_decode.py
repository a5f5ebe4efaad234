"""Our decoding and llama.cpp's on the same model, in turn, with the ratio of each pair.

    python tests/bench/paired_decode.py MODEL GGUF --peer-python VENV/bin/python [--kind TQ2_0]

MODEL is an installed model or folder; GGUF the same model's file, which is requantised as KIND.
The peer's interpreter has ``llama-cpp-python`` (``pip install llama-cpp-python`` builds it).  Every
measurement is a process of its own, A B A B, so that a drifting machine touches both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PEER = Path(__file__).with_name("llama_peer.py")


def measured(command: list[str]) -> dict[str, Any]:
    """The JSON object on the last line that ``command`` prints."""
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    """Run the pairs and print a table."""
    parser = argparse.ArgumentParser(description="Decode and prefill speed against llama.cpp, in pairs")
    parser.add_argument("model")
    parser.add_argument("gguf")
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--kind", default="TQ2_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    args = parser.parse_args()
    size = ["--threads", str(args.threads), "--prompt", "512", "--tokens", "128"]
    ours = [sys.executable, "-m", "tzcore.cli", "bench", args.model, "--json", "--repeat", "1", *size]
    with tempfile.TemporaryDirectory() as folder:
        quantised = str(Path(folder) / f"{args.kind}.gguf")
        make = [args.peer_python, str(PEER), "quantise", args.gguf, quantised, args.kind]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs = [args.peer_python, str(PEER), "bench", quantised, *size]
        pairs = [(measured(ours), measured(theirs)) for _ in range(args.pairs)]
    print(f"{args.model} against {args.kind}, {args.threads} threads, {args.pairs} pairs; medians")
    print(f"{'tokens/s':10} {'ours':>9} {'llama.cpp':>10} {'ratio':>7} {'least':>7} {'most':>7}")
    for name in ("prefill_tps", "decode_tps"):
        ratios = [a[name] / b[name] for a, b in pairs]
        a, b = (statistics.median(run[i][name] for run in pairs) for i in (0, 1))
        ratio = statistics.median(ratios)
        print(f"{name[:-4]:10} {a:9.1f} {b:10.1f} {ratio:7.2f} {min(ratios):7.2f} {max(ratios):7.2f}")


if __name__ == "__main__":
    main()
