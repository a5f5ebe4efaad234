"""Granite 3.x: Llama with four multipliers: of the embedding, the scores, each sub-layer and the logits."""

from __future__ import annotations

from tzcore.architecture.config import Config
from tzcore.architecture.llama import like_llama
from tzcore.architecture.spec import ModelSpec
from tzcore.architecture.tensors import Tensors


def spec(config: Config, tensors: Tensors, context: int | None) -> ModelSpec:
    """Read the configuration; defaults are those of transformers' ``GraniteConfig``."""
    return like_llama(
        config,
        tensors,
        context,
        embedding_scale=config.number("embedding_multiplier", 1.0),
        residual_multiplier=config.number("residual_multiplier", 1.0),
        attention_scale=config.number("attention_multiplier", 1.0),
        logit_multiplier=1 / config.number("logits_scaling", 1.0),
    )
