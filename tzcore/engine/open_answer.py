"""An answer that is gone on with: a conversation whose last message is the assistant's, left open at its end.

The text that the model reads is the conversation before that answer, as it is put to the model for an answer, and
then the answer as it was written.  So it reads what it would have read had it not been interrupted: a generation
prompt that begins the thinking, say, or that a template strips finished answers of their thinking, is all the same.
Where a template has no generation prompt, the place of an answer is found by a mark put in its stead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tzcore.engine.template import Message
from tzcore.engine.tokenizer import IncrementalDecoder, Tokenizer
from tzcore.errors import TemplateError

_MARK = "0xTZOPEN"

Render = Callable[[Sequence[Message], bool], str]
"""The messages as text, with or without the generation prompt."""


def before_answer(messages: Sequence[Message], render: Render, plain: bool) -> str:
    """All that the model reads before the text of the last message.

    TemplateError where the template shows no place where an answer could be gone on with.
    """
    said, answer = messages[:-1], messages[-1]
    if said:
        asked = render(said, True)
        if plain:  # "Assistant:", and the space that is written after it unless the answer has its own
            return asked if answer["content"][:1].isspace() else asked + " "
        if asked != render(said, False):
            return asked
    before, mark, after = render([*said, {**answer, "content": _MARK}], False).partition(_MARK)
    if not mark or _MARK in after:
        raise TemplateError(
            "The model's chat template does not allow an answer to be continued: it does not write the last message "
            "as it is; ask for a new answer instead"
        )
    return before


def as_written(tokenizer: Tokenizer, tokens: Sequence[int], answer: str) -> int | None:
    """How many of ``tokens``, which the model wrote, make up ``answer``; None where it ends inside one of them."""
    decoder, at = IncrementalDecoder(tokenizer), 0
    for count, token in enumerate(tokens, 1):
        piece = decoder.push(token)
        if not answer.startswith(piece, at):
            return None
        at += len(piece)
        if at == len(answer):
            return count
    return None
