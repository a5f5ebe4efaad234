"""Retrieval at depth: whether a model finds a number that stands somewhere in a long real text.

"The magic number of the harbour of Ardmore is 57316." is put between two sentences, at a share of the text's length,
and the question for it follows the text, in the model's chat template.  Three things are measured: whether the greedy
answer contains the number; the rank of the right number among ten by their probability, when the answer is begun for
the model; and by how many nats it is likelier than the likeliest wrong one.  The last two say something of models that
are too small to answer well.  Names and numbers are drawn at random from a seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tzcore.architecture.registry import spec_of
from tzcore.backend.base import LoadedModel
from tzcore.backend.base import Sequence as Held
from tzcore.bench.depth_quality import READ_AT_ONCE, model_with
from tzcore.bench.real_text import open_text
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.reach import beyond
from tzcore.engine.request import Request
from tzcore.errors import RequestError
from tzcore.keyvalues import KeyValueFormat
from tzcore.progress import Progress, Report, ignore
from tzcore.quant.evaluation import small_files

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the fact stands, as shares of the text."""
ANSWER = 32
"""Tokens of a greedy answer, at most."""
WRONG = 9
"""Wrong numbers that the right one is compared with."""
SHORTEST = 512
"""Tokens of context under which nothing is asked."""
_THINGS = ("harbour", "lighthouse", "old bridge", "library", "orchard", "railway station", "mill", "observatory")
_PLACES = ("Ardmore", "Belcastle", "Corrigan", "Dunwich", "Elmsford", "Farrow", "Glenholm", "Hathersage")


@dataclass(frozen=True)
class Fact:
    """What is hidden: the ``number`` of a ``thing``, and ``wrong`` numbers of as many digits."""

    thing: str
    number: str
    wrong: tuple[str, ...]

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Fact:
        """A random one."""
        number, *wrong = (str(n) for n in random.choice(np.arange(10_000, 100_000), 1 + WRONG, replace=False))
        return cls(f"{random.choice(_THINGS)} of {random.choice(_PLACES)}", number, tuple(wrong))

    @property
    def beginning(self) -> str:
        """The sentence without its number."""
        return f"The magic number of the {self.thing} is"

    @property
    def sentence(self) -> str:
        return f"{self.beginning} {self.number}."

    @property
    def question(self) -> str:
        return f"What is the magic number of the {self.thing}? Answer with the number alone."


def inserted(text: str, sentence: str, share: float) -> str:
    """``text`` with ``sentence`` between two of its sentences, the nearest to ``share`` of its length."""
    ends = [0, *(match.end() for match in re.finditer(r"[.!?][\"”’)]?\s", text)), len(text)]
    at = min(ends, key=lambda end: abs(end - share * len(text)))
    before, after = text[:at].rstrip(), text[at:].lstrip()
    return " ".join(part for part in (before, sentence, after) if part)


def needles(
    folder: Path,
    formats: Sequence[KeyValueFormat],
    lengths: Sequence[int],
    texts: Sequence[Path] = (),
    seed: int = 0,
    backend: str = "auto",
    threads: int | None = None,
    report: Report = ignore,
) -> dict[str, Any]:
    """Ask at every one of :data:`PLACES`, in contexts of so many tokens (``lengths``), with each format.

    ``{"model", "seed", "lengths": [...]}``; a length has ``length``, the ``tokens`` of its prompts (fewer where the
    ``texts``, the project's own by default, are too short), a ``notice`` beyond what the model was made for, and by
    format: ``found`` (share of greedy answers with the number), ``first`` (share where the right number is the
    likeliest), ``margin`` (nats between it and the likeliest wrong one, on average) and the ``answers`` one by one.
    Every format is asked the same questions.  Phase ``"evaluate"``, in prompts.
    """
    if min(lengths) < SHORTEST:
        raise RequestError(f"a context of {min(lengths):,} tokens is too short to hide anything in: take {SHORTEST}")
    opened = ModelFolder.open(folder)
    prompts = PromptBuilder.open(folder)
    try:
        spec, done = spec_of(opened), 0
        rows = []
        for length in lengths:
            asked = list(_questions(folder, prompts, texts, length, seed))
            by_format: dict[str, Any] = {}
            for kv in formats:
                with model_with(opened, length, kv, backend, threads) as (model, sequence):
                    answers = []
                    for share, fact, prompt in asked:
                        sequence.truncate(0)
                        answers.append({"place": share, **_asked(model, sequence, prompts, fact, prompt)})
                        done += 1
                        total = len(lengths) * len(formats) * len(PLACES)
                        detail = f"{length:,} tokens, keys and values as {kv.name}"
                        report(Progress("evaluate", done, total, "prompts", detail))
                by_format[kv.name] = {
                    "found": float(np.mean([answer["found"] for answer in answers])),
                    "first": float(np.mean([answer["rank"] == 1 for answer in answers])),
                    "margin": float(np.mean([answer["margin"] for answer in answers])),
                    "answers": answers,
                }
            tokens = max(len(prompt) for _, _, prompt in asked)
            rows.append({"length": length, "tokens": tokens, "notice": beyond(spec, length), "formats": by_format})
        return {"model": str(opened.receipt.get("id", folder.name)), "seed": seed, "lengths": rows}
    finally:
        prompts.close()
        opened.close()


