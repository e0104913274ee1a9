"""The failure table: whom a failure blames, and what becomes of delivery, connection and session (L7).

The policy. Every failure has two coordinates.

*Permanence* is what the server said of trying again: 4yz not now, 5yz not ever as it is (RFC 5321 §4.2.1).

*Scope* is whom it blames. A recipient is judged alone. A message's fault concerns all its recipients and
nobody else's mail. A connection's fault (its server, its credentials, its certificate, its sender, its
limits) concerns everything that would leave through it, and says nothing about the mail.

What follows from the two. A connection's fault never refuses mail: the delivery waits, its attempt is not
counted, and the connection is throttled (it may heal by itself) or locked (a person must act). A message's or
a recipient's fault never touches the connection's health: permanent means refused, transient means deferred
and counted. Three exceptions, each with its reason: a broken dialogue counts although it is the connection's,
since a message that breaks sessions must not loop; a 5yz to MAIL is the connection's, since the reverse-path
is always its own sender; what happened after the end of data without a definite answer is in doubt, whatever
it was, since the mail may have arrived (RFC 1047).

`judge` promises an answer for every `Case`; the first row that matches wins. Rows are numbered as in the
design's table; two are ours. Row 17: what stopped on our side before the end of data blames nobody. Row 18:
a server that announces CHUNKING and refuses BDAT (RFC 3030) is tried once more, at once, on a new session and
in the manner that it does take. Both are asked where row 12 would otherwise count a broken dialogue.
Acceptance is not a case.

A law goes before a row: a null reverse-path refused with an access reply, such as 530, is row 10 and not 9,
and the connection's own sender in need of an absent SMTPUTF8 is row 11 and not 9. A server that lost the
thread (503, and 500 or 502 that say so) judged neither mail nor recipient: row 12, wherever it says it. A
session that may carry no more messages is over as much as one that was closed: row 2, whatever its code.

In a window the content is written before the replies to MAIL and RCPT are read, so `after_dot` may come with
any phase. A definite refusal read in its place stands: MAIL refused voids the transaction, a refused
recipient got nothing. Everything else is in doubt.
"""

from __future__ import annotations

from dataclasses import replace

from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording
from vaguemestre.policy.judgement import Case, Fate, HealthChange, Judgement, Scope, SessionFate, Why
from vaguemestre.policy.unopened import (
    why_kept_out,
    why_not_signed_in,
    why_not_yet_signed_in,
    why_unreached,
    why_unsecured,
)
from vaguemestre.policy.waiting import LOGINS_PAUSE, least_pause, named_delay
from vaguemestre.policy.wording import Access

__all__ = ["Case", "Fate", "HealthChange", "Judgement", "Scope", "SessionFate", "Why", "judge", "named_delay"]

BROKEN_RUNNING = 3  # dialogues broken one after the other, until the connection is throttled
DOMAINS_RUNNING = 2  # recipient domains refused access one after the other, until it blames the connection

_TRANSACTION = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.CONTENT})
_REACHING = frozenset({Phase.RESOLVE, Phase.CONNECT, Phase.GREETING, Phase.EHLO})
_SECURING = frozenset({Phase.TLS, Phase.STARTTLS})
_UNREACHED = frozenset(
    {
        Cause.HOST_UNKNOWN,
        Cause.LOOKUP_FAILED,
        Cause.NOT_PERMITTED,
        Cause.CONNECTION_REFUSED,
        Cause.UNREACHABLE,
        Cause.SOURCE_ADDRESS,
        Cause.NOT_SMTP,
    }
)
_UNSECURED = frozenset(
    {
        Cause.TLS_FAILED,
        Cause.TLS_NOT_SPOKEN,
        Cause.TLS_EXPECTED,
        Cause.TLS_TOO_OLD,
        Cause.CERTIFICATE_EXPIRED,
        Cause.CERTIFICATE_NOT_YET_VALID,
        Cause.CERTIFICATE_NAME,
        Cause.CERTIFICATE_AUTHORITY,
        Cause.CERTIFICATE_SELF_SIGNED,
        Cause.CERTIFICATE_OTHER,
    }
)
_NO_SIGN_IN = frozenset({Cause.NOT_OFFERED, Cause.NO_MECHANISM, Cause.NOT_PERMITTED, Cause.NO_TOKEN})


