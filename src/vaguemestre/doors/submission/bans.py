"""Who may not sign in for a while, having guessed too often.

After `FAILURES` refused sign-ins one is banned for a minute; after as many more for two, and so on up to an
hour. A sign-in that succeeds, or an hour without a refused one, and all is forgotten.

Most are known by their address, IPv6 by its /64, since a subscriber has all of it. Behind loopback and a
trusted network sit many applications of one house: there each is known by its user name too, so that one with
a wrong key does not keep the others from sending.

What counts as a refused sign-in is the session's to say: the same user and key twice in one are one.

Promises: memory for `MOST` of them and no more; the one that has been quiet longest is forgotten first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from vaguemestre.doors.submission.terms import Peer

FAILURES = 3
SHORTEST = 60.0  # seconds
LONGEST = 3_600.0
QUIET = 3_600.0  # seconds after which a guesser starts anew
MOST = 10_000


def known_as(peer: Peer, user: str | None = None) -> str:
    """What a ban holds for; `user` where the peer shares its address with others of the house."""
    address = peer.address
    place = str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
    return place if user is None else f"{place} {user[:64]}"


@dataclass(frozen=True, slots=True)
class _Record:
    """Of one who was refused.

    Attributes:
        failures: since the last ban.
        bans: until now.
        until: when the last ban ends.
        last: when the last failure was.
    """

    failures: int
    bans: int
    until: float
    last: float


class Bans:
    """Of one listener; a restart forgets them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[str, _Record] = {}  # the one refused last is the last

    def left(self, who: str) -> float:
        """For how many seconds more they may not sign in; 0 if they may."""
        record = self._records.get(who)
        return 0.0 if record is None else max(0.0, record.until - self._clock())

    def refused(self, who: str) -> float:
        """One more failure; the answer is the length of the ban that follows from it, or 0."""
        now = self._clock()
        record = self._records.pop(who, None)
        if record is None or now > max(record.last, record.until) + QUIET:
            record = _Record(0, 0, now, now)
        length = 0.0
        if record.failures + 1 >= FAILURES:
            length = min(SHORTEST * 2.0 ** min(record.bans, 6), LONGEST)
            record = _Record(0, record.bans + 1, now + length, now)
        else:
            record = _Record(record.failures + 1, record.bans, record.until, now)
        self._records[who] = record
        while len(self._records) > MOST:
            del self._records[next(iter(self._records))]
        return length

    def succeeded(self, who: str) -> None:
        """They have the right key after all."""
        self._records.pop(who, None)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<Bans {len(self)} known>"
