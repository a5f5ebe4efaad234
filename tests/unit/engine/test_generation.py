from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.engine import small_tokenizers
from tests.unit.engine.scripted_model import ScriptedModel, engine
from tzcore.engine.generation import Engine
from tzcore.engine.prompt import PromptBuilder
from tzcore.engine.request import Event, Finished, PrefillProgress, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.errors import BackendError, ContextFullError, RequestError, TernaryZeroError

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=0.0)


def ask(text: str = "Hello", **settings: object) -> Request:
    settings.setdefault("sampling", GREEDY)
    return Request(messages=[{"role": "user", "content": text}], **settings)  # type: ignore[arg-type]


def run(engine: Engine, request: Request) -> tuple[str, Finished, list[PrefillProgress]]:
    events = list(engine.generate(request))
    *rest, last = events
    assert isinstance(last, Finished)
    assert not any(isinstance(e, Finished) for e in rest)
    deltas = [e for e in rest if isinstance(e, TextDelta)]
    assert all(d.text for d in deltas)
    return "".join(d.text for d in deltas), last, [e for e in rest if isinstance(e, PrefillProgress)]


def script(folder: Path, text: str, end: str = "<|im_end|>") -> list[int]:
    tokenizer = PromptBuilder.open(small_tokenizers.write(folder, template=None)).tokenizer
    ids = tokenizer.encode(text)
    token = tokenizer.token_id(end)
    return ids if token is None else [*ids, token]


@pytest.fixture
def make(tmp_path: Path, engines: list[Engine]):  # type: ignore[no-untyped-def]
    def build(model: ScriptedModel, context: int = 256, **files: object) -> Engine:
        engines.append(engine(tmp_path, model, context, **files))  # type: ignore[arg-type]
        return engines[-1]

    return build


