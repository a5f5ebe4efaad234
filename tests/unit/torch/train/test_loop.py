"""Training: it learns, it resumes to the bit, and it stops where it must."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.torch.train import training_cases as cases
from tzcore.errors import Cancelled, StorageError, TrainingError
from tzcore.progress import Progress
from tzcore.torch.train import convert, parameter_groups
from tzcore.torch.train.curve import read
from tzcore.torch.train.saved import SavedStates
from tzcore.torch.train.student import Split
from tzcore.torch.train.targets import Live, add_gradients
from tzcore.torch.train.text import Windows


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in read(folder / "training.jsonl") if "loss" in line]


def python(script: str, *words: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with as many threads as here: the order of sums depends on it."""
    script = f"import torch; torch.set_num_threads({torch.get_num_threads()})\n{script}"
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("moving", "least"), [("", 0.4), ("latents", 0.8)])
def test_one_batch_is_learnt_by_heart(tmp_path: Path, moving: str, least: float) -> None:
    """Cross entropy of one window falls from 6.8 to near nothing.  By codes alone, with the norms as they are, it
    cannot fall below 0.7; that takes gradients through the rounding."""
    text = Windows(np.random.default_rng(3).integers(0, 500, (1, 8)))
    settings = cases.settings(steps=45, tokens=8, window=8, rate=0.2, text_share=1.0, eval_every=1000, clip=0.0)
    model = cases.student()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(parameter.requires_grad and name.endswith(moving))
    groups = parameter_groups(model, settings.rate, scales=0.3, vectors=0.3)
    cases.run(tmp_path, model, text=text, settings=settings, held=None, groups=groups)
    found = losses(tmp_path)
    assert found[0] > 5
    assert found[-1] < least


def test_a_student_comes_nearer_to_its_original(tmp_path: Path) -> None:
    model = cases.student()
    outcome = cases.run(tmp_path, model, settings=cases.settings(steps=20, eval_every=5, rate=0.05), held=cases.Held(
        cases.windows(), cases.Live(cases.original(), cases.windows().scored)))  # fmt: skip
    assert outcome.best["kl"] < 0.8 * outcome.before["kl"]
    lines = read(outcome.curve)
    assert [line["step"] for line in lines if "kl" in line] == [0, 5, 10, 15, 20]
    assert {"step", "tokens", "seconds", "loss", "rate"} == lines[1].keys()
    assert [line["step"] for line in lines if "loss" in line] == list(range(1, 21))
    assert outcome.position.tokens == 20 * 4 * cases.WINDOW


@pytest.mark.parametrize("mode", ["latents", "scales", "lora"])
def test_six_steps_at_once_are_three_and_three(tmp_path: Path, mode: str) -> None:
    """Stopped after three steps, by a process that dies without a word, and gone on with: the same to the bit."""
    whole = cases.student(mode=mode, rank=4)
    cases.run(tmp_path / "whole", whole)
    script = (
        "import os, sys; from pathlib import Path; from tests.unit.torch.train import training_cases as c\n"
        "def report(p):\n"
        "    if p.phase == 'train' and p.detail.startswith('step 4'): os._exit(9)\n"
        f"model = c.student(mode={mode!r}, rank=4)\n"
        "c.run(Path(sys.argv[1]), model, settings=c.settings(save_every=3), report=report)\n"
    )
    done = python(script, tmp_path / "parts")
    assert done.returncode == 9, done.stderr
    assert [p.name for p in (tmp_path / "parts").glob("step-*")] == ["step-00000003.safetensors"]
    parts, notes = cases.student(mode=mode, rank=4), []
    again = cases.loop(tmp_path / "parts", parts, settings=cases.settings(save_every=3), note=notes.append)
    again.run()
    assert notes == ["going on after step 3"]
    first, second = cases.tensors(whole), cases.tensors(parts)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    changed = cases.tensors(cases.student(mode=mode, rank=4))
    assert any(not torch.equal(first[name], changed[name]) for name in first)


