"""The text that the starter is healed with: ``python tests/bench/healing_text.py FOLDER``.

Four million characters of English from packages of the Python index, which carry them as test data: articles of
Wikipedia (gensim; without tables, references and lists), Alice in Wonderland, As You Like It, Paradise Lost and a
report of the US Congress (brotli), Botchan (sentencepiece), news (gensim).  None of it is in the project's texts, and
none is by the author whose novel it is measured with.
"""

from __future__ import annotations

import bz2
import html
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WIKIPEDIA = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
NEWS = "gensim/test/test_data/lee_background.cor"
PACKAGES = ("gensim==4.4.0", "brotli==1.2.1", "sentencepiece==0.2.0")
LEAST = 800
"""Characters of an article: shorter ones are redirections and stubs."""

_GONE = (
    r"<ref[^>/]*/>|<ref.*?</ref>|<!--.*?-->|<math>.*?</math>|<gallery.*?</gallery>",
    *(r"\{\{[^{}]*\}\}|\{\|[^{}]*?\|\}",) * 6,  # they are nested
    *(r"\[\[(?:File|Image|Category|[a-z-]{2,12}):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]",) * 3,
)


def plain(article: str) -> str:
    """An article without its markup."""
    text = html.unescape(article)
    for pattern in _GONE:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]", r"\1", text)
    text = re.sub(r"\[https?:\S+ ?([^\]]*)\]", r"\1", text)
    text = re.sub(r"<[^>]+>|'''|''", "", text)
    text = re.sub(r"^=+ *(.*?) *=+ *$", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^[*#:;|!].*$", "", text, flags=re.MULTILINE)
    text = re.split(r"\n(?:See also|References|External links|Notes)\n", text)[0]
    return re.sub(r"\n{3,}", "\n\n", text.replace("&nbsp;", " ")).strip()


def wikipedia(packed: bytes) -> str:
    dump = bz2.decompress(packed).decode("utf-8")
    found = re.findall(r"<text[^>]*>(.*?)</text>", dump, re.DOTALL)
    articles = [plain(text) for text in found if not text.lower().startswith("#redirect")]
    return "\n\n".join(article for article in articles if len(article) > LEAST)


def texts(folder: Path) -> dict[str, str]:
    """By file name, from the packages in ``folder``."""
    found: dict[str, bytes] = {}
    for path in folder.iterdir():
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                found |= {name: wheel.read(name) for name in (WIKIPEDIA, NEWS)}
            continue
        with tarfile.open(path) as archive:
            for member in archive:
                if re.search(r"(tests/testdata/(alice29|asyoulik|lcet10|plrabn12)|test/botchan)\.txt$", member.name):
                    found[Path(member.name).name] = (archive.extractfile(member) or io.BytesIO()).read()
    plainly = {name: raw.decode("latin-1") for name, raw in found.items() if name in ("lcet10.txt", "plrabn12.txt")}
    return {
        "wikipedia.txt": wikipedia(found.pop(WIKIPEDIA)),
        "news.txt": found.pop(NEWS).decode("utf-8"),
        **{name: raw.decode("utf-8", errors="replace") for name, raw in found.items()},
        **plainly,
    }


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        subprocess.run([*pip, PACKAGES[0], "--only-binary", ":all:"], check=True)
        subprocess.run([*pip, *PACKAGES[1:], "--no-binary", ":all:"], check=True)
        made = texts(Path(scratch))
    for name, text in sorted(made.items()):
        (out / name).write_text(text, encoding="utf-8")
        print(f"{len(text):10,} characters  {out / name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
