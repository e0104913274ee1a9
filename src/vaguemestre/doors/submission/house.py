"""What all sessions of a listener share: its terms, the ledger's threads, and who is there.

Lives on one event loop and is touched from nowhere else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger.threads import LedgerThreads


class Guest(Protocol):
    """A session, as the house sees it."""

    def drain(self) -> None:
        """Say goodbye, or finish the content that is under way."""

    def abort(self) -> None:
        """End at once."""


class House:
    """Counts sessions and the content they hold, and refuses what goes beyond the limits."""

    def __init__(self, terms: Terms, threads: LedgerThreads, clock: Callable[[], datetime]) -> None:
        self.terms = terms
        self.threads = threads
        self.clock = clock
        self.guests: set[Guest] = set()
        self.draining = False
        self.held = 0  # bytes of content in memory
        self.empty = asyncio.Event()
        self.empty.set()
        self._by_peer: Counter[str] = Counter()

    def enter(self, guest: Guest, peer: Peer) -> bool:
        """Take a session in; False if there are too many, here or from this peer."""
        limits = self.terms.limits
        if len(self.guests) >= limits.sessions or self._by_peer[str(peer)] >= limits.sessions_of_peer:
            return False
        self.guests.add(guest)
        self.empty.clear()
        self._by_peer[str(peer)] += 1
        return True

    def leave(self, guest: Guest, peer: Peer) -> None:
        """Forget a session; one that never entered is no matter."""
        if guest in self.guests:
            self.guests.remove(guest)
            self._by_peer[str(peer)] -= 1
            self._by_peer += Counter()  # forgets peers with none left
            if not self.guests:
                self.empty.set()

    def hold(self, more: int) -> bool:
        """Count bytes of content (fewer, if negative); False if all sessions together hold too many."""
        self.held += more
        return self.held <= self.terms.limits.held

    def __repr__(self) -> str:
        return f"<House {len(self.guests)} sessions, {self.held} bytes>"