def judge(case: Case) -> Judgement:
    """Whom the failure blames and what follows: the first row that matches, for every case."""
    # Rows 17 and 18 precede those that would blame somebody; row 16 takes whatever is left.
    return (
        _row_0_settled(case)
        or _row_1_in_doubt(case)
        or _row_17_ours(case)
        or _row_18_manner(case)
        or _row_2_session_was_over(case)
        or _row_3_service_closing(case)
        or _row_4_limit_reached(case)
        or _row_5_unreached(case)
        or _row_6_encryption(case)
        or _rows_7_and_8_sign_in(case)
        or _row_9_message_impossible(case)
        or _row_10_access(case)
        or _row_11_own_sender(case)
        or _row_12_broken(case)
        or _row_13_too_many_recipients(case)
        or _row_14_recipient(case)
        or _rows_15_and_16_message(case)
    )


def _row_0_settled(case: Case) -> Judgement | None:
    after = case.trouble.phase is Phase.QUIT or (case.trouble.phase is Phase.RSET and not _opening(case))
    if not after:
        return None
    return _of_nobody(0, Fate.SETTLED, Why.ALREADY_SETTLED)


def _row_1_in_doubt(case: Case) -> Judgement | None:
    # A definite negative answer, 421 too, means not accepted; anything else after the dot may mean arrived.
    # A refused RSET says nothing of the content written behind it.
    definite = _code(case) == 421 if _opening(case) else _negative(case) is not None
    if not case.after_dot or definite or case.trouble.cause is Cause.BDAT_REFUSED:
        return None
    return Judgement(
        1,
        Scope.MESSAGE,
        Fate.IN_DOUBT,
        counted=False,
        connection=HealthChange.NOTE,
        session=SessionFate.CLOSE,
        throttle_for=None,
        why=Why.NO_ANSWER_TO_CONTENT,
    )


def _row_17_ours(case: Case) -> Judgement | None:
    if case.trouble.cause is Cause.STALE:
        # After 354 whoever wrote it has closed the session without the dot (L3). BDAT can be reset instead: a
        # change of routing, which refuses many stages, is no reason to sign in anew for each.
        return _of_nobody(17, Fate.DEFERRED, Why.STAGE_REFUSED, SessionFate.RSET)
    if case.trouble.cause is Cause.DIED:
        return _of_nobody(17, Fate.DEFERRED, Why.COURIER_DIED)
    return None


def _row_18_manner(case: Case) -> Judgement | None:
    # Retried already, it is a dialogue that breaks: row 12.
    if case.trouble.cause is not Cause.BDAT_REFUSED or case.has_been_retried_on_new_session:
        return None
    return _of_nobody(18, Fate.AT_ONCE_NEW_SESSION, Why.MANNER_REFUSED)


def _row_2_session_was_over(case: Case) -> Judgement | None:
    if case.has_been_retried_on_new_session:
        return None
    trouble, reply = case.trouble, _negative(case)
    if trouble.phase in _TRANSACTION and reply is not None and wording.session_spent(reply):
        return _of_nobody(2, Fate.AT_ONCE_NEW_SESSION, Why.SESSION_SPENT)
    over = case.reused_first_reply and (trouble.cause is Cause.LOST or _code(case) == 421)
    # A RSET that fails is no fault of the mail behind it: that mail has not been offered yet.
    if _opening(case) or (over and trouble.phase in _TRANSACTION):
        return _of_nobody(2, Fate.AT_ONCE_NEW_SESSION, Why.SESSION_WAS_OVER)
    return None


def _row_3_service_closing(case: Case) -> Judgement | None:
    return _throttled(3, case, Why.SERVICE_CLOSING) if _code(case) == 421 else None


def _row_4_limit_reached(case: Case) -> Judgement | None:
    reply = _negative(case)
    if reply is None or not wording.limit_reached(reply):
        return None
    # Before a transaction there is nothing to reset: the session did not get so far.
    session = SessionFate.RSET if case.trouble.phase in _TRANSACTION else SessionFate.CLOSE
    return _throttled(4, case, Why.LIMIT_REACHED, session)


def _row_5_unreached(case: Case) -> Judgement | None:
    trouble = case.trouble
    at_auth = trouble.phase is Phase.AUTH  # what we do not permit there is to sign in without encryption
    if trouble.phase not in _REACHING and (at_auth or trouble.cause not in _UNREACHED):
        return None
    return _throttled(5, case, why_unreached(trouble))


