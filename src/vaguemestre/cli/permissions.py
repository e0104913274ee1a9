"""Files that are there, but not for the user who runs this: the sentence that names them, and what mends it.

An operator who read that a key is missing would make another one over it. Nothing here changes a file.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote

from vaguemestre.cli.failure import Failed


def there(path: Path) -> bool:
    """Whether it exists.

    Raises:
        Failed: its folder lets this user not even look.
    """
    try:
        return path.exists()
    except PermissionError as error:
        owner = _owner(path.parent)
        whose = f": it belongs to {owner}; run this as {owner}" if owner else ""
        raise Failed(f"The folder {path.parent} cannot be entered ({error.strerror}){whose}.") from None


def unreadable(path: Path, what: str) -> str:
    """What is to be told of a file that exists and cannot be read; empty where there is nothing to tell."""
    try:
        with path.open("rb"):
            return ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{what} {path} is there but cannot be read ({error.strerror}){remedy(path)}"


def unwritable(paths: Iterable[Path]) -> Iterator[str]:
    """What is to be told of files and folders that are there, and that must be written, and cannot be."""
    frozen: set[int] = set()  # file systems that were told of
    for path in paths:
        wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
        if not path.exists() or os.access(path, wanted, effective_ids=True):
            continue
        if not os.statvfs(path).f_flag & os.ST_RDONLY:
            yield f"{path} cannot be written{remedy(path)}"
        elif (device := path.stat().st_dev) not in frozen:
            frozen.add(device)
            where = f"{path} lies on a file system that takes no writes now"
            yield f"{where}: mount it writable, or look to its disk."


def remedy(path: Path) -> str:
    """To whom it belongs, and the command that gives it to the user who runs this; the end of a sentence."""
    me, owner = _name(os.geteuid()), _owner(path)
    if not owner:
        return "."
    if owner == me:
        return f": run `chmod u+rw{'x' if path.is_dir() else ''} {quote(str(path))}`."
    return f": it belongs to {owner}; give it to {me}, who runs this, with `chown {me} {quote(str(path))}`."


def _owner(path: Path) -> str:
    try:
        return _name(path.stat().st_uid)
    except OSError:
        return ""


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
