"""Prints how near imported models come to transformers, for every natively ternary format.

    python tests/bench/import_parity.py [--layers N] [--rows WORD ...]

Small random checkpoints are written in exactly the published formats (``bitnet`` folders by
transformers itself), imported as ``tz import`` does, and run.  A cell is the median and the largest,
over 96 tokens, of ``max |Δlogit| / std(logits)``, and the mean KL divergence in nats.

* ``weights``: weights of the folder that differ from those transformers uses, or from what the file holds, by
  more than the last bit of float32.
* ``reference``: the NumPy backend, which computes in float32, against transformers.
* ``cpu``: the CPU backend against transformers.  It has a half-precision cache, and rounds inputs to int8 by
  group where the network does not round them.
* ``cpu = ref``: the CPU backend against the NumPy backend with the same cache and roundings.
* ``float64``: transformers against itself in double precision.

BitNet rounds the inputs of its projections to int8.  A last bit before that tips a rounding over, and what
comes after sees a difference of a whole step: ``float64`` is how far the same program then strays from itself.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from tests.native_models import (
    FORMS,
    KINDS,
    bitnet_model,
    save_folder,
    ternary_gguf,
    ternary_source,
    use_masters_as,
)
from tests.parity import Floats, backend_logits, distance, prompt, transformers_logits
from tzcore.backend.cpu import CpuBackend
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import ModelFolder, dequantised
from tzcore.checkpoint.source import WeightSource
from tzcore.hub import sources
from tzcore.hub.reference import parse
from tzcore.quant.native_import import import_native, recognise

TOKENS = 96
YARN = {
    "rope_parameters": {
        "rope_type": "yarn",
        "rope_theta": 1e6,
        "factor": 4.0,
        "original_max_position_embeddings": 128,
    },
    "{arch}.rope.scaling.type": "yarn",
    "{arch}.rope.scaling.factor": 4.0,
    "{arch}.rope.scaling.original_context_length": 128,
}


@dataclass(frozen=True)
class Row:
    """One format: ``write`` puts a checkpoint at the path it is given and returns transformers' model of it."""

    name: str
    write: Callable[[Path], Any]
    file: bool = False


def rows(layers: int) -> Iterator[Row]:
    """All formats that are imported."""
    settings = {"num_hidden_layers": layers}

    def bitnet(family: str, form: Any, dtype: str) -> Callable[[Path], Any]:
        def write(path: Path) -> Any:
            model = bitnet_model(path, form, family, dtype, **settings)
            if form == "online":
                use_masters_as(model, dtype)
            return model

        return write

    def plain(layout: Any, dtype: str) -> Callable[[Path], Any]:
        def write(path: Path) -> Any:
            source = ternary_source(layout, dtype=dtype, **settings)
            save_folder(source, path, dtype)
            return source.model

        return write

    def gguf(kind: str, family: str, ends: bool, **more: Any) -> Callable[[Path], Any]:
        return lambda path: ternary_gguf(path, kind, family, ends, **settings, **more).model

    for family in ("llama", "bitnet"):
        for form in FORMS:
            for dtype in ("float32", "bfloat16") if form == "online" else ("bfloat16",):
                yield Row(f"bitnet {form} {dtype}, {family}", bitnet(family, form, dtype))
    for layout, dtype in (("matrix", "float16"), ("rows", "bfloat16"), ("matrix", "float32"), ("columns", "float16")):
        yield Row(f"plain {dtype}, scale per {layout}", plain(layout, dtype))
    for kind in KINDS:
        yield Row(f"GGUF {kind}, qwen3", gguf(kind, "qwen3", True), file=True)
    yield Row("GGUF TQ2_0, llama, f16 ends", gguf("TQ2_0", "llama", False), file=True)
    yield Row("GGUF Q2_0 g128, qwen3, YaRN", gguf("Q2_0 g128", "qwen3", True, **YARN), file=True)


