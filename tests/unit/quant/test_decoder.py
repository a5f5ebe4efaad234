"""The torch block against transformers, for every family, and stage by stage against itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.parity import round_inputs
from tests.tiny_models import FAMILIES, VOCABULARY, tiny_source
from tzcore.architecture.registry import read_spec
from tzcore.architecture.spec import MatrixRef
from tzcore.quant import decoder
from tzcore.quant.originals import Originals, layer_vectors


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tokens", [1, 40, 61])
def test_logits_are_those_of_transformers(family: str, tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "QUERY_CHUNK", 16)  # so that a short text spans several
    source = tiny_source(family, seed=3)
    spec = read_spec(source.config, set(source.names()), context=tokens)
    originals = Originals(source, spec)
    if spec.activations == "token":
        for ref in (ref for layer in spec.layers for stage in layer.stages() for ref in stage):
            round_inputs(source.model, ref.name)
    ids = np.random.default_rng(0).integers(0, VOCABULARY, (2, tokens))
    with torch.inference_mode():
        expected = source.model(torch.from_numpy(ids)).logits
        x = torch.from_numpy(originals.matrix(spec.embedding.name)[ids]) * spec.embedding_scale
        for index, layer in enumerate(spec.layers):
            weights = {n: originals.matrix_tensor(n) for n in layer.names()}
            vectors = {n: torch.from_numpy(originals.vector(n)) for n in layer_vectors(spec, index)}

            def matrices(ref: MatrixRef, weights: dict[str, torch.Tensor] = weights) -> torch.Tensor:
                return weights[ref.name][ref.start : ref.start + ref.rows]

            x = decoder.Block(spec, index, vectors).forward(x, matrices)
        head = originals.matrix_tensor(spec.head.name)
        found = decoder.logits(x, torch.from_numpy(originals.vector(spec.final_norm)), head, spec)
    assert found.shape == expected.shape
    # Where inputs are rounded, a sum in another order now and then tips one to the next integer.
    limit = 0.02 if spec.activations == "token" else 2e-4
    assert (found - expected).abs().max() < limit * expected.abs().max()
