"""Where torch computes: on the CPU or on a CUDA card.

The device is no part of what determines a result, as the size of a batch is none: it changes the
last digits only.  Running a model needs neither of this: the engine has kernels of its own.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

from tzcore.errors import MissingExtraError, RequestError

NAMES = "auto, cpu, cuda or cuda:N"


@dataclass(frozen=True)
class Device:
    """``name`` is torch's (``cpu``, ``cuda:0``); ``model`` the card's; ``why`` the CPU was taken in its place."""

    name: str
    model: str = ""
    why: str = ""

    @property
    def words(self) -> str:
        """For a person: ``the CPU``, ``cuda:0 (NVIDIA GeForce RTX 4090)``."""
        return f"{self.name} ({self.model})" if self.model else "the CPU"


    def give_back(self) -> None:
        """Memory of a card that torch keeps for its next tensors goes to whoever comes, the engine for one."""
        if self.name.startswith("cuda"):
            installed().cuda.empty_cache()


CPU = Device("cpu")


def find(wanted: str) -> Device:
    """The device named ``wanted``; ``auto`` is the first card where torch can use one, and the CPU otherwise.

    RequestError for a name that is none and for a card that is not there; MissingExtraError where
    torch is asked for one and not installed.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", wanted):
        raise RequestError(f"unknown device {wanted!r}: it can be {NAMES}")
    if wanted == "cpu":
        return CPU
    installed()
    cards, reason = _cards()
    if wanted == "auto":
        return _card(0) if cards else Device("cpu", why=reason)
    if not cards:
        advice = (
            "with a CUDA build of torch (https://pytorch.org) it converts on an NVIDIA card, without one use "
            "--device cpu; running models on a card needs no torch"
        )
        raise RequestError(f"torch cannot compute on {wanted}: {reason}; {advice}")
    index = int(wanted.partition(":")[2] or 0)
    if index >= cards:
        known = "the card cuda:0 alone" if cards == 1 else f"{cards} cards, cuda:0 to cuda:{cards - 1}"
        raise RequestError(f"there is no {wanted}: torch finds {known}")
    return _card(index)


def installed() -> Any:
    """torch; MissingExtraError where it is not."""
    try:
        import torch
    except ImportError:
        raise MissingExtraError(
            'converting and comparing models needs torch: pip install "ternary-zero[convert]"'
        ) from None
    return torch


def _cards() -> tuple[int, str]:
    """How many cards torch can use, and why none."""
    import torch

    with warnings.catch_warnings(record=True) as said:  # of a driver that is too old, for instance
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return torch.cuda.device_count(), ""
    if torch.version.cuda is None:
        return 0, "this torch is built without CUDA"
    return 0, str(said[-1].message).strip().splitlines()[0] if said else "torch finds no NVIDIA card"


def _card(index: int) -> Device:
    import torch

    return Device(f"cuda:{index}", torch.cuda.get_device_name(index))
