"""Messages over one session, as many as there are: the wire's whole work between opening and QUIT.

`convey` writes a flow's messages in the fastest manner that is wanted and announced (RFC 2920, RFC 3030), and
tells the end of each exactly once. It raises nothing of SMTP. What it cannot hand over it leaves to the flow:
each recipient's outcome says what the server said, and whether the message may have arrived (design L6).
"""

from __future__ import annotations

from vaguemestre.mail.manner import Manner
from vaguemestre.smtp import chunked, serial
from vaguemestre.smtp.conveyance import Conveyance
from vaguemestre.smtp.flow import Flow, Limits, Message, StageRefused
from vaguemestre.smtp.session import Session

__all__ = ["Flow", "Limits", "Message", "StageRefused", "convey"]

_LIMITS = Limits()


async def convey(session: Session, flow: Flow, manner: Manner, limits: Limits = _LIMITS) -> None:
    """Hand over what the flow has, until it has no more now or the session is of no more use.

    Args:
        session: open and idle; used by nobody else meanwhile. Afterwards `reusable` says whether it may be
            used again; no transaction is left open on it.
        flow: where messages come from and results go.
        manner: the fastest to be used; the effective one is what the server announces of it.
        limits: of what is in flight.

    Raises:
        Exception: whatever the flow or a body raised, and cancellation; the session is closed then, and the
            messages in hand are told to nobody.
    """
    work = Conveyance(session, flow, session.capabilities.manner(manner), limits)
    try:
        await _run(work)
        work.give_back_put_off()
        if session.unfinished and session.reusable:
            await session.reset()
    except BaseException:
        session.abort()
        raise


async def _run(work: Conveyance) -> None:
    """In windows, as long as the session may have them; else in the manner below."""
    session = work.session
    if work.manner is Manner.BDAT and session.windows:
        await chunked.run(work)
        if session.windows or not session.reusable:
            return
    if work.manner is Manner.BDAT:
        work.manner = Manner.DATA
    await serial.run(work)
