"""Searching the hub."""

from __future__ import annotations

import pytest

from tests.unit.hub.hub_server import Fault, HubServer, Repo
from tzcore.errors import SourceError
from tzcore.hub.search import Filters, HubModel, search


@pytest.fixture
def full_hub(hub: HubServer) -> HubServer:
    size = {"parameters": {"BF16": 5_000_000}, "total": 5_000_000}
    hub.repos["a/tiny-llama"] = Repo({}, safetensors=size)
    hub.repos["b/large-llama"] = Repo({}, safetensors={"total": 70_000_000_000, "parameters": {}}, gated="manual")
    hub.repos["c/llama-gguf"] = Repo({}, tags=["gguf"])
    hub.repos["d/llama-gptq"] = Repo(
        {}, config={"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}
    )
    hub.repos["e/llama-mamba"] = Repo({}, config={"model_type": "mamba"}, licence="other")
    return hub


def test_hits(full_hub: HubServer) -> None:
    hits = {hit.id: hit for hit in search("llama")}
    assert hits["a/tiny-llama"] == HubModel(
        "a/tiny-llama", 120, 12, 5_000_000, False, "apache-2.0", "llama", supported=True
    )
    assert hits["b/large-llama"].gated
    assert not hits["d/llama-gptq"].supported
    assert (hits["e/llama-mamba"].family, hits["e/llama-mamba"].supported) == ("mamba", False)
    assert hits["e/llama-mamba"].licence == "other"
    assert "c/llama-gguf" not in hits
    query = full_hub.log[0][1]
    assert "pipeline_tag=text-generation" in query
    assert "filter=safetensors" in query


def test_filters(full_hub: HubServer) -> None:
    assert {h.id for h in search("llama", filters=Filters(supported_only=True))} == {"a/tiny-llama", "b/large-llama"}
    assert {h.id for h in search("llama", filters=Filters(max_parameters=10**9))} == {"a/tiny-llama"}
    assert "b/large-llama" not in {h.id for h in search("llama", filters=Filters(open_only=True))}
    assert len(search("llama", limit=1)) == 1
    assert search("nothing of the kind") == []


def test_nonsense_is_refused(full_hub: HubServer) -> None:
    with pytest.raises(SourceError, match="sort"):
        search("x", filters=Filters(sort="beauty"))
    with pytest.raises(SourceError, match="limit"):
        search("x", limit=0)
    assert full_hub.log == []


def test_a_busy_hub_is_asked_again(full_hub: HubServer) -> None:
    full_hub.faults["api"].append(Fault(status=429, headers={"Retry-After": "0"}))
    assert search("tiny")


def test_more_filters(full_hub: HubServer) -> None:
    bitnet = {"model_type": "llama", "quantization_config": {"quant_method": "bitnet"}}
    full_hub.repos["f/llama-packed"] = Repo({}, config=bitnet, licence="mit")
    full_hub.repos["g/TriLM-llama"] = Repo({}, config={"model_type": "llama"}, licence="apache-2.0")
    native = {hit.id: hit.supported for hit in search("llama", filters=Filters(native_only=True))}
    assert native == {"f/llama-packed": True, "g/TriLM-llama": True}
    assert {hit.id for hit in search("llama", filters=Filters(licence="mit"))} == {"f/llama-packed"}
    assert "filter=safetensors&filter=license%3Amit" in full_hub.log[-1][1]


def test_the_next_page(full_hub: HubServer) -> None:
    whole = [hit.id for hit in search("llama", limit=10)]
    assert len(whole) > 2
    assert [hit.id for hit in search("llama", limit=2)] == whole[:2]
    assert [hit.id for hit in search("llama", limit=10, skip=2)] == whole[2:]
    assert search("llama", limit=10, skip=100) == []
    with pytest.raises(SourceError, match="narrower"):
        search("llama", skip=1000)
