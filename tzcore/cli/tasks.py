"""``tz eval --tasks``: questions of lm-evaluation-harness, answered by installed models."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from tzcore import outbound
from tzcore.cli.console import Console
from tzcore.errors import MissingExtraError, RequestError, SourceError
from tzcore.hub import repository
from tzcore.progress import Progress

UNREACHABLE = ("ConnectionError", "OfflineModeIsEnabled", "LocalEntryNotFoundError", "HfHubHTTPError", "ConnectError")
"""Names of what the harness's libraries raise where questions cannot be downloaded."""


def check() -> None:
    """MissingExtraError where the harness is not installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise MissingExtraError('tasks need lm-evaluation-harness: pip install "ternary-zero[evaluation]"')


def answer(folder: Path, args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The model's name, and for each task its measures: ``{"model", "tasks": {task: {measure: value}}}``.

    RequestError for unknown tasks, SourceError where their questions cannot be downloaded.
    """
    if not outbound.offline():
        repository.hub()  # from now on what is asked of the hub is written down
    else:  # the harness's libraries have a switch of their own
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    from tzcore.checkpoint.reader import read_json
    from tzcore.cli.harness_model import HarnessModel

    manager = TaskManager(include_path=None if args.task_folder is None else str(args.task_folder))
    wanted = [name for name in args.tasks.split(",") if name]
    if unknown := [name for name in wanted if not manager.match_tasks([name])]:
        raise RequestError(f"lm-evaluation-harness has no task {', '.join(unknown)}")
    name = str(read_json(folder / "receipt.json").get("id", folder.name))
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        console.report(Progress("evaluate", done, 0, "requests", f"{name}: {args.tasks}"))

    model = HarnessModel(folder, args.backend, args.threads, step, args.kv[0] if args.kv else "f16")
    try:
        found = simple_evaluate(
            model, tasks=wanted, num_fewshot=args.shots, limit=args.limit, task_manager=manager, log_samples=False,
            bootstrap_iters=1000,
        )  # fmt: skip
    except Exception as error:
        if not _unreachable(error):
            raise
        raise SourceError(
            f"the questions of {args.tasks} are not on this machine and cannot be downloaded; they come from the "
            "Hugging Face hub the first time (your own, from files here: --task-folder)"
        ) from error
    finally:
        model.close()
    assert found is not None
    return {"model": name, "limit": args.limit, "tasks": {task: _measures(r) for task, r in found["results"].items()}}


def _unreachable(error: BaseException | None) -> bool:
    while error is not None:
        if any(kind.__name__ in UNREACHABLE for kind in type(error).__mro__):
            return True
        error = error.__cause__ or error.__context__
    return False


def _measures(row: dict[str, Any]) -> dict[str, Any]:
    """``acc,none`` and the like as ``acc``; a filter other than ``none`` stays in the name."""
    kept = {key: value for key, value in row.items() if isinstance(value, (int, float))}
    return json.loads(json.dumps({key.removesuffix(",none"): value for key, value in kept.items()}))


def table(results: list[dict[str, Any]]) -> str:
    """A line a model and task."""
    width = max(len(result["model"]) for result in results)
    lines = []
    for result in results:
        for task, measures in result["tasks"].items():
            shown = [
                f"{name} {value:.4f}" + (f" ± {error:.4f}" if (error := measures.get(f"{name}_stderr")) else "")
                for name, value in measures.items()
                if not name.endswith("_stderr") and name != "sample_len"
            ]
            lines.append(f"{result['model']:{width}}  {task:20} {', '.join(shown)}")
    return "\n".join(lines)
