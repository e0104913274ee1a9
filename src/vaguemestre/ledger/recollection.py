"""What was handed over within the last quarter of an hour, remembered by its digest: for SQLite's handovers.

An index of digests is written at a random place for each message, and SQLite writes whole pages. The rows
alone go one behind the other; a process remembers where each digest stands, reads what others added since,
and all of it when it starts. Of each it keeps 16 bytes once a minute is over in which many came.

A digest is remembered by its first eight bytes: who asks compares the row. Touched by one transaction at a
time, since SQLite's writers take turns.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

_OPEN = timedelta(minutes=1)
_FEW = 4_096
_START = 8  # bytes
_NEVER = datetime.min.replace(tzinfo=UTC)


class Recollection:
    """Row numbers by digests.

    Args:
        kept: how long a digest is remembered.
        few: how many stay together in one part, however old: whoever asks looks through each part.

    Attributes:
        last: the highest number that was added.
    """

    def __init__(self, kept: timedelta, few: int = _FEW) -> None:
        self._kept, self._few = kept, few
        self.forget()

    def forget(self) -> None:
        """Remember nothing."""
        self.last = 0
        self._open: dict[bytes, int] = {}
        self._opened = self._latest = _NEVER
        self._closed: list[tuple[datetime, array[int], array[int]]] = []

    def add(self, rows: Sequence[tuple[int, bytes]], at: datetime) -> None:
        """Rows of one time, each with its digest; numbered in their order, and higher than those before."""
        if self._closed and at - self._closed[0][0] > self._kept:
            self._closed = [one for one in self._closed if at - one[0] <= self._kept]
        if len(self._open) > self._few and at - self._opened > _OPEN:
            self._close()
        if not self._open:
            self._opened = self._latest = at
        self._open |= {digest[:_START]: number for number, digest in rows}
        self.last = rows[-1][0]
        self._latest = max(self._latest, at)

    def find(self, digests: Collection[bytes]) -> dict[bytes, list[int]]:
        """The rows that may have a digest, the latest first; of those digests that any may have."""
        found = {digest: [self._open[digest[:_START]]] for digest in digests if digest[:_START] in self._open}
        for digest in digests if self._closed else ():
            start = int.from_bytes(digest[:_START])
            for _, starts, numbers in reversed(self._closed):
                place = bisect_left(starts, start)
                if place < len(starts) and starts[place] == start:
                    found.setdefault(digest, []).append(numbers[place])
        return found

    def _close(self) -> None:
        """Keep it small."""
        starts = sorted(self._open)
        numbers = array("Q", map(self._open.__getitem__, starts))
        self._closed.append((self._latest, array("Q", map(int.from_bytes, starts)), numbers))
        self._open = {}
