"""Tiny natively ternary checkpoints in the formats that such models are published in.

``bitnet`` folders are written by transformers itself (its layers, its packing, its
``save_pretrained``), GGUF files by the ``gguf`` package; the block formats which that package does
not write are packed here, element by element as their definitions go.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import numpy.typing as npt
import pytest
import torch
import transformers
from transformers.integrations import bitnet

from tests.tiny_models import TinySource, tiny_model, tiny_source, write_small_files
from tests.unit.hub.gguf_writing import write_gguf

Floats = npt.NDArray[np.float32]

torch.compiler.set_stance("force_eager")  # transformers compiles its bitnet layers; that needs a C compiler

Form = Literal["bitlinear", "autobitlinear", "unpacked", "online"]
FORMS: tuple[Form, ...] = ("bitlinear", "autobitlinear", "unpacked", "online")
"""``unpacked`` is ``autobitlinear`` offline with the codes as floating-point numbers."""


def ternary(rng: np.random.Generator, shape: tuple[int, int], scales: npt.NDArray[Any]) -> Floats:
    """Random codes, a third of them 0, times ``scales``, which is broadcast to runs of columns and rows."""
    rows, cols = shape
    wide = np.kron(scales, np.ones((rows // scales.shape[0], cols // scales.shape[1]), np.float32))
    return (rng.integers(-1, 2, shape) * wide).astype(np.float32)


# --- transformers ------------------------------------------------------------------------------


def bitnet_model(folder: Path, form: Form, family: str = "llama", dtype: str = "float32", **changes: Any) -> Any:
    """A ``bitnet`` checkpoint of random masters in ``folder``; the transformers model that it was saved from.

    The model computes in float32; what is stored in a shorter ``dtype`` is exact in it.
    """
    model = tiny_model(family, **changes)
    kind = getattr(torch, dtype)
    masters = {name: value.detach().to(kind) for name, value in model.named_parameters()}
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(masters[name])
    settings = transformers.BitNetQuantConfig(
        linear_class="bitlinear" if form == "bitlinear" else "autobitlinear",
        quantization_mode="online" if form == "online" else "offline",
    )
    bitnet.replace_with_bitnet_linear(model, ["lm_head"], settings)
    for name, module in model.named_modules():
        if isinstance(module, bitnet.BitLinear | bitnet.AutoBitLinear):
            _fill(module, masters[f"{name}.weight"], form)
    model.config.quantization_config = settings
    model.config.dtype = kind
    copy.deepcopy(model).to(kind).save_pretrained(folder)
    if form == "autobitlinear":
        _pack(folder)
    write_small_files(folder)
    return model


def _fill(module: Any, master: torch.Tensor, form: Form) -> None:
    """Put what the checkpoint stores of ``master`` into the layer."""
    wide = master.float()
    scale = 1.0 / wide.abs().mean().clamp(min=1e-5)
    codes = (wide * scale).round().clamp(-1, 1)
    stored = (scale if form == "bitlinear" else 1 / scale).to(master.dtype).float()
    if form == "bitlinear":
        module.weight, module.weight_scale = bitnet.pack_weights(codes.clone()), stored[None]
        return
    with torch.no_grad():
        if form == "online":
            module.weight.data = wide
        else:
            module.weight.data, module.weight_scale = codes, stored[None]


def _pack(folder: Path) -> None:
    """Codes as the published offline checkpoints have them; transformers itself saves them unpacked again."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    for name in [name.removesuffix("_scale") for name in tensors if name.endswith(".weight_scale")]:
        tensors[name] = bitnet.pack_weights(tensors[name].float())
    save_file(tensors, path, {"format": "pt"})


def use_masters_as(model: Any, dtype: str) -> None:
    """Let an ``online`` model compute in float32 with weights as quantised in ``dtype``."""
    for module in model.modules():
        if isinstance(module, bitnet.AutoBitLinear):
            with torch.no_grad():
                weights = bitnet.WeightQuant.apply(module.weight.to(getattr(torch, dtype))).float()
                module.weight.copy_(weights)
            module.online_quant, module.weight_scale = False, torch.ones(1)


# --- plain numbers -----------------------------------------------------------------------------

Layout = Literal["matrix", "row", "rows", "columns"]
"""One scale for a matrix, for each row, for each of two runs of rows, or for each 64 columns of a row."""


