"""Prepared models in the loops that people have: their own, transformers' Trainer, Accelerate."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import extract_model_from_parallel

from tests.tiny_models import tiny_folder, tiny_source
from tests.unit.torch.folders import engine_says, generated, token_ids
from tests.unit.torch.train.training_cases import SMALL
from tzcore.errors import ConversionError
from tzcore.torch import TernaryLinear, load_model, save_model
from tzcore.torch.train import LatentLinear, convert, parameter_groups, prepare

WINDOW = 12
RATE = 0.2


def folder(path: Path, fmt: str = "t1") -> Path:
    """A small model, as ``tz convert`` leaves one."""
    return tiny_folder(path, "llama", fmt, "i8", source=tiny_source("llama", **SMALL))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("base") / "m")


@pytest.fixture(autouse=True)
def _accelerates_state() -> Iterator[None]:
    """There is one of a process, with the precision that the first one asked for."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def prepared(path: Path, **options: Any) -> Any:
    return prepare(load_model(path), **options)


def text(count: int = 8) -> list[dict[str, torch.Tensor]]:
    """A data set of windows."""
    ids = token_ids(count * WINDOW).view(count, WINDOW)
    return [{"input_ids": window, "labels": window} for window in ids]


def batches(size: int = 2) -> Any:
    """Of :func:`text`, which the loader takes as the sequence that it is."""
    return torch.utils.data.DataLoader(text(), batch_size=size)


def parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def check_trained(model: Any, base: Path, out: Path) -> None:
    """It has learnt, and as codes it computes the same, here and in the engine."""
    ids = text()[0]["input_ids"][None]
    model.eval()
    with torch.no_grad():
        trained, before = model(ids, labels=ids), load_model(base)(ids, labels=ids)
        assert trained.loss < before.loss - 0.1
        with pytest.raises(ConversionError, match="in training: call"):
            save_model(model, out)
        convert(model)
        assert torch.equal(model(ids).logits, trained.logits)
    save_model(model, out)
    assert torch.equal(load_model(out)(ids).logits, trained.logits)
    said = engine_says(out, token_ids(6), 8)
    assert generated(load_model(out), token_ids(6), 8) == said
    assert said != engine_says(base, token_ids(6), 8)


# --- one's own loop -------------------------------------------------------------------------------


