"""Files that are there, but not for the user who runs this: the sentence that names them, and what mends it.

An operator who read that a key is missing would make another one over it. Nothing here changes a file.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from shlex import quote


def unreadable(path: Path, what: str) -> str:
    """What is to be told of a file that exists and cannot be read; empty where there is nothing to tell."""
    try:
        with path.open("rb"):
            return ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{what} {path} is there but cannot be read ({error.strerror}){remedy(path)}"


def remedy(path: Path) -> str:
    """To whom it belongs, and the command that gives it to the user who runs this; the end of a sentence."""
    me = os.geteuid()
    try:
        facts = path.stat()
    except OSError:
        return "."
    if facts.st_uid == me:
        return f": run `chmod u+rw{'x' if path.is_dir() else ''} {quote(str(path))}`."
    mine = f"`chown {_name(me)} {quote(str(path))}`"
    return f": it belongs to {_name(facts.st_uid)}; give it to {_name(me)}, who runs this, with {mine}."


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
