"""Collects the window's words from the code and compiles their translations.

    python packaging/translations.py                  update the .ts files from the code, compile the .qm files
    python packaging/translations.py --missing        print what German lacks, as JSON {"English": ""}
    python packaging/translations.py --fill FILE      take translations from such a JSON file (a list: plural forms)
    python packaging/translations.py --check          change nothing; exit 1 where something is not current or lacking

The strings are found with Python's own parser, because ``lupdate`` files them under the class that they stand in,
while the window looks all of them up in one context: ``tr("...", "comment", n)`` and ``mark("...")``.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "app"
FOLDER = ROOT / "resources" / "translations"
LANGUAGES = {"de": "de_DE", "en": "en_GB"}


@dataclass(frozen=True, order=True)
class Phrase:
    """One string of the code.  ``plural``: it is given a number and needs a form for one and one for many."""

    text: str
    comment: str = ""
    plural: bool = False


def collect(folder: Path = SOURCES) -> list[Phrase]:
    """All phrases of the code, sorted; SyntaxError for one that is no literal."""
    found: set[Phrase] = set()
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), str(file))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tr", "mark"):
                found |= _phrase(node, file)
    plural = {(one.text, one.comment) for one in found if one.plural}
    return sorted(one for one in found if one.plural or (one.text, one.comment) not in plural)


def _phrase(call: ast.Call, file: Path) -> set[Phrase]:
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        raise SyntaxError(f"{file}:{call.lineno}: a phrase to translate is a literal, values come in by format")
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        return set()  # tr(table[key]): marked where the table is
    comment = call.args[1] if len(call.args) > 1 else None
    keywords = {one.arg: one.value for one in call.keywords}
    comment = comment or keywords.get("comment")
    word = comment.value if isinstance(comment, ast.Constant) else ""
    return {Phrase(first.value, str(word), len(call.args) > 2 or "n" in keywords)} if first.value else set()


Translations = dict[tuple[str, str], list[str]]


def read(file: Path) -> Translations:
    """What a .ts file says: the forms of each phrase (one, or for plurals several)."""
    if not file.exists():
        return {}
    result: Translations = {}
    for message in ET.parse(file).getroot().iter("message"):
        element = message.find("translation")
        if element is None:
            continue
        forms = [form.text or "" for form in element.findall("numerusform")] or [element.text or ""]
        result[message.findtext("source") or "", message.findtext("comment") or ""] = forms
    return result


def write(file: Path, language: str, phrases: list[Phrase], known: Translations) -> None:
    """A .ts file with exactly these phrases; those without a translation are marked as unfinished."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name")
    for phrase in phrases:
        message = ET.SubElement(context, "message", {"numerus": "yes"} if phrase.plural else {})
        ET.SubElement(message, "source").text = phrase.text
        if phrase.comment:
            ET.SubElement(message, "comment").text = phrase.comment
        forms = known.get((phrase.text, phrase.comment), [])
        wanted = 2 if phrase.plural else 1
        forms = forms if len(forms) == wanted else [""] * wanted
        translation = ET.SubElement(message, "translation", {} if all(forms) else {"type": "unfinished"})
        if phrase.plural:
            for form in forms:
                ET.SubElement(translation, "numerusform").text = form
        else:
            translation.text = forms[0]
    ET.indent(root, "    ")
    text = ET.tostring(root, encoding="unicode")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{text}\n', encoding="utf-8")


def wanted(language: str, phrases: list[Phrase]) -> list[Phrase]:
    """English needs its plurals alone: all else is what the code says."""
    return [one for one in phrases if one.plural] if language == "en" else phrases


def compile_file(source: Path, target: Path) -> None:
    """The .qm file of a .ts file, by Qt's lrelease."""
    import PySide6

    tool = Path(PySide6.__file__).parent / ("lrelease.exe" if sys.platform == "win32" else "lrelease")
    subprocess.run([str(tool), "-silent", str(source), "-qm", str(target)], check=True)


def update() -> None:
    """The .ts files as the code is now, and the .qm files from them."""
    phrases = collect()
    for code, language in LANGUAGES.items():
        file = FOLDER / f"app_{code}.ts"
        write(file, language, wanted(code, phrases), read(file))
        compile_file(file, file.with_suffix(".qm"))


def missing() -> list[Phrase]:
    """What the code says and German does not."""
    known = read(FOLDER / "app_de.ts")
    return [one for one in collect() if not all(known.get((one.text, one.comment), [""]))]


def fill(given: dict[str, str | list[str]], code: str = "de") -> None:
    """Take translations over.  A phrase with a comment is given as ``"text|comment"``."""
    file = FOLDER / f"app_{code}.ts"
    known = read(file)
    for key, value in given.items():
        forms = value if isinstance(value, list) else [value]
        for phrase in collect_keys(key):
            known[phrase] = forms
    write(file, LANGUAGES[code], wanted(code, collect()), known)


def collect_keys(key: str) -> list[tuple[str, str]]:
    """The phrase that a key of a JSON file names; without a comment, all that say so and have none of their own."""
    text, bar, comment = key.rpartition("|")
    return [(text, comment), (key, "")] if bar else [(key, "")]


def trouble() -> list[str]:
    """What is not current or not complete, in words."""
    found = [f"no German for: {one.text}" for one in missing()]
    phrases = collect()
    plurals = read(FOLDER / "app_en.ts")
    lacking = [one for one in wanted("en", phrases) if not all(plurals.get((one.text, one.comment), [""]))]
    found += [f"no English plural of: {one.text}" for one in lacking]
    for code, language in LANGUAGES.items():
        file = FOLDER / f"app_{code}.ts"
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / file.name
            write(fresh, language, wanted(code, phrases), read(file))
            if not file.exists() or fresh.read_bytes() != file.read_bytes():
                found.append(f"{file.name} is not what the code says: run packaging/translations.py")
            compile_file(fresh, fresh.with_suffix(".qm"))
            compiled = file.with_suffix(".qm")
            if not compiled.exists() or fresh.with_suffix(".qm").read_bytes() != compiled.read_bytes():
                found.append(f"{compiled.name} is not compiled from what there is: run packaging/translations.py")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--fill", metavar="FILE")
    parser.add_argument("--language", default="de")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.missing:
        lacking = {f"{one.text}|{one.comment}" if one.comment else one.text: ["", ""] if one.plural else ""
                   for one in missing()}
        print(json.dumps(lacking, ensure_ascii=False, indent=1))
        return 0
    if arguments.check:
        found = trouble()
        print("\n".join(found))
        return 1 if found else 0
    if arguments.fill:
        fill(json.loads(Path(arguments.fill).read_text(encoding="utf-8")), arguments.language)
    update()
    return 0


if __name__ == "__main__":
    sys.exit(main())
