"""Rotary position embedding: inverse frequencies for every scaling the supported families use.

With ``d`` rotated elements and base ``b`` the plain frequencies are ``b^(−2i/d)``,
i = 0 … d/2−1 (Su et al., *RoFormer*, 2021, section 3.2.2).  The scalings:

* ``linear``: all divided by ``factor`` (Chen et al., *Extending Context Window via Positional
  Interpolation*, 2023).
* ``dynamic``: for a context L beyond the trained length T the base becomes
  ``b·(f·L/T − (f−1))^(d/(d−2))`` ("dynamic NTK"; written down in Peng et al., *YaRN*, 2023,
  section 3.3 and appendix).
* ``yarn``: interpolates low frequencies by ``factor``, keeps high ones, with a linear ramp
  between the dimensions that turn ``beta_slow`` and ``beta_fast`` times in the trained length,
  and multiplies cos and sin by ``0.1·ln(factor) + 1`` (Peng et al., 2023, sections 3.2–3.4).
* ``longrope``: each frequency divided by its own ``short_factor`` or ``long_factor``; cos and
  sin multiplied by ``√(1 + ln(factor)/ln(T))`` (Ding et al., *LongRoPE*, 2024; Phi-3 report).
* ``llama3``: wavelengths under ``T/high_freq_factor`` are kept, those over
  ``T/low_freq_factor`` stretched by ``factor``, in between blended (Llama 3.1 model code).

``dynamic`` and ``longrope`` depend on the length of the text.  A running cache cannot change
its frequencies, so they are chosen once, for the planned context.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.architecture.config import Config
from tzcore.architecture.spec import Rope
from tzcore.errors import UnsupportedModelError

TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")

Doubles = npt.NDArray[np.float64]


def rope_parameters(config: Config, aliases: dict[str, str] | None = None, base: float = 10_000.0) -> dict[str, Any]:
    """The rotary settings of a model with one kind of layers, in transformers 5's form.

    Accepts that form (``rope_parameters``) and the older ``rope_theta`` with ``rope_scaling``.
    ``aliases``: names of types that mean another one in this family.  ``base``: the family's ``rope_theta``.
    """
    merged = dict(table(config, "rope_parameters"))
    if any(isinstance(value, dict) for value in merged.values()):
        raise config.refuse("rope_parameters", merged, "differs by layer type, which this family does not know")
    scaling = table(config, "rope_scaling")
    if scaling:  # where a file has both, transformers lets the older key win
        merged = dict(scaling)
    if merged.get("rope_theta") is None:
        merged["rope_theta"] = config.number("rope_theta", base)
    if merged.get("partial_rotary_factor") is None:
        merged["partial_rotary_factor"] = config.number("partial_rotary_factor", 1.0)
    kind = merged.get("rope_type") or merged.get("type") or "default"
    merged["rope_type"] = (aliases or {}).get(kind, kind) if isinstance(kind, str) else kind
    return complete(config, merged)


def plain_rope_parameters(config: Config, base: float = 10_000.0) -> dict[str, Any]:
    """:func:`rope_parameters` of a family that rotates whole heads; refuses a partial rotation."""
    parameters = rope_parameters(config, base=base)
    if parameters["partial_rotary_factor"] != 1:
        raise config.refuse("partial_rotary_factor", parameters["partial_rotary_factor"])
    return parameters


def complete(config: Config, parameters: dict[str, Any]) -> dict[str, Any]:
    """``parameters`` with ``rope_type`` and, where the type needs it, the trained length."""
    filled = dict(parameters)
    kind = filled.get("rope_type") or filled.get("type") or "default"
    filled["rope_type"] = kind
    if kind not in TYPES:
        raise config.refuse("rope_type", kind, f"is not supported; supported are {', '.join(TYPES)}")
    outside = config.optional_integer("original_max_position_embeddings", None)
    if outside is not None:
        filled["original_max_position_embeddings"] = outside
    return filled


def table(config: Config, key: str) -> dict[str, Any]:
    """The table under ``key``, empty where there is none."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise config.refuse(key, value, "is not a table")
    return value


def longest_context(parameters: dict[str, Any], max_position: int) -> int:
    """The longest context the scaling is meant for.

    ``max_position_embeddings`` usually states the stretched length; files for ``dynamic`` and
    many for ``yarn`` state the trained one and leave the stretching to ``factor``.
    """
    kind = parameters["rope_type"]
    if kind == "dynamic":
        return max(max_position, int(max_position * _number(parameters, "factor")))
    if kind == "yarn":
        trained = _number(parameters, "original_max_position_embeddings", max_position)
        return max(max_position, int(trained * _number(parameters, "factor", max_position / trained)))
    return max_position


