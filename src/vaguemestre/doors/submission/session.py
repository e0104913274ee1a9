"""One session on its transport: does what the dialogue asks for, and watches the time.

Promises: while a result is awaited at most one more read is taken in, so that one session holds at most a
chunk and two reads; an answer is written before the session is closed, and read by a submitter that still
writes (the write side closes first). Fails by closing: a lost session's message is not committed unless that
has happened already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from math import ceil
from ssl import SSLError
from typing import Any, cast

import structlog

from vaguemestre.doors.submission import answers, troubles
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.dialogue import Dialogue
from vaguemestre.doors.submission.effects import (
    Authenticate,
    Close,
    Declined,
    Drop,
    Effect,
    Handover,
    StartTls,
    Store,
    Submitter,
)
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.intake import Turn
from vaguemestre.doors.submission.mode import Mode
from vaguemestre.doors.submission.signing_in import Denied, shown, sign_in
from vaguemestre.doors.submission.terms import Peer
from vaguemestre.ledger.models import ApiKey
from vaguemestre.ledger.parcels import Piece

log = structlog.get_logger("vaguemestre.submission")


class Session(asyncio.Protocol):
    """The protocol of one accepted socket; `secured` is called once TLS that came first is in use."""

    def __init__(self, house: House, *, secured: Callable[[], None] | None = None) -> None:
        self._house = house
        self._secured = secured
        self._limits = house.terms.limits
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn: Turn[Any] | None = None  # what waits for the ledger
        self._progress = self._loop.time()
        self._unreported = 0  # bytes read since the last progress
        self._held = 0
        self._refused: set[bytes] = set()  # digests of credentials
        self._lost = False
        self._reading = True
        self._shaking = False  # hands, behind STARTTLS
        self._blocked = False  # the submitter does not read what we write
        self._full = False  # it has written on although its answer is still to come
        self._ended = False  # it will write no more

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A submitter is there."""
        # uvloop's transports are of another class, with the same methods.
        self._transport = cast("asyncio.Transport", transport)
        # There is no name where the peer has gone already; such a session ends by itself.
        name = transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104  nothing is bound
        self._peer = Peer.at(name[0])
        self._name = str(self._peer)
        self._dialogue = Dialogue(self._house.terms, self._peer, secure=self._secured is not None)
        self._watch(self._limits.idle)
        if self._secured is not None:
            self._secured()
        refused = self._house.admit(self, self._peer)
        if refused is not None:
            log.warning("session_refused", peer=self._name, code=refused.code, reason=refused.lines[0])
            self._perform(self._dialogue.turn_away(refused))
            return
        if self._house.draining:
            self._dialogue.drain()
        self._perform(self._dialogue.begin())

    def data_received(self, data: bytes) -> None:
        """Bytes of the submitter."""
        # Without this, pausing and resuming at every message would be a good part of its cost.
        self._full = self._dialogue.mode is Mode.WAITING
        effects = self._dialogue.receive(data)
        if not effects:
            self._unreported += len(data)
        if effects or self._unreported >= self._limits.stride:
            self._progress, self._unreported = self._loop.time(), 0
        self._perform(effects)

    def eof_received(self) -> bool:
        """The submitter writes no more: it is told what it still waits for, then the transport closes."""
        self._ended = True
        waits = self._dialogue.mode is Mode.WAITING
        return waits and self._transport.get_extra_info("ssl_object") is None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's signature
        """The session is over, whoever ended it."""
        self._lost = True
        if self._turn is not None:
            self._turn.given_up = True
        for effect in self._dialogue.lost():
            if isinstance(effect, Drop):
                self._house.drop(effect.parcel)
        self._house.leave(self, self._peer)
        self._house.hold(-self._held)
        self._held = 0
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """What we write is not read: nothing more is taken up."""
        self._blocked = True
        self._adjust_reading()

    def resume_writing(self) -> None:
        """It is read again."""
        self._blocked = False
        self._adjust_reading()

    # The house's calls

    def drain(self) -> None:
        """See `Guest`."""
        self._perform(self._dialogue.drain())
        if self._shaking:  # it is told behind the handshake, unless that never comes
            self._loop.call_later(self._limits.linger, self.abort)

    def abort(self) -> None:
        """See `Guest`."""
        self._transport.abort()

    # Effects

    def _perform(self, effects: list[Effect]) -> None:
        if self._blocked or self._full or not self._reading:
            self._adjust_reading()
        for effect in effects:
            if type(effect) is not bytes:
                self._do(effect)
            elif not self._transport.is_closing():
                self._transport.write(effect)  # uvloop sends what was written in one turn together
        more = self._dialogue.content.held - self._held
        if more:
            self._account(more)  # last, since it may close: what was answered before comes first

    def _do(self, effect: Effect) -> None:
        match effect:
            case Handover():
                self._house.messages.add(self._turn_of(effect), self._recorded)
            case Authenticate(credentials=credentials):
                self._await(self._sign_in(credentials))
            case Store(piece=piece):
                self._store(piece)
            case Drop(parcel=parcel):
                self._house.drop(parcel)
            case Declined():
                self._log_declined(effect)
            case StartTls():
                self._pause()
                self._await(self._negotiate())
            case Close():
                self._part()

    def _account(self, more: int) -> None:
        self._held += more
        if not self._house.hold(more) and self._dialogue.mode in {Mode.CONTENT, Mode.CHUNK}:
            log.warning("content_given_up", peer=self._name, held=self._house.held)
            self._perform(self._dialogue.turn_away(answers.CLOSED_ROOM))

    def _await(self, work: Coroutine[None, None, None]) -> None:
        self._task = self._loop.create_task(work)

    async def _sign_in(self, credentials: Credentials) -> None:
        begun, digest = self._loop.time(), credentials.digest
        again = digest in self._refused
        if again:  # many submitters try LOGIN where PLAIN was refused: that is no second guess
            found: ApiKey | Answer = answers.AUTH_FAILED
        else:
            found = await self._found(credentials)
        if not isinstance(found, Answer):
            self._go_on(self._dialogue.signed_in(found))
            return
        if found.refuses:
            self._refused.add(digest)
        # Always after the same time: how long the search took tells nothing, and guessing is slow.
        await asyncio.sleep(begun + self._limits.refusal - self._loop.time())
        self._go_on(self._dialogue.sign_in_refused(found, again=again))

    async def _found(self, credentials: Credentials) -> ApiKey | Answer:
        """Who that is, or the answer to give."""
        bans = self._house.bans
        who = self._house.known_as(self._peer, credentials.user)
        left = bans.left(who)
        if left:
            found: ApiKey | Denied = Denied(answers.auth_banned(left), "banned")
        else:
            found = await self._house.threads.run(sign_in, credentials, self._peer, self._house.clock())
        if not isinstance(found, Denied):
            bans.succeeded(who)
            return found
        banned = bans.refused(who) if found.reply.refuses else ceil(left)
        log.warning(
            "sign_in_refused",
            peer=self._name,
            user=shown(credentials),
            key=found.key,
            why=found.why,
            code=found.reply.code,
            banned_seconds=banned,
        )
        return found.reply

    def _turn_of[Item](self, item: Item) -> Turn[Item]:
        """The only one at a time, for which the submitter begins to wait."""
        turn = self._turn = Turn(item, time.monotonic() + self._limits.queueing)
        return turn

    def _store(self, piece: Piece) -> None:
        self._full = True
        self._pause()
        self._house.parcels.add(self._turn_of(piece), self._stored)

    def _stored(self, outcome: int | Answer) -> None:
        self._turn = None  # which holds the piece
        if not self._lost:
            self._go_on(self._dialogue.stored(outcome))
        elif isinstance(outcome, int):
            self._house.drop(outcome)

    def _recorded(self, reply: Answer) -> None:
        assert self._turn is not None  # noqa: S101  it is the one that was answered
        handover: Handover = self._turn.item
        self._turn = None
        facts = self._facts(handover.submitter, len(handover.rcpts), handover.size)
        if reply.accepts:
            facts["message"] = reply.lines[0].removeprefix("queued as ")
            self._house.note(facts)
        else:
            self._log_refused(facts, reply)
        self._go_on(self._dialogue.recorded(reply))

    def _log_declined(self, declined: Declined) -> None:
        facts = self._facts(declined.submitter, declined.recipients, declined.size)
        self._log_refused(facts, declined.reply)

    def _log_refused(self, facts: dict[str, Any], reply: Answer) -> None:
        reason = reply.lines[0][: answers.LINE]
        log.info("message_refused", **facts, code=reply.code, status=reply.enhanced, reason=reason)

    def _facts(self, submitter: Submitter, recipients: int, size: int) -> dict[str, Any]:
        key = submitter.key
        return {
            "peer": self._name,
            "key": None if key is None else key.prefix,
            "recipients": recipients,
            "size": size,
        }

    async def _negotiate(self) -> None:
        certificate = self._house.terms.tls
        assert certificate is not None  # noqa: S101  TLS is offered only with one
        self._shaking = True
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                certificate(),
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake,
            )
        except (OSError, SSLError, EOFError) as error:
            reason = troubles.of_tls(error)
            log.info("tls_failed", peer=self._name, error=type(error).__name__, reason=reason)
            transport = None
        self._shaking = False
        if transport is None or transport.is_closing():  # uvloop raises of no abort
            self._transport.abort()
            self.connection_lost(None)
            return
        self._transport = transport
        self._reading = True
        self._go_on(self._dialogue.secured())

    def _go_on(self, effects: list[Effect]) -> None:
        self._progress, self._unreported = self._loop.time(), 0
        self._full = False
        if not self._lost:
            self._perform(effects)
        if self._ended and not self._lost and self._dialogue.mode is not Mode.WAITING:
            self._transport.close()

    def _adjust_reading(self) -> None:
        wanted = not (self._blocked or self._full)
        if wanted is self._reading or self._transport.is_closing():
            return
        if wanted:
            self._reading = True
            self._transport.resume_reading()
        else:
            self._pause()

    def _pause(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    # Time

    def _watch(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        left = self._progress + self._limits.idle - self._loop.time()
        if self._dialogue.mode is Mode.WAITING:
            self._watch(self._limits.idle)
        elif left > 0:
            self._watch(left)
        else:
            self._perform(self._dialogue.turn_away(answers.CLOSED_IDLE))

    def _part(self) -> None:
        """Close, in a way that lets the last words arrive: closing over unread bytes would reset instead."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._transport.can_write_eof() or self._transport.is_closing():
            self._transport.close()
        else:
            self._transport.write_eof()
        self._timer = self._loop.call_later(self._limits.linger, self._transport.abort)

    def __repr__(self) -> str:
        return f"<Session {self._peer} {self._dialogue.mode.name}>"
