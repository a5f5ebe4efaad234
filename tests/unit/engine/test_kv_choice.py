"""Which format keys and values get, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.engine.scripted_model import spec
from tzcore import hardware
from tzcore.architecture.spec import ModelSpec, Rope
from tzcore.engine.kv_choice import KvChoice, choose_kv
from tzcore.engine.plan import MemoryPlan, context_costs, plan
from tzcore.engine.reach import beyond
from tzcore.errors import BackendError, RequestError
from tzcore.keyvalues import F16, FORMATS, KeyValueFormat

GB = 10**9
LARGE = spec(max_context=1 << 17, layers=2000)


def chosen(name: str, context: int | None, free: int, made: ModelSpec = LARGE) -> KvChoice[MemoryPlan]:
    memory = hardware.Memory(64 * GB, free)
    return choose_kv(name, made, context, lambda tokens, kv: plan(1000, made, tokens, memory, kv=kv))


def free_for(kv: KeyValueFormat, context: int) -> int:
    """Free bytes with which ``context`` tokens just fit in this format."""
    made = plan(1000, LARGE, context, hardware.Memory(64 * GB, 0), kv=kv)
    return made.missing


def test_half_precision_where_it_fits_goes_without_saying() -> None:
    got = chosen("auto", 16384, free_for(F16, 16384))
    assert (got.kv, got.reason, got.plan.context) == (F16, "", 16384)
    assert got.plan.fits


@pytest.mark.parametrize(("name", "words"), [("k8v8", "8 bits"), ("k6v5", "6 and 5 bits"), ("k4v4", "4 bits")])
def test_the_first_format_with_which_it_fits(name: str, words: str) -> None:
    got = chosen("auto", 16384, free_for(FORMATS[name], 16384))
    assert got.kv.name == got.plan.stored.name == name
    assert got.plan.fits
    missing = free_for(F16, 16384) - free_for(FORMATS[name], 16384)
    assert got.reason == (
        f"keys and values in {words}, because 16 bits would need {hardware.in_words(missing)} more than is free"
    )


def test_a_context_asked_for_is_never_made_shorter() -> None:
    got = chosen("auto", 16384, free_for(FORMATS["k4v4"], 16384) - 1)
    assert (got.kv.name, got.plan.context, got.plan.fits) == ("k4v4", 16384, False)


def test_one_that_nobody_asked_for_is() -> None:
    got = chosen("auto", None, free_for(FORMATS["k4v4"], 4096))
    assert (got.kv.name, got.plan.context, got.plan.fits) == ("k4v4", 4096, True)
    assert chosen("auto", None, free_for(FORMATS["k8v8"], 8192)).plan.context == 8192


def test_a_format_by_name() -> None:
    got = chosen("k4v2", 4096, 60 * GB)
    assert (got.kv.name, got.reason) == ("k4v2", "keys and values in 4 and 2 bits, as asked for")
    assert chosen("f16", 4096, 0).kv is F16
    with pytest.raises(RequestError, match="k6v5"):
        chosen("k5v5", 4096, GB)


def test_kernels_without_smaller_formats() -> None:
    def make(tokens: int | None, kv: KeyValueFormat) -> MemoryPlan:
        if kv.quantised:
            raise BackendError("not here")
        return plan(1000, LARGE, tokens, hardware.Memory(64 * GB, 5 * GB), kv=kv)

    got = choose_kv("auto", LARGE, 1 << 17, make)
    assert (got.kv, got.plan.fits) == (F16, False)


def test_costs_by_format_fall_with_the_bits() -> None:
    made = context_costs(1000, LARGE, 32768, hardware.Memory(64 * GB, 20 * GB))
    assert [one.stored.name for one in made] == list(FORMATS)
    kv = [one.kv for one in made]
    assert kv == sorted(kv, reverse=True)
    assert kv[0] / kv[3] > 3


def test_what_lies_beyond() -> None:
    assert beyond(spec(max_context=8192), 8192) is None
    plain = beyond(spec(max_context=8192), 8193)
    assert plain is not None
    assert plain.startswith("The model was made for 8,192 tokens; beyond that its positions were never trained")
    assert "not scaled" in plain
    for kind, word in {"dynamic": "fades slowly", "yarn": "YaRN", "longrope": "LongRoPE", "llama3": "Llama 3"}.items():
        made = spec(max_context=8192)
        told = beyond(replace(made, ropes=(Rope(made.ropes[0].inverse_frequencies, 1.0, kind),)), 20_000)
        assert told is not None
        assert word in told
