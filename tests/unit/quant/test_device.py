"""Conversion on a card: that tensors are where they belong, on a pretended one; its kernels need a real one."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.pretended_card import CARD, OnCard, pretended_card, same_attention
from tests.tiny_models import TEXT, tiny_source
from tzcore.backend.reference import ReferenceBackend
from tzcore.errors import ConversionError, MissingExtraError, RequestError
from tzcore.quant import probe
from tzcore.quant.budget import Request
from tzcore.quant.convert import Settings, convert
from tzcore.quant.device import CPU, Device, find
from tzcore.quant.evaluation import compare
from tzcore.quant.runtime import torch_session

QUICK: dict[str, Any] = {"tokens": 512, "window": 32, "threads": 1}


# --- whole conversions --------------------------------------------------------------------------


def content(folder: Path) -> dict[str, Any]:
    """Every file; of the receipt what does not differ from run to run."""
    files: dict[str, Any] = {path.name: path.read_bytes() for path in folder.iterdir()}
    receipt = json.loads(files.pop("receipt.json"))
    del receipt["created"], receipt["seconds"], receipt["device"]
    return {**files, "receipt": receipt}


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llama", {"format": "t1b3"}),
        ("gemma2", {"tuned": False}),
        ("mixtral", {}),
        ("phi3", {"request": Request("bits", 2.5, "2.5bpw"), "tuned": False}),
        ("qwen3_moe", {"calibrated": False, "rotate": True}),
    ],
)
def test_the_card_makes_what_the_cpu_makes(family: str, settings: dict[str, Any], tmp_path: Path) -> None:
    chosen, source = {**QUICK, **settings}, tiny_source(family, num_hidden_layers=2)
    with same_attention():
        expected = convert(source, tmp_path / "cpu" / "m", Settings(**chosen))
    with pretended_card() as card:
        made = convert(source, tmp_path / "card" / "m", Settings(**chosen, device="cuda"))
    ours, theirs = content(made), content(expected)
    assert ours["receipt"] == theirs["receipt"]
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
    assert card.operations > (1000 if chosen.get("calibrated", True) else 0)
    assert json.loads((made / "receipt.json").read_text())["device"] == "meta (pretended card)"
    assert json.loads((expected / "receipt.json").read_text())["device"] == "the CPU"


def test_the_original_is_computed_on_the_card(tmp_path: Path) -> None:
    source, text = tiny_source("llama3"), tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    folder = convert(source, tmp_path / "m", Settings(threads=1, calibrated=False))
    measure = ([folder], [text], source, ReferenceBackend())
    with same_attention():
        expected = compare(*measure, window=48, limit=3, threads=1)
    with pretended_card() as card:
        assert compare(*measure, window=48, limit=3, threads=1, device=find("cuda")) == expected
    assert card.operations > 100


def test_the_probe_works_there_and_says_where() -> None:
    with pretended_card() as card:
        rates = probe.measure(64, Settings(threads=1, device="auto"), 0.02)
    assert rates.device == "meta (pretended card)"
    assert card.operations > 10
    assert probe.measure(64, Settings(threads=1), 0.02).device == "the CPU"


def test_what_a_card_refuses_is_refused_by_the_pretended_one() -> None:
    """Else the tests above would prove nothing."""
    with pretended_card(), torch_session(1, find("auto")):
        there, here = torch.zeros(3), torch.from_numpy(np.zeros(3, np.float32))
        assert isinstance(there, OnCard)
        assert there.device == CARD
        for wrong in (lambda: there + here, lambda: here.add_(there), lambda: here[there.long()]):
            with pytest.raises(AssertionError, match="mixes tensors"):
                wrong()
        with pytest.raises(AssertionError, match="draws on the card"):
            torch.randn(3, generator=torch.Generator())
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert not isinstance(there.cpu(), OnCard)
        assert (torch.as_tensor(here) + there).cpu().numpy().tolist() == [0, 0, 0]


# --- the choice ---------------------------------------------------------------------------------


def cards(monkeypatch: pytest.MonkeyPatch, count: int, built: bool = True) -> None:
    monkeypatch.setattr(torch.version, "cuda", "12.8" if built else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Card {index}")


def test_auto_takes_the_first_card_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, 2)
    assert find("auto") == find("cuda") == Device("cuda:0", "Card 0")
    assert find("cuda:1").words == "cuda:1 (Card 1)"
    assert find("cpu") == CPU
    cards(monkeypatch, 0)
    assert find("auto") == Device("cpu", why="torch finds no NVIDIA card")
    cards(monkeypatch, 0, built=False)
    assert find("auto") == Device("cpu", why="this torch is built without CUDA")
    assert find("auto").words == "the CPU"


def test_what_torch_warns_of_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def old() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old\nsecond line", UserWarning, stacklevel=1)
        return False

    cards(monkeypatch, 0)
    monkeypatch.setattr(torch.cuda, "is_available", old)
    assert find("auto").why == "The NVIDIA driver on your system is too old"


def test_a_card_that_is_not_there_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    cards(monkeypatch, 0, built=False)
    with pytest.raises(RequestError, match=r"built without CUDA; with a CUDA build of torch .* needs no torch"):
        find("cuda")
    cards(monkeypatch, 1)
    with pytest.raises(RequestError, match="no cuda:1: torch finds the card cuda:0 alone"):
        find("cuda:1")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", "", "cuda:0 "])
def test_names_that_are_none_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="auto, cpu, cuda or cuda:N"):
        find(name)


def test_the_cpu_is_named_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert find("cpu") is CPU
    with pytest.raises(MissingExtraError, match=r"ternary-zero\[convert\]"):
        find("auto")


# --- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.06 GiB"), " on the card.*--device cpu"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), " on the card"),
        (RuntimeError("CUDA error: out of memory"), " on the card"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes"), ": close.*--batch 1"),
        (MemoryError(), ": close"),
    ],
)
def test_memory_that_runs_out_is_said_to_be_the_card_s_or_the_machine_s(error: Exception, advice: str) -> None:
    with pytest.raises(ConversionError, match=f"not enough memory{advice}"), torch_session(1):
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="illegal"), torch_session(1):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
