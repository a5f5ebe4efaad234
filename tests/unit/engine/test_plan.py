from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore import hardware
from tzcore.architecture.spec import Expert, MatrixRef, Router
from tzcore.engine.plan import DEFAULT_CONTEXT, plan
from tzcore.errors import DoesNotFitError, RequestError

GB = 10**9
SHAPES = (("gate_proj", 96, 64), ("up_proj", 96, 64), ("down_proj", 64, 96))
PER_TOKEN = 2 * 2 * 2 * 16 * 2  # layers · (k, v) · kv heads · head dimension · fp16


def machine(available: int) -> hardware.Memory:
    return hardware.Memory(16 * GB, available)


def test_default_context_is_the_smallest_limit() -> None:
    assert plan(1000, spec(max_context=4096), memory=machine(8 * GB)).context == 4096
    assert plan(1000, spec(max_context=1 << 20), memory=machine(8 * GB)).context == DEFAULT_CONTEXT
    tight = plan(0, spec(max_context=1 << 20, layers=20_000), memory=machine(8 * GB))
    assert tight.context == tight.largest_context < DEFAULT_CONTEXT
    assert tight.fits
    assert not plan(0, spec(max_context=1 << 20, layers=20_000), tight.context + 1, machine(8 * GB)).fits


def test_the_sum() -> None:
    made = plan(5_000_000, spec(), 1000, machine(8 * GB))
    assert made.kv == 1024 * PER_TOKEN  # whole pages
    assert made.total == 5_000_000 + made.kv + made.workspace
    assert made.largest_context == 4096
    made.require()


def test_what_does_not_fit_is_itemised() -> None:
    with pytest.raises(DoesNotFitError, match=r"weights 20\.0 GB \+ context of 4,096 tokens .* free 8\.0 GB") as caught:
        plan(20 * GB, spec(), memory=machine(8 * GB)).require()
    assert "smaller model" in str(caught.value)
    big = spec(max_context=1 << 30)
    with pytest.raises(DoesNotFitError, match=r"--context \d+"):
        plan(GB, big, 1 << 28, machine(8 * GB)).require()
    plan(GB, big, plan(GB, big, 1 << 28, machine(8 * GB)).largest_context, machine(8 * GB)).require()


def test_rows_of_experts_are_part_of_the_workspace() -> None:
    dense = spec()
    refs = [MatrixRef(f"model.layers.0.mlp.{n}", 0, rows, cols) for n, rows, cols in SHAPES]
    router = Router(MatrixRef("model.layers.0.mlp.gate", 0, 9, 64), 4, True)
    layer = replace(dense.layers[0], experts=(Expert(*refs),) * 9, router=router)
    routed = replace(dense, layers=(layer, *dense.layers[1:]))
    more = plan(1000, routed, memory=machine(8 * GB)).workspace - plan(1000, dense, memory=machine(8 * GB)).workspace
    # A prefill chunk's gates, ups and inputs of down, inputs and outputs, in each of four experts of a token.
    assert more == 4 * 512 * (4 * (3 * 96 + 2 * 64) + 64 + 9)


def test_occupied_memory_counts() -> None:
    assert plan(3 * GB, spec(), memory=machine(8 * GB)).fits
    assert not plan(3 * GB, spec(), memory=machine(8 * GB), occupied=5 * GB).fits


@pytest.mark.parametrize("context", [0, -1])
def test_impossible_contexts(context: int) -> None:
    with pytest.raises(RequestError, match="context"):
        plan(1000, spec(), context)


def test_this_machine() -> None:
    memory, processor = hardware.memory(), hardware.processor()
    assert 0 < memory.available <= memory.total
    assert processor.usable >= 1
    assert processor.physical >= 1
    assert processor.name


def test_control_group_limits(tmp_path: Path) -> None:
    assert hardware._control_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n")
    assert hardware._control_group(tmp_path) is None
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300\n")
    assert hardware._control_group(tmp_path) == (1000, 400)