def test_an_answer_ends_at_the_end_of_turn(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    # <|im_end|> is in no eos_token_id here: it is found from the template.
    said = script(tmp_path, "Paris, señor. 東京!")
    text, finished, progress = run(make(ScriptedModel(said)), ask())
    assert text == "Paris, señor. 東京!"
    assert finished.reason == "stop"
    assert finished.stop_string is None
    assert finished.usage.completion_tokens == len(said)
    assert finished.usage.prompt_tokens == progress[-1].total == progress[-1].done
    assert progress[0].done == 0
    assert progress[0].seconds_left is None
    assert progress[-1].seconds_left == 0
    assert finished.timings.time_to_first_token is not None
    assert finished.timings.prefill_tokens_per_second > 0
    assert finished.timings.decode_tokens_per_second > 0


def test_a_long_prompt_is_read_in_chunks_with_progress(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel(seconds_per_token=0.0002)
    made = make(model, context=4000)
    _, finished, progress = run(made, ask("word " * 500, max_tokens=2))
    done = [p.done for p in progress]
    assert done == sorted(done)
    assert len(done) > 5
    assert sum(model.calls) == finished.usage.prompt_tokens + 1
    middle = progress[len(progress) // 2]
    assert middle.seconds_left is not None
    assert 0 < middle.seconds_left < 10


def test_chunks_grow_on_a_fast_machine_and_stay_small_on_a_slow_one(make) -> None:  # type: ignore[no-untyped-def]
    fast, slow = ScriptedModel(), ScriptedModel(seconds_per_token=0.005)
    run(make(fast, context=4000), ask("word " * 900, max_tokens=1))
    run(make(slow, context=4000), ask("word " * 60, max_tokens=1))
    assert max(fast.calls) >= 256
    assert max(slow.calls) <= 16


def test_greedy_is_deterministic_and_the_cache_changes_nothing(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel()
    made = make(model)
    first = run(made, ask(max_tokens=20))
    again = run(made, ask(max_tokens=20))
    assert first[0] == again[0]
    assert first[1].usage.cached_tokens == 0
    assert again[1].usage.cached_tokens == again[1].usage.prompt_tokens - 1
    talk = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": first[0]}]
    talk.append({"role": "user", "content": "And now?"})
    follow = Request(messages=talk, sampling=GREEDY, max_tokens=20)
    warm = run(made, follow)
    cold = run(make(ScriptedModel()), follow)
    assert warm[1].usage.cached_tokens > 5
    assert warm[0] == cold[0]
    assert sum(p.done for p in warm[2][:1]) == warm[1].usage.cached_tokens
    other = run(made, ask("Something else entirely", max_tokens=20))
    assert other[0] == run(make(ScriptedModel()), ask("Something else entirely", max_tokens=20))[0]


def test_stop_strings_are_never_shown(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    said = script(tmp_path, "one two three four")
    text, finished, _ = run(make(ScriptedModel(said)), ask(stop=["three", "x"]))
    assert text == "one two "
    assert (finished.reason, finished.stop_string) == ("stop", "three")
    text, finished, _ = run(make(ScriptedModel(said)), ask(stop=["four!"]))
    assert text == "one two three four"  # held back, then given out at the end
    assert finished.stop_string is None
    text, finished, _ = run(make(ScriptedModel(said)), ask(stop=["one"]))
    assert text == ""


def test_max_tokens(make) -> None:  # type: ignore[no-untyped-def]
    for count in (1, 7):
        _, finished, _ = run(make(ScriptedModel([50, 51])), ask(max_tokens=count))
        assert finished.reason == "length"
        assert finished.usage.completion_tokens == count


def test_a_character_cut_by_max_tokens_is_not_hidden(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    said = script(tmp_path, "東")[:-1]
    assert len(said) > 1
    text, _, _ = run(make(ScriptedModel(said)), ask(max_tokens=1))
    assert text == "\ufffd"


def test_a_full_context_is_said(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel([50, 51])
    made = make(model, context=64)
    _, finished, _ = run(made, ask())
    assert finished.reason == "context"
    assert finished.usage.prompt_tokens + finished.usage.completion_tokens == 65  # the last one needs no room
    assert made._texts.running.sequence.length == 64


def test_a_prompt_that_does_not_fit_is_refused_before_any_work(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel()
    with pytest.raises(ContextFullError, match=r"has \d+ tokens and the context holds 64"):
        list(make(model, context=64).generate(ask("word " * 100)))
    assert model.calls == []


def test_exactly_filling_prompts(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50]), context=8)
    text, finished, _ = run(made, Request(prompt=[9] * 7, sampling=GREEDY))
    assert (finished.usage.completion_tokens, finished.reason) == (2, "context")
    assert text
    with pytest.raises(ContextFullError):
        list(made.generate(Request(prompt=[9] * 8)))


@pytest.mark.parametrize("prompt", [[400], [-1, 3], [10**6]])
def test_tokens_outside_the_vocabulary(make, prompt: list[int]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RequestError, match="vocabulary"):
        list(make(ScriptedModel()).generate(Request(prompt=prompt)))


def test_padding_rows_of_the_head_are_never_chosen(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel(vocabulary=100_000))
    tokenizer = made.prompts.tokenizer
    sampling = Sampling(temperature=100.0, top_k=0, top_p=1.0, seed=1)
    _, finished, _ = run(made, ask(sampling=sampling, max_tokens=50))
    assert max(made._held) < tokenizer.size
    assert finished.usage.completion_tokens > 1


def wait_for(events: Iterator[Event], kind: type) -> Event:
    return next(e for e in events if isinstance(e, kind))


def test_cancel_while_writing(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50, 51], seconds_per_token=0.01), context=4000)
    cancel = threading.Event()
    events = made.generate(ask(), cancel)
    wait_for(events, TextDelta)
    cancel.set()
    began = time.monotonic()
    rest = list(events)
    assert time.monotonic() - began < 0.1
    assert isinstance(rest[-1], Finished)
    assert rest[-1].reason == "cancelled"


def test_cancel_while_reading(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel(seconds_per_token=0.003)  # 333 tokens/s: a whole prompt would take 9 s
    made = make(model, context=4000)
    cancel = threading.Event()
    threading.Timer(0.4, cancel.set).start()
    began = time.monotonic()
    events = list(made.generate(ask("word " * 1000), cancel))
    assert 0.4 <= time.monotonic() - began < 0.4 + 0.15
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "cancelled"
    assert not any(isinstance(e, TextDelta) for e in events)


def test_what_was_read_before_a_cancel_is_kept(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel(), context=4000)
    cancel = threading.Event()
    events = made.generate(ask("word " * 300, max_tokens=3), cancel)
    while (event := next(events)).done < 64:  # type: ignore[union-attr]
        pass
    cancel.set()
    assert isinstance(list(events)[-1], Finished)
    warm = run(made, ask("word " * 300, max_tokens=3))
    assert warm[1].usage.cached_tokens >= event.done  # type: ignore[union-attr]
    assert warm[0] == run(make(ScriptedModel(), context=4000), ask("word " * 300, max_tokens=3))[0]


def test_closing_the_iterator_frees_the_engine(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50]))
    events = made.generate(ask())
    wait_for(events, TextDelta)
    events.close()  # type: ignore[attr-defined]
    assert run(made, ask(max_tokens=1))[1].reason == "length"


def test_a_waiting_request_can_be_cancelled(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50]))
    running = made.generate(ask())
    wait_for(running, TextDelta)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    events = list(made.generate(ask(), cancel))
    assert len(events) == 1
    assert isinstance(events[0], Finished)
    assert events[0].reason == "cancelled"
    running.close()  # type: ignore[attr-defined]


def test_threads_take_turns(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel(), context=128)
    expected = {text: run(made, ask(text, max_tokens=15))[0] for text in ("one", "two", "three")}
    results: dict[str, str] = {}

    def work(text: str) -> None:
        results[text] = run(made, ask(text, max_tokens=15))[0]

    threads = [threading.Thread(target=work, args=(text,)) for text in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected


def test_a_failing_backend_leaves_a_usable_engine(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel()
    made = make(model)
    expected = run(made, ask(max_tokens=10))[0]
    model.fail_at = len(model.calls) + 3
    with pytest.raises(BackendError, match="failed"):
        list(made.generate(ask("other", max_tokens=10)))
    assert run(made, ask(max_tokens=10))[0] == expected


def test_a_closed_engine_says_so(make) -> None:  # type: ignore[no-untyped-def]
    model = ScriptedModel()
    made = make(model)
    made.close()
    made.close()
    assert model.closed
    assert model.sequences[0].closed
    with pytest.raises(TernaryZeroError, match="closed"):
        made.count_tokens(ask())
    with pytest.raises(TernaryZeroError, match="closed"):
        list(made.generate(ask()))


def test_a_model_without_template_says_so_and_stops_at_the_next_turn(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    said = script(tmp_path, " Paris.\nUser: and", end="")
    made = make(ScriptedModel(said), template=None)
    assert any("no chat template" in notice for notice in made.info.notices)
    text, finished, _ = run(made, ask())
    assert text == " Paris."
    assert finished.reason == "stop"


def test_a_template_that_refuses_is_noticed_at_opening(make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50]), template="{{ raise_exception('no talking') }}")
    assert any("no talking" in notice for notice in made.info.notices)
    with pytest.raises(TernaryZeroError, match="no talking"):
        list(made.generate(ask()))
    assert run(made, Request(prompt="Hello", max_tokens=3))[1].reason == "length"


def test_bare_text_is_continued(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    made = make(ScriptedModel([50, 51]))
    _, finished, _ = run(made, Request(prompt="The capital", sampling=GREEDY, max_tokens=3))
    assert finished.usage.prompt_tokens == len(made.prompts.tokenizer.encode("The capital"))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"messages": [], "prompt": None},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": 3}]},
        {"prompt": ""},
        {"prompt": "x", "messages": [{"role": "user", "content": "x"}]},
        {"prompt": "x", "max_tokens": 0},
        {"prompt": "x", "stop": [""]},
        {"prompt": "x", "stop": ["a"] * 17},
    ],
)
def test_malformed_requests(wrong: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Request(**wrong)  # type: ignore[arg-type]
