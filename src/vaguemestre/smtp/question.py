"""Whether a server would take mail, asked without sending any: MAIL, perhaps RCPT, and RSET (RFC 5321 §3.3).

Where the server announces PIPELINING the three leave in one write (RFC 2920 §3.1), so that a far server is
asked in one round trip. Every reply is read, also those behind a refusal, so that the session stays in order.
"""

from __future__ import annotations

from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.smtp.command import RSET, Command, Parameters, mail, rcpt
from vaguemestre.smtp.session import Session, SessionFailed


async def ask(session: Session, recipient: Mailbox | None = None) -> None:
    """Ask whether mail from the hop's sender, to `recipient` if there is one, would be taken.

    Whatever is answered to RSET instead of 250 poisons the session, and nothing is raised for it.

    Raises:
        SessionFailed: it would not, or the dialogue broke.
    """
    _refuse_beyond_ascii(session, recipient)
    smtputf8 = _beyond_ascii(session.hop.sender, recipient)
    commands = [mail(session.hop.sender, Parameters(smtputf8=smtputf8))]
    commands += [] if recipient is None else [rcpt(recipient)]
    if session.capabilities.pipelining:
        await _ask_at_once(session, [*commands, RSET])
    else:
        await _ask_in_turn(session, commands)


def _refuse_beyond_ascii(session: Session, recipient: Mailbox | None) -> None:
    if session.capabilities.smtputf8:
        return
    if session.hop.sender.needs_smtputf8:
        raise session.failed(session.trouble(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED))
    if recipient is not None and recipient.needs_smtputf8:
        raise session.failed(session.trouble(Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED))


def _beyond_ascii(sender: Mailbox, recipient: Mailbox | None) -> bool:
    return sender.needs_smtputf8 or (recipient is not None and recipient.needs_smtputf8)


async def _ask_in_turn(session: Session, commands: list[Command]) -> None:
    for command in commands:
        raw = await session.exchange(command.phase, command.octets)
        if not raw.reply.positive:
            raise _refused(session, command, raw.reply)
    await session.reset()


async def _ask_at_once(session: Session, commands: list[Command]) -> None:
    octets = b"".join(command.octets for command in commands)
    session.write(Phase.MAIL, commands[0].shown, octets)
    refusal: SessionFailed | None = None
    for command in commands:
        if refusal is not None:
            session.mute()  # what is answered behind a refusal says nothing more
        reply = await _answer(session, command)
        if command is not RSET and refusal is None and not reply.positive:
            refusal = _refused(session, command, reply)
    if refusal is not None:
        raise refusal


async def _answer(session: Session, command: Command) -> Reply:
    raw = await session.receive(command.phase, command.shown)
    if command is RSET and not raw.reply.positive:
        session.poison()
    return raw.reply


def _refused(session: Session, command: Command, reply: Reply) -> SessionFailed:
    facts = {} if command.recipient is None else {"recipient": command.recipient.address}
    return session.failed(session.trouble(command.phase, Cause.REPLY, reply, facts))
