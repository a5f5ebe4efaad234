"""PyTorch in bfloat16 as :mod:`worker` wants it."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import torch


@torch.inference_mode()
def matmul(rows: int, cols: int, kind: str, tokens: int, threads: int, least: int) -> Any:
    """Seconds and bytes of one product."""
    del kind, least
    torch.set_num_threads(threads)
    x, weight = torch.randn(tokens, cols).bfloat16(), torch.randn(rows, cols).bfloat16()
    torch.nn.functional.linear(x, weight)
    began = time.perf_counter()
    for _ in range(4):
        torch.nn.functional.linear(x, weight)
    return {"seconds": (time.perf_counter() - began) / 4, "bytes": weight.numel() * 2}


@cache
def _model(config: str) -> Any:
    """A model of this ``config.json`` with weights that nobody trained: speed does not depend on them."""
    import json

    from transformers import AutoConfig, AutoModelForCausalLM

    facts = json.loads(config)
    with torch.device("meta"):
        made = AutoModelForCausalLM.from_config(AutoConfig.for_model(**facts), dtype=torch.bfloat16)
    made = made.to_empty(device="cpu").eval()
    for values in (*made.parameters(), *made.buffers()):
        values.data.fill_(0.01)
    return made


@torch.inference_mode()
def model(path: str, threads: int, prompt: int, tokens: int) -> Any:
    """Seconds of ``prompt`` tokens at once; ``path`` is the text of a ``config.json``."""
    del tokens
    torch.set_num_threads(threads)
    ids = torch.arange(prompt).remainder(1000)[None] + 1
    began = time.perf_counter()
    _model(path)(ids, use_cache=True, logits_to_keep=1)
    return {"prefill": time.perf_counter() - began, "decode": 0.0}
