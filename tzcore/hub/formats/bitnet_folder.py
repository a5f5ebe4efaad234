"""A transformers ``bitnet`` checkpoint: a safetensors folder whose linear layers are ternary.

Three forms (``integrations/bitnet.py`` of transformers), told apart by ``quantization_config``:

* ``linear_class`` absent or ``bitlinear``: ``NAME.weight`` is uint8 ``[out/4, in]``, four rows of codes
  in a byte: byte row r holds the rows r, r+R, r+2R and r+3R (R = out/4) at bits 0–1, 2–3, 4–5 and 6–7,
  each code plus 1.  The product is *divided* by ``NAME.weight_scale``.
* ``autobitlinear``, ``offline``: packed in the same way, or the codes themselves as floating-point
  numbers.  The product is *multiplied* by ``NAME.weight_scale``.
* ``autobitlinear``, ``online``: floating-point masters, quantised when they are used:
  s = 1/max(mean|w|, 1e-5), code = round(w·s) clamped to ±1, value = code/s in the type of the masters.

Everything else is as in the unquantised model, and :class:`BitnetFolder` shows it that way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tzcore.checkpoint.ternary import Scheme, TernaryMatrix
from tzcore.errors import SourceError, UnsupportedModelError
from tzcore.hub.formats.safetensors_folder import SafetensorsFolder
from tzcore.hub.formats.safetensors_values import StoredTensor, read_bytes
from tzcore.trits import Codes, Floats

METHOD = "bitnet"
_PER_BYTE = 4
_SMALLEST_SCALE = 1e-30
_SMALLEST_MEAN = np.float32(1e-5)
_RUN = 1 << 22
"""Weights averaged at a time; bounds the temporaries."""


def is_bitnet(config: dict[str, Any]) -> bool:
    """Whether a ``config.json`` says that its weights are a ``bitnet`` checkpoint's."""
    quantised = config.get("quantization_config")
    return isinstance(quantised, dict) and quantised.get("quant_method") == METHOD


class BitnetFolder:
    """The folder as a weight source: names and shapes are those of the unquantised model, values dequantised.

    Of ``config``'s ``quantization_config`` only the method is kept: it says how activations are rounded.
    """

    def __init__(self, folder: Path, source_id: str, revision: str, licence: str) -> None:
        self._plain = SafetensorsFolder(folder, source_id, revision, licence)
        self.id, self.revision, self.licence = source_id, revision, licence
        self.config: dict[str, Any] = {**self._plain.config, "quantization_config": {"quant_method": METHOD}}
        self.files: dict[str, Path] = self._plain.files
        self._rule = _Rule(self._plain.config["quantization_config"])
        stored = {name: self._plain.stored(name) for name in self._plain.names()}
        self._names = [name for name in stored if not name.endswith(".weight_scale")]
        self._packed: set[str] = set()
        matrices = {name.removesuffix(".weight") for name in self._names if self._is_ternary(stored[name])}
        for module in matrices if self._rule.has_scales else ():
            if f"{module}.weight_scale" not in stored:
                raise SourceError(f"{folder}: {module}.weight has no weight_scale; the checkpoint is incomplete")
        self.scheme: Scheme | None = Scheme(self._rule.form, self._rule.scales, frozenset(matrices))

    def _is_ternary(self, tensor: StoredTensor) -> bool:
        """Whether this is a linear layer's weight; one in a form that the configuration rules out is refused."""
        name, packed = tensor.name, tensor.dtype == "U8"
        where = f"{tensor.file}: {name}"
        if name.endswith(".rms_norm.weight"):
            raise _norms(where)
        if len(tensor.shape) != 2 or not name.endswith(".weight"):
            if packed:
                raise SourceError(f"{where} holds packed codes of shape {list(tensor.shape)}, expected [out/4, in]")
            return False
        module = name.removesuffix(".weight")
        if module.endswith("lm_head") or module.rpartition(".")[2] == "embed_tokens":
            if packed or (module.endswith("lm_head") and self._rule.covers_head):
                raise UnsupportedModelError(f"{where} is quantised too; heads with quantised inputs are not supported")
            return False
        if self._rule.skips(module):
            raise UnsupportedModelError(
                f"{where} is left unquantised by modules_to_not_convert; only models with all linear layers of the "
                "blocks ternary are supported"
            )
        if packed:
            if not self._rule.may_be_packed:
                raise SourceError(f"{where} is packed, though the configuration says that it holds masters (online)")
            self._packed.add(name)
        elif not self._rule.may_be_plain:
            raise SourceError(f"{where} holds {tensor.dtype}, not the packed codes (U8) of its configuration")
        return True

    def names(self) -> Iterable[str]:
        return list(self._names)

    def shape(self, name: str) -> tuple[int, ...]:
        shape = self._plain.shape(name)
        return (_PER_BYTE * shape[0], *shape[1:]) if name in self._packed else shape

    def tensor(self, name: str) -> npt.NDArray[np.float32]:
        assert self.scheme is not None
        ours = name.endswith(".weight") and name.removesuffix(".weight") in self.scheme.matrices
        return self.ternary(name).values() if ours else self._plain.tensor(name)

    def ternary(self, name: str) -> TernaryMatrix:
        """As :class:`~tzcore.checkpoint.ternary.TernarySource` says."""
        tensor = self._plain.stored(name)
        where = f"{tensor.file}: {name}"
        if name in self._packed:
            codes = unpack(np.frombuffer(read_bytes(tensor), np.uint8).reshape(tensor.shape), where)
        elif self._rule.has_scales:
            codes = _plain_codes(self._plain.tensor(name), where)
        else:
            return _quantised(self._plain.tensor(name), tensor.dtype, where)
        return TernaryMatrix.with_gain(codes, self._rule.gain(self._scale(name)))

    def _scale(self, name: str) -> np.float32:
        scale = f"{name}_scale"
        values = self._plain.tensor(scale)
        if values.size != 1 or not _SMALLEST_SCALE < values.ravel()[0] < 1 / _SMALLEST_SCALE:
            raise SourceError(
                f"{self._plain.stored(scale).file}: {scale} is not one positive number of sensible size: it is damaged"
            )
        return np.float32(values.ravel()[0])

    def bytes(self) -> int:
        return self._plain.bytes()

    def close(self) -> None:
        self._plain.close()


