"""A session: one dialogue with one server, from the dial to QUIT (RFC 5321 §3).

`open_session` (in `opening`) makes one that is ready for mail, or raises `SessionFailed`. Every exchange is
one command, one reply, one deadline and one `Step` of the transcript. A session is poisoned for good by a
timeout, a malformed reply, a lost link, bytes that came before they were due, or a 421: `reusable` is then
False and the link is closed or about to be. Secrets are in no step and in no error; where a server repeats
one, it is masked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache

from vaguemestre.egress import IPAddress
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.transcript import Step, Transcript
from vaguemestre.mail.validity import Validity
from vaguemestre.smtp import wire
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.certificate import Certificate, Tls, leaf_pinned
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.link import Link, LinkLost, cause_of
from vaguemestre.smtp.masking import Mask
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.timeouts import Timeouts

type Observe = Callable[[Step], None]

RESPONSE = "***"  # stands for what is never shown
_NEARLY_ALL = wire.BLOCK // 4  # octets; so many may be unsent yet


def unobserved(step: Step) -> None:
    """For those who read the transcript afterwards."""


class State(StrEnum):
    """For operators; the repr shows it."""

    OPENING = "OPENING"
    IDLE = "IDLE"
    BUSY = "BUSY"
    CLOSED = "CLOSED"


class SessionFailed(Exception):
    """The dialogue cannot go on, or did not come to be.

    Attributes:
        trouble: what went wrong, and where.
        transcript: the steps until then.
    """

    def __init__(self, trouble: Trouble, transcript: Transcript) -> None:
        reply = "" if trouble.reply is None else f": {trouble.reply}"
        super().__init__(f"{trouble.phase.value} {trouble.cause.value}{reply}")
        self.trouble = trouble
        self.transcript = transcript


class Session:
    """See the module. Used by one task at a time.

    Attributes:
        hop: what it was opened for.
        capabilities: as announced last, after TLS.
        link: the link below, once the dial succeeded.
        peer: the address that was dialled; "" before.
        replies: those that came and were not taken yet.
        tls: how it is protected; None in clear.
        presented: the certificate that was refused, as far as it could be read.
        mechanism: how it signed in; "" where it did not.
        addresses: those that the name has and that may be dialled.
        transactions: how many were begun.
        state: what it is doing.
        steps: where steps are recorded: those of the opening, then of the transaction at hand.
        unfinished: whether the server may hold a transaction open, and RSET must come first.
        retired: whether it is to carry no more, though its dialogue is in order.
        window: how many transactions may be in flight, as far as was proven (BDAT).
        in_flight: how many are.
        proven: whether a transaction with BDAT went through, and the last one in good time.
        taken_by: the words by which the server then said so; None where it says the same to other commands.
        windows: whether it may have windows: False once an EHLO behind a message was not answered as one.
        heard_at: when the last reply came, on `network.monotonic`.
    """

    link: Link

    def __init__(
        self, hop: NextHop, network: Network, timeouts: Timeouts, observe: Observe = unobserved
    ) -> None:
        self.hop, self.network, self.timeouts = hop, network, timeouts
        self.capabilities = Capabilities()
        self.tls: Tls | None = None
        self.presented: Certificate | None = None
        self.mechanism = self.peer = ""
        self.addresses: tuple[IPAddress, ...] = ()
        self.transactions, self.state = 0, State.OPENING
        self._observe = observe
        self._listen()
        self.opening: Transcript = ()
        self.steps: list[Step] = []
        self._last: dict[Phase, Step] = {}  # as it was heard
        self._poisoned = self.retired = self.unfinished = self.proven = False
        self.taken_by: tuple[str, ...] | None = None
        self.windows, self.window, self.in_flight, self.heard_at = True, 1, 0, 0.0
        # Servers say the same few over and over.
        self._masked = lru_cache(maxsize=16)(Mask(hop.login, hop.secret, RESPONSE))

    def __repr__(self) -> str:
        return f"<Session {self.hop.host} {self.state.value} {self.transactions} transactions>"

    # What it knows

    @property
    def seen_address(self) -> str | None:
        """Where the server sees us come from, if it says so and does not mean itself."""
        seen = self.capabilities.seen_address
        itself = seen == self.peer and not ipaddress.ip_address(self.peer).is_loopback
        return None if itself else seen

    @property
    def validity(self) -> Validity | None:
        """Of the server's certificate; None where it has none, or is pinned and may end."""
        if self.tls is None or leaf_pinned(self.hop.pinned_certificate):
            return None
        return self.tls.certificate.validity

    @property
    def transcript(self) -> Transcript:
        """The steps of the opening, and those of the last transaction."""
        return (*self.opening, *self.steps)

    @property
    def stale(self) -> bool:
        """Whether something came that nobody asked for, or the other side is gone."""
        if not self.peer or self.link.received or self.replies:
            return True
        return self.link.over or self.link.closing() or self._parser.partial

    @property
    def reusable(self) -> bool:
        """Whether another transaction may be tried on it."""
        return not (self._poisoned or self.retired or self.stale)

    @property
    def facts(self) -> dict[str, str]:
        """For `Trouble.facts`."""
        found = {"host": self.hop.host, "port": str(self.hop.port), "peer": self.peer}
        found |= {"seen_address": self.seen_address or ""}
        if self.tls is not None:
            found |= {"tls": self.tls.version}
        return {name: text for name, text in found.items() if text}

    # Failing

    def trouble(
        self, phase: Phase, cause: Cause, reply: Reply | None = None, facts: Mapping[str, str] | None = None
    ) -> Trouble:
        """A trouble with this session's facts."""
        return Trouble(phase, cause, reply, {**self.facts, **(facts or {})})

    def failed(self, trouble: Trouble) -> SessionFailed:
        """To be raised: the dialogue is still in order."""
        return SessionFailed(trouble, self.transcript)

    def broken(self, trouble: Trouble) -> SessionFailed:
        """To be raised: the dialogue is out of order, and the link closed."""
        self.abort()
        return SessionFailed(trouble, self.transcript)

    def poison(self) -> None:
        """No other transaction is tried on it, and it ends without a word."""
        self._poisoned = True

    def abort(self) -> None:
        """Close now, without a word."""
        self._poisoned = True
        self.state = State.CLOSED
        if self.peer:
            self.link.abort()

    # Speaking

    def dialled(self, link: Link) -> None:
        """There is a link now."""
        self.link, self.peer = link, link.peer[0]

    def protected(self, tls: Tls) -> None:
        """TLS is on: what was said in clear is forgotten (RFC 3207 §4.2)."""
        self.tls = tls
        self._listen()
        self.capabilities = Capabilities()

    def _listen(self) -> None:
        """Nothing was heard yet."""
        self._parser = wire.ReplyParser()
        self.replies = self._parser.replies

    def opened(self) -> None:
        """Ready for mail."""
        self.opening, self.steps = tuple(self.steps), []
        self.heard_at = self.network.monotonic()
        self.state = State.IDLE

    def begin(self) -> None:
        """A transaction begins."""
        self.transactions += 1
        self.in_flight += 1
        self.state = State.BUSY

    def ended(self) -> None:
        """A transaction is over."""
        self.in_flight -= 1
        if self.state is State.BUSY and not self.in_flight:
            self.state = State.IDLE

    def record(self, step: Step) -> None:
        """A step for the transcript and for who watches."""
        self.steps.append(step)
        if self._observe is not unobserved:
            self._observe(step)

    def check_quiet(self, phase: Phase, sent: str = "") -> None:
        """Raise SessionFailed if something came that is not due."""
        if self.stale:
            raise self._disturbed(phase, sent)

    def write(self, phase: Phase, sent: str, octets: bytes) -> None:
        """Write what answers nothing that is outstanding.

        Raises:
            SessionFailed: something came that is not due; nothing was written.
        """
        if self.stale:
            raise self._disturbed(phase, sent)
        self.link.write(octets)

    def _disturbed(self, phase: Phase, sent: str) -> SessionFailed:
        trouble = self._unasked(phase)
        self.record(Step(phase, sent, trouble.reply, trouble.cause))
        return self.broken(trouble)

    def _unasked(self, phase: Phase) -> Trouble:
        """What came although nothing was asked.

        A 421 may come at any time (RFC 5321 §3.8), and a refusal while content is being written is meant for
        it. Any other reply answers nothing that we know of.
        """
        self._parser.feed(self.link.take())
        try:
            raw = self._parser.next_reply()
        except wire.MalformedReply:
            return self.trouble(phase, Cause.UNDUE)
        if raw is not None and (raw.code == 421 or (raw.code >= 400 and phase is Phase.CONTENT)):
            return self.trouble(phase, Cause.REPLY, self._unmasked(raw).reply)
        if raw is None and not self._parser.pending:
            return self.trouble(phase, Cause.LOST)
        return self.trouble(phase, Cause.UNDUE)

    async def exchange(
        self, phase: Phase, line: bytes, shown: str = "", *, detail: str = ""
    ) -> wire.RawReply:
        """Write a command, read its reply.

        Args:
            phase: its timeout is the deadline, and it stands in step and trouble.
            line: the command with its CRLF.
            shown: what the transcript shows instead, where the line holds a secret.
            detail: of the step.

        Raises:
            SessionFailed: no valid reply in time; the session is closed.
        """
        sent = shown or line[:-2].decode("utf-8")
        self.write(phase, sent, line)
        return await self.receive(phase, sent, detail=detail)

    async def receive(
        self,
        phase: Phase,
        sent: str,
        explain: Callable[[Exception], tuple[Cause, dict[str, str]]] | None = None,
        *,
        detail: str = "",
    ) -> wire.RawReply:
        """Read one reply, as `exchange` does; `explain` names the cause of a failure, and its facts."""
        started = self.network.monotonic()
        try:
            if self.link.unsent > _NEARLY_ALL:
                await self._nearly_written()
            deadline = asyncio.get_running_loop().time() + self.timeouts.of(phase)
            while (raw := self._parser.next_reply()) is None:
                self._parser.feed(await self.link.read(deadline))
        except (TimeoutError, LinkLost, wire.MalformedReply) as error:
            cause, facts = explain(error) if explain else (cause_of(error), {})
            self.record(Step(phase, sent, None, cause, self.network.monotonic() - started))
            raise self.broken(self.trouble(phase, cause, None, facts)) from None
        except BaseException:
            # Cancelled between a command and its reply: whoever spoke next would read the wrong one.
            self.abort()
            raise
        self.heard_at = self.network.monotonic()
        return self.heard(phase, sent, raw, self.heard_at - started, detail)

    def heard(
        self, phase: Phase, sent: str, raw: wire.RawReply, elapsed: float = 0.0, detail: str = ""
    ) -> wire.RawReply:
        """A reply that was taken, for the transcript: as `receive` returns it."""
        if self.hop.secret is not None:
            raw = self._unmasked(raw)
        if raw.code == 421:
            self._poisoned = True
        reply, step = raw.reply, self._last.get(phase)
        if step and step.reply is reply and step.sent == sent and not (elapsed or step.elapsed or detail):
            step.keep()  # nobody waited for it, as for most
        else:
            step = self._last[phase] = Step(phase, sent, reply, None, elapsed, detail)
        self.steps.append(step)
        if self._observe is not unobserved:
            self._observe(step)
        return raw

    async def _nearly_written(self) -> None:
        """A reply's deadline begins once the system took what was written, or nearly all of it."""
        while self.link.unsent > _NEARLY_ALL and not self.stale:
            await self.link.drain(asyncio.get_running_loop().time() + self._to_write())

    def _unmasked(self, raw: wire.RawReply) -> wire.RawReply:
        lines = self._masked(raw.lines)
        return raw if lines == raw.lines else wire.RawReply(raw.code, lines)

    def _to_write(self) -> float:
        """Seconds until what is unsent must be the system's: so many for each block begun."""
        return self.timeouts.block * max(1, -(-self.link.unsent // wire.BLOCK))

    async def closes(self) -> bool:
        """Whether the server, having said 421, says nothing more; waits for its end as long as QUIT does.

        Some answer 421 to one command and go on: what was written behind it may have been taken then.
        """
        if self._parser.pending:
            return False
        try:
            await self.link.read(asyncio.get_running_loop().time() + self.timeouts.quit)
        except (LinkLost, TimeoutError):
            return True
        return False

    async def drained(self, shown: str) -> None:
        """Wait until what was written is the system's, or something comes.

        Raises:
            SessionFailed: it takes too long.
        """
        if not self.link.unsent:
            return
        started = self.network.monotonic()
        try:
            await self.link.drain(asyncio.get_running_loop().time() + self._to_write())
        except TimeoutError:
            elapsed = self.network.monotonic() - started
            self.record(Step(Phase.CONTENT, shown, None, Cause.TIMEOUT, elapsed))
            raise self.broken(self.trouble(Phase.CONTENT, Cause.TIMEOUT)) from None

    # Commands outside of transactions

    async def reset(self) -> None:
        """RSET; whatever is answered instead of 250 poisons the session, and nothing is raised for it."""
        try:
            raw = await self.exchange(Phase.RSET, wire.command("RSET"))
        except SessionFailed:
            return
        self.unfinished = not raw.reply.positive
        if self.unfinished:
            self.poison()

    async def quit(self) -> None:
        """QUIT, then close. Nothing that the server does here matters, and nothing is raised."""
        try:
            if not (self._poisoned or self.stale):
                with contextlib.suppress(SessionFailed):
                    await self.exchange(Phase.QUIT, wire.command("QUIT"))
            if self.peer and not self.link.over:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.timeouts.quit):
                        await self.link.close()
        finally:
            self.abort()

    def mute(self) -> None:
        """Let nobody watch what follows."""
        self._observe = unobserved
