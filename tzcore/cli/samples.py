"""The same questions to a converted model and to its original, answered greedily: what a receipt shows side by side.

The original is run by our own engine from a temporary folder of halves, which streams from the source as every
conversion does and is mapped, not held, when it is run.  What was answered is kept at once, so that a killed run goes
on from there; whatever keeps the original from answering is said in the receipt.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tzcore import atomic, paths
from tzcore.cli.console import human_bytes
from tzcore.errors import Cancelled, RequestError, StorageError, TernaryZeroError
from tzcore.progress import Progress, Report, ignore

if TYPE_CHECKING:
    from tzcore.checkpoint.source import WeightSource

LONGEST = 96
"""Tokens of an answer."""
SHORTEST = 24
"""An answer that had to be shorter shows nothing."""
PATIENCE = 30.0
"""Seconds that the original's answers may always take."""
SHARE = 0.1
"""Of the conversion's time, which they may take too."""
_CONTEXT = 512
_BANDWIDTH, _WRITING = 5e9, 150e6
"""Bytes a second that an ordinary machine reads of weights while it answers, and converts to halves on the disk."""
_SPARE = 200_000_000
"""Bytes of disk that are left to others."""
_OLD = 24 * 3600.0
"""Seconds from which the folder of a run that was given up is removed."""

NATIVE = "Its weights were ternary before, and were taken over as they are: there is no other original to compare with."
HALVES = "These are the original's own weights."
DISCARDED = "The original's weights were not kept, so it could not be asked."


def questions() -> list[str]:
    """RequestError where the file is missing."""
    path = paths.resources() / "evaluation" / "questions.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise RequestError(f"{path} is missing or damaged: install the program again") from None
    return [str(question) for question in found]


def patience(receipt: dict[str, Any]) -> float:
    """Seconds that the original may take to answer, beside a conversion that took as long as ``receipt`` says."""
    took = receipt.get("seconds")
    return max(PATIENCE, SHARE * float(took)) if isinstance(took, int | float) else PATIENCE


