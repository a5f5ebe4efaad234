from __future__ import annotations

from tzcore import trits
from tzcore.cli.plan import Shape, stored_bytes

STARTER = {
    "hidden_size": 576,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
    "max_position_embeddings": 8192,
}


def test_shape_reads_what_size_depends_on() -> None:
    shape = Shape.read(STARTER)
    assert shape == Shape(tables=49152 * 576, kv_bytes=30 * 2 * 3 * 64 * 2, max_context=8192)
    assert Shape.read({"text_config": STARTER}) == shape  # multimodal checkpoints keep it one level down
    assert Shape.read({**STARTER, "hidden_size": None}) is None
    assert Shape.read({}) is None


def test_stored_bytes_are_those_of_the_formats() -> None:
    rows, cols = 1024, 1024
    cases = (("t2", None, "t2b3"), ("t2", "slots", "t2"), ("i8", None, "i8"), ("t1", None, "t1b3"))
    for encoding, packing, name in cases:
        fmt = trits.format_named(name)
        exact = trits.tiles(rows) * trits.tile_bytes(fmt, cols) + rows * trits.groups(cols, 64) * 2
        estimate = stored_bytes(rows * cols, Shape(0, 1, 1), encoding, packing)
        assert abs(estimate - exact) <= 0.001 * exact, name
    assert stored_bytes(1000, None, "f16", None) == 2000


def test_the_head_is_counted_in_eight_bits() -> None:
    assert stored_bytes(1000, Shape(1000, 1, 1), "t1", None) == 1000 * 8.25 // 8
