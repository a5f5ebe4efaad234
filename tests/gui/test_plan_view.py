"""The plan in the window: its sums, its words, and its sliders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from app.application import Services
from app.library import plan_words
from app.library.plan import Plan
from app.theme import Theme
from app.views.library.plan_view import PlanView
from tests.gui.planned import planned
from tests.gui.window_services import ScriptedLibrary

T2 = 4
"""The position of two trit planes among the choices."""


@pytest.fixture
def models() -> tuple[str, ...]:
    return ()


@pytest.fixture
def view(qtbot: QtBot, theme: Theme, services: Services) -> PlanView:
    view = PlanView(theme, services)
    qtbot.addWidget(view)
    view.resize(800, 700)
    view.show()
    return view


def scripted(services: Services) -> ScriptedLibrary:
    assert isinstance(services.library, ScriptedLibrary)
    return services.library


def test_sums_are_those_of_the_engine() -> None:
    from tzcore.cli.plan import shape_of
    from tzcore.engine.plan import plan
    from tzcore.hardware import Memory
    from tzcore.hub import catalogue

    made = Plan.read(planned(), True)
    option = made.options[T2]
    assert option.key == "t2"
    outcome = made.outcome(T2, made.usual_context())
    listed = catalogue.find("starter")
    assert listed is not None
    spec = shape_of(listed.config or {})
    assert spec is not None
    assert option.weights is not None
    own = plan(option.weights, spec, 8192, Memory(16 << 30, 10 << 30))
    assert outcome.need == own.total
    assert outcome.fits
    assert outcome.precision == "f16"
    assert outcome.longest == 8192


def test_a_smaller_choice_is_smaller_faster_and_worse() -> None:
    made = Plan.read(planned(), True)
    folders = [option.folder or 0 for option in made.options]
    assert folders == sorted(folders)
    outcomes = [made.outcome(number, 0) for number in range(len(made.options))]
    speeds = [outcome.tokens_per_second or 0 for outcome in outcomes]
    assert speeds == sorted(speeds, reverse=True)
    losses = [option.quality.kl for option in made.options if option.quality]
    assert losses == sorted(losses, reverse=True)
    deep = made.outcome(T2, len(made.contexts) - 1).tokens_per_second
    assert deep is not None
    assert deep < speeds[T2]


def test_memory_that_is_short_takes_fewer_bits_for_the_context_then_says_so() -> None:
    tight = Plan.read(planned(memory_available=(800 << 20) + 300_000_000), True)
    outcome = tight.outcome(T2, tight.usual_context())
    assert outcome.precision in ("k8v8", "k6v5", "k4v4")
    assert outcome.fits
    full = Plan.read(planned(memory_available=(800 << 20) + 100_000_000), True)
    outcome = full.outcome(T2, full.usual_context())
    assert not outcome.fits
    assert "fits when other programs are closed" in plan_words.verdict(full, outcome, 0)
    freed = full.outcome(T2, full.usual_context(), 1 << 30)
    assert freed.fits
    assert "when the models loaded now are unloaded (1.1 GB)" in plan_words.verdict(full, freed, 1 << 30)


def test_sentences() -> None:
    made = Plan.read(planned(), True)
    option = made.options[T2]
    assert plan_words.option_name(option) == "Balanced (t2)"
    assert plan_words.option_name(made.options[2]) == "Mixed formats, 2.4 bits a weight"
    assert plan_words.to_fetch(made) == ("200 MB", "69 MB are here already")
    assert plan_words.conversion(made, option) == ("About 5 min", "by a probe of the CPU just now")
    assert plan_words.speed(made, made.outcome(T2, 0))[1] == "estimated, with 3 answers measured here"
    words = plan_words.quality_sentence(option)
    assert "between" in words
    assert "nats a token" in words
    measured = replace(option, quality=replace(option.quality, measured=True))  # type: ignore[type-var]
    assert plan_words.quality_sentence(measured).endswith("Measured divergence: 0.21 nats a token.")
    own = replace(option, native=True, quality=None)
    assert plan_words.quality_title(own) == "The model's own quality"


def test_the_table_shows_at_once_and_is_completed(services: Services, view: PlanView) -> None:
    view.show_source("org/model")
    (question,) = scripted(services).plans
    assert question.source == "org/model"
    assert view.note.text() == "Reading what the model is…"
    question.partial.emit({"event": "note", "message": "irrelevant"})
    question.partial.emit(planned(final=False))
    assert view.quality.isVisible()
    assert view.option is not None
    assert view.option.key == "t2"
    assert view.facts["speed"].value.text() == "…"
    view.quality.setValue(0)
    question.done.emit(planned())
    assert view.option.key == "t1"  # what was chosen meanwhile stays
    assert "tokens/s" in view.facts["speed"].value.text()
    assert not view.note.isVisible()


def test_sliders_move_everything_by_keyboard(qtbot: QtBot, services: Services, view: PlanView) -> None:
    view.show_source("org/model")
    scripted(services).plans[0].done.emit(planned())
    view.quality.setFocus()
    before = view.facts["disk"].value.text(), view.memory.sentence, view.quality_title.text()
    qtbot.keyClick(view.quality, Qt.Key.Key_Home)
    assert view.option is not None
    assert view.option.key == "t1"
    assert (view.facts["disk"].value.text(), view.memory.sentence, view.quality_title.text()) != before
    assert view.quality_title.text() == "Far from the original"
    assert "Far from the original" in view.quality.accessibleDescription()
    qtbot.keyClick(view.context, Qt.Key.Key_Home)
    assert view.context_value.text() == "1\u202f024 tokens"
    assert "Context 24 MB" in view.memory.sentence
    assert len(scripted(services).plans) == 1  # nobody was asked again


def test_get_it_starts_exactly_that_choice(qtbot: QtBot, services: Services, view: PlanView) -> None:
    view.show_source("org/model")
    scripted(services).plans[0].done.emit(planned())
    wanted: list[tuple[str, str, dict[str, object]]] = []
    view.get_wanted.connect(lambda *order: wanted.append(order))
    view.get.click()
    view.quality.setValue(2)
    view.discard.setChecked(True)
    assert "fetched 4 times" in view.discard_note.text()
    view.get.click()
    assert wanted == [
        ("org/model", "t2", {}),
        ("org/model", "", {"bits": 2.4, "discard_source": True}),
    ]


def test_another_folder(services: Services, view: PlanView, tmp_path: Path) -> None:
    scripted(services).roots = [tmp_path / "a", tmp_path / "b"]
    view.show_source("org/model")
    scripted(services).plans[0].done.emit(planned())
    assert view.folder.isVisible()
    wanted: list[dict[str, object]] = []
    view.get_wanted.connect(lambda source, encoding, options: wanted.append(options))
    view.folder.setCurrentIndex(1)
    view.get.click()
    assert wanted == [{"out": f"{tmp_path / 'b'}/org--model--t2"}]


def test_a_failure_says_why_and_can_be_tried_again(services: Services, view: PlanView) -> None:
    view.show_source("org/model")
    scripted(services).plans[0].failed.emit("cannot reach the hub; check the network connection")
    assert view.note.text() == "Cannot reach the hub; check the network connection."
    assert not view.quality.isVisible()
    view.again.click()
    assert len(scripted(services).plans) == 2
    scripted(services).plans[1].done.emit({"options": [{"key": 1}]})
    assert "cannot be read" in view.note.text()


def test_what_is_not_known_is_not_invented(services: Services, view: PlanView) -> None:
    raw = planned()
    for row in raw["options"]:
        row.update(dict.fromkeys(("weights_bytes", "folder_bytes", "peak_disk_bytes", "conversion_seconds",
                                  "token_seconds", "first_token_seconds", "quality"), None))
    raw |= {"context_points": [], "download_bytes": None, "source_bytes": None}
    view.show_source("org/model")
    scripted(services).plans[0].done.emit(raw)
    assert {fact.value.text() for fact in view.facts.values()} == {"Not known"}
    assert view.quality_title.text() == "Quality not known"
    assert not view.context.isVisible()


def test_leaving_stops_the_question(services: Services, view: PlanView) -> None:
    view.show_source("org/model")
    view.stop()
    assert scripted(services).plans[0].cancelled


def test_a_graphics_card_and_who_holds_it(services: Services, view: PlanView) -> None:
    raw = planned(card={"name": "RTX 4090", "budget_bytes": 20 * 10**9, "programs": [
        {"name": "game", "bytes": 3 * 10**9}, {"name": "desktop", "bytes": None},
    ]})  # fmt: skip
    for row in raw["options"]:
        row["card"] = {
            "name": "RTX 4090", "budget_bytes": 20 * 10**9, "total_bytes": 4 * 10**9, "reserve_bytes": 10**9,
            "context": 8192, "longest_context": 8192, "fits": row["key"] != "f16",
        }  # fmt: skip
    view.show_source("org/model")
    scripted(services).plans[0].done.emit(raw)
    assert view.on_card.text() == (
        "It fits on RTX 4090: with 8\u202f192 tokens of context it takes 5.0 GB of 20.0 GB, and up to 8\u202f192 "
        "tokens fit. Other programs hold there: game 3.0 GB."
    )
    assert "a card is faster" in view.facts["speed"].note.text()
    view.quality.setValue(view.quality.maximum())
    assert "does not fit on RTX 4090" in view.on_card.text()
