"""What the tests of verification share: servers in threads beside the synchronous generator, drafts, the run."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import threading
from base64 import b64encode

from scripted.client import PASSWORD, hop_to
from vaguemestre.ledger.connections import Draft
from vaguemestre.mail.account import Encryption
from vaguemestre.verification.probe import TIMEOUTS, WITHIN, Outcome, verify

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
FINGERPRINT = "f" * 64
GREETED = "S: 220 mx.example.org ESMTP\nC: EHLO client.example.org"
WELCOMED = f"{GREETED}\nS- 250-mx.example.org\\r\\n250-SMTPUTF8\\r\\n250 8BITMIME\\r\\n"
FORMS_OF_THE_PASSWORD = (
    PASSWORD,
    b64encode(PASSWORD.encode()).decode(),
    b64encode(f"\0app\0{PASSWORD}".encode()).decode(),
)


@contextlib.contextmanager
def played(server):
    """A server of the kit, served by a thread of its own; its complaints are raised at the end."""
    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    complaints = []

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())
        except BaseException as complaint:  # noqa: BLE001  raised where the test can see it
            complaints.append(complaint)
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)
        thread.join(15)
    if complaints:
        raise complaints[0]


def draft_to(server, encryption: Encryption | str = Encryption.NONE, **fields) -> Draft:
    """Values to verify, bound to no saved connection; `password` makes them sign in as `app`."""
    return Draft(hop_to(server, Encryption(encryption), **fields), FINGERPRINT, None)


def outcome(draft, network, *, timeouts=TIMEOUTS, within=WITHIN, now=NOW, recipient=None) -> Outcome:
    """The end of a verification; every step before it is one of its steps."""
    *steps, last = verify(draft, now, network=network, timeouts=timeouts, within=within, recipient=recipient)
    assert isinstance(last, Outcome)
    assert tuple(steps) == last.steps
    return last


class Nowhere:
    """A port of loopback where nothing listens."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]


def leaks(text: str) -> list[str]:
    """The forms of the canary password that are in the text."""
    return [form for form in FORMS_OF_THE_PASSWORD if form in text]
