"""From the body of a completion request to what the engine is asked, in OpenAI's vocabulary.

Three fields are not OpenAI's: ``context_overflow`` (``"stop"``, ``"slide"`` or ``"compact"``) is what happens
where the context does not suffice (:mod:`tzcore.engine.overflow`), ``context_summary`` is text that stands for
what was said before ``messages``, and ``continue_final_message``, as other servers know it, goes on with the last
message, the assistant's, instead of beginning an answer (:mod:`tzcore.engine.open_answer`).  What is not
implemented is refused with a sentence; only fields that cannot change the answer (``user``, ``store``,
``metadata`` and the like) are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tzcore.engine.request import MAX_STOPS, OVERFLOWS, Overflow, Request
from tzcore.engine.sampler import Sampling
from tzcore.errors import RequestError
from tzcore.serve.failures import FieldError
from tzcore.serve.request_body import Fields, shown

_NUMBERS = (
    "temperature", "top_p", "min_p", "repetition_penalty", "dry_multiplier", "presence_penalty", "frequency_penalty",
)  # fmt: skip
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
_UNSUPPORTED = {
    "tools": "tools are not supported",
    "functions": "functions are not supported",
    "logit_bias": "logit_bias is not supported",
    "top_logprobs": "logprobs are not supported",
    "suffix": "suffix is not supported",
    "echo": "echo is not supported",
    "audio": "audio is not supported",
    "prediction": "prediction is not supported",
    "web_search_options": "web search is not supported",
    "grammar": "grammars are not supported",
}


@dataclass(frozen=True)
class Asked:
    """A checked request.  ``model`` None means the only one that is loaded."""

    model: str | None
    request: Request
    sampling: Mapping[str, Any]
    stream: bool
    include_usage: bool

    def for_model(self, defaults: Sampling) -> Request:
        """The request with the model's own sampling defaults where nothing was asked for."""
        return replace(self.request, sampling=replace(defaults, **self.sampling))


def chat(fields: Fields) -> Asked:
    """A body of ``/v1/chat/completions``."""
    if fields.get("logprobs") not in (None, False):
        raise FieldError("logprobs", "logprobs are not supported")
    limit = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
    return _asked(
        fields,
        limit,
        messages=messages(fields),
        template_variables=fields.mapping("chat_template_kwargs"),
        summary=fields.text("context_summary"),
        open_answer=open_answer(fields),
    )


def open_answer(fields: Fields) -> bool:
    """Whether the last message is the beginning of the answer; FieldError where it cannot be."""
    if not fields.flag("continue_final_message"):
        return False
    if fields.flag("add_generation_prompt"):
        raise FieldError("add_generation_prompt", "an answer is either continued or begun: leave one of the two out")
    last = messages(fields)[-1]
    if last["role"] != "assistant" or not last["content"]:
        raise FieldError(
            "continue_final_message", "the last message must be the assistant's and hold the beginning of the answer"
        )
    return True


def completion(fields: Fields) -> Asked:
    """A body of ``/v1/completions``: the prompt is text, or token ids."""
    if fields.get("logprobs") is not None:
        raise FieldError("logprobs", "logprobs are not supported")
    if fields.get("best_of") not in (None, 1):
        raise FieldError("best_of", "only best_of 1 is supported")
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and len(prompt) == 1 and isinstance(prompt[0], (str, list)):
        prompt = prompt[0]
    ids = isinstance(prompt, list) and all(isinstance(i, int) and not isinstance(i, bool) for i in prompt)
    if not isinstance(prompt, str) and not ids:
        raise FieldError("prompt", f"prompt must be one text or one list of token ids, not {shown(prompt)}")
    return _asked(fields, "max_tokens", prompt=prompt)


def messages(fields: Fields) -> list[dict[str, str]]:
    """The conversation of a body, each message with ``role`` and ``content`` as text."""
    raw = fields.get("messages")
    if not isinstance(raw, list) or not raw:
        raise FieldError("messages", "messages must be a list with at least one message")
    return [_message(index, message) for index, message in enumerate(raw)]


