"""Each thing that can be wrong is found by the dialogue itself, and told first."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress

import pytest
import trustme

from scripted.certificates import Certificate, self_signed, the_authority
from scripted.client import PASSWORD, loopback_network
from scripted.ports import black_hole
from scripted.server import ScriptedServer
from scripted.sink import Answer, SinkServer
from vaguemestre.egress import Guard, HostUnknown, LookupFailed
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.policy.finding import FindingCode
from vaguemestre.smtp.network import Network
from vaguemestre.smtp.timeouts import Timeouts
from vaguemestre.verification.wording import step_failed, step_text, words
from verification.trial import FORMS_OF_THE_PASSWORD, GREETED, WELCOMED, Nowhere, draft_to, outcome, played

pytestmark = pytest.mark.django_db

SIGNING_IN = f"{GREETED}\nS- 250-mx\\r\\n250 AUTH PLAIN\\r\\n\nC~ AUTH PLAIN .*"
QUICK = Timeouts().at_most(0.4)


def decisive(found, code: FindingCode):
    """The first finding, which must be that one; a dialogue that failed is not ok."""
    assert [finding.code for finding in found.findings][:1] == [code]
    assert found.ok is (code is FindingCode.OK)
    assert "?" not in words(found.findings[0])["what"]
    return found.findings[0]


def scripted(script, network, encryption="none", *, timeouts=QUICK, server_fields=None, **fields):
    """What is found at a server that plays the script."""
    with played(ScriptedServer(script, **(server_fields or {}))) as server:
        return outcome(draft_to(server, encryption, **fields), network, timeouts=timeouts)


def answered(network, encryption="starttls", *, password=PASSWORD, sink_fields=None, **fields):
    """What is found at the sink that does as told."""
    sink = SinkServer(encryption=encryption, login="app", password=PASSWORD, **(sink_fields or {}))
    with sink.in_thread():
        found = outcome(draft_to(sink, encryption, password=password, **fields), network)
    assert sink.accepted == []
    assert not any(line.startswith("RCPT") for _, line in sink.commands)
    return found


# The good case


@pytest.mark.parametrize("encryption", ["ssl", "starttls", "none"])
def test_a_server_that_takes_login_and_sender_is_ok(network, encryption):
    found = answered(network, encryption)
    decisive(found, FindingCode.OK)
    assert [step.phase.value for step in found.steps][-5:] == ["ehlo", "auth", "mail", "rset", "quit"]
    assert found.seen_address == "127.0.0.1"
    assert found.capabilities["auth"] == ["PLAIN", "LOGIN"]
    assert found.capabilities["size"] == 52428800
    assert (found.tls is None) is (encryption == "none")
    if found.tls is not None:
        assert found.tls["version"] == "TLSv1.3"
        assert "localhost" in found.tls["names"]
        assert found.tls["expires_at"].startswith("3000-01-01")


# Reaching it


def test_an_unknown_host():
    async def lookup(host, port):
        raise HostUnknown

    found = outcome(draft_to(Nowhere(), host="smtp.exmaple.org"), loopback_network(lookup=lookup))
    assert decisive(found, FindingCode.HOST_UNKNOWN).facts["host"] == "smtp.exmaple.org"
    assert [step.error for step in found.steps] == ["host_unknown"]


def test_a_lookup_that_fails():
    async def lookup(host, port):
        raise LookupFailed

    decisive(outcome(draft_to(Nowhere()), loopback_network(lookup=lookup)), FindingCode.LOOKUP_FAILED)


def test_a_lookup_that_hangs():
    async def lookup(host, port):
        await asyncio.sleep(60)

    found = outcome(draft_to(Nowhere()), loopback_network(lookup=lookup), timeouts=QUICK)
    decisive(found, FindingCode.LOOKUP_FAILED)


def test_an_address_that_is_not_permitted(roots):
    with SinkServer().in_thread() as sink:
        found = outcome(draft_to(sink), Network(Guard(ports=frozenset({sink.port})), roots=roots))
        decisive(found, FindingCode.ADDRESS_NOT_PERMITTED)
        assert sink.sessions == 0


def test_a_refused_connection(network):
    nowhere = Nowhere()
    finding = decisive(outcome(draft_to(nowhere), network), FindingCode.REFUSED)
    assert finding.facts["port"] == str(nowhere.port)


def test_no_answer(network):
    with black_hole() as server:
        decisive(outcome(draft_to(server), network, timeouts=QUICK), FindingCode.NO_ANSWER)


def test_a_local_address_that_this_machine_does_not_have(network):
    with SinkServer().in_thread() as sink:
        found = outcome(draft_to(sink, source_address="192.0.2.9"), network)
        finding = decisive(found, FindingCode.SOURCE_ADDRESS_UNUSABLE)
        assert finding.facts["source_address"] == "192.0.2.9"
        assert sink.sessions == 0


def test_the_local_address_that_a_connection_is_bound_to_is_what_its_server_sees(network):
    with SinkServer().in_thread() as sink:
        assert outcome(draft_to(sink, source_address="127.0.0.2"), network).seen_address == "127.0.0.2"


def test_a_server_that_says_nothing(network):
    decisive(scripted("@close", network), FindingCode.SILENT)


@pytest.mark.parametrize(
    ("banner", "kind"),
    [
        ("HTTP/1.1 400 Bad Request", "web"),
        ("<html>secret-inside", "web"),
        ("* OK [CAPABILITY IMAP4rev1] secret-inside", "imap"),
        ("+OK POP3 secret-inside", "pop"),
        ("SSH-2.0-secret-inside", "ssh"),
        ("secret-inside", None),
    ],
)
def test_what_is_not_smtp_is_named_by_its_kind_and_not_repeated(network, banner, kind):
    found = scripted(f"S: {banner}\n@close any", network)
    assert decisive(found, FindingCode.NOT_SMTP).facts.get("speaks") == kind
    assert banner[:8] not in repr(found)
    assert "secret-inside" not in repr(found)


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        ("421 4.3.2 too busy", FindingCode.GREETING_BUSY),
        ("554 5.7.1 no SMTP service here", FindingCode.GREETING_REJECTED),
    ],
)
def test_a_greeting_that_sends_us_away(network, greeting, code):
    found = scripted(f"S: {greeting}\n@close any", network)
    finding = decisive(found, code)
    assert f"{finding.facts['code']} {finding.facts['said']}" == greeting
    assert greeting in words(finding)["why"]


def test_a_refused_introduction(network):
    found = scripted(f"{GREETED}\nS: 550 5.7.1 I do not like your name\nC: QUIT\nS: 221 bye\n@close", network)
    decisive(found, FindingCode.EHLO_REFUSED)


# Encryption


def test_ssl_on_a_port_for_starttls(network):
    finding = decisive(
        scripted("S: 220 mx.example.org ESMTP\n@close any", network, "ssl"), FindingCode.SSL_ON_STARTTLS_PORT
    )
    assert (finding.facts["suggested_encryption"], finding.facts["suggested_port"]) == ("starttls", "587")


@pytest.mark.parametrize("encryption", ["starttls", "none"])
def test_starttls_or_none_on_a_port_for_ssl_where_the_server_complains(network, encryption):
    finding = decisive(scripted("@alert\n@close any", network, encryption), FindingCode.STARTTLS_ON_SSL_PORT)
    assert finding.facts["suggested_encryption"] == "ssl"
    assert ("“TLS”" if encryption == "starttls" else "“None”") in words(finding)["why"]


def test_starttls_on_a_port_for_ssl_where_the_server_waits(roots):
    async def lookup(host, port):
        return (ipaddress.ip_address("127.0.31.7"),)

    fields = {"host": "127.0.31.7", "port": 2465}
    found = scripted("@close any", loopback_network(roots, lookup), "starttls", server_fields=fields)
    decisive(found, FindingCode.STARTTLS_ON_SSL_PORT)


def test_starttls_not_offered_sends_no_password(network):
    with played(ScriptedServer(f"{WELCOMED}\nC: QUIT\nS: 221 bye\n@close")) as server:
        found = outcome(draft_to(server, "starttls", password=PASSWORD), network)
    decisive(found, FindingCode.STARTTLS_NOT_OFFERED)
    assert bytes(server.heard) == b"EHLO client.example.org\r\nQUIT\r\n"


def test_starttls_refused(network):
    offer = r"S- 250-mx\r\n250 STARTTLS\r\n"
    script = f"{GREETED}\n{offer}\nC: STARTTLS\nS: 454 4.7.0 not available\nC: QUIT\nS: 221 bye\n@close"
    decisive(scripted(script, network, "starttls"), FindingCode.STARTTLS_REFUSED)


CERTIFICATES = [
    (lambda: the_authority().expired("localhost"), FindingCode.CERTIFICATE_EXPIRED, "expired_at"),
    (
        lambda: the_authority().not_yet_valid("localhost"),
        FindingCode.CERTIFICATE_NOT_YET_VALID,
        "valid_from",
    ),
    (
        lambda: the_authority().certificate("mail.other.example"),
        FindingCode.CERTIFICATE_WRONG_NAME,
        "names",
    ),
    (lambda: self_signed("localhost"), FindingCode.CERTIFICATE_SELF_SIGNED, "fingerprint"),
]


@pytest.mark.parametrize("encryption", ["ssl", "starttls"])
@pytest.mark.parametrize(("make", "code", "fact"), CERTIFICATES)
def test_a_certificate_that_is_wrong_is_told_with_its_facts(network, encryption, make, code, fact):
    certificate = make()
    sink = SinkServer(encryption=encryption, certificate=certificate, login="app", password=PASSWORD)
    with sink.in_thread():
        found = outcome(draft_to(sink, encryption, password=PASSWORD), network)
    finding = decisive(found, code)
    assert finding.facts["fingerprint"] == certificate.fingerprint
    shown = words(finding)["why"]
    assert "Neither login nor password was sent" in shown
    if fact in {"names", "fingerprint"}:
        assert finding.facts[fact] in shown
    else:
        assert "validity: " in shown
    assert found.steps[-1].error == finding_cause(code)
    assert b"AUTH" not in sink.heard


def finding_cause(code: FindingCode) -> str:
    return {FindingCode.CERTIFICATE_WRONG_NAME: "certificate_name"}.get(code, code.value)


def test_a_certificate_of_an_unknown_authority_names_that_authority():
    with SinkServer(encryption="ssl").in_thread() as sink:
        found = outcome(draft_to(sink, "ssl"), loopback_network())
    finding = decisive(found, FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY)
    assert "trustme" in finding.facts["issuer"]
    assert "It was issued by: trustme" in words(finding)["why"]


def test_outdated_encryption(network):
    alert = r"\x15\x03\x01\x00\x02\x02\x46"  # protocol_version, RFC 8446 §6.2
    found = scripted(f"@read 5\nS- {alert}\n@close any", network, "ssl")
    decisive(found, FindingCode.TLS_TOO_OLD)


# Signing in and being let through


def test_a_wrong_password(network):
    found = answered(network, password="guessed-wrong")
    finding = decisive(found, FindingCode.AUTH_REFUSED)
    assert [finding.code for finding in found.findings] == ["auth_refused", "login_without_domain"]
    assert finding.facts["said"] == "5.7.8 bad credentials"
    assert found.tls is not None
    assert found.capabilities["auth"] == ["PLAIN", "LOGIN"]


def test_a_server_that_takes_no_login(network):
    with SinkServer(encryption="ssl").in_thread() as sink:
        found = outcome(draft_to(sink, "ssl", password=PASSWORD), network)
    decisive(found, FindingCode.AUTH_NOT_OFFERED)
    assert b"AUTH" not in sink.heard


def test_no_way_of_signing_in_in_common(network):
    finding = decisive(
        answered(network, sink_fields={"mechanisms": "XOAUTH2 OAUTHBEARER"}), FindingCode.NO_MECHANISM
    )
    assert "XOAUTH2 OAUTHBEARER" in words(finding)["why"]


def test_a_server_that_takes_tokens_alone_is_no_dead_end(network):
    told = words(answered(network, sink_fields={"mechanisms": "XOAUTH2 OAUTHBEARER"}).findings[0])
    assert "so does Vaguemestre" in told["remedy"]
    told = words(answered(network, sink_fields={"mechanisms": "GSSAPI NTLM"}).findings[0])
    assert "OAuth2" not in told["remedy"]


@pytest.mark.parametrize(
    ("script", "label"),
    [
        ("S: 250 hello", "Its answer makes no sense"),
        (f"{SIGNING_IN}\nS: 250 ok", "Its answer makes no sense"),
        (f"{SIGNING_IN}\nS: 334 go on\nC: *\nS: 334 go on", "Its answer makes no sense"),
        (f"{SIGNING_IN}\nS: 334 go on\nC: *\nS: 501 as you like", "Login refused"),
    ],
)
def test_a_yes_to_another_question_is_no_step_that_went_well(network, script, label):
    found = scripted(f"{script}\n@close any", network, password=PASSWORD)
    decisive(found, FindingCode.PROTOCOL_BROKEN)
    assert [step_text(step) for step in found.steps if step_failed(step)] == [label]


@pytest.mark.parametrize(
    ("greeting", "code"),
    [(r"220 mx\n", FindingCode.PROTOCOL_BROKEN), (r"HI 220 mx\r\n", FindingCode.NOT_SMTP)],
)
def test_a_mail_server_that_breaks_the_rules_is_not_called_another_service(network, greeting, code):
    decisive(scripted(f"S- {greeting}\n@close any", network), code)


@pytest.mark.parametrize("echo", [PASSWORD.upper(), FORMS_OF_THE_PASSWORD[2].upper(), PASSWORD.title()])
def test_a_server_that_repeats_the_login_in_capitals_shows_nobody_the_password(network, echo):
    found = scripted(f"{SIGNING_IN}\nS: 500 unknown: {echo}!\n@close any", network, password=PASSWORD)
    assert found.findings[0].facts["said"] == "unknown: ***!"
    assert echo.lower() not in repr(found).lower()


@pytest.mark.parametrize(
    ("phase", "reply", "code"),
    [
        ("auth", "421 4.7.0 Authentication failed, too many bad passwords", FindingCode.AUTH_REFUSED),
        ("auth", "421 4.7.0 Try again later", FindingCode.SERVICE_CLOSING),
        (
            "auth",
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
            FindingCode.MICROSOFT_TENANT_OR_MAILBOX_OFF,
        ),
        ("auth", "534 5.7.9 Application-specific password required", FindingCode.GOOGLE_APP_PASSWORD),
        ("auth", "454 4.7.0 temporary authentication failure", FindingCode.AUTH_TEMPORARILY_UNAVAILABLE),
        ("mail", "553 5.7.1 Sender address rejected: not owned by user app", FindingCode.SENDER_REFUSED),
        ("mail", "530 5.7.0 Authentication required", FindingCode.AUTHENTICATION_REQUIRED),
        ("mail", "554 5.7.1 Client host [192.0.2.1] rejected: Access denied", FindingCode.ADDRESS_NOT_LISTED),
        ("mail", "450 4.3.2 please try again later", FindingCode.TEMPORARILY_REFUSED),
        ("mail", "421 4.3.2 shutting down", FindingCode.SERVICE_CLOSING),
    ],
)
def test_a_refusal_at_login_or_sender(network, phase, reply, code):
    found = answered(network, sink_fields={"hooks": {phase: lambda _: Answer(reply)}})
    finding = decisive(found, code)
    assert reply in words(finding)["why"]
    assert found.steps[-1].phase == phase


def test_a_sender_beyond_ascii_needs_a_server_that_takes_it(network):
    sender = Mailbox.parse("élodie@example.org")
    keywords = {"keywords": ("8BITMIME", "SIZE 52428800")}
    finding = decisive(
        answered(network, sink_fields=keywords, sender=sender), FindingCode.SENDER_NEEDS_SMTPUTF8
    )
    assert "élodie@example.org" in words(finding)["what"]
    decisive(answered(network, sender=sender), FindingCode.OK)


def test_a_certificate_that_ends_soon_is_a_warning_and_it_works(network):
    authority = trustme.CA()
    now = dt.datetime.now(dt.UTC)  # the handshake goes by it as well
    leaf = authority.issue_cert("localhost", not_after=now + dt.timedelta(days=5, hours=1))
    certificate = Certificate(leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes())
    with authority.cert_pem.tempfile() as pem:
        sink = SinkServer(encryption="ssl", certificate=certificate)
        with sink.in_thread():
            found = outcome(draft_to(sink, "ssl"), loopback_network(pem), now=now)
    assert found.ok
    assert [finding.code for finding in found.findings] == ["certificate_expires_soon", "ok"]
    assert found.findings[0].facts["days"] == "5"