def _row_6_encryption(case: Case) -> Judgement | None:
    secured = case.trouble.phase not in _SECURING and case.trouble.cause not in _UNSECURED
    return None if secured else _throttled(6, case, why_unsecured(case.trouble))


def _rows_7_and_8_sign_in(case: Case) -> Judgement | None:
    trouble = case.trouble
    reply = _negative(case)
    refused = trouble.phase is Phase.AUTH and reply is not None and reply.permanent
    if refused or trouble.cause in _NO_SIGN_IN:
        return _of_connection(8, HealthChange.LOCK, why_not_signed_in(trouble, reply))
    if trouble.phase is not Phase.AUTH:
        return None
    return _throttled(7, case, why_not_yet_signed_in(trouble))


def _row_9_message_impossible(case: Case) -> Judgement | None:
    why = _impossible_here(case.trouble.cause) or _impossible_there(case)
    if why is None or _needs_it_itself(case, why):
        return None
    if why is Why.SMTPUTF8_MISSING and case.trouble.phase is Phase.RCPT:
        return _of_recipient(9, Fate.REFUSED, why)
    judgement = _of_message(9, Fate.REFUSED, why)
    # Its content was broken off in the middle: nothing else can be said on that session.
    return replace(judgement, session=SessionFate.CLOSE) if why is Why.BARE_LINE_ENDING else judgement


def _impossible_here(cause: Cause) -> Why | None:
    return {
        Cause.TOO_LARGE: Why.TOO_LARGE,
        Cause.SMTPUTF8_NOT_OFFERED: Why.SMTPUTF8_MISSING,
        Cause.BARE_LINE_ENDING: Why.BARE_LINE_ENDING,
    }.get(cause)


def _impossible_there(case: Case) -> Why | None:
    reply = _negative(case)
    if case.trouble.phase is not Phase.MAIL or reply is None or not reply.permanent:
        return None
    status = wording.detail(reply) or (0, 0)
    if reply.code == 552 or status == (3, 4):
        return Why.TOO_LARGE
    if status[0] == 6:
        return Why.SMTPUTF8_MISSING if status in wording.BEYOND_ASCII else Why.CONTENT_KIND_REFUSED
    if reply.code == 555:
        return Why.PARAMETER_REFUSED
    kept_out = wording.not_understood(reply) or _access(case) is not None
    return Why.NULL_REVERSE_PATH_REFUSED if case.null_reverse_path and not kept_out else None


def _needs_it_itself(case: Case, why: Why) -> bool:
    """Whether what is missing is needed by the connection's own sender: no fault of the mail then."""
    return why is Why.SMTPUTF8_MISSING and case.sender_needs_smtputf8 and not case.null_reverse_path


def _row_10_access(case: Case) -> Judgement | None:
    access = _access(case)
    if case.trouble.phase not in _TRANSACTION or access is None:
        return None
    one_domain = case.recipient_domains_refused_running < DOMAINS_RUNNING
    if case.trouble.phase is Phase.RCPT and one_domain:
        return _of_recipient(10, Fate.DEFERRED, Why.ACCESS_DENIED_ONCE)
    reply = _negative(case)
    if reply is not None and reply.transient:
        return _throttled(10, case, why_kept_out(access))
    return _of_connection(10, HealthChange.LOCK, why_kept_out(access))


def _row_11_own_sender(case: Case) -> Judgement | None:
    reply = _negative(case)
    refused = case.trouble.phase is Phase.MAIL and reply is not None and reply.permanent
    if not (refused and not _thread_lost(case)) and case.trouble.cause is not Cause.SMTPUTF8_NOT_OFFERED:
        return None
    return _of_connection(11, HealthChange.LOCK, Why.SENDER_REFUSED, session=SessionFate.RSET)


def _row_12_broken(case: Case) -> Judgement | None:
    definite = _negative(case) is not None
    if definite and not _opening(case) and not _thread_lost(case):
        return None
    running = case.broken_running >= BROKEN_RUNNING
    change = HealthChange.THROTTLE if running else HealthChange.NOTE
    return _of_connection(12, change, Why.DIALOGUE_BROKEN, counted=True)


