"""torch as the converter uses it: on one device, with a fixed number of threads, without gradients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from tzcore.errors import ConversionError
from tzcore.quant.device import CPU, Device, installed


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
NO_CARD_MEMORY = (
    "not enough memory on the card: close other programs that use it, then run the same command again, with "
    "--batch 1 or --device cpu if need be; it goes on where it stopped"
)


@contextmanager
def torch_session(threads: int | None = None, device: Device = CPU) -> Iterator[int]:
    """Run torch without gradients on a fixed number of threads, which is yielded.

    The order of sums depends on that number, so fixing it makes reruns bit-identical.  Tensors made
    by torch's factory functions (``torch.from_numpy`` is none) are made on ``device``.
    MissingExtraError where torch is not installed; running out of memory is a ConversionError.
    """
    # Read when torch loads: threads that wait sleep instead of spinning, so that a busy machine
    # (the window, another conversion) costs its share of time and not a multiple.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    torch = installed()
    before = torch.get_num_threads()
    count = thread_count(threads)
    torch.set_num_threads(count)
    try:
        with torch.no_grad(), _on(device):
            yield count
    except MemoryError as error:
        raise ConversionError(NO_MEMORY) from error
    except RuntimeError as error:
        if advice := _exhausted(error):
            raise ConversionError(advice) from error
        raise
    finally:
        torch.set_num_threads(before)
        device.give_back()


def _on(device: Device) -> ExitStack:
    """New tensors go to the device.  The CPU needs no word, and no detour on every call."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    stack = ExitStack()
    if device != CPU:
        stack.enter_context(torch.device(device.name))
        # Products and sums: on a card the others' gradients are not the same bits every time.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
    return stack


def _exhausted(error: RuntimeError) -> str:
    """What to do about memory, if it was that which ran out: the card's or the machine's."""
    import torch

    said = str(error).lower()
    if isinstance(error, torch.OutOfMemoryError) or "_status_alloc_failed" in said or "cuda error: out of" in said:
        return NO_CARD_MEMORY
    return NO_MEMORY if "not enough memory" in said or "alloc" in said else ""
