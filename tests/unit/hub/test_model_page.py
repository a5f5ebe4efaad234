"""A model's page: metadata and card, and not one byte more."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.unit.hub import conftest
from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tests.unit.hub.model_files import CONFIG, repository_files
from tzcore.errors import AccessError, NetworkError, SourceError
from tzcore.hub import model_page as pages
from tzcore.hub import sources
from tzcore.hub.model_page import model_page, without_head
from tzcore.hub.reference import parse

hub = conftest.hub


def tree_hash(folder: Path) -> str:
    """Names, contents and links of everything below."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(str(path.readlink()).encode() if path.is_symlink() else b"")
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def test_a_page(hub: HubServer) -> None:
    hub.repos["org/model"] = Repo(repository_files(), licence="mit", config=json.loads(CONFIG))
    page = model_page(parse("org/model"))
    assert (page.id, page.licence, page.family, page.supported) == ("org/model", "mit", "llama", True)
    assert (page.downloads, page.likes) == (90, 9)
    assert page.card == "# model"
    assert page.address == f"{hub.url}/org/model"
    assert page.access is None
    needed = [file.name for file in page.files if file.needed]
    assert needed[0].endswith(".safetensors")
    assert "pytorch_model.bin" in [file.name for file in page.files if not file.needed]
    assert not any(name.endswith(".safetensors") for name in hub.served)
    assert json.loads(json.dumps(page.as_json()))["card"] == "# model"


def test_a_gated_one_can_be_read_about(hub: HubServer) -> None:
    config = json.loads(CONFIG)
    hub.repos["org/gated"] = Repo(repository_files(), gated="manual", allowed=("good-token",), config=config)
    page = model_page(parse("org/gated"))
    assert (page.gated, page.access, page.family) == (True, False, "llama")
    assert page.card == ""
    assert "gated" in page.card_note
    assert model_page(parse("org/gated"), token="good-token").access is True


def test_what_is_of_no_use_says_why(hub: HubServer) -> None:
    hub.repos["org/ggufs"] = Repo({"README.md": b"# text", "a.gguf": b"x"})
    page = model_page(parse("org/ggufs"))
    assert not page.supported
    assert "GGUF files only" in page.why
    assert page.card == "# text"
    files = repository_files() | {"config.json": b'{"model_type": "mamba"}'}
    hub.repos["org/mamba"] = Repo(files, config={"model_type": "mamba"})
    page = model_page(parse("org/mamba"))
    assert "'mamba' is not supported" in page.why


def test_a_card_is_limited_and_need_not_be_text(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LONGEST_CARD", 1000)
    hub.repos["org/long"] = Repo(repository_files() | {"README.md": b"x" * 5000})
    page = model_page(parse("org/long"))
    assert (len(page.card), page.card_note) == (1000, "only its beginning is shown")
    hub.repos["org/binary"] = Repo(repository_files() | {"README.md": bytes(range(256))})
    assert "\ufffd" in model_page(parse("org/binary")).card
    hub.repos["org/none"] = Repo({name: data for name, data in repository_files().items() if name != "README.md"})
    assert model_page(parse("org/none")).card_note == "it has none"


def test_a_card_that_does_not_come_leaves_the_rest(hub: HubServer) -> None:
    hub.repos["org/model"] = Repo(repository_files())
    hub.faults["README.md"].extend(Fault(status=500) for _ in range(9))
    page = model_page(parse("org/model"))
    assert page.supported
    assert page.card == ""
    assert page.card_note


def test_refusals_are_the_hubs(hub: HubServer) -> None:
    with pytest.raises(SourceError, match="no model org/nothing"):
        model_page(parse("org/nothing"))
    hub.faults["api"].extend(Fault(status=429, headers={"Retry-After": "0"}) for _ in range(9))
    with pytest.raises(NetworkError, match="too many requests"):
        model_page(parse("org/model"))
    hub.repos["org/model"] = Repo(repository_files())
    with pytest.raises(AccessError, match="does not know the token"):
        model_page(parse("org/model"), token="mistyped")


def test_a_local_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name, data in repository_files(1).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    page = model_page(parse(str(folder)))
    assert (page.kind, page.licence, page.card, page.downloads) == ("folder", "mit", "# model", None)
    assert [file.name for file in page.files] == ["model.safetensors"]


def test_heads_of_cards() -> None:
    assert without_head("---\nlicense: mit\n---\n\nText") == "Text"
    assert without_head("---\nnever closed") == "---\nnever closed"
    assert without_head("\ufeff---\r\na: b\r\n---\r\nText") == "Text"


def test_what_others_keep_in_the_cache_is_used_and_never_changed(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["org/model"] = Repo(repository_files(1), config=json.loads(CONFIG))
    sources.open_source(parse("org/model")).close()
    cache = tmp_path / "hf" / "hub"
    before = tree_hash(cache)
    served = sum(hub.served.values())
    info = sources.describe(parse("org/model"))
    assert info.download_bytes == 0
    assert info.total_bytes
    assert sources.open_source(parse("org/model")).id == "org/model"
    assert sum(hub.served.values()) == served
    model_page(parse("org/model"))
    assert tree_hash(cache) == before
