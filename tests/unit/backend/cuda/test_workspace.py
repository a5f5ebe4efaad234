from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.backend.cuda.shapes import routed, shape, stored
from tests.unit.engine.scripted_model import spec
from tzcore.backend.cuda.arena import Region, aligned
from tzcore.backend.cuda.workspace import KEY_SPLITS, Workspace, workspace_items


def test_the_buffers_of_a_large_model() -> None:
    large = shape("llama-3-70b")
    found = dict(workspace_items(large, 512, stored(large)))
    assert found["x"] == 4 * 512 * 8192
    assert found["parts"] == 4 * 512 * 2 * 28672  # gate and up of a chunk
    assert found["codes"] == 512 * 28672
    assert found["factors"] == 8 * 512 * 28672 // 64
    assert found["q"] == 2 * 512 * 64 * 128
    assert found["acc"] == 4 * 512 * 64 * 128
    assert found["stats"] == 8 * 512 * 64
    assert found["angles"] == 4 * 512 * 64 * 2
    assert found["logits"] == 4 * 8 * 128256
    assert found.keys().isdisjoint({"hi", "lo", "plain", "chosen"})


def test_splits_of_the_keys_are_more_than_a_short_chunk() -> None:
    small = spec()
    found = dict(workspace_items(small, 64, stored(small)))
    assert found["acc"] == 4 * KEY_SPLITS * 8 * 4 * 64
    assert found["stats"] == 8 * KEY_SPLITS * 8 * 4


def test_few_tokens_of_a_wide_head_are_the_largest_product() -> None:
    small = spec(vocabulary=1001)
    assert dict(workspace_items(small, 16, stored(small)))["parts"] == 4 * 8 * 8 * 1008


def test_halves_need_their_inputs_as_halves() -> None:
    small = spec()
    plain = dict(workspace_items(small, 64, stored(small)))
    head = dict(workspace_items(small, 64, stored(small, ends="f16")))
    whole = dict(workspace_items(small, 64, stored(small, fmt="f16")))
    assert "hi" not in plain
    assert head["hi"] == head["lo"] == 2 * 8 * 128  # a row of the head's input, few tokens
    assert whole["hi"] == 2 * 64 * 128
    assert whole["plain"] == 4 * 64 * 128
    assert dict(workspace_items(small, 64)) == {**whole, "hi": 2 * 64 * 128, "lo": 2 * 64 * 128}


def test_inputs_that_are_looked_at_as_a_whole() -> None:
    small = spec()
    assert "plain" not in dict(workspace_items(small, 64, stored(small)))
    by_token = replace(small, activations="token")
    assert dict(workspace_items(by_token, 64, stored(small)))["plain"] == 4 * 64 * 128
    sub = replace(small, layers=(replace(small.layers[0], attention_sub_norm="norm"),))
    assert dict(workspace_items(sub, 64, stored(small)))["plain"] == 4 * 64 * 64


def test_experts_have_a_row_each() -> None:
    small = routed(experts=9, active=4)
    found = dict(workspace_items(small, 64, stored(small)))
    assert found["codes"] == 64 * 4 * 128  # inputs of four experts' down
    assert found["chosen"] == found["shares"] == 4 * 64 * 4
    assert found["mixed"] == 4 * 64 * 64
    assert found["hi"] == 2 * 64 * 128  # the router is stored as halves
    assert found["parts"] == 4 * max(8 * 8 * 4 * 2 * 96, 64 * 4 * 2 * 96)


@pytest.mark.parametrize("chunk", [1, 8, 16, 512])
def test_the_list_is_what_is_taken(chunk: int) -> None:
    small = routed()
    matrices = stored(small, rotated=False)
    items = workspace_items(small, chunk, matrices)
    size = sum(aligned(count) for _, count in items)
    region = Region("workspace", 1 << 20, size)
    workspace = Workspace(region, small, chunk, matrices)
    assert region.used == size
    places = [workspace[name] for name, _ in items]
    assert places == sorted(places)
    assert places[0] == 1 << 20
    assert workspace.get("plain") == 0
    assert workspace.get("x") == workspace["x"]
