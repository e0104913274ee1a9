"""Every finding and every step has its words: complete, filled with facts, and the same in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils import translation
from django.utils.translation import gettext

from vaguemestre import console
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.transcript import Step
from vaguemestre.policy.finding import Finding, FindingCode, Who
from vaguemestre.verification.probe import Busy
from vaguemestre.verification.texts.details import Provider, provider_of
from vaguemestre.verification.texts.seen import SEEN
from vaguemestre.verification.wording import (
    TEXTS,
    busy_text,
    step_failed,
    step_text,
    stored_words,
    words,
)

EXACTLY, ITS_AUTHORITY = "Trust exactly this certificate", "Trust its authority"
BUTTONS = Path(console.__path__[0]) / "templates/console/connections/certificate.html"
FINDINGS = Path(__file__).parents[2] / "docs" / "findings.md"
# What `policy.diagnosis` puts into every finding about a dialogue, and what it adds to some.
TARGET = {
    "host": "mail.example.net",
    "port": "587",
    "encryption": "starttls",
    "login": "office",
    "sender": "office@example.org",
}
FURTHER = {
    FindingCode.ADDRESS_NOT_PERMITTED: {"host": "mail.example.net", "port": "587"},
    FindingCode.SOURCE_ADDRESS_UNUSABLE: TARGET | {"source_address": "192.0.2.9"},
    FindingCode.CERTIFICATE_EXPIRES_SOON: {
        "host": "mail.example.net",
        "expires_at": "2026-12-01T12:00:00+00:00",
        "days": "7",
    },
    FindingCode.SMALL_SIZE_LIMIT: {"host": "mail.example.net", "size": "5242880"},
    FindingCode.NO_EIGHT_BIT: {"host": "mail.example.net"},
    FindingCode.NO_SMTPUTF8: {"host": "mail.example.net"},
    FindingCode.TRUSTED_INTERCEPTION: {"host": "mail.example.net", "product": "Zscaler", "issuer": ""},
    FindingCode.LOGIN_WITHOUT_DOMAIN: {"login": "office", "sender": "office@example.org"},
    FindingCode.FAMILY_SILENT: {
        "host": "mail.example.net",
        "family": "IPv6",
        "other": "IPv4",
        "address": "2001:db8::25",
    },
    FindingCode.RECIPIENT_REFUSED: TARGET | {"recipient": "me@example.org"},
    FindingCode.NO_CREDENTIALS_BUT_OFFERED: {"host": "mail.example.net", "offered": "PLAIN LOGIN"},
}


def finding(code: FindingCode, /, **facts: str) -> Finding:
    """With no more facts than it surely has, and those given."""
    return Finding.of(code, None, FURTHER.get(code, TARGET) | facts)


def test_every_code_has_its_text_and_no_other_has():
    assert set(TEXTS) == set(SEEN) == set(FindingCode)


@pytest.mark.parametrize("code", list(FindingCode))
def test_a_finding_is_told_with_the_facts_that_it_surely_has(code):
    told = words(finding(code))
    assert told["what"]
    assert told["why"].endswith(".")
    assert told["remedy"].endswith(".") or code is FindingCode.OK
    for text in (told["what"], told["why"], told["remedy"]):
        assert "%(" not in text
        assert "?" not in text
    assert len(told["what"]) <= 80
    assert not told["what"].endswith(".")


def test_who_must_act_is_a_code_and_a_text():
    told = words(finding(FindingCode.NO_ANSWER))
    assert (told["who"], told["who_text"]) == ("operator", "For whoever runs this installation to do")
    assert {words(Finding.of(FindingCode.REFUSED, None, TARGET))["who_text"]} == {"For you to do"}
    assert words(finding(FindingCode.OK))["who_text"] == ""
    assert len({words_of_who(who) for who in Who}) == len(Who)


def words_of_who(who: Who) -> str:
    stored = finding(FindingCode.REFUSED).as_json() | {"who": who.value}
    return stored_words(stored)["who_text"]


def test_a_certificate_is_told_with_its_facts():
    facts = {
        "issuer": r"CN=R3,O=Let\, us Encrypt,C=US",
        "expired_at": "2026-11-20T08:00:00+00:00",
        "names": "a.example, b.example",
        "fingerprint": "ab" * 32,
    }
    expired = words(finding(FindingCode.CERTIFICATE_EXPIRED, **facts))["why"]
    assert "End of its validity: November 20, 2026. It was issued by: Let, us Encrypt, R3." in expired
    wrong = words(finding(FindingCode.CERTIFICATE_WRONG_NAME, **facts))["why"]
    assert "The certificate is for: a.example, b.example." in wrong
    self_signed = words(finding(FindingCode.CERTIFICATE_SELF_SIGNED, **facts))["why"]
    assert f"Its fingerprint (SHA-256): {'ab' * 32}." in self_signed


@pytest.mark.parametrize("language", ["en", "fr", "it"])
@pytest.mark.parametrize(
    ("code", "buttons"),
    [
        (FindingCode.CERTIFICATE_SELF_SIGNED, {EXACTLY}),
        (FindingCode.CERTIFICATE_CHANGED, {EXACTLY}),
        (FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY, {EXACTLY, ITS_AUTHORITY}),
    ],
)
def test_a_certificate_that_can_be_pinned_is_told_with_the_buttons_that_pin_it(language, code, buttons):
    with translation.override(language):
        remedy, labels = words(finding(code))["remedy"], {gettext(button) for button in buttons}
    assert [label for label in labels if label not in remedy] == []
    page = BUTTONS.read_text(encoding="utf-8")
    assert all(f'{{% translate "{button}" %}}</button>' in page for button in buttons)


def test_facts_that_are_not_there_leave_their_sentence_out():
    told = words(finding(FindingCode.CERTIFICATE_EXPIRED))["why"]
    assert told.endswith("Neither login nor password was sent.")


def test_the_servers_words_are_told_in_one_line_of_bounded_length():
    told = words(finding(FindingCode.AUTH_REFUSED, code="535", said="5.7.8 no\n" + "x" * 1000))["why"]
    said = told.partition("The server’s answer: ")[2]
    assert said.startswith("535 5.7.8 no xxx")
    assert said.endswith("x…")
    assert len(said) == 304


def test_facts_are_no_templates():
    told = words(finding(FindingCode.AUTH_REFUSED, login="%(host)s", code="535", said="100 %(login)s %s %"))
    assert "“%(host)s”" in told["why"]
    assert "535 100 %(login)s %s %" in told["why"]


def test_a_connection_without_login_is_not_told_that_its_login_works():
    assert "accepts the login" in words(finding(FindingCode.OK))["why"]
    assert "without a login" in words(finding(FindingCode.OK, login=""))["why"]


def test_providers_are_told_what_is_theirs():
    google = words(finding(FindingCode.AUTH_REFUSED, host="smtp.gmail.com"))["remedy"]
    microsoft = words(finding(FindingCode.AUTH_REFUSED, host="smtp.office365.com"))["remedy"]
    other = words(finding(FindingCode.AUTH_REFUSED))["remedy"]
    assert google.startswith(other)
    assert "apppasswords" in google.removeprefix(other)
    assert "Authenticated SMTP" in microsoft.removeprefix(other)


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("smtp.gmail.com", Provider.GOOGLE),
        ("smtp-relay.gmail.com", Provider.GOOGLE),
        ("smtp.office365.com", Provider.MICROSOFT),
        ("smtp-mail.outlook.com", Provider.MICROSOFT),
        ("example-org.mail.protection.outlook.com", Provider.MICROSOFT),
        ("notgmail.com", None),
        ("gmail.com.example.org", None),
        ("", None),
    ],
)
def test_a_provider_is_known_by_the_end_of_its_servers_name(host, provider):
    assert provider_of(host) is provider


@pytest.mark.parametrize(
    ("speaks", "told"), [("imap", "(IMAP)"), ("pop", "(POP)"), ("ssh", "(SSH)"), ("web", "(HTTP)")]
)
def test_what_is_no_mail_server_is_named_by_its_kind(speaks, told):
    assert words(finding(FindingCode.NOT_SMTP, speaks=speaks))["why"].endswith(f"{told}.")
    assert told not in words(finding(FindingCode.AUTH_REFUSED, speaks=speaks))["why"]


@pytest.mark.parametrize("port", ["110", "143", "993", "995"])
def test_a_port_for_reading_mail_is_told_where_it_may_not_be_dialled(port):
    told = words(finding(FindingCode.ADDRESS_NOT_PERMITTED, port=port))["remedy"]
    assert f"Port {port} is for reading mail; sending goes through 465 or 587." in told
    assert "is for" not in words(finding(FindingCode.ADDRESS_NOT_PERMITTED))["remedy"]
    assert "websites" in words(finding(FindingCode.ADDRESS_NOT_PERMITTED, port="443"))["remedy"]


def test_the_address_that_a_server_saw_is_told():
    told = words(finding(FindingCode.ADDRESS_NOT_LISTED, seen_address="203.0.113.7"))["why"]
    assert told.endswith("The address it saw: 203.0.113.7.")
    assert "saw" not in words(finding(FindingCode.ADDRESS_NOT_LISTED))["why"]


def test_a_certificate_from_in_between_is_told_with_who_made_it():
    facts = {"product": "Zscaler", "issuer": "CN=Zscaler Root CA,O=Zscaler Inc."}
    told = words(finding(FindingCode.CERTIFICATE_INTERCEPTED, **facts))["why"]
    assert told.endswith("The certificate is by Zscaler. It was issued by: Zscaler Inc., Zscaler Root CA.")


def test_who_signs_in_with_a_token_is_not_told_to_choose_that():
    offer = {"offered": "PLAIN XOAUTH2"}
    choose = "choose it on the connection’s page in place of the password"
    assert choose in words(finding(FindingCode.NO_MECHANISM, **offer))["remedy"]
    told = words(finding(FindingCode.NO_MECHANISM, oauth="not_offered", **offer))
    assert choose not in told["remedy"]


def test_too_many_failed_logins_are_told_as_such_and_send_nobody_to_the_limits():
    told = words(finding(FindingCode.RATE_LIMITED, logins="yes"))
    assert told["what"] == "mail.example.net takes no more logins for now"
    assert "“Limits”" not in told["remedy"]
    assert "“Limits”" in words(finding(FindingCode.RATE_LIMITED))["remedy"]


def test_port_25_without_an_answer_is_told_to_be_closed_in_many_networks():
    told = words(finding(FindingCode.NO_ANSWER, port="25", port_25="yes", suggested_port="587"))
    assert "Many networks let nothing out on port 25" in told["remedy"]
    assert "Many networks" not in words(finding(FindingCode.NO_ANSWER))["remedy"]


def test_a_kept_finding_of_a_code_unknown_here_is_shown_by_its_code():
    told = stored_words(
        {"code": "of_tomorrow", "severity": "error", "phase": None, "who": "you", "facts": {}}
    )
    assert (told["what"], told["why"], told["remedy"], told["severity"]) == ("of_tomorrow", "", "", "error")


def test_busy_is_told():
    assert busy_text() == str(Busy())


# Steps

OK = Reply(250, "ok")


@pytest.mark.parametrize(
    ("step", "label", "failed"),
    [
        (Step(Phase.RESOLVE, "resolve mx.example", detail="192.0.2.1"), "Address found", False),
        (
            Step(Phase.RESOLVE, "resolve mx.example", None, Cause.HOST_UNKNOWN),
            "No server of that name",
            True,
        ),
        (Step(Phase.RESOLVE, "resolve mx.example", None, Cause.NOT_PERMITTED), "Not permitted here", True),
        (Step(Phase.CONNECT, "connect to 192.0.2.1 port 587"), "Server reached, port 587", False),
        (Step(Phase.CONNECT, "connect to port 25", None, Cause.TIMEOUT), "No answer, port 25", True),
        (
            Step(Phase.CONNECT, "connect to port 25", None, Cause.CONNECTION_REFUSED),
            "Connection refused, port 25",
            True,
        ),
        (Step(Phase.GREETING, "", Reply(220, "mx")), "It speaks SMTP", False),
        (Step(Phase.GREETING, "", Reply(554, "no")), "It turns us away", True),
        (Step(Phase.GREETING, "", Reply(421, "later")), "It asks to come back later", True),
        (Step(Phase.GREETING, "", None, Cause.NOT_SMTP), "It does not speak SMTP", True),
        (Step(Phase.GREETING, "", None, Cause.TIMEOUT), "It says nothing", True),
        (Step(Phase.EHLO, "EHLO a.example", OK), "It says what it can do", False),
        (Step(Phase.EHLO, "EHLO a.example", None, Cause.LOST), "It hung up", True),
        (
            Step(Phase.TLS, "TLS handshake", detail="TLSv1.3 TLS_AES, certificate until 2027-01-01"),
            "Encrypted exchange, TLS 1.3",
            False,
        ),
        (Step(Phase.STARTTLS, "STARTTLS", Reply(220, "go")), "It agrees to encrypt", False),
        (
            Step(Phase.STARTTLS, "TLS handshake", detail="TLSv1.2 X, certificate until 2027-01-01"),
            "Encrypted exchange, TLS 1.2",
            False,
        ),
        (
            Step(Phase.STARTTLS, "TLS handshake", None, Cause.CERTIFICATE_NAME),
            "Certificate not trusted",
            True,
        ),
        (Step(Phase.TLS, "TLS handshake", None, Cause.TIMEOUT), "No encrypted exchange", True),
        (Step(Phase.STARTTLS, "STARTTLS", None, Cause.NOT_OFFERED), "It offers no encryption", True),
        (Step(Phase.AUTH, "AUTH LOGIN", Reply(334, "")), "It asks for login and password", False),
        (Step(Phase.AUTH, "AUTH PLAIN ***", Reply(235, "ok")), "Login accepted", False),
        (Step(Phase.AUTH, "AUTH PLAIN ***", Reply(535, "no")), "Login refused", True),
        (Step(Phase.AUTH, "AUTH PLAIN ***", Reply(454, "later")), "Login not checked for now", True),
        (Step(Phase.AUTH, "AUTH", None, Cause.NOT_OFFERED), "It takes no login", True),
        (Step(Phase.MAIL, "MAIL FROM:<a@example.org>", OK), "Sender accepted", False),
        (Step(Phase.MAIL, "MAIL FROM:<a@example.org>", Reply(550, "no")), "Sender refused", True),
        (
            Step(Phase.MAIL, "MAIL FROM:<a@example.org>", Reply(354, "what")),
            "Its answer makes no sense",
            True,
        ),
        (Step(Phase.RSET, "RSET", OK), "Trial ended, nothing sent", False),
        (Step(Phase.QUIT, "QUIT", Reply(221, "bye")), "Goodbye", False),
        (Step(Phase.QUIT, "QUIT", None, Cause.LOST), "It left without a goodbye", True),
        (Step(Phase.DATA, "DATA", Reply(354, "go")), "Ready for the message", False),
    ],
)
def test_a_step_has_a_short_label(step, label, failed):
    assert step_text(step) == label
    assert step_failed(step) is failed


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("cause", [None, *(cause for cause in Cause if cause is not Cause.REPLY)])
def test_every_step_that_can_be_has_a_label(phase, cause):
    replies = (None,) if cause else (None, OK, Reply(354, ""), Reply(450, ""), Reply(550, ""))
    for reply in replies:
        label = step_text(Step(phase, "x port 25", reply, cause, detail="TLSv1.3 x"))
        assert label
        assert "%" not in label


# The documentation


def sections() -> dict[str, str]:
    parts = re.split(r"^### `(\w+)`\n", FINDINGS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_documentation_has_one_section_for_each_code():
    assert list(sections()) == [code.value for code in FindingCode]


@pytest.mark.parametrize("code", list(FindingCode))
def test_the_documentation_says_what_the_page_says(code):
    with translation.override("en"):
        told = words(finding(code))
    section = " ".join(sections()[code.value].split())
    for text in (told["what"], told["why"], told["remedy"], SEEN[code]):
        assert " ".join(text.split()) in section
    assert f"({told['who']})" in section or code is FindingCode.OK
