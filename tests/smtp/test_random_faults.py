"""U35 of the faults at the level of the wire: whatever a server does at whichever step, no outcome lies about it."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from scripted.client import envelope, hop_to, loopback_network, staged
from scripted.sink import Answer, SinkServer
from smtp.one import transact
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.session import SessionFailed
from vaguemestre.smtp.timeouts import Timeouts

WAYS = [
    None,
    None,
    None,
    Answer("250 2.0.0 ok"),
    Answer("354 go"),
    Answer("451 4.3.0 later"),
    Answer("550 5.0.0 no"),
    Answer("503 5.5.1 what"),
    Answer("421 4.3.2 closing", then="drop"),
    Answer("421 4.3.2 closing"),
    Answer(then="drop"),
    Answer(then="rst"),
    Answer("rubbish"),
    Answer("250 2.0.0 ok\r\n250 2.0.0 and more"),
    Answer("250 2.0.0 ok\r\n421 4.4.2 bye", then="drop"),
    Answer("250 2.0.0 ok", then="rst"),
    Answer("250-2.0.0 on\r\n250 2.0.0 and off"),
    Answer("250 2.0.0 late", delay=0.01),
    Answer("250 2.0.0 too late", delay=0.3),
    Answer(then="drop", accepted=True),
    Answer("rubbish", accepted=True),
]
FAULTS = st.lists(st.sampled_from(WAYS), min_size=30, max_size=30)
QUICK = Timeouts().at_most(0.15)
ONE, TWO = "one@example.org", "two@example.org"


async def played(faults):
    """Three messages over as few sessions as the server's behaviour allows; [(content, outcomes)] and the sink."""
    left = iter(faults)
    hooks = dict.fromkeys(
        ("greeting", "ehlo", "mail", "rcpt", "data", "content", "rset"), lambda _: next(left, None)
    )
    results, session = [], None
    async with SinkServer(hooks=hooks) as sink:
        for number in range(3):
            content = b"Subject: %d\r\n\r\n" % number
            try:
                if session is None or not session.reusable:
                    session = await open_session(hop_to(sink), loopback_network(), QUICK)
            except SessionFailed:
                continue
            result = await transact(session, envelope(ONE, TWO), content, staged)
            results.append((content, result.outcomes, session.reusable))
        if session is not None:
            await session.quit()
    return results, sink


@settings(max_examples=120, deadline=None)
@given(FAULTS)
def test_u35_no_outcome_lies(faults):
    results, sink = asyncio.run(played(faults))
    taken = {(one.content, recipient): one.answered for one in sink.accepted for recipient in one.recipients}
    assert len(taken) == sum(len(one.recipients) for one in sink.accepted)  # nothing twice
    for content, outcomes, reusable in results:
        assert [outcome.recipient.address for outcome in outcomes] == [ONE, TWO]
        for outcome in outcomes:
            known = (content, outcome.recipient.address) in taken
            if outcome.accepted:
                assert known
            elif not outcome.in_doubt:
                assert not known
            if outcome.in_doubt:
                assert not reusable
    assert sink.faults == []
