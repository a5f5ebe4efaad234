"""From a request to the tokens that the model reads, and the tokens that end its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tzcore.engine.open_answer import before_answer
from tzcore.engine.request import Request
from tzcore.engine.template import PLAIN_STOP, ChatTemplate, Message
from tzcore.engine.texts import shared
from tzcore.engine.tokenizer import Tokenizer
from tzcore.errors import RequestError, TemplateError

NO_TEMPLATE = (
    "This model has no chat template: conversations are written as 'User: …' and 'Assistant: …', "
    "which a base model may not follow"
)
_MARK = "0xTZMARK"
SUMMARY = "Summary of the conversation so far:"


class PromptBuilder:
    """Tokenizer and chat template of one model.  Safe to use from several threads.

    ``notices`` are sentences that a user should see once, after opening the model.
    """

    def __init__(self, tokenizer: Tokenizer, template: ChatTemplate) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.notices: list[str] = [NO_TEMPLATE] if template.plain else []
        self._turn_end: int | None = None
        self._looked = False

    @classmethod
    def open(cls, folder: Path) -> PromptBuilder:
        """Both from a model folder.  Missing or broken files: CheckpointError."""
        tokenizer = Tokenizer.open(folder)
        return cls(tokenizer, ChatTemplate.open(folder, tokenizer.special_tokens))

    def tokens(self, request: Request) -> list[int]:
        """The prompt's tokens.  TemplateError, or RequestError for an empty outcome."""
        if request.messages is not None:
            text = self._before_answer(request)
            if request.open_answer:
                text += request.messages[-1]["content"]
            ids = self._encode(text)
        elif isinstance(request.prompt, str):
            ids = self.tokenizer.encode(request.prompt, add_special_tokens=True)
        else:
            ids = list(request.prompt or ())
        if not ids:
            raise RequestError("The prompt is empty: it holds no token")
        return ids

    def render(
        self,
        messages: Sequence[Message],
        summary: str | None = None,
        variables: Mapping[str, Any] | None = None,
        add_generation_prompt: bool = True,
    ) -> str:
        """The conversation as text.  A ``summary`` of what was said before goes into the system message, or, where
        the template knows none, before the first thing that is said."""

        def rendered(*said: Message) -> str:
            return self.template.render(said, add_generation_prompt, variables)

        if not summary:
            return rendered(*messages)
        summary = f"{SUMMARY}\n{summary}"
        first, rest = messages[0], messages[1:]
        if first["role"] == "system":
            longer = f"{first['content']}\n\n{summary}".strip()
            return rendered({**first, "content": longer}, *rest)
        try:
            return rendered({"role": "system", "content": summary}, *messages)
        except TemplateError:
            return rendered({**first, "content": f"{summary}\n\n{first['content']}"}, *rest)

    def before_answer(self, request: Request) -> list[int]:
        """The tokens that the model reads before its answer; of one that is left open, none."""
        return self._encode(self._before_answer(request))

    def _before_answer(self, request: Request) -> str:
        assert request.messages is not None

        def rendered(messages: Sequence[Message], add_generation_prompt: bool) -> str:
            return self.render(messages, request.summary, request.template_variables, add_generation_prompt)

        if request.open_answer:
            return before_answer(request.messages, rendered, self.template.plain)
        return rendered(request.messages, True)

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=self.template.plain)

    def beginnings(self, messages: Sequence[Message], summary: str | None = None) -> list[list[int]]:
        """What texts of a conversation can begin with: its system message and one of the questions, which is the
        first, or the first that is left where the context did not hold all."""
        system = [message for message in messages[:1] if message["role"] == "system"]
        found: list[list[int]] = []
        for message in messages:
            if message["role"] == "user":
                said = [*system, message]
                rendered = (self.render(said, summary, add_generation_prompt=on) for on in (False, True))
                ends = [self._encode(text) for text in rendered]
                found.append(ends[0][: shared(*ends)])  # what follows can join the last token
        return [tokens for tokens in found if tokens]

    def stops(self, request: Request) -> tuple[str, ...]:
        """Stop strings: those asked for, and the next turn where the plain form is used."""
        if request.messages is not None and self.template.plain:
            return (*request.stop, PLAIN_STOP)
        return tuple(request.stop)

    def end_tokens(self) -> frozenset[int]:
        """Tokens that end an answer: the model's end-of-text tokens, and the one that ends a turn.

        Some models declare only the former, and their chat would run on into the next turn.  The
        latter is found by rendering a trial conversation and looking at what follows its answer.
        """
        if not self._looked:
            self._looked = True
            self._turn_end = self._find_turn_end()
        return self.tokenizer.eos_ids | ({self._turn_end} if self._turn_end is not None else set())

    def close(self) -> None:
        self.template.close()

    def _find_turn_end(self) -> int | None:
        if self.template.plain:
            return None
        trial = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": _MARK}]
        try:
            text = self.template.render(trial, add_generation_prompt=False)
        except TemplateError as error:
            self.notices.append(f"{error} (seen in a trial conversation when the model was opened)")
            return None
        _, mark, after = text.rpartition(_MARK)
        return self.tokenizer.special_prefix(after.lstrip()) if mark else None
