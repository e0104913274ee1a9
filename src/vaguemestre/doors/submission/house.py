"""What all sessions of a listener share: its terms, the ledger's threads, and who is there.

Lives on one event loop and is touched from nowhere else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import structlog

from vaguemestre.doors.submission import answers, bans, intake
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.effects import Handover
from vaguemestre.doors.submission.gatherer import Gatherer
from vaguemestre.doors.submission.intake import Turn
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger.parcels import Piece
from vaguemestre.ledger.threads import LedgerThreads

log = structlog.get_logger("vaguemestre.submission")

GROUP = 64  # messages of one transaction: more are no faster, and make the first of them wait
PIECES = 8  # of large contents in one: two MiB, for which a small message may have to wait


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
        self.messages: Gatherer[Turn[Handover], Answer] = Gatherer(
            threads, partial(intake.record_all, clock, terms.limits.message), intake.trouble, most=GROUP
        )
        self.parcels: Gatherer[Turn[Piece], int | Answer] = Gatherer(
            threads, partial(intake.store_all, clock), intake.trouble, most=PIECES, patience=0.0
        )
        self.guests: set[Guest] = set()
        self.draining = False
        self.held = 0  # bytes of content in memory
        self.empty = asyncio.Event()
        self.empty.set()
        self.bans = bans.Bans()
        self._by_place: Counter[str] = Counter()  # an address, or a /64 of IPv6
        self._taken: list[dict[str, Any]] = []
        self._droppings: set[asyncio.Task[None]] = set()

    def admit(self, guest: Guest, peer: Peer) -> Answer | None:
        """Take a session in; or what to answer where there are too many, or the peer guessed too often."""
        limits, place = self.terms.limits, bans.known_as(peer)
        if len(self.guests) >= limits.sessions or self._by_place[place] >= limits.sessions_of_peer:
            return answers.CLOSED_BUSY
        left = self.bans.left(self.known_as(peer))
        if left:
            return answers.closed_banned(left)
        self.guests.add(guest)
        self.empty.clear()
        self._by_place[place] += 1
        return None

    def known_as(self, peer: Peer, user: str = "") -> str:
        """Whom a ban concerns: the peer, or one user of a peer that many applications of the house share."""
        shared = peer.loopback or peer.within(self.terms.trust)
        return bans.known_as(peer, user if shared else None)

    def leave(self, guest: Guest, peer: Peer) -> None:
        """Forget a session; one that never entered is no matter."""
        if guest in self.guests:
            self.guests.remove(guest)
            self._by_place[bans.known_as(peer)] -= 1
            self._by_place += Counter()  # forgets those with none left
            if not self.guests:
                self.empty.set()

    def hold(self, more: int) -> bool:
        """Count bytes of content (fewer, if negative); False if all sessions together hold too many."""
        self.held += more
        return self.held <= self.terms.limits.held

    def note(self, facts: dict[str, Any]) -> None:
        """Log a message that was taken; a group's share one event, since that costs more than a message."""
        if not self._taken:
            asyncio.get_running_loop().call_soon(self._log_taken)
        self._taken.append(facts)

    def _log_taken(self) -> None:
        taken, self._taken = self._taken, []
        log.info("messages_taken", messages=taken)

    def drop(self, parcel: int) -> None:
        """Have a parcel forgotten, some time soon: nobody waits for it, and what fails is swept later."""
        dropping = asyncio.get_running_loop().create_task(self.threads.run(intake.drop, parcel))
        self._droppings.add(dropping)
        dropping.add_done_callback(self._droppings.discard)

    def __repr__(self) -> str:
        return f"<House {len(self.guests)} sessions, {self.held} bytes>"
