"""Numbers and technical terms in words that a person reads at a glance."""

from __future__ import annotations

from PySide6.QtCore import QDateTime, QLocale

from app.translation import mark, tr

ENCODINGS: dict[str, tuple[str, str]] = {
    "t2": (mark("Balanced"), mark("3.45 bits")),
    "q2": (mark("Small"), mark("2.25 bits")),
    "t1": (mark("Smallest"), mark("1.85 bits")),
    "i4": (mark("4-bit integers"), mark("4.25 bits")),
    "i8": (mark("Nearly lossless"), mark("8.25 bits")),
    "f16": (mark("Unquantised"), mark("16 bits")),
}
"""Each encoding's everyday name and about how many bits a weight takes, its share of the scales included."""

ENCODING_HINTS = {
    "t2": mark("Two ternary planes. Close to the original; right for models under about 10 B."),
    "q2": mark("Four levels. For large models where memory is short."),
    "t1": mark("One ternary plane. The smallest; small models lose their wits."),
    "i4": mark("The common four-bit format, for comparison."),
    "i8": mark("Hardly distinguishable from the original, at half its size."),
    "f16": mark("The original weights, for comparison."),
}

USUAL_CONTEXT = 8192
"""Tokens of context that a model is taken to have been made for until the engine says better."""

PRECISIONS = {
    "auto": mark("Automatic"),
    "f16": mark("16 bits"),
    "k8v8": mark("8 bits"),
    "k6v5": mark("5.5 bits"),
    "k4v4": mark("4 bits"),
    "k4v2": mark("3 bits (keys 4, values 2)"),
}
"""The precisions in which a context can be kept."""

PHASES = {
    "resolve": mark("Looking it up"),
    "download": mark("Downloading"),
    "calibrate": mark("Calibrating"),
    "measure": mark("Weighing the budget"),
    "convert": mark("Ternarising"),
    "tune": mark("Tuning"),
    "evaluate": mark("Checking the result"),
    "answer": mark("Answering sample questions"),
    "load": mark("Loading"),
    "prefill": mark("Reading the prompt"),
}

UNITS = {"bytes": mark("bytes"), "tokens": mark("tokens"), "weights": mark("weights"), "blocks": mark("blocks")}
"""The units in which work is counted, beside those of :func:`size`."""


def decimal(value: float, digits: int = 1) -> str:
    """A number with so many decimals and the decimal separator of the user's language, thousands not grouped."""
    return f"{value:.{digits}f}".replace(".", QLocale().decimalPoint())


def day(moment: float) -> str:
    """The date of seconds since the epoch, short, in the user's way."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(moment)).date(), QLocale.FormatType.ShortFormat)


def clock(moment: float) -> str:
    """The time of day of seconds since the epoch, in hours and minutes."""
    return QLocale().toString(QDateTime.fromSecsSinceEpoch(int(moment)).time(), QLocale.FormatType.ShortFormat)


def size(count: int | float) -> str:
    """Bytes in decimal units, as disks and downloads are sold: ``"84 MB"``, ``"1.3 GB"``."""
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5 or unit == "TB":
            digits = 1 if unit in ("GB", "TB") or (unit == "MB" and value < 9.95) else 0
            return f"{decimal(value, digits)} {_unit(unit)}"
        value /= 1000
    raise AssertionError


def count(number: int | float) -> str:
    """``"135 M"``, ``"1.7 B"``, ``"4 096"`` with narrow spaces that do not break: parameters, downloads, tokens."""
    if number >= 999_500_000:
        return tr("{number} B").format(number=decimal(number / 1e9, 0 if round(number / 1e8) % 10 == 0 else 1))
    if number >= 999_500:
        return tr("{number} M").format(number=f"{number / 1e6:.0f}")
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
        return tr("{number} M {unit}/s").format(number=decimal(per_second / 1e6), unit=_unit(unit))
    return f"{decimal(per_second, 0 if per_second >= 10 else 1)} {_unit(unit)}/s"


def amount(done: int, total: int, unit: str) -> str:
    """``"34 of 85 MB"``, ``"12 M of 135 M weights"``; without a total the amount alone."""
    if unit == "bytes":
        if not total:
            return size(done)
        whole, part = size(total), size(done)
        same = part.rpartition(" ")[2] == whole.rpartition(" ")[2]
        return tr("{done} of {total}").format(done=part.rpartition(" ")[0] if same else part, total=whole)
    if not total:
        return f"{count(done)} {_unit(unit)}"
    return tr("{done} of {total} {unit}").format(done=count(done), total=count(total), unit=_unit(unit))


def encoding(name: str) -> str:
    """``"Balanced (t2)"``: the everyday name, with the technical one for those who know it."""
    base = name.removesuffix("b3")
    return f"{tr(ENCODINGS[base][0])} ({name})" if base in ENCODINGS else name


def precision(kv: str) -> str:
    """``"5.5 bits"`` of ``"k6v5"``."""
    return tr(PRECISIONS[kv]) if kv in PRECISIONS else kv


def reading(done: int, total: int, seconds_left: float) -> str:
    """``"Reading 12 400 of 20 300 tokens · 61 % · about 14 s left"``; no time where it is not known yet."""
    text = tr("Reading {done} of {total} tokens · {percent} %")
    if seconds_left > 0.5:
        text = tr("Reading {done} of {total} tokens · {percent} % · about {time} left")
    percent = 100 * done // total
    return text.format(done=count(done), total=count(total), percent=percent, time=duration(seconds_left))


def _unit(name: str) -> str:
    return tr(UNITS[name]) if name in UNITS else name


def short_model(model_id: str) -> str:
    """``"SmolLM2-135M-Instruct:t2"`` of ``"HuggingFaceTB/SmolLM2-135M-Instruct:t2"``."""
    return model_id.rpartition("/")[2]


def model_and_encoding(model_id: str) -> tuple[str, str]:
    """Split ``"starter:t2"``; the encoding is empty where the id has none."""
    source, colon, name = model_id.rpartition(":")
    return (source, name) if colon else (model_id, "")
