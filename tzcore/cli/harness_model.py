"""An installed model as lm-evaluation-harness sees one.  Needs the extra ``evaluation`` to be imported.

Texts are scored by the backend directly; answers are written by the engine, greedily unless a
task says otherwise.  Requests that begin alike share the reading of their beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import normalize_gen_kwargs

from tzcore.architecture.registry import spec_of
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.generation import Engine, EngineInfo, Finished, Request, Sampling, TextDelta
from tzcore.engine.placement import place
from tzcore.engine.plan import LARGEST_CHUNK
from tzcore.engine.prompt import PromptBuilder
from tzcore.errors import UnsupportedModelError

ANSWER_TOKENS = 256
"""Tokens of an answer where the task sets no limit; the harness's own default."""

Encoded = tuple[Any, list[int], list[int]]
Step = Callable[[], None]


class HarnessModel(TemplateLM):  # type: ignore[misc] # the harness comes without types
    """The model in ``folder``; :meth:`close` releases it.  ``step`` is called after every request."""

    def __init__(self, folder: Path, backend: str, threads: int | None, step: Step, kv: str = "f16") -> None:
        super().__init__()
        self._step = step
        self._opened = ModelFolder.open(folder)
        placed = place(self._opened, spec_of(self._opened), backend, kv=kv)
        chosen, reason, memory = placed.backend, placed.reason, placed.memory
        self.max_length = memory.context
        spec = spec_of(self._opened, memory.context)
        prompts = PromptBuilder.open(folder)
        self._tokenizer = prompts.tokenizer
        model = chosen.load(self._opened, spec, threads)
        info = EngineInfo(
            folder, spec.family, memory.context, chosen.name, chosen.describe(), reason, memory, (), placed.kv
        )  # fmt: skip
        self._model, self._engine = model, Engine(model, prompts, info, folder=self._opened)
        self._sequence = model.new_sequence(memory.context, placed.kv)
        self._held: list[int] = []

    def close(self) -> None:
        """Release weights and memory."""
        self._sequence.close()
        self._engine.close()

    @property
    def eot_token_id(self) -> int:
        """The token that ends a text."""
        if not self._tokenizer.eos_ids:
            raise UnsupportedModelError("the model names no token that ends a text, which tasks need")
        return min(self._tokenizer.eos_ids)

    @property
    def prefix_token_id(self) -> int:
        """The token before a text without a context."""
        return self.eot_token_id if self._tokenizer.bos_id is None else self._tokenizer.bos_id

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        """Token ids; begun as the model was trained unless told otherwise."""
        return self._tokenizer.encode(string, add_special_tokens is not False)

    def _loglikelihood_tokens(self, requests: Sequence[Encoded], **_: Any) -> list[tuple[float, bool]]:
        """Log-probability of each continuation after its context, and whether greedy decoding gives it."""
        found: dict[int, tuple[float, bool]] = {}
        # In the order of their tokens, neighbours share the longest beginnings.
        for index in sorted(range(len(requests)), key=lambda i: requests[i][1] + requests[i][2]):
            _, context, continuation = requests[index]
            found[index] = self._score(context, continuation)
            self._step()
        return [found[index] for index in range(len(requests))]

    def _score(self, context: list[int], continuation: list[int]) -> tuple[float, bool]:
        tokens = (context + continuation)[-(self.max_length + 1) :]
        first = len(tokens) - len(continuation)  # of the continuation; the context is cut where it is too long
        targets, greedy, total = tokens[first:], True, 0.0
        at = 0
        for rows in self._rows(tokens[:-1], first - 1):
            wide = rows.astype(np.float64)
            wide -= wide.max(axis=1, keepdims=True)
            part = targets[at : at + len(rows)]
            at += len(rows)
            chosen = wide[np.arange(len(part)), part]
            total += float((chosen - np.log(np.exp(wide).sum(axis=1))).sum())
            greedy = greedy and bool((wide.argmax(axis=1) == part).all())
        return total, greedy

    def _rows(self, tokens: list[int], first: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        """Logits at the positions of ``tokens`` from ``first`` on, some at a time."""
        same = 0
        while same < min(len(self._held), first) and self._held[same] == tokens[same]:
            same += 1
        self._sequence.truncate(same)
        self._held = tokens
        ids = np.array(tokens, np.int32)
        for at in range(same, first, LARGEST_CHUNK):
            self._model.forward(self._sequence, ids[at : min(at + LARGEST_CHUNK, first)], "none")
        for at in range(first, len(ids), LARGEST_CHUNK):
            yield self._model.forward(self._sequence, ids[at : at + LARGEST_CHUNK], "all")

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-probability of whole texts; long ones in windows, every token predicted once."""
        totals = []
        for request in requests:
            ids = self._tokenizer.encode(request.args[0])
            windows = utils.get_rolling_token_windows(ids, self.prefix_token_id, self.max_length, context_len=1)
            parts = [self._score(*utils.make_disjoint_window(window)) for window in windows]
            totals.append(sum(total for total, _ in parts))
            self._step()
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Answers up to the first of their stop texts, which is left out."""
        answers = []
        for request in requests:
            prompt, options = request.args
            answers.append(self._answer(prompt, normalize_gen_kwargs(options, ANSWER_TOKENS)))
            self._step()
        return answers

    def _answer(self, prompt: str, options: dict[str, Any]) -> str:
        room = self.max_length - options["max_gen_toks"]
        if room < 1:
            raise UnsupportedModelError(
                f"the task asks for answers of {options['max_gen_toks']} tokens; "
                f"the model's context has {self.max_length}"
            )
        sampling = Sampling(
            temperature=float(options.get("temperature") or 0.0), top_k=int(options.get("top_k") or 0),
            top_p=float(options.get("top_p") or 1.0), min_p=float(options.get("min_p") or 0.0),
            repetition_penalty=1.0, dry_multiplier=0.0, seed=0,
        )  # fmt: skip
        asked = Request(
            prompt=self.tok_encode(prompt)[-room:], sampling=sampling, max_tokens=options["max_gen_toks"],
            stop=[text for text in options["until"] if text],
        )  # fmt: skip
        events = list(self._engine.generate(asked))
        assert isinstance(events[-1], Finished)
        return "".join(event.text for event in events if isinstance(event, TextDelta))
