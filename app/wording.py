"""Numbers and technical terms in words that a person reads at a glance."""

from __future__ import annotations

ENCODINGS: dict[str, tuple[str, str]] = {
    "t2": ("Balanced", "3.45 bits"),
    "q2": ("Small", "2.25 bits"),
    "t1": ("Smallest", "1.85 bits"),
    "i4": ("4-bit integers", "4.25 bits"),
    "i8": ("Nearly lossless", "8.25 bits"),
    "f16": ("Unquantised", "16 bits"),
}
"""Each encoding's everyday name and about how many bits a weight takes, its share of the scales included."""

ENCODING_HINTS = {
    "t2": "Two ternary planes. Close to the original; right for models under about 10 B.",
    "q2": "Four levels. For large models where memory is short.",
    "t1": "One ternary plane. The smallest; small models lose their wits.",
    "i4": "The common four-bit format, for comparison.",
    "i8": "Hardly distinguishable from the original, at half its size.",
    "f16": "The original weights, for comparison.",
}

USUAL_CONTEXT = 8192
"""Tokens of context that a model is taken to have been made for until the engine says better."""

PRECISIONS = {
    "auto": "Automatic",
    "f16": "16 bits",
    "k8v8": "8 bits",
    "k6v5": "5.5 bits",
    "k4v4": "4 bits",
    "k4v2": "3 bits (keys 4, values 2)",
}
"""The precisions in which a context can be kept."""

PHASES = {
    "resolve": "Looking it up",
    "download": "Downloading",
    "calibrate": "Calibrating",
    "measure": "Weighing the budget",
    "convert": "Ternarising",
    "tune": "Tuning",
    "evaluate": "Checking the result",
    "load": "Loading",
    "prefill": "Reading the prompt",
}

STATES = {
    "queued": "Waiting for its turn",
    "running": "Starting",
    "paused": "Paused: what is done is kept",
    "failed": "Failed",
    "done": "Done",
    "cancelled": "Cancelled: what is done is kept",
}


def size(count: int | float) -> str:
    """Bytes in decimal units, as disks and downloads are sold: ``"84 MB"``, ``"1.3 GB"``."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5 or unit == "TB":
            digits = 1 if unit in ("GB", "TB") or (unit == "MB" and value < 9.95) else 0
            return f"{value:.{digits}f} {unit}"
        value /= 1000
    raise AssertionError


def count(number: int | float) -> str:
    """``"135 M"``, ``"1.7 B"``, ``"4 096"`` with narrow spaces that do not break: parameters, downloads, tokens."""
    if number >= 999_500_000:
        return f"{number / 1e9:.1f} B".replace(".0 B", " B")
    if number >= 999_500:
        return f"{number / 1e6:.0f} M"
    return f"{int(number):,}".replace(",", "\u202f")


def duration(seconds: float) -> str:
    """``"8 s"``, ``"3 min 20 s"``, ``"2 h 5 min"``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"


def rate(per_second: float, unit: str) -> str:
    """``"12 MB/s"``, ``"1.2 M weights/s"``, ``"340 tokens/s"``."""
    if unit == "bytes":
        return f"{size(per_second)}/s"
    if per_second >= 1e6:
        return f"{per_second / 1e6:.1f} M {unit}/s"
    return f"{per_second:.0f} {unit}/s" if per_second >= 10 else f"{per_second:.1f} {unit}/s"


def amount(done: int, total: int, unit: str) -> str:
    """``"34 of 85 MB"``, ``"12 M of 135 M weights"``; without a total the amount alone."""
    if unit == "bytes":
        if not total:
            return size(done)
        whole, part = size(total), size(done)
        same = part.rpartition(" ")[2] == whole.rpartition(" ")[2]
        return f"{part.rpartition(' ')[0] if same else part} of {whole}"
    return f"{count(done)} of {count(total)} {unit}" if total else f"{count(done)} {unit}"


def encoding(name: str) -> str:
    """``"Balanced (t2)"``: the everyday name, with the technical one for those who know it."""
    base = name.removesuffix("b3")
    return f"{ENCODINGS[base][0]} ({name})" if base in ENCODINGS else name


def precision(kv: str) -> str:
    """``"5.5 bits"`` of ``"k6v5"``."""
    return PRECISIONS.get(kv, kv)


def reading(done: int, total: int, seconds_left: float) -> str:
    """``"Reading 12 400 of 20 300 tokens · 61 % · about 14 s left"``; no time where it is not known yet."""
    left = f" · about {duration(seconds_left)} left" if seconds_left > 0.5 else ""
    return f"Reading {count(done)} of {count(total)} tokens · {100 * done // total} %{left}"


def short_model(model_id: str) -> str:
    """``"SmolLM2-135M-Instruct:t2"`` of ``"HuggingFaceTB/SmolLM2-135M-Instruct:t2"``."""
    return model_id.rpartition("/")[2]


def model_and_encoding(model_id: str) -> tuple[str, str]:
    """Split ``"starter:t2"``; the encoding is empty where the id has none."""
    source, colon, name = model_id.rpartition(":")
    return (source, name) if colon else (model_id, "")
