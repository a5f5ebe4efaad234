"""What the NVIDIA driver's error codes mean for a person, and what to do about each."""

from __future__ import annotations

from tzcore.backend.cuda.device import LostDeviceError
from tzcore.errors import BackendError

LEAST_DRIVER = "525"
LEAST_CUDA = 12000
"""What cuDriverGetVersion says of driver 525, the first that reads PTX ISA 8.0."""
LEAST_CAPABILITY = (8, 0)
EXTRA = 'pip install "ternary-zero[cuda]"'

NO_DRIVER = f"no NVIDIA driver is installed, or it is not loaded: install version {LEAST_DRIVER} or newer and restart"
NO_CARD = "the NVIDIA driver sees no card: check that one is there, and the variable CUDA_VISIBLE_DEVICES"
LOST = "the model must be loaded again; if that fails, start the program again"

# Behind these the context is unusable: every later call gives the same error.
_LOST = {
    "ILLEGAL_ADDRESS": "a kernel left its memory",
    "ILLEGAL_INSTRUCTION": "a kernel has an illegal instruction",
    "MISALIGNED_ADDRESS": "a kernel read from a crooked address",
    "INVALID_ADDRESS_SPACE": "a kernel left its memory",
    "INVALID_PC": "a kernel ran astray",
    "HARDWARE_STACK_ERROR": "a kernel's stack broke",
    "ASSERT": "a kernel's check failed",
    "LAUNCH_FAILED": "a kernel failed",
    "LAUNCH_TIMEOUT": "a kernel took longer than the system lets a card that drives a screen",
    "ECC_UNCORRECTABLE": "the card's memory has an error that cannot be corrected",
    "NVLINK_UNCORRECTABLE": "the link between cards has an error that cannot be corrected",
    "CONTAINED": "the card's memory has an error",
    "DEVICE_UNAVAILABLE": "the card is taken by another program alone, or is being reset",
    "CONTEXT_IS_DESTROYED": "the card was reset",
    "UNKNOWN": "the driver does not say why",
}
_DRIVER_WRONG = {
    "STUB_LIBRARY": "the CUDA library found is a stub of the toolkit, not the driver's: install the NVIDIA driver",
    "SYSTEM_DRIVER_MISMATCH": "the NVIDIA driver was updated while the system ran: restart the machine",
    "COMPAT_NOT_SUPPORTED_ON_DEVICE": "the CUDA compatibility package does not work with this card: remove it",
    "SYSTEM_NOT_READY": "the NVIDIA driver is not ready: start its services, or restart the machine",
    "DEVICE_NOT_LICENSED": "the card has no licence for computing (a virtual card): ask who lends it",
    "OPERATING_SYSTEM": "the operating system refuses the card: check the permissions of /dev/nvidia*",
    "INSUFFICIENT_DRIVER": f"the NVIDIA driver is too old: install version {LEAST_DRIVER} or newer",
}
_DAMAGED = ("INVALID_PTX", "INVALID_IMAGE", "INVALID_SOURCE", "NO_BINARY_FOR_GPU", "NOT_FOUND", "FILE_NOT_FOUND")
_COMPILER = ("JIT_COMPILER_NOT_FOUND", "JIT_COMPILATION_DISABLED")
_RESOURCES = ("LAUNCH_OUT_OF_RESOURCES", "TOO_MANY_PEERS", "COOPERATIVE_LAUNCH_TOO_LARGE")


def driver_too_old(version: str) -> str:
    """``version`` is how the driver that is there calls itself."""
    return f"the NVIDIA driver is too old ({version}): the kernels need version {LEAST_DRIVER} or newer"


def card_too_old(name: str, capability: tuple[int, int]) -> str:
    """Why a card cannot be used."""
    least = ".".join(map(str, LEAST_CAPABILITY))
    has = ".".join(map(str, capability))
    return f"{name} is too old (compute capability {has}): the kernels need {least} or newer, as from the RTX 30 series"


def failure(code: str, call: str, driver: str = "", log: str = "") -> BackendError:
    """The error that stands for the CUresult ``code`` of the driver's function ``call``.

    ``driver`` is the version that is there, ``log`` what its compiler wrote.  Memory that is short is
    not told here: only the caller knows how much was asked for.
    """
    name = code.removeprefix("CUDA_ERROR_")
    if call == "cuInit" and name == "UNKNOWN":
        return BackendError(f"the NVIDIA driver does not start ({code}): restart the machine, or install it again")
    if name in _LOST:
        return LostDeviceError(f"the card failed ({_LOST[name]}; {code} in {call}): {LOST}")
    if name in ("NO_DEVICE", "INVALID_DEVICE"):
        return BackendError(NO_CARD)
    if name in _DRIVER_WRONG:
        return BackendError(f"{_DRIVER_WRONG[name]} ({code})")
    if name == "UNSUPPORTED_PTX_VERSION":
        return BackendError(driver_too_old(driver or "its version is not known"))
    if name in _DAMAGED:
        detail = f"{code} in {call}" + (f": {_first(log)}" if log else "")
        return BackendError(f"the CUDA kernels are damaged, or not for this card ({detail}): install the program again")
    if name in _COMPILER:
        return BackendError(f"the NVIDIA driver lacks its compiler of kernels ({code}): install the whole driver again")
    if name in _RESOURCES:
        return BackendError(f"a kernel asks for more than the card has ({code} in {call}): please report this")
    return BackendError(f"the NVIDIA driver refused {call} ({code}): please report this")


def _first(log: str) -> str:
    """The first line of a log that says something."""
    return next((line.strip() for line in log.splitlines() if line.strip()), "")
