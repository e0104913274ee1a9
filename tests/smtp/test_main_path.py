"""A message reaches a server whole, over each encryption, on a session that is used again."""

from __future__ import annotations

import pytest

from scripted.client import PASSWORD, SHORT, envelope, hop_to, staged
from scripted.sink import SinkServer
from smtp.one import transact
from vaguemestre.mail.account import Encryption
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.question import ask

CONTENT = b"Subject: hello\r\n\r\n.leading dot\r\n..two\r\nlast line\r\n"


@pytest.mark.parametrize("encryption", list(Encryption))
async def test_two_messages_leave_over_one_session(network, encryption):
    async with SinkServer(encryption=str(encryption), login="app", password=PASSWORD) as sink:
        session = await open_session(hop_to(sink, encryption, password=PASSWORD), network, SHORT)
        assert repr(session) == "<Session localhost IDLE 0 transactions>"
        for _ in range(2):
            result = await transact(session, envelope("a@example.org", "b@example.org"), CONTENT, staged)
            assert result.staged
            assert [outcome.accepted for outcome in result.outcomes] == [True, True]
        assert session.reusable
        assert repr(session) == "<Session localhost IDLE 2 transactions>"
        await session.quit()
        assert repr(session) == "<Session localhost CLOSED 2 transactions>"
    assert [taken.content for taken in sink.accepted] == [CONTENT, CONTENT]
    assert {(taken.tls, taken.login) for taken in sink.accepted} == {(encryption != "none", "app")}
    assert sink.sessions == 1
    assert sink.faults == []


async def test_the_transcript_tells_each_step_and_no_secret(network):
    seen = []
    async with SinkServer(encryption="starttls", login="app", password=PASSWORD) as sink:
        hop = hop_to(sink, Encryption.STARTTLS, password=PASSWORD)
        session = await open_session(hop, network, SHORT, seen.append)
        assert session.seen_address == "127.0.0.1"
        assert session.tls is not None
        assert session.tls.version == "TLSv1.3"
        assert "localhost" in session.tls.names
        await ask(session)
        await session.quit()
    assert [(step.phase.value, step.sent) for step in seen] == [
        ("resolve", "resolve localhost"),
        ("connect", f"connect to 127.0.0.1 port {sink.port}"),
        ("greeting", ""),
        ("ehlo", "EHLO client.example.org"),
        ("starttls", "STARTTLS"),
        ("starttls", "TLS handshake"),
        ("ehlo", "EHLO client.example.org"),
        ("auth", "AUTH PLAIN ***"),
        ("mail", "MAIL FROM:<sender@example.org>"),
        ("rset", "RSET"),
        ("quit", "QUIT"),
    ]
    assert PASSWORD not in repr(seen)
