"""torch as the converter uses it: present or refused, a fixed number of threads, no gradients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tzcore.errors import ConversionError, MissingExtraError


def thread_count(wanted: int | None = None) -> int:
    """``wanted``, or one thread a physical core that this process may use."""
    if wanted:
        return wanted
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


NO_MEMORY = (
    "not enough memory: close other programs, then run the same command again, with --batch 1 if need be; "
    "it goes on where it stopped"
)


@contextmanager
def torch_session(threads: int | None = None) -> Iterator[int]:
    """Run torch without gradients on a fixed number of threads, which is yielded.

    The order of sums depends on that number, so fixing it makes reruns bit-identical.
    MissingExtraError where torch is not installed; running out of memory is a ConversionError.
    """
    # Read when torch loads: threads that wait sleep instead of spinning, so that a busy machine
    # (the window, another conversion) costs its share of time and not a multiple.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            'converting and comparing models needs torch: pip install "ternary-zero[convert]"'
        ) from None
    before = torch.get_num_threads()
    count = thread_count(threads)
    torch.set_num_threads(count)
    try:
        with torch.no_grad():
            yield count
    except MemoryError as error:
        raise ConversionError(NO_MEMORY) from error
    except RuntimeError as error:
        if "not enough memory" not in str(error) and "alloc" not in str(error).lower():
            raise
        raise ConversionError(NO_MEMORY) from error
    finally:
        torch.set_num_threads(before)