def ternary_source(
    layout: Layout, family: str = "llama", dtype: str = "float16", seed: int = 0, **changes: Any
) -> TinySource:
    """A model whose projections are exactly {0, ±s} in ``dtype``, as TriLM's are."""
    source = tiny_source(family, seed, **changes)
    rng = np.random.default_rng(seed)
    for name in source.names():
        put(source, name, torch.from_numpy(source.tensor(name)).to(getattr(torch, dtype)).float().numpy())
        if "_proj." in name:
            rows, cols = source.shape(name)
            count = {"matrix": (1, 1), "row": (rows, 1), "rows": (2, 1), "columns": (rows, cols // 64)}[layout]
            scales = torch.from_numpy(rng.uniform(0.02, 0.2, count)).to(getattr(torch, dtype)).float().numpy()
            put(source, name, ternary(rng, (rows, cols), scales))
    return source


def put(source: TinySource, name: str, values: Floats) -> None:
    """Replace a tensor of the source and of its model."""
    source._tensors[name] = values
    with torch.no_grad():
        source.model.state_dict()[name].copy_(torch.from_numpy(values))


def save_folder(source: TinySource, folder: Path, dtype: str) -> None:
    """The source as a Hugging Face folder in ``dtype``."""
    kind = getattr(torch, dtype)
    source.model.config.dtype = kind
    copy.deepcopy(source.model).to(kind).save_pretrained(folder)
    write_small_files(folder)


# --- GGUF --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A block format: ggml's number, and how many weights share a scale."""

    name: str
    number: int
    span: int
    stages: tuple[int, ...] = ()
    last: int = 0


KINDS = {
    "TQ1_0": Kind("TQ1_0", 34, 256, (32, 16), 4),
    "TQ2_0": Kind("TQ2_0", 35, 256),
    "Q2_0 g64": Kind("Q2_0", 42, 64),
    "Q2_0 g128": Kind("Q2_0", 42, 128),
    "PQ2_0": Kind("PQ2_0", 142, 128),
    "PTQ1_0": Kind("PTQ1_0", 143, 128, (16, 8), 2),
}


def pack_blocks(weights: Floats, kind: Kind) -> npt.NDArray[np.uint8]:
    """``weights`` ``[rows, cols]``, exactly {0, ±s} in each block, as the bytes ``[rows, …]`` of ``kind``."""
    packed = [_block(block, kind) for block in weights.reshape(-1, kind.span)]
    return np.frombuffer(b"".join(packed), np.uint8).reshape(len(weights), -1)


def _block(values: Floats, kind: Kind) -> bytes:
    digits = [int(digit) for digit in np.sign(values) + 1]
    scale = np.float16(np.abs(values).max()).tobytes()
    if kind.stages:
        return _base3(digits, kind) + scale
    out = bytearray(len(digits) // 4)
    if kind.name == "TQ2_0":
        for half in (0, 1):
            for place in range(4):
                for m in range(32):
                    out[32 * half + m] |= digits[128 * half + 32 * place + m] << (2 * place)
        return bytes(out) + scale
    for j, digit in enumerate(digits):
        out[j // 4] |= digit << (j % 4 * 2)
    return scale + bytes(out)


def _base3(digits: list[int], kind: Kind) -> bytes:
    left, out = iter(digits), bytearray()
    for width, count in [*((width, 5) for width in kind.stages), (kind.last, 4)]:
        rows = [[next(left) for _ in range(width)] for _ in range(count)]
        for m in range(width):
            value = 0
            for row in rows:
                value = 3 * value + row[m]
            out.append(-(-256 * value * 3 ** (5 - count) // 243))
    return bytes(out)


def ternary_gguf(path: Path, kind: str, family: str = "qwen3", ends: bool = True, **changes: Any) -> TinySource:
    """A GGUF file with random ternary weights in the format ``KINDS[kind]``; what it was written from.

    With ``ends`` embedding and head are ternary too, otherwise float16.  ``changes`` with a ``.`` in
    their names are metadata of the file, the others settings of the model.
    """
    form = KINDS[kind]
    metadata = {key: value for key, value in changes.items() if "." in key}
    settings = {key: value for key, value in changes.items() if "." not in key}
    shape = {"hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 4, "head_dim": 64}
    source = tiny_source(family, **(shape | settings))
    rng = np.random.default_rng(1)
    chosen = {name for name in source.names() if "_proj." in name or (ends and len(source.shape(name)) == 2)}
    for name in sorted(chosen):
        rows, cols = source.shape(name)
        scales = rng.uniform(0.02, 0.2, (rows, cols // form.span)).astype(np.float16)
        put(source, name, ternary(rng, (rows, cols), scales.astype(np.float32)))

    def packed(name: str, values: Floats) -> npt.NDArray[np.uint8] | None:
        return pack_blocks(values, form) if name in chosen else None

    with pytest.MonkeyPatch.context() as patch:  # the package knows the sizes of upstream's formats alone
        size = pack_blocks(np.zeros((1, form.span), np.float32), form).nbytes
        patch.setitem(gguf.GGML_QUANT_SIZES, form.number, (form.span, size))
        write_gguf(path, family, source, "F16", (form.number, packed), **metadata)
    return source
