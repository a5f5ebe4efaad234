"""The official client against the server: what it sends and reads is the API's definition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.unit.engine.scripted_model import ScriptedModel
from tests.unit.engine.small_tokenizers import write
from tests.unit.serve.running_server import Running, install, running
from tzcore.engine.prompt import PromptBuilder

SAID = "Paris, señor. 東京!"
HELLO = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[Running]:
    install()
    prompts = PromptBuilder.open(write(tmp_path / "tokenizer", template=None))
    end = prompts.tokenizer.token_id("<|im_end|>")
    assert end is not None
    script = [*prompts.tokenizer.encode(SAID), end]
    with running(lambda _: ScriptedModel(script)) as made:
        yield made


def test_models(server: Running) -> None:
    (model,) = server.openai.models.list().data
    assert model.id == "tiny:t2"
    assert model.created == 1767323045
    assert model.model_extra is not None
    assert model.model_extra["loaded"] is False
    assert server.openai.models.retrieve("tiny:t2").id == "tiny:t2"
    with pytest.raises(openai.NotFoundError):
        server.openai.models.retrieve("org/other:t2")


def test_chat_at_once(server: Running) -> None:
    answer = server.openai.chat.completions.create(model="tiny:t2", messages=HELLO, temperature=0)
    assert answer.object == "chat.completion"
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == ("assistant", SAID, "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.completion_tokens == len(server.model.script or [])
    assert answer.model_extra is not None
    timings = answer.model_extra["timings"]
    assert set(timings) == {"prompt_per_second", "predicted_per_second", "time_to_first_token_s", "cached_tokens"}
    assert timings["time_to_first_token_s"] > 0
    again = server.openai.chat.completions.create(model="tiny:t2", messages=HELLO)
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details.cached_tokens == again.usage.prompt_tokens - 1
    assert again.id != answer.id


def test_chat_streamed(server: Running) -> None:
    chunks = list(
        server.openai.chat.completions.create(
            model="tiny:t2", messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == SAID
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    progress = [
        c.model_extra["prompt_progress"] for c in chunks if c.model_extra and "prompt_progress" in c.model_extra
    ]
    assert progress[0]["processed"] == 0
    assert progress[-1]["processed"] == progress[-1]["total"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.prompt_tokens == progress[-1]["total"]
    assert [c for c in chunks if c.usage] == chunks[-1:]
    timed = [c for c in chunks if c.model_extra and "timings" in c.model_extra]
    assert timed == chunks[-2:-1]


def test_without_include_usage_there_is_none(server: Running) -> None:
    chunks = list(server.openai.chat.completions.create(model="tiny:t2", messages=HELLO, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_stop_and_limits(server: Running) -> None:
    create = server.openai.chat.completions.create
    answer = create(model="tiny:t2", messages=HELLO, stop=["señor", "zzz"])
    assert answer.choices[0].message.content == "Paris, "
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.choices[0].model_extra or {})["stop_reason"] == "señor"
    for limit in ({"max_tokens": 2}, {"max_completion_tokens": 2}, {"max_tokens": 9, "max_completion_tokens": 2}):
        answer = create(model="tiny:t2", messages=HELLO, **limit)  # type: ignore[call-overload]
        assert answer.usage.completion_tokens == 2
        assert answer.choices[0].finish_reason == "length"


def test_parts_of_text_and_all_settings(server: Running) -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "it?"}]
    talk = [{"role": "developer", "content": "Be brief"}, {"role": "user", "content": parts}]
    answer = server.openai.chat.completions.create(
        model="tiny:t2",
        messages=talk,  # type: ignore[arg-type]
        temperature=0.5,
        top_p=0.9,
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=-0.1,
        n=1,
        logprobs=False,
        user="someone",
        response_format={"type": "text"},
        extra_body={"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.05, "chat_template_kwargs": {"x": 1}},
    )
    assert answer.choices[0].message.content


def test_bare_completion(server: Running) -> None:
    answer = server.openai.completions.create(model="tiny:t2", prompt="The capital of France is", max_tokens=50)
    assert answer.object == "text_completion"
    assert answer.choices[0].finish_reason == "stop" or answer.choices[0].finish_reason == "length"
    assert answer.choices[0].text == SAID
    chunks = list(server.openai.completions.create(model="tiny:t2", prompt=[70, 71, 72], max_tokens=3, stream=True))
    assert len("".join(c.choices[0].text for c in chunks)) >= 1
    assert chunks[-1].choices[0].finish_reason == "length"


def test_errors_arrive_as_the_clients_own(server: Running) -> None:
    create = server.openai.chat.completions.create
    with pytest.raises(openai.NotFoundError, match=r"No model is called 'gpt-4o'; installed are: tiny:t2"):
        create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="context holds") as caught:
        create(model="tiny:t2", messages=[{"role": "user", "content": "word " * 3000}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="context holds"):
        create(model="tiny:t2", messages=[{"role": "user", "content": "word " * 3000}], stream=True)
    wrong = openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong", max_retries=0)
    with wrong, pytest.raises(openai.AuthenticationError):
        wrong.models.list()


def test_full_context_is_said(home: Path) -> None:
    install()
    with running(lambda _: ScriptedModel([70, 71])) as server:
        server.http.post("/v1/load", json={"model": "tiny:t2", "context": 64}).raise_for_status()
        plain = {"dry_multiplier": 0, "repetition_penalty": 1}  # else the script's repetitions end it by chance
        answer = server.openai.chat.completions.create(model="tiny:t2", messages=HELLO, temperature=0, extra_body=plain)
        assert answer.choices[0].finish_reason == "length"
        assert (answer.choices[0].model_extra or {})["stop_reason"] == "context"
