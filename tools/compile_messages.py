"""Compile every catalogue of translations (`.po`) into what gettext reads (`.mo`), beside it.

The compiled files are not kept in the repository; one that is newer than its catalogue is left alone. Runs
on a fresh installation, so it needs nothing but Python. Fuzzy and untranslated entries are left out.
"""

from __future__ import annotations

import ast
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "src" / "vaguemestre"

_LINE = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)\s+)?(".*")')
_MAGIC = 0x950412DE
_HEADER = 7 * 4  # bytes before the first table

type Entry = dict[str, str]


def compile_catalogues(root: Path = PACKAGE) -> list[Path]:
    """The compiled files that were written."""
    written = []
    for catalogue in sorted(root.rglob("LC_MESSAGES/*.po")):
        compiled = catalogue.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime_ns >= catalogue.stat().st_mtime_ns:
            continue
        # Replaced in one step: another process may be reading it.
        fresh = compiled.with_name(f".{compiled.name}.{os.getpid()}")
        fresh.write_bytes(machine_object(catalogue.read_text(encoding="utf-8")))
        fresh.replace(compiled)
        written.append(compiled)
    return written


def machine_object(catalogue: str) -> bytes:
    """The bytes of the `.mo` file: keys in order, then their translations, each with length and offset."""
    texts = sorted(_translations(catalogue))
    keys, values = zip(*texts, strict=True)
    start = _HEADER + 16 * len(texts)
    tables, strings = [], b""
    for column in (keys, values):
        for text in column:
            tables += [len(text), start + len(strings)]
            strings += text + b"\0"
    header = (_MAGIC, 0, len(texts), _HEADER, _HEADER + 8 * len(texts), 0, start)
    return struct.pack(f"<7I{len(tables)}I", *header, *tables) + strings


def _translations(catalogue: str) -> Iterator[tuple[bytes, bytes]]:
    for entry in _entries(catalogue):
        forms = [text for part, text in entry.items() if part.startswith("msgstr")]
        if not all(forms):
            continue
        key = entry["msgid"]
        if "msgctxt" in entry:
            key = f"{entry['msgctxt']}\x04{key}"
        if "msgid_plural" in entry:
            key = f"{key}\0{entry['msgid_plural']}"
        yield key.encode(), "\0".join(forms).encode()


def _entries(catalogue: str) -> Iterator[Entry]:
    """The entries, which blank lines separate. Comments and obsolete entries begin with `#`."""
    for block in re.split(r"\n\s*\n", catalogue):
        entry: Entry = {}
        part = ""
        for line in block.splitlines():
            found = _LINE.fullmatch(line.strip())
            if found is not None:
                part = found[1] or part
                entry[part] = entry.get(part, "") + ast.literal_eval(found[2])
        if "msgid" in entry and not re.search(r"^#,.*\bfuzzy\b", block, re.MULTILINE):
            yield entry


if __name__ == "__main__":
    for path in compile_catalogues():
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
