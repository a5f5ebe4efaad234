"""``tz eval --tasks`` with lm-evaluation-harness itself, on questions of our own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tiny_models import TEXT
from tzcore.architecture.registry import spec_of
from tzcore.backend.reference import ReferenceBackend
from tzcore.checkpoint.reader import ModelFolder
from tzcore.cli import tasks
from tzcore.cli.main import main
from tzcore.engine.tokenizer import Tokenizer

needs_harness = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-evaluation-harness is not installed (the extra evaluation)"
)

QUESTIONS = [
    {"question": "The capital of France is", "choices": ["Paris", "Rome", "the weather"], "answer": 0},
    {"question": "Two and two are", "choices": ["five", "four"], "answer": 1},
    {"question": "A river begins where", "choices": ["the sea is", "rain meets high ground", "it ends"], "answer": 1},
    {"question": "Three is less than", "choices": ["two", "nine"], "answer": 1},
]
TASKS = {
    "tiny_choice": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}]
""",
    "tiny_answer": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{choices[answer]}}"
generation_kwargs: {until: ["."], max_gen_toks: 8}
metric_list: [{metric: exact_match}]
""",
}


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    """A folder of tasks for the harness."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    data = folder / "questions.jsonl"
    data.write_text("\n".join(map(json.dumps, QUESTIONS)), encoding="utf-8")
    for name, rest in TASKS.items():
        where = f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: '{data.as_posix()}'}}}}\ntest_split: test\n"
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{where}{rest}", encoding="utf-8")
    return folder


def log_likelihood(folder: Path, context: list[int], continuation: list[int]) -> tuple[float, bool]:
    """By the definition, from one pass over all tokens."""
    opened = ModelFolder.open(folder)
    model = ReferenceBackend().load(opened, spec_of(opened))
    tokens = np.array((context + continuation)[:-1], np.int32)
    rows = model.forward(model.new_sequence(512), tokens, "all").astype(np.float64)[len(context) - 1 :]
    rows -= np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True)) + rows.max(1, keepdims=True)
    at = np.arange(len(continuation))
    return float(rows[at, continuation].sum()), bool((rows.argmax(1) == continuation).all())


def tz_eval(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """``tz eval`` without network; the harness's libraries take their time to load."""
    command = [sys.executable, "-m", "tzcore.cli", "eval", *map(str, words)]
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    env = {**os.environ, **offline}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=500, env=env, check=False)


def requests(*arguments: tuple[object, ...]) -> list[SimpleNamespace]:
    return [SimpleNamespace(args=found) for found in arguments]


@needs_harness
def test_likelihoods_are_those_of_the_definition_in_any_order(tiny_model: Path, home: Path) -> None:
    from tzcore.cli.harness_model import HarnessModel

    pairs = [
        ("The capital of France is", " Paris"), ("A river", " begins where rain meets"), ("", "The weather was"),
        ("The capital of France is", " the weather"), ("The capital", " of"),
    ]  # fmt: skip
    seen = []
    model = HarnessModel(tiny_model, "reference", 1, lambda: seen.append(1))
    try:
        found = model.loglikelihood(requests(*pairs), disable_tqdm=True)
        (whole,) = model.loglikelihood_rolling(requests((TEXT[:300],)))
    finally:
        model.close()
    assert len(seen) == len(pairs) + 1
    tokenizer = Tokenizer.open(tiny_model)
    for (context, continuation), got in zip(pairs, found, strict=True):
        before = tokenizer.encode(context) if context else [tokenizer.bos_id]
        after = tokenizer.encode(context + continuation)[len(before) if context else 0 :]
        expected, greedy = log_likelihood(tiny_model, before, after)
        assert got[0] == pytest.approx(expected, rel=1e-4)
        assert got[1] == greedy
    expected, _ = log_likelihood(tiny_model, [tokenizer.bos_id], tokenizer.encode(TEXT[:300]))
    assert whole == pytest.approx(expected, rel=1e-4)


@needs_harness
def test_a_context_too_long_is_cut_at_its_beginning(tiny_model: Path, home: Path) -> None:
    from tzcore.cli.harness_model import HarnessModel

    model = HarnessModel(tiny_model, "reference", 1, lambda: None)
    try:
        ids = Tokenizer.open(tiny_model).encode(TEXT * 3)[: model.max_length + 40]
        ((got, _),) = model._loglikelihood_tokens([(None, ids[:-3], ids[-3:])])
        expected, _ = log_likelihood(tiny_model, ids[-model.max_length - 1 : -3], ids[-3:])
        answer, *_ = model.generate_until(requests((TEXT * 3, {"until": ["\n"], "max_gen_toks": 4})))
    finally:
        model.close()
    assert got == pytest.approx(expected, rel=1e-4)
    assert "\n" not in answer


@needs_harness
@pytest.mark.timeout(600)
def test_tasks_of_ones_own_from_files(tiny_model: Path, questions: Path, home: Path) -> None:
    done = tz_eval(
        tiny_model, "--tasks", "tiny_choice,tiny_answer", "--task-folder", questions, "--limit", "3", "--json",
        "--threads", "1", "--backend", "reference",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"progress", "done"} == {event["event"] for event in events}
    (model,) = events[-1]["models"]
    tokenizer = Tokenizer.open(tiny_model)
    right = 0
    for question in QUESTIONS[:3]:
        before = tokenizer.encode(question["question"])
        scores = [
            log_likelihood(tiny_model, before, tokenizer.encode(f"{question['question']} {choice}")[len(before) :])[0]
            for choice in question["choices"]
        ]
        right += int(np.argmax(scores) == question["answer"])
    assert model["tasks"]["tiny_choice"]["acc"] == pytest.approx(right / 3)
    assert 0 <= model["tasks"]["tiny_answer"]["exact_match"] <= 1


@needs_harness
@pytest.mark.timeout(600)
def test_questions_that_cannot_be_downloaded_are_said_so(tiny_model: Path, home: Path) -> None:
    done = tz_eval(tiny_model, "--tasks", "arc_easy", "--limit", "1")
    assert done.returncode == 1
    assert "cannot be downloaded" in done.stderr.splitlines()[-1]
    assert "--task-folder" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@needs_harness
@pytest.mark.timeout(600)
def test_an_unknown_task_is_named(tiny_model: Path, home: Path) -> None:
    done = tz_eval(tiny_model, "--tasks", "no_such_task", "--limit", "1")
    assert done.returncode == 1
    assert "no_such_task" in done.stderr.splitlines()[-1]


def test_without_the_harness_the_message_says_what_to_install(
    tiny_model: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.importlib.util, "find_spec", lambda name: None)
    assert main(["eval", str(tiny_model), "--tasks", "arc_easy"]) == 1
    assert "ternary-zero[evaluation]" in capsys.readouterr().err


def test_a_table_shows_measures_with_their_errors() -> None:
    measures = {"acc": 0.5, "acc_stderr": 0.1, "sample_len": 4, "exact_match": 1.0}
    shown = tasks.table([{"model": "a:t2", "tasks": {"arc_easy": measures}}])
    assert shown.split() == ["a:t2", "arc_easy", "acc", "0.5000", "±", "0.1000,", "exact_match", "1.0000"]
