"""U13: a server that never stops speaking costs a session less than a mebibyte, whatever it says, and little time."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from dataclasses import fields, replace

import pytest
import uvloop

from scripted.certificates import the_certificate
from scripted.client import SHORT, hop_to, loopback_network
from smtp.flood import flooding
from smtp.kit import Queue, numbered
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.manner import Manner
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import SessionFailed
from vaguemestre.smtp.window import convey

GREETING, GROUP = b"220 mx\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"
HELLO = b"250-mx\r\n250 PIPELINING\r\n"
SAID = {
    "greeting": [],
    "ehlo": [GREETING],
    "mail": [GREETING, HELLO],
    "content": [GREETING, HELLO, GROUP],
}
FLOODS = {
    "lines of a reply": b"250-more\r\n",
    "a line without end": b"250-" + b"x" * 65_532,
    "empty lines of a reply": b"250-\r\n",
    "short lines of a reply": b"250-ab\r\n",
    "replies": b"250 ok\r\n",
    "ever other replies": b"".join(b"250 %05d\r\n" % number for number in range(5_000)),
    "empty lines": b"\n",
    "what is no reply": b"ab\n",
}
MEBIBYTE = 1_048_576
LONG = 60.0  # seconds; whoever waits for such a limit is seen, however busy the machine is
PATIENT = replace(SHORT, **{field.name: LONG for field in fields(SHORT) if field.name != "quit"})


async def meet(hop, network):
    """Come to a server that floods; the session is of no more use then."""
    try:
        session = await open_session(hop, network, PATIENT)
    except SessionFailed:
        return
    flow = Queue(numbered(1))
    await convey(session, flow, Manner.DATA)
    assert not session.reusable
    await session.quit()


@pytest.fixture
def certificate(tmp_path):
    """A PEM file of the server's chain and key."""
    path = tmp_path / "server.pem"
    path.write_bytes(the_certificate().key + the_certificate().pem)
    return str(path)


NONE, SSL = Encryption.NONE, Encryption.SSL


@pytest.mark.parametrize(
    ("loop", "place", "encryption"),
    [
        (uvloop, "greeting", SSL),
        (uvloop, "ehlo", NONE),
        (uvloop, "mail", SSL),
        (uvloop, "content", NONE),
        (asyncio, "greeting", SSL),
        (asyncio, "mail", NONE),
    ],
    ids=str,
)
def test_u13_a_flood_costs_a_session_less_than_a_mebibyte(roots, certificate, loop, place, encryption):
    """What is allocated at the most, over what was before; the courier runs on uvloop, a verification on asyncio."""
    network, most = loopback_network(roots), {}
    floods = list(FLOODS.values())
    with flooding(SAID[place], [floods[0], *floods], certificate if encryption is SSL else "") as port:
        hop = hop_to(None, encryption, port=port)
        loop.run(meet(hop, network))  # what is imported and kept for all sessions is none of their memory
        tracemalloc.start()
        try:
            for flood in FLOODS:
                before = tracemalloc.get_traced_memory()[0]
                tracemalloc.reset_peak()
                began, computed = time.perf_counter(), time.process_time()
                loop.run(meet(hop, network))
                assert time.process_time() - computed < 2.0, flood
                assert time.perf_counter() - began < LONG / 2, f"{flood}: it waited for a time limit"
                most[flood] = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    assert {flood: octets for flood, octets in most.items() if octets >= MEBIBYTE} == {}