def _questions(
    folder: Path, prompts: PromptBuilder, texts: Sequence[Path], length: int, seed: int
) -> Iterator[tuple[float, Fact, list[int]]]:
    """A place, a fact and the prompt for each of :data:`PLACES`."""
    random = np.random.default_rng([seed, length])
    for share in PLACES:
        fact = Fact.drawn(random)
        bare = len(_prompt(prompts, "", fact, share))
        room = length - bare - 2 * ANSWER
        while True:
            if room < 1:
                raise RequestError(f"a context of {length:,} tokens has no room for a text beside the question")
            ids = open_text(texts, small_files(folder), room).tokens
            prompt = _prompt(prompts, prompts.tokenizer.decode(ids.tolist()), fact, share)
            over = len(prompt) + ANSWER - length  # cut text can be read as other tokens
            if over <= 0:
                break
            room -= over
        yield share, fact, prompt


def _prompt(prompts: PromptBuilder, text: str, fact: Fact, share: float) -> list[int]:
    content = f"{inserted(text, fact.sentence, share)}\n\n{fact.question}"
    return prompts.tokens(Request(messages=[{"role": "user", "content": content}]))


def _asked(model: LoadedModel, sequence: Held, prompts: PromptBuilder, fact: Fact, prompt: list[int]) -> dict[str, Any]:
    """The greedy answer, and how the right number stands among wrong ones."""
    ids = np.array(prompt, np.int32)
    for at in range(0, len(ids) - 1, READ_AT_ONCE):
        model.forward(sequence, ids[at : min(at + READ_AT_ONCE, len(ids) - 1)], "none")
    begun = prompts.tokenizer.encode(fact.beginning)
    likely = []
    for number in (fact.number, *fact.wrong):
        said = prompts.tokenizer.encode(f"{fact.beginning} {number}")
        likely.append(_likelihood(model, sequence, ids[-1:], said, begun))
        sequence.truncate(len(ids) - 1)
    answer = _greedy(model, sequence, ids[-1:], prompts)
    right, best = likely[0], max(likely[1:])
    return {
        "found": fact.number in re.sub(r"(?<=\d),(?=\d)", "", answer),
        "rank": 1 + sum(wrong >= right for wrong in likely[1:]),
        "margin": right - best,
        "number": fact.number,
        "answer": answer.strip(),
    }


def _likelihood(
    model: LoadedModel, sequence: Held, last: np.ndarray[Any, Any], said: list[int], begun: list[int]
) -> float:
    """Natural logarithm of the chance that the answer, begun with ``begun``, goes on as ``said`` does."""
    tokens = np.concatenate([last, np.array(said, np.int32)])
    logits = model.forward(sequence, tokens[:-1].astype(np.int32), "all").astype(np.float64)
    first = next((n for n, (a, b) in enumerate(zip(said, begun, strict=False)) if a != b), min(len(said), len(begun)))
    rows = logits[first:]
    rows -= rows.max(1, keepdims=True)
    rows -= np.log(np.exp(rows).sum(1, keepdims=True))
    return float(rows[np.arange(len(rows)), said[first:]].sum())


def _greedy(model: LoadedModel, sequence: Held, last: np.ndarray[Any, Any], prompts: PromptBuilder) -> str:
    ends, written = prompts.end_tokens(), []
    token = last.astype(np.int32)
    for _ in range(ANSWER):
        chosen = int(model.forward(sequence, token)[0, : prompts.tokenizer.size].argmax())
        if chosen in ends:
            break
        written.append(chosen)
        token = np.array([chosen], np.int32)
    return prompts.tokenizer.decode(written)