def _message(index: int, raw: object) -> dict[str, str]:
    where = f"messages[{index}]"
    if not isinstance(raw, dict):
        raise FieldError(where, f"{where} must be an object, not {shown(raw)}")
    role = raw.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise FieldError(f"{where}.role", f"{where}.role must be one of {', '.join(_ROLES)}, not {shown(role)}")
    if raw.get("tool_calls") or raw.get("function_call"):
        raise FieldError(f"{where}.tool_calls", "tool calls are not supported")
    return {"role": _ROLES[role], "content": _content(f"{where}.content", raw.get("content"), role)}


def _content(where: str, raw: object, role: str) -> str:
    if isinstance(raw, str):
        return raw
    if raw is None and role == "assistant":
        return ""
    if not isinstance(raw, list):
        raise FieldError(where, f"{where} must be text or a list of text parts, not {shown(raw)}")
    texts = []
    for part in raw:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("image_url", "input_image", "image", "input_audio", "file", "video_url"):
            raise FieldError(where, f"{where} holds a part of type {kind}: models here read text alone")
        if not isinstance(part, dict) or kind != "text" or not isinstance(part.get("text"), str):
            raise FieldError(where, f'{where} must hold parts of the form {{"type": "text", "text": …}}')
        texts.append(part["text"])
    return "\n".join(texts)


def _asked(fields: Fields, limit: str, **content: Any) -> Asked:
    _refuse_unsupported(fields)
    sampling: dict[str, Any] = {name: value for name in _NUMBERS if (value := fields.number(name)) is not None}
    sampling |= {name: value for name in ("top_k", "seed") if (value := fields.whole(name)) is not None}
    for name, value in sampling.items():
        try:
            Sampling(**{name: value})
        except RequestError as error:
            raise FieldError(name, str(error)) from None
    max_tokens = fields.whole(limit)
    if max_tokens is not None and max_tokens < 1:
        raise FieldError(limit, f"{limit} must be at least 1, not {shown(max_tokens)}")
    overflow = _overflow(fields)
    if overflow == "compact" and "prompt" in content:
        raise FieldError("context_overflow", "only a conversation can be compacted: a bare prompt can slide or stop")
    stream = fields.flag("stream")
    options = Fields(fields.mapping("stream_options"))
    return Asked(
        model=fields.text("model"),
        request=Request(max_tokens=max_tokens, stop=_stops(fields.get("stop")), overflow=overflow, **content),
        sampling=sampling,
        stream=stream,
        include_usage=options.flag("include_usage"),
    )


def _overflow(fields: Fields) -> Overflow:
    wanted = fields.text("context_overflow")
    for overflow in OVERFLOWS:
        if wanted in (None, overflow):
            return overflow
    raise FieldError("context_overflow", f"context_overflow must be one of {', '.join(OVERFLOWS)}, not {shown(wanted)}")


def _stops(raw: object) -> Sequence[str]:
    stops = [raw] if isinstance(raw, str) else ([] if raw is None else raw)
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise FieldError("stop", "stop must be a text or a list of texts, none of them empty")
    if len(stops) > MAX_STOPS:
        raise FieldError("stop", f"at most {MAX_STOPS} stop strings are possible, not {len(stops)}")
    return stops


def _refuse_unsupported(fields: Fields) -> None:
    n = fields.whole("n")
    if n not in (None, 1):
        raise FieldError("n", f"only n = 1 is supported, not {shown(n)}: ask several times instead")
    for name, sentence in _UNSUPPORTED.items():
        if fields.get(name):  # an empty list or false asks for nothing
            raise FieldError(name, sentence)
    form = fields.mapping("response_format").get("type", "text")
    if form != "text":
        raise FieldError("response_format", f"response_format {shown(form)} is not supported, only text")
    modalities = fields.get("modalities")
    if modalities is not None and modalities != ["text"]:
        raise FieldError("modalities", "only text can be generated")
