"""What budgets made of a model: formats by kind of matrix, predicted and measured divergence.

    tz convert starter --bits 2.4; tz convert starter --bits 2.7
    python tests/bench/allocation.py FOLDER [FOLDER ...]

Reads the folders' receipts.  ``predicted`` is the sum that the choice minimised, ``measured`` the mean KL
divergence on windows held out from calibration, before and after scales and norms were tuned.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args().folders:
        receipt = json.loads((folder / "receipt.json").read_text())
        chosen, quality = receipt["allocation"], receipt["quality"]
        print(f"{receipt['id']}: asked {chosen['request']['word']}, {receipt['bits_per_weight']:.3f} bits a weight")
        before = quality.get("tuning", {}).get("before", quality)
        said = f"predicted {chosen['predicted_kl']:.3f}, measured {before['kl_mean']:.3f}"
        print(f"  KL in nats a token: {said}, tuned {quality['kl_mean']:.3f}")
        kinds: dict[str, Counter[str]] = {}
        for name, fmt in chosen["formats"].items():
            kinds.setdefault(name.rsplit(".", 1)[-1], Counter())[fmt] += 1
        formats = sorted({fmt for counts in kinds.values() for fmt in counts})
        print(f"  {'':14}" + "".join(f"{fmt:>7}" for fmt in formats))
        for kind, counts in kinds.items():
            print(f"  {kind:14}" + "".join(f"{counts[fmt] or '':>7}" for fmt in formats))


if __name__ == "__main__":
    main()
