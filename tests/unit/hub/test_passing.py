"""--discard-source: weights come as they are needed and go when used; the result is that of a normal conversion."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import hub_tensors, tiny_model, tiny_source
from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tests.unit.hub.model_files import safetensors_bytes
from tzcore import atomic, paths
from tzcore.checkpoint.source import PassingSource
from tzcore.cli import pipeline
from tzcore.cli.console import Console
from tzcore.errors import NetworkError, SourceError, UnsupportedModelError
from tzcore.hub import download, passing, sources
from tzcore.hub.passing import PassingRepository
from tzcore.hub.reference import parse
from tzcore.progress import Progress, ignore
from tzcore.quant.budget import Request
from tzcore.quant.convert import Settings, convert

SETTINGS = Settings(tokens=256, window=32, tuned=False)
PLAIN = Settings(calibrated=False)
SHARDS = 6
SHAPE = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 6}


@cache
def files_of(family: str) -> dict[str, bytes]:
    """A repository whose tensors, in the order of layers, are cut into shards that end within layers."""
    model, small = tiny_model(family, **SHAPE), tiny_source(family)
    tensors = hub_tensors(family, model)
    share = sum(tensor.nbytes for tensor in tensors.values()) / SHARDS
    parts: list[dict[str, tuple[str, tuple[int, ...], bytes]]] = [{} for _ in range(SHARDS)]
    at = 0
    for name, tensor in tensors.items():
        parts[min(SHARDS - 1, int(at / share))][name] = ("F32", tensor.shape, tensor.tobytes())
        at += tensor.nbytes
    files = {name: path.read_bytes() for name, path in small.files.items()}
    files["config.json"] = model.config.to_json_string(use_diff=False).encode()
    shards = [f"model-{i + 1:05d}-of-{SHARDS:05d}.safetensors" for i in range(SHARDS)]
    files |= {shard: safetensors_bytes(part) for shard, part in zip(shards, parts, strict=True)}
    index = {name: shard for shard, part in zip(shards, parts, strict=True) for name in part}
    return files | {"model.safetensors.index.json": json.dumps({"weight_map": index}).encode()}


@pytest.fixture
def serve(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], HubServer]:
    # A server that shares a busy process with a conversion answers late; asked twice, it would be counted twice.
    monkeypatch.setattr(download, "PATIENCE", replace(download.PATIENCE, connect=30, read=30, stall=30))

    def of(family: str) -> HubServer:
        hub.repos["org/model"] = Repo(files_of(family), config={"model_type": family})
        return hub

    return of


def opened(report: Callable[[Progress], None] = ignore) -> PassingRepository:
    source = sources.open_source(parse("org/model"), report, discard=True)
    assert isinstance(source, PassingRepository)
    assert isinstance(source, PassingSource)
    return source


def converted(final: Path, settings: Settings) -> Path:
    source = opened()
    try:
        folder = convert(source, final, settings)
        source.dispose()
        return folder
    finally:
        source.close()


def normal(final: Path, settings: Settings) -> Path:
    source = sources.open_source(parse("org/model"))
    assert not isinstance(source, PassingSource)
    return convert(source, final, settings)


def content(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    receipt = json.loads(files.pop("receipt.json"))
    del receipt["created"], receipt["seconds"]
    return {**files, "receipt": json.dumps(receipt).encode()}


def fetches(hub: HubServer) -> dict[str, int]:
    """How often each shard was asked for as a whole, from its beginning or as a rest."""
    count: Counter[str] = Counter()
    for method, path, headers in hub.log:
        found = re.search(r"/cdn/.*(model-\d+-of-\d+\.safetensors)", path)
        if found and method == "GET" and not re.search(r"-\d", headers.get("range", "")):
            count[found[1]] += 1
    return {name: count[name] for name in sorted(count)}


def on_disk() -> list[Path]:
    """Shards of ours, whole or in part, and tensors set aside."""
    ends = (".safetensors", ".part", ".tensor", ".tensor.tmp")
    folders = os.walk(paths.sources() / "passing")  # which may go while it is listed
    return [Path(folder) / name for folder, _, names in folders for name in names if name.endswith(ends)]


@contextmanager
def watched() -> Iterator[list[int]]:
    """The bytes of our shards on the disk, as often as can be."""
    seen, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.is_set():
            total = 0
            for path in on_disk():
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    continue
            seen.append(total)
            time.sleep(0.004)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def sizes(family: str) -> list[int]:
    return sorted(len(data) for name, data in files_of(family).items() if name.endswith(".safetensors"))


def in_the_cache_of_others(hub: HubServer, tmp_path: Path) -> list[str]:
    return [p.name for p in (tmp_path / "hf").rglob("*.safetensors")]


def table_bytes(family: str) -> int:
    """The embedding, where it is the head as well, which is read again when its shard has gone."""
    tensors = hub_tensors(family, tiny_model(family, **SHAPE))
    return 0 if "lm_head.weight" in tensors else tensors["model.embed_tokens.weight"].nbytes


@pytest.mark.parametrize("settings", [SETTINGS, PLAIN], ids=["calibrated", "plain"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3_moe"])
def test_each_shard_comes_once_and_two_are_held(
    family: str, settings: Settings, serve: Callable[[str], HubServer], tmp_path: Path
) -> None:
    hub = serve(family)
    with watched() as seen:
        folder = converted(tmp_path / "a", settings)
    assert list(fetches(hub).values()) == [1] * SHARDS
    largest = sizes(family)
    assert largest[-1] < max(seen) <= sum(largest[-2:]) + (table_bytes(family) if settings.calibrates else 0)
    assert on_disk() == []
    assert [p.suffix for p in (paths.sources() / "passing").iterdir()] == [".lock"]
    assert in_the_cache_of_others(hub, tmp_path) == []
    assert content(folder) == content(normal(tmp_path / "b", settings))


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_a_budget_reads_the_source_four_times(family: str, serve: Callable[[str], HubServer], tmp_path: Path) -> None:
    hub = serve(family)
    settings = Settings(tokens=256, window=32, tuned=False, request=Request("bits", 3.0, "3bpw"))
    with watched() as seen:
        folder = converted(tmp_path / "a", settings)
    count = list(fetches(hub).values())
    assert max(count) <= 4
    assert 3 * SHARDS <= sum(count) <= 4 * SHARDS
    assert max(seen) <= sum(sizes(family)[-2:]) + table_bytes(family)
    assert content(folder) == content(normal(tmp_path / "b", settings))


class Killed(BaseException):
    """Stands for the process's end: nothing in the program catches it."""


