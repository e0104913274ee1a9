"""Idle sessions: lent again to the very same hop only, and only while they are beyond doubt."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scripted.client import PASSWORD, SHORT, envelope, hop_to, staged
from scripted.sink import LOST, Answer, SinkServer
from smtp.one import transact
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.pool import Pool

CONTENT = b"Subject: x\r\n\r\n"


@pytest.fixture
async def sink():
    async with SinkServer(login="app", password=PASSWORD) as sink:
        yield sink


async def opened(sink, network, hop=None):
    return await open_session(hop or hop_to(sink, password=PASSWORD), network, SHORT)


async def closed(*sessions):
    for session in sessions:
        await session.quit()


async def test_a_session_is_lent_again_to_its_hop(sink, network):
    pool, session = Pool(), await opened(sink, network)
    assert pool.borrow(session.hop, 0) is None
    assert pool.give_back(session, 10) is None
    assert repr(pool) == "<Pool 1 idle to 1 hops>"
    assert pool.borrow(session.hop, 12) is session
    assert pool.borrow(session.hop, 12) is None
    assert repr(pool) == "<Pool 0 idle to 0 hops>"
    await closed(session)


async def test_different_credentials_never_share_a_session(sink, network):
    pool, session = Pool(), await opened(sink, network)
    pool.give_back(session, 0)
    others = [
        {"secret": Secret(PASSWORD)},
        {"login": "other"},
        {"port": 26},
        {"sender": Mailbox.parse("other@example.org")},
        {"pinned_certificate": "0" * 64},
        {"source_address": "127.0.0.9"},
        {"ehlo_name": "other.example.org"},
    ]
    for change in others:
        assert pool.borrow(replace(session.hop, **change), 1) is None
    assert pool.borrow(session.hop, 1) is session
    await closed(session)


async def test_an_idle_session_expires(sink, network):
    pool = Pool(idle_limit=30)
    first = await opened(sink, network)
    second = await opened(sink, network, first.hop)
    pool.give_back(first, 0)
    pool.give_back(second, 20)
    assert pool.expired(29) == []
    assert pool.expired(30) == [first]
    assert pool.borrow(second.hop, 50) is None
    assert pool.expired(51) == [second]
    assert pool.empty() == []
    await closed(first, second)


async def test_a_session_with_many_transactions_is_not_kept(sink, network):
    pool, session = Pool(transaction_limit=2), await opened(sink, network)
    await transact(session, envelope(), CONTENT, staged)
    assert pool.give_back(session, 0) is None
    assert pool.borrow(session.hop, 0) is session
    await transact(session, envelope(), CONTENT, staged)
    assert pool.give_back(session, 0) is session
    await closed(session)


async def test_a_doubtful_session_never_returns(network):
    async with SinkServer(hooks={"content": lambda _: LOST}) as sink:
        pool, session = Pool(), await opened(sink, network, hop_to(sink))
        await transact(session, envelope(), CONTENT, staged)
        assert pool.give_back(session, 0) is session
        await closed(session)


async def test_u33_what_happens_to_an_idle_session_is_seen_before_it_is_lent(network):
    hooks = {"content": lambda _: Answer("250 ok\r\n421 4.4.2 that was all", then="keep")}
    async with SinkServer(hooks=hooks) as sink:
        pool, session = Pool(), await opened(sink, network, hop_to(sink))
        result = await transact(session, envelope(), CONTENT, staged)
        assert result.outcomes[0].accepted
        await asyncio.sleep(0.05)
        assert pool.give_back(session, 0) is session
        await closed(session)
    async with SinkServer() as sink:
        session = await opened(sink, network, hop_to(sink))
        assert pool.give_back(session, 0) is None
    await asyncio.sleep(0.05)
    assert session.stale
    assert pool.borrow(session.hop, 1) is None
    assert pool.empty() == [session]
    await closed(session)
