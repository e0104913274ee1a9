"""The ladder of manners: what a session teaches, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy.manner import Ladder, Sign, gravest, learned, remembered, sign_of

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BDAT, DATA, SINGLE = Manner.BDAT, Manner.DATA, Manner.SINGLE
GOOD, REFUSED, BROKEN, NONE = Sign.GOOD, Sign.REFUSED, Sign.BROKEN, Sign.NONE


def said(phase: Phase, line: str) -> Trouble:
    return Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:]))


def happened(phase: Phase, cause: Cause) -> Trouble:
    return Trouble(phase, cause)


SIGNS = [
    (None, BDAT, GOOD),
    (None, SINGLE, GOOD),
    (Trouble(Phase.DATA, Cause.BDAT_REFUSED, Reply(502, "5.5.1 no BDAT")), BDAT, REFUSED),
    (said(Phase.RSET, "503 5.5.1 not now"), DATA, REFUSED),
    (said(Phase.RSET, "550 no"), BDAT, REFUSED),
    (said(Phase.MAIL, "503 5.5.1 nested MAIL command"), BDAT, REFUSED),
    (said(Phase.RCPT, "503 5.5.1 need MAIL command"), DATA, REFUSED),
    (said(Phase.RCPT, "500 5.5.2 unrecognised"), DATA, REFUSED),
    (said(Phase.DATA, "502 not implemented"), DATA, REFUSED),
    (said(Phase.MAIL, "503 5.5.1 nested MAIL command"), SINGLE, NONE),
    (said(Phase.MAIL, "503 5.5.4 Error: send AUTH command first"), DATA, NONE),
    (said(Phase.RCPT, "500 5.1.1 User unknown"), BDAT, NONE),
    (said(Phase.MAIL, "550 5.7.1 not you"), BDAT, NONE),
    (said(Phase.RCPT, "550 5.1.1 no such user"), BDAT, NONE),
    (said(Phase.RCPT, "451 4.7.1 greylisted"), DATA, NONE),
    (said(Phase.DATA, "451 4.3.0 busy"), DATA, NONE),
    (said(Phase.CONTENT, "554 5.7.1 spam"), BDAT, NONE),
    (said(Phase.MAIL, "421 4.3.2 closing"), BDAT, NONE),
    (said(Phase.RSET, "421 4.3.2 closing"), BDAT, NONE),
    (said(Phase.DATA, "250 ok"), DATA, BROKEN),
    (said(Phase.CONTENT, "354 go on"), DATA, BROKEN),
    *(
        (happened(phase, cause), manner, BROKEN)
        for phase in (Phase.RSET, Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT)
        for cause in (Cause.LOST, Cause.TIMEOUT, Cause.MALFORMED, Cause.UNDUE)
        for manner in Manner
    ),
    *((happened(phase, Cause.LOST), BDAT, NONE) for phase in (Phase.CONNECT, Phase.AUTH, Phase.QUIT)),
    *(
        (happened(Phase.CONTENT, cause), BDAT, NONE)
        for cause in (Cause.STALE, Cause.DIED, Cause.TOO_LARGE, Cause.SMTPUTF8_NOT_OFFERED)
    ),
]


@pytest.mark.parametrize(("trouble", "manner", "sign"), SIGNS)
def test_what_a_transactions_end_tells_of_its_manner(trouble, manner, sign):
    assert sign_of(trouble, manner) is sign


def test_u33_a_session_that_was_over_before_it_was_used_tells_nothing():
    lost = happened(Phase.MAIL, Cause.LOST)
    assert sign_of(lost, BDAT, reused_first_reply=True) is NONE
    assert sign_of(happened(Phase.MAIL, Cause.UNDUE), BDAT, reused_first_reply=True) is BROKEN


def test_every_trouble_there_is_tells_one_sign():
    told = {
        sign_of(Trouble(phase, cause, Reply(code, "")), manner)
        for phase in Phase
        for cause in Cause
        for code in (250, 354, 421, 450, 500, 501, 502, 503, 550)
        for manner in Manner
    }
    assert told == {NONE, REFUSED, BROKEN}


def test_a_session_tells_the_gravest_of_its_signs():
    assert gravest([GOOD, GOOD, BROKEN, BROKEN]) is BROKEN
    assert gravest([GOOD, BROKEN, REFUSED]) is REFUSED
    assert gravest([NONE, GOOD]) is GOOD
    assert gravest([]) is NONE


def test_a_refusal_steps_down_at_once_and_no_further_than_one_by_one():
    once = learned(Ladder(), REFUSED, NOW)
    assert once == Ladder(DATA, "bdat_refused", NOW)
    twice = learned(once, REFUSED, NOW + MINUTE)
    assert twice == Ladder(SINGLE, "data_refused", NOW + MINUTE)
    assert learned(twice, REFUSED, NOW + 2 * MINUTE) == twice


def test_the_second_broken_session_running_steps_down():
    once = learned(Ladder(), BROKEN, NOW)
    assert (once.manner, once.broken, once.at) == (BDAT, 1, None)
    assert learned(once, BROKEN, NOW + MINUTE) == Ladder(DATA, "bdat_broke", NOW + MINUTE)


def test_a_good_session_clears_what_broke_before():
    once = learned(Ladder(), BROKEN, NOW)
    cleared = learned(once, GOOD, NOW)
    assert cleared == Ladder()
    assert learned(cleared, BROKEN, NOW).manner is BDAT


def test_a_refusal_of_mail_neither_clears_nor_counts():
    once = learned(Ladder(), BROKEN, NOW)
    assert learned(once, NONE, NOW) == once


def test_breaks_in_the_lowest_manner_are_not_counted():
    lowest = Ladder(SINGLE, "data_broke", NOW)
    assert learned(learned(lowest, BROKEN, NOW), BROKEN, NOW) == lowest


def test_what_other_sessions_of_a_manner_given_up_report_teaches_nothing():
    given_up = learned(Ladder(), REFUSED, NOW, seen=BDAT)
    for sign in Sign:
        assert learned(given_up, sign, NOW + MINUTE, seen=BDAT) == given_up


def test_a_server_that_announces_less_steps_down_from_what_was_used():
    # It announces PIPELINING alone: the ladder's top was never tried.
    assert learned(Ladder(), REFUSED, NOW, seen=DATA) == Ladder(SINGLE, "data_refused", NOW)
    assert learned(Ladder(), REFUSED, NOW, seen=SINGLE) == Ladder()


def test_sessions_that_were_open_together_break_once():
    opened = NOW - MINUTE
    first = learned(Ladder(), BROKEN, NOW, opened=opened)
    same = learned(first, BROKEN, NOW + MINUTE, opened=opened)
    assert same == first
    assert learned(same, BROKEN, NOW + MINUTE, opened=NOW + MINUTE / 2).manner is DATA


@pytest.mark.parametrize(
    ("age", "version", "manner"),
    [
        (timedelta(0), 3, DATA),
        (timedelta(days=7) - timedelta(seconds=1), 3, DATA),
        (timedelta(days=7), 3, BDAT),
        (timedelta(0), 4, BDAT),
    ],
)
def test_the_place_is_kept_a_week_and_for_the_same_settings(age, version, manner):
    place = Ladder(DATA, "bdat_refused", NOW)
    assert remembered(place, 3, version, NOW + age) == (place if manner is DATA else Ladder())


def test_a_place_without_a_time_is_not_kept():
    assert remembered(replace(Ladder(DATA, "bdat_refused"), at=None), 1, 1, NOW) == Ladder()
