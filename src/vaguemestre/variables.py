"""Variables as they are written: the lines of a file, a secret in its own, names that only look like ours.

A slip of the keyboard does not pass in silence.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

PREFIX = "VAGUEMESTRE_"
# Names of ours that no operator sets: between `up` and its children, and of the test run.
_INNER = {f"VAGUEMESTRE_{name}" for name in ("READY_FD", "TEST_DATABASE", "TEST_REQUIRE")}
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_.-]*")
# What Kubernetes and Docker set for a service whose name begins with vaguemestre.
_OF_A_SERVICE = re.compile("_SERVICE_(HOST|PORT)|_PORT_[0-9]+_(TCP|UDP)|_ENV_|_NAME$")


def unknown(variables: Mapping[str, str], known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Each name that begins as ours do and is not `known`, with the known one it was meant to be, else ""."""
    for name, value in variables.items():
        strange = name.upper().startswith(PREFIX) and name not in known and name not in _INNER
        if strange and value.strip() and not _of_a_service(name, value):
            yield name, _meant(name.upper(), known)


def _of_a_service(name: str, value: str) -> bool:
    return bool(_OF_A_SERVICE.search(name)) or (name.endswith("_PORT") and "://" in value)


def _meant(name: str, known: Collection[str]) -> str:
    if name.removeprefix(PREFIX) in known:
        return name.removeprefix(PREFIX)
    return next(iter(difflib.get_close_matches(name, known, 1, 0.85)), "")


def dotenv(path: Path) -> tuple[dict[str, str], list[str]]:
    """`NAME=value` lines, and what is wrong with the file.

    Blank lines and `#` comments are passed over, quotes around a value removed. A line that is something else
    is told by its number alone, since it may hold a secret: passed over, it would leave the usual value in
    force, such as another database.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    except OSError as error:
        if not os.access(path.parent, os.X_OK, effective_ids=True):
            return {}, []  # the folder is somebody else's, and told as such
        return {}, [f"The file {path} is there but cannot be read: {error.strerror}."]
    found, strange = {}, []
    for number, line in enumerate(text.split("\n"), 1):
        name, equals, value = map(str.strip, line.partition("="))
        if equals and _NAME.fullmatch(name):
            found[name] = _unquoted(value)
        elif name and not name.startswith("#"):
            strange.append(str(number))
    if not strange:
        return found, []
    which, are = (f"Line {strange[0]}", "is") if len(strange) == 1 else (f"Lines {', '.join(strange)}", "are")
    return found, [f"{which} of {path} {are} not NAME=value."]


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def secret_text(name: str, path: str, given: str) -> str:
    """The secret in the file that `NAME_FILE` names.

    Raises:
        ValueError: why there is none; the usual value in its place would be another database, or another key.
    """
    if given:
        raise ValueError(f"{name} is set as well: take one of the two away.")
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace").strip()
    except OSError as error:
        raise ValueError(f"The file {path} cannot be read: {error.strerror}.") from None
    if not text:
        raise ValueError(f"The file {path} is empty.")
    return text
