"""Rooms for bodies: how many may be on their way here, or in hand, at a time.

Whoever reads a body waits for its sender, in one of the few threads that answer requests; and a large one
takes up to ten times its length in memory until its message is kept. So a body needs a place: among those of
visitors, who need no key, those of submitters, or those of large bodies: while they arrive, and then in hand.
Where a room is full, some wait; but where it has been full for so long that its bodies do not move, whoever
comes is sent away at once. The places of all rooms together, with those who may wait for long, are fewer than
the threads (`cli.web.THREADS`), so that pages, health and requests without a body are answered whatever
arrives.
"""

from __future__ import annotations

from threading import Condition, Lock
from time import monotonic

from django.core.exceptions import BadRequest

LARGE = 4 * 1_048_576  # bytes above which a body counts as large; a batch of small messages has 1.5 million


class Full(BadRequest):
    """No place for a body became free in time.

    Attributes:
        after: seconds after which to try again.
    """

    def __init__(self, after: int) -> None:
        super().__init__("Too many bodies are on their way here at this moment.")
        self.after = after


class Room:
    """Places for bodies; its methods may be called by any thread.

    Args:
        places: how many bodies may be in it.
        queue: how many more may wait for a place.
        patience: seconds for which they wait, and after which a room that stays full takes nobody.
    """

    def __init__(self, places: int, queue: int, patience: int) -> None:
        self._free, self._queue, self._patience = places, queue, patience
        self._waiting, self._full_since = 0, 0.0
        self._lock = Lock()
        self._freed = Condition(self._lock)

    def enter(self) -> None:
        """Take a place.

        Raises:
            Full: there is none.
        """
        with self._lock:
            if not self._free:
                self._wait()
            self._free -= 1
            if not self._free:
                self._full_since = monotonic()

    def leave(self) -> None:
        """Give the place back."""
        with self._lock:
            self._free += 1
            if self._waiting:
                self._freed.notify()

    def _wait(self) -> None:
        if self._waiting == self._queue or monotonic() - self._full_since > self._patience:
            raise Full(self._patience)
        self._waiting += 1
        try:
            if not self._freed.wait_for(lambda: self._free, self._patience):
                raise Full(self._patience)
        finally:
            self._waiting -= 1


# In a crowd many of them wait for the interpreter with their bodies in hand: who has a key may queue.
SUBMITTERS = Room(places=16, queue=32, patience=2)
VISITORS = Room(places=4, queue=2, patience=2)
ARRIVING = Room(places=5, queue=2, patience=20)  # large ones on their way, perhaps for minutes
LARGE_ONES = Room(places=2, queue=5, patience=20)  # a message of 18 MB is in hand for a second or two