class _Rule:
    """What ``quantization_config`` says of the linear layers, as transformers reads it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        kind = settings.get("linear_class") or "bitlinear"
        mode = settings.get("quantization_mode") or "offline"
        for key, value, known in (
            ("linear_class", kind, ("bitlinear", "autobitlinear")),
            ("quantization_mode", mode, ("offline", "online")),
        ):
            if value not in known:
                raise UnsupportedModelError(f"bitnet: the setting {key} = {value!r} is not supported")
        if settings.get("use_rms_norm"):
            raise _norms("bitnet")
        skipped = settings.get("modules_to_not_convert")
        if skipped is not None and not (isinstance(skipped, list) and all(isinstance(s, str) for s in skipped)):
            raise UnsupportedModelError(f"bitnet: the setting modules_to_not_convert = {skipped!r} is not a list")
        self._skipped: list[str] = skipped or []
        self._divides = kind == "bitlinear"
        self.may_be_packed = self._divides or mode == "offline"
        self.may_be_plain = not self._divides
        self.has_scales = self.may_be_packed
        # With no list at all transformers leaves the head alone.
        self.covers_head = not self._divides and skipped is not None and not self.skips("lm_head")
        if not self.has_scales:
            self.form, self.scales = "bitnet masters", "1/mean|w| of each matrix, rounded as the masters are"
        else:
            self.form = "bitnet codes"
            self.scales = f"one weight_scale a matrix, {'divided by' if self._divides else 'multiplied'}"

    def skips(self, module: str) -> bool:
        """Whether a pattern of ``modules_to_not_convert`` names the module: from its start to a boundary, as
        a regular expression there, or as a suffix."""
        boundary = r"(?:(?<=\.)|(?=\.|$))"
        try:
            return any(re.match(rf"(?:{key}){boundary}", module) or module.endswith(key) for key in self._skipped)
        except re.error as error:
            raise UnsupportedModelError(f"bitnet: modules_to_not_convert has an unusable pattern ({error})") from None

    def gain(self, scale: np.float32) -> float:
        """What the codes are multiplied by."""
        return float(np.float32(1) / scale if self._divides else scale)


def _norms(where: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{where}: a norm of its own in front of each linear layer (use_rms_norm) is not supported"
    )


def unpack(packed: npt.NDArray[np.uint8], where: str) -> Codes:
    """Codes int8 ``[4·R, in]`` of packed bytes ``[R, in]``; a code 3 is a SourceError."""
    count = len(packed)
    codes = np.empty((_PER_BYTE * count, packed.shape[1]), np.int8)
    for place in range(_PER_BYTE):
        digits = (packed >> np.uint8(2 * place)) & np.uint8(3)
        if digits.max(initial=0) > 2:
            row = int(np.argmax((digits == 3).any(axis=1))) + place * count
            raise SourceError(
                f"{where} holds the code 3 in row {row}, which is no ternary value: it is damaged or not a bitnet "
                "checkpoint"
            )
        codes[place * count : (place + 1) * count] = digits.view(np.int8) - np.int8(1)
    return codes


def _plain_codes(values: Floats, where: str) -> Codes:
    codes = np.clip(np.nan_to_num(values), -1, 1).astype(np.int8)
    if not np.array_equal(codes, values):
        raise SourceError(f"{where} holds other values than −1, 0 and 1: it is not ternary")
    return codes


def _quantised(masters: Floats, dtype: str, where: str) -> TernaryMatrix:
    """What transformers makes of masters at every use.

    Its mean is summed in float32, in an order that depends on the machine; ours is the exact sum.
    """
    flat = masters.reshape(-1)
    parts = (np.abs(flat[i : i + _RUN]).sum(dtype=np.float64) for i in range(0, len(flat), _RUN))
    total = sum(parts, np.float64(0))
    if not np.isfinite(total):
        raise SourceError(f"{where} holds values that are not finite (NaN or infinity): the original is damaged")
    scale = np.float32(1) / max(np.float32(total / flat.size), _SMALLEST_MEAN)
    codes = np.clip(np.rint(masters * scale), -1, 1).astype(np.int8)
    return TernaryMatrix.with_gain(codes, _rounded(np.float32(1) / scale, dtype))


def _rounded(value: np.float32, dtype: str) -> float:
    """``value`` rounded to the nearest of a stored type, to even between two."""
    if dtype == "F16":
        return float(np.float16(value))
    if dtype != "BF16":
        return float(value)
    bits = np.float32(value).view(np.uint32)
    up = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return float(((bits + up) & np.uint32(0xFFFF0000)).view(np.float32))