def test_cancelled_between_micro_steps(tmp_path: Path) -> None:
    """The state of the last whole step is saved, whatever part of the next was done."""
    whole = cases.student()
    cases.run(tmp_path / "whole", whole)

    def report(progress: Progress) -> None:
        if progress.phase == "train" and progress.done == 4 * cases.WINDOW * 3 + 2 * cases.WINDOW:
            raise Cancelled

    stopped = cases.student()
    with pytest.raises(Cancelled):
        cases.run(tmp_path / "parts", stopped, settings=cases.settings(save_every=100), report=report)
    assert [p.name for p in (tmp_path / "parts").glob("step-*")] == ["step-00000003.safetensors"]
    parts = cases.student()
    cases.run(tmp_path / "parts", parts)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_cancelled_while_measuring(tmp_path: Path) -> None:
    """What was not measured to the end is measured when it goes on."""
    seen: list[int] = []

    def report(progress: Progress) -> None:
        seen.append(progress.done)
        if progress.phase == "evaluate" and progress.done and len(seen) > 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        cases.run(tmp_path, cases.student(), report=report)
    cases.run(tmp_path, cases.student())
    assert [line["step"] for line in read(tmp_path / "training.jsonl") if "kl" in line] == [0, 2, 4, 6]


def test_progress_counts_tokens_and_never_runs_backwards(tmp_path: Path) -> None:
    told: list[Progress] = []
    cases.run(tmp_path, cases.student(), report=told.append)
    train = [p for p in told if p.phase == "train"]
    assert [p.done for p in train] == sorted(p.done for p in train)
    assert {(p.total, p.unit) for p in train} == {(6 * 4 * cases.WINDOW, "tokens")}
    assert train[0].seconds_left is None
    assert train[-1].seconds_left is not None
    assert train[-1].detail.startswith("step 6 of 6, loss ")


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_the_size_of_a_batch_changes_the_last_digits_only(tmp_path: Path, batch: int) -> None:
    cases.run(tmp_path / "a", cases.student(), settings=cases.settings(steps=1))
    cases.run(tmp_path / "b", cases.student(), settings=cases.settings(steps=1, batch=batch))
    assert losses(tmp_path / "a") == pytest.approx(losses(tmp_path / "b"), rel=1e-4)


