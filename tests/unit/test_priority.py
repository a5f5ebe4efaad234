"""Work in the background gives way."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CHILD = """
import os, threading
from tzcore.priority import give_way
give_way()
found = []
thread = threading.Thread(target=lambda: found.append(os.nice(0)))
thread.start(); thread.join()
print(os.nice(0), *found)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the niceness of Linux")
def test_the_process_and_its_threads_are_last_in_the_queue() -> None:
    run = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert [int(word) for word in run.stdout.split()] == [19, 19]
    assert os.nice(0) < 19
