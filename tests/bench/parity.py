"""Prints how near a backend's logits come to transformers', for every family and format.

    python tests/bench/parity.py [--backend reference|cpu] [--against transformers|reference]

Each cell is ``max |Δlogit| / std(logits)`` and the mean KL divergence in nats over 96 tokens:
beyond the tiny models' windows and trained lengths.  The weights are the same on both sides:
the folder's dequantised ones, with Hadamard transforms undone in float64.  So a float backend
must agree to rounding, and one with int8 activations shows what those cost.  ``--against
reference`` compares with the NumPy backend rounding activations and cache in the same way; the
two still part after some layers, because a difference in the last bit tips a rounding over; where
there is a router, it may then choose another expert.  BitNet rounds its inputs in transformers too,
and is stored without transforms, so that the same numbers are rounded.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parity import backend_logits, distance, prompt, put_folder_into, transformers_logits
from tests.tiny_models import FAMILIES, tiny_folder, tiny_source
from tzcore.backend.base import Backend
from tzcore.backend.reference import ReferenceBackend
from tzcore.trits import FORMATS

TOKENS = 96


def _backend(name: str) -> Backend:
    if name == "reference":
        return ReferenceBackend()
    from tzcore.backend.cpu import CpuBackend

    return CpuBackend()


def main() -> int:
    """Print the table; exit with 1 if a float backend strays by more than a thousandth."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backend", choices=["reference", "cpu"], default="reference")
    parser.add_argument("--against", choices=["transformers", "reference"], default="transformers")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--formats", nargs="+", choices=tuple(FORMATS), default=tuple(FORMATS))
    options = parser.parse_args()
    backend = _backend(options.backend)
    print(f"{backend.describe()}\nagainst {options.against}, {TOKENS} tokens: max |Δlogit| / std, KL in nats\n")
    print("family".ljust(15) + "".join(name.center(18) for name in options.formats))
    worst = 0.0
    for family in options.families:
        cells = []
        for fmt in options.formats:
            source = tiny_source(family)
            with tempfile.TemporaryDirectory() as scratch:
                # Embedding and head in the same format, so that every matrix is put to the test.
                rounds = source.config["model_type"] == "bitnet"
                path = tiny_folder(
                    Path(scratch) / "model", family, fmt, head_format=fmt, hadamard=not rounds, source=source
                )
                if options.against == "transformers":
                    put_folder_into(source.model, family, path)
                    wanted = transformers_logits(source.model, prompt(TOKENS))
                else:
                    same = ReferenceBackend(activations="int8", cache="f16")
                    wanted = backend_logits(same, path, prompt(TOKENS))
                found = distance(backend_logits(backend, path, prompt(TOKENS)), wanted)
            source.close()
            if not rounds or fmt == "f16":
                worst = max(worst, found.difference)
            cells.append(f"{found.difference:.1e} {abs(found.kl):.1e}".center(18))
        print(family.ljust(15) + "".join(cells), flush=True)
    print(f"\nworst: {worst:.1e}")
    return int(options.backend == "reference" and options.against == "transformers" and worst > 1e-3)


if __name__ == "__main__":
    sys.exit(main())
