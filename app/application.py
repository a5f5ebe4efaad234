"""The composition root of the window: builds the services, hands them to the main window, no globals.

What the main window must offer: ``MainWindow(services: Services)``, ``open_chat(model_id: str)``
(show a chat with that model, loading it when needed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.engine_client import EngineClient
    from app.engine_process import EngineProcess
    from app.history import History
    from app.jobs import Jobs
    from app.library import Library
    from app.settings import Settings


@dataclass(frozen=True)
class Services:
    """All that the views may use."""

    settings: Settings
    engine: EngineProcess
    client: EngineClient
    jobs: Jobs
    history: History
    library: Library


def display_available() -> bool:
    """Whether a window can be shown (an offscreen or similar QPA platform that was asked for counts)."""
    raise NotImplementedError


def main(argv: list[str] | None = None) -> int:
    """Run the window until it is closed.  ``argv``: ``[--model ID]``.  Returns the exit code."""
    raise NotImplementedError
