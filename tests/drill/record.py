"""Record how real servers fail: `python -m drill.record [NAME…]` in tests/, as root.

Each recording starts a Postfix, an Exim or an OpenSMTPD with one thing wrong, opens the session that a
verification opens, and writes down what both sides said, as a dialogue of `scripted.dialogue` with a head.
"""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drill.case import TRANSCRIPTS, certificate_of
from drill.real_servers import LOGIN, PASSWORD, Exim, OpenSMTPD, unpacked
from scripted.certificates import the_authority
from scripted.client import hop_to, loopback_network
from system.postfix import Postfix
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.secret import Secret
from vaguemestre.smtp.opening import bring_up
from vaguemestre.smtp.question import ask
from vaguemestre.smtp.session import RESPONSE, Session, SessionFailed
from vaguemestre.smtp.timeouts import Timeouts

SSL_PORT = 2465
NOWHERE = 9  # where nothing takes the mail that no drill sends
FOLDER = tempfile.TemporaryDirectory(prefix="vgm-drill-")
IN_CLEAR = "smtpd_tls_security_level = none\nsmtpd_tls_auth_only = no\n"
AT_ONCE = "smtpd_delay_reject = no\n"  # refuse where the fault is, not only at RCPT
TLS = "tls_advertise_hosts = *\n"
LISTENS = "listen on 127.0.0.1 port {port} hostname mail.example.org pki mail"
CRAM = "cram:\n  driver = cram_md5\n  public_name = CRAM-MD5\n  server_secret = x\n"


@dataclass(frozen=True)
class Recording:
    """One server with one thing wrong, and how it is tried.

    Attributes:
        name: of the file.
        finding: what must come first.
        what: is wrong there, for the head.
        server: makes it, of the unpacked packages and the certificate.
        head: further lines of the head, which the drill reads: how it is tried.
        before: what happens beforehand, with the port.
    """

    name: str
    finding: str
    what: str
    server: Callable[..., Any]
    head: dict[str, str] = field(default_factory=dict)
    before: Callable[[int], Any] = lambda port: contextlib.nullcontext()


def postfix(settings=""):
    def make(_, certificate):
        shown = ""
        if certificate is not None:
            chain, key = certificate.write(_folder())
            shown = f"smtpd_tls_cert_file = {chain}\nsmtpd_tls_key_file = {key}\n"
        return Postfix(NOWHERE, login=LOGIN, password=PASSWORD, settings=shown + settings)

    return make


def exim(settings="", rules="", **fields):
    return lambda root, certificate: Exim(root, settings, rules, certificate=certificate, **fields)


def opensmtpd(settings):
    return lambda root, certificate: OpenSMTPD(root, settings, certificate=certificate)


def on_ssl_port(make):
    """The same on a port where servers want TLS at once."""

    def moved(root, certificate):
        server = make(root, certificate)
        server.port = SSL_PORT
        return server

    return moved


@contextlib.contextmanager
def taken(port):
    """Somebody else's session is open already."""
    while True:  # the server may still count who asked whether it runs
        with socket.create_connection(("127.0.0.1", port)) as other:
            if other.recv(100).startswith(b"220"):
                yield
                return


