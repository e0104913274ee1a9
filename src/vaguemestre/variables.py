"""Variables as they are written: the lines of a file, and names that look like ours and are none.

A slip of the keyboard does not pass in silence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

PREFIX = "VAGUEMESTRE_"
# Names of ours that no operator sets: between `up` and its children, and of the test run.
_INNER = {f"VAGUEMESTRE_{name}" for name in ("READY_FD", "TEST_DATABASE", "TEST_REQUIRE")}
# What Kubernetes and Docker set for a service whose name begins with vaguemestre.
_OF_A_SERVICE = re.compile("_SERVICE_(HOST|PORT)|_PORT_[0-9]+_(TCP|UDP)|_ENV_|_NAME$")


def unknown(variables: Mapping[str, str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each name that begins as ours do and is not `known`, with the known one it was meant to be, else ""."""
    for name, value in variables.items():
        strange = name.startswith(PREFIX) and name not in known and name not in _INNER
        if strange and value.strip() and not _of_a_service(name, value):
            yield name, _meant(name, known)


def _of_a_service(name: str, value: str) -> bool:
    return bool(_OF_A_SERVICE.search(name)) or (name.endswith("_PORT") and "://" in value)


def _meant(name: str, known: Collection[str]) -> str:
    if name.removeprefix(PREFIX) in known:
        return name.removeprefix(PREFIX)
    return next(iter(difflib.get_close_matches(name, known, 1, 0.85)), "")


def dotenv(path: Path) -> dict[str, str]:
    """`NAME=value` lines; blank lines and `#` comments are passed over, quotes around a value removed."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}
