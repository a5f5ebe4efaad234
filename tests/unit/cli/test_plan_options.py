"""Everything that could be made of a source, in one table whose sums are those of single plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import tiny_folder, tiny_source
from tests.unit.cli.conftest import Tz
from tests.unit.cli.test_plan import CONFIG, info
from tzcore import paths
from tzcore.backend.cpu_memory import memory_bytes
from tzcore.cli import experience, plan, plan_options, speed
from tzcore.cli.budget_arguments import Budget
from tzcore.cli.plan import Wish
from tzcore.keyvalues import FORMATS
from tzcore.quant import probe
from tzcore.quant.probe import Rates

SPEC = plan.shape_of(CONFIG)


@pytest.fixture(autouse=True)
def fixed_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "measure", lambda width, settings, seconds=2.0: Rates(1e6, 1e9, "the CPU"))
    monkeypatch.setattr(speed, "probe", lambda: speed.Machine(30e9, 700e9))


def rows() -> dict[str, dict[str, Any]]:
    found, options = plan_options.table(info(), SPEC, [])
    made = plan_options.timed(found, options, info(), SPEC)
    return {row["key"]: row for row in made["options"]}


def test_each_choice_is_that_of_a_single_plan() -> None:
    table = rows()
    assert list(table) == ["t1", "2bpw", "2.4bpw", "2.7bpw", "t2", "i4", "i8", "f16"]
    for key, row in table.items():
        wish = Wish(Budget("bits", row["bits"], key)) if row["bits"] else Wish(encoding=row["encoding"])
        single = plan.of_source(info(), wish)  # fits on any machine: contexts are the same
        assert row["folder_bytes"] == single["result_bytes"]
        assert row["weights_bytes"] == single["weights_bytes"]
        assert row["peak_disk_bytes"] == single["peak_disk_bytes"]
        assert row["bits_per_weight"] == pytest.approx(single["bits_per_weight"])
        assert row["conversion_seconds"] == pytest.approx(single["conversion_seconds"])
        assert 1 / single["tokens_per_second"] == pytest.approx(row["token_seconds"], rel=0.01)


def test_contexts_are_to_the_byte_and_end_with_the_models_own() -> None:
    found, _ = plan_options.table(info(), SPEC, [])
    assert SPEC is not None
    lengths = [point["tokens"] for point in found["context_points"]]
    assert lengths == sorted(lengths)
    assert lengths[-1] == 8192
    for point in found["context_points"]:
        for name, stored in FORMATS.items():
            assert point["kv"][name] == memory_bytes(SPEC, point["tokens"], stored)


def test_the_arithmetic_of_speed() -> None:
    assert SPEC is not None
    machine = speed.Machine(30e9, 700e9)
    row = rows()["t2"]
    seconds = row["bytes_per_token"] / (30e9 * speed.SHARE) + 30 * speed.PER_LAYER
    assert row["token_seconds"] == pytest.approx(seconds)
    twice = speed.Machine(30e9, 700e9, correction=2.0, answers=5)
    assert speed.token_seconds(row["bytes_per_token"], SPEC, twice) == pytest.approx(seconds / 2)
    assert speed.context_seconds(8192, SPEC, FORMATS["k8v8"], machine) < speed.context_seconds(
        8192, SPEC, FORMATS["f16"], machine
    )


def test_bytes_a_token_reads_are_those_of_the_loaded_model(tmp_path: Path) -> None:
    from tzcore.architecture.registry import spec_of
    from tzcore.backend.base import weight_bytes_per_token
    from tzcore.checkpoint.reader import ModelFolder

    for family in ("llama", "qwen2", "mixtral"):
        folder = ModelFolder.open(tiny_folder(tmp_path / family, family, format="t2"))
        spec = spec_of(folder)
        stored = folder.quantization.matrices
        assert speed.weight_bytes(spec, stored) == pytest.approx(weight_bytes_per_token(folder, spec), rel=1e-6)
        folder.close()


def test_less_disk_where_the_source_is_discarded() -> None:
    described = info(weights=(("a", 5_000_000_000), ("b", 4_000_000_000), ("c", 3_000_000_000)),
                     download_bytes=12_000_000_000)  # fmt: skip
    found, _ = plan_options.table(described, SPEC, [])
    row = next(row for row in found["options"] if row["key"] == "t2")
    assert row["discard_disk_bytes"] < row["peak_disk_bytes"]
    assert row["discard_disk_bytes"] > row["folder_bytes"] + 9_000_000_000
    assert (row["discard_passes"], found["options"][1]["discard_passes"]) == (1, 4)


def test_a_natively_ternary_source_has_one_choice() -> None:
    described = info(ternary=True)
    found, _ = plan_options.table(described, SPEC, [])
    (row,) = found["options"]
    assert (row["key"], row["native"], row["encoding"], row["quality"]) == ("own", True, None, None)


def test_without_a_shape_sizes_are_estimates_and_nothing_is_invented() -> None:
    found, options = plan_options.table(info(config=None), None, [])
    made = plan_options.timed(found, options, info(config=None), None)
    assert made["context_points"] == []
    assert all(row["folder_bytes"] for row in made["options"])
    assert all(row.get("token_seconds") is None for row in made["options"])
    unknown, _ = plan_options.table(info(config=None, parameters=None), None, [])
    assert all(row["folder_bytes"] is None and row["quality"] is None for row in unknown["options"])


def test_what_was_measured_of_an_installed_model_is_said(tmp_path: Path) -> None:
    from tzcore.hub.library import InstalledModel

    (tmp_path / "receipt.json").write_text(json.dumps({"quality": {"kl_mean": 0.123}}))
    here = InstalledModel("org/model:t2", tmp_path, "org/model", "t2", 1, "")
    found, _ = plan_options.table(info(), SPEC, [here])
    row = next(row for row in found["options"] if row["key"] == "t2")
    assert row["installed"] == "org/model:t2"
    assert row["quality"]["measured"]
    assert row["quality"]["kl"] == 0.123


def test_answers_measured_here_correct_the_estimate(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tzcore.hub import library
    from tzcore.hub.library import InstalledModel

    folder = tiny_folder(tmp_path / "m", "llama", format="t2")
    monkeypatch.setattr(library, "installed", lambda: [InstalledModel("m", folder, "m", "t2", 1, "")])
    assert speed._corrected(speed.Machine(30e9, 1e9)).answers == 0
    paths.home().mkdir(parents=True, exist_ok=True)
    entries = [{"tokens_per_second": 1500.0, "depth": 10, "time": 1}] * 3
    known = {"version": 1, "loads": {"m": [{"planned": 10, "measured": 15, "time": 1}]}, "speeds": {"m": entries}}
    (paths.home() / "measured.json").write_text(json.dumps(known))
    corrected = speed._corrected(speed.Machine(30e9, 1e9))
    assert corrected.answers == 3
    assert speed.BOUNDS[0] <= corrected.correction < 1
    assert experience.excess("m") == experience.excess() == 5
    assert experience.usual_speed("m") == 1500.0


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1, "speeds": {"m": [1, {"tokens_per_second": "x"}]}}'])
def test_damaged_experience_is_none(home: Path, content: str) -> None:
    paths.home().mkdir(parents=True, exist_ok=True)
    (paths.home() / "measured.json").write_text(content)
    assert experience.answers() == []
    assert experience.excess() is None


def test_the_program_says_it_twice(tz: Tz, tmp_path: Path) -> None:
    folder = tmp_path / "original"
    tiny_source("llama").model.save_pretrained(folder)
    done = tz("plan", folder, "--options", "--json")
    assert done.returncode == 0, done.stderr
    first, last = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["event"], last["event"]) == ("plan", "done")
    assert first["options"][0]["conversion_seconds"] is None
    assert last["options"][0]["conversion_seconds"] > 0
    assert last["options"][0]["token_seconds"] > 0
    assert last["machine"]["read_bandwidth"] > 0


def test_what_each_choice_takes_of_a_card(tmp_path: Path) -> None:
    from tests.unit.backend.cuda.pretended_engine import pretended_machine

    with pretended_machine(tmp_path):
        found, _ = plan_options.table(info(), SPEC, [])
    assert found["machine"]["card"]["name"] == "NVIDIA GeForce RTX 4090"
    totals = [row["card"]["total_bytes"] for row in found["options"] if row["card"]]
    assert len(totals) >= 6
    assert totals == sorted(totals)
