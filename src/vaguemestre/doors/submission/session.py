"""One session on its transport: does what the dialogue asks for, and watches the time.

Promises: while a result is awaited nothing more is read, so that one session holds at most one message and
one read beyond it; an answer is written before the session is closed, and read by a submitter that still
writes (the write side closes first). Fails by closing: a lost session's message is not committed unless that
has happened already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from ssl import SSLError
from typing import cast

import structlog

from vaguemestre.doors.submission import answers, intake
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.dialogue import Dialogue, Mode
from vaguemestre.doors.submission.effects import (
    Authenticate,
    Close,
    Effect,
    Handover,
    Record,
    StartTls,
    Write,
)
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.terms import Peer

log = structlog.get_logger("vaguemestre.submission")


class Session(asyncio.Protocol):
    """The protocol of one accepted socket."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._limits = house.terms.limits
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._progress = self._loop.time()
        self._unreported = 0  # bytes read since the last progress
        self._held = 0
        self._lost = False
        self._reading = True
        self._blocked = False  # the submitter does not read what we write

    # The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A submitter is there; behind implicit TLS, after the handshake."""
        # uvloop's transports are of another class, with the same methods.
        self._transport = cast("asyncio.Transport", transport)
        # There is no name where the peer has gone already; such a session ends by itself.
        name = transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104  nothing is bound
        self._peer = Peer.at(name[0])
        secure = transport.get_extra_info("ssl_object") is not None
        self._dialogue = Dialogue(self._house.terms, self._peer, secure=secure)
        self._watch(self._limits.idle)
        if not self._house.enter(self, self._peer):
            log.warning("session_refused", peer=str(self._peer), sessions=len(self._house.guests))
            self._perform(self._dialogue.turn_away(answers.CLOSED_BUSY))
        elif self._house.draining:
            self.drain()
        else:
            self._perform(self._dialogue.begin())

    def data_received(self, data: bytes) -> None:
        """Bytes of the submitter."""
        self._unreported += len(data)
        effects = self._dialogue.receive(data)
        if effects or self._unreported >= self._limits.stride:
            self._note_progress()
        self._perform(effects)

    def eof_received(self) -> bool:
        """The submitter writes no more: what it was told is flushed, then the transport closes."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  the base's signature
        """The session is over, whoever ended it."""
        self._lost = True
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

    def abort(self) -> None:
        """See `Guest`."""
        self._transport.abort()

    # Effects

    def _perform(self, effects: list[Effect]) -> None:
        self._account()
        self._adjust_reading()
        words = b"".join(effect.data for effect in effects if isinstance(effect, Write))
        if words and not self._transport.is_closing():
            self._transport.write(words)
        for effect in effects:
            match effect:
                case Authenticate(credentials=credentials):
                    self._await(self._sign_in(credentials))
                case Record(handover=handover):
                    self._await(self._record(handover))
                case StartTls():
                    self._await(self._negotiate())
                case Close():
                    self._part()

    def _account(self) -> None:
        held, self._held = self._held, self._dialogue.held
        if not self._house.hold(self._held - held) and self._dialogue.mode is Mode.CONTENT:
            log.warning("content_given_up", peer=str(self._peer), held=self._house.held)
            self._perform(self._dialogue.turn_away(answers.CLOSED_ROOM))

    def _await(self, work: Coroutine[None, None, None]) -> None:
        self._task = self._loop.create_task(work)

    async def _sign_in(self, credentials: Credentials) -> None:
        found = await self._house.threads.run(intake.sign_in, credentials, self._peer, self._house.clock())
        if isinstance(found, Answer):
            log.warning("sign_in_refused", peer=str(self._peer), code=found.code)
            self._go_on(self._dialogue.sign_in_refused(found))
        else:
            self._go_on(self._dialogue.signed_in(found))

    async def _record(self, handover: Handover) -> None:
        latest = time.monotonic() + self._limits.queueing
        turn = intake.Turn(
            now=self._house.clock(),
            in_time=lambda: not self._lost and time.monotonic() < latest,
            trace_limit=self._limits.trace,
        )
        reply = await self._house.threads.run(intake.record, handover, turn)
        self._log_recorded(handover, reply)
        self._go_on(self._dialogue.recorded(reply))

    def _log_recorded(self, handover: Handover, reply: Answer) -> None:
        key = handover.submitter.key
        log.info(
            "message_taken" if reply.accepts else "message_refused",
            peer=str(self._peer),
            key=None if key is None else key.prefix,
            message=reply.lines[0].removeprefix("queued as ") if reply.accepts else None,
            recipients=len(handover.recipients),
            size=len(handover.raw),
            code=reply.code,
            status=reply.enhanced,
        )

    async def _negotiate(self) -> None:
        context = self._house.terms.tls
        assert context is not None  # noqa: S101  the dialogue offers STARTTLS only with one
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=self._limits.handshake
            )
        except (OSError, SSLError, EOFError) as error:
            log.info("tls_failed", peer=str(self._peer), error=type(error).__name__)
            transport = None
        if transport is None:
            self._transport.abort()
            self.connection_lost(None)
            return
        self._transport = transport
        self._reading = True
        self._go_on(self._dialogue.secured())

    def _go_on(self, effects: list[Effect]) -> None:
        self._note_progress()
        if not self._lost:
            self._perform(effects)

    def _adjust_reading(self) -> None:
        wanted = not self._blocked and self._dialogue.mode is not Mode.WAITING
        if wanted is self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    # Time

    def _note_progress(self) -> None:
        self._progress = self._loop.time()
        self._unreported = 0

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
