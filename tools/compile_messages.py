"""Compile every catalogue of translations (`.po`) into what gettext reads (`.mo`), beside it.

The compiled files are not kept in the repository. One that is newer than its catalogue is left alone.
"""

from __future__ import annotations

from pathlib import Path

import polib

PACKAGE = Path(__file__).parent.parent / "src" / "vaguemestre"


def compile_catalogues(root: Path = PACKAGE) -> list[Path]:
    """The compiled files that were written."""
    written = []
    for catalogue in sorted(root.rglob("LC_MESSAGES/*.po")):
        compiled = catalogue.with_suffix(".mo")
        if compiled.exists() and compiled.stat().st_mtime_ns >= catalogue.stat().st_mtime_ns:
            continue
        polib.pofile(str(catalogue)).save_as_mofile(str(compiled))
        written.append(compiled)
    return written


if __name__ == "__main__":
    for path in compile_catalogues():
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
