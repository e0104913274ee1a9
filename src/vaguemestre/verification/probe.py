"""Verify: the session that a courier would use, read aloud (L9).

`verify` dials what was typed, signs in, asks whether the sender is taken (MAIL, then RSET: no recipient is
named but the reader's own, and no mail leaves) and says goodbye (see `climb`). It promises each step as it
happens, an answer within 15 s whatever the server does, and findings that somebody can act on. What it found
is kept under the fingerprint of the values; a verification that nobody waited for is not.

The generator is synchronous, since Django under WSGI buffers asynchronous ones; the dialogue runs in a
thread with an event loop of its own, which ends with the generator. It fails with `Busy`, at once, where too
many run. A failure of the dialogue is a finding, never an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import weakref
from collections.abc import Generator
from dataclasses import replace
from datetime import datetime

from django.conf import settings

from vaguemestre.dialling import network_from
from vaguemestre.ledger import verifications
from vaguemestre.ledger.connections import Draft
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Trouble
from vaguemestre.mail.transcript import Step
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.verification.climb import Climb
from vaguemestre.verification.outcome import Outcome, as_json, outcome_of, record_of
from vaguemestre.verification.sign_in import sign_in_of

__all__ = ["AT_ONCE", "TIMEOUTS", "WITHIN", "Busy", "Outcome", "as_json", "verify"]

# Half of a web process's threads may wait for servers, the others serve pages. A verification takes a second
# or two; were it 6 s on average, the places of programs would still do for 60 a minute. The others are left
# to people, whatever a program does.
AT_ONCE, OF_KEYS = 8, 6
WITHIN = 14.0  # seconds for the whole dialogue; the second that is left is for recording and showing
TIMEOUTS = replace(Timeouts(), resolve=8.0, connect=10.0, rset=2.0, quit=2.0, silence=2.0)
_FAREWELL = 2.0  # seconds to wait for an abandoned dialogue to close its socket

_places, _of_keys = threading.BoundedSemaphore(AT_ONCE), threading.BoundedSemaphore(OF_KEYS)


class Busy(Exception):
    """Too many verifications run at once; nothing was dialled."""

    def __init__(self) -> None:
        super().__init__("Several verifications are running already. Try again in a few seconds.")


def verify(  # noqa: PLR0913  what a test sets, each by its name
    draft: Draft,
    now: datetime,
    *,
    network: Network | None = None,
    timeouts: Timeouts = TIMEOUTS,
    within: float = WITHIN,
    recipient: Mailbox | None = None,
    by_key: bool = False,
) -> Generator[Step | Outcome, None, None]:
    """Each step as it happens, then the outcome, which is kept by then.

    Closing the generator, or dropping it, ends the dialogue; nothing is kept then.

    Args:
        draft: what to verify, with its secret (`ledger.connections.draft`).
        now: aware; the time of the verification.
        network: how to get there; as the environment says by default.
        timeouts: of each phase, none longer than what is left of `within`.
        within: seconds for the whole dialogue.
        recipient: the reader's own address, to be asked for at RCPT; no mail is sent to it.
        by_key: whether a program asks, and not a person.

    Raises:
        Busy: too many run at once.
    """
    network = network or network_from(settings.ENVIRONMENT)
    places = _take(*((_of_keys, _places) if by_key else (_places,)))
    try:
        dialogue = _Dialogue(draft, network, timeouts, within, recipient, places)
        dialogue.start()
    except BaseException:
        places.close()
        raise
    told = _told(dialogue, draft, now)
    # A generator that is closed before its first step runs none of its code.
    weakref.finalize(told, dialogue.abandon)
    return told


def _take(*places: threading.BoundedSemaphore) -> contextlib.ExitStack:
    """One of each; closing gives them back."""
    with contextlib.ExitStack() as taken:
        for place in places:
            if not place.acquire(blocking=False):
                raise Busy
            taken.callback(place.release)
        return taken.pop_all()


def _told(dialogue: _Dialogue, draft: Draft, now: datetime) -> Generator[Step | Outcome, None, None]:
    try:
        yield from dialogue.steps()
        outcome = outcome_of(dialogue.climb, dialogue.trouble(), now)
    finally:
        dialogue.abandon()
    verifications.keep(draft.fingerprint, draft.connection, record_of(outcome, draft.hop), now)
    yield outcome


class _Dialogue:
    """One climb, in its own thread and event loop. Holds its places until its thread ends."""

    def __init__(  # noqa: PLR0913, PLR0917  what `verify` was given
        self,
        draft: Draft,
        network: Network,
        timeouts: Timeouts,
        within: float,
        recipient: Mailbox | None,
        places: contextlib.ExitStack,
    ) -> None:
        self._places = places
        self._news: queue.SimpleQueue[Step | None] = queue.SimpleQueue()  # None: it is over
        self.climb = Climb(
            draft.hop,
            network,
            timeouts,
            within,
            observe=self._news.put,
            recipient=recipient,
            sign_in=sign_in_of(draft),
        )
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self.climb.run())
        self._thread = threading.Thread(target=self._serve, name="verification", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def steps(self) -> Generator[Step, None, None]:
        """Each step as it happens, until the dialogue is over."""
        while (step := self._news.get()) is not None:
            yield step

    def trouble(self) -> Trouble | None:
        """What went wrong, once it is over."""
        return self._task.result()

    def abandon(self) -> None:
        """End it now, if it is not over; its link is closed when this returns."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: it is over
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_FAREWELL)

    def _serve(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._wait())
        finally:
            self._places.close()
            self._news.put(None)

    async def _wait(self) -> None:
        await asyncio.wait({self._task})
