"""The engine on real (tiny) model folders and real backends, held to a plain loop over the backend."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import tiny_folder
from tzcore.architecture.registry import spec_of
from tzcore.backend.select import select
from tzcore.checkpoint.reader import ModelFolder
from tzcore.engine.generation import Engine
from tzcore.engine.request import Finished, Request, TextDelta
from tzcore.engine.sampler import Sampling
from tzcore.errors import CheckpointError, RequestError
from tzcore.progress import Progress

TALK = [{"role": "user", "content": "What is the capital of France? " * 12}]
GREEDY = Sampling(temperature=0, repetition_penalty=1.0, dry_multiplier=0.0)


@pytest.fixture(scope="module", params=["llama:t2", "qwen3:i8", "gemma2:t2", "phi3_longrope:f16"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    family, encoding = request.param.split(":")
    return tiny_folder(tmp_path_factory.mktemp("model") / "m", family, encoding)


def plain_greedy(path: Path, backend: str, context: int, prompt: list[int], count: int, end: int) -> list[int]:
    """The answer's tokens, each from a forward pass over everything before it."""
    with contextlib.closing(ModelFolder.open(path)) as opened:
        model = select(backend)[0].load(opened, spec_of(opened, context))
        tokens: list[int] = []
        while len(tokens) < count and end not in tokens:
            sequence = model.new_sequence(context)
            logits = model.forward(sequence, np.array(prompt + tokens, np.int32))
            tokens.append(int(logits[0].argmax()))
            sequence.close()
        model.close()
    return tokens


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_same_as_a_plain_loop(folder: Path, backend: str) -> None:
    with_engine = Engine.open(folder, backend, threads=2)
    try:
        assert with_engine.info.backend == backend
        request = Request(messages=TALK, sampling=GREEDY, max_tokens=12)
        prompt = with_engine.prompts.tokens(request)
        expected = plain_greedy(folder, backend, with_engine.context, prompt, 12, end=1)
        text = with_engine.prompts.tokenizer.decode([t for t in expected if t != 1])
        for attempt in range(2):  # the second time the prompt is in the cache
            *events, finished = with_engine.generate(request)
            assert isinstance(finished, Finished)
            assert "".join(e.text for e in events if isinstance(e, TextDelta)) == text
            assert finished.usage.completion_tokens == len(expected)
            assert finished.usage.cached_tokens == (len(prompt) - 1 if attempt else 0)
    finally:
        with_engine.close()


def test_chunks_do_not_change_the_result(folder: Path) -> None:
    """Chunk sizes follow the machine's speed, so the answer must not depend on them."""
    ids = np.random.default_rng(0).integers(0, 500, 150).astype(np.int32)
    with contextlib.closing(ModelFolder.open(folder)) as opened:
        model = select("cpu")[0].load(opened, spec_of(opened), 2)
        results = []
        for size in (150, 64, 16, 7, 1):
            sequence = model.new_sequence(200)
            for start in range(0, ids.size, size):
                logits = model.forward(sequence, ids[start : start + size])
            results.append(logits)
            sequence.close()
        model.close()
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_opening_reports_and_limits(folder: Path) -> None:
    reports: list[Progress] = []
    engine = Engine.open(folder, context=64, report=reports.append)
    try:
        assert engine.context == 64
        assert [r.done for r in reports] == [0, reports[0].total]
        assert {r.phase for r in reports} == {"load"}
        assert engine.info.memory is not None
        assert engine.info.memory.fits
        *_, finished = engine.generate(Request(prompt="The", sampling=GREEDY))
        assert isinstance(finished, Finished)
        assert finished.reason in ("context", "stop")
    finally:
        engine.close()
    with pytest.raises(RequestError, match="impossible"):
        Engine.open(folder, context=0)
    longer = Engine.open(folder, context=10_000)
    try:
        assert longer.context == 10_000
        assert longer.info.notices[0].startswith("The model was made for 512 tokens; beyond that")
    finally:
        longer.close()


def test_keys_and_values_in_fewer_bits(folder: Path) -> None:
    engine = Engine.open(folder, backend="cpu", context=400, kv="4")
    try:
        assert engine.info.kv.name == "k4v4"
        assert engine.info.memory is not None
        assert engine.info.memory.stored == engine.info.kv
        assert engine.info.backend_reason == "asked for by name; keys and values in 4 bits, as asked for"
        *_, finished = engine.generate(Request(prompt="The", sampling=GREEDY, max_tokens=200))
        assert isinstance(finished, Finished)
    finally:
        engine.close()


def test_a_folder_that_is_not_whole(folder: Path, tmp_path: Path) -> None:
    def copy(without: str = "") -> Path:
        target = tmp_path / f"copy-{without}"
        target.mkdir()
        for file in folder.iterdir():
            if file.name != without:
                (target / file.name).write_bytes(file.read_bytes())
        return target

    for name in ("tokenizer.json", "config.json", "model.safetensors.index.json"):
        with pytest.raises(CheckpointError, match=name):
            Engine.open(copy(without=name))
    broken = copy()
    shard = next(broken.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=shard.name):
        Engine.open(broken)
    (broken / "tokenizer.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(CheckpointError):
        Engine.open(broken)