def differing(path: Path, source: WeightSource, model: Any) -> int:
    """Weights of the folder that are not those of transformers' model, scales multiplied in."""
    folder, count = ModelFolder.open(path), 0
    for name in folder.quantization.matrices:
        stored, wanted = dequantised(folder.matrix(name)), _in_use(model, name)
        count += int((np.abs(stored - wanted) > 1.2e-7 * np.abs(wanted)).sum())
        count += int((stored != source.tensor(f"{name}.weight")).sum())
    folder.close()
    return count


def _in_use(model: Any, name: str) -> Floats:
    from transformers.integrations.bitnet import AutoBitLinear, BitLinear, unpack_weights

    module = model.get_submodule(name)
    weight = module.weight.detach()
    if isinstance(module, BitLinear):
        weight = unpack_weights(weight, module.weight_scale.dtype) / module.weight_scale
    elif isinstance(module, AutoBitLinear):
        weight = weight * module.weight_scale
    values: Floats = weight.float().numpy()
    return values


def in_double(model: Any, tokens: Any) -> Floats:
    """transformers' logits computed in float64 with the same weights."""
    from transformers.integrations.bitnet import BitLinear

    twin = copy.deepcopy(model).double()
    for module in twin.modules():
        if isinstance(module, BitLinear):
            module.dtype = module.weight_scale.dtype
    return transformers_logits(twin, tokens).astype(np.float32)


def cell(got: Floats, wanted: Floats) -> str:
    each = np.abs(got - wanted).max(axis=1) / wanted.std()
    return f"{np.median(each):.0e} {each.max():.0e} {abs(distance(got, wanted).kl):.0e}".center(24)


def measure(row: Row, folder: Path, layers: int) -> tuple[str, bool]:
    """The row as text, and whether weights and reference are as they must be.

    In one layer most tokens agree to rounding whatever the network rounds; in several they do not.
    """
    original = folder / ("m.gguf" if row.file else "original")
    model = row.write(original)
    source = sources.open_source(parse(str(original)))
    scheme = recognise(source)
    assert scheme is not None, row.name
    path = import_native(source, scheme, folder / "imported")
    receipt = json.loads((path / "receipt.json").read_text(encoding="utf-8"))
    tokens = prompt(TOKENS)
    wanted = transformers_logits(model, tokens)
    ours = backend_logits(ReferenceBackend(), path, tokens)
    cpu = backend_logits(CpuBackend(), path, tokens)
    same = backend_logits(ReferenceBackend(activations="int8", cache="f16"), path, tokens)
    wrong = differing(path, source, model)
    source.close()
    head = f"{row.name:38}{receipt['bits_per_weight']:5.2f} {wrong:7d} "
    cells = (cell(ours, wanted), cell(cpu, wanted), cell(cpu, same), cell(in_double(model, tokens), wanted))
    rounded = receipt["import"]["activations"] == "token"
    near = float(np.median(np.abs(ours - wanted).max(axis=1))) < 1e-4 * wanted.std() or (rounded and layers > 1)
    good = (
        receipt["lossless"] and wrong == 0 and near and distance(ours, wanted).difference < (0.5 if rounded else 1e-3)
    )
    return head + "".join(cells), good


def main() -> int:
    """Print the table; exit with 1 if a weight differs or the reference strays."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--rows", nargs="+", default=[""], metavar="WORD", help="rows whose name has one of these")
    options = parser.parse_args()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    print(f"{options.layers} layers, {TOKENS} tokens: median and largest |Δlogit| / std, KL in nats\n")
    titles = ("reference", "cpu", "cpu = ref", "float64")
    print(f"{'':38}{'bpw':>5} {'weights':>7} " + "".join(title.center(24) for title in titles))
    failed = 0
    for row in rows(options.layers):
        if any(word in row.name for word in options.rows):
            with tempfile.TemporaryDirectory() as scratch:
                text, good = measure(row, Path(scratch), options.layers)
            failed += not good
            print(text + ("" if good else "  FAILED"), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