@contextlib.contextmanager
def once_before(port):
    """A first sender was taken."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        for line in ("", "EHLO other.example.org\r\n", "MAIL FROM:<office@example.org>\r\n"):
            other.sendall(line.encode())
            other.recv(1000)
        yield


KNOWN = {"login": LOGIN, "password": PASSWORD}
OFFICE = {"sender": "office@example.org"}
CLEAR = {"encryption": "none"} | OFFICE
TO = {"recipient": "reader@example.net"}
STARTTLS = {"encryption": "starttls"} | OFFICE
SSL = {"encryption": "ssl"} | OFFICE

RECORDINGS = [
    Recording("ok-postfix", "ok", "nothing", postfix(), STARTTLS | KNOWN),
    Recording("ok-exim", "ok", "nothing", exim(TLS + "acl_smtp_mail = yes\n"), STARTTLS | KNOWN),
    # reaching it
    Recording("greeting-load-exim", "greeting_busy", "smtp_load_reserve = 0, with any load", exim("smtp_load_reserve = 0.0001\nsmtp_reserve_hosts = 192.0.2.1\n"), CLEAR),
    Recording("greeting-rejected-exim", "greeting_rejected", "host_reject_connection = *", exim("host_reject_connection = *\n"), CLEAR),
    Recording("greeting-taken-postfix", "too_many_connections", "smtpd_client_connection_count_limit = 1, and one is open", postfix(IN_CLEAR + "smtpd_client_connection_count_limit = 1\nsmtpd_client_event_limit_exceptions =\n"), CLEAR, taken),
    Recording("greeting-taken-exim", "too_many_connections", "smtp_accept_max_per_host = 1, and one is open", exim("smtp_accept_max_per_host = 1\n"), CLEAR, taken),
    Recording("ehlo-refused-postfix", "ehlo_refused", "reject_non_fqdn_helo_hostname", postfix(IN_CLEAR + AT_ONCE + "smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n"), CLEAR | {"ehlo": "localhost"}),
    Recording("ehlo-refused-at-rcpt-postfix", "ehlo_refused", "reject_non_fqdn_helo_hostname, delayed until RCPT", postfix(IN_CLEAR + "smtpd_sender_restrictions =\nsmtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n"), CLEAR | TO | {"ehlo": "localhost"}),
    Recording("ehlo-refused-exim", "ehlo_refused", "acl_smtp_helo denies", exim("acl_smtp_helo = no\n"), CLEAR),
    # encryption
    Recording("ssl-on-starttls-port-postfix", "ssl_on_starttls_port", "SSL chosen on its port for STARTTLS", postfix(), SSL | KNOWN),
    Recording("ssl-on-starttls-port-exim", "ssl_on_starttls_port", "SSL chosen on its port for STARTTLS", exim(TLS), SSL | KNOWN),
    *(
        Recording(f"starttls-on-ssl-port-{server}", "starttls_on_ssl_port", f"TLS chosen on its port for SSL: {what}", on_ssl_port(make), STARTTLS | {"at": at, "port": str(SSL_PORT)})
        for server, what, make, at in (
            ("postfix", "smtpd_tls_wrappermode = yes", postfix("smtpd_tls_wrappermode = yes\n"), "127.0.31.8"),
            ("exim", "tls_on_connect_ports", exim(TLS + f"tls_on_connect_ports = {SSL_PORT}\n"), "127.0.31.9"),
            ("opensmtpd", "listen with smtps", opensmtpd(LISTENS.replace(" pki", " smtps pki")), "127.0.31.10"),
        )
    ),
    Recording("starttls-not-offered-postfix", "starttls_not_offered", "smtpd_tls_security_level = none", postfix(IN_CLEAR), STARTTLS | KNOWN),
    Recording("starttls-not-offered-opensmtpd", "starttls_not_offered", "listen without tls", opensmtpd(LISTENS.removesuffix(" pki mail")), STARTTLS | KNOWN),
    Recording("starttls-refused-postfix", "starttls_refused", "a key file that is not there", postfix("smtpd_tls_security_level = may\nsmtpd_tls_key_file = /nonexistent/key.pem\n"), STARTTLS | KNOWN),
    Recording("starttls-refused-exim", "starttls_refused", "a certificate that is not there", exim(TLS, chain="/nonexistent/chain.pem"), STARTTLS | KNOWN),
    Recording("encryption-required-postfix", "encryption_required", "smtpd_tls_security_level = encrypt, tried in clear", postfix(), CLEAR),
    Recording("encryption-required-opensmtpd", "encryption_required", "listen with tls-require, tried in clear", opensmtpd(LISTENS.replace(" pki", " tls-require pki")), CLEAR),
    *(
        Recording(f"certificate-{name.replace('_', '-')}-{server}", finding, f"its certificate: {name}", make, STARTTLS | KNOWN | {"certificate": name})
        for name, finding in (
            ("expired", "certificate_expired"),
            ("not_yet_valid", "certificate_not_yet_valid"),
            ("wrong_name", "certificate_wrong_name"),
            ("self_signed", "certificate_self_signed"),
            ("unknown", "certificate_unknown_authority"),
        )
        for server, make in (("postfix", postfix()),)
    ),
    Recording("certificate-self-signed-exim", "certificate_self_signed", "its certificate: self_signed", exim(TLS), STARTTLS | KNOWN | {"certificate": "self_signed"}),
    Recording("tls-too-old-postfix", "tls_too_old", "smtpd_tls_mandatory_protocols = <=TLSv1.1", postfix("smtpd_tls_mandatory_protocols = >=TLSv1, <=TLSv1.1\nsmtpd_tls_mandatory_ciphers = low\ntls_low_cipherlist = ALL:@SECLEVEL=0\n"), STARTTLS | KNOWN),
    Recording("tls-failed-postfix", "tls_failed", "no cipher in common", postfix("smtpd_tls_mandatory_protocols = TLSv1.2\ntls_high_cipherlist = ECDHE-RSA-AES128-GCM-SHA256\nsmtpd_tls_mandatory_ciphers = high\n"), STARTTLS | KNOWN),
    # signing in
    Recording("auth-not-offered-postfix", "auth_not_offered", "smtpd_sasl_auth_enable = no", postfix("smtpd_sasl_auth_enable = no\nsmtpd_sender_restrictions =\nsmtpd_relay_restrictions = reject\nsmtpd_recipient_restrictions = reject\n"), STARTTLS | KNOWN),
    Recording("no-mechanism-exim", "no_mechanism", "CRAM-MD5 alone", exim(TLS, authenticators=CRAM), STARTTLS | KNOWN),
    *(
        Recording(f"{name}-{server}", finding, what, make, STARTTLS | head)
        for name, finding, what, head in (
            ("auth-refused", "auth_refused", "a wrong password", {"login": "reception@example.org", "password": "wrong"}),
            ("login-without-domain", "login_without_domain", "a login cut off before the @", {"login": "office", "password": "wrong"}),
            ("password-blank-edge", "password_blank_edge", "a blank behind the password", {"login": LOGIN, "password": PASSWORD + r"\x20"}),
            ("app-password-spaces", "app_password_spaces", "an app password with its spaces", {"login": LOGIN, "password": "abcd efgh ijkl mnop"}),
        )
        for server, make in (("postfix", postfix()), ("exim", exim(TLS)), ("opensmtpd", opensmtpd(LISTENS.replace(" pki", " tls pki") + " auth <users>")))
    ),
    Recording("authentication-required-opensmtpd", "authentication_required", "listen with auth, and no login", opensmtpd(LISTENS.replace(" pki", " tls pki") + " auth <users>"), STARTTLS),
    # being let through
    Recording("sender-not-owned-postfix", "sender_refused", "reject_sender_login_mismatch", postfix(AT_ONCE), STARTTLS | KNOWN | {"sender": "other@example.org"}),
    Recording("sender-refused-exim", "sender_refused", "acl_smtp_mail denies", exim(TLS + "acl_smtp_mail = no\n"), STARTTLS | KNOWN),
    Recording("sender-domain-unknown-postfix", "sender_domain_unknown", "reject_unknown_sender_domain", postfix(IN_CLEAR + AT_ONCE + "smtpd_sender_restrictions = reject_unknown_sender_domain\n"), CLEAR | {"sender": "office@nowhere.invalid"}),
    Recording("sender-needs-smtputf8-postfix", "sender_needs_smtputf8", "smtputf8_enable = no", postfix("smtputf8_enable = no\n"), STARTTLS | KNOWN | {"sender": "büro@example.org"}),
    Recording("address-not-listed-postfix", "address_not_listed", "smtpd_client_restrictions = reject", postfix(IN_CLEAR + AT_ONCE + "smtpd_client_restrictions = reject\n"), CLEAR),
    Recording("address-not-listed-at-mail-postfix", "address_not_listed", "check_client_access rejects at MAIL", postfix(IN_CLEAR + AT_ONCE + "smtpd_sender_restrictions = check_client_access inline:{{127.0.0.1=REJECT}}\n"), CLEAR),
    Recording("address-without-name-postfix", "address_without_name", "reject_unknown_client_hostname", postfix(IN_CLEAR + AT_ONCE + "smtpd_client_restrictions = reject_unknown_client_hostname\n"), CLEAR | {"source_address": "127.0.44.1"}),
    Recording("rate-postfix", "rate_limited", "smtpd_client_message_rate_limit = 1, and one was sent", postfix(IN_CLEAR + AT_ONCE + "smtpd_sender_restrictions =\nsmtpd_client_message_rate_limit = 1\nsmtpd_client_event_limit_exceptions =\n"), CLEAR, once_before),
    Recording("later-exim", "temporarily_refused", "acl_smtp_mail defers", exim("acl_smtp_mail = later\n", "later:\n  defer\n"), CLEAR),
    Recording("relay-denied-postfix", "relay_denied", "reject_unauth_destination", postfix(IN_CLEAR + "smtpd_sender_restrictions =\nsmtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination\n"), CLEAR | TO),
    Recording("relay-denied-exim", "relay_denied", "acl_smtp_rcpt denies, in the words of Debian's configuration", exim("acl_smtp_rcpt = strangers\n", "strangers:\n  deny message = relay not permitted\n"), CLEAR | TO),
    Recording("recipient-refused-opensmtpd", "recipient_refused", "no rule matches", opensmtpd(LISTENS.removesuffix(" pki mail")), CLEAR | TO),
    Recording("recipient-refused-postfix", "recipient_refused", "check_recipient_access rejects", postfix("smtpd_recipient_restrictions = check_recipient_access inline:{{reader@example.net=550 5.1.1 no such user}}, permit_sasl_authenticated, reject\n"), STARTTLS | KNOWN | TO),
    # it works, and
    Recording("expires-soon-postfix", "certificate_expires_soon", "its certificate has nine days left", postfix(), STARTTLS | KNOWN | {"certificate": "soon", "facts": "days=9"}),
    Recording("small-size-postfix", "small_size_limit", "message_size_limit = 5242880", postfix("message_size_limit = 5242880\n"), STARTTLS | KNOWN),
    Recording("no-smtputf8-opensmtpd", "no_smtputf8", "it has no SMTPUTF8", opensmtpd(LISTENS.replace(" pki", " tls pki") + " auth <users>"), STARTTLS | KNOWN),
    Recording("no-smtputf8-postfix", "no_smtputf8", "smtputf8_enable = no", postfix("smtputf8_enable = no\n"), STARTTLS | KNOWN),
    Recording("no-eight-bit-postfix", "no_eight_bit", "smtpd_discard_ehlo_keywords = 8bitmime", postfix("smtpd_discard_ehlo_keywords = 8bitmime\n"), STARTTLS | KNOWN),
    Recording("no-credentials-postfix", "no_credentials_but_offered", "a login is offered, and none filled in", postfix("smtpd_sender_restrictions =\n"), STARTTLS),
]  # fmt: skip


def record(recording, root):
    """The dialogue's text."""
    certificate = certificate_of(recording.head.get("certificate", "good"))
    with recording.server(root, certificate) as server, recording.before(server.port):
        steps = asyncio.run(_tried(server, recording))
        source = f"{_version(server)}: {recording.what}"
        said = [*_greeted_in_clear(server, steps), *_dialogue(steps, recording.head, server)]
    if any((step.error or "").startswith("certificate_") for step in steps):
        said += ["----", *said]  # the session comes again, only to read the certificate that it refused
    head = {"finding": recording.finding, "tag": "recorded", "source": source} | recording.head
    return "\n".join([*(f"# {name}: {value}" for name, value in head.items()), "", *said]) + "\n"


