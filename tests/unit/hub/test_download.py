"""Repositories into the Hugging Face cache: only what is needed, shared with others, offline afterwards."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tests.unit.hub.model_files import NEEDED, repository_files
from tzcore.errors import Cancelled, NetworkError, SourceError, StorageError, UnsupportedModelError
from tzcore.hub import download, sources
from tzcore.hub.cache import CachedRepository
from tzcore.hub.download import obtain
from tzcore.hub.reference import parse
from tzcore.progress import Progress

SHARD = "model-00001-of-00002.safetensors"


@pytest.fixture
def repo(hub: HubServer) -> Repo:
    hub.repos["org/model"] = Repo(repository_files())
    return hub.repos["org/model"]


def test_only_needed_files_in_the_layout_of_the_cache(hub: HubServer, repo: Repo, tmp_path: Path) -> None:
    reports: list[Progress] = []
    snapshot = obtain("org/model", None, reports.append)
    root = tmp_path / "hf" / "hub" / "models--org--model"
    assert snapshot.folder == root / "snapshots" / repo.commit
    assert {p.name for p in snapshot.folder.iterdir()} == NEEDED
    assert (root / "refs" / "main").read_text() == repo.commit
    for name in NEEDED:
        path = snapshot.folder / name
        assert path.read_bytes() == repo.files[name]
        assert path.is_symlink()
        assert not os.path.isabs(os.readlink(path))
    digest = hashlib.sha256(repo.files[SHARD]).hexdigest()
    assert (snapshot.folder / SHARD).resolve() == (root / "blobs" / digest).resolve()
    assert {p.suffix for p in (root / "blobs").iterdir()} == {""}  # no parts, no notes
    done = [p.done for p in reports if p.phase == "download"]
    assert done == sorted(done)
    assert done[-1] == reports[-1].total == sum(len(repo.files[name]) for name in NEEDED)
    assert hub.served["pytorch_model.bin"] == 0


def test_huggingface_hub_finds_what_we_fetched(hub: HubServer, repo: Repo) -> None:
    from huggingface_hub import constants, hf_hub_download, scan_cache_dir

    snapshot = obtain("org/model", None)
    hub.log.clear()
    cache = constants.HF_HUB_CACHE
    path = hf_hub_download("org/model", SHARD, cache_dir=cache, local_files_only=True)
    assert path == str(snapshot.folder / SHARD)
    assert hub.log == []
    (scanned,) = scan_cache_dir(cache).repos
    assert (scanned.repo_id, scanned.nb_files) == ("org/model", len(NEEDED))
    assert scan_cache_dir(cache).warnings == []


def test_we_find_what_huggingface_hub_fetched(hub: HubServer, repo: Repo) -> None:
    from huggingface_hub import constants, hf_hub_download

    for name in NEEDED:
        hf_hub_download("org/model", name, cache_dir=constants.HF_HUB_CACHE, endpoint=hub.url)
    before = {p: p.stat().st_mtime_ns for p in Path(constants.HF_HUB_CACHE).rglob("*") if p.is_file()}
    hub.log.clear()
    snapshot = obtain("org/model", None)
    assert hub.log == []  # complete in the cache: no request at all
    assert snapshot.repository.commit == repo.commit
    after = {p: p.stat().st_mtime_ns for p in Path(constants.HF_HUB_CACHE).rglob("*") if p.is_file()}
    assert after == before


def test_some_files_of_others_are_used_and_the_rest_fetched(hub: HubServer, repo: Repo) -> None:
    from huggingface_hub import constants, hf_hub_download

    hf_hub_download("org/model", SHARD, cache_dir=constants.HF_HUB_CACHE, endpoint=hub.url)
    hub.served.clear()
    obtain("org/model", None)
    assert hub.served[SHARD] == 0
    assert hub.served["model-00002-of-00002.safetensors"] == len(repo.files["model-00002-of-00002.safetensors"])


def test_the_second_time_needs_no_request_until_asked_to(hub: HubServer, repo: Repo) -> None:
    first = obtain("org/model", "main")
    hub.log.clear()
    assert obtain("org/model", "main") == first
    assert obtain("org/model", None) == first
    assert obtain("org/model", repo.commit) == first
    assert hub.log == []
    repo.commit = "b" * 40
    repo.files["config.json"] = b'{"model_type": "qwen2"}'
    hub.served.clear()
    second = obtain("org/model", None, refresh=True)
    assert second.repository.commit == "b" * 40
    assert {name for name, count in hub.served.items() if count} == {"config.json"}
    assert (first.folder / "config.json").read_bytes() != (second.folder / "config.json").read_bytes()


def test_offline_uses_the_cache_and_says_what_is_missing(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        obtain("org/model", None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    obtain("org/model", None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.log.clear()
    assert obtain("org/model", None, refresh=True).repository.commit == repo.commit
    assert hub.log == []


def test_a_cached_file_that_was_cut_off_is_repaired(hub: HubServer, repo: Repo) -> None:
    snapshot = obtain("org/model", None)
    blob = (snapshot.folder / SHARD).resolve()
    with open(blob, "r+b") as file:
        file.truncate(1000)
    hub.served.clear()
    obtain("org/model", None)
    assert (snapshot.folder / SHARD).read_bytes() == repo.files[SHARD]
    assert sum(hub.served.values()) == len(repo.files[SHARD])


@pytest.mark.parametrize("shared", [False, True])
def test_without_symbolic_links_files_lie_in_the_snapshot(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    from huggingface_hub import constants

    if shared:  # an older commit links to the same blobs already
        obtain("org/model", None)
        repo.commit = "c" * 40
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    snapshot = obtain("org/model", None, refresh=True)
    for name in NEEDED:
        assert not (snapshot.folder / name).is_symlink()
        assert (snapshot.folder / name).read_bytes() == repo.files[name]
    if shared:
        older = CachedRepository.of("org/model").snapshot("a" * 40)
        assert all((older / name).read_bytes() == repo.files[name] for name in NEEDED)
    hub.log.clear()
    assert obtain("org/model", None) == snapshot
    assert hub.log == []


def test_cancelled_and_again(hub: HubServer, repo: Repo) -> None:
    def stop(progress: Progress) -> None:
        if progress.phase == "download" and progress.detail == SHARD:
            raise Cancelled("stopped")

    hub.pace = 0.02  # else the whole shard is in the socket's buffers before it is cancelled
    with pytest.raises(Cancelled):
        obtain("org/model", None, stop)
    hub.pace = 0
    assert download.cached("org/model", None) is None
    obtain("org/model", None)
    assert sum(hub.served.values()) <= sum(len(repo.files[name]) for name in NEEDED) + (1 << 16)


def test_trouble_on_the_way_of_a_whole_repository(hub: HubServer, repo: Repo) -> None:
    hub.faults["api"].extend([Fault(status=503), Fault(status=429, headers={"Retry-After": "0"})])
    hub.faults[SHARD].extend([Fault(drop=50_000), Fault(status=500), Fault(flip=60_000)])
    hub.faults["config.json"].append(Fault(status=429, headers={"Retry-After": "0"}))
    snapshot = obtain("org/model", None)
    assert all((snapshot.folder / name).read_bytes() == repo.files[name] for name in NEEDED)


def test_no_room_is_said_before_the_first_file(hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "free_bytes", lambda folder: 10)
    with pytest.raises(StorageError, match=r"org/model.*HF_HOME"):
        obtain("org/model", None)
    assert not any("/resolve/" in path for _, path, _ in hub.log)


def test_a_shard_that_the_index_names_and_the_repository_lacks(hub: HubServer, repo: Repo) -> None:
    del repo.files["model-00002-of-00002.safetensors"]
    with pytest.raises(SourceError, match="lacks model-00002-of-00002"):
        obtain("org/model", None)


def test_file_names_that_lead_elsewhere(hub: HubServer, repo: Repo) -> None:
    with pytest.raises(SourceError, match="unusable name"):
        CachedRepository.of("org/model").pointer(repo.commit, "../../outside")


def test_open_source_gives_the_weights(hub: HubServer, repo: Repo) -> None:
    source = sources.open_source(parse("org/model"))
    assert (source.id, source.revision, source.licence) == ("org/model", repo.commit, "apache-2.0")
    assert sorted(source.names()) == [f"model.layers.{i}.{x}" for i in (1, 2) for x in "ab"]
    assert source.tensor("model.layers.1.a").shape == source.shape("model.layers.1.a") == (256, 200)
    assert source.bytes() == 4 * 256 * 200 * 4
    assert set(source.files) == {
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    }


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mamba"}, "'mamba' is not supported; supported are"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}, r"already quantised \(gptq\)"),
    ],
)
def test_the_unsupported_is_refused_before_its_weights_are_fetched(
    hub: HubServer, repo: Repo, config: dict[str, object], words: str
) -> None:
    repo.files["config.json"] = json.dumps(config).encode()
    with pytest.raises(UnsupportedModelError, match=words):
        sources.open_source(parse("org/model"))
    assert hub.served[SHARD] == 0
    assert not sources.describe(parse("org/model")).supported


def test_describe_counts_what_is_still_to_come(hub: HubServer, repo: Repo) -> None:
    repo.safetensors = {"parameters": {"F32": 204_800}, "total": 204_800}
    total = sum(len(repo.files[name]) for name in NEEDED)
    info = sources.describe(parse("org/model"))
    assert (info.family, info.supported, info.parameters, info.gated) == ("llama", True, 204_800, False)
    assert (info.revision, info.licence) == (repo.commit, "apache-2.0")
    assert info.download_bytes == total
    assert info.config == {"model_type": "llama", "hidden_size": 48}
    assert sources.describe(parse("org/model")).download_bytes == total - len(repo.files["config.json"])
    obtain("org/model", None)
    hub.log.clear()
    again = sources.describe(parse("org/model"))
    assert (again.download_bytes, again.parameters) == (0, 204_800)
    assert hub.log == []


def test_describe_estimates_parameters_where_the_hub_has_not_counted(hub: HubServer, repo: Repo) -> None:
    assert sources.describe(parse("org/model")).parameters is None
    repo.commit = "d" * 40
    repo.files["config.json"] = b'{"model_type": "llama", "torch_dtype": "float32"}'
    info = sources.describe(parse("org/model@" + repo.commit))
    assert info.approximate
    assert info.parameters == pytest.approx(204_800, rel=0.01)
    assert hub.served[SHARD] == 0
