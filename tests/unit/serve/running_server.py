"""A server in a thread of the test's process, on scripted models that are installed in the test's library."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from tests.unit.engine import small_tokenizers
from tests.unit.engine.scripted_model import ScriptedModel, engine
from tzcore import paths
from tzcore.engine.generation import Engine
from tzcore.engine.placement import Neighbours
from tzcore.engine.snapshots import Snapshots
from tzcore.hub.library import InstalledModel
from tzcore.progress import Progress, Report
from tzcore.serve import application, server
from tzcore.serve.listener import Listener
from tzcore.serve.pool import Pool

TOKEN = "a-token-for-tests"


def install(name: str = "tiny", encoding: str = "t2", **files: Any) -> Path:
    """A folder that the library lists as ``NAME:ENCODING``; its weights are the opener's business."""
    folder = small_tokenizers.write(paths.models() / f"{name}--{encoding}", **files)
    quantised = {"quant_method": "ternary_zero", "version": 1, "tensors": {}}
    (folder / "config.json").write_text(json.dumps({"quantization_config": quantised}))
    receipt = {"id": f"{name}:{encoding}", "source": {"id": name}, "encoding": encoding}
    (folder / "receipt.json").write_text(json.dumps({**receipt, "created": "2026-01-02T03:04:05+00:00"}))
    return folder


class Opener:
    """Opens scripted engines; ``make`` gives the model for a folder's name."""

    def __init__(self, make: Callable[[str], ScriptedModel]) -> None:
        self._make = make
        self.opened: list[tuple[str, int | None, Neighbours]] = []
        self.formats: list[str] = []
        self.models: list[ScriptedModel] = []
        self.error: Exception | None = None
        self.snapshots: Snapshots | None = None

    def __call__(self, path: Path, *, context: int | None, kv: str, report: Report, neighbours: Neighbours) -> Engine:
        report(Progress("load", 0, 100, "bytes", path.name))
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        self.opened.append((path.name, context, neighbours))
        self.formats.append(kv)
        self.models.append(self._make(path.name))
        config = json.loads((path / "tokenizer_config.json").read_text())
        template = config.get("chat_template")
        made = engine(path, self.models[-1], context or 2048, snapshots=self.snapshots, template=template)
        report(Progress("load", 100, 100, "bytes", path.name))
        return made


class Running:
    """The server's address, its clients, and what it runs on."""

    def __init__(self, port: int, token: str | None, opener: Opener, pool: Pool) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.opener = opener
        self.pool = pool
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=20)
        self.openai = OpenAI(base_url=f"{self.url}/v1", api_key=token or "none", max_retries=0, timeout=20)

    @property
    def model(self) -> ScriptedModel:
        return self.opener.models[-1]


@contextmanager
def running(
    make: Callable[[str], ScriptedModel] = lambda _: ScriptedModel(),
    token: str | None = TOKEN,
    given: tuple[InstalledModel, ...] = (),
    origins: tuple[str, ...] = (),
    window: bool = False,
) -> Iterator[Running]:
    """A server that ends with the block, and whose end is waited for.  ``window``: with the window's own routes."""
    opener = Opener(make)
    started = threading.Event()
    state: dict[str, Any] = {}

    async def main(listener: Any) -> None:
        state["pool"] = Pool(opener, given)
        others = Listener(functools.partial(application.build_public, state["pool"])) if window else None
        app = application.build(state["pool"], "127.0.0.1", token, origins, others)
        state["server"] = server.Server(app, state["pool"], others)
        state["server"].on_started = started.set
        await state["server"].serve([listener])

    with server.listening_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=lambda: asyncio.run(main(listener)))
        thread.start()
        assert started.wait(10)
        made = Running(port, token, opener, state["pool"])
        try:
            yield made
        finally:
            made.http.close()
            made.openai.close()
            state["server"].should_exit = True
            thread.join(15)
            assert not thread.is_alive()
            assert all(model.closed for model in opener.models)