async def _tried(server, recording):
    steps, recipient = [], recording.head.get("recipient")
    session = Session(
        _hop(server, recording.head), loopback_network(_roots()), Timeouts().at_most(5.0), steps.append
    )
    session.mute = lambda: None  # the goodbye belongs to the dialogue
    with contextlib.suppress(SessionFailed):
        await bring_up(session)
        await ask(session, Mailbox.parse(recipient) if recipient else None)
    await session.quit()
    return steps


def _hop(server, head):
    fields = {"sender": Mailbox.parse(head["sender"]), "ehlo_name": head.get("ehlo", "client.example.org")}
    if "login" in head:
        secret = Secret(head["password"].replace(r"\x20", " "))
        fields |= {"auth": AuthKind.PASSWORD, "login": head["login"], "secret": secret}
    fields["source_address"] = head.get("source_address", "")
    return hop_to(server, Encryption(head["encryption"]), **fields)


def _folder():
    """A new one, which goes with the rest at the end."""
    return Path(tempfile.mkdtemp(dir=FOLDER.name))


def _roots():
    return str(the_authority().write(_folder()))


def _version(server):
    if isinstance(server, Postfix):
        told = subprocess.run(
            ["postconf", "-d", "-h", "mail_version"], check=True, capture_output=True, text=True
        )
        return f"Postfix {told.stdout.strip()}"
    return server.version()


