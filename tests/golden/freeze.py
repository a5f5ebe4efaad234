"""Writes the frozen model folder of the present format version, once.

    python tests/golden/freeze.py

It refuses to replace one that is there: folders on users' disks cannot be replaced either.  A
new ``checkpoint.schema.VERSION`` gets a folder of its own beside the old ones, and the reader
says of each whether it can still be opened.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.parity import backend_logits
from tests.tiny_models import tiny_source
from tzcore import trits
from tzcore.architecture.registry import read_spec
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint import FolderWriter, MatrixEntry, Transform
from tzcore.checkpoint.schema import VERSION
from tzcore.hadamard import rotate

HERE = Path(__file__).parent
SIZES = {
    "vocab_size": 90,
    "intermediate_size": 448,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "use_sliding_window": True,
    "max_window_layers": 1,
    "sliding_window": 8,
    "tie_word_embeddings": False,
}
# Every format at least once; widths of 448, 192 and 96 give base 3 a whole run and three last ones.
FORMATS = {
    "embed_tokens": "i8",
    "lm_head": "i4",
    "0.self_attn.q_proj": "t1",
    "0.self_attn.k_proj": "t1b3",
    "0.self_attn.v_proj": "q2",
    "0.self_attn.o_proj": "t2",
    "0.mlp.gate_proj": "t2b3",
    "0.mlp.up_proj": "t2b3",
    "0.mlp.down_proj": "t1b3",
    "1.self_attn.q_proj": "f16",
    "1.self_attn.k_proj": "i8",
    "1.self_attn.v_proj": "i4",
    "1.self_attn.o_proj": "t2b3",
    "1.mlp.gate_proj": "q2",
    "1.mlp.up_proj": "t1",
    "1.mlp.down_proj": "t2b3",
}
TOKENS = np.arange(24, dtype=np.int32) * 37 % 90


def main() -> int:
    """Write ``version-N/`` and its logits."""
    path = HERE / f"version-{VERSION}"
    source = tiny_source("qwen2", seed=11, **SIZES)
    spec = read_spec(source.config, set(source.names()))
    writer = FolderWriter(path, {"frozen": VERSION})
    rng = np.random.default_rng(11)
    for number, (suffix, fmt_name) in enumerate(FORMATS.items()):
        (name,) = (n for n in spec.matrices() if n.endswith(suffix))
        weights, fmt = source.tensor(f"{name}.weight"), trits.format_named(fmt_name)
        rows, cols = weights.shape
        transform = None
        if "_proj" in name and fmt_name != "f16" and number % 3:
            signs = rng.choice(np.array([-1, 1], np.int8), cols)
            transform = Transform(cols & -cols, f"{name}.signs")
            writer.add_signs(transform.signs, signs)
            weights = rotate(weights, signs, transform.block)
        if fmt_name == "f16":
            writer.add_matrix(MatrixEntry(name, rows, cols, fmt, 0), trits.pack_half(weights), None)
            continue
        group = 128 if number % 2 else 64
        codes, scales = trits.fit(weights, fmt, group)
        entry = MatrixEntry(name, rows, cols, fmt, group, transform)
        writer.add_matrix(entry, trits.pack(codes, fmt), trits.pack_scales(scales))
    for name in spec.vectors():
        writer.add_vector(name, source.tensor(name))
    writer.seal("model-00001")
    writer.finish(source.config, {}, {"source": "random weights, frozen to hold the format"})
    np.savez(
        path / "logits.npz",
        tokens=TOKENS,
        float=backend_logits(ReferenceBackend(), path, TOKENS),
        int8=backend_logits(ReferenceBackend(activations="int8", cache="f16"), path, TOKENS),
    )
    source.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
