"""Check that every text for people is translated: none missing, fuzzy, left over, or with other placeholders.

Reads Python files as syntax trees and templates through Django's own reader, so that GNU gettext is not
needed. Exit status 1 with one line for each fault.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import polib
from django.conf import settings
from django.utils.translation.template import templatize

PACKAGE = Path(__file__).parent.parent / "src" / "vaguemestre"
LANGUAGES = ("fr", "it")

_MARKERS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
_STRING = r"""u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_IN_TEMPLATE = re.compile(rf"\b(?:n?gettext|_)\({_STRING}")
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|</?\w+>|&\w+;")


def catalogue_of(language: str) -> polib.POFile:
    """The texts in that language."""
    return polib.pofile(str(PACKAGE / f"console/locale/{language}/LC_MESSAGES/django.po"))


def marked_texts(package: Path = PACKAGE) -> dict[str, Path]:
    """Every message id in the package, and a file that has it."""
    found: dict[str, Path] = {}
    for path in sorted(package.rglob("*.py")):
        found |= dict.fromkeys(_in_python(path), path)
    for path in sorted([*package.rglob("templates/**/*.html"), *package.rglob("templates/**/*.txt")]):
        found |= dict.fromkeys(_in_template(path), path)
    return found


def _in_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _name(node.func) in _MARKERS and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def _in_template(path: Path) -> Iterator[str]:
    for match in _IN_TEMPLATE.finditer(templatize(path.read_text())):
        yield str(ast.literal_eval(match[1]))


def faults_of(catalogue: polib.POFile, marked: dict[str, Path]) -> Iterator[str]:
    """What is wrong with a catalogue, a line each."""
    entries: dict[str, polib.POEntry] = {}
    for entry in catalogue:
        if entry.msgid in entries:
            yield f"twice in the catalogue: {entry.msgid!r}"
        if not entry.obsolete:
            entries[entry.msgid] = entry
    for text, path in marked.items():
        if text and text not in entries:
            yield f"{path.name}: not in the catalogue: {text!r}"
    for text, entry in entries.items():
        if text not in marked:
            yield f"no longer in the source: {text!r}"
        yield from _faults_of_entry(entry)


def _faults_of_entry(entry: polib.POEntry) -> Iterator[str]:
    forms = list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]
    if not all(forms):
        yield f"not translated: {entry.msgid!r}"
    if entry.fuzzy:
        yield f"fuzzy: {entry.msgid!r}"
    wanted = set(_PLACEHOLDER.findall(entry.msgid))
    for form in filter(None, forms):
        if set(_PLACEHOLDER.findall(form)) != wanted:
            yield f"other placeholders: {entry.msgid!r} -> {form!r}"


def main() -> int:
    """Check every language; the exit status."""
    if not settings.configured:
        settings.configure(USE_I18N=False)
    marked = marked_texts()
    faults = [
        f"{language}: {fault}"
        for language in LANGUAGES
        for fault in faults_of(catalogue_of(language), marked)
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{len(marked)} texts, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