def _greeted_in_clear(server, steps):
    """What a server says that is offered TLS at once and does not take it."""
    if all(step.error is not Cause.TLS_NOT_SPOKEN for step in steps):
        return
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as plug:
        yield f"S: {plug.recv(500).decode().rstrip()}"


def _alert(port):
    """The octets that answer a greeting of TLS after STARTTLS."""
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(theirs, ours, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plug:
        for line in (b"", b"EHLO client.example.org\r\n", b"STARTTLS\r\n", ours.read()):
            plug.sendall(line)
            said = plug.recv(1000)
    return "".join(f"\\x{octet:02x}" for octet in said)


def _dialogue(steps, head, server):
    for step in steps:
        if step.phase in {Phase.RESOLVE, Phase.CONNECT}:
            continue
        if step.sent == "TLS handshake":
            if step.error is Cause.TLS_NOT_SPOKEN:
                break
            if step.error in {Cause.TLS_TOO_OLD, Cause.TLS_FAILED}:
                yield "@read 5"  # the head of our first record; the rest does not matter
                yield f"S- {_alert(server.port)}"
                continue
            yield f"@tls {head['certificate']}" if "certificate" in head else "@tls"
            continue
        yield from _said_by_us(step)
        if step.reply is not None:
            yield from _said_by_it(step.reply)
        elif step.error is Cause.LOST:
            yield "@drop"
    yield "@close any"


def _said_by_us(step):
    if step.sent.endswith(RESPONSE):
        yield f"C~ {step.sent.removesuffix(RESPONSE)}[A-Za-z0-9+/=]+"
    elif step.sent and step.error not in {Cause.NOT_OFFERED, Cause.NO_MECHANISM}:
        yield f"C: {step.sent}"


def _said_by_it(reply):
    *lines, last = reply.text.split("\n")
    for line in lines:
        yield f"S: {reply.code}-{line}"
    yield f"S: {reply.code} {last}".rstrip()


def main(names):
    TRANSCRIPTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = unpacked(Path(folder))
        for recording in RECORDINGS:
            if not names or recording.name in names:
                (TRANSCRIPTS / f"{recording.name}.txt").write_text(record(recording, root))
                print(recording.name)  # noqa: T201  a command's output


if __name__ == "__main__":
    main(sys.argv[1:])
