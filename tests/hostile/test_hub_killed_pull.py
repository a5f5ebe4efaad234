"""``tz pull`` of a hub model, killed in the middle of a shard; the same command again fetches the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.hub.hub_server import HubServer, Repo
from tests.unit.hub.model_files import NEEDED, repository_files


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_killed_and_again(tmp_path: Path, home: Path) -> None:
    with HubServer() as hub:
        hub.repos["org/model"] = Repo(repository_files())
        total = sum(len(hub.repos["org/model"].files[name]) for name in NEEDED)
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "TZ_HOME": str(home)}
        environment.pop("HF_HUB_CACHE", None)
        words = [sys.executable, "-m", "tzcore.cli", "pull", "org/model", "--json"]
        hub.pace = 0.05
        child = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE)
        blobs = tmp_path / "hf" / "hub" / "models--org--model" / "blobs"
        while sum(p.stat().st_size for p in blobs.glob("*.part")) < 150_000:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
        kept = sum(p.stat().st_size for p in blobs.iterdir() if not p.name.endswith(".json"))
        assert 150_000 < kept < total
        hub.pace = 0
        time.sleep(0.2)
        hub.served.clear()
        again = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert again.returncode == 0, again.stderr
        events = [json.loads(line) for line in again.stdout.splitlines()]
        assert events[-1]["event"] == "done"
        done = [event["done"] for event in events if event.get("phase") == "download"]
        assert done == sorted(done)
        assert done[0] >= 150_000
        assert sum(hub.served.values()) == total - kept
        snapshot = tmp_path / "hf" / "hub" / "models--org--model" / "snapshots" / ("a" * 40)
        for name in NEEDED:
            assert (snapshot / name).read_bytes() == hub.repos["org/model"].files[name]
        hub.log.clear()
        third = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert third.returncode == 0
        assert hub.log == []
