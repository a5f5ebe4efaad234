"""Running a model imports neither torch nor transformers, and ``tz`` imports nothing before it must."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "gguf", "safetensors", "accelerate")
CHECK = """
import sys
{code}
found = sorted(name for name in {forbidden!r} if name in sys.modules)
assert not found, found
print("lean")
"""


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import tiny_folder

    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny", "llama", format="t2")


def check(code: str, forbidden: tuple[str, ...]) -> str:
    """Run ``code`` in a new interpreter and hold ``forbidden`` against what it has imported by then."""
    source = CHECK.format(code=code, forbidden=forbidden)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "lean"
    return done.stdout


def test_the_check_itself_notices() -> None:
    with pytest.raises(AssertionError, match="safetensors"):
        check("import safetensors", HEAVY)


@pytest.mark.parametrize("code", ["import tzcore.cli.main", "from tzcore.cli.main import main; main(['--help'])"])
def test_the_command_line_starts_with_nothing_heavy(code: str) -> None:
    check(code, (*HEAVY, "numpy", "httpx", "huggingface_hub", "rich", "starlette", "uvicorn", "tokenizers", "PySide6"))


def test_listing_imports_nothing_heavy() -> None:
    code = "from tzcore.cli.main import main; assert main(['list', '--json']) == 0"
    check(code, (*HEAVY, "numpy", "httpx", "huggingface_hub", "rich", "PySide6"))


def test_a_command_about_a_card_imports_nothing_heavy() -> None:
    code = "from tzcore.cli.main import main; assert main(['bench', '--kernels', '--help']) == 0"
    check(code, (*HEAVY, "numpy", "httpx", "rich", "PySide6"))


def test_run_really_answers_without_torch(tiny_model: Path) -> None:
    arguments = ["run", str(tiny_model), "A river begins", "--temperature", "0", "--max-tokens", "4", "--json"]
    out = check(f"from tzcore.cli.main import main; assert main({arguments!r}) == 0", (*HEAVY, "PySide6"))
    done = next(event for event in map(json.loads, out.splitlines()[:-1]) if event["event"] == "done")
    assert done["completion_tokens"] >= 1


SERVER = """
import http.client, json, os, threading
from tzcore.cli.main import main

read, write = os.pipe()
os.dup2(write, 1)
def ask():
    lines = map(json.loads, os.fdopen(read))
    ready = next(line for line in lines if line["event"] == "ready")
    connection = http.client.HTTPConnection("127.0.0.1", ready["port"], timeout=30)
    connection.request("GET", "/v1/models", headers={"Authorization": "Bearer secret"})
    models = json.loads(connection.getresponse().read())["data"]
    body = {"model": models[0]["id"], "max_tokens": 3, "messages": [{"role": "user", "content": "A river"}]}
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    found = sorted(name for name in FORBIDDEN if name in sys.modules)
    print("lean" if not found else found, file=sys.stderr, flush=True)
    os._exit(0)
def guarded():
    try:
        ask()
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)
threading.Thread(target=guarded, daemon=True).start()
main(["serve", MODEL, "--port", "0", "--token", "secret", "--json"])
"""


def test_the_server_really_answers_without_torch(tiny_model: Path) -> None:
    source = f"import sys\nFORBIDDEN = {(*HEAVY, 'PySide6')!r}\nMODEL = {str(tiny_model)!r}\n{SERVER}"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "lean", done.stderr


def test_the_window_imports_no_engine() -> None:
    engine = ("tzcore.engine", "tzcore.quant", "tzcore.backend", "tzcore.serve", "tzcore.checkpoint", "numpy")
    check("import app.application", (*HEAVY, *engine))
