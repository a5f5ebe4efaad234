"""What the compiled library says of the call that failed last."""

from __future__ import annotations

from tzcore.backend import native

INVALID, MEMORY = 1, 2
"""Its numbers for a call that is wrong, and for memory that is not there."""


def message() -> str:
    """In words."""
    ffi, lib = native.library()
    buffer = ffi.new("uint8_t[]", 512)
    lib.tz_last_error(buffer, 512)
    return bytes(ffi.string(ffi.cast("char *", buffer))).decode()
