"""Whether others are at work in this process: who computes for long lets them go first.

The interpreter is one, and a thread that computes gives it away only after a while, at each step of whoever
waits for it. So a request that takes long makes pauses, and only where somebody is there to use them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Company:
    """The requests at work; its methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._present = 0

    @property
    def alone(self) -> bool:
        """Whether there is one request at most."""
        return self._present <= 1

    def give_way(self, seconds: float) -> None:
        """Leave the interpreter to the others for so long, if there are any."""
        if not self.alone:
            time.sleep(seconds)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """One more, until it is left."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, by: int) -> None:
        with self._lock:
            self._present += by


requests = Company()
