"""Independent implementations agree: aiosmtpd takes what we write, aiosmtplib writes what we would have written."""

from __future__ import annotations

import asyncio
import smtplib
import ssl

import aiosmtplib
import pytest
import uvloop
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripted.certificates import the_authority, the_certificate
from scripted.client import PASSWORD, SHORT, envelope, hop_to, loopback_network, staged
from scripted.sink import SinkServer
from smtp.kit import Queue, message
from smtp.one import transact
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey

CONTENT = "Subject: =?utf-8?q?=C3=A9t=C3=A9?=\r\nTo: a@example.org\r\n\r\n.dot\r\n\r\nné\r\n".encode()


class Keeper:
    """An aiosmtpd handler that keeps what came."""

    def __init__(self):
        self.kept = []

    async def handle_DATA(self, _, session, envelope):  # noqa: N802  the library's name
        self.kept.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, session.ssl is not None))
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"app", PASSWORD.encode()))


# Under implicit TLS the library does not know that the session is protected, and warns.
@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize("mechanisms", [[], ["PLAIN"]])
@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.SSL])
async def test_aiosmtpd_takes_what_we_write(network, encryption, mechanisms):
    handler, context = Keeper(), the_certificate().context()
    implicit = encryption is Encryption.SSL

    def protocol():
        return SMTP(
            handler,
            enable_SMTPUTF8=True,
            tls_context=None if implicit else context,
            require_starttls=not implicit,
            auth_required=True,
            auth_require_tls=not implicit,
            authenticator=authenticate,
            auth_exclude_mechanism=mechanisms,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=context if implicit else None
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        hop = hop_to(None, encryption, password=PASSWORD, port=port)
        session = await open_session(hop, network, SHORT)
        for recipients in (("a@example.org", "b@example.org"), ("zoé@example.org",)):
            result = await transact(session, envelope(*recipients), CONTENT, staged)
            assert [outcome.accepted for outcome in result.outcomes] == [True] * len(recipients)
        await session.quit()
    assert [kept[:3] for kept in handler.kept] == [
        ("sender@example.org", ["a@example.org", "b@example.org"], CONTENT),
        ("sender@example.org", ["zoé@example.org"], CONTENT),
    ]


async def test_aiosmtplib_writes_the_same_content(network):
    async with SinkServer() as sink:
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port)
        await client.connect()
        await client.sendmail(
            "sender@example.org", ["a@example.org"], CONTENT, mail_options=["BODY=8BITMIME"]
        )
        await client.quit()
        session = await open_session(hop_to(sink), network, SHORT)
        await transact(session, envelope("a@example.org"), CONTENT, staged)
        await session.quit()
    theirs, ours = sink.accepted
    assert ours.content == theirs.content == CONTENT
    assert (
        {word.upper() for word in theirs.parameters}
        == set(ours.parameters)
        == {f"SIZE={len(CONTENT)}", "BODY=8BITMIME"}
    )


LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"text", b"\xc3\xa9", b"x."]), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES.map(lambda lines: b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)))
def test_any_content_arrives_byte_for_byte(content):
    async def through():
        async with SinkServer() as sink:
            session = await open_session(hop_to(sink), loopback_network(), SHORT)
            await transact(session, envelope(), content, staged)
            await session.quit()
        return [taken.content for taken in sink.accepted]

    assert asyncio.run(through()) == [content]


@pytest.mark.parametrize("manner", list(Manner))
@pytest.mark.parametrize("encryption", list(Encryption))
def test_uvloop_does_the_same(roots, encryption, manner):
    large = b"Subject: x\r\n\r\n" + (b"z" * 76 + b"\r\n") * 20_000
    contents = [CONTENT, large, *[CONTENT] * 6, large]

    async def through():
        keywords = (*SinkServer.keywords, "CHUNKING")
        async with SinkServer(
            encryption=str(encryption), login="app", password=PASSWORD, keywords=keywords
        ) as sink:
            hop = hop_to(sink, encryption, password=PASSWORD)
            session = await open_session(hop, loopback_network(roots), SHORT)
            flow = Queue([message(content=content) for content in contents])
            await convey(session, flow, manner)
            assert all(outcome.accepted for outcome in flow.outcomes)
            assert session.reusable
            await session.quit()
        return [taken.content for taken in sink.accepted]

    assert uvloop.run(through()) == contents


def test_the_standard_library_s_client_finds_the_sink_in_order():
    context = ssl.create_default_context(cadata=the_authority().pem.decode())
    with SinkServer(encryption="ssl").in_thread() as sink:
        with smtplib.SMTP_SSL("localhost", sink.port, context=context) as client:
            client.sendmail("a@example.org", ["b@example.org"], CONTENT)
        assert sink.accepted[0].tls
