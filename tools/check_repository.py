"""Checks what no linter knows: names of hosts and machines, left-over marks, long files, packages not empty.

Prints one line for each fault and ends with status 1 if there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Each pattern is written so that it does not match itself.
FORBIDDEN = (
    (re.compile(r"py[p]i\.org|python[h]osted|n[p]mjs\.|deb\.d[e]bian\.org"), "names the host of a registry"),
    (re.compile(r"/w[o]rk/|/r[o]ot/|/h[o]me/[a-z]"), "names a path of one machine"),
    (
        re.compile(r"\b(T[O]DO|FIX[M]E|XX[X])\b(?!\(#\d+\))"),
        "leaves a mark without an issue (#12)",
    ),
)
LIMITS = (("src/", 400), ("clients/", 400), ("tests/", 700))
PROSE_FREE = {"LICENSE"}
BINARY = {".png", ".ico", ".woff2", ".gz", ".mo"}


def tracked() -> list[str]:
    """Every file that git knows or would add, relative to the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({name for name in listed.stdout.split("\0") if name and Path(name).is_file()})


def faults(name: str) -> Iterator[str]:
    """What is wrong with one file."""
    path = Path(name)
    if path.suffix in BINARY or name in PROSE_FREE:
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    yield from forbidden(name, lines)
    if path.suffix == ".py":
        yield from shape(name, lines)


def forbidden(name: str, lines: list[str]) -> Iterator[str]:
    """Lines that hold what must not be there."""
    for number, line in enumerate(lines, 1):
        for pattern, why in FORBIDDEN:
            if pattern.search(line):
                yield f"{name}:{number}: {why}"


def shape(name: str, lines: list[str]) -> Iterator[str]:
    """Lengths, and packages that are not empty."""
    if name.endswith("__init__.py") and any(lines):
        yield f"{name}: a package's own file stays empty"
    for folder, limit in LIMITS:
        if name.startswith(folder) and "/migrations/" not in name and len(lines) > limit:
            yield f"{name}: {len(lines)} lines, at most {limit}"


def main() -> int:
    """All faults of the checkout, printed."""
    found = [fault for name in tracked() for fault in faults(name)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
