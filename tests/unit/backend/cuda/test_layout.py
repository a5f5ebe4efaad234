from __future__ import annotations

import pytest

from tzcore.backend.cuda.layout import device_bytes
from tzcore.trits import FORMATS

SCALES = 64 * 16 * 2  # of a tile: groups of 128 in 8192 columns


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("t1", 64 * 512), ("q2", 64 * 512), ("t2", 64 * 1024), ("i4", 64 * 1024), ("i8", 64 * 2048),
        ("t1b3", 12 * 2048 + 4 * 512), ("t2b3", 12 * 4096 + 4 * 1024),
    ],
)  # fmt: skip
def test_a_matrix_of_a_large_model(name: str, codes: int) -> None:
    assert device_bytes(FORMATS[name], 10240, 8192, 128) == 640 * (codes + SCALES + 4)
    assert device_bytes(FORMATS[name], 10240, 8192, 64) == 640 * (codes + 2 * SCALES + 4)


def test_halves_have_no_scales() -> None:
    assert device_bytes(FORMATS["f16"], 17, 130, 0) == 2 * (2 * 4096 + 4)


def test_rows_and_columns_are_padded() -> None:
    assert device_bytes(FORMATS["t1"], 1, 1, 64) == device_bytes(FORMATS["t1"], 16, 128, 64) == 512 + 64 + 4
    assert device_bytes(FORMATS["t1b3"], 16, 641, 128) == 2048 + 512 + 6 * 32 + 4
    assert device_bytes(FORMATS["t2b3"], 16, 513, 128) == 4096 + 5 * 32 + 4
