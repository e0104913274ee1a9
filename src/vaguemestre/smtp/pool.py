"""Idle sessions, kept for the next transaction of the very same hop.

Bookkeeping only, synchronous and without I/O: what is to be closed is returned, and the caller closes it. A
session comes back only if it is beyond doubt, and leaves only if nothing happened to it meanwhile: an
unasked 421 or the end of the link is seen here and not by the next message (faults U33).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.session import Session

IDLE_LIMIT = 30.0  # seconds; servers close after 60 or more (Postfix: 300 s, many relays 60 s)
TRANSACTION_LIMIT = 500  # of one session, as Exim has it; a server that wants fewer says so by 421


@dataclass
class Pool:
    """See the module. Hops are equal only with the same secret object: another password, another session.

    Attributes:
        idle_limit: seconds after which an idle session is closed.
        transaction_limit: transactions after which a session is not kept.
    """

    idle_limit: float = IDLE_LIMIT
    transaction_limit: int = TRANSACTION_LIMIT
    _idle: dict[NextHop, list[tuple[float, Session]]] = field(default_factory=dict)
    _spoilt: list[Session] = field(default_factory=list)

    def __repr__(self) -> str:
        idle = sum(map(len, self._idle.values()))
        return f"<Pool {idle} idle to {len(self._idle)} hops>"

    def borrow(self, hop: NextHop, now: float) -> Session | None:
        """The session of that hop that was used last, now the caller's; None if there is none to trust."""
        idle = self._idle.get(hop, [])
        while idle:
            since, session = idle.pop()
            if not idle:
                del self._idle[hop]
            if session.reusable and now - since < self.idle_limit:
                return session
            self._spoilt.append(session)
        return None

    def give_back(self, session: Session, now: float) -> Session | None:
        """Keep a session for later; returned instead if it is not to be kept, for the caller to quit."""
        if not session.reusable or session.transactions >= self.transaction_limit:
            return session
        self._idle.setdefault(session.hop, []).append((now, session))
        return None

    def idle(self, hop: NextHop) -> int:
        """How many sessions of a hop are kept."""
        return len(self._idle.get(hop, ()))

    def surplus(self, hop: NextHop, room: int) -> list[Session]:
        """The idle sessions of a hop beyond `room`, the oldest first; for the caller to quit."""
        idle = self._idle.get(hop, [])
        gone = idle[: len(idle) - max(0, room)] if len(idle) > room else []
        del idle[: len(gone)]
        if not idle:
            self._idle.pop(hop, None)
        return [session for _, session in gone]

    def expired(self, now: float) -> list[Session]:
        """Those that were idle for too long, or that something happened to; for the caller to quit."""
        gone, self._spoilt = self._spoilt, []
        for hop, idle in list(self._idle.items()):
            kept = [one for one in idle if one[1].reusable and now - one[0] < self.idle_limit]
            gone += [one[1] for one in idle if one not in kept]
            if kept:
                self._idle[hop] = kept
            else:
                del self._idle[hop]
        return gone

    def empty(self) -> list[Session]:
        """All of them, for the caller to quit at the end."""
        gone = [*self._spoilt, *(session for idle in self._idle.values() for _, session in idle)]
        self._idle, self._spoilt = {}, []
        return gone
