"""One transaction at a time, its content behind DATA (RFC 5321 §3.3): the manners SINGLE and DATA.

SINGLE is one command, one reply, and RSET behind what was not accepted. DATA writes [RSET] MAIL RCPT DATA in
one group (RFC 2920 §3.1); the group of the message that follows rides behind the final dot. Such a rider is
given back untouched where the reply to that dot ends the session.

Either way nothing of a content is written but behind 354: a server that did not ask for one would read it as
commands. The content is written first, then the flow's stage is awaited, then the dot leaves (design L6).
Whatever has come by then keeps the dot back: a reply, the end, a reset, during the commit as well, since the
flow lets the loop have a turn behind it. A reply that is still on its way cannot be told from the one to the
dot, and is taken for it. The true one then stands in another's place, which ends the session before more
content leaves on it; what was settled stays (row 0).
"""

from __future__ import annotations

from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.smtp import wire
from vaguemestre.smtp.body import Held
from vaguemestre.smtp.command import Command, end_of_data
from vaguemestre.smtp.conveyance import Conveyance
from vaguemestre.smtp.offer import Offer
from vaguemestre.smtp.session import SessionFailed

# A message in hand, its commands, and how many of them were written behind another's dot.
type _Begun = tuple[Offer, list[Command], int]


async def run(work: Conveyance) -> None:
    """Until the flow has no more now, or the session is over."""
    begun = await _next(work)
    while begun is not None:
        begun = await _carry(work, begun)
        if begun is None and work.session.reusable:
            begun = await _next(work)


async def _next(work: Conveyance) -> _Begun | None:
    offer = await work.pull()
    return None if offer is None else (offer, work.begin(offer), 0)


async def _carry(work: Conveyance, begun: _Begun) -> _Begun | None:
    """Hand one message over; the rider behind its dot, if there is one."""
    (offer, commands, said), following, rider = begun, None, None
    rides = work.manner is Manner.DATA and not offer.message.alone  # the next, behind this one's dot
    try:
        await work.introduce(offer, commands, said=said)
        if offer.asked:
            if not offer.lone_dot:
                await _write_content(work, offer)
            following = await work.pull() if rides else None
            if not offer.lone_dot and not await work.stage([offer]):
                # 354 asks for a dot, and this one may not have it.
                raise work.session.broken(work.session.trouble(Phase.CONTENT, Cause.STALE))
            rider = _end(work, offer, following)
            await work.hear(offer, end_of_data(offer.shown))
    except SessionFailed as failed:
        offer.broke(failed.trouble)
        if following is not None:
            work.give_back(following, begun=rider is not None)
        rider = None
    work.settle(offer)
    if work.manner is Manner.SINGLE and work.session.unfinished:
        await work.session.reset()
    return rider


async def _write_content(work: Conveyance, offer: Offer) -> None:
    """All but the end of data; a reply that comes meanwhile ends it (faults U29)."""
    if isinstance(offer.body, Held) and offer.body.size <= wire.BLOCK:
        content = wire.dot_stuffed(offer.body.content)  # looked through when it was made
        work.session.write(Phase.CONTENT, offer.shown, content)
    else:
        await _write_blocks(work, offer)
    if work.session.link.unsent:
        await _hand_over(work, offer)


async def _write_blocks(work: Conveyance, offer: Offer) -> None:
    session, stuffer = work.session, wire.DotStuffer()
    try:
        async for block in offer.body.blocks():
            session.write(Phase.CONTENT, offer.shown, stuffer.feed(block))
            if session.link.unsent > wire.BLOCK // 4:
                await _hand_over(work, offer)
        if closing := stuffer.end():
            session.write(Phase.CONTENT, offer.shown, closing)
    except wire.BareLineEnding:
        raise session.broken(session.trouble(Phase.CONTENT, Cause.BARE_LINE_ENDING)) from None


async def _hand_over(work: Conveyance, offer: Offer) -> None:
    await work.session.drained(offer.shown)
    work.session.check_quiet(Phase.CONTENT, offer.shown)


def _end(work: Conveyance, offer: Offer, following: Offer | None) -> _Begun | None:
    """The dot, and in the same write the first commands of what follows."""
    session = work.session
    session.steps = offer.steps
    # Nothing is awaited between the stage and the dot: who allowed it did so for this moment. The server may
    # have left while the stage was committed: the dot then never went out, for certain.
    session.check_quiet(Phase.CONTENT, offer.shown)
    commands = [] if following is None else work.begin(following)
    ridden = commands[: work.limits.commands]
    offer.ended = True
    session.link.write(wire.END_OF_DATA + b"".join([command.octets for command in ridden]))
    return None if following is None else (following, commands, len(ridden))
