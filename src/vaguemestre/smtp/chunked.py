"""Windows of transactions with BDAT (RFC 3030): several in one write, then all their replies.

A window grows with proven success, shrinks to what is answered in time, and falls to one at the first
reply that is not 2yz. All of it is staged in one commit before its one write, so whatever breaks the dialogue
behind that leaves in doubt what was not answered (design L6).

A window ends with EHLO, in the same write (RFC 2920 §3.1 allows it there, RFC 5321 §4.1.4 at any time). Its
reply can be no other command's. A server that answers one command twice shifts all that follows by one, and a
refusal is then read in the next one's place; the reply to EHLO tells, so nothing of a window is settled
before it was read. Where the server leaves instead, the last message that was answered counts as accepted
only if the answer is worded as this server's to a content. A server whose answer to that EHLO is none gets no
windows.

A transaction goes the careful way, MAIL and RCPT answered before its content leaves, where that is worth a
round trip: a session's first, one after a long rest (the server may be gone, which is no doubt then), one
behind a transaction that took too long, content beyond one block, more recipients than one group takes, and
one that is offered again.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum

from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.smtp import wire
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.command import Command, bdat, ehlo
from vaguemestre.smtp.conveyance import Conveyance
from vaguemestre.smtp.offer import Offer
from vaguemestre.smtp.session import SessionFailed, State

_AROUND = 3  # commands of a transaction besides RCPT: RSET, MAIL, BDAT
_CHUNKS = 16  # unanswered at once
_CLOSING = 421  # closes the session (RFC 5321 §3.8)
_NOT_TAKEN = frozenset({500, 501, 502, 503, 504})


class Step(StrEnum):
    """Whether the replies that were read are those of the commands that they were taken for."""

    IN = "in"
    UNKNOWN = "unknown"  # the server does not take EHLO there
    OUT = "out"
    LEFT = "left"  # instead of answering it


async def run(work: Conveyance) -> None:
    """Until the flow has no more now, or the session is over, or gets no windows."""
    first = await work.pull()
    while first is not None:
        if _needs_care(work, first):
            await _carefully(work, first, work.begin(first))
        else:
            await _at_once(work, await _window(work, first))
        session = work.session
        first = await work.pull() if session.reusable and session.windows else None


async def _window(work: Conveyance, first: Offer) -> list[Offer]:
    """What goes together: as many as were proven, within the limits."""
    window, octets, commands = [first], first.body.size, _commands(first)
    if first.message.alone:
        return window
    while len(window) < work.session.window and (offer := await work.pull()) is not None:
        octets, commands = octets + offer.body.size, commands + _commands(offer)
        if offer.message.alone or not _fits(work, offer, octets, commands):
            work.put_off(offer)
            break
        window.append(offer)
    return window


def _commands(offer: Offer) -> int:
    return len(offer.left) + _AROUND


def _fits(work: Conveyance, offer: Offer, octets: int, commands: int) -> bool:
    """Whether a window of so much in all may have this one in it."""
    limits = work.limits
    return offer.body.size <= wire.BLOCK and octets <= limits.octets and commands <= limits.commands


def _needs_care(work: Conveyance, offer: Offer) -> bool:
    session = work.session
    rested = session.network.monotonic() - session.heard_at > work.limits.rest
    return not session.proven or rested or not _fits(work, offer, offer.body.size, _commands(offer))


# At once


async def _at_once(work: Conveyance, window: list[Offer]) -> None:
    contents = await _load(work, window)
    window = [offer for offer in window if offer in contents]
    if not window or not _quiet(work, window[:1], window[1:]):
        return
    window = await _staged(work, window)
    if not window or not _quiet(work, window, ()):
        return
    await _read(work, window, _write(work, window, contents))


def _write(work: Conveyance, window: Sequence[Offer], contents: dict[Offer, bytes]) -> list[list[Command]]:
    """All of it in one write; returns the commands whose replies are due now."""
    said, octets = [], []
    for offer in window:
        content = contents[offer]
        commands = [*work.begin(offer, grouped=len(window)), bdat(len(content), last=True)]
        said.append(commands)
        octets += [*(command.octets for command in commands), content]
        offer.ended = offer.blind = True
    work.session.link.write(b"".join([*octets, _ehlo(work).octets]))
    return said


async def _load(work: Conveyance, window: Sequence[Offer]) -> dict[Offer, bytes]:
    """The contents, each within one block; what must not leave is settled."""
    contents = {}
    for offer in window:
        if isinstance(offer.body, Held):
            contents[offer] = offer.body.content  # looked through when it was made
            continue
        try:
            content = b"".join([block async for block in offer.body.blocks()])
        except Exception:  # noqa: BLE001  the flow is told of it
            work.flow.failed(offer.message)
            continue
        if has_bare_line_ending(content):
            offer.fail(work.session.trouble(Phase.CONTENT, Cause.BARE_LINE_ENDING))
            work.dismiss(offer)
        else:
            contents[offer] = content
    return contents


def _quiet(work: Conveyance, blamed: Sequence[Offer], spared: Sequence[Offer]) -> bool:
    """Whether nothing came while nothing was asked; else some are settled and some given back."""
    work.session.steps = blamed[0].steps
    try:
        work.session.check_quiet(Phase.RSET, "RSET")
    except SessionFailed as failed:
        for offer in blamed:
            offer.broke(failed.trouble)
            work.dismiss(offer)
        work.give_back(*spared)
        return False
    return True


async def _staged(work: Conveyance, window: Sequence[Offer]) -> list[Offer]:
    staged = await work.stage(window)
    for offer in window:
        if not offer.staged:
            work.dismiss(offer)
    return staged


async def _read(work: Conveyance, window: list[Offer], said: list[list[Command]]) -> None:
    """Every reply of a window, in order, and the one to EHLO; then each message is settled."""
    started, unanswered = work.session.network.monotonic(), deque(window)
    trouble = work.session.trouble(Phase.RSET, Cause.LOST)
    try:
        await _hear(work, unanswered, said)
    except SessionFailed as failed:
        trouble = failed.trouble
        _distrust(work, window, unanswered)
        for offer in unanswered:
            offer.broke(trouble)
    except BaseException:
        _distrust(work, window, unanswered)
        for offer in window[: len(window) - len(unanswered)]:
            work.settle(offer)  # it is known, whatever ends the waiting for the rest
        raise
    again = [offer for offer in window if offer.again and not offer.over]
    for offer in window:
        if offer not in again:
            work.settle(offer)
    _learn(work, window, started)
    for offer in again:
        await _offer_again(work, offer, trouble)


async def _hear(work: Conveyance, unanswered: deque[Offer], said: list[list[Command]]) -> None:
    """Read the replies; an offer leaves `unanswered` with its last one."""
    window = list(unanswered)
    for offer, commands in zip(window, said, strict=True):
        await work.hear(offer, *commands)
        unanswered.popleft()
    step = await _step(work)
    if step is Step.LEFT:
        _doubt_the_last(work, window, ())
    elif step is not Step.IN:
        _out_of_step(work, window)


def _distrust(work: Conveyance, window: Sequence[Offer], unanswered: Sequence[Offer]) -> None:
    """What was read without a reply to EHLO that would tell whether it was in its place."""
    if any(offer.odd for offer in window):
        _out_of_step(work, window)
    _doubt_the_last(work, window[: len(window) - len(unanswered)], unanswered)


def _doubt_the_last(work: Conveyance, answered: Sequence[Offer], unanswered: Iterable[Offer]) -> None:
    """Where the server left behind the reply to a content, take it for one only if it is worded as one.

    With one reply too many before it, that of RCPT stands in its place, and nothing comes that would tell.
    """
    behind = [step.reply for offer in unanswered for step in offer.steps if step.reply is not None]
    if not answered or not answered[-1].accepted or any(reply.code != _CLOSING for reply in behind):
        return
    reply = answered[-1].steps[-1].reply
    if reply is None or work.session.taken_by != _wording(reply):
        answered[-1].out_of_step()


def _ehlo(work: Conveyance) -> Command:
    return ehlo(work.session.hop.ehlo_name)


async def _step(work: Conveyance) -> Step:
    """Read the reply to the EHLO behind what was written.

    Raises:
        SessionFailed: there is no reply.
    """
    session, command = work.session, _ehlo(work)
    session.steps = []  # of no message's story
    raw = await session.receive(command.phase, command.shown)
    if raw.code == _CLOSING:
        return Step.LEFT
    if raw.code == 250 and Capabilities.parse(raw.lines).chunking:
        return Step.IN
    return Step.UNKNOWN if raw.code in _NOT_TAKEN else Step.OUT


def _out_of_step(work: Conveyance, offers: Sequence[Offer]) -> None:
    """Nothing that was read can be trusted, refusals neither."""
    for offer in offers:
        offer.out_of_step()
    work.session.abort()


def _learn(work: Conveyance, window: Sequence[Offer], started: float) -> None:
    """The window that was proven; one where anything was not 2yz.

    What takes long does not grow, and what takes too long shrinks to as many as would have been answered in
    time. Where that is not even one, the next waits for MAIL and RCPT before its content: then only the
    answer to that one content is outstanding, whenever a courier has to end.
    """
    session, took, patience = work.session, work.session.network.monotonic() - started, work.limits.patience
    if took > patience:
        fit = int(len(window) * patience / took)
        session.window, session.proven = max(1, fit), session.proven and fit > 0
    elif 2 * took <= patience:
        session.window = min(work.limits.window, max(session.window, 2 * len(window)))
    if not all(offer.flawless for offer in window):
        session.window = 1


async def _offer_again(work: Conveyance, offer: Offer, trouble: Trouble) -> None:
    """Once more, without parameters, on the same session if it is still there (faults U24)."""
    if work.session.reusable:
        await offer.strip()
        await _carefully(work, offer, offer.commands(reset=True))
    else:
        offer.broke(trouble)
        work.settle(offer)


# The careful way


async def _carefully(work: Conveyance, offer: Offer, commands: list[Command]) -> None:
    """One by itself; nothing of its content leaves before somebody was taken.

    It is settled before the reply to EHLO, which cannot change it: whatever ends that wait loses nothing.
    """
    started = work.session.network.monotonic()
    try:
        await work.introduce(offer, commands)
        if offer.ready:
            await _write_content(work, offer)
    except SessionFailed as failed:
        offer.broke(failed.trouble)
    if offer.accepted:
        work.session.proven, work.session.taken_by = True, _own_wording(offer)
    work.settle(offer)
    if offer.ended and work.session.state is not State.CLOSED:
        await _prove(work)
    _learn(work, [offer], started)


def _own_wording(offer: Offer) -> tuple[str, ...] | None:
    """How the server says that it took a content; None where it says so to other commands, too."""
    *others, own = [_wording(step.reply) for step in offer.steps if step.reply is not None]
    return None if own in others else own


def _wording(reply: Reply) -> tuple[str, ...]:
    """The words of a reply that are the same each time: without numbers, names of queues and addresses."""
    return tuple(word for word in reply.text.split() if word.isalpha())


async def _prove(work: Conveyance) -> None:
    """Whether the session may have windows: an EHLO behind a message is answered as one.

    The message's own answer stands either way: nothing was outstanding when its content left (faults U32).
    """
    with contextlib.suppress(SessionFailed):  # it is closed by then
        step = await _step(work)
        work.session.windows = step in {Step.IN, Step.LEFT}
        if step is Step.OUT:
            work.session.abort()


async def _write_content(work: Conveyance, offer: Offer) -> None:
    """All but the last block, the flow's commit, the last block."""
    try:
        block = await _all_but_last(work, offer)
    except wire.BareLineEnding:
        trouble = work.session.trouble(Phase.CONTENT, Cause.BARE_LINE_ENDING)
        raise work.session.broken(trouble) from None
    if not offer.ready or not await work.stage([offer]):
        return
    work.session.steps = offer.steps
    command = bdat(len(block), last=True)
    octets = b"".join((command.octets, block, _ehlo(work).octets))
    work.session.write(Phase.CONTENT, offer.shown, octets)
    offer.ended = True
    await work.hear(offer, command)


async def _all_but_last(work: Conveyance, offer: Offer) -> bytes:
    """Each block as a chunk of its own, all of them answered; returns the last block, not written yet."""
    endings, due = wire.LineEndings(), deque[Command]()
    last = b""
    async for block in offer.body.blocks():
        endings.feed(block)
        if last:
            due.append(bdat(len(last), last=False))
            await _write_chunk(work, offer, due, due[-1].octets + last)
        last = block
        if not offer.ready:
            break
    else:
        endings.end()
    while due:
        await work.hear(offer, due.popleft())
    return last


async def _write_chunk(work: Conveyance, offer: Offer, due: deque[Command], octets: bytes) -> None:
    """Hand it to the system, and read what is answered meanwhile."""
    session = work.session
    session.link.write(octets)
    await session.drained(offer.shown)
    while due and (session.stale or len(due) > _CHUNKS):
        await work.hear(offer, due.popleft())
        await session.drained(offer.shown)
    if session.stale:
        session.check_quiet(Phase.CONTENT, offer.shown)
