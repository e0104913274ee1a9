"""API keys that were right a moment ago: a busy submitter costs one look at the database in five seconds.

Promises: a key is trusted for less than `TRUSTED`, and no longer once `forget_all` was called in this
process; what was looked up before that call is not kept after it. A key is kept by the SHA-256 of its text,
never by the text; only keys that were right are kept, at most `LIMIT`, so that guessing fills nothing.

Another process's revocation is heard of within `TRUSTED`. Acceptance does not rely on any of this: it asks
the ledger in its own transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from vaguemestre.ledger.models import ApiKey

TRUSTED = timedelta(seconds=5)
LIMIT = 1_000


class KnownKeys:
    """What one process knows; its methods may be called by any thread."""

    def __init__(self) -> None:
        self.forgotten = 0  # how often: a look that began before the last time may be out of date
        self._lock = Lock()
        self._checked: dict[str, tuple[ApiKey, datetime]] = {}

    def __len__(self) -> int:
        return len(self._checked)

    def get(self, digest: str, now: datetime) -> ApiKey | None:
        """The key, if it was checked less than `TRUSTED` ago."""
        key, checked_at = self._checked.get(digest, (None, now))
        # A clock that was put back makes no key last longer.
        return key if timedelta(0) <= now - checked_at < TRUSTED else None

    def keep(self, digest: str, key: ApiKey, now: datetime, began: int) -> None:
        """Remember a key that was right; `began` is what `forgotten` was before it was looked up."""
        with self._lock:
            if began != self.forgotten:
                return
            if len(self._checked) >= LIMIT:
                self._checked.clear()
            self._checked[digest] = (key, now)

    def forget_all(self) -> None:
        """Ask the ledger again about every key."""
        with self._lock:
            self.forgotten += 1
            self._checked.clear()
