"""Results on this machine's disk, for as long as the database does not take them (fault D6).

Each courier process has one file in the folder, readable by its owner alone and locked (`flock`) while the
process lives. `keep` appends a line for each attempt, with a checksum, and returns once that is fsynced;
`done` clears the file when all of it is recorded after all. What a process that was killed left behind is
read by the next courier (`left_behind`), settled by `ledger.evidence`, and removed (`settled`). A line that
was being written is no line.

Room for some thousand lines is taken at the start, so that the disk that is full for the database does not
turn away what the database could not take. Lines hold no content and no secret.

Fails with OSError: what was to be kept is not.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import structlog

from vaguemestre.ledger.claims import Report
from vaguemestre.ledger.evidence import Entry, entry_of

ROOM = 1 << 20  # bytes
_ENDING = ".outcomes"

log = structlog.get_logger("courier")


@dataclass
class _File:
    """An open, locked file: lines up to `end`, then zeros."""

    path: Path
    descriptor: int
    end: int = 0

    def append(self, lines: bytes) -> None:
        """Write behind what is there, and fsync. After a failure the next one writes over it."""
        written = 0
        while written < len(lines):
            written += os.pwrite(self.descriptor, lines[written:], self.end + written)
        os.fsync(self.descriptor)
        self.end += len(lines)

    def clear(self) -> None:
        """Nothing is in it any more; the room stays. Not fsynced: replaying again changes nothing."""
        zeros = bytes(self.end)
        self.end = 0
        with suppress(OSError):
            os.pwrite(self.descriptor, zeros, 0)

    def entries(self) -> Iterator[Entry]:
        """What can be read of it."""
        size = os.fstat(self.descriptor).st_size
        lines = os.pread(self.descriptor, size, 0).rstrip(b"\0").split(b"\n")
        for position, line in enumerate(lines):
            entry = _read(line)
            if entry is not None:
                yield entry
            elif position < len(lines) - 1:
                log.error("outcome_unreadable", file=self.path.name, line=position + 1)

    def remove(self) -> None:
        """Unlink and unlock it."""
        with suppress(OSError):
            self.path.unlink()
        self.unlock()

    def unlock(self) -> None:
        """Leave it to the next courier."""
        os.close(self.descriptor)


class Outcomes:
    """See the module. Any thread may call."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._left: list[tuple[_File, list[Entry]]] = []
        self._kept: set[str] = set()
        self._knowing, self._writing = Lock(), Lock()
        self._writers = 0
        _make_folder(folder)
        self._file = _create(folder)

    def __repr__(self) -> str:
        return f"<Outcomes {len(self._kept)} kept>"

    def keep(self, reports: Iterable[Report]) -> None:
        """Have the ends of these attempts on the disk when this returns.

        Raises:
            OSError: they are not.
        """
        entries = [entry_of(report) for report in reports]
        if not entries:
            return
        with self._knowing:
            self._writers += 1
            self._kept.update(entry.attempt.hex for entry in entries)
        try:
            with self._writing:
                self._file.append(b"".join(_line(entry) for entry in entries))
        except Exception:
            self.done([entry.attempt.hex for entry in entries])
            raise
        finally:
            with self._knowing:
                self._writers -= 1
                self._clear_if_done()

    def done(self, attempts: Iterable[str]) -> None:
        """The ledger has these. Never waits, so that an event loop may call it."""
        if not self._kept:
            return
        with self._knowing:
            self._kept.difference_update(attempts)
            self._clear_if_done()

    def left_behind(self) -> list[Entry]:
        """What processes that are dead left behind, and `settled` has not removed."""
        for path in sorted(self._folder.glob(f"*{_ENDING}")):
            try:
                self._adopt(path)
            except OSError as error:
                log.error("outcomes_unreadable", file=path.name, error=str(error))  # noqa: TRY400
        return [entry for _, entries in self._left for entry in entries]

    def settled(self) -> None:
        """The ledger has all that `left_behind` answered."""
        while self._left:
            self._left.pop()[0].remove()

    def close(self) -> None:
        """At an orderly end: nothing stays but what is not recorded, for the next courier."""
        while self._left:
            self._left.pop()[0].unlock()
        if self._kept:
            self._file.unlock()
        else:
            self._file.remove()

    def _adopt(self, path: Path) -> None:
        """Take over the file of a dead process; an empty one is removed."""
        file = _locked(path)
        if file is None:
            return
        entries = list(file.entries())
        if entries:
            self._left.append((file, entries))
        else:
            file.remove()

    def _clear_if_done(self) -> None:
        if not self._kept and not self._writers and self._file.end:
            self._file.clear()


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _create(folder: Path) -> _File:
    """A new file of this process, and nobody else's before it is locked."""
    while True:
        path = folder / f"{os.getpid()}-{secrets.token_hex(4)}{_ENDING}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_at(path, descriptor):  # else another courier took it for a dead one's
            break
        os.close(descriptor)
    with suppress(OSError):  # not every file system can; then there is as much room as there is
        os.posix_fallocate(descriptor, 0, ROOM)
    os.fsync(descriptor)
    _sync_folder(folder)
    return _File(path, descriptor)


def _locked(path: Path) -> _File | None:
    """The file, if its process is dead: that held the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if not _is_at(path, descriptor):
        os.close(descriptor)
        return None
    return _File(path, descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _line(entry: Entry) -> bytes:
    told = json.dumps(entry.as_json(), separators=(",", ":")).encode()
    return _checksum(told) + b" " + told + b"\n"


def _read(line: bytes) -> Entry | None:
    checksum, _, told = line.partition(b" ")
    if not told or checksum != _checksum(told):
        return None
    try:
        return Entry.from_json(json.loads(told))
    except ValueError:
        return None


def _checksum(told: bytes) -> bytes:
    return hashlib.blake2b(told, digest_size=8).hexdigest().encode()
