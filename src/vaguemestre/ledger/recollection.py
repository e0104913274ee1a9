"""What was handed over within the last quarter of an hour, remembered by its digest: for SQLite's handovers.

An index of digests is written at a random place for each message, and SQLite writes whole pages. The rows
alone go one behind the other; a process remembers where each digest stands, reads what others added since,
and all of it when it starts. Of each it keeps 16 bytes once a minute is over.

A digest is remembered by its first eight bytes: who asks compares the row. Touched by one transaction at a
time, since SQLite's writers take turns.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_OPEN = timedelta(minutes=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


class Recollection:
    """Row numbers by digests.

    Args:
        kept: how long a digest is remembered.

    Attributes:
        last: the highest number that was added.
    """

    def __init__(self, kept: timedelta) -> None:
        self._kept = kept
        self.forget()

    def forget(self) -> None:
        """Remember nothing."""
        self.last = 0
        self._open: dict[int, int] = {}
        self._opened = self._latest = _NEVER
        self._closed: list[tuple[datetime, array[int], array[int]]] = []

    def add(self, number: int, digest: bytes, at: datetime) -> None:
        """A row, numbered higher than those before it."""
        if self._open and at - self._opened > _OPEN:
            self._close()
        if not self._open:
            self._opened = self._latest = at
        self._open[_start(digest)] = self.last = number
        self._latest = max(self._latest, at)

    def find(self, digest: bytes) -> Iterator[int]:
        """The rows that may have the digest, the latest first."""
        start = _start(digest)
        if start in self._open:
            yield self._open[start]
        for _, starts, numbers in reversed(self._closed):
            place = bisect_left(starts, start)
            if place < len(starts) and starts[place] == start:
                yield numbers[place]

    def _close(self) -> None:
        """Keep it small, and drop what counts no more."""
        before = self._latest - self._kept
        self._closed = [one for one in self._closed if one[0] >= before]
        starts = array("Q", sorted(self._open))
        self._closed.append((self._latest, starts, array("Q", map(self._open.__getitem__, starts))))
        self._open = {}


def _start(digest: bytes) -> int:
    return int.from_bytes(digest[:8])