def test_the_loss_is_that_of_the_whole_matrix_of_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss and gradients in runs of rows are those of plain autograd."""
    from tzcore.torch.train import student as student_file

    settings = cases.settings(steps=1, tokens=2 * cases.WINDOW, rate=1e-9)
    model, text = cases.original(), cases.windows(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.05)
    plain = copy.deepcopy(model)
    ids = torch.from_numpy(text.ids[text.at_step(0, 2, 0)])
    ours, theirs = (m(input_ids=ids).logits[:, :-1].log_softmax(-1) for m in (plain, cases.original()))
    expected = torch.nn.functional.kl_div(ours, theirs.detach(), reduction="sum", log_target=True)
    expected = expected / ours[..., 0].numel()
    expected.backward()
    monkeypatch.setattr(student_file, "FLOATS", 500 * 5)
    made = cases.loop(tmp_path, model, text=text, settings=settings)
    loss = sum(made._gradients([place], 1 / 46) for place in text.at_step(0, 2, 0))
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    for (name, a), (_, b) in zip(plain.named_parameters(), model.named_parameters(), strict=True):
        assert a.grad is not None, name
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-3, atol=1e-6)


def test_bfloat16_and_recomputed_activations(tmp_path: Path) -> None:
    cases.run(tmp_path / "plain", cases.student(), settings=cases.settings(steps=2))
    cases.run(tmp_path / "again", cases.student(), settings=cases.settings(steps=2, checkpointing=True))
    assert losses(tmp_path / "again") == losses(tmp_path / "plain")
    cases.run(tmp_path / "half", cases.student(), settings=cases.settings(steps=2, bf16=True))
    assert losses(tmp_path / "half") == pytest.approx(losses(tmp_path / "plain"), rel=0.05)


def test_hidden_states_and_text_take_part(tmp_path: Path) -> None:
    found = {}
    for name, share in {"plain": {}, "hidden": {"hidden_share": 1.0}, "text": {"text_share": 0.5}}.items():
        cases.run(tmp_path / name, cases.student(), settings=cases.settings(steps=1, **share))
        found[name] = losses(tmp_path / name)[0]
    assert found["hidden"] > found["plain"]
    assert found["text"] != pytest.approx(found["plain"], rel=1e-3)


def test_every_layer_is_followed() -> None:
    """The distance by hand, and its gradient in the states of a layer in the middle."""
    followed = Live(cases.original(), cases.windows().scored, layers=True)
    split, ids = Split(cases.student()), torch.from_numpy(cases.windows(2).ids)
    batch = followed.batch([0, 1], ids)
    ours = [states[:, cases.windows().scored].flatten(0, 1) for states in split.layers(ids)]
    assert batch.layers is not None
    assert len(ours) == len(batch.layers) == 1
    wanted = torch.randn_like(ours[0])
    near = wanted + 0.3 * torch.randn_like(wanted)
    near[5] = 21 * wanted[5]  # 400 times the size of the original's, squared: counts by its logarithm
    ours = [near.requires_grad_(), ours[-1]]
    batch.layers.insert(0, wanted)
    next_tokens = torch.zeros(len(ours[0]), dtype=torch.int64)
    plain = add_gradients(split, [ours[0], ours[1].detach().requires_grad_()], batch, next_tokens, 0.5)
    both = add_gradients(split, ours, batch, next_tokens, 0.5, hidden_share=3.0)
    pairs = zip(ours, batch.layers, strict=True)
    first, second = (((a.detach() - b).norm(dim=1) / b.norm(dim=1)).square() for a, b in pairs)
    assert [float(far) for far in first if far > 1] == pytest.approx([400], rel=1e-3)
    by_hand = sum(float(far) if far < 1 else 1 + math.log(far) for far in torch.cat([first, second])) / 2
    assert both - plain == pytest.approx(0.5 * 3.0 * by_hand, rel=1e-4)
    exact = 0.5 * 3.0 * (near.detach() - wanted) / wanted.square().sum(1, keepdim=True)
    exact[5] /= 400
    torch.testing.assert_close(near.grad, exact)


def test_minutes_end_a_run(tmp_path: Path) -> None:
    """The rate falls with the time, and what is gone on with has ended already."""
    outcome = cases.run(tmp_path, cases.student(), settings=cases.settings(minutes=0.02, steps=1))
    assert outcome.position.step >= 1
    assert outcome.position.seconds >= 1.2
    rates = [line["rate"] for line in read(outcome.curve) if "rate" in line]
    assert rates == sorted(rates, reverse=True)
    again = cases.run(tmp_path, cases.student(), settings=cases.settings(minutes=0.02, steps=1))
    assert again.position.step == outcome.position.step


def test_what_was_trained_converts_to_the_bit(tmp_path: Path) -> None:
    model = cases.student()
    cases.run(tmp_path, model)
    ids = torch.from_numpy(cases.windows().ids)
    with torch.no_grad():
        before = model(input_ids=ids).logits
        assert torch.equal(convert(model)(input_ids=ids).logits, before)


# --- what goes wrong ------------------------------------------------------------------------------


class Poisoned:
    """Targets that give a loss that is no number from some batch on."""

    def __init__(self, inner: Any, good: int) -> None:
        self.inner, self.good = inner, good

    def batch(self, places: Any, ids: torch.Tensor) -> Any:
        self.good -= 1
        found = self.inner.batch(places, ids)
        if self.good < 0:
            found._rows = found._rows * math.nan
        return found


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    text = cases.windows()
    targets = Poisoned(cases.Live(cases.original(), text.scored), good=2 * 4 + 1)
    model = cases.student()
    with pytest.raises(TrainingError) as stop:
        cases.run(tmp_path, model, targets=targets, settings=cases.settings(rate=0.01))
    assert str(stop.value) == (
        "the loss of step 5 is not a number one can train with (nan); the state after step 4 is kept: go on with a "
        "lower rate, 0.0025 for instance"
    )
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000002.safetensors", "step-00000004.safetensors"]
    again = cases.student()
    outcome = cases.run(tmp_path, again, settings=cases.settings(rate=0.0025))
    assert outcome.position.step == 6
    assert all(bool(p.isfinite().all()) for p in again.parameters())


def test_a_gradient_that_is_no_number_stops(tmp_path: Path) -> None:
    model = cases.student()
    next(iter(model.model.layers[0].parameters())).register_hook(lambda grad: grad * math.inf)
    with pytest.raises(TrainingError, match=r"the gradient of step 1 .* nothing was saved yet"):
        cases.run(tmp_path, model)


def test_codes_that_were_not_prepared_cannot_train(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"q_proj holds integer codes.*train\.prepare\(model\) first"):
        cases.loop(tmp_path, cases.ternary())


def test_nothing_to_train(tmp_path: Path) -> None:
    model = cases.original().requires_grad_(False)
    with pytest.raises(TrainingError, match="nothing to train"):
        cases.loop(tmp_path, model)


def test_another_run_in_the_same_folder(tmp_path: Path) -> None:
    cases.run(tmp_path, cases.student())
    with pytest.raises(TrainingError, match=r"begun otherwise \(settings\)"):
        cases.loop(tmp_path, cases.student(), settings=cases.settings(seed=1))
    with pytest.raises(TrainingError, match=r"begun otherwise \(text\)"):
        cases.loop(tmp_path, cases.student(), text=cases.windows(seed=5))
    with pytest.raises(TrainingError, match=r"begun otherwise \(model\)"):
        cases.loop(tmp_path, cases.student(), fingerprint={"model": "other"})
    longer = cases.run(tmp_path, cases.student(), settings=cases.settings(steps=8))
    assert longer.position.step == 8


# --- saved states ---------------------------------------------------------------------------------


def test_the_last_states_are_kept(tmp_path: Path) -> None:
    cases.run(tmp_path, cases.student(), settings=cases.settings(save_every=1, keep=3))
    assert sorted(p.name for p in tmp_path.glob("step-*")) == [f"step-{n:08}.safetensors" for n in (4, 5, 6)]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_state_is_passed_over_with_a_note(tmp_path: Path, damage: str) -> None:
    whole = cases.student()
    cases.run(tmp_path, whole)
    newest = tmp_path / "step-00000006.safetensors"
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[-1000] ^= 1
    newest.write_bytes(content[: {"cut": -9, "flipped": None, "empty": 0}[damage]])
    notes: list[str] = []
    again = cases.student()
    made = cases.loop(tmp_path, again, note=notes.append)
    assert made._position.step == 4
    assert len(notes) == 1
    assert "cannot be used and is passed over" in notes[0]
    made.run()
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_killed_in_the_middle_of_saving(tmp_path: Path) -> None:
    """SIGKILL while a state is being written: the one before is gone on with."""
    script = (
        "import os, signal, sys; from pathlib import Path; from tests.unit.torch.train import training_cases as c\n"
        "from tzcore import atomic\n"
        "replace = os.replace\n"
        "def dying(a, b):\n"
        "    if Path(b).name == 'step-00000004.safetensors':\n"
        "        with open(a, 'r+b') as file: file.truncate(1000)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    replace(a, b)\n"
        "os.replace = dying\n"
        "c.run(Path(sys.argv[1]), c.student())\n"
    )
    done = python(script, tmp_path / "run")
    assert done.returncode == -9, done.stderr
    assert (tmp_path / "run" / "step-00000004.safetensors.tmp").exists()
    notes: list[str] = []
    model = cases.student()
    cases.run(tmp_path / "run", model, note=notes.append)
    assert notes == [
        "step-00000004.safetensors.tmp was being written when an earlier run was stopped, and is passed over",
        "going on after step 2",
    ]
    whole = cases.student()
    cases.run(tmp_path / "whole", whole)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), model.parameters(), strict=True))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_leaves_the_last_state(tmp_path: Path) -> None:
    full = tmp_path / "step-00000004.safetensors.tmp"
    made = cases.loop(tmp_path, cases.student())
    full.symlink_to("/dev/full")
    with pytest.raises(StorageError, match="is full: free some space"):
        made.run()
    assert [p.name for p in tmp_path.glob("step-*")] == ["step-00000002.safetensors"]
    assert cases.run(tmp_path, cases.student()).position.step == 6


def test_a_state_of_numbers_that_are_none_is_not_kept(tmp_path: Path) -> None:
    model = cases.student()
    saved = SavedStates(tmp_path, {})
    with torch.no_grad():
        next(p for p in model.parameters() if p.requires_grad).fill_(math.nan)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    from tzcore.torch.train.saved import Position, generators

    with pytest.raises(TrainingError, match="not finite at step 3"):
        saved.save(model, optimiser, Position(3), generators())
    assert os.listdir(tmp_path) == []


def test_bfloat16_parameters_are_kept_to_the_bit(tmp_path: Path) -> None:
    from tzcore.torch.train.saved import Position, generators

    layer = torch.nn.Linear(3, 2).bfloat16()
    optimiser = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3).bfloat16()).sum().backward()
    optimiser.step()
    SavedStates(tmp_path, {"a": 1}).save(layer, optimiser, Position(1, 2, 3.0), generators())
    other = torch.nn.Linear(3, 2).bfloat16()
    second = torch.optim.AdamW(other.parameters())
    assert SavedStates(tmp_path, {"a": 1}).restore(other, second) == Position(1, 2, 3.0)
    assert torch.equal(layer.weight, other.weight)
    for a, b in zip(optimiser.state_dict()["state"].values(), second.state_dict()["state"].values(), strict=True):
        assert all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)


def test_lines_of_a_run_that_was_killed_are_dropped(tmp_path: Path) -> None:
    cases.run(tmp_path, cases.student())
    curve = tmp_path / "training.jsonl"
    with open(curve, "a") as file:
        file.write(json.dumps({"step": 7, "loss": 1.0}) + '\n{"step": 8, "lo')
    cases.loop(tmp_path, cases.student())
    assert [line["step"] for line in read(curve)][-2:] == [6, 6]