@dataclass
class Work:
    """The samples of one model ``folder``.  ``most_seconds``: how long the original may take, ``None`` for no limit."""

    folder: Path
    source: WeightSource | None
    report: Report = ignore
    most_seconds: float | None = None

    def __post_init__(self) -> None:
        key = hashlib.sha256(str(self.folder.absolute()).encode()).hexdigest()[:16]
        self.place = paths.home() / "evaluation" / key
        self._asked = questions()
        self._kept: dict[str, dict[str, str]] = {}
        self._tokens = LONGEST
        self._done = 0

    def run(self, why_not: str = "") -> dict[str, Any]:
        """``samples`` and, where the original did not answer, ``skipped`` with the reason (``why_not`` if given)."""
        self._clear_old()
        self._kept = self._read_kept()
        why = why_not or self._in_the_way()
        self._answer("converted", self.folder, 1 if why else 2)
        if not why:
            try:
                self._answer("original", self._original(), 2)
            except Cancelled:
                raise
            except TernaryZeroError as error:
                why = f"The original could not be asked: {error}"
                for begun in self.place.glob("original*"):  # the disk may be full of it
                    shutil.rmtree(begun, ignore_errors=True)
        ours, theirs = self._kept.get("converted", {}), self._kept.get("original", {})
        samples = [
            {"question": one, "original": None if why else theirs.get(one), "converted": ours.get(one, "")}
            for one in self._asked
        ]
        return {"samples": samples, **({"skipped": why} if why else {})}

    def clear(self) -> None:
        """Remove what was kept on the way; to be called when the receipt is written."""
        shutil.rmtree(self.place, ignore_errors=True)

    # --- what the original takes ---------------------------------------------------------------

    def _in_the_way(self) -> str:
        """Why the original cannot answer here, or ``""``; sets how long answers may be."""
        from tzcore import hardware
        from tzcore.checkpoint.source import PassingSource

        if self.source is None:
            return DISCARDED
        if isinstance(self.source, PassingSource):
            return DISCARDED
        size = self._halves()
        free = hardware.memory().available
        if size * 1.1 > free * 0.9:
            return _too_large(size, "memory", free)
        self.place.mkdir(parents=True, exist_ok=True)
        room = shutil.disk_usage(self.place).free
        if not self._has_original() and size * 1.1 + _SPARE > room:
            return _too_large(size, "disk", room)
        if self.most_seconds is not None:
            left = self.most_seconds - (0 if self._has_original() else size / _WRITING)
            each = int(min(LONGEST, left * _BANDWIDTH / size / len(self._asked)))
            if each >= SHORTEST:
                self._tokens = each
            else:
                return "Its answers would have taken more than a tenth of the conversion's time, so it was not asked."
        return ""

    def _halves(self) -> int:
        from tzcore.architecture.registry import read_spec

        assert self.source is not None
        spec = read_spec(self.source.config, set(self.source.names()))
        return 2 * sum(rows * cols for rows, cols in spec.matrices().values())

    def _has_original(self) -> bool:
        return (self.place / "original" / "config.json").is_file()

    def _original(self) -> Path:
        """The original as a folder of halves."""
        from tzcore.architecture.registry import read_spec
        from tzcore.quant.convert import convert
        from tzcore.quant.settings import Settings

        assert self.source is not None
        final = self.place / "original"
        if not final.exists():
            spec = read_spec(self.source.config, set(self.source.names()))
            convert(self.source, final, Settings.default_for(spec, "f16"), self._quietly, "original:f16")
        return final

    def _quietly(self, progress: Progress) -> None:
        self._tell(f"the original is made ready{f': {progress.detail}' if progress.detail else ''}")

    # --- answers -------------------------------------------------------------------------------

    def _answer(self, who: str, folder: Path, runs: int) -> None:
        """Ask what is not answered yet."""
        from tzcore.engine.generation import Engine

        said = self._kept.setdefault(who, {})
        self._runs = runs
        missing = [one for one in self._asked if one not in said]
        self._done += LONGEST * (len(self._asked) - len(missing))
        self._tell(who)
        if not missing:
            return
        engine = Engine.open(folder, context=self._context(folder))
        try:
            for one in missing:
                said[one] = self._one(engine, who, one)
                self._done += LONGEST
                self._keep()
        finally:
            engine.close()

    def _one(self, engine: Any, who: str, question: str) -> str:
        from tzcore.engine.request import Finished, Request, TextDelta
        from tzcore.engine.sampler import Sampling

        request = Request(
            messages=[{"role": "user", "content": question}],
            sampling=Sampling(temperature=0.0),
            max_tokens=self._tokens,
            template_variables={"enable_thinking": False},
        )
        pieces = []
        for event in engine.generate(request):
            if isinstance(event, TextDelta):
                pieces.append(event.text)
                self._tell(f"{who}: {question}", min(event.tokens, LONGEST))
            elif isinstance(event, Finished) and event.reason == "length":
                pieces.append("…")  # it would have gone on
        return "".join(pieces).strip()

    def _tell(self, detail: str, more: int = 0) -> None:
        total = LONGEST * len(self._asked) * getattr(self, "_runs", 2)
        self.report(Progress("answer", min(self._done + more, total), total, "tokens", detail))

    def _context(self, folder: Path) -> int:
        from tzcore.architecture.registry import spec_of
        from tzcore.checkpoint.reader import ModelFolder

        opened = ModelFolder.open(folder)
        try:
            return min(_CONTEXT, spec_of(opened).max_context)
        finally:
            opened.close()

    # --- what is kept on the way ---------------------------------------------------------------

    def _read_kept(self) -> dict[str, dict[str, str]]:
        """Answers of a run that was stopped, if they are this model's."""
        try:
            kept = json.loads((self.place / "answers.json").read_text(encoding="utf-8"))
            if kept["model"] != self._model():
                return {}
            return {who: dict(kept[who]) for who in ("converted", "original") if isinstance(kept.get(who), dict)}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _keep(self) -> None:
        atomic.write_json(self.place / "answers.json", {"model": self._model(), **self._kept})

    def _model(self) -> str:
        with suppress(OSError):
            return hashlib.sha256((self.folder / "config.json").read_bytes()).hexdigest() + str(
                (self.folder / "config.json").stat().st_mtime_ns
            )
        return ""

    def _clear_old(self) -> None:
        """What runs left behind that nobody went on with."""
        with suppress(OSError):
            for other in self.place.parent.iterdir():
                if other != self.place and time.time() - other.stat().st_mtime > _OLD:
                    shutil.rmtree(other, ignore_errors=True)


def _too_large(size: int, what: str, free: int) -> str:
    return f"The original takes {human_bytes(size)} of {what} and {human_bytes(free)} are free, so it was not asked."


def complete(
    folder: Path,
    original: Callable[[], WeightSource | None],
    report: Report,
    most_seconds: float | None = None,
    measures: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Bring the receipt of ``folder`` to its full form and return its ``quality``.

    ``original`` gives the source, and is not asked where there is nothing to compare with; ``measures`` are
    newer numbers than the receipt's.  A receipt that has its samples stays as it is, unless there are
    ``measures``.  StorageError where the receipt cannot be written.
    """
    from tzcore.checkpoint.reader import read_json
    from tzcore.quant import receipt_quality

    receipt, quality = read_json(folder / "receipt.json"), receipt_quality.quality_of(folder)
    if quality.get("samples") and measures is None:
        return quality
    if measures is not None:
        quality = {**quality, **receipt_quality.of_measures(measures)}
    why = NATIVE if receipt.get("lossless") else HALVES if receipt.get("encoding") == "f16" else ""
    work = Work(folder, None if why else original(), report, most_seconds)
    try:
        found = work.run(why)
    except Cancelled:
        raise
    except StorageError:
        raise
    except TernaryZeroError as error:
        found = {"samples": [], "skipped": f"It could not be asked: {error}"}
    quality.pop("skipped", None)
    quality |= found
    receipt_quality.keep(folder, quality)
    work.clear()
    return quality
