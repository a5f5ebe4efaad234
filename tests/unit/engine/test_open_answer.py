"""Answers that are gone on with: how they are put to a model, and that they go on as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_models import tiny_folder
from tests.unit.engine import small_tokenizers
from tests.unit.engine.small_tokenizers import CHATML
from tzcore.engine.generation import Engine
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.request import Finished, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.errors import RequestError, TemplateError
from tzcore.serve import generation_request
from tzcore.serve.failures import FieldError
from tzcore.serve.request_body import Fields

MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "<start_of_turn>{{ role }}\n{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA3 = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
THINKS = (  # as DeepSeek-R1 and QwQ: thinking is begun by the prompt and taken out of answers that are over
    "{% for m in messages %}{% if m.role == 'assistant' %}<A>{{ m.content.split('</think>')[-1] }}<E>"
    "{% else %}<U>{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt %}<A><think>\n{% endif %}"
)
HIDES = "{% for m in messages %}{% if m.role == 'user' %}<U>{{ m.content }}{% endif %}{% endfor %}"
TWICE = "{% for m in messages %}<{{ m.content }}|{{ m.content }}>{% endfor %}"
GREEDY = Sampling(temperature=0)


@pytest.fixture
def prompts(tmp_path: Path) -> Iterator[list[PromptBuilder]]:
    made: list[PromptBuilder] = []
    yield made
    for one in made:
        one.close()


def read(prompts: list[PromptBuilder], folder: Path, template: str | None, answer: str, **more: object) -> str:
    """What the model reads, as text: special tokens are told from text by the templates' own words."""
    kind = str(more.pop("kind", "byte_level"))
    prompts.append(PromptBuilder.open(small_tokenizers.write(folder, kind, template)))
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": answer}]
    request = Request(messages=said, open_answer=True, **more)  # type: ignore[arg-type]
    seen: list[str] = []
    encode = prompts[-1].tokenizer.encode
    prompts[-1].tokenizer.encode = lambda text, **kw: seen.append(text) or encode(text, **kw)  # type: ignore
    assert prompts[-1].tokens(request)
    return seen[-1]


@pytest.mark.parametrize(
    ("template", "answer", "expected"),
    [
        (CHATML, "Par", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nPar"),
        (CHATML, " Par ", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n Par "),
        (MISTRAL, "Par ", "[INST] Hi [/INST] Par "),
        (GEMMA, "Par\n", "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\nPar\n"),
        (LLAMA3, "Par", "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\nPar"),
        (THINKS, "so it", "<U>Hi<A><think>\nso it"),
        (THINKS, "so it\n</think>\nPar", "<U>Hi<A><think>\nso it\n</think>\nPar"),
        (None, "Par", "User: Hi\n\nAssistant: Par"),
        (None, " Par", "User: Hi\n\nAssistant: Par"),
    ],
)  # fmt: skip
def test_what_the_model_reads(
    prompts: list[PromptBuilder], tmp_path: Path, template: str | None, answer: str, expected: str
) -> None:
    assert read(prompts, tmp_path / "m", template, answer) == expected


def test_with_a_byte_fallback_tokenizer_and_a_summary(prompts: list[PromptBuilder], tmp_path: Path) -> None:
    text = read(prompts, tmp_path / "m", GEMMA, "Par", kind="byte_fallback", summary="We met.")
    assert text == (
        "<s><start_of_turn>user\nSummary of the conversation so far:\nWe met.\n\nHi<end_of_turn>\n"
        "<start_of_turn>model\nPar"
    )


@pytest.mark.parametrize("template", [HIDES, TWICE])
def test_a_template_that_has_no_place_for_it(prompts: list[PromptBuilder], tmp_path: Path, template: str) -> None:
    with pytest.raises(TemplateError, match="does not allow an answer to be continued"):
        read(prompts, tmp_path / "m", template, "Par")


def test_only_an_answer_can_be_continued() -> None:
    user, empty = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}
    with pytest.raises(RequestError, match="must be the assistant's"):
        Request(messages=[user], open_answer=True)
    with pytest.raises(RequestError, match="must be the assistant's"):
        Request(prompt="Hi", open_answer=True)
    with pytest.raises(RequestError, match="nothing to continue"):
        Request(messages=[user, empty], open_answer=True)
    begun = {"role": "assistant", "content": "Par"}
    assert generation_request.chat(
        Fields({"messages": [user, begun], "continue_final_message": True})
    ).request.open_answer
    assert not generation_request.chat(Fields({"messages": [user, begun]})).request.open_answer
    for messages, more in (([user], {}), ([user, empty], {}), ([user, begun], {"add_generation_prompt": True})):
        with pytest.raises(FieldError):
            generation_request.chat(Fields({"messages": messages, "continue_final_message": True, **more}))


@pytest.mark.parametrize(
    ("family", "sampling"), [("llama", GREEDY), ("gemma2", Sampling(temperature=0, dry_multiplier=0))]
)
def test_it_goes_on_as_if_nothing_had_been(tmp_path: Path, family: str, sampling: Sampling) -> None:
    """Greedy, with penalties: wherever the answer was cut, its end is the end of the whole answer, and nothing but
    the last token is read again.  In a fresh engine, which has only the text, the answer's tokens can be others."""
    folder = tiny_folder(tmp_path / "m", family, "f16")
    said = [{"role": "user", "content": "What is the capital of France?"}]
    one = Engine.open(folder, "reference", context=256)
    try:
        whole, _ = written(one, Request(messages=said, sampling=sampling, max_tokens=24))
        cuts = 0
        for count in range(1, 24):
            begun, _ = written(one, Request(messages=said, sampling=sampling, max_tokens=count))
            if not begun or begun.endswith("\ufffd"):  # inside a character: no text that could be gone on with
                continue
            cuts += 1
            assert whole.startswith(begun)
            answer = [*said, {"role": "assistant", "content": begun}]
            rest = Request(messages=answer, sampling=sampling, max_tokens=24 - count, open_answer=True)
            more, finished = written(one, rest)
            assert begun + more == whole
            assert finished.usage.cached_tokens >= finished.usage.prompt_tokens - 2
        assert cuts > 5
    finally:
        one.close()


def written(engine: Engine, request: Request) -> tuple[str, Finished]:
    *events, last = engine.generate(request)
    assert isinstance(last, Finished)
    return "".join(event.text for event in events if isinstance(event, TextDelta)), last
