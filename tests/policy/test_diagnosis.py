"""Golden diagnoses: from what happened to what a person is told first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from vaguemestre.mail.account import Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.secret import Shape
from vaguemestre.mail.validity import Validity
from vaguemestre.policy.diagnosis import (
    DialogueFacts,
    Finding,
    FindingCode,
    Offered,
    Severity,
    Who,
    diagnose,
)
from vaguemestre.policy.dialogue import LoginForm

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
OFFERED = Offered(size=35_882_577, eight_bit=True, smtputf8=True, mechanisms=("PLAIN", "LOGIN"))
WELL = DialogueFacts(
    trouble=None,
    host="smtp.example.org",
    port=587,
    encryption=Encryption.STARTTLS,
    sender=Mailbox.parse("office@example.org"),
    now=NOW,
    login="office@example.org",
    has_secret=True,
    offered=OFFERED,
    validity=Validity(NOW + timedelta(days=60), NOW - timedelta(days=30)),
)


def said(phase: Phase, line: str) -> Trouble:
    return Trouble(phase, Cause.REPLY, Reply(int(line[:3]), line[4:]))


def found(trouble: Trouble | None, **changes) -> Finding:
    return diagnose(replace(WELL, trouble=trouble, **changes))[0]


GOLDEN = [
    ("u01", Trouble(Phase.RESOLVE, Cause.HOST_UNKNOWN), "host_unknown", "you"),
    ("u02", Trouble(Phase.RESOLVE, Cause.LOOKUP_FAILED), "lookup_failed", "dns_host"),
    ("u02", Trouble(Phase.RESOLVE, Cause.TIMEOUT), "lookup_failed", "dns_host"),
    ("u03", Trouble(Phase.CONNECT, Cause.CONNECTION_REFUSED), "refused", "you"),
    ("u04", Trouble(Phase.CONNECT, Cause.TIMEOUT), "no_answer", "operator"),
    ("u04", Trouble(Phase.CONNECT, Cause.UNREACHABLE), "no_answer", "operator"),
    ("u04", Trouble(Phase.CONNECT, Cause.SOURCE_ADDRESS), "source_address_unusable", "operator"),
    ("l11", Trouble(Phase.CONNECT, Cause.NOT_PERMITTED), "address_not_permitted", "operator"),
    ("l11", Trouble(Phase.RESOLVE, Cause.NOT_PERMITTED), "address_not_permitted", "operator"),
    ("u05", Trouble(Phase.GREETING, Cause.LOST), "connection_lost", "provider"),
    ("u06", Trouble(Phase.GREETING, Cause.TIMEOUT), "silent", "provider"),
    ("u07", said(Phase.GREETING, "421 4.3.2 not now"), "greeting_busy", "provider"),
    ("u07", said(Phase.GREETING, "421 4.7.0 Too many connections from you"), "too_many_connections", "you"),
    ("u08", said(Phase.GREETING, "554 5.7.1 No SMTP service here"), "greeting_rejected", "provider"),
    (
        "u08",
        said(Phase.GREETING, "554 5.7.1 Your IP is not on our allow list"),
        "address_not_listed",
        "provider",
    ),
    ("u09", Trouble(Phase.GREETING, Cause.NOT_SMTP), "not_smtp", "you"),
    ("u10", Trouble(Phase.GREETING, Cause.TLS_EXPECTED), "starttls_on_ssl_port", "you"),
    ("u10", Trouble(Phase.TLS, Cause.TLS_NOT_SPOKEN), "ssl_on_starttls_port", "you"),
    ("u10", Trouble(Phase.TLS, Cause.TIMEOUT), "ssl_on_starttls_port", "you"),
    ("u10", Trouble(Phase.TLS, Cause.LOST), "ssl_on_starttls_port", "you"),
    ("u12", said(Phase.EHLO, "500 5.5.1 what"), "ehlo_refused", "provider"),
    ("u12", said(Phase.EHLO, "450 4.3.0 wait"), "temporarily_refused", "provider"),
    ("u13", said(Phase.EHLO, "421 4.3.2 closing"), "service_closing", "provider"),
    ("u13", Trouble(Phase.EHLO, Cause.LOST), "connection_lost", "provider"),
    ("u13", Trouble(Phase.EHLO, Cause.TIMEOUT), "out_of_time", "provider"),
    ("u14", Trouble(Phase.EHLO, Cause.MALFORMED), "protocol_broken", "provider"),
    ("u16", Trouble(Phase.STARTTLS, Cause.NOT_OFFERED), "starttls_not_offered", "you"),
    ("u16", said(Phase.STARTTLS, "454 4.7.0 TLS not available"), "starttls_refused", "provider"),
    ("u17", Trouble(Phase.STARTTLS, Cause.TLS_NOT_SPOKEN), "tls_failed", "provider"),
    ("u17", Trouble(Phase.STARTTLS, Cause.TLS_FAILED), "tls_failed", "provider"),
    ("u18", Trouble(Phase.TLS, Cause.CERTIFICATE_EXPIRED), "certificate_expired", "provider"),
    ("u18", Trouble(Phase.TLS, Cause.CERTIFICATE_NOT_YET_VALID), "certificate_not_yet_valid", "provider"),
    ("u18", Trouble(Phase.STARTTLS, Cause.CERTIFICATE_NAME), "certificate_wrong_name", "you"),
    ("u18", Trouble(Phase.STARTTLS, Cause.CERTIFICATE_AUTHORITY), "certificate_unknown_authority", "you"),
    ("u18", Trouble(Phase.STARTTLS, Cause.CERTIFICATE_SELF_SIGNED), "certificate_self_signed", "you"),
    ("u18", Trouble(Phase.TLS, Cause.CERTIFICATE_OTHER), "certificate_other", "provider"),
    (
        "u18",
        Trouble(Phase.TLS, Cause.CERTIFICATE_OTHER, facts={"pinned": "00"}),
        "certificate_changed",
        "you",
    ),
    ("u18", Trouble(Phase.TLS, Cause.TLS_TOO_OLD), "tls_too_old", "provider"),
    ("u19", Trouble(Phase.STARTTLS, Cause.UNDUE), "protocol_broken", "provider"),
    ("u21", Trouble(Phase.AUTH, Cause.NOT_OFFERED), "auth_not_offered", "you"),
    ("u21", said(Phase.AUTH, "503 5.5.1 Error: authentication not enabled"), "auth_not_offered", "you"),
    ("u21", Trouble(Phase.AUTH, Cause.NO_MECHANISM), "no_mechanism", "provider"),
    ("u21", said(Phase.AUTH, "504 5.5.4 Unrecognized authentication type"), "no_mechanism", "provider"),
    ("u21", Trouble(Phase.AUTH, Cause.MALFORMED), "protocol_broken", "provider"),
    ("u22", said(Phase.AUTH, "535 5.7.8 Bad credentials"), "auth_refused", "you"),
    ("u22", said(Phase.AUTH, "535 5.7.3 Authentication unsuccessful"), "auth_refused", "you"),
    (
        "u22",
        said(Phase.AUTH, "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled"),
        "microsoft_tenant_or_mailbox_off",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."),
        "auth_refused",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "535 5.7.30 Basic authentication is not supported"),
        "microsoft_password_off",
        "you",
    ),
    (
        "u22",
        said(Phase.CONTENT, "550 5.7.30 Basic authentication is not supported for Client Submission."),
        "microsoft_password_off",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "534 5.7.9 Application-specific password required"),
        "google_app_password",
        "you",
    ),
    ("u22", said(Phase.AUTH, "534 Please choose a stronger mechanism"), "no_mechanism", "provider"),
    ("u22", said(Phase.AUTH, "534 5.7.9 Authentication mechanism is too weak"), "no_mechanism", "provider"),
    ("u22", said(Phase.AUTH, "550 Your IP is blocked due to too many failed logins"), "auth_refused", "you"),
    ("u22", said(Phase.AUTH, "538 5.7.11 Encryption required"), "auth_needs_tls", "you"),
    ("u22", said(Phase.AUTH, "530 5.7.0 Must issue a STARTTLS command first"), "auth_needs_tls", "you"),
    ("u22", Trouble(Phase.AUTH, Cause.NOT_PERMITTED), "auth_needs_tls", "you"),
    ("u22", said(Phase.AUTH, "454 4.7.0 Temporary failure"), "auth_temporarily_unavailable", "provider"),
    ("u22", said(Phase.AUTH, "454 4.7.0 Too many login attempts"), "rate_limited", "provider"),
    (
        "u25",
        said(Phase.MAIL, "421 4.7.0 Authentication failed before, closing"),
        "service_closing",
        "provider",
    ),
    (
        "u22",
        said(Phase.AUTH, "432 4.3.2 Concurrent connections limit exceeded"),
        "microsoft_too_many_connections",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "535 5.7.139 Authentication unsuccessful, basic authentication is disabled."),
        "microsoft_password_off",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "535 5.7.139 user is locked by your organization's security defaults policy."),
        "microsoft_sign_in_policy",
        "you",
    ),
    (
        "u22",
        said(Phase.AUTH, "502 5.7.0 Your SMTP account is not yet activated"),
        "account_suspended",
        "provider",
    ),
    (
        "u22",
        said(Phase.MAIL, "550 5.1.8 Access denied, bad outbound sender"),
        "account_suspended",
        "provider",
    ),
    (
        "u24",
        said(Phase.MAIL, "450 4.1.8 <a@b.example>: Sender address rejected: Domain not found"),
        "sender_domain_unknown",
        "dns_host",
    ),
    (
        "u08",
        said(Phase.GREETING, "554 5.7.1 Client host [192.0.2.7] blocked using zen.example"),
        "address_on_blocklist",
        "operator",
    ),
    (
        "u08",
        said(Phase.MAIL, "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.7]"),
        "address_without_name",
        "operator",
    ),
    ("u22", said(Phase.AUTH, "525 5.7.1 Unauthorized IP address"), "address_not_listed", "provider"),
    ("u24", said(Phase.MAIL, "450 4.3.0 later"), "temporarily_refused", "provider"),
    ("u24", said(Phase.MAIL, "550 5.1.8 Sender refused"), "sender_refused", "you"),
    ("u24", said(Phase.MAIL, "550 5.7.60 may not send as this sender"), "sender_refused", "you"),
    ("u24", said(Phase.MAIL, "530 5.7.0 Authentication Required"), "authentication_required", "you"),
    ("u24", said(Phase.MAIL, "530 5.7.0 Must issue a STARTTLS command first"), "encryption_required", "you"),
    ("u24", said(Phase.MAIL, "552 5.3.4 Too big"), "message_too_large", "you"),
    ("u24", said(Phase.MAIL, "555 5.5.4 no such parameter"), "command_refused", "provider"),
    ("u24", said(Phase.MAIL, "450 Mail send limit exceeded"), "rate_limited", "provider"),
    ("u24", said(Phase.MAIL, "550 5.4.5 Daily user sending limit exceeded."), "daily_limit", "provider"),
    ("u24", said(Phase.MAIL, "553 5.6.7 ASCII only"), "smtputf8_not_offered", "provider"),
    (
        "u24",
        said(Phase.RCPT, "554 5.7.1 Client host rejected: Access denied"),
        "address_not_listed",
        "provider",
    ),
    ("u24", said(Phase.RCPT, "554 5.7.1 Relay access denied"), "relay_denied", "provider"),
    ("u24", said(Phase.RCPT, "550 Access denied - Invalid HELO name"), "ehlo_refused", "provider"),
    ("u24", said(Phase.RCPT, "550 Please turn on SMTP Authentication"), "authentication_required", "you"),
    (
        "u24",
        said(Phase.MAIL, "550 Client host blocked for spamming issues"),
        "address_on_blocklist",
        "operator",
    ),
    ("u24", said(Phase.MAIL, "550 5.7.1 Message blocked by local policy"), "sender_refused", "you"),
    ("u22", said(Phase.AUTH, "535 5.7.8 This account is disabled"), "account_suspended", "provider"),
    ("u25", Trouble(Phase.MAIL, Cause.LOST), "connection_lost", "provider"),
    ("u25", said(Phase.MAIL, "354 go on"), "protocol_broken", "provider"),
    ("u26", said(Phase.RCPT, "554 5.7.1 <a@example.net>: Relay access denied"), "relay_denied", "provider"),
    ("d12", said(Phase.QUIT, "421 bye"), "ok", "you"),
    ("d12", Trouble(Phase.RSET, Cause.LOST), "ok", "you"),
    ("ok", None, "ok", "you"),
]


@pytest.mark.parametrize(("trouble", "code", "who"), [row[1:] for row in GOLDEN], ids=[r[0] for r in GOLDEN])
def test_the_first_finding_of_a_dialogue_is_the_decisive_one(trouble, code, who):
    finding = found(trouble)
    assert (finding.code.value, finding.who.value) == (code, who)
    assert finding.severity is (Severity.INFO if code == "ok" else Severity.ERROR)
    if code != "ok":
        assert finding.phase is trouble.phase


def test_every_trouble_there_is_has_a_finding():
    for phase in Phase:
        for cause in Cause:
            replies = [None] if cause is not Cause.REPLY else [Reply(code, "") for code in range(200, 600)]
            for reply in replies:
                first, *rest = diagnose(replace(WELL, trouble=Trouble(phase, cause, reply)))
                over = phase in {Phase.RSET, Phase.QUIT}
                if first.code is FindingCode.RECIPIENT_REFUSED:  # which blames no connection
                    assert (phase, rest.pop().code) == (Phase.RCPT, FindingCode.OK)
                    continue
                assert first.severity is (Severity.INFO if over else Severity.ERROR)
                assert all(finding.severity is Severity.WARNING for finding in rest)


@pytest.mark.parametrize("reply", ["550 5.1.1 unknown", "450 4.2.0 Greylisted", "451 try again"])
def test_a_recipient_that_is_refused_blames_no_connection(reply):
    trouble = replace(said(Phase.RCPT, reply), facts={"recipient": "me@example.org"})
    first, second = diagnose(replace(WELL, trouble=trouble))
    assert (first.code, first.severity) == (FindingCode.RECIPIENT_REFUSED, Severity.WARNING)
    assert second.code is FindingCode.OK
    assert first.facts["recipient"] == "me@example.org"
    assert first.facts["said"] == reply[4:]


@pytest.mark.parametrize(
    ("address", "silent", "other"), [("2001:db8::25", "IPv6", "IPv4"), ("192.0.2.25", "IPv4", "IPv6")]
)
def test_a_family_that_does_not_answer_is_a_warning(address, silent, other):
    first, second = diagnose(replace(WELL, silent_address=address))
    assert (first.code, second.code) == (FindingCode.FAMILY_SILENT, FindingCode.OK)
    assert first.severity is Severity.WARNING
    assert (first.facts["family"], first.facts["other"]) == (silent, other)


def test_a_dialogue_without_fault_has_one_finding():
    assert [finding.code for finding in diagnose(WELL)] == [FindingCode.OK]


def test_the_answer_for_an_address_that_is_not_permitted_is_uniform():
    bare = Trouble(Phase.CONNECT, Cause.NOT_PERMITTED)
    told = replace(bare, facts={"addresses": "127.0.0.1", "reason": "loopback"})
    assert found(told, offered=None, validity=None).facts == {"host": "smtp.example.org", "port": "587"}
    assert found(told) == found(bare)


def test_u09_what_is_no_smtp_server_is_not_repeated():
    trouble = Trouble(Phase.GREETING, Cause.NOT_SMTP, Reply(220, "SSH-2.0-OpenSSH"))
    assert "SSH" not in str(found(trouble).as_json())


def test_a_finding_shows_the_servers_words_and_the_certificates_facts():
    assert found(said(Phase.AUTH, "535 5.7.8 Bad credentials")).as_json() == {
        "code": "auth_refused",
        "severity": "error",
        "phase": "auth",
        "who": "you",
        "facts": {
            "host": "smtp.example.org",
            "port": "587",
            "encryption": "starttls",
            "login": "office@example.org",
            "sender": "office@example.org",
            "code": "535",
            "enhanced": "5.7.8",
            "said": "5.7.8 Bad credentials",
        },
    }
    trouble = Trouble(Phase.TLS, Cause.CERTIFICATE_NAME, facts={"names": "mail.example.net"})
    assert found(trouble).facts["names"] == "mail.example.net"


@pytest.mark.parametrize(
    ("trouble", "encryption", "port"),
    [
        (Trouble(Phase.TLS, Cause.TLS_NOT_SPOKEN), "starttls", "587"),
        (Trouble(Phase.GREETING, Cause.TLS_EXPECTED), "ssl", "465"),
    ],
)
def test_u10_a_wrong_mode_comes_with_the_right_one(trouble, encryption, port):
    facts = found(trouble).facts
    assert (facts["suggested_encryption"], facts["suggested_port"]) == (encryption, port)


def test_a_limit_of_logins_is_told_from_one_of_messages():
    assert (
        found(said(Phase.AUTH, "535 5.7.8 Error: too many authentication failures")).facts["logins"] == "yes"
    )
    assert "logins" not in found(said(Phase.MAIL, "450 Mail send limit exceeded")).facts


def test_a_tls_silence_on_an_ssl_port_is_no_wrong_mode():
    assert found(Trouble(Phase.TLS, Cause.TIMEOUT), port=465).code is FindingCode.OUT_OF_TIME
    assert found(Trouble(Phase.TLS, Cause.LOST), port=465).code is FindingCode.CONNECTION_LOST


def test_no_answer_on_port_25_hints_at_networks_that_close_it():
    trouble = Trouble(Phase.CONNECT, Cause.TIMEOUT)
    assert found(trouble, port=25).facts["port_25"] == "yes"
    assert "port_25" not in found(trouble).facts


BEYOND_ASCII = Mailbox.parse("büro@example.org")


@pytest.mark.parametrize(
    "trouble",
    [
        None,
        said(Phase.MAIL, "550 5.1.3 bad address"),
        Trouble(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED),
        said(Phase.QUIT, "421 bye"),
    ],
)
def test_a_sender_beyond_ascii_needs_a_server_with_smtputf8(trouble):
    offered = replace(OFFERED, smtputf8=False)
    assert found(trouble, sender=BEYOND_ASCII, offered=offered).code is FindingCode.SENDER_NEEDS_SMTPUTF8
    assert found(None, sender=BEYOND_ASCII).code is FindingCode.OK


def test_what_fails_before_the_sender_counts_is_told_first():
    trouble = said(Phase.AUTH, "535 5.7.8 no")
    assert found(trouble, sender=BEYOND_ASCII).code is FindingCode.AUTH_REFUSED


def codes(**changes) -> list[str]:
    return [finding.code.value for finding in diagnose(replace(WELL, **changes))]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"validity": Validity(NOW + timedelta(days=21, seconds=1))}, []),
        ({"validity": Validity(NOW + timedelta(days=21))}, ["certificate_expires_soon"]),
        ({"validity": Validity(NOW + timedelta(days=3), NOW - timedelta(days=4))}, []),  # made for a week
        (
            {"validity": Validity(NOW + timedelta(days=2), NOW - timedelta(days=4))},
            ["certificate_expires_soon"],
        ),
        ({"tls_issuer": "CN=Zscaler Intermediate Root CA,O=Zscaler Inc."}, ["trusted_interception"]),
        ({"offered": replace(OFFERED, size=10 * 1024 * 1024)}, []),
        ({"offered": replace(OFFERED, size=10 * 1024 * 1024 - 1)}, ["small_size_limit"]),
        ({"offered": replace(OFFERED, size=0)}, []),
        ({"offered": replace(OFFERED, size=None)}, []),
        ({"offered": replace(OFFERED, eight_bit=False)}, ["no_eight_bit"]),
        ({"offered": replace(OFFERED, smtputf8=False)}, ["no_smtputf8"]),
        ({"offered": Offered(size=1)}, ["small_size_limit", "no_eight_bit", "no_smtputf8"]),
        ({"login": "", "has_secret": False}, ["no_credentials_but_offered"]),
        ({"has_secret": False}, ["no_credentials_but_offered"]),
        ({"login": "", "has_secret": False, "offered": replace(OFFERED, mechanisms=())}, []),
        ({"login": "", "has_secret": False, "offered": None, "validity": None}, []),
        ({"login": "office"}, []),
    ],
)
def test_what_works_and_may_not_tomorrow_is_told_before_that_it_works(changes, expected):
    assert codes(**changes) == [*expected, "ok"]


def test_behind_an_error_only_what_somebody_must_see_to_is_told():
    refused = said(Phase.AUTH, "535 5.7.8 no")
    soon = NOW + timedelta(days=3)
    told = codes(trouble=refused, offered=Offered(size=1), validity=Validity(soon))
    assert told == ["auth_refused", "certificate_expires_soon", "small_size_limit"]


def test_a_certificate_that_ends_soon_says_in_how_many_days():
    facts = found(None, validity=Validity(NOW + timedelta(days=3, hours=1))).facts
    assert (facts["days"], facts["expires_at"]) == ("3", "2026-11-27T13:00:00+00:00")


REFUSED = said(Phase.AUTH, "535 5.7.8 Bad credentials")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"secret_shape": Shape.BLANK_EDGE}, ["password_blank_edge"]),
        ({"secret_shape": Shape.GROUPED}, ["app_password_spaces"]),
        ({"login": "Office"}, ["login_without_domain"]),
        ({"login": "apikey"}, ["auth_refused", "login_without_domain"]),
        ({"login": "apikey", "login_form": LoginForm.OTHER}, ["auth_refused"]),
        ({"login": "office", "login_form": LoginForm.OTHER}, ["auth_refused"]),
        ({"login": "sales", "login_form": LoginForm.ADDRESS}, ["login_without_domain"]),
        ({"login": "sales@example.org", "login_form": LoginForm.ADDRESS}, ["auth_refused"]),
        ({"login": "office", "secret_shape": Shape.BLANK_EDGE}, ["password_blank_edge"]),
    ],
)
def test_a_refused_password_is_explained_by_its_form_and_by_the_login(changes, expected):
    assert codes(trouble=REFUSED, **changes) == expected
    assert "password" not in codes(**changes)[0]
    assert found(said(Phase.AUTH, "534 5.7.9 Application-specific password required"), **changes).code == (
        "google_app_password"
    )


def test_a_recipients_account_that_is_closed_says_nothing_of_ours():
    assert codes(trouble=said(Phase.RCPT, "550 5.2.1 The account is disabled")) == ["recipient_refused", "ok"]
    assert codes(trouble=said(Phase.RCPT, "552 5.2.2 Mailbox full")) == ["recipient_refused", "ok"]
    assert codes(trouble=said(Phase.RCPT, "552 Mailbox full")) == ["recipient_refused", "ok"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("401", "oauth2_token_refused"),
        ("invalid_token", "oauth2_token_refused"),
        ("403", "oauth2_scope_missing"),
        ("insufficient_scope", "oauth2_scope_missing"),
        ("", "oauth2_token_refused"),
    ],
)
def test_a_refused_token_is_told_apart_from_one_that_may_too_little(status, expected):
    trouble = replace(REFUSED, facts={"oauth": "XOAUTH2", "oauth_status": status})
    assert found(trouble).code == expected


@pytest.mark.parametrize(
    ("cause", "host", "issuer", "expected"),
    [
        (Cause.CERTIFICATE_AUTHORITY, "smtp.example.org", "CN=FG100F,O=Fortinet", "Fortinet FortiGate"),
        (Cause.CERTIFICATE_SELF_SIGNED, "smtp.example.org", "CN=Avast Web/Mail Shield Root", "Avast"),
        (Cause.CERTIFICATE_AUTHORITY, "smtp.gmail.com", "CN=Corporate Root 3", ""),
        (Cause.CERTIFICATE_AUTHORITY, "smtp.example.org", "CN=Corporate Root 3", None),
        (Cause.CERTIFICATE_AUTHORITY, "smtp.example.org", "CN=Preset Resetting CA", None),
        (Cause.CERTIFICATE_EXPIRED, "smtp.gmail.com", "CN=WR2,O=Google Trust Services", None),
        (Cause.CERTIFICATE_NAME, "smtp.gmail.com", "CN=WR2,O=Google Trust Services", None),
    ],
)
def test_a_certificate_from_in_between_is_known_by_its_issuer_or_by_the_provider(
    cause, host, issuer, expected
):
    trouble = Trouble(Phase.TLS, cause, facts={"issuer": issuer})
    finding = found(trouble, host=host, well_known=host == "smtp.gmail.com")
    assert (finding.code is FindingCode.CERTIFICATE_INTERCEPTED) is (expected is not None)
    assert finding.facts.get("product", "") == (expected or "")


@pytest.mark.parametrize(
    ("line", "seen", "expected"),
    [
        ("554 5.7.1 Client host [192.0.2.7] rejected: Access denied", "198.51.100.1", "192.0.2.7"),
        ("525 5.7.1 Unauthorized IP address", "198.51.100.1", "198.51.100.1"),
        ("525 5.7.1 Unauthorized IP address", "", None),
        ("554 5.7.1 Client host [IPv6:2001:db8::7] rejected: Access denied", "", "2001:db8::7"),
        ("554 5.7.1 Client host [999.0.2.7] rejected: Access denied", "", None),
    ],
)
def test_an_address_that_is_on_no_list_is_told_as_the_server_saw_it(line, seen, expected):
    assert found(said(Phase.MAIL, line), seen_address=seen).facts.get("seen_address") == expected


def test_somebody_must_act_on_every_code():
    for code in FindingCode:
        assert Finding.of(code, None, {}).who in Who
