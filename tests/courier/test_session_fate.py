"""The column "Session" of the failure table: what is to be closed is closed, and all else carries the next message."""

from __future__ import annotations

import asyncio
from threading import Thread

import pytest
from django.db import connections as databases
from upstream_fault import KEYWORDS, SIGNED_IN

from scripted.client import PASSWORD
from scripted.sink import DROP, Answer, SinkServer
from vaguemestre.ledger.instance import bump
from vaguemestre.ledger.models import Delivery

CLOSED, KEPT = True, False
LOGIN = SIGNED_IN["login"]
EVERY, SERIAL = ("single", "data", "bdat"), ("single", "data")


def always(reply, **how):
    return lambda _: Answer(reply, **how)


# Row, what becomes of the session, in which manners, and what the server says at which command.
TABLE = [
    (16, CLOSED, ("single",), {"content": always("554 5.7.1 spam"), "rset": always("500 what")}),  # and row 0
    (1, CLOSED, EVERY, {"content": always("354 go on")}),
    (1, CLOSED, EVERY, {"content": always("", then="drop")}),
    (3, CLOSED, EVERY, {"mail": always("421 4.3.2 closing")}),
    (3, CLOSED, EVERY, {"content": always("421 4.3.2 closing")}),
    (4, KEPT, EVERY, {"mail": always("450 4.7.1 Rate limit exceeded")}),
    (4, KEPT, EVERY, {"content": always("554 5.2.0 STOREDRV.Submission")}),
    (5, CLOSED, ("data",), {"greeting": always("554 5.7.1 no")}),
    (5, CLOSED, ("data",), {"ehlo": always("550 5.7.1 no")}),
    (6, CLOSED, ("data",), {"starttls": always("454 4.7.0 TLS not available")}),
    (7, CLOSED, ("data",), {"auth": always("454 4.7.0 Temporary authentication failure")}),
    (8, CLOSED, ("data",), {"auth": always("535 5.7.8 Bad credentials")}),
    (9, KEPT, EVERY, {"mail": always("552 5.3.4 Message size exceeds limit")}),
    (10, CLOSED, EVERY, {"mail": always("530 5.7.0 Authentication required")}),
    (10, CLOSED, EVERY, {"mail": always("454 4.7.1 Relay access denied")}),
    (10, KEPT, EVERY, {"rcpt": always("554 5.7.1 Relay access denied")}),  # of one domain so far
    (10, CLOSED, SERIAL, {"data": always("554 5.7.1 Client host rejected: Access denied")}),
    (10, CLOSED, EVERY, {"content": always("550 5.7.60 may not send as this sender")}),
    (11, KEPT, EVERY, {"mail": always("550 5.1.8 Sender refused")}),
    (12, CLOSED, EVERY, {"mail": always("503 5.5.1 Nested MAIL")}),
    (12, CLOSED, EVERY, {"mail": always("500 5.5.2 Error: bad syntax")}),
    (12, CLOSED, EVERY, {"rcpt": always("502 5.5.1 Unrecognized command")}),
    (12, CLOSED, EVERY, {"rcpt": always("malformed")}),
    (12, CLOSED, SERIAL, {"data": always("502 not implemented")}),
    (12, CLOSED, SERIAL, {"data": lambda _: DROP}),
    (14, KEPT, EVERY, {"rcpt": always("550 5.1.1 User unknown")}),
    (15, KEPT, SERIAL, {"data": always("451 4.3.0 later")}),
    (16, KEPT, EVERY, {"content": always("554 5.7.1 Message rejected as spam")}),
]
EACH = [(row, fate, manner, hooks) for row, fate, manners, hooks in TABLE for manner in manners]


def facing(manner, phase=""):
    """A server, and what its connection says of it."""
    login = {"login": LOGIN, "password": PASSWORD} if phase == "auth" else {}
    sink = SinkServer(keywords=KEYWORDS[manner], **login)
    return sink, {"limits": {"max_sessions": 1}, **(SIGNED_IN if login else {})}


@pytest.mark.any_database
@pytest.mark.parametrize(("row", "closed", "manner", "hooks"), EACH)
async def test_a_session_is_closed_or_kept_as_the_failure_table_says(office, row, closed, manner, hooks):
    (*_, phase) = hooks
    sink, values = facing(manner, phase)
    if phase == "starttls":
        sink = SinkServer(encryption="starttls", keywords=KEYWORDS[manner])
        values["encryption"] = "starttls"
    sink.hooks = hooks
    async with sink:
        await office.connect(sink, **values)
        await office.post()
        async with office.courier():
            await office.until_true(lambda: Delivery.objects.filter(trouble__isnull=False).exists())
            (told,) = await office.ask(lambda: list(Delivery.objects.values_list("trouble", flat=True)))
            assert told["row"] == row
            if closed:
                async with asyncio.timeout(3):
                    while sink.open_sessions:
                        await asyncio.sleep(0.01)
            else:
                await asyncio.sleep(0.1)
                assert sink.open_sessions == 1
        assert sink.sessions == 1
        if row == 10:  # the dialogue is in order, and closed as RFC 5321 has it
            assert sink.heard.endswith(b"QUIT\r\n")


def once(action):
    """A hook that does this at the first call."""
    calls = [action]
    return lambda _: calls.pop()() if calls else None


def rerouted():
    """Somebody changes the routing, which refuses what is to be staged."""

    def change():
        bump()
        databases.close_all()

    other = Thread(target=change)  # a loop's own thread may not ask the database
    other.start()
    other.join()


def spent():
    return Answer("451 4.3.0 Mails per session limit exceeded")


# What is tried again at once: on another session, or on the same one.
AT_ONCE = [
    (2, CLOSED, "single", {"mail": once(spent)}),
    (2, CLOSED, "data", {"content": once(spent)}),
    (2, CLOSED, "bdat", {"mail": once(spent)}),
    (17, CLOSED, "single", {"data": once(rerouted)}),  # 354 was said, and asks for a dot
    (17, CLOSED, "data", {"data": once(rerouted)}),
    (17, KEPT, "bdat", {"rcpt": once(rerouted)}),
    (18, CLOSED, "bdat", {"bdat": once(lambda: Answer("503 5.5.1 what"))}),
]


@pytest.mark.parametrize(("row", "closed", "manner", "hooks"), AT_ONCE)
async def test_what_is_tried_again_at_once_goes_on_the_session_that_the_failure_table_says(
    office, row, closed, manner, hooks
):
    sink, values = facing(manner)
    sink.hooks = hooks
    async with sink:
        await office.connect(sink, **values)
        message = await office.post()
        async with office.courier():
            await office.until(message, "accepted")
            assert (sink.accepted[0].session, sink.open_sessions) == ((2, 1) if closed else (1, 1))
    assert row in {2, 17, 18}
