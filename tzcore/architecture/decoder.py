"""Builds a ModelSpec under the tensor names that Llama made the standard.

The families differ in a handful of features; each family's file states its own and calls
:func:`build`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tzcore.architecture.config import Config
from tzcore.architecture.spec import Expert, LayerSpec, MatrixRef, ModelSpec, Rope, Router
from tzcore.architecture.tensors import Tensors

MOST_LAYERS = 1000
MOST_EXPERTS = 1000
"""Far above any model; a damaged file must not make us describe billions of layers or experts."""


@dataclass(frozen=True)
class Size:
    """The dimensions every family states under the same keys."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int


def read_size(
    config: Config,
    *,
    hidden: int,
    intermediate: int,
    layers: int,
    heads: int,
    kv_heads: int | None,
    vocabulary: int,
    head_dim: int | None = None,
) -> Size:
    """Read the dimensions; the arguments are the family's defaults.

    ``kv_heads`` and ``head_dim`` of ``None`` mean "as many as heads" and "hidden / heads".
    """
    width = config.integer("hidden_size", hidden)
    queries = config.integer("num_attention_heads", heads)
    size = Size(
        hidden=width,
        intermediate=config.integer("intermediate_size", intermediate),
        layers=config.integer("num_hidden_layers", layers),
        heads=queries,
        # An explicit null means "as many as heads" whatever the default is.
        kv_heads=config.optional_integer("num_key_value_heads", kv_heads) or queries,
        head_dim=config.optional_integer("head_dim", head_dim) or width // queries,
        vocabulary=config.integer("vocab_size", vocabulary),
    )
    if size.layers > MOST_LAYERS:
        raise config.refuse("num_hidden_layers", size.layers, f"is more than {MOST_LAYERS}")
    if size.heads % size.kv_heads:
        raise config.refuse("num_key_value_heads", size.kv_heads, f"does not divide {size.heads} heads")
    if size.head_dim % 2:
        raise config.refuse("head_dim", size.head_dim, "is odd, so that no rotary embedding fits")
    return size


def windows(config: Config, kinds: list[str], window: int | None) -> tuple[int | None, ...]:
    """Each layer's attention window from its kind in ``layer_types``."""
    known = {"full_attention": None, "sliding_attention": window}
    for kind in kinds:
        if kind not in known:
            raise config.refuse("layer_types", kind)
        if kind == "sliding_attention" and window is None:
            raise config.refuse("layer_types", kind, "needs a sliding_window, and there is none")
    return tuple(known[kind] for kind in kinds)


def layer_kinds(config: Config, layers: int, default: list[str]) -> list[str]:
    """The configuration's ``layer_types``, or ``default`` where it has none."""
    kinds = config.get("layer_types")
    if kinds is None:
        return default
    if not isinstance(kinds, list) or len(kinds) != layers or not all(isinstance(k, str) for k in kinds):
        raise config.refuse("layer_types", kinds, f"is not a list of {layers} names")
    return kinds


@dataclass(frozen=True)
class Mixture:
    """How a family stores its experts: the router is ``<block>.gate`` of a layer, expert ``n`` has
    ``<block>.experts.n.<part>`` with ``parts`` in the order gate, up, down.  ``sparse`` says of every
    layer whether it has them (else it is dense); ``width`` is the experts' intermediate size."""

    block: str
    parts: tuple[str, str, str]
    sparse: tuple[bool, ...]
    experts: int
    active: int
    normalise: bool
    width: int


def active_experts(config: Config, experts: int, default: int) -> int:
    """``num_experts_per_tok``, at most as many as there are; refuses more experts than sensible."""
    if experts > MOST_EXPERTS:
        raise config.refuse("num_experts", experts, f"is more than {MOST_EXPERTS}")
    active = config.integer("num_experts_per_tok", default)
    if active > experts:
        raise config.refuse("num_experts_per_tok", active, f"is more than the {experts} experts")
    return active


