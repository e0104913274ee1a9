"""The short way of what everybody got: its report is the one that judging every recipient comes to."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted.client import SHORT, hop_to, loopback_network
from scripted.sink import SinkServer
from vaguemestre.courier.attempt import Attempt, Tried, accepted, judged, report
from vaguemestre.courier.carriage import Carriage
from vaguemestre.courier.engine import Engine
from vaguemestre.courier.lane import Lane
from vaguemestre.ledger.claims import Claim, Duty
from vaguemestre.ledger.identity import new_digits
from vaguemestre.ledger.lanes import LaneFacts
from vaguemestre.ledger.leases import Lease
from vaguemestre.ledger.threads import LedgerThreads
from vaguemestre.mail.account import Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.state import Health
from vaguemestre.mail.transcript import Step
from vaguemestre.policy.health import READY, HealthState, recovered
from vaguemestre.policy.manner import Ladder
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.outcome import Outcome, Result
from vaguemestre.smtp.session import Session
from vaguemestre.smtp.timeouts import Timeouts

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
SENDER = Mailbox.parse("office@example.org")
REPLIES = st.builds(Reply, st.integers(200, 299), st.sampled_from(["2.0.0 Ok", "", "taken"]))
STEPS = st.builds(
    Step, st.sampled_from([Phase.RSET, Phase.CONTENT]), st.just("content, 4 bytes"), st.none() | REPLIES
)
TRIED = st.builds(
    Tried,
    st.lists(REPLIES, min_size=1, max_size=4).map(
        lambda replies: tuple(
            Outcome(Mailbox.parse(f"to{number}@example.com"), reply, None, True, number)
            for number, reply in enumerate(replies)
        )
    ),
    st.lists(STEPS, max_size=3).map(
        # What was accepted has been offered.
        lambda steps: (*steps, Step(Phase.CONTENT, "content, 4 bytes", Reply(250, "2.0.0 Ok"), None, 0.1))
    ),
    reused=st.booleans(),
    peer=st.sampled_from(["", "192.0.2.1"]),
    tls=st.sampled_from(["", "TLSv1.3"]),
)
CLOCK = st.none() | st.just(NOW)


def lane():
    engine = Engine(loopback_network(), LedgerThreads(1), now=lambda: NOW, boottime=lambda: 0.0)
    facts = LaneFacts(1, 3, HealthState(), due=(), max_sessions=None, ladder=Ladder())
    made = Lane(engine, Lease(1, 1), facts, NextHop("localhost", 1, Encryption.NONE, SENDER))
    made.domains_refused.add("example.net")
    return made


@given(TRIED, st.booleans(), st.booleans(), st.sampled_from([2, 3]), CLOCK, CLOCK)
def test_what_everybody_got_is_reported_as_if_each_had_been_judged(  # noqa: PLR0917  as hypothesis has it
    tried, retried, noted, version, started_at, staged_at
):
    duties = tuple(
        Duty(number, f"to{number}@example.com", 0, 0.0, 9.0, number % 2)
        for number in range(len(tried.outcomes))
    )
    claim = Claim(new_digits(), 1, {"reverse_path": None}, 4, duties)
    attempt = Attempt(claim, b"", retried, started_at, version, staged_at)
    one, other = lane(), lane()
    assert tried.accepted
    assert accepted(one, attempt, tried) == report(
        other, attempt, tried, judged(other, attempt, tried), noted=noted
    )
    assert one.domains_refused == other.domains_refused == set()


@pytest.mark.parametrize("state", [READY, HealthState(broken_running=1)])
async def test_a_session_that_carried_mail_tells_that_its_manner_is_good(state):
    claim = Claim(new_digits(), 1, {"reverse_path": None}, 4, (Duty(1, "to@example.com", 0, 0.0, 9.0, 0),))
    made = lane()
    made.facts = replace(made.facts, health=state)
    made.ladder = Ladder(broken=1, broken_at=NOW)
    session = Session(made.hop, made.engine.network, Timeouts())
    carriage = Carriage(made, session, Attempt(claim, b"a\r\n\r\n", version=3))
    message = await carriage.next()
    got = Outcome(*message.envelope.recipients, Reply(250, "Ok"), None, True)
    carriage.settled(message, Result((got,), True, (), Manner.BDAT))
    carriage.end()
    assert made.ladder == Ladder()


async def test_a_limit_of_sessions_counts_idle_ones_and_may_be_lifted():
    async with SinkServer() as sink:
        made = lane()
        made.hop = hop_to(sink)
        pool = made.engine.pool
        for _ in range(4):
            pool.give_back(await open_session(made.hop, made.engine.network, SHORT), 0)
        for limit, kept in ((4, 4), (None, 3), (1, 1), (None, 1)):
            await made.update(replace(made.facts, max_sessions=limit), made.lease, 0.0)
            assert pool.idle(made.hop) == kept
        made.give_up()
        await asyncio.wait(made.engine.leaving(made.hop))
        assert sink.open_sessions == 0


async def test_a_session_of_other_settings_is_closed_and_not_kept():
    async with SinkServer() as sink:
        made = lane()
        session = await open_session(hop_to(sink), made.engine.network, SHORT)
        made._give_back(session)
        assert made.engine.pool.idle(session.hop) == 0
        await asyncio.wait(made.engine.leaving(session.hop))
        assert sink.open_sessions == 0


def test_what_one_recipient_did_not_get_goes_the_general_way():
    trouble = Trouble(Phase.RCPT, Cause.REPLY, Reply(550, "5.1.1 nobody"))
    got, refused = (Outcome(SENDER, Reply(250, "Ok"), None), Outcome(SENDER, trouble.reply, trouble))
    assert [Tried(outcomes, ()).accepted for outcomes in ((got, refused), (refused,), (got, got))] == [
        False,
        False,
        True,
    ]


@given(
    st.builds(HealthState, st.sampled_from(Health), step=st.integers(0, 1), broken_running=st.integers(0, 1))
)
def test_a_health_that_has_something_to_recover_from_is_not_ordinary(state):
    assert state.ordinary is (state == READY)
    assert not state.ordinary or recovered(state, NOW) == state
