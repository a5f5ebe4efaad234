"""Settings of a conversation kept under a name, to be chosen again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.database import transaction
from app.history.records import Preset
from app.history.store import Store, dump


class Presets(Store):
    """The presets that the user has made."""

    def presets(self) -> list[Preset]:
        """All by name."""
        rows = self._all("SELECT id, name, settings FROM preset")
        found = (Preset(row["id"], row["name"], json.loads(row["settings"])) for row in rows)
        return sorted(found, key=lambda one: one.name.casefold())

    def save_preset(self, name: str, settings: Mapping[str, Any]) -> int:
        """Keep these; a preset of that name is replaced.  Its id."""
        with transaction(self._db):
            row = self._db.execute(
                "INSERT INTO preset (name, settings) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET settings = excluded.settings RETURNING id", (name, dump(settings)),
            ).fetchone()
        return int(row["id"])

    def delete_preset(self, preset_id: int) -> None:
        with transaction(self._db):
            if self._db.execute("DELETE FROM preset WHERE id = ?", (preset_id,)).rowcount == 0:
                raise KeyError(f"no preset {preset_id}")
