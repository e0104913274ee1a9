"""A transaction: one message to its recipients over an open session (RFC 5321 §3.3).

MAIL, RCPT for each, DATA, the content; then `stage`, the caller's commit; then the end of data, and the
reply that decides (design L6). Until the dot leaves, whatever happens means "not accepted". Behind it, a
valid 2yz is accepted whatever follows, a valid 4yz or 5yz is not accepted, and anything else leaves it in
doubt: such an outcome has `after_dot` and a trouble at `Phase.CONTENT`, and its session is never used
again.

`transact` raises nothing of SMTP: the result says it all, recipient by recipient.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.transcript import Step, Transcript
from vaguemestre.smtp import wire
from vaguemestre.smtp.downgrade import fitted, split
from vaguemestre.smtp.session import Session, SessionFailed, cause_of

# 421 closes the session (RFC 5321 §3.8); 503 says that the server's idea of the dialogue is not ours.
_OUT_OF_ORDER = frozenset({421, 503})

type Stage = Callable[[tuple[Mailbox, ...]], Awaitable[None]]


class StageRefused(Exception):
    """Raised by a stage: this transaction may not be finished. The dot is not written."""


@dataclass(frozen=True)
class Outcome:
    """What became of one recipient.

    Attributes:
        recipient: whose.
        reply: the server's last word on it, if there was one.
        trouble: None exactly when the message was accepted for it.
        after_dot: whether the end of data had been written when this was decided.
        accepted_before: how many recipients of this transaction had been accepted at RCPT before it.
    """

    recipient: Mailbox
    reply: Reply | None
    trouble: Trouble | None
    after_dot: bool = False
    accepted_before: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the server answered 250 to the end of data."""
        return self.trouble is None

    @property
    def in_doubt(self) -> bool:
        """Whether it may have arrived, and nobody can say (RFC 1047)."""
        return self.after_dot and self.trouble is not None and not _definite(self.trouble)


def _definite(trouble: Trouble) -> bool:
    reply = trouble.reply
    return trouble.cause is Cause.REPLY and reply is not None and (reply.transient or reply.permanent)


@dataclass(frozen=True)
class Result:
    """What became of a transaction.

    Attributes:
        outcomes: one for each recipient, in the envelope's order.
        staged: whether `stage` was called and came back.
        steps: the transcript of this transaction.
    """

    outcomes: tuple[Outcome, ...]
    staged: bool
    steps: Transcript


async def transact(session: Session, envelope: Envelope, content: bytes, stage: Stage) -> Result:
    """Hand one message over.

    Args:
        session: open and idle; used by nobody else meanwhile.
        envelope: from whom, for whom.
        content: header section and body as they are to leave, lines ended by CRLF.
        stage: awaited, with the recipients that the server took, when the content was written and only
            its end is missing. `StageRefused` ends the
            transaction without it; any other exception does the same, and is raised again.

    Raises:
        ValueError: a bare CR or LF in the content. Nothing was written.
    """
    if wire.has_bare_line_ending(content):
        raise ValueError("a bare CR or LF in the content")
    session.begin()
    work = _Transaction(session, envelope, content, stage)
    try:
        await work.run()
    except SessionFailed as failed:
        work.fail(failed.trouble)
    except BaseException:
        session.abort()
        raise
    session.ended()
    return work.result()


