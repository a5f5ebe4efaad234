"""``tz train``: a converted model is healed, stopped, gone on with, and what cannot be is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import TEXT, tiny_folder, tiny_model, write_small_files
from tests.unit.cli.conftest import Tz
from tzcore.cli.train import gap_closed
from tzcore.hub import sources
from tzcore.hub.reference import parse

SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2}
SMALL |= {"num_key_value_heads": 1}
QUICK = ("--steps", "4", "--tokens", "128", "--window", "32", "--rate", "0.05", "--eval-every", "2",
         "--save-every", "1", "--device", "cpu")  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the original's, as from the hub."""
    folder = tmp_path_factory.mktemp("original") / "tiny"
    tiny_model("llama", **SMALL).save_pretrained(folder)
    write_small_files(folder)
    return folder


@pytest.fixture
def installed(original: Path, home: Path) -> Path:
    """It, ternarised and installed as ``tiny:t1``."""
    source = sources.open_source(parse(str(original)))
    folder = tiny_folder(home / "models" / "tiny--t1", "llama", format="t1", head_format="i8", source=source)
    receipt = json.loads((folder / "receipt.json").read_text())
    (folder / "receipt.json").write_text(json.dumps({**receipt, "id": "tiny:t1"}))
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "book.txt"
    path.write_text(TEXT * 3, encoding="utf-8")
    return path


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_model_is_healed_and_runs(installed: Path, home: Path, text: Path, tz: Tz) -> None:
    done = tz("train", "tiny:t1", "--text", text, *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    told = events(done.stdout)
    result = told[-1]
    assert (result["event"], result["id"]) == ("done", "tiny:t1-healed")
    assert Path(result["path"]) == home / "models" / "tiny--t1-healed"
    assert {e["phase"] for e in told if e["event"] == "progress"} == {"targets", "train", "evaluate"}
    training = result["training"]
    assert training["after"]["kl"] < training["before"]["kl"]
    assert (training["base"], training["step"], training["settings"]["top_k"]) == ("tiny:t1", 4, 64)
    assert result["gap_closed"] == gap_closed(training)
    lines = events(Path(result["curve"]).read_text())
    assert [line["step"] for line in lines if "kl" in line] == [0, 2, 4]
    assert list((home / "training").glob("*/*")) == []
    assert json.loads((installed / "receipt.json").read_text())["id"] == "tiny:t1"
    answer = json.loads(tz("run", "tiny:t1-healed", "A river", "--max-tokens", "3", "--json").stdout.splitlines()[-1])
    assert answer["completion_tokens"] == 3
    again = tz("train", "tiny:t1", "--text", text, *QUICK)
    assert again.returncode == 0, again.stderr
    assert "is there already, trained in the same way" in again.stderr
    assert "tiny:t1-healed is ready" in again.stdout
    assert "perplexity" in again.stdout
    other = tz("train", "tiny:t1", "--text", text, *QUICK, "--window", "16")
    assert other.returncode == 1
    assert "exists already, made otherwise: remove it first (tz rm), or choose another --name" in other.stderr


def test_the_engine_measures_what_training_says(installed: Path, text: Path, tmp_path: Path, tz: Tz) -> None:
    """Perplexity and divergence after training are those of the folder, as ``tz eval`` finds them."""
    held = tmp_path / "held.txt"
    held.write_text(TEXT[:1500], encoding="utf-8")
    words = ("--text", text, "--eval-text", held, "--top-k", "500", *QUICK)
    training = events(tz("train", "tiny:t1", *words, "--json").stdout)[-1]["training"]
    done = tz("eval", "tiny:t1-healed", "--text", held, "--window", "32", "--device", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = events(done.stdout)[-1]["models"]
    # tz eval reads the short last window as well.
    assert np.log(training["after"]["perplexity"]) == pytest.approx(np.log(found["perplexity"]), abs=0.1)
    assert training["after"]["kl"] == pytest.approx(found["kl_mean"], rel=0.2)
    assert np.log(training["after"]["original_perplexity"]) == pytest.approx(
        np.log(found["original_perplexity"] if "original_perplexity" in found else found["original"]["perplexity"]),
        abs=0.1,
    )


@pytest.mark.parametrize("mode", ["scales", "lora"])
def test_other_modes_and_the_whole_vocabulary(installed: Path, text: Path, mode: str, tmp_path: Path, tz: Tz) -> None:
    out = tmp_path / "out"
    done = tz("train", "tiny:t1", "--text", text, *QUICK, "--mode", mode, "--top-k", "0", "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    training = events(done.stdout)[-1]["training"]
    assert training["after"]["kl"] < training["before"]["kl"]
    assert (out / "training.jsonl").exists()


def child(*words: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tzcore.cli", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ.copy(),
    )  # fmt: skip


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event.get("phase") == "train" and int(event["detail"].split()[1]) >= step:  # not every step is told
            return
    raise AssertionError(process.communicate()[1])


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, getattr(signal, "SIGKILL", signal.SIGTERM)])
def test_stopped_it_goes_on(installed: Path, text: Path, home: Path, number: signal.Signals, tz: Tz) -> None:
    """Asked to stop it saves the last whole step and exits with 130; killed it goes on from what it saved last."""
    words = ("train", "tiny:t1", "--text", text, *QUICK, "--steps", "60", "--save-every", "7", "--json")
    process = child(*words)
    wait_for_step(process, 10)
    process.send_signal(number)
    out, said = process.communicate(timeout=60)
    (working,) = (p for p in (home / "training").iterdir() if p.is_dir())
    saved = sorted(int(p.stem[5:]) for p in working.glob("step-*.safetensors"))
    if number == signal.SIGKILL:
        assert process.returncode == -9
    else:
        assert process.returncode == 130, said
        assert "interrupted; what is finished is kept" in said
        assert events(out)[-1]["event"] == "error"
        assert saved[-1] >= 9
    assert not (home / "models" / "tiny--t1-healed").exists()
    done = tz(*words)
    assert done.returncode == 0, done.stderr
    notes = [e["message"] for e in events(done.stdout) if e["event"] == "note"]
    assert f"going on after step {saved[-1]}" in notes
    steps = [line["step"] for line in events(Path(events(done.stdout)[-1]["curve"]).read_text()) if "loss" in line]
    assert steps == list(range(1, 61))


def test_beside_another_run_and_after_it(installed: Path, text: Path, tz: Tz) -> None:
    """Two runs of one result do not meet; what another began is gone on with as it was begun, or begun anew."""
    words = ("train", "tiny:t1", "--text", text, *QUICK)
    process = child(*words, "--steps", "5000", "--json")
    try:
        wait_for_step(process, 2)
        second = tz(*words, "--fresh")
        assert second.returncode == 1
        assert "another process trains in" in second.stderr
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    other = tz(*words, "--mode", "scales")
    assert other.returncode == 1
    assert "was begun otherwise (settings): go on as it was begun, or begin anew" in other.stderr
    fresh = tz(*words, "--mode", "scales", "--fresh")
    assert fresh.returncode == 0, fresh.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nobody",), 1, "no installed model is called 'nobody': tz list names them"),
        (("tiny:t1", "--text", "none.txt"), 1, "cannot read none.txt: there is no such file"),
        (("tiny:t1", "--steps", "0"), 1, "steps must be 1 or more"),
        (("tiny:t1", "--rate", "-1"), 1, "the rate must be a positive number"),
        (("tiny:t1", "--steps", "3", "--minutes", "3"), 2, "not allowed with"),
        (("tiny:t1", "--mode", "all"), 2, "invalid choice: 'all'"),
        (("tiny:t1", "--device", "tpu"), 1, "unknown device 'tpu'"),
        (("tiny:t1", "--out", "x", "--name", "y"), 1, "--out goes without --name"),
        (("tiny:t1", "--top-k", "501", "--device", "cpu", "--window", "32"), 1, "the vocabulary has 500 tokens"),
        ((), 2, "the following arguments are required: MODEL"),
    ],
)
def test_what_cannot_be(installed: Path, words: tuple[str, ...], code: int, said: str, tz: Tz) -> None:
    done = tz("train", *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_original_that_is_not_the_one(installed: Path, text: Path, tmp_path: Path, tz: Tz) -> None:
    tiny_model("llama", **{**SMALL, "intermediate_size": 64}).save_pretrained(tmp_path / "other")
    write_small_files(tmp_path / "other")
    done = tz("train", "tiny:t1", "--original", tmp_path / "other", "--text", text, *QUICK)
    assert done.returncode == 1
    assert "this is not the original of" in done.stderr
    assert "mlp." in done.stderr


def test_a_rate_that_is_too_high_stops_with_advice(installed: Path, text: Path, tz: Tz) -> None:
    done = tz("train", "tiny:t1", "--text", text, *QUICK, "--rate", "1e30", "--steps", "8")
    assert done.returncode == 1
    assert "go on with a lower rate" in done.stderr or "not finite" in done.stderr


def test_without_torch(installed: Path, tmp_path: Path, tz: Tz) -> None:
    """The extra is named before anything is read."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
    )
    done = tz("train", "tiny:t1", PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert done.returncode == 1
    assert 'training needs torch: pip install "ternary-zero[train]"' in done.stderr


def test_the_gap() -> None:
    def measures(perplexity: float) -> dict[str, float]:
        return {"perplexity": perplexity, "original_perplexity": 10.0, "kl": 1.0}

    assert gap_closed({"before": measures(1000.0), "after": measures(100.0)}) == pytest.approx(0.5)
    assert gap_closed({"before": measures(9.0), "after": measures(9.0)}) is None
    assert gap_closed({"before": {}, "after": {}}) is None
