"""Whatever is wrong: one clear line, exit code 1, and nothing half-written left as if whole."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.conftest import Tz, refused


def installed(tz: Tz) -> list[object]:
    return list(json.loads(tz("list", "--json").stdout))


@pytest.fixture
def dead_hub() -> str:
    """An address on this machine where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_no_network(tz: Tz, dead_hub: str, tmp_path: Path) -> None:
    refused(tz("pull", "someone/some-model", HF_ENDPOINT=dead_hub, HF_HOME=str(tmp_path / "hf")), "cannot reach")
    assert installed(tz) == []


def test_run_of_an_unknown_model_without_network(tz: Tz, dead_hub: str, tmp_path: Path) -> None:
    refused(tz("run", "someone/some-model", "Hi", HF_ENDPOINT=dead_hub, HF_HOME=str(tmp_path / "hf")))


@pytest.mark.parametrize("model", ["nonsense", "no/such/model", "./nowhere", "", "pypi:"])
def test_what_names_no_model(tz: Tz, model: str) -> None:
    refused(tz("run", model, "Hi"))


def test_importing_what_is_not_there(tz: Tz) -> None:
    refused(tz("import", "./nowhere"), "nowhere")


def test_removing_what_is_not_installed(tz: Tz) -> None:
    refused(tz("rm", "starter", "--yes"), "not installed")


def test_a_truncated_gguf(tz: Tz, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 200, 30) + bytes(500))
    refused(tz("convert", file), "model.gguf")
    assert installed(tz) == []


def copy_of(model: Path, to: Path) -> Path:
    return Path(shutil.copytree(model, to / "model"))


def test_truncated_safetensors(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    weights = folder / "model.safetensors"
    with open(weights, "r+b") as file:
        file.truncate(weights.stat().st_size // 2)
    refused(tz("convert", folder))
    assert installed(tz) == []


def test_a_damaged_safetensors_header(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    with open(folder / "model.safetensors", "r+b") as file:
        file.seek(20)
        file.write(b"\xff" * 40)
    refused(tz("convert", folder))


def test_pickles_are_never_opened(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(tz("convert", folder), "safetensors")


def test_a_family_that_is_not_supported_is_named(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config.update(model_type="mamba", architectures=["MambaForCausalLM"])
    (folder / "config.json").write_text(json.dumps(config))
    refused(tz("convert", folder), "mamba", "llama")


def test_no_tokenizer(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    (folder / "tokenizer.json").unlink()
    refused(tz("convert", folder), "tokenizer")
    assert installed(tz) == []


def rewrite(folder: Path, change: object) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)  # type: ignore[operator]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_are_not_numbers_are_named(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    name = "model.layers.2.mlp.up_proj.weight"

    def poison(tensors: dict[str, np.ndarray]) -> None:
        tensors[name][3, 5] = np.nan

    rewrite(folder, poison)
    refused(tz("convert", folder, "--encoding", "i8"), "model.layers.2.mlp.up_proj")
    assert installed(tz) == []


def test_a_missing_tensor_is_named(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    rewrite(folder, lambda tensors: tensors.pop("model.layers.3.self_attn.k_proj.weight"))
    refused(tz("convert", folder), "model.layers.3.self_attn.k_proj")


@pytest.mark.skipif(os.name == "nt", reason="/proc")
def test_a_folder_that_cannot_be_written(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    refused(tz("convert", local_model, "--out", "/proc/model"))
    (tmp_path / "file").write_text("in the way")
    refused(tz("convert", local_model, TZ_HOME=str(tmp_path / "file")))


def test_a_port_in_use(tz: Tz) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(tz("serve", "--port", str(port)), str(port))


def test_a_text_to_evaluate_that_is_not_there(tz: Tz, local_model: Path) -> None:
    assert tz("convert", local_model, "--encoding", "i8").returncode == 0
    refused(tz("eval", local_model, "--text", "nowhere.txt"), "nowhere.txt")


def test_a_template_that_raises(tz: Tz, local_model: Path, tmp_path: Path) -> None:
    folder = copy_of(local_model, tmp_path)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{{ raise_exception('no system messages please') }}"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert tz("convert", folder, "--encoding", "f16").returncode == 0
    refused(tz("run", folder, "Hi"), "no system messages please")


def test_a_converted_model_that_was_damaged(tz: Tz, local_model: Path) -> None:
    done = tz("convert", local_model, "--encoding", "f16", "--json")
    assert done.returncode == 0, done.stderr
    folder = Path(json.loads(done.stdout.splitlines()[-1])["path"])
    shard = max(folder.glob("*.safetensors"), key=lambda file: file.stat().st_size)
    with open(shard, "r+b") as file:
        file.truncate(shard.stat().st_size - 1000)
    refused(tz("run", folder, "Hi"), shard.name)
