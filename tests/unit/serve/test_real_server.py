"""``tz serve`` itself, on a real (tiny) installed model, with the official client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from openai import OpenAI

from tests.tiny_models import tiny_folder
from tzcore import paths

TOKEN = "a-token-for-tests"
TALK: Any = [{"role": "user", "content": "What is the capital of France? " * 8}]


class Served:
    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.pid = process.pid
        self.url = url
        self.openai = OpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0, timeout=30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ_HOME", str(tmp_path_factory.mktemp("home")))
        for family, encoding in (("llama", "t2"), ("qwen3", "i8")):
            folder = tiny_folder(paths.models() / f"{family}--{encoding}", family, encoding)
            receipt = {"id": f"tiny/{family}:{encoding}", "source": {"id": f"tiny/{family}"}, "encoding": encoding}
            (folder / "receipt.json").write_text(json.dumps(receipt))
        command = [sys.executable, "-m", "tzcore.cli", "serve", "tiny/llama:t2", "--port", "0", "--token", TOKEN]
        with subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                events = (json.loads(line) for line in process.stdout)
                event = next(e for e in events if e["event"] in ("ready", "error"))
                made = Served(process, event["url"])
                yield made
                made.openai.close()
            finally:
                process.terminate()
                assert process.wait(15) == 0


def ask(served: Served, **more: Any) -> Any:
    settings = {"model": "tiny/llama:t2", "messages": TALK, "temperature": 0, "max_tokens": 20, **more}
    return served.openai.chat.completions.create(**settings)


def test_an_answer_streamed_is_the_answer(served: Served) -> None:
    whole = ask(served)
    chunks = list(ask(served, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks)
    assert text == whole.choices[0].message.content
    assert text
    assert whole.usage.completion_tokens > 1
    assert whole.model_extra["timings"]["prompt_per_second"] > 0


def test_usage_counts_guessed_tokens(served: Served) -> None:
    details = ask(served).usage.completion_tokens_details
    assert details.accepted_prediction_tokens >= 0
    assert details.rejected_prediction_tokens >= 0


def test_a_seed_repeats(served: Served) -> None:
    first, again, other = (ask(served, temperature=1.0, seed=seed).choices[0].message.content for seed in (1, 1, 2))
    assert first == again != other


def test_another_model_on_demand_and_both_at_once(served: Served) -> None:
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda m: ask(served, model=m, stream=False), ["tiny/qwen3:i8", "tiny/llama"]))
    assert [a.model for a in answers] == ["tiny/qwen3:i8", "tiny/llama:t2"]
    assert all(a.usage.completion_tokens for a in answers)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    models = httpx.get(f"{served.url}/health", headers=headers).json()["models"]
    assert {m["id"]: m["backend"] for m in models} == {"tiny/llama:t2": "cpu", "tiny/qwen3:i8": "cpu"}


def test_two_streams_on_one_model(served: Served) -> None:
    expected = ask(served).choices[0].message.content

    def stream(_: int) -> str:
        return "".join(c.choices[0].delta.content or "" for c in ask(served, stream=True))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(stream, range(2))) == [expected] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the map of the process's libraries")
def test_the_server_has_no_torch_in_it(served: Served) -> None:
    ask(served)
    libraries = {Path(m.path).name for m in psutil.Process(served.pid).memory_maps()}
    assert not [name for name in libraries if "torch" in name or "Qt6" in name]
    assert [name for name in libraries if "_native" in name]  # the real backend
