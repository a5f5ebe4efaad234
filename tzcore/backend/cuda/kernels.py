"""The shipped PTX: loaded file by file when a kernel of it is first wanted, before anything is captured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tzcore.backend.cuda.device import Argument, Device, Grid, Kernel, Module, Stream
from tzcore.errors import BackendError

FOLDER = Path(__file__).parent / "ptx"


class Kernels:
    """Kernels by the name of their file and their own, on one device and one stream."""

    def __init__(self, device: Device, stream: Stream = None) -> None:
        self.device, self.stream = device, stream
        self._modules: dict[str, Module] = {}
        self._kernels: dict[tuple[str, str], Kernel] = {}

    def get(self, file: str, name: str | None = None) -> Kernel:
        """The kernel ``name`` (default: the file's own) of ``ptx/FILE.ptx``."""
        key = (file, name or file)
        if key not in self._kernels:
            if file not in self._modules:
                path = FOLDER / f"{file}.ptx"
                try:
                    text = path.read_text(encoding="utf-8")
                except (OSError, UnicodeDecodeError) as error:
                    raise BackendError(f"{path} cannot be read ({error}): install the program again") from error
                self._modules[file] = self.device.load(text)
            self._kernels[key] = self._modules[file].kernel(key[1])
        return self._kernels[key]

    def launch(
        self,
        file: str,
        grid: Grid,
        block: int,
        arguments: Sequence[Argument],
        name: str | None = None,
        shared: int = 0,
        stream: Stream = None,
    ) -> None:
        """Queue a kernel; ``stream`` None is this object's."""
        kernel = self.get(file, name)
        self.device.launch(kernel, grid, block, arguments, shared, self.stream if stream is None else stream)
