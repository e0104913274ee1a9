"""Clients that are not ours: smtplib, aiosmtplib, swaks."""

import asyncio
import smtplib
import ssl
import subprocess
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import ip_network
from os import environ, geteuid

import aiosmtplib
import pytest

from scripted.certificates import the_authority, the_certificate
from submission.door import eventually
from system.postfix import Postfix
from vaguemestre.ledger.models import Chunk, Message


def letter():
    message = EmailMessage()
    message["From"] = "Zoé <app@example.org>"
    message["To"] = "Élodie <to@example.net>, second@example.net"
    message["Subject"] = "Été à la plage"
    message.set_content("Bonjour\n.\n..\nAu revoir\n")
    message.add_attachment(bytes(range(256)) * 400, "application", "octet-stream", filename="tout.bin")
    return message


def content_of(message):
    return b"".join(bytes(chunk.data) for chunk in Chunk.objects.filter(message=message).order_by("position"))


def the_letter_is_in_the_ledger():
    (message,) = Message.objects.all()
    parsed = message_from_bytes(content_of(message), policy=SMTP)
    assert parsed["Subject"] == "Été à la plage"
    assert parsed.get_body().get_content().splitlines() == ["Bonjour", ".", "..", "Au revoir"]
    (attachment,) = parsed.iter_attachments()
    assert attachment.get_content() == bytes(range(256)) * 400
    assert sorted(message.delivery_set.values_list("recipient", flat=True)) == [
        "second@example.net",
        "to@example.net",
    ]


@pytest.fixture
def context():
    return ssl.create_default_context(cadata=the_authority().pem.decode())


def test_smtplib_over_loopback(door, key):
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.login("app", key)
        client.send_message(letter())
    the_letter_is_in_the_ledger()


def test_smtplib_behind_starttls(open_door, key, context):
    door = open_door(certificate=the_certificate())
    with smtplib.SMTP("localhost", door.port) as client:
        client.starttls(context=context)
        client.login("app", key)
        client.send_message(letter())
    the_letter_is_in_the_ledger()


def test_smtplib_with_implicit_tls(open_door, key, context):
    door = open_door(certificate=the_certificate())
    with smtplib.SMTP_SSL("localhost", door.tls_port, context=context) as client:
        client.login("app", key)
        client.send_message(letter())
    the_letter_is_in_the_ledger()


def test_smtplib_is_told_a_wrong_key(door, key):
    client = smtplib.SMTP("127.0.0.1", door.port)
    with client, pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        client.login("app", "vgm_wrong")
    assert refusal.value.smtp_code in {421, 535}


def test_smtplib_with_addresses_beyond_ascii(door, key):
    message = letter()
    del message["To"]
    message["To"] = "élan@example.net"
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.login("app", key)
        client.send_message(message)
    (stored,) = Message.objects.all()
    assert list(stored.delivery_set.values_list("recipient", flat=True)) == ["élan@example.net"]
    assert "élan@example.net".encode() in content_of(stored)


@pytest.mark.parametrize(
    "encryption", [{}, {"start_tls": True}, {"use_tls": True}], ids=["plain", "starttls", "tls"]
)
def test_aiosmtplib(open_door, key, context, encryption):
    door = open_door(certificate=the_certificate())
    options = {"hostname": "localhost", "port": door.tls_port if "use_tls" in encryption else door.port}
    options |= {"start_tls": False} | encryption | ({"tls_context": context} if encryption else {})

    async def send():
        await aiosmtplib.send(letter(), username="app+invoices", password=key, **options)
        await asyncio.sleep(0.05)  # its transport closes a little later

    asyncio.run(send())
    the_letter_is_in_the_ledger()
    assert Message.objects.get().stream.key == "invoices"


@pytest.mark.needs("swaks")
@pytest.mark.parametrize(
    "options",
    [
        ["--auth", "PLAIN"],
        ["--auth", "LOGIN"],
        ["--auth", "PLAIN", "--pipeline"],
        ["--auth", "LOGIN", "--tls"],
        ["--auth", "PLAIN", "--tlsc"],
    ],
    ids=" ".join,
)
def test_swaks(open_door, key, options):
    door = open_door(certificate=the_certificate())
    port = door.tls_port if "--tlsc" in options else door.port
    command = [
        "swaks",
        "--server",
        f"127.0.0.1:{port}",
        "--from",
        "app@example.org",
        "--to",
        "a@example.net,b@example.net",
    ]
    command += ["--auth-user", "app", "--auth-password", key, "--body", "Guten Tag", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout
    assert "250 2.0.0 queued as " in done.stdout
    assert Message.objects.get().delivery_set.count() == 2


@pytest.mark.needs("curl")
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_curl(open_door, key, tmp_path, scheme):
    door = open_door(certificate=the_certificate())
    port = door.tls_port if scheme == "smtps" else door.port
    mail = tmp_path / "letter"
    mail.write_bytes(letter().as_bytes(policy=SMTP))
    command = [
        *("curl", "--silent", "--show-error", f"{scheme}://localhost:{port}/client.example"),
        *("--ssl-reqd", "--cacert", str(the_authority().write(tmp_path)), "--user", f"app:{key}"),
        *("--mail-from", "app@example.org", "--mail-rcpt", "to@example.net"),
        *("--mail-rcpt", "second@example.net", "--upload-file", str(mail)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    the_letter_is_in_the_ledger()


@pytest.mark.needs("smtp-source")
def test_smtp_source_over_five_sessions(open_door):
    door = open_door(trust=(ip_network("127.0.0.0/8"),))
    command = [
        "smtp-source",
        "-s",
        "5",
        "-m",
        "50",
        "-l",
        "4096",
        "-f",
        "app@example.org",
        "-t",
        "to@example.net",
    ]
    path = {"PATH": environ["PATH"] + ":/usr/sbin:/sbin"}
    done = subprocess.run(
        [*command, f"inet:127.0.0.1:{door.port}"], capture_output=True, timeout=30, env=path, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert Message.objects.count() == 50


RELAYING = """\
smtp_tls_security_level = encrypt
smtp_tls_CAfile = {authority}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{{ {{ [127.0.0.1]:{port} = app+invoices:{key} }} }}
smtp_sasl_security_options = noanonymous
smtp_sasl_tls_security_options = noanonymous
"""


@pytest.mark.needs("postfix", "saslpasswd2")
def test_a_postfix_relays_through_us_with_sasl_and_tls(open_door, key, tmp_path, context):
    if geteuid() != 0 and environ.get("VAGUEMESTRE_TEST_REQUIRE") != "all":
        pytest.skip("Postfix runs as root only")
    door = open_door(certificate=the_certificate())
    authority = the_authority().write(tmp_path)
    settings = RELAYING.format(authority=authority, port=door.port, key=key)
    with Postfix(door.port, sender="app@example.org", settings=settings) as postfix:
        with smtplib.SMTP("localhost", postfix.port) as client:
            client.starttls(context=context)
            client.login(postfix.login, postfix.password)
            client.sendmail(
                "app@example.org",
                ["to@example.net", "second@example.net"],
                letter().as_bytes(policy=SMTP),
                ["RET=HDRS", "ENVID=one", "BODY=8BITMIME"],
                ["NOTIFY=FAILURE,DELAY"],
            )
        assert eventually(lambda: Message.objects.count() == 1, 20), postfix.log()
    the_letter_is_in_the_ledger()
    message = Message.objects.get()
    assert message.stream.key == "invoices"
    assert (message.ret, message.envid) == ("HDRS", "one")
    assert set(message.delivery_set.values_list("notify", flat=True)) == {"FAILURE,DELAY"}
