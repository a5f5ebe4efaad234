from __future__ import annotations

import random
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.tiny_models import tiny_folder
from tests.unit.engine import small_tokenizers
from tests.unit.engine.scripted_model import ScriptedModel, engine
from tzcore.engine.generation import Engine
from tzcore.engine.prompt import SUMMARY, PromptBuilder
from tzcore.engine.request import (
    ContextChanged,
    Event,
    Finished,
    PrefillProgress,
    Request,
    SummaryProgress,
    TextDelta,
)
from tzcore.engine.sampler import Sampling
from tzcore.errors import ContextFullError, RequestError

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=0.0)
CONTEXT = 512
SYSTEM = {"role": "system", "content": "Be brief."}


class SummingModel(ScriptedModel):
    """Says a summary where it is asked for one, and one word otherwise.  Keeps the texts that it answered."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.exact_chunks = False
        with closing(PromptBuilder.open(small_tokenizers.write(folder))) as prompts:
            self.tokenizer = prompts.tokenizer
        self.prompts: list[str] = []
        self._saying: list[int] = []
        self._length = 0

    def row(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        if not self._saying or len(tokens) != self._length + 1:
            text = self.tokenizer.decode(tokens)
            self.prompts.append(text)
            asked = "Sum up our conversation" in text.rpartition("user")[2]
            said = f"Summary number {len(self.summaries)}." if asked else "Yes."
            end = self.tokenizer.token_id("<|im_end|>")
            assert end is not None
            self._saying = [*self.tokenizer.encode(said), end]
        self._length = len(tokens)
        row = np.zeros(self.spec.vocabulary, np.float32)
        row[self._saying.pop(0)] = 10.0
        return row

    @property
    def summaries(self) -> list[str]:
        return [text for text in self.prompts if "Sum up our conversation" in text.rpartition("user")[2]]


class EndlessModel(ScriptedModel):
    """Never says what ends a text."""

    never: list[int]

    def row(self, tokens: list[int]) -> npt.NDArray[np.float32]:
        row = super().row(tokens)
        row[self.never] = -100.0
        return row


@pytest.fixture
def model(tmp_path: Path) -> SummingModel:
    return SummingModel(tmp_path)


@pytest.fixture
def opened(tmp_path: Path, model: SummingModel, engines: list[Engine]) -> Engine:
    engines.append(engine(tmp_path, model, CONTEXT))
    return engines[-1]


def talk(exchanges: int, length: int = 20, system: bool = True) -> list[dict[str, str]]:
    """Exchanges with a word of their own in each message, and a last question."""
    messages = [SYSTEM] if system else []
    for number in range(exchanges):
        messages.append({"role": "user", "content": f"q{number} " + "x" * length})
        messages.append({"role": "assistant", "content": f"a{number} " + "y" * length})
    return [*messages, {"role": "user", "content": "last"}]


def events(engine: Engine, request: Request, cancel: threading.Event | None = None) -> list[Event]:
    return list(engine.generate(request, cancel))


def asked(messages: list[dict[str, str]], overflow: str, **settings: object) -> Request:
    return Request(messages=messages, overflow=overflow, sampling=GREEDY, **settings)  # type: ignore[arg-type]


def changes(happened: list[Event]) -> list[ContextChanged]:
    return [event for event in happened if isinstance(event, ContextChanged)]


def test_what_fits_is_left_alone(opened: Engine) -> None:
    for overflow in ("stop", "slide", "compact"):
        assert not changes(events(opened, asked(talk(2), overflow)))


def test_stop_is_a_clear_error(opened: Engine) -> None:
    with pytest.raises(ContextFullError, match="larger context"):
        events(opened, asked(talk(30), "stop"))


def test_the_oldest_exchanges_are_left_out_and_the_rest_is_whole(opened: Engine, model: SummingModel) -> None:
    messages = talk(30)
    happened = events(opened, asked(messages, "slide", max_tokens=8))
    [changed] = changes(happened)
    assert happened.index(changed) < next(i for i, e in enumerate(happened) if isinstance(e, PrefillProgress))
    assert changed.kind == "slide"
    assert changed.summary is None
    out = changed.messages_left_out
    assert out % 2 == 0
    text = model.prompts[-1]
    for message in messages[1 : 1 + out]:
        assert message["content"] not in text
    for message in [messages[0], *messages[1 + out :]]:
        assert message["content"] in text
    total = opened.count_tokens(Request(messages=messages))
    assert changed.tokens_left_out + changed.tokens_kept == total
    assert changed.tokens_kept <= CONTEXT * 3 // 4
    fewer = opened.count_tokens(Request(messages=[messages[0], *messages[out - 1 :]]))
    assert fewer > CONTEXT * 3 // 4  # as few as possible


def test_the_cut_stays_where_it_is_while_it_suffices(opened: Engine) -> None:
    messages, cuts = talk(30), []
    for number in range(12):
        happened = events(opened, asked(messages, "slide", max_tokens=8))
        cuts.append(changes(happened)[0].messages_left_out)
        messages = [*messages, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": f"n{number}"}]
    assert cuts[0] == cuts[1] == cuts[2]
    assert len(set(cuts)) <= 4
    assert cuts == sorted(cuts)


def test_every_message_left_out_is_accounted_for(tmp_path: Path, model: SummingModel, opened: Engine) -> None:
    draw = random.Random(7)
    for _ in range(40):
        messages = talk(draw.randrange(0, 14), draw.randrange(0, 60), draw.random() < 0.5)
        overflow = draw.choice(["slide", "compact"])
        model.prompts.clear()
        happened = events(opened, asked(messages, overflow, max_tokens=draw.randrange(1, 40)))
        out = sum(changed.messages_left_out for changed in changes(happened))
        system = messages[0]["role"] == "system"
        text = model.prompts[-1] if model.prompts else opened.prompts.tokenizer.decode(opened._held)
        shown = [message["content"] in text for message in messages[system:]]
        assert shown == [False] * out + [True] * (len(shown) - out)
        assert not system or SYSTEM["content"] in text
        assert shown[-1]


def test_a_last_message_that_is_too_long_alone_is_an_error(opened: Engine) -> None:
    messages = [*talk(3)[:-1], {"role": "user", "content": "z" * 2000}]
    for overflow in ("slide", "compact"):
        with pytest.raises(ContextFullError, match="last message alone"):
            events(opened, asked(messages, overflow))


def test_a_long_last_message_leaves_out_all_others_rather_than_fail(opened: Engine, model: SummingModel) -> None:
    tokens = opened.count_tokens(Request(messages=talk(0)))
    messages = [*talk(3)[:-1], {"role": "user", "content": "last" + "z" * (CONTEXT - tokens - 3)}]
    happened = events(opened, asked(messages, "slide"))
    assert changes(happened)[0].messages_left_out == 6


def test_a_summary_stands_for_the_oldest_exchanges(opened: Engine, model: SummingModel) -> None:
    messages = talk(30)
    happened = events(opened, asked(messages, "compact", max_tokens=8))
    [changed] = changes(happened)
    assert changed.kind == "compact"
    assert changed.summary == f"Summary number {len(model.summaries)}."
    assert any(isinstance(event, SummaryProgress) and event.written for event in happened)
    assert not any(isinstance(event, TextDelta) for event in happened[: happened.index(changed)])
    text = model.prompts[-1]
    assert f"{SYSTEM['content']}\n\n{SUMMARY}\n{changed.summary}" in text
    out = changed.messages_left_out
    assert all(message["content"] not in text for message in messages[1 : 1 + out])
    assert all(message["content"] in text for message in messages[1 + out :])
    # What was left out was read by the summary, each message by one of its parts.
    for message in messages[1 : 1 + out]:
        assert any(message["content"] in summary for summary in model.summaries)


def test_the_next_turns_use_the_same_summary(opened: Engine, model: SummingModel) -> None:
    messages = talk(14)
    first = changes(events(opened, asked(messages, "compact", max_tokens=8)))[0]
    written = len(model.summaries)
    for _ in range(3):
        messages = [*messages, {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "go on"}]
        [again] = changes(events(opened, asked(messages, "compact", max_tokens=8)))
        assert (again.messages_left_out, again.summary) == (first.messages_left_out, first.summary)
    assert len(model.summaries) == written
    for _ in range(16):
        messages = [*messages, {"role": "assistant", "content": "Yes." * 6}, {"role": "user", "content": "go on"}]
    [later] = changes(events(opened, asked(messages, "compact", max_tokens=8)))
    assert later.messages_left_out > first.messages_left_out
    assert first.summary in model.summaries[-1] or "Summary number" in model.summaries[-1]  # it grew from the old one
    assert "q0 " not in model.summaries[-1]


def test_a_forgotten_conversation_is_summed_up_anew(opened: Engine, model: SummingModel) -> None:
    messages = talk(14)
    events(opened, asked(messages, "compact", max_tokens=8))
    written = len(model.summaries)
    opened.forget(messages, "another summary")
    other = [{"role": "user", "content": "Something else"}, *messages[1:]]
    opened.forget(other)
    events(opened, asked(messages, "compact", max_tokens=8))
    opened.forget(messages)
    events(opened, asked(messages, "compact", max_tokens=8))
    assert len(model.summaries) == 2 * written


def test_a_summary_of_the_client_is_read_and_taken_up(opened: Engine, model: SummingModel) -> None:
    events(opened, asked(talk(1), "compact", summary="They spoke of Rome.", max_tokens=8))
    assert f"{SUMMARY}\nThey spoke of Rome." in model.prompts[-1]
    [changed] = changes(events(opened, asked(talk(30), "compact", summary="They spoke of Rome.", max_tokens=8)))
    assert "They spoke of Rome." in model.summaries[0]
    assert "They spoke of Rome." not in model.prompts[-1]
    assert changed.summary in model.prompts[-1]


def test_a_summary_can_be_stopped(opened: Engine, model: SummingModel) -> None:
    cancel = threading.Event()
    happened: list[Event] = []
    for event in opened.generate(asked(talk(30), "compact"), cancel):
        happened.append(event)
        if isinstance(event, SummaryProgress):
            cancel.set()
    assert isinstance(happened[-1], Finished)
    assert happened[-1].reason == "cancelled"
    assert not changes(happened)
    assert not any(isinstance(event, TextDelta) for event in happened)
    assert changes(events(opened, asked(talk(30), "compact", max_tokens=4)))  # and nothing of it is left


def test_a_template_without_a_system_message_gets_the_summary_in_the_first_one(
    tmp_path: Path, model: SummingModel, engines: list[Engine]
) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    )
    folder = tmp_path / "other"
    folder.mkdir()
    made = engine(folder, model, CONTEXT, template=template)
    engines.append(made)
    [changed] = changes(events(made, asked(talk(30, system=False), "compact", max_tokens=8)))
    assert f"user\n{SUMMARY}\n{changed.summary}\n\nq" in model.prompts[-1]


def test_an_answer_goes_on_when_the_context_is_full(tmp_path: Path, engines: list[Engine]) -> None:
    for exact in (True, False):
        model = EndlessModel()
        model.exact_chunks = exact
        made = engine(tmp_path, model, 256)
        engines.append(made)
        model.never = sorted(made._ends)
        messages = [{"role": "system", "content": "S" * 30}, {"role": "user", "content": "Tell me."}]
        happened = events(made, asked(messages, "slide", max_tokens=600))
        finished = happened[-1]
        assert isinstance(finished, Finished)
        assert finished.reason == "length"
        assert finished.usage.completion_tokens == 600
        slides = changes(happened)
        assert len(slides) >= 2
        prompt = made.prompts.tokens(Request(messages=messages))
        for slide in slides:
            assert (slide.kind, slide.messages_left_out) == ("slide", 0)
            assert slide.tokens_left_out + slide.tokens_kept == 257
            assert slide.tokens_kept == 64 + 128
            at = happened.index(slide)
            assert isinstance(happened[at + 1], PrefillProgress)
        first = min(64, len(prompt))
        assert made._held[:first] == prompt[:first]


def test_sliding_in_an_answer_loses_and_doubles_nothing(tmp_path: Path, engines: list[Engine]) -> None:
    text = "".join(f"{number} señor 東京 " for number in range(60))
    folder = small_tokenizers.write(tmp_path)
    with closing(PromptBuilder.open(folder)) as prompts:
        said, end = prompts.tokenizer.encode(text), prompts.tokenizer.token_id("<|im_end|>")
    assert end is not None
    assert len(said) > 400
    made = engine(tmp_path, ScriptedModel([*said, end]), 256)
    engines.append(made)
    happened = events(made, asked([{"role": "user", "content": "Count."}], "slide"))
    assert changes(happened)
    assert "".join(event.text for event in happened if isinstance(event, TextDelta)) == text
    assert isinstance(happened[-1], Finished)
    assert happened[-1].reason == "stop"


def test_reading_again_after_a_slide_can_be_stopped(tmp_path: Path, engines: list[Engine]) -> None:
    made = engine(tmp_path, ScriptedModel([100]), 256)
    engines.append(made)
    cancel = threading.Event()
    happened: list[Event] = []
    for event in made.generate(asked([{"role": "user", "content": "Go."}], "slide", max_tokens=900), cancel):
        happened.append(event)
        if isinstance(event, ContextChanged):
            cancel.set()
    assert isinstance(happened[-1], Finished)
    assert happened[-1].reason == "cancelled"


def test_only_stop_ends_an_answer_that_fills_the_context(tmp_path: Path, engines: list[Engine]) -> None:
    made = engine(tmp_path, ScriptedModel([100]), 256)
    engines.append(made)
    for overflow in ("stop", "slide", "compact"):
        happened = events(made, asked([{"role": "user", "content": "Go."}], overflow, max_tokens=300))
        assert isinstance(happened[-1], Finished)
        assert happened[-1].reason == ("context" if overflow == "stop" else "length")
        assert bool(changes(happened)) == (overflow != "stop")
        assert {change.kind for change in changes(happened)} <= {"slide"}


def test_bare_text_slides_by_quarters_after_its_first_tokens(tmp_path: Path, engines: list[Engine]) -> None:
    model = ScriptedModel()
    made = engine(tmp_path, model, 256)
    engines.append(made)
    draw = np.random.default_rng(1)
    text = [int(token) for token in draw.integers(0, 256, 900)]
    lefts = []
    for length in (200, 241, 257, 300, 320, 321, 900):
        happened = events(made, Request(prompt=text[:length], overflow="slide", max_tokens=16, sampling=GREEDY))
        for changed in changes(happened)[:1]:
            assert changed.tokens_left_out + changed.tokens_kept == length
            assert changed.tokens_kept <= 192
            lefts.append(changed.tokens_left_out)
            kept = text[:64] + text[64 + changed.tokens_left_out : length]
            assert made._held[: len(kept)] == kept
    assert lefts == [64, 128, 128, 128, 192, 768]


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(RequestError, match="compacted"):
        Request(prompt="x", overflow="compact")
    with pytest.raises(RequestError, match="one of"):
        Request(prompt="x", overflow="drop")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="belongs to a conversation"):
        Request(prompt="x", summary="y")


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_real_model_goes_on_as_if_it_had_been_given_what_stays(tmp_path: Path, family: str) -> None:
    folder = tiny_folder(tmp_path / family, family, "t2")
    with closing(Engine.open(folder, "cpu", context=256, threads=1)) as made:
        text = [int(token) for token in np.random.default_rng(3).integers(5, 90, 200)]
        request = Request(prompt=text, overflow="slide", max_tokens=90, sampling=GREEDY)
        written: list[Event] = []
        held: list[int] = []
        for event in made.generate(request):
            if isinstance(event, ContextChanged):
                kept, again = made._overflow.window(request, [*made._held, 0])
                assert again == event
                held = kept[:-1]
            written.append(event)
        assert held, "the model ended its text before the context was full"
        [changed] = changes(written)
        assert changed.tokens_kept == 64 + 128
        after = [event.text for event in written[written.index(changed) :] if isinstance(event, TextDelta)]
        whole = list(made._held[: changed.tokens_kept])
        assert whole[:-1] == held
    with closing(Engine.open(folder, "cpu", context=256, threads=1)) as fresh:
        request = Request(prompt=whole, max_tokens=40, sampling=GREEDY)
        rest = [event.text for event in fresh.generate(request) if isinstance(event, TextDelta)]
    expected, shown = "".join(rest), "".join(after)
    length = min(len(expected), len(shown))
    assert length > 20
    assert shown[:length] == expected[:length]