def make_rope(parameters: dict[str, Any], head_dim: int, max_position: int, context: int) -> Rope:
    """The frequencies for heads of ``head_dim`` elements and texts of up to ``context`` tokens.

    ``max_position`` is the configuration's ``max_position_embeddings``.  A setting that is
    missing or not a number is an UnsupportedModelError naming it.
    """
    rope = _scaled(parameters, head_dim, max_position, context)
    return replace(rope, kind=parameters["rope_type"])


def _scaled(parameters: dict[str, Any], head_dim: int, max_position: int, context: int) -> Rope:
    dim = int(head_dim * _number(parameters, "partial_rotary_factor", 1.0))
    if dim < 4 or dim % 2:
        raise UnsupportedModelError(f"RoPE: {dim} rotated elements of {head_dim} is not an even number from 4 on")
    base = _number(parameters, "rope_theta")
    trained = int(_number(parameters, "original_max_position_embeddings", max_position))
    if base <= 1 or trained < 2:
        raise UnsupportedModelError(f"RoPE: base {base} with a trained length of {trained} is impossible")
    match parameters["rope_type"]:
        case "default":
            return _rope(_plain(base, dim))
        case "linear":
            return _rope(_plain(base, dim) / _number(parameters, "factor"))
        case "dynamic":
            factor = _number(parameters, "factor")
            length = max(context, max_position)
            stretched = base * (factor * length / max_position - (factor - 1)) ** (dim / (dim - 2))
            return _rope(_plain(stretched, dim))
        case "yarn":
            return _yarn(parameters, base, dim, trained, max_position)
        case "longrope":
            return _longrope(parameters, base, dim, trained, max_position, context)
        case "llama3":
            return _llama3(parameters, base, dim, trained)
        case kind:
            raise UnsupportedModelError(f"RoPE scaling {kind!r} is not supported; supported are {', '.join(TYPES)}")


def _rope(frequencies: Doubles, scale: float = 1.0) -> Rope:
    return Rope(frequencies.astype(np.float32), scale)


def _plain(base: float, dim: int) -> Doubles:
    return base ** -(np.arange(0, dim, 2, dtype=np.float64) / dim)


def _number(parameters: dict[str, Any], key: str, default: float | None = None) -> float:
    value = parameters.get(key)
    return _positive(parameters, key, default if value is None else value)


def _positive(parameters: dict[str, Any], key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e30:
        raise UnsupportedModelError(f"RoPE ({parameters['rope_type']}): {key} = {value!r} is not a positive number")
    return float(value)


def _llama3(parameters: dict[str, Any], base: float, dim: int, trained: int) -> Rope:
    factor = _number(parameters, "factor")
    low, high = _number(parameters, "low_freq_factor"), _number(parameters, "high_freq_factor")
    if high <= low:
        raise UnsupportedModelError(f"RoPE (llama3): high_freq_factor = {high} is not above low_freq_factor = {low}")
    plain = _plain(base, dim)
    turns = trained * plain / (2 * math.pi)  # full turns within the trained length
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return _rope(plain * (keep + (1 - keep) / factor))


def _yarn(parameters: dict[str, Any], base: float, dim: int, trained: int, max_position: int) -> Rope:
    factor = _number(parameters, "factor", max_position / trained)
    fast, slow = _number(parameters, "beta_fast", 32), _number(parameters, "beta_slow", 1)
    truncate = parameters.get("truncate", True)

    def dimension(turns: float) -> float:
        """The (fractional) index of the frequency that makes ``turns`` turns in the trained length."""
        return dim * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

    first, last = dimension(fast), dimension(slow)
    if truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, dim - 1)
    width = (last - first) or 0.001  # a step where the ramp has no width
    ramp = np.clip((np.arange(dim // 2) - first) / width, 0.0, 1.0)
    plain = _plain(base, dim)
    return _rope(plain * (1 - ramp) + plain / factor * ramp, _yarn_scale(parameters, factor))


def _yarn_scale(parameters: dict[str, Any], factor: float) -> float:
    if parameters.get("attention_factor") is not None:
        return _number(parameters, "attention_factor")

    def magnitude(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    if parameters.get("mscale") and parameters.get("mscale_all_dim"):
        return magnitude(_number(parameters, "mscale")) / magnitude(_number(parameters, "mscale_all_dim"))
    return magnitude(1.0)


def _longrope(parameters: dict[str, Any], base: float, dim: int, trained: int, max_position: int, context: int) -> Rope:
    key = "long_factor" if context > trained else "short_factor"
    factors = parameters.get(key)
    if not isinstance(factors, list) or len(factors) != dim // 2:
        raise UnsupportedModelError(f"RoPE (longrope): {key} is not a list of {dim // 2} numbers")
    divisors = [_positive(parameters, f"{key}[{i}]", value) for i, value in enumerate(factors)]
    factor = _number(parameters, "factor", max_position / trained)
    scale = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    if parameters.get("attention_factor") is not None:
        scale = _number(parameters, "attention_factor")
    return _rope(_plain(base, dim) / np.asarray(divisors), scale)
