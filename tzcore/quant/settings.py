"""What a conversion can be told, and what it chooses by itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tzcore.architecture.spec import ModelSpec
from tzcore.errors import ConversionError
from tzcore.quant.budget import Request
from tzcore.quant.solver import Effort
from tzcore.trits import FORMATS, GROUPS, Format, format_named

TUNED_BY_ITSELF = 1_000_000_000
"""Parameters up to which a conversion tunes its scales unless told not to: above, it takes hours on a processor."""

_PACKED = {("t1", "slots"): "t1", ("t1", "base3"): "t1b3", ("t2", "slots"): "t2", ("t2", "base3"): "t2b3"}


def format_for(encoding: str, packing: str | None = None) -> str:
    """The format of :mod:`tzcore.trits` for an encoding; ``packing`` is ``"slots"`` or ``"base3"``.

    Ternary encodings are packed in base 3 unless told otherwise: fewer bytes for the same values.
    """
    if encoding in ("t1", "t2"):
        if packing not in (None, "slots", "base3"):
            raise ConversionError(f"unknown packing {packing!r}; known are slots and base3")
        return _PACKED[encoding, packing or "base3"]
    if packing == "base3":
        raise ConversionError(f"base 3 packs the ternary encodings t1 and t2 only, not {encoding}")
    known = sorted({fmt.encoding for fmt in FORMATS.values()})
    if encoding not in known:
        raise ConversionError(f"unknown encoding {encoding!r}; known are {', '.join(known)}")
    return encoding


def parameters(spec: ModelSpec) -> int:
    """Number of weights in the model's matrices."""
    refs = [ref for layer in spec.layers for stage in layer.stages() for ref in stage]
    refs += [spec.embedding] if spec.tied else [spec.embedding, spec.head]
    return sum(ref.rows * ref.cols for ref in refs)


@dataclass(frozen=True)
class Tuning:
    """``rate`` is the largest step relative to a scale, or to a norm's mean magnitude.

    Steps are Adam's, but ``floor`` times the mean of the gradients' magnitudes in a tensor is added to
    each of them before dividing by it: a scale whose gradient is mostly noise then moves little.
    ``tokens`` of the calibration text are read ``passes`` times, ``windows`` at a step.
    """

    tokens: int = 12288
    passes: int = 1
    windows: int = 2
    rate: float = 2e-3
    floor: float = 1.0
    first_moment: float = 0.9
    second_moment: float = 0.98


@dataclass(frozen=True)
class Settings:
    """Everything besides the source that determines a conversion's result.

    ``format`` is that of the projections, ``head_format`` that of embedding and head, both as in
    :mod:`tzcore.trits`; with a ``request`` they are chosen matrix by matrix instead.  ``group``
    columns share a scale; the last group of a row may be shorter.  ``calibrated=None`` calibrates
    every format that gains by it (not f16 and i8).  ``rotate=None`` transforms the inputs where codes
    are calibrated.  ``tuned`` lets scales and norms follow the original's predictions at the end, as
    ``tuning`` says.  ``tokens`` of calibration are cut into windows of ``window``; ``calibration`` is
    the user's own text file.  ``batch`` windows are worked on at a time, which bounds the memory of
    activations and changes results in the last digits only; so does ``device``, a name for
    :func:`tzcore.quant.device.find`.
    """

    format: str = "t2b3"
    group: int = 128
    head_format: str = "i8"
    request: Request | None = None
    calibrated: bool | None = None
    rotate: bool | None = None
    tuned: bool = True
    tokens: int = 24576
    window: int = 512
    calibration: Path | None = None
    seed: int = 0
    effort: Effort = field(default_factory=Effort)
    tuning: Tuning = field(default_factory=Tuning)
    batch: int = 4
    threads: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        format_named(self.format)
        format_named(self.head_format)
        if self.group not in GROUPS:
            raise ConversionError(f"a group of {self.group} columns is not supported; it can be 64 or 128")
        if self.batch < 1:
            raise ConversionError("a batch is one window at least")
        if self.tokens < 1 or self.window < 2:
            raise ConversionError("calibration needs at least one window of two tokens")

    @classmethod
    def default_for(
        cls,
        spec: ModelSpec,
        encoding: str | None = None,
        packing: str | None = None,
        calibration: Path | None = None,
        tuned: bool | None = None,
    ) -> Settings:
        """The settings for a model of this size, with the user's choices where there are any.

        The default encoding is ``t2`` (two trit planes, nine levels), packed in base 3.  A small
        model has little redundancy: one plane destroys SmolLM2-135M even when calibrated.
        """
        chosen = format_for(encoding or "t2", packing)
        head = "f16" if chosen == "f16" else "i8"
        if tuned is None:
            tuned = parameters(spec) <= TUNED_BY_ITSELF
        return cls(format=chosen, head_format=head, calibration=calibration, tuned=tuned)

    @property
    def encoding(self) -> str:
        """The encoding of the projections, e.g. ``t2``, or the budget, e.g. ``2.4bpw``: part of the installed
        model's id."""
        return self.request.word if self.request else format_named(self.format).encoding

    @property
    def calibrates(self) -> bool:
        """Whether calibration text is run through the model."""
        if self.request is not None:
            return True
        if self.format == "f16":
            return False
        return self.format != "i8" if self.calibrated is None else self.calibrated

    @property
    def rotates(self) -> bool:
        """Whether the projections' inputs are transformed."""
        if self.format == "f16" and self.request is None:
            return False
        return self.calibrates if self.rotate is None else self.rotate

    @property
    def tunes(self) -> bool:
        """Whether there is a pass over the whole model at the end."""
        return self.tuned and self.calibrates

    def group_for(self, fmt: Format, cols: int) -> int:
        """Columns that share a scale in a matrix of this width; 0 for f16."""
        if fmt.packing == "half":
            return 0
        return self.group if cols > 64 else 64

    def with_window(self, longest: int) -> Settings:
        """The same, with windows no longer than the model's context."""
        return replace(self, window=max(2, min(self.window, longest)))

    def as_json(self) -> dict[str, Any]:
        """For the receipt and the fingerprint; the calibration text enters by the hash of its tokens."""
        plain = {
            "format": self.format, "group": self.group, "head_format": self.head_format,
            "calibrated": self.calibrates, "hadamard": self.rotates, "seed": self.seed,
        }  # fmt: skip
        if self.request is not None:
            plain["request"] = self.request.as_json()
        if not self.calibrates:
            return plain
        plain |= {"tokens": self.tokens, "window": self.window, **asdict(self.effort)}
        return {**plain, "tuning": asdict(self.tuning)} if self.tunes else plain
