"""The failure table: each row, and what holds for every case there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest

from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy import waiting
from vaguemestre.policy.verdict import Case, Fate, HealthChange, Judgement, Scope, SessionFate, Why, judge

RECIPIENT, MESSAGE, CONNECTION, NONE = Scope.RECIPIENT, Scope.MESSAGE, Scope.CONNECTION, Scope.NONE
DEFERRED, REFUSED, IN_DOUBT = Fate.DEFERRED, Fate.REFUSED, Fate.IN_DOUBT
THROTTLE, LOCK, NOTE = HealthChange.THROTTLE, HealthChange.LOCK, HealthChange.NOTE
KEEP, RSET, CLOSE = SessionFate.KEEP, SessionFate.RSET, SessionFate.CLOSE


def said(phase: Phase, line: str, **more) -> Case:
    """A case caused by a reply."""
    return Case(Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:])), **more)


def happened(phase: Phase, cause: Cause, **more) -> Case:
    """A case caused otherwise."""
    return Case(Trouble(phase, cause), **more)


def columns(judgement: Judgement) -> tuple:
    return (
        judgement.row,
        judgement.scope,
        judgement.delivery,
        judgement.counted,
        judgement.connection,
        judgement.session,
    )


# row, scope, delivery, counted, connection, session
SETTLED = (0, NONE, Fate.SETTLED, False, None, CLOSE)
ROW_1 = (1, MESSAGE, IN_DOUBT, False, NOTE, CLOSE)
ROW_2 = (2, NONE, Fate.AT_ONCE_NEW_SESSION, False, None, CLOSE)
ROW_3 = (3, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_4 = (4, CONNECTION, DEFERRED, False, THROTTLE, RSET)
ROW_4_EARLY = (4, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_5 = (5, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_6 = (6, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_7 = (7, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_8 = (8, CONNECTION, DEFERRED, False, LOCK, CLOSE)
ROW_9 = (9, MESSAGE, REFUSED, False, None, RSET)
ROW_9_ONE = (9, RECIPIENT, REFUSED, False, None, KEEP)
ROW_10 = (10, CONNECTION, DEFERRED, False, LOCK, CLOSE)
ROW_10_SOFT = (10, CONNECTION, DEFERRED, False, THROTTLE, CLOSE)
ROW_10_ONCE = (10, RECIPIENT, DEFERRED, True, None, KEEP)
ROW_11 = (11, CONNECTION, DEFERRED, False, LOCK, RSET)
ROW_12 = (12, CONNECTION, DEFERRED, True, NOTE, CLOSE)
ROW_12_THIRD = (12, CONNECTION, DEFERRED, True, THROTTLE, CLOSE)
ROW_13 = (13, RECIPIENT, Fate.AT_ONCE_NEXT_TRANSACTION, False, None, KEEP)
ROW_14_REFUSED = (14, RECIPIENT, REFUSED, False, None, KEEP)
ROW_14_DEFERRED = (14, RECIPIENT, DEFERRED, True, None, KEEP)
ROW_15 = (15, MESSAGE, DEFERRED, True, None, RSET)
ROW_16 = (16, MESSAGE, REFUSED, False, None, RSET)
ROW_9_BROKEN_OFF = (9, MESSAGE, REFUSED, False, None, CLOSE)
ROW_17 = (17, NONE, DEFERRED, False, None, RSET)
ROW_17_DIED = (17, NONE, DEFERRED, False, None, CLOSE)
ROW_18 = (18, NONE, Fate.AT_ONCE_NEW_SESSION, False, None, CLOSE)

TABLE = [
    (happened(Phase.QUIT, Cause.LOST), SETTLED),
    (said(Phase.QUIT, "421 bye"), SETTLED),
    (said(Phase.RSET, "500 what"), SETTLED),
    (happened(Phase.RSET, Cause.TIMEOUT, after_dot=True), SETTLED),
    (happened(Phase.CONTENT, Cause.LOST, after_dot=True), ROW_1),
    (happened(Phase.CONTENT, Cause.TIMEOUT, after_dot=True), ROW_1),
    (happened(Phase.CONTENT, Cause.MALFORMED, after_dot=True), ROW_1),
    (happened(Phase.CONTENT, Cause.UNDUE, after_dot=True), ROW_1),
    (happened(Phase.CONTENT, Cause.DIED, after_dot=True), ROW_1),
    (said(Phase.CONTENT, "354 go on", after_dot=True), ROW_1),
    (said(Phase.CONTENT, "250 to a MAIL that was refused", after_dot=True), ROW_1),
    (happened(Phase.CONTENT, Cause.LOST, after_dot=True, reused_first_reply=True), ROW_1),
    (said(Phase.MAIL, "421 idle too long", reused_first_reply=True), ROW_2),
    (happened(Phase.MAIL, Cause.LOST, reused_first_reply=True), ROW_2),
    (happened(Phase.RSET, Cause.LOST, reused_first_reply=True), ROW_2),
    (said(Phase.RSET, "502 not implemented", reused_first_reply=True), ROW_2),
    (said(Phase.RSET, "502 not implemented", reused_first_reply=True, after_dot=True), ROW_1),
    (said(Phase.RSET, "421 closing", reused_first_reply=True, after_dot=True), ROW_2),
    (happened(Phase.MAIL, Cause.TIMEOUT, reused_first_reply=True), ROW_12),
    (
        happened(Phase.MAIL, Cause.LOST, reused_first_reply=True, has_been_retried_on_new_session=True),
        ROW_12,
    ),
    (
        said(Phase.MAIL, "421 busy", reused_first_reply=True, has_been_retried_on_new_session=True),
        ROW_3,
    ),
    *((said(phase, "421 4.3.2 shutting down"), ROW_3) for phase in Phase if phase not in {"rset", "quit"}),
    (said(Phase.CONTENT, "421 4.3.2 shutting down", after_dot=True), ROW_3),
    (said(Phase.MAIL, "432 4.3.2 Concurrent connections limit exceeded"), ROW_4),
    (said(Phase.RCPT, "550 5.4.5 Daily sending quota exceeded"), ROW_4),
    (said(Phase.CONTENT, "554 5.2.0 STOREDRV.Submission", after_dot=True), ROW_4),
    (said(Phase.AUTH, "454 4.7.0 Too many login attempts"), ROW_4_EARLY),
    (said(Phase.GREETING, "450 4.7.1 too many connections"), ROW_4_EARLY),
    (said(Phase.RCPT, "452 4.2.2 mailbox over quota"), ROW_14_DEFERRED),
    (happened(Phase.RESOLVE, Cause.HOST_UNKNOWN), ROW_5),
    (happened(Phase.RESOLVE, Cause.LOOKUP_FAILED), ROW_5),
    (happened(Phase.CONNECT, Cause.CONNECTION_REFUSED), ROW_5),
    (happened(Phase.CONNECT, Cause.TIMEOUT), ROW_5),
    (happened(Phase.CONNECT, Cause.NOT_PERMITTED), ROW_5),
    (happened(Phase.GREETING, Cause.NOT_SMTP), ROW_5),
    (happened(Phase.GREETING, Cause.TLS_EXPECTED), ROW_5),
    (said(Phase.GREETING, "554 5.7.1 no"), ROW_5),
    (said(Phase.EHLO, "550 5.7.1 no"), ROW_5),
    (happened(Phase.STARTTLS, Cause.NOT_OFFERED), ROW_6),
    (said(Phase.STARTTLS, "454 4.7.0 TLS not available"), ROW_6),
    (said(Phase.STARTTLS, "502 5.5.1 no"), ROW_6),
    (happened(Phase.STARTTLS, Cause.CERTIFICATE_NAME), ROW_6),
    (happened(Phase.TLS, Cause.CERTIFICATE_EXPIRED), ROW_6),
    (happened(Phase.TLS, Cause.TLS_NOT_SPOKEN), ROW_6),
    (happened(Phase.TLS, Cause.LOST), ROW_6),
    (said(Phase.AUTH, "454 4.7.0 Temporary authentication failure"), ROW_7),
    (happened(Phase.AUTH, Cause.LOST), ROW_7),
    (happened(Phase.AUTH, Cause.TIMEOUT), ROW_7),
    (happened(Phase.AUTH, Cause.MALFORMED), ROW_7),
    (said(Phase.AUTH, "334 "), ROW_7),
    (said(Phase.AUTH, "535 5.7.8 Bad credentials"), ROW_8),
    (happened(Phase.AUTH, Cause.NO_MECHANISM), ROW_8),
    (happened(Phase.AUTH, Cause.NOT_OFFERED), ROW_8),
    (happened(Phase.AUTH, Cause.NOT_PERMITTED), ROW_8),
    (said(Phase.MAIL, "552 5.3.4 Message size exceeds limit"), ROW_9),
    (said(Phase.MAIL, "552 too much"), ROW_9),
    (said(Phase.MAIL, "555 5.5.4 Unsupported option"), ROW_9),
    (said(Phase.MAIL, "553 5.6.7 Non-ASCII addresses"), ROW_9),
    (said(Phase.MAIL, "554 5.6.3 Conversion required"), ROW_9),
    (said(Phase.MAIL, "550 5.1.7 null sender refused", null_reverse_path=True), ROW_9),
    (happened(Phase.MAIL, Cause.TOO_LARGE), ROW_9),
    (happened(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED), ROW_9),
    (happened(Phase.CONTENT, Cause.BARE_LINE_ENDING), ROW_9_BROKEN_OFF),
    (happened(Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED), ROW_9_ONE),
    (happened(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED, sender_needs_smtputf8=True), ROW_11),
    (happened(Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED, sender_needs_smtputf8=True), ROW_11),
    (said(Phase.MAIL, "553 5.6.7 Non-ASCII addresses", sender_needs_smtputf8=True), ROW_11),
    (said(Phase.MAIL, "530 5.7.0 Authentication Required"), ROW_10),
    (said(Phase.MAIL, "530 5.7.0 Authentication Required", null_reverse_path=True), ROW_10),
    (said(Phase.MAIL, "550 5.7.60 may not send as this sender"), ROW_10),
    (said(Phase.DATA, "554 5.7.1 Client host rejected: Access denied"), ROW_10),
    (said(Phase.CONTENT, "550 5.7.60 may not send as this sender", after_dot=True), ROW_10),
    (said(Phase.CONTENT, "550 5.7.30 Basic authentication is not supported", after_dot=True), ROW_10),
    (said(Phase.MAIL, "454 4.7.1 Relay access denied"), ROW_10_SOFT),
    (said(Phase.RCPT, "554 5.7.1 Relay access denied"), ROW_10_ONCE),
    (said(Phase.RCPT, "454 4.7.1 Relay access denied"), ROW_10_ONCE),
    (said(Phase.RCPT, "554 5.7.1 Relay access denied", recipient_domains_refused_running=2), ROW_10),
    (said(Phase.RCPT, "454 4.7.1 Relay access denied", recipient_domains_refused_running=2), ROW_10_SOFT),
    (said(Phase.MAIL, "550 5.1.8 Sender refused"), ROW_11),
    (said(Phase.MAIL, "553 5.7.1 Sender address rejected: not owned by user"), ROW_11),
    (said(Phase.MAIL, "501 5.1.7 Bad sender address syntax"), ROW_11),
    *(
        (happened(phase, cause), ROW_12)
        for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT)
        for cause in (Cause.LOST, Cause.TIMEOUT, Cause.MALFORMED, Cause.UNDUE)
    ),
    (said(Phase.MAIL, "503 5.5.1 Nested MAIL"), ROW_12),
    (said(Phase.MAIL, "503 5.5.1 Nested MAIL", null_reverse_path=True), ROW_12),
    (said(Phase.MAIL, "500 5.5.2 Error: bad syntax"), ROW_12),
    (said(Phase.RCPT, "502 5.5.1 Unrecognized command"), ROW_12),
    (said(Phase.DATA, "502 not implemented"), ROW_12),
    (said(Phase.CONTENT, "503 5.5.1 what"), ROW_12),
    (said(Phase.CONTENT, "503 5.5.1 what", after_dot=True), ROW_16),
    (said(Phase.CONTENT, "500 5.5.2 Line too long"), ROW_16),
    (said(Phase.RCPT, "500 5.1.1 User unknown"), ROW_14_REFUSED),
    (said(Phase.RCPT, "354 what"), ROW_12),
    (said(Phase.DATA, "250 what"), ROW_12),
    (said(Phase.DATA, "503 5.5.1 no", broken_running=2), ROW_12),
    (said(Phase.DATA, "503 5.5.1 no", broken_running=3), ROW_12_THIRD),
    (said(Phase.RCPT, "452 4.5.3 Too many recipients", accepted_before=1), ROW_13),
    (said(Phase.RCPT, "452 Too many recipients", accepted_before=100), ROW_13),
    (said(Phase.RCPT, "552 Too many recipients", accepted_before=1), ROW_13),
    (said(Phase.RCPT, "452 4.5.3 Too many recipients"), ROW_14_DEFERRED),
    (said(Phase.RCPT, "452 4.2.2 Mailbox full", accepted_before=1), ROW_14_DEFERRED),
    (said(Phase.RCPT, "550 5.1.1 User unknown", accepted_before=1), ROW_14_REFUSED),
    (said(Phase.RCPT, "451 4.7.1 Greylisted, come back in 60 seconds"), ROW_14_DEFERRED),
    (said(Phase.MAIL, "450 4.1.8 Domain of sender not found"), ROW_15),
    (said(Phase.DATA, "451 4.3.0 later"), ROW_15),
    (said(Phase.CONTENT, "452 4.3.1 Insufficient storage", after_dot=True), ROW_15),
    (said(Phase.DATA, "554 5.5.1 No valid recipients"), ROW_16),
    (said(Phase.CONTENT, "554 5.7.1 Message rejected as spam", after_dot=True), ROW_16),
    (said(Phase.CONTENT, "550 5.6.0 read while the content was written"), ROW_16),
    (happened(Phase.CONTENT, Cause.STALE), ROW_17),
    (happened(Phase.DATA, Cause.DIED), ROW_17_DIED),
    (happened(Phase.CONNECT, Cause.DIED), ROW_17_DIED),
    (happened(Phase.DATA, Cause.BDAT_REFUSED), ROW_18),
    (happened(Phase.DATA, Cause.BDAT_REFUSED, after_dot=True), ROW_18),
    (happened(Phase.DATA, Cause.BDAT_REFUSED, reused_first_reply=True), ROW_18),
    (happened(Phase.DATA, Cause.BDAT_REFUSED, has_been_retried_on_new_session=True), ROW_12),
    (
        happened(Phase.DATA, Cause.BDAT_REFUSED, has_been_retried_on_new_session=True, broken_running=3),
        ROW_12_THIRD,
    ),
    # The session's own limit, whatever its code and its place
    (said(Phase.MAIL, "451 Requested action aborted\nMails per session limit exceeded"), ROW_2),
    (said(Phase.CONTENT, "451 Mails per session limit exceeded", after_dot=True), ROW_2),
    (said(Phase.DATA, "421 too many messages in this connection"), ROW_2),
    (said(Phase.MAIL, "451 Mails per session limit", has_been_retried_on_new_session=True), ROW_4),
]

# In a window the content goes out before the replies to MAIL and RCPT come: each phase, after the dot.
WINDOW = [
    (said(Phase.MAIL, "550 5.1.8 Sender refused", after_dot=True), ROW_11),
    (said(Phase.MAIL, "530 5.7.0 Authentication Required", after_dot=True), ROW_10),
    (said(Phase.MAIL, "552 5.3.4 too big", after_dot=True), ROW_9),
    (said(Phase.MAIL, "450 4.3.2 later", after_dot=True), ROW_15),
    (said(Phase.MAIL, "450 4.7.1 Rate limit exceeded", after_dot=True), ROW_4),
    (said(Phase.MAIL, "503 5.5.1 Nested MAIL", after_dot=True), ROW_12),
    (said(Phase.MAIL, "421 4.3.2 closing", after_dot=True), ROW_3),
    (said(Phase.MAIL, "421 4.3.2 closing", after_dot=True, reused_first_reply=True), ROW_2),
    (said(Phase.RSET, "421 4.3.2 closing", after_dot=True, reused_first_reply=True), ROW_2),
    (said(Phase.RCPT, "550 5.1.1 User unknown", after_dot=True), ROW_14_REFUSED),
    (said(Phase.RCPT, "450 4.2.0 later", after_dot=True), ROW_14_DEFERRED),
    (said(Phase.RCPT, "452 4.5.3 Too many recipients", after_dot=True, accepted_before=1), ROW_13),
    (said(Phase.RCPT, "503 5.5.1 need MAIL", after_dot=True), ROW_12),
    (said(Phase.DATA, "554 5.5.1 No valid recipients", after_dot=True), ROW_16),
    (said(Phase.CONTENT, "451 4.3.0 later", after_dot=True), ROW_15),
    # A transaction that was void and whose content was answered 250; a RSET that was not taken
    (happened(Phase.CONTENT, Cause.UNDUE, after_dot=True, reused_first_reply=True), ROW_1),
    (said(Phase.RSET, "502 what", after_dot=True, reused_first_reply=True), ROW_1),
    *(
        (happened(phase, cause, after_dot=True, reused_first_reply=reused), ROW_1)
        for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT)
        for cause in (Cause.LOST, Cause.TIMEOUT, Cause.MALFORMED, Cause.UNDUE)
        for reused in (False, True)
    ),
    (said(Phase.MAIL, "354 what", after_dot=True), ROW_1),
    # Written not at all: nothing of it can have arrived
    (happened(Phase.MAIL, Cause.LOST, reused_first_reply=True), ROW_2),
    (happened(Phase.CONTENT, Cause.STALE), ROW_17),
]


@pytest.mark.parametrize(("case", "expected"), WINDOW)
def test_in_a_window_a_definite_refusal_stands_and_all_else_is_in_doubt(case, expected):
    assert columns(judge(case)) == expected


@pytest.mark.parametrize(("case", "expected"), TABLE)
def test_each_row_of_the_table_judges_its_cases(case, expected):
    assert columns(judge(case)) == expected


FAULTS = [
    # U22: refused credentials, their hints, and sign-ins that may work later
    ("u22", said(Phase.AUTH, "535 5.7.8 Bad credentials"), ROW_8),
    ("u22", said(Phase.AUTH, "534 5.7.9 Application-specific password required"), ROW_8),
    ("u22", said(Phase.AUTH, "538 5.7.11 Encryption required"), ROW_8),
    ("u22", said(Phase.AUTH, "454 4.7.0 Temporary authentication failure"), ROW_7),
    # U24: MAIL, where the design decides
    ("u24", said(Phase.MAIL, "450 4.3.2 later"), ROW_15),
    ("u24", said(Phase.MAIL, "550 5.1.0 sender refused"), ROW_11),
    ("u24", said(Phase.MAIL, "530 5.7.0 Authentication required"), ROW_10),
    ("u24", said(Phase.MAIL, "552 5.3.4 too big"), ROW_9),
    ("u24", said(Phase.MAIL, "555 5.5.4 parameter"), ROW_9),
    # U26: recipients one by one
    ("u26", said(Phase.RCPT, "450 4.2.0 later"), ROW_14_DEFERRED),
    ("u26", said(Phase.RCPT, "550 5.1.1 unknown"), ROW_14_REFUSED),
    ("u26", said(Phase.RCPT, "452 4.5.3 too many", accepted_before=1), ROW_13),
    ("u26", said(Phase.RCPT, "421 4.3.2 closing", accepted_before=1), ROW_3),
    # U30: a definite answer to the end of data is no doubt
    ("u30", said(Phase.CONTENT, "451 4.3.0 later", after_dot=True), ROW_15),
    ("u30", said(Phase.CONTENT, "421 4.3.2 closing", after_dot=True), ROW_3),
    ("u30", said(Phase.CONTENT, "554 5.6.0 no", after_dot=True), ROW_16),
]


@pytest.mark.parametrize(
    ("case", "expected"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
def test_u22_u24_u26_u30_end_as_the_catalogue_says(case, expected):
    assert columns(judge(case)) == expected


def test_u22_too_many_logins_pause_a_quarter_of_an_hour_at_least():
    def pause(text: str) -> tuple[float | None, float]:
        judgement = judge(said(Phase.AUTH, f"454 4.7.0 {text}"))
        return judgement.throttle_for, judgement.throttle_least

    assert pause("Too many login attempts") == (None, 900)
    assert pause("Too many login attempts, wait 60 seconds") == (900, 900)
    assert pause("Too many login attempts, wait 1 hour") == (3600, 900)


@pytest.mark.parametrize(
    ("line", "named", "least"),
    [
        ("550 5.4.5 Daily user sending limit exceeded", None, 3600),
        ("454 Throttling failure: Maximum sending rate exceeded.", None, 60),
        ("421 4.7.1 Hourly limit exceeded", None, 3600),
        ("550 User has exceeded its 24-hour sending limit. Relay quota will reset in 2.5 hours.", 9000, 3600),
        ("450 4.3.2 later", None, 0),
    ],
)
def test_a_limit_of_the_account_says_how_long_its_throttle_lasts(line, named, least):
    judgement = judge(said(Phase.MAIL, line))
    assert (judgement.throttle_for, judgement.throttle_least) == (named, least)


@pytest.mark.parametrize(
    ("phase", "row", "scope"),
    [
        (Phase.RCPT, 14, RECIPIENT),
        (Phase.MAIL, 15, MESSAGE),
        (Phase.DATA, 15, MESSAGE),
        (Phase.CONTENT, 15, MESSAGE),
    ],
)
def test_u27_a_greylist_is_told_as_such_and_its_time_kept(phase, row, scope):
    judgement = judge(said(phase, "451 4.7.1 Greylisted, come back in 300 seconds"))
    assert (judgement.row, judgement.scope, judgement.delivery) == (row, scope, DEFERRED)
    assert (judgement.why, judgement.retry_after, judgement.counted) == (Why.GREYLISTED, 300, True)


@pytest.mark.parametrize(
    ("line", "seconds"),
    [("421 4.7.0 try again in 15 minutes", 900), ("421 4.3.2 closing", None)],
)
def test_a_throttle_lasts_what_the_reply_names(line, seconds):
    assert judge(said(Phase.MAIL, line)).throttle_for == seconds


@pytest.mark.parametrize(
    ("case", "why"),
    [
        (happened(Phase.CONNECT, Cause.NOT_PERMITTED), Why.NOT_PERMITTED),
        (happened(Phase.MAIL, Cause.TOO_LARGE), Why.TOO_LARGE),
        (said(Phase.MAIL, "552 5.3.4 too big"), Why.TOO_LARGE),
        (said(Phase.MAIL, "555 5.5.4 no such parameter"), Why.PARAMETER_REFUSED),
        (said(Phase.MAIL, "554 5.6.3 no conversion"), Why.CONTENT_KIND_REFUSED),
        (said(Phase.MAIL, "553 5.6.7 ASCII only"), Why.SMTPUTF8_MISSING),
        (said(Phase.MAIL, "550 no bounces", null_reverse_path=True), Why.NULL_REVERSE_PATH_REFUSED),
        (happened(Phase.CONTENT, Cause.STALE), Why.STAGE_REFUSED),
        (happened(Phase.CONTENT, Cause.DIED), Why.COURIER_DIED),
        (happened(Phase.CONTENT, Cause.BARE_LINE_ENDING), Why.BARE_LINE_ENDING),
        (happened(Phase.DATA, Cause.BDAT_REFUSED), Why.MANNER_REFUSED),
        (said(Phase.MAIL, "451 Mails per session limit exceeded"), Why.SESSION_SPENT),
        (said(Phase.RCPT, "450 4.2.0 later"), Why.RECIPIENT_DEFERRED),
    ],
)
def test_a_judgement_says_why(case, why):
    assert judge(case).why is why


TEXTS = [
    "",
    "5.1.1 User unknown",
    "4.2.2 over quota",
    "5.2.2 mailbox full",
    "4.5.3 too many recipients",
    "5.5.3 too many recipients",
    "too many recipients",
    "5.3.4 size",
    "5.6.7 ASCII only",
    "5.6.3 no conversion",
    "5.4.5 Daily limit",
    "5.2.0 STOREDRV",
    "4.7.0 Too many login attempts",
    "Mails per session limit exceeded",
    "4.7.1 Greylisted, try again in 60 seconds",
    "5.5.1 bad sequence of commands",
    "Rate limit exceeded, try again in 15 minutes",
    "5.7.30 Basic authentication is not supported",
    "5.7.57 not authenticated",
    "5.7.60 send as",
    "Relay access denied",
    "Client host rejected: Access denied",
    "192.0.2.1 is not on our allow list",
    "Sender address rejected: not owned by user",
    "Authentication required",
    "Must issue a STARTTLS command first",
    "wait 30 seconds",
    "\x1b[31m é",
]
VALUES = {
    "after_dot": (False, True),
    "reused_first_reply": (False, True),
    "accepted_before": (0, 1),
    "recipient_domains_refused_running": (1, 2),
    "null_reverse_path": (False, True),
    "has_been_retried_on_new_session": (False, True),
    "sender_needs_smtputf8": (False, True),
}


def flags(*places: int) -> dict:
    chosen = {name: VALUES[name][place] for name, place in zip(VALUES, places, strict=True)}
    return chosen | {"broken_running": 1 + chosen["recipient_domains_refused_running"]}


ALL = [flags(*places) for places in product((0, 1), repeat=7)]
# In these any two flags, or any three, meet with each of their values (orthogonal arrays).
PAIRS = [flags(a, b, c, a ^ b, a ^ c, b ^ c, a ^ b ^ c) for a, b, c in product((0, 1), repeat=3)]
TRIPLES = [flags(a, b, c, d, a ^ b ^ c, a ^ b ^ d, a ^ c ^ d) for a, b, c, d in product((0, 1), repeat=4)]
CODES = [200, 250, 354, 421, 432, 450, 451, 452, 454, 500, 503, 521, 530, 535, 550, 552, 553, 554, 555, 599]


def troubles() -> Iterator[tuple[Trouble, list]]:
    for phase in Phase:
        for cause in Cause:
            if cause is not Cause.REPLY:
                yield Trouble(phase, cause), ALL
        yield Trouble(phase, Cause.REPLY, Reply(550, "")), ALL
        for code in range(200, 600):
            yield Trouble(phase, Cause.REPLY, Reply(code, "")), [PAIRS[0], PAIRS[-1]]
        for code, text in product(CODES, TEXTS):
            yield Trouble(phase, Cause.REPLY, Reply(code, text)), PAIRS
        for text in TEXTS:
            yield Trouble(phase, Cause.REPLY, Reply(550, text)), TRIPLES


@pytest.fixture(scope="module")
def judged() -> list[tuple[Case, Judgement]]:
    """Every phase, cause, code and known text, with the flags: over a hundred thousand cases."""
    return [
        (case, judge(case))
        for trouble, flags in troubles()
        for case in (Case(trouble, **chosen) for chosen in flags)
    ]


def definite(case: Case) -> bool:
    reply = case.trouble.reply
    if case.trouble.cause is Cause.BDAT_REFUSED:
        return True
    if case.trouble.cause is not Cause.REPLY or reply is None:
        return False
    return reply.code == 421 if case.trouble.phase is Phase.RSET else reply.code >= 400


def settled(case: Case) -> bool:
    rset = case.trouble.phase is Phase.RSET and not case.reused_first_reply
    return case.trouble.phase is Phase.QUIT or rset


def test_every_row_is_reached_and_no_case_is_without_one(judged):
    assert {judgement.row for _, judgement in judged} == set(range(19))
    assert len(judged) > 100_000


def test_a_connections_fault_never_refuses_mail_and_is_counted_only_when_a_dialogue_broke(judged):
    for case, judgement in judged:
        if judgement.scope is CONNECTION:
            assert judgement.delivery is DEFERRED, case
            assert judgement.counted == (judgement.row == 12), case
            assert judgement.connection is not None, case


def test_a_message_or_recipient_fault_never_touches_the_connections_health(judged):
    for case, judgement in judged:
        if judgement.scope in {MESSAGE, RECIPIENT} and judgement.row != 1:
            assert judgement.connection is None, case
        if judgement.scope is NONE:
            assert (judgement.connection, judgement.counted) == (None, False), case


def test_only_a_permanent_answer_or_what_is_impossible_here_refuses(judged):
    local = {Cause.TOO_LARGE, Cause.SMTPUTF8_NOT_OFFERED, Cause.BARE_LINE_ENDING}
    for case, judgement in judged:
        if judgement.delivery is REFUSED:
            reply = case.trouble.reply
            permanent = reply is not None and reply.permanent
            assert permanent or case.trouble.cause in local, case
            assert case.trouble.phase not in {Phase.GREETING, Phase.EHLO, Phase.AUTH} or not permanent, case


def test_without_a_definite_answer_after_the_end_of_data_all_is_in_doubt(judged):
    for case, judgement in judged:
        doubt = case.after_dot and not definite(case) and not settled(case)
        assert (judgement.delivery is IN_DOUBT) == doubt, case
        if doubt:
            assert judgement.session is CLOSE, case


def test_mail_is_offered_again_at_once_only_where_the_server_did_not_take_it_for_another_reason_than_the_mail(
    judged,
):
    for case, judgement in judged:
        if judgement.delivery is Fate.AT_ONCE_NEW_SESSION:
            refused = judgement.row == 18 or judgement.why is Why.SESSION_SPENT
            assert case.reused_first_reply or refused, case
            assert not case.has_been_retried_on_new_session, case
        if judgement.delivery is Fate.AT_ONCE_NEXT_TRANSACTION:
            assert case.accepted_before > 0, case


def test_a_broken_dialogue_ends_its_session(judged):
    broken = {Cause.LOST, Cause.TIMEOUT, Cause.MALFORMED, Cause.UNDUE, Cause.DIED}
    broken |= {Cause.BDAT_REFUSED, Cause.BARE_LINE_ENDING}
    for case, judgement in judged:
        if case.trouble.cause in broken:
            assert judgement.session is CLOSE, case


def test_only_a_throttle_has_a_time_and_what_was_settled_stays(judged):
    for case, judgement in judged:
        if judgement.throttle_for is not None:
            assert judgement.connection is THROTTLE, case
            assert 1 <= judgement.throttle_for <= waiting.LONGEST_DELAY, case
        if judgement.throttle_least:
            assert judgement.connection is THROTTLE, case
        if judgement.retry_after is not None:
            assert (judgement.delivery, judgement.row in {14, 15}) == (DEFERRED, True), case
        assert (judgement.delivery is Fate.SETTLED) == settled(case), case


def test_a_transient_answer_never_locks_a_connection(judged):
    for case, judgement in judged:
        if case.trouble.reply is not None and not case.trouble.reply.permanent:
            assert judgement.connection is not LOCK, case


def test_the_judgement_does_not_depend_on_facts_made_for_people():
    case = said(Phase.MAIL, "550 5.1.8 no")
    told = replace(case, trouble=replace(case.trouble, facts={"host": "smtp.example.org"}))
    assert judge(told) == judge(case)