def build(
    config: Config,
    tensors: Tensors,
    size: Size,
    *,
    ropes: tuple[Rope, ...],
    windows: tuple[int | None, ...],
    max_context: int,
    norm_eps: float,
    activation: str,
    tied: bool,
    rope_of_layer: tuple[int | None, ...] | None = None,
    qkv_bias: bool = False,
    o_bias: bool = False,
    mlp_bias: bool = False,
    qk_norm: bool = False,
    fused: bool = False,
    sub_norms: bool = False,
    sandwich_norms: bool = False,
    norm_offset: float = 0.0,
    embedding_scale: float = 1.0,
    residual_multiplier: float = 1.0,
    attention_scale: float | None = None,
    attention_softcap: float | None = None,
    logit_multiplier: float = 1.0,
    logit_softcap: float | None = None,
    mixture: Mixture | None = None,
) -> ModelSpec:
    """The spec of a decoder with these features; checks the tensor names.

    ``fused``: ``qkv_proj`` and ``gate_up_proj`` (Phi-3).  ``sub_norms``: a norm before o and down,
    under BitNet's names.  ``sandwich_norms``: a norm behind each sub-layer too, under Gemma's names.
    ``attention_scale`` defaults to 1/√head_dim.
    """
    embedding = tensors.matrix("embed_tokens", size.vocabulary, size.hidden)
    layers = []
    for i in range(size.layers):
        base, attention, mlp = f"layers.{i}.", f"layers.{i}.self_attn.", f"layers.{i}.mlp."
        q, k, v = _qkv(tensors, attention, size, fused)
        routed = mixture if mixture is not None and mixture.sparse[i] else None
        bias = [tensors.vector(f"{attention}{p}_proj.bias") if qkv_bias else None for p in "qkv"]
        norm = [tensors.vector(f"{attention}{p}_norm.weight") if qk_norm else None for p in "qk"]
        after = tensors.vector(f"{base}post_attention_layernorm.weight")
        layers.append(
            LayerSpec(
                input_norm=tensors.vector(f"{base}input_layernorm.weight"),
                q=q,
                k=k,
                v=v,
                o=tensors.matrix(f"{attention}o_proj", size.hidden, size.heads * size.head_dim),
                q_bias=bias[0],
                k_bias=bias[1],
                v_bias=bias[2],
                o_bias=tensors.vector(f"{attention}o_proj.bias") if o_bias else None,
                q_norm=norm[0],
                k_norm=norm[1],
                attention_sub_norm=tensors.vector(f"{attention}attn_sub_norm.weight") if sub_norms else None,
                # The same name is the norm before the MLP in Llama, behind attention in Gemma.
                post_attention_norm=after if sandwich_norms else None,
                mlp_norm=tensors.vector(f"{base}pre_feedforward_layernorm.weight") if sandwich_norms else after,
                experts=_experts(tensors, base, size, routed)
                if routed
                else (_dense(tensors, mlp, size, fused, mlp_bias),),
                router=_router(tensors, base, size, routed) if routed else None,
                mlp_sub_norm=tensors.vector(f"{mlp}ffn_sub_norm.weight") if sub_norms else None,
                post_mlp_norm=tensors.vector(f"{base}post_feedforward_layernorm.weight") if sandwich_norms else None,
                window=windows[i],
                rope=rope_of_layer[i] if rope_of_layer else 0,
            )
        )
    final_norm = tensors.vector("norm.weight")
    head = embedding if tied else tensors.head(size.vocabulary, size.hidden)
    tensors.check()
    return ModelSpec(
        family=config.family,
        hidden=size.hidden,
        intermediate=max(layer.experts[0].gate.rows for layer in layers),
        heads=size.heads,
        kv_heads=size.kv_heads,
        head_dim=size.head_dim,
        vocabulary=size.vocabulary,
        max_context=max_context,
        norm_eps=norm_eps,
        norm_offset=norm_offset,
        embedding_scale=embedding_scale,
        residual_multiplier=residual_multiplier,
        attention_scale=size.head_dim**-0.5 if attention_scale is None else attention_scale,
        attention_softcap=attention_softcap,
        logit_multiplier=logit_multiplier,
        logit_softcap=logit_softcap,
        activation=activation,
        activations="group",
        embedding=embedding,
        final_norm=final_norm,
        head=head,
        layers=tuple(layers),
        ropes=ropes,
    )


def _qkv(tensors: Tensors, base: str, size: Size, fused: bool) -> tuple[MatrixRef, ...]:
    rows = (size.heads * size.head_dim, size.kv_heads * size.head_dim, size.kv_heads * size.head_dim)
    if fused:
        return tensors.split(f"{base}qkv_proj", size.hidden, *rows)
    return tuple(tensors.matrix(f"{base}{p}_proj", r, size.hidden) for p, r in zip("qkv", rows, strict=True))


def _dense(tensors: Tensors, base: str, size: Size, fused: bool, bias: bool) -> Expert:
    """The one MLP of a layer without a router."""
    wide, hidden = size.intermediate, size.hidden
    if fused:
        gate, up = tensors.split(f"{base}gate_up_proj", hidden, wide, wide)
    else:
        gate, up = (tensors.matrix(f"{base}{p}_proj", wide, hidden) for p in ("gate", "up"))
    down = tensors.matrix(f"{base}down_proj", hidden, wide)
    return Expert(gate, up, down, *(tensors.vector(f"{base}{p}_proj.bias") for p in ("gate", "up", "down") if bias))


def _experts(tensors: Tensors, base: str, size: Size, mixture: Mixture) -> tuple[Expert, ...]:
    gate, up, down = mixture.parts
    found = []
    for n in range(mixture.experts):
        expert = f"{base}{mixture.block}.experts.{n}."
        found.append(
            Expert(
                gate=tensors.matrix(expert + gate, mixture.width, size.hidden),
                up=tensors.matrix(expert + up, mixture.width, size.hidden),
                down=tensors.matrix(expert + down, size.hidden, mixture.width),
            )
        )
    return tuple(found)


def _router(tensors: Tensors, base: str, size: Size, mixture: Mixture) -> Router:
    matrix = tensors.matrix(f"{base}{mixture.block}.gate", mixture.experts, size.hidden)
    return Router(matrix, mixture.active, mixture.normalise)