def _row_13_too_many_recipients(case: Case) -> Judgement | None:
    reply = _negative(case)
    if case.trouble.phase is not Phase.RCPT or reply is None or case.accepted_before == 0:
        return None
    if reply.code not in {452, 552} or wording.detail(reply) not in {None, (5, 3)}:
        return None
    return _of_recipient(13, Fate.AT_ONCE_NEXT_TRANSACTION, Why.TOO_MANY_RECIPIENTS)


def _row_14_recipient(case: Case) -> Judgement | None:
    reply = _negative(case)
    if case.trouble.phase is not Phase.RCPT or reply is None:
        return None
    if reply.permanent:
        return _of_recipient(14, Fate.REFUSED, Why.RECIPIENT_REFUSED)
    return _put_off(_of_recipient(14, Fate.DEFERRED, Why.RECIPIENT_DEFERRED), reply)


def _rows_15_and_16_message(case: Case) -> Judgement:
    reply = _negative(case)
    if reply is not None and reply.permanent:
        return _of_message(16, Fate.REFUSED, Why.MESSAGE_REFUSED)
    return _put_off(_of_message(15, Fate.DEFERRED, Why.MESSAGE_DEFERRED), reply)


def _put_off(judgement: Judgement, reply: Reply | None) -> Judgement:
    """Why and until when, in the server's words."""
    if reply is None:
        return judgement
    why = Why.GREYLISTED if wording.greylisted(reply) else judgement.why
    return replace(judgement, why=why, retry_after=named_delay(reply.text))


def _opening(case: Case) -> bool:
    """Whether a RSET failed in front of a transaction, rather than behind a settled one."""
    return case.trouble.phase is Phase.RSET and case.reused_first_reply


def _negative(case: Case) -> Reply | None:
    """The server's answer, if it is the fault and a definite no (4yz, 5yz)."""
    trouble = case.trouble
    if trouble.cause is not Cause.REPLY or trouble.reply is None:
        return None
    return trouble.reply if trouble.reply.transient or trouble.reply.permanent else None


def _code(case: Case) -> int:
    reply = _negative(case)
    return 0 if reply is None else reply.code


def _thread_lost(case: Case) -> bool:
    """Whether the server answered out of order; what it says of a whole content is about the content."""
    reply = _negative(case)
    if reply is None or not wording.not_understood(reply):
        return False
    return reply.code == 503 and not case.after_dot if case.trouble.phase is Phase.CONTENT else True


def _access(case: Case) -> Access | None:
    reply = _negative(case)
    found = None if reply is None else wording.access(reply)
    if found is not Access.SENDER or reply is None:
        return found
    # A refused sender is row 11 at MAIL; later it can only be told from the text. A null one is nobody's.
    at_mail = case.trouble.phase is Phase.MAIL and wording.detail(reply) != (7, 60)
    return None if at_mail or case.null_reverse_path else found


def _of_nobody(row: int, delivery: Fate, why: Why, session: SessionFate = SessionFate.CLOSE) -> Judgement:
    return Judgement(
        row,
        Scope.NONE,
        delivery,
        counted=False,
        connection=None,
        session=session,
        throttle_for=None,
        why=why,
    )


def _of_connection(  # noqa: PLR0913  the columns of the table
    row: int,
    change: HealthChange,
    why: Why,
    *,
    counted: bool = False,
    session: SessionFate = SessionFate.CLOSE,
    throttle_for: float | None = None,
    throttle_least: float = 0.0,
) -> Judgement:
    return Judgement(
        row, Scope.CONNECTION, Fate.DEFERRED, counted, change, session, throttle_for, why, throttle_least
    )


def _throttled(row: int, case: Case, why: Why, session: SessionFate = SessionFate.CLOSE) -> Judgement:
    reply, named, least = _negative(case), None, 0.0
    if reply is not None:
        named, least = named_delay(reply.text), least_pause(reply)
        if named is not None and wording.too_many_logins(reply):
            named = max(named, LOGINS_PAUSE)
    return _of_connection(
        row, HealthChange.THROTTLE, why, session=session, throttle_for=named, throttle_least=least
    )


def _of_message(row: int, delivery: Fate, why: Why) -> Judgement:
    counted = delivery is Fate.DEFERRED
    return Judgement(row, Scope.MESSAGE, delivery, counted, None, SessionFate.RSET, None, why)


def _of_recipient(row: int, delivery: Fate, why: Why) -> Judgement:
    counted = delivery is Fate.DEFERRED
    return Judgement(row, Scope.RECIPIENT, delivery, counted, None, SessionFate.KEEP, None, why)