def test_a_plain_loop(base: Path, tmp_path: Path) -> None:
    model = prepared(base).train()
    optimiser = torch.optim.AdamW(parameter_groups(model, RATE))
    for _ in range(3):
        for batch in batches():
            model(**batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
    check_trained(model, base, tmp_path / "out")


# --- transformers ---------------------------------------------------------------------------------


def trainer(model: Any, out: Path, *, own: bool = True, **settings: Any) -> transformers.Trainer:
    plain = {"num_train_epochs": 3, "save_strategy": "no", "learning_rate": RATE, "per_device_train_batch_size": 2,
             "lr_scheduler_type": "constant"}  # fmt: skip
    arguments = transformers.TrainingArguments(
        output_dir=str(out), report_to=[], use_cpu=True, disable_tqdm=True, logging_strategy="no", **(plain | settings)
    )
    optimiser = torch.optim.AdamW(parameter_groups(model, RATE)) if own else None
    return transformers.Trainer(model=model, args=arguments, train_dataset=text(), optimizers=(optimiser, None))


@pytest.mark.parametrize(
    ("own", "settings"),
    [
        (True, {}),
        (False, {}),
        (True, {"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}}),
        (True, {"bf16": True, "gradient_accumulation_steps": 2, "num_train_epochs": 5}),
    ],
    ids=["own optimiser", "Trainer's optimiser", "checkpointing", "bf16"],
)
def test_trainer(base: Path, tmp_path: Path, own: bool, settings: dict[str, Any]) -> None:
    model = prepared(base)
    before = parameters(model)
    trainer(model, tmp_path / "run", own=own, **settings).train()
    after = parameters(model)
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"latents", "ratio", "weight"}
    assert not any("embed" in name or "lm_head" in name for name in changed)
    # Under bf16 Accelerate has put an autocast around the model's forward.
    check_trained(extract_model_from_parallel(model, keep_fp32_wrapper=False), base, tmp_path / "out")


def test_trainer_checkpointing_gives_the_same_bits(base: Path, tmp_path: Path) -> None:
    found = []
    for checkpointing in (False, True):
        model = prepared(base)
        trainer(model, tmp_path / "run", gradient_checkpointing=checkpointing, max_steps=3).train()
        found.append(parameters(model))
    assert same(*found)


@pytest.mark.parametrize("mode", ["latents", "lora"])
def test_trainer_goes_on_from_its_checkpoint_with_the_same_bits(base: Path, tmp_path: Path, mode: str) -> None:
    settings = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3}
    whole = prepared(base, mode=mode)
    trainer(whole, tmp_path / "run", **settings).train()
    saved = tmp_path / "run" / "checkpoint-3"
    assert not (saved / "config.json").exists()
    again = prepared(base, mode=mode, seed=5)
    trainer(again, tmp_path / "again", **settings).train(resume_from_checkpoint=str(saved))
    assert same(parameters(whole), parameters(again))


def test_trainer_asks_for_latents(base: Path, tmp_path: Path) -> None:
    """Codes are not trained: before ``prepare`` and after ``convert`` transformers says so."""
    for model in (load_model(base), convert(prepared(base))):
        assert model.is_quantized
        assert not model.hf_quantizer.is_qat_trainable
        with pytest.raises(ValueError, match="attach trainable adapters"):
            trainer(model, tmp_path, own=False)
    copied = copy.deepcopy(prepared(base))
    assert not copied.is_quantized
    assert copied.hf_quantizer.is_qat_trainable
    trainer(copied, tmp_path)


# --- Accelerate -----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_accelerate(base: Path, tmp_path: Path, precision: str) -> None:
    accelerator = Accelerator(cpu=True, mixed_precision=precision, gradient_accumulation_steps=2)
    plain = prepared(base).train()
    optimiser = torch.optim.AdamW(parameter_groups(plain, RATE))
    model, optimiser, loader = accelerator.prepare(plain, optimiser, batches())
    steps = 0
    for _ in range(5):
        for batch in loader:
            with accelerator.accumulate(model):
                accelerator.backward(model(**batch).loss)
                optimiser.step()
                optimiser.zero_grad()
                steps += accelerator.sync_gradients
    assert steps == 10
    trained = accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    accelerator.free_memory()
    check_trained(trained, base, tmp_path / "out")


# --- copies and conversions -----------------------------------------------------------------------


def stepped(model: Any) -> Any:
    """After a step, so that there are gradients and ratios that are not 1."""
    optimiser = torch.optim.AdamW(parameter_groups(model, RATE))
    model(**next(iter(batches()))).loss.backward()
    optimiser.step()
    return model


FORMS: list[dict[str, str]] = [{}, {"mode": "lora"}, {"scales": "statistical"}, {"mode": "scales"}]


@pytest.mark.parametrize("options", FORMS, ids=["latents", "lora", "statistical", "scales"])
@pytest.mark.parametrize("convert_to", ["half", "bfloat16", "to", "double"])
def test_other_types_leave_latents_as_they_are(base: Path, options: dict[str, Any], convert_to: str) -> None:
    model = stepped(prepared(base, **options))
    layer: LatentLinear = model.model.layers[0].mlp.up_proj
    before, gradients = (
        parameters(layer),
        {n: p.grad.clone() for n, p in layer.named_parameters() if p.grad is not None},
    )
    codes = layer.codes()
    model.to(torch.bfloat16) if convert_to == "to" else getattr(model, convert_to)()
    assert model.dtype != torch.float32
    after = dict(layer.state_dict())
    assert all(after[name].dtype == value.dtype for name, value in before.items())
    assert same(parameters(layer), before)
    assert all(torch.equal(layer.get_parameter(name).grad, value) for name, value in gradients.items())
    assert all(isinstance(p, torch.nn.Parameter) for p in layer.parameters())
    assert torch.equal(layer.codes(), codes)
    model.zero_grad()
    model(**next(iter(batches()))).loss.backward()
    assert all(p.grad is not None and p.grad.dtype == p.dtype for p in layer.parameters() if p.requires_grad)
    model.float()
    assert same(parameters(layer), before)


def test_a_bias_is_converted() -> None:
    made = LatentLinear.of(TernaryLinear.from_linear(torch.nn.Linear(64, 16), "t1", 64)).half()
    assert made.bias is not None
    assert (made.bias.dtype, made.latents.dtype, made.ratio.dtype) == (torch.float16, torch.float32, torch.float32)
    assert made(torch.randn(2, 64, dtype=torch.float16)).dtype == torch.float16


def test_copies_of_every_kind(base: Path) -> None:
    model = stepped(prepared(base)).eval()
    ids = text()[0]["input_ids"][None]
    wanted = model(ids).logits
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    fresh = prepared(base)
    fresh.load_state_dict(model.state_dict())
    for copied in (copy.deepcopy(model), torch.load(buffer, weights_only=False), fresh):
        assert same(parameters(copied), parameters(model))
        assert torch.equal(copied(ids).logits, wanted)
        assert copied.hf_quantizer.is_qat_trainable
        assert torch.equal(convert(copied)(ids).logits, wanted)
        assert not copied.hf_quantizer.is_qat_trainable


@pytest.mark.parametrize("fmt", ["t1", "t1b3"])
def test_compiled(fmt: str) -> None:
    """Through aot_eager, which is all of torch.compile that needs no compiler of C: one graph, the same bits."""
    torch._dynamo.reset()
    torch.manual_seed(3)
    layer = LatentLinear.of(TernaryLinear.from_linear(torch.nn.Linear(96, 32), fmt, 64)).train()
    x = torch.randn(2, 3, 96)
    found = []
    for run in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        layer.zero_grad()
        y = run(x)
        y.square().mean().backward()
        found.append((y.detach(), {name: p.grad for name, p in layer.named_parameters()}))
    (y, gradients), (again, others) = found
    assert torch.equal(again, y)
    for name, value in gradients.items():
        torch.testing.assert_close(others[name], value, rtol=1e-4, atol=1e-6)
