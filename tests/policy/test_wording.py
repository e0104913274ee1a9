"""What servers' texts mean, by texts of servers in use."""

from __future__ import annotations

import pytest

from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording
from vaguemestre.policy.wording import Access


def reply(line: str) -> Reply:
    return Reply(int(line[:3]), line[4:])


ACCOUNT_LIMITS = [
    "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending",
    "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message",
    "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    "550 5.7.233 Your message can't be sent because your tenant exceeded its tenant external recipient rate limit",
    "550 5.4.5 Daily SMTP relay limit exceeded for user",
    "550 5.4.5 Daily user sending limit exceeded.",
    "450 4.2.1 Peak SMTP relay limit exceeded for customer",
    "550 5.7.1 Daily SMTP relay limit exceeded for customer",
    "450 Mail send limit exceeded",
    "454 Throttling failure: Maximum sending rate exceeded.",
    "454 Throttling failure: Daily message quota exceeded.",
    "454 4.7.0 Too many login attempts, please try again later.",
    "450 4.7.1 Error: too much mail from 192.0.2.4",
    "450 4.7.1 Error: too many recipients from 192.0.2.4",
    "451 Authentication failed: Maximum credits exceeded",
    "451 4.7.650 The mail server [192.0.2.4] has been temporarily rate limited due to IP reputation",
    "550 Domain example.org has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
    "451 4.7.1 Rate limit exceeded, try again in 15 minutes",
    "550 5.7.1 Daily quota reached",
    "452 4.3.2 Too many connections from your host",
]
NO_LIMITS_OF_THE_ACCOUNT = [
    "452 4.2.2 The email account that you tried to reach is over quota",
    "552 5.2.2 Mailbox quota exceeded",
    "554 5.2.2 mailbox full",
    "452 Requested action not taken: user over quota",
    "552 Quota exceeded (mailbox for user is full)",
    "450 4.2.1 The user you are trying to contact is receiving mail too quickly",
    "452 4.5.3 Too many recipients",
    "452 Too many recipients",
    "552 5.3.4 Message size exceeds fixed limit",
    "552 Message size limit exceeded",
    "554 5.6.0 Header limit exceeded",
    "554 5.4.6 Too many hops",
    "451 4.7.1 Greylisted, please try again in 60 seconds",
    "432 4.7.12 A password transition is needed",
    "550 5.1.1 User unknown",
    "550 5.7.1 Message rejected as spam",
    "451 4.3.0 Temporary lookup failure",
    "250 2.0.0 Ok: your daily limit is 100 messages",
    "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
]


@pytest.mark.parametrize("line", ACCOUNT_LIMITS)
def test_a_limit_of_the_account_is_known_by_its_words(line):
    assert wording.limit_reached(reply(line))


@pytest.mark.parametrize("line", NO_LIMITS_OF_THE_ACCOUNT)
def test_a_recipients_or_a_messages_limit_is_none_of_the_account(line):
    assert not wording.limit_reached(reply(line))


@pytest.mark.parametrize(
    ("line", "connections", "logins"),
    [
        ("432 4.3.2 Concurrent connections limit exceeded", True, False),
        ("454 4.7.0 Too many connections", True, False),
        ("454 4.7.0 Too many login attempts", False, True),
        ("450 Mail send limit exceeded", False, False),
        ("450 4.5.3 Too many recipients", False, False),
    ],
)
def test_the_kind_of_limit_is_told(line, connections, logins):
    answer = reply(line)
    assert (wording.too_many_connections(answer), wording.too_many_logins(answer)) == (connections, logins)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("452 4.5.3 Error: too many recipients", True),
        ("550 5.5.3 anything", True),
        ("452 too many recipients", True),
        ("452 too many recipients per hour", False),
        ("452 4.5.3 Daily message limit exceeded", False),
        ("450 4.7.1 too many recipients", False),
        ("452 4.2.2 over quota", False),
    ],
)
def test_too_many_recipients_of_one_transaction_is_no_quota(line, expected):
    assert wording.too_many_recipients(reply(line)) is expected