@dataclass(frozen=True)
class _Parameters:
    """Of MAIL."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False

    @property
    def optional(self) -> bool:
        """Whether there are any that could be left out."""
        return (self.size is not None or self.eight_bit) and not self.smtputf8


class _Transaction:
    """The state of one `transact`."""

    def __init__(self, session: Session, envelope: Envelope, content: bytes, stage: Stage) -> None:
        self._session = session
        self._envelope = envelope
        self._content = content
        self._stage = stage
        self._outcomes: dict[Mailbox, Outcome] = {}
        self._accepted: dict[Mailbox, int] = {}  # at RCPT, with how many were before
        self._staged = False
        self._after_dot = False

    def result(self) -> Result:
        """To be asked when every recipient has an outcome."""
        outcomes = tuple(self._outcomes[recipient] for recipient in self._envelope.recipients)
        return Result(outcomes, self._staged, self._session.steps())

    def fail(self, trouble: Trouble) -> None:
        """The trouble of every recipient that has no outcome yet."""
        for recipient in self._envelope.recipients:
            self._settle(recipient, trouble, trouble.reply)

    def _settle(self, recipient: Mailbox, trouble: Trouble | None, reply: Reply | None) -> None:
        before = self._accepted.get(recipient, len(self._accepted))
        self._outcomes.setdefault(recipient, Outcome(recipient, reply, trouble, self._after_dot, before))

    async def run(self) -> None:
        """All of it; SessionFailed where the dialogue broke."""
        if not self._fits() or not await self._mail():
            return
        if not await self._recipients() or not await self._data():
            return
        await self._write_content()
        if not await self._stage_it():
            return
        await self._finish(await self._end_of_data())

    # Before a byte goes out

    def _fits(self) -> bool:
        """Whether the server takes such a message at all, as far as it announced."""
        capabilities, path = self._session.capabilities, self._envelope.reverse_path
        if not capabilities.smtputf8:
            if path is not None and path.needs_smtputf8:
                self.fail(self._session.trouble(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED))
            for recipient in self._envelope.recipients:
                if recipient.needs_smtputf8:
                    trouble = self._session.trouble(Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED)
                    self._settle(recipient, trouble, None)
        self._content = fitted(
            self._content, eight_bit=capabilities.eight_bit, smtputf8=capabilities.smtputf8
        )
        size, limit = len(self._content), capabilities.size
        if limit is not None and size > limit:
            facts = {"size": str(size), "limit": str(limit)}
            self.fail(self._session.trouble(Phase.MAIL, Cause.TOO_LARGE, None, facts))
        return len(self._outcomes) < len(self._envelope.recipients)

    def _parameters(self) -> _Parameters:
        capabilities = self._session.capabilities
        eight_bit = capabilities.eight_bit and not self._content.isascii()
        return _Parameters(
            size=len(self._content) if "SIZE" in capabilities.keywords else None,
            eight_bit=eight_bit,
            smtputf8=capabilities.smtputf8
            and (self._envelope.needs_smtputf8 or (eight_bit and not split(self._content)[0].isascii())),
        )

    # The commands

    async def _mail(self) -> bool:
        parameters = self._parameters()
        raw = await self._mail_with(parameters)
        if raw.code == 555 and parameters.optional:
            # It announced parameters and does not know them: the same without.
            self._content = fitted(self._content, eight_bit=False, smtputf8=False)
            raw = await self._mail_with(_Parameters())
        if raw.reply.positive:
            return True
        await self._turned_down(Phase.MAIL, raw.reply)
        return False

    async def _mail_with(self, parameters: _Parameters) -> wire.RawReply:
        line = wire.mail_from(
            self._envelope.reverse_path,
            size=parameters.size,
            eight_bit=parameters.eight_bit,
            smtputf8=parameters.smtputf8,
        )
        return await self._session.exchange(Phase.MAIL, line)

    async def _recipients(self) -> bool:
        """RCPT for each; whether anyone is left to write content for."""
        for recipient in self._envelope.recipients:
            if recipient in self._outcomes:
                continue
            raw = await self._session.exchange(Phase.RCPT, wire.rcpt_to(recipient))
            if raw.reply.positive:
                self._accepted[recipient] = len(self._accepted)
            elif raw.code in _OUT_OF_ORDER or raw.reply.intermediate:
                await self._turned_down(Phase.RCPT, raw.reply)
                return False
            else:
                trouble = self._session.trouble(Phase.RCPT, Cause.REPLY, raw.reply)
                self._settle(recipient, trouble, raw.reply)
        if not self._accepted:
            await self._session.reset()
        return bool(self._accepted)

    async def _data(self) -> bool:
        raw = await self._session.exchange(Phase.DATA, wire.command("DATA"))
        if raw.code == 354:
            return True
        await self._turned_down(Phase.DATA, raw.reply)
        return False

    async def _turned_down(self, phase: Phase, reply: Reply) -> None:
        """A reply that ends the transaction for all who are left."""
        self.fail(self._session.trouble(phase, Cause.REPLY, reply))
        if reply.code in _OUT_OF_ORDER or not (reply.transient or reply.permanent):
            # A 2yz or 3yz that was not asked for means that we read another command's reply.
            self._session.abort()
        else:
            await self._session.reset()

    # The content

    async def _write_content(self) -> None:
        """All but the end of data; a reply that comes meanwhile ends it (faults U29)."""
        stuffed = wire.dot_stuff(self._content)
        for block in wire.blocks(stuffed):
            await self._write(block)
        if closing := wire.closing(stuffed):
            await self._write(memoryview(closing))

    async def _write(self, block: memoryview) -> None:
        link, started = self._session.link, self._session.network.monotonic()
        self._session.check_quiet(Phase.CONTENT, self._shown)
        link.write(block)
        try:
            async with asyncio.timeout(self._session.timeouts.block):
                await link.drain()
        except TimeoutError as error:
            elapsed = self._session.network.monotonic() - started
            self._session.record(Step(Phase.CONTENT, self._shown, None, cause_of(error), elapsed))
            raise self._session.broken(self._session.trouble(Phase.CONTENT, cause_of(error))) from None
        self._session.check_quiet(Phase.CONTENT, self._shown)

    @property
    def _shown(self) -> str:
        return f"content, {len(self._content)} bytes"

    async def _stage_it(self) -> bool:
        """The caller's commit; whether the dot may be written."""
        try:
            await self._stage(tuple(self._accepted))
        except StageRefused:
            self._session.record(Step(Phase.CONTENT, self._shown, None, Cause.STALE))
            self.fail(self._session.trouble(Phase.CONTENT, Cause.STALE))
            self._session.abort()
            return False
        self._staged = True
        return True

    async def _end_of_data(self) -> wire.RawReply:
        # The server may have left while the stage was committed: the dot then never went out, for certain.
        self._session.check_quiet(Phase.CONTENT, self._shown)
        self._after_dot = True
        self._session.link.write(wire.END_OF_DATA)
        return await self._session.receive(Phase.CONTENT, self._shown)

    async def _finish(self, raw: wire.RawReply) -> None:
        reply, session = raw.reply, self._session
        trouble = None if reply.positive else session.trouble(Phase.CONTENT, Cause.REPLY, reply)
        for recipient in self._accepted:
            self._settle(recipient, trouble, reply)
        if reply.intermediate or reply.code in _OUT_OF_ORDER:
            session.abort()
        elif trouble is not None:
            await session.reset()