@pytest.mark.parametrize("settings", [SETTINGS, PLAIN], ids=["calibrated", "plain"])
@pytest.mark.parametrize("share", [0.02, 0.35, 0.75])
def test_resumed_without_what_was_used(
    share: float, settings: Settings, serve: Callable[[str], HubServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = serve("llama")
    real, syncs = os.fsync, 0

    def counted(handle: int) -> None:
        nonlocal syncs
        syncs += 1
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", counted)
    whole = content(converted(tmp_path / "whole", settings))
    left = int(share * syncs)
    hub.log.clear()

    def die(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        real(handle)

    monkeypatch.setattr(atomic.os, "fsync", die)
    with pytest.raises(Killed):
        converted(tmp_path / "a", settings)
    monkeypatch.setattr(atomic.os, "fsync", real)
    before = fetches(hub)
    here = {path.name for path in on_disk() if path.suffix == ".safetensors"}
    hub.log.clear()
    assert content(converted(tmp_path / "a", settings)) == whole
    after = fetches(hub)
    assert max(before.values(), default=0) <= 1
    assert set(after.values()) <= {1}
    assert not after.keys() & here
    if share > 0.5:
        assert len(after) < SHARDS / 2 + 1
        assert min(set(files_of("llama"))) not in after
    assert on_disk() == []


CHILD = """
import sys
from pathlib import Path
from tzcore.hub import sources
from tzcore.hub.reference import parse
from tzcore.quant.convert import Settings, convert
def say(progress):
    print(progress.phase, progress.done, progress.total, flush=True)
source = sources.open_source(parse("org/model"), discard=True)
convert(source, Path(sys.argv[1]), Settings(tokens=256, window=32, tuned=False), report=say)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill −9 here")
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_killed_by_signal_in_the_middle(family: str, serve: Callable[[str], HubServer], tmp_path: Path) -> None:
    hub = serve(family)
    root = Path(__file__).resolve().parents[3]
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hf" / "hub")}
    words = [sys.executable, "-c", CHILD, str(tmp_path / "m")]
    with subprocess.Popen(words, cwd=root, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            phase, done, total = line.split()
            if phase == "convert" and int(done) > 0.6 * int(total):
                break
        assert child.poll() is None
        child.kill()
    hub.log.clear()
    folder = converted(tmp_path / "m", SETTINGS)
    assert len(fetches(hub)) <= SHARDS / 2
    assert content(folder) == content(normal(tmp_path / "b", SETTINGS))


def test_what_lies_in_the_cache_of_others_is_used_and_stays(serve: Callable[[str], HubServer], tmp_path: Path) -> None:
    from huggingface_hub import constants, hf_hub_download

    hub = serve("llama")
    shard = f"model-00003-of-{SHARDS:05d}.safetensors"
    hf_hub_download("org/model", shard, cache_dir=constants.HF_HUB_CACHE, endpoint=hub.url)
    hub.log.clear()
    converted(tmp_path / "a", PLAIN)
    assert set(fetches(hub)) == {name for name in files_of("llama") if name.startswith("model-")} - {shard}
    assert in_the_cache_of_others(hub, tmp_path) == [shard]
    normal(tmp_path / "b", PLAIN)  # fetches the rest
    assert not isinstance(sources.open_source(parse("org/model"), discard=True), PassingSource)
    assert len(in_the_cache_of_others(hub, tmp_path)) == SHARDS


def test_shapes_and_single_tensors_without_a_shard(serve: Callable[[str], HubServer]) -> None:
    hub = serve("llama")
    expected = hub_tensors("llama", tiny_model("llama", **SHAPE))
    source = opened()
    assert {name: source.shape(name) for name in source.names()} == {n: t.shape for n, t in expected.items()}
    name = "model.layers.2.self_attn.q_proj.weight"
    np.testing.assert_array_equal(source.tensor(name), expected[name])
    assert fetches(hub) == {}
    assert on_disk() == []
    source.close()
    hub.log.clear()
    again = opened()  # headers are kept
    assert again.shape(name) == expected[name].shape
    assert hub.log == []
    again.close()


def test_what_came_alone_is_checked_when_its_shard_comes(serve: Callable[[str], HubServer]) -> None:
    hub = serve("llama")
    name, shard = "model.layers.0.self_attn.q_proj.weight", f"model-00001-of-{SHARDS:05d}.safetensors"
    expected = hub_tensors("llama", tiny_model("llama", **SHAPE))[name]
    source = opened()
    hub.faults[shard].append(Fault(flip=files_of("llama")[shard].index(expected.tobytes()) + 5))
    assert not np.array_equal(source.tensor(name), expected)
    source.expect([name])
    with pytest.raises(SourceError, match=r"damaged on the way; start again"):
        source.tensor(name)
    source.close()
    again = opened()
    np.testing.assert_array_equal(again.tensor(name), expected)
    again.close()


def test_a_header_damaged_on_the_way_is_read_again(serve: Callable[[str], HubServer]) -> None:
    hub = serve("llama")
    shard = f"model-00002-of-{SHARDS:05d}.safetensors"
    at = files_of("llama")[shard].index(b"model.layers")
    hub.faults[shard].append(Fault(flip=at))
    with pytest.raises(SourceError):
        opened()
    opened().close()


def test_a_long_header_comes_in_two_parts(serve: Callable[[str], HubServer], monkeypatch: pytest.MonkeyPatch) -> None:
    serve("llama")
    monkeypatch.setattr(passing, "_FIRST", 100)
    source = opened()
    expected = hub_tensors("llama", tiny_model("llama", **SHAPE))
    assert set(source.names()) == set(expected)
    source.close()


def test_a_bad_connection_is_borne_in_the_background(
    serve: Callable[[str], HubServer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off, refused, and one shard so often that fetching it ahead gives up."""
    hub = serve("llama")
    source = opened()
    shards = [f"model-{i:05d}-of-{SHARDS:05d}.safetensors" for i in (1, 2, 3)]
    hub.faults[shards[0]].append(Fault(drop=50_000))
    hub.faults[shards[1]].extend(Fault(status=503) for _ in range(download.PATIENCE.attempts))
    hub.faults[shards[2]].append(Fault(flip=99_999))
    folder = convert(source, tmp_path / "a", PLAIN)
    source.close()
    assert all(not hub.faults[shard] for shard in shards)
    assert content(folder) == content(normal(tmp_path / "b", PLAIN))


def test_a_server_without_ranges_is_named(serve: Callable[[str], HubServer]) -> None:
    hub = serve("llama")
    hub.faults[f"model-00001-of-{SHARDS:05d}.safetensors"].append(Fault(ignore_range=True))
    with pytest.raises(NetworkError, match=r"does not serve parts of files.*--discard-source"):
        opened()


def test_one_process_at_a_time(serve: Callable[[str], HubServer]) -> None:
    serve("llama")
    first = opened()
    with pytest.raises(SourceError, match="by another process"):
        opened()
    first.close()
    opened().close()


def test_only_for_the_hub_and_for_plain_weights(serve: Callable[[str], HubServer], hub: HubServer) -> None:
    with pytest.raises(SourceError, match="not a repository of the Hub"):
        sources.open_source(parse("starter"), discard=True)
    serve("llama")
    config = {**json.loads(files_of("llama")["config.json"]), "model_type": "bitnet"}
    config["quantization_config"] = {"quant_method": "bitnet"}
    hub.repos["org/model"].files = {**files_of("llama"), "config.json": json.dumps(config).encode()}
    with pytest.raises(UnsupportedModelError, match="taken over whole"):
        sources.open_source(parse("org/model"), discard=True)


def test_the_command_says_what_it_will_do(
    serve: Callable[[str], HubServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = serve("llama")
    order = pipeline.Order(encoding="i8", out=tmp_path / "a", discard=True)
    console = Console()
    pipeline.make("org/model", order, console)
    said = capsys.readouterr()
    assert "is fetched in parts and not kept" in said.out + said.err
    assert set(fetches(hub).values()) == {1}
    assert on_disk() == []
    hub.log.clear()
    pipeline.make("org/model", order, console)  # there already: no weights are asked for
    assert fetches(hub) == {}