@pytest.mark.parametrize(
    ("line", "spent"),
    [
        # IONOS, by contao-notification_center#226 and engelsystem#1107
        ("451 Requested action aborted\nMails per session limit exceeded", True),
        ("451 Requested action aborted\nMails per session limit", True),
        ("421 too many messages in this connection", True),
        ("452 4.5.3 Too many messages for a single session", True),
        ("452 4.5.3 Too many recipients", False),
        ("451 4.7.1 Too many messages, slow down", False),
        ("421 4.3.2 Too many connections", False),
        ("250 2.0.0 Mails per session: 100", False),
    ],
)
def test_u33_a_session_that_may_carry_no_more_says_so(line, spent):
    assert wording.session_spent(reply(line)) is spent


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("503 5.5.1 Nested MAIL command", True),
        ("503 anything", True),
        ("500 5.5.2 Error: bad syntax", True),
        ("502 5.5.1 Unrecognized command", True),
        ("500 Command not recognized", True),
        ("502 Not implemented", True),
        ("500 ", True),
        ("500 5.1.1 User unknown", False),
        ("500 No such user here", False),
        ("501 5.5.4 Syntax error in parameters", False),
        ("550 5.5.1 Protocol error", False),
    ],
)
def test_a_server_that_lost_the_thread_judges_nothing(line, lost):
    assert wording.not_understood(reply(line)) is lost


@pytest.mark.parametrize(
    ("line", "grey"),
    [
        (
            "450 4.2.0 <a@example.org>: Recipient address rejected: Greylisted, see http://postgrey.invalid",
            True,
        ),
        ("451 4.7.1 Greylisting in action, please come back in 00:05:00", True),
        ("451 4.7.1 Graylisted for 5 minutes", True),
        ("450 4.7.1 Please try again later", False),
        ("550 5.7.1 Greylisted for ever", False),
    ],
)
def test_u27_a_greylist_is_known_by_its_name(line, grey):
    assert wording.greylisted(reply(line)) is grey


@pytest.mark.parametrize(
    ("line", "access"),
    [
        ("530 5.7.0 Authentication Required", Access.AUTHENTICATION_REQUIRED),
        ("530 go away", Access.AUTHENTICATION_REQUIRED),
        ("530 5.7.57 Client not authenticated to send mail.", Access.AUTHENTICATION_REQUIRED),
        ("550 5.7.1 Authentication required", Access.AUTHENTICATION_REQUIRED),
        ("503 5.5.4 Error: send AUTH command first", Access.AUTHENTICATION_REQUIRED),
        ("530 5.7.0 Must issue a STARTTLS command first", Access.ENCRYPTION_REQUIRED),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", Access.PASSWORD_OFF),
        (
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            Access.SENDER,
        ),
        ("554 5.2.252 SendAsDenied; a@example.org not allowed to send as b@example.org", Access.SENDER),
        ("553 5.7.1 <a@example.org>: Sender address rejected: not owned by user b", Access.SENDER),
        ("554 5.7.1 <a@example.org>: Relay access denied", Access.RELAY_DENIED),
        ("454 4.7.1 Relay access denied", Access.RELAY_DENIED),
        ("550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", Access.RELAY_DENIED),
        ("550 relay not permitted", Access.RELAY_DENIED),
        ("550 5.7.1 Relaying denied", Access.RELAY_DENIED),
        (
            "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied",
            Access.ADDRESS_NOT_LISTED,
        ),
        (
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list",
            Access.ADDRESS_NOT_LISTED,
        ),
        ("525 5.7.1 Unauthorized IP address", Access.ADDRESS_NOT_LISTED),
        ("550 5.7.1 Your IP 192.0.2.1 is not authorized to send", Access.ADDRESS_NOT_LISTED),
        ("550 5.7.1 192.0.2.1 is not on our allow list", Access.ADDRESS_NOT_LISTED),
        ("550-5.7.1 Invalid credentials for relay [192.0.2.1].", Access.ADDRESS_NOT_LISTED),
        ("550 5.7.1 Sender is not authorized to send to this group", None),
        ("550 5.1.1 User unknown", None),
        ("550 5.7.1 Message rejected as spam", None),
        ("451 4.7.1 Greylisted", None),
        ("250 2.0.0 no relay was needed, authentication required next time", None),
    ],
)
def test_a_refusal_of_access_is_known_by_status_or_words(line, access):
    assert wording.access(reply(line)) is access
