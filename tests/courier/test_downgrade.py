"""U34: what a server does not take is made fit for it; what it takes arrives octet by octet, in every manner."""

from __future__ import annotations

import tracemalloc
from email import message_from_bytes
from email.policy import default
from types import SimpleNamespace

import pytest
from upstream_fault import ACCEPTED, KEYWORDS, OFFICE, READY, End, everybody, facing, refused

from scripted.sink import SinkServer
from vaguemestre.courier.attempt import Attempt
from vaguemestre.ledger import leases, queue
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.smtp.body import Held

pytestmark = pytest.mark.any_database

every_manner = pytest.mark.parametrize("manner", KEYWORDS)

BEYOND = "An address is beyond ASCII, which this server does not take."
UTF8 = "Content-Type: text/plain; charset=utf-8"


def without(manner, *keywords):
    """A sink that does not announce them."""
    return SinkServer(keywords=tuple(word for word in KEYWORDS[manner] if word not in keywords))


async def post(fault, body, *recipients, header="X-Test: yes\r\n"):
    """A message whose body is exactly this."""
    raw = f"From: {OFFICE}\r\n{header}\r\n".encode() + body
    to = tuple(Mailbox.parse(text) for text in recipients or ["to@example.com"])
    submission = Submission(Envelope(Mailbox.parse(OFFICE), to), Content(raw), Via.API)
    fault.message = await fault.office.ask(accept, submission, fault.office.clock())
    fault.worker.engine.wake()
    return fault.message


def body_of(content):
    return content.partition(b"\r\n\r\n")[2]


BODIES = [
    b".\r\n..\r\n.a\r\n",
    b"no final newline",
    b"",
    b".",
    b"\r\n.",
    b"\r\n\r\n",
    b"y" * 998 + b"\r\n",
    b"dots\r\n.\r\nQUIT\r\n.\r\n",
    (b"z" * 76 + b"\r\n") * 7_000 + b".last line, open",
]


@every_manner
async def test_u34_the_receiver_has_the_exact_octets(office, manner):
    async with without(manner) as sink, facing(office, sink, None) as fault:
        for body in BODIES:
            await post(fault, body)
            assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
        assert sink.sessions == 1
    assert [body_of(taken.content) for taken in sink.accepted] == [
        # DATA has no way to say that a last line is open (RFC 5321 §4.1.1.4); BDAT has.
        body if manner == "bdat" or body.endswith(b"\r\n") or not body else body + b"\r\n"
        for body in BODIES
    ]


@every_manner
@pytest.mark.parametrize("offered", [True, False])
@pytest.mark.parametrize("blocks", [1, 30_000])
async def test_u34_a_body_beyond_ascii_is_encoded_anew_where_8bitmime_is_absent(
    office, manner, offered, blocks
):
    """Small, or streamed from the ledger."""
    text = "né à l’hôtel\r\n" * blocks
    async with (
        without(manner, *([] if offered else ["8BITMIME"])) as sink,
        facing(office, sink, None) as fault,
    ):
        await post(fault, text.encode(), header=f"{UTF8}\r\n")
        assert await fault.end() == ACCEPTED
        assert await fault.health() == READY
    (taken,) = sink.accepted
    assert taken.content.isascii() is not offered
    assert ("BODY=8BITMIME" in taken.parameters) is offered
    parsed = message_from_bytes(taken.content, policy=default)
    assert parsed.get_content().splitlines() == text.splitlines()


@every_manner
async def test_u34_a_line_beyond_998_octets_is_encoded_anew(office, manner):
    text = "z" * 5000 + "\r\nshort\r\n"
    async with without(manner) as sink, facing(office, sink, None) as fault:
        await post(fault, text.encode())
        assert await fault.end() == ACCEPTED
    (taken,) = sink.accepted
    assert max(map(len, taken.content.split(b"\r\n"))) <= 998
    assert message_from_bytes(taken.content, policy=default).get_content().splitlines() == text.splitlines()


@every_manner
async def test_u34_an_address_beyond_ascii_is_refused_alone_where_smtputf8_is_absent(office, manner):
    names = ["zoé@example.com", "ok@example.com", "a@café.example"]
    async with without(manner, "SMTPUTF8") as sink, facing(office, sink, *names) as fault:
        expected = [refused(BEYOND), ACCEPTED, ACCEPTED]
        assert list((await fault.ends()).values()) == expected
        assert await fault.health() == READY
        await fault.accepted(await fault.post("next@example.com"))
        alone = await fault.post("zoé@example.com")
        assert await fault.end(alone) == End("refused", BEYOND, "refused", 0.0)
        assert await fault.health(alone) == READY
    assert everybody(sink) == ["a@xn--caf-dma.example", "next@example.com", "ok@example.com"]
    assert "zo" not in "".join(line for _, line in sink.commands)


@every_manner
async def test_u34_an_address_beyond_ascii_leaves_where_smtputf8_is_offered(office, manner):
    async with without(manner) as sink, facing(office, sink, "zoé@example.com") as fault:
        assert await fault.end() == ACCEPTED
        await fault.accepted(await fault.post("ok@example.com"))
    assert [taken.recipients for taken in sink.accepted] == [("zoé@example.com",), ("ok@example.com",)]
    assert ["SMTPUTF8" in taken.parameters for taken in sink.accepted] == [True, False]


@every_manner
async def test_u34_the_connection_s_own_sender_beyond_ascii_locks_it_and_refuses_no_mail(office, manner):
    text = "The server refuses the connection's sender. The connection is locked."
    sender = "zoé@example.org"
    async with (
        without(manner, "SMTPUTF8") as sink,
        facing(office, sink, connect={"sender_email": sender}, post={"sender": sender}) as fault,
    ):
        assert await fault.end() == End("queued", text, "locked")
        assert await fault.health() == ("locked", text, "", None)
    assert sink.accepted == []


@pytest.mark.parametrize("disk", [True, False])
async def test_a_large_content_that_was_re_encoded_is_held_in_no_memory(office, sink, disk, monkeypatch):
    await office.connect(sink)
    await office.post(text="é" * 60 + "\r\n" + ("à la carte, " * 6 + "\r\n") * 20_000)
    (claim,) = await office.ask(claimed, office.clock())
    attempt = Attempt(claim)
    message = await attempt.message(SimpleNamespace(engine=SimpleNamespace(threads=office.threads)))
    whole = b"".join([block async for block in message.body.blocks()])
    if not disk:
        monkeypatch.setattr("os.O_TMPFILE", 0)  # a folder opened to be written: EISDIR
    tracemalloc.start()
    try:
        body = await message.body.fitted(eight_bit=False, smtputf8=False)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    expected = (await Held(whole).fitted(eight_bit=False, smtputf8=False)).content
    assert len(expected) > 2_000_000
    assert b"".join([block async for block in body.blocks()]) == expected
    assert (body.size, body.ascii, body.short_lines) == (len(expected), True, True)
    assert (held < 300_000) is disk


def claimed(now):
    (lease,) = leases.take("test", now)
    return queue.claim(lease, 10, now)
