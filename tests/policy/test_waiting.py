"""How long servers ask to wait, by the words of servers in use."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording
from vaguemestre.policy.waiting import least_pause, named_delay

HOUR, LATER, RATE, LOGINS, NONE = 3600, 900, 60, 900, 0


def reply(line: str) -> Reply:
    return Reply(int(line[:3]), line[4:])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 15 minutes", 900),
        ("4.7.1 Greylisted, please retry after 60 seconds", 60),
        ("4.7.1 Greylisting in action, please come back in 00:05:00", 300),
        ("Please wait 1 hour", 3600),
        ("try again in an hour", 3600),
        ("wait one minute", 60),
        ("4.7.0 Too many messages, 300s", 300),
        ("try again in 15 seconds.", 15),
        ("retry in 2 min", 120),
        ("come back in 24h", 86_400),
        ("try again in 24 hours", 86_400),
        ("try again in 72 hours", 86_400),
        ("try again in 2 days", 86_400),
        ("Relay quota will reset in 13.56 hours.", 48_816),
        ("Réessayez dans 30 secondes", 30),
        ("Réessayez dans 1 heure", 3600),
        ("200 messages in 24 hours is the limit, try again in 3 hours", 10_800),
        ("4.7.0 Try again later", None),
        ("limit of 30 messages per 60 seconds exceeded", None),
        ("limit of 400 rcpts per 24 hours for client a@example.org reached", None),
        ("You may send 200 messages in 24 hours", None),
        ("You may send 200 messages within 24 hours", None),
        ("sent over 100 messages in the last 1 hour", None),
        ("Too many messages from sender in last 3600 seconds", None),
        ("only 10 messages per day", None),
        ("only 10 messages an hour", None),
        ("has exceeded its 24-hour sending limit", None),
        ("limit for a 24 hour period", None),
        ("4.4.2 Connection timed out after 300 seconds", None),
        ("4.4.2 idle for 10 seconds, closing", None),
        ("blocked 192.0.2.5 seconds ago", None),
        ("blocked 20 seconds ago", None),
        ("in 00:00:00", None),
        ("wait 0 seconds", None),
        ("", None),
    ],
)
def test_a_delay_is_read_where_a_reply_names_one(text, seconds):
    assert named_delay(text) == seconds


@given(st.text())
def test_no_text_names_less_than_a_second_or_more_than_a_day(text):
    delay = named_delay(text)
    assert delay is None or 1 <= delay <= 86_400


# The words of servers, each with where they are documented or were reported.
LIMITS = [
    # support.google.com/a/answer/3726730, /166852
    ("550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits", HOUR),
    ("550 5.4.5 Daily user sending quota exceeded. o65sm25351206pga.71 - gsmtp", HOUR),
    ("550 5.4.5 Daily SMTP relay limit exceeded for user", HOUR),
    ("550 5.7.1 Daily SMTP relay limit exceeded for customer", HOUR),
    ("450 4.2.1 Peak SMTP relay limit exceeded for this customer. This is a temporary error.", NONE),
    ("454 4.7.0 Too many login attempts, please try again later.", LOGINS),
    # learn.microsoft.com, smtp-submission-improvements and the list of 5.x.y
    ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process", HOUR),
    ("550 5.1.90 Your message can't be sent because you've reached your daily limit for recipients", HOUR),
    ("550 5.7.232 Your message can't be sent because your trial tenant has exceeded its daily limit", HOUR),
    ("550 5.7.233 Your message can't be sent because your tenant exceeded its external recipient", HOUR),
    ("432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending", NONE),
    ("451 4.7.650 The mail server [192.0.2.4] has been temporarily rate limited due to IP reputation", RATE),
    # docs.aws.amazon.com/ses, errors related to the sending quotas
    ("454 Throttling failure: Daily message quota exceeded", HOUR),
    ("454 Throttling failure: Maximum sending rate exceeded", RATE),
    # ionos.it/aiuto, restrictions on bulk mail: the limit is of an hour, the text does not say so
    ("450 Requested mail action not taken: mailbox unavailable\nMail send limit exceeded.", NONE),
    # Register.it's authsmtp.securemail.pro, by netfabric.freshdesk.com 6000236440: until midnight
    ("550 MAX RCPT TO DAILY LIMIT", HOUR),
    # GoDaddy, by nodemailer#1137
    ("550 User a@example.org has exceeded its 24-hour sending limit. Messages to 25 recipients out", HOUR),
    # Zoho's community, "unusual sending activity"
    ("550 5.4.6 Unusual sending activity detected. Please try after sometime", LATER),
    # OVH, by Magento-SMTP-Pro-Email-Extension#94
    ("550 sorry, too many emails (#5.7.1)", NONE),
    # Plesk, by zotonic#3508 and Pytition#28
    ("554 5.7.0 The limit on the number of allowed outgoing messages was exceeded. Try again later.", LATER),
    # cPanel
    ("550 Domain example.org has exceeded the max emails per hour (150/150 (100%)) allowed.", HOUR),
    ("550 Domain example.org has exceeded the max defers and failures per hour (5/5 (100%)) allowed.", HOUR),
    # mailcow, by mailcow-dockerized#1497; Mailu, by Mailu#2416
    ('451 4.7.1 Ratelimit "user" exceeded', RATE),
    ("450 4.7.1 SASL login name rejected: You are sending too many emails too fast.", RATE),
    # postfwd and cluebringer, Postfix's policy servers; gophish#3231, vmail#67, deltachat-core#647
    ("450 4.7.1 <END-OF-MESSAGE>: End-of-data rejected: Number messages per hour exceeded.", HOUR),
    ("450 4.7.1 <a@example.org>: Sender address rejected: Deferring: Too many messages from sender", NONE),
    ("550 send spam mail rejected: exceeded hour limit", HOUR),
    ("554 5.7.1 <DATA>: Data command rejected: only 10 messages per day", HOUR),
    ("554 5.7.1 <DATA>: Data command rejected: limit of 400 rcpts per 24 hours for client a reached", HOUR),
    # Shellrent's guide: 200 in 24 hours that roll
    ("550 Policy rejection; Message count exceeded", NONE),
    # emailit.com/docs/smtp/troubleshooting
    ("452 4.5.3 Daily message limit exceeded", HOUR),
    ("452 4.4.5 Messages per second limit exceeded", RATE),
    # Mailjet and others that sell credits
    ("451 Authentication failed: Maximum credits exceeded", HOUR),
    # Postfix's anvil; Orange
    ("450 4.7.1 Error: too much mail from 192.0.2.4", NONE),
    ("421 4.7.0 Trop de connexions, veuillez verifier votre configuration. Too many connections", NONE),
    ("452 4.3.2 Too many connections, try again later", NONE),
    ("550 Quota journalier: message quota exceeded", HOUR),
]


@pytest.mark.parametrize(("line", "seconds"), LIMITS)
def test_a_limit_implies_how_long_to_wait_at_least(line, seconds):
    assert wording.limit_reached(reply(line))
    assert least_pause(reply(line)) == seconds


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("421 4.7.0 Try again later, closing connection. (EHLO)", LATER),
        ("421 4.7.28 Réessayez plus tard", LATER),
        ("421 4.3.2 Service not available, try again later", NONE),
        ("421 Service not available, try again later", NONE),
        ("421 4.7.0 Closing the channel", NONE),
        ("454 4.7.0 Temporary authentication failure, try again later", NONE),
    ],
)
def test_who_is_turned_away_by_policy_until_later_waits_a_quarter_of_an_hour(line, seconds):
    assert not wording.limit_reached(reply(line))
    assert least_pause(reply(line)) == seconds


@pytest.mark.parametrize(
    "line",
    [
        "452 4.2.2 The email account is over its daily quota",
        "451 4.5.1 The recipient <a@example.org> has exceeded their message rate limit. Try again later.",
        "450 4.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional",
        "451 4.7.1 Greylisted, try again later",
        "452 4.5.3 Too many recipients",
        "250 2.0.0 Ok: your daily limit is 100 messages",
    ],
)
def test_what_is_no_limit_of_the_account_implies_nothing(line):
    assert least_pause(reply(line)) == 0


@given(st.sampled_from([421, 432, 450, 452, 454, 550, 554]), st.text())
def test_no_text_implies_more_than_an_hour(code, text):
    assert least_pause(Reply(code, text)) in {0, 60, 900, 3600}


@pytest.mark.parametrize("unit", ["an hour ", "per 1 s ", "limit in 1 s ", "1 s ", "in 1:1:1 "])
def test_the_longest_reply_is_read_in_no_time(unit):
    started = time.process_time()
    named_delay(unit * (64_000 // len(unit)))
    assert time.process_time() - started < 0.5
