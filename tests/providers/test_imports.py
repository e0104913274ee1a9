"""What was pasted becomes values of a connection; what was not understood is told by line and name, never value."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaguemestre.ledger import fields
from vaguemestre.mail.errors import Invalid
from vaguemestre.providers.imports.read import MOST, kind_of, read
from vaguemestre.providers.imports.reading import Kind, Unread, Why

PASTED = Path(__file__).parent / "pasted"


def pasted(name):
    return read((PASTED / name).read_text())


def only(reading):
    (found,) = reading.found
    return found


def secret(found):
    return found.password and found.password.reveal()


def unread(reading):
    return [(one.line, one.name, one.why) for one in reading.unread]


# A real-looking file of each kind


def test_laravels_environment():
    reading = pasted("laravel.env")
    found = only(reading)
    assert reading.kind == Kind.ENV
    assert found.values == {
        "host": "ssl0.ovh.net", "port": "465", "encryption": "ssl", "login": "contact@sainte-foy.example",
        "sender_email": "contact@sainte-foy.example", "sender_name": "Mairie de Sainte-Foy",
    }  # fmt: skip
    assert secret(found) == 'p@ss#mot "7"'
    assert unread(reading) == [(15, "MAIL_MARKDOWN_THEME", Why.UNKNOWN)]


def test_an_environment_of_smtp_variables():
    reading = pasted("node.env")
    found = only(reading)
    assert found.values == {
        "host": "smtp-relay.brevo.com", "port": "587", "encryption": "starttls", "login": "7f3a@smtp-brevo.com",
        "sender_email": "bonjour@boutique.example", "sender_name": "Boutique",
    }  # fmt: skip
    assert secret(found) == "xsmtpsib-0123456789abcdef"
    assert unread(reading) == [(5, "SMTP_SECURE", Why.OPPORTUNISTIC), (9, "SMTP_POOL", Why.UNKNOWN)]


def test_djangos_settings_of_one_account():
    reading = pasted("settings.py.txt")
    found = only(reading)
    assert reading.kind == Kind.DJANGO
    assert (found.values["host"], found.values["port"], found.values["encryption"]) == (
        "smtp.office365.com", "587", "starttls",
    )  # fmt: skip
    assert found.values["sender_name"] == "Intranet Contoso"
    assert found.password is None
    assert unread(reading) == [
        (13, "EMAIL_HOST_PASSWORD", Why.ELSEWHERE),
        (16, "EMAIL_FILE_PATH", Why.UNKNOWN),
    ]


def test_djangos_mailers_are_a_connection_each():
    reading = pasted("mailers.py.txt")
    office, marketing = reading.found
    assert (office.name, office.values["host"], office.values["encryption"], secret(office)) == (
        "default", "mail.infomaniak.com", "ssl", "une-clef-9Q",
    )  # fmt: skip
    assert (marketing.name, marketing.values["port"], secret(marketing)) == (
        "marketing",
        "587",
        "cle-secrete",
    )
    assert marketing.values["sender_email"] == "bonjour@atelier.example"
    assert unread(reading) == [
        (19, "MAILERS[marketing][local_hostname]", Why.UNKNOWN),
        (22, "MAILERS[console][BACKEND]", Why.MAILER),
    ]


def test_the_constants_of_wp_mail_smtp():
    reading = pasted("wp-config.php.txt")
    found = only(reading)
    assert reading.kind == Kind.WORDPRESS
    assert found.values == {
        "host": "mail.gandi.net", "port": "587", "encryption": "starttls", "login": "bonjour@librairie.example",
        "sender_email": "bonjour@librairie.example", "sender_name": "Librairie de l'Angle",
    }  # fmt: skip
    assert secret(found) == "mot 'de' passe // 5"
    assert unread(reading) == [(17, "WPMS_DO_NOT_SEND", Why.UNKNOWN)]


def test_the_constants_of_fluentsmtp_without_a_server():
    reading = pasted("fluent.php.txt")
    assert only(reading).values == {
        "login": "postmaster@mg.association.example",
        "sender_email": "postmaster@mg.association.example",
    }
    assert unread(reading) == [(2, "FLUENTMAIL_SMTP_PASSWORD", Why.ELSEWHERE)]


def test_postfix_with_its_passwords_and_relays_by_sender():
    reading = pasted("postfix.txt")
    google, books, shop = reading.found
    assert reading.kind == Kind.POSTFIX
    assert google.values == {
        "host": "smtp.gmail.com", "port": "587", "encryption": "starttls", "login": "bureau@exemple.example",
        "sender_email": "bureau@exemple.example", "limits": {"max_sessions": "2"},
    }  # fmt: skip
    assert (books.name, books.values["host"], books.values["port"], secret(books)) == (
        "compta@exemple.example", "ssl0.ovh.net", "587", "facture:7",
    )  # fmt: skip
    assert (shop.values["encryption"], shop.values["allowed_senders"]) == ("ssl", ["*@boutique.example"])
    assert secret(shop) == "boutique-9"
    assert unread(reading) == [(14, "smtp_header_checks", Why.UNKNOWN)]


@pytest.mark.parametrize(
    ("url", "host", "port", "encryption", "login", "password"),
    [
        (
            "smtps://lea%40a.example:p%3Ass@smtp.a.example:465",
            "smtp.a.example",
            "465",
            "ssl",
            "lea@a.example",
            "p:ss",
        ),
        ("smtp://lea:x@smtp.a.example:587", "smtp.a.example", "587", "starttls", "lea", "x"),
        ("smtp://lea:x@smtp.a.example", "smtp.a.example", "587", "starttls", "lea", "x"),
        ("smtps://smtp.a.example", "smtp.a.example", "465", "ssl", None, None),
        ("smtp://10.0.0.5:25?tls=none", "10.0.0.5", "25", "none", None, None),
        ("smtp+ssl://lea:x@smtp.a.example", "smtp.a.example", "465", "ssl", "lea", "x"),
        ("SUBMISSION://lea:x@[2001:db8::1]:2587", "2001:db8::1", "2587", "starttls", "lea", "x"),
    ],
)
def test_an_address_of_smtp(url, host, port, encryption, login, password):  # noqa: PLR0917  a table
    found = only(read(url))
    got = [found.values.get(name) for name in ("host", "port", "encryption", "login")]
    assert (got, secret(found)) == ([host, port, encryption, login], password)


def test_optional_encryption_becomes_required_and_is_marked():
    reading = read("smtp://lea:x@smtp.a.example:587?tls=opportunistic&verify_peer=0&from=lea@a.example")
    assert only(reading).values["encryption"] == "starttls"
    assert only(reading).values["sender_email"] == "lea@a.example"
    assert unread(reading) == [(1, "tls", Why.OPPORTUNISTIC), (1, "verify_peer", Why.UNKNOWN)]


# Small print


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SMTP_PASS=a#b", "a#b"),
        ("SMTP_PASS=a #b", "a"),
        ("SMTP_PASS='a ${B} #c' # d", "a ${B} #c"),
        ('SMTP_PASS="a\\"b\\\\c"', 'a"b\\c'),
        ("export SMTP_PASS = a=b=", "a=b="),
        ("X=7\nSMTP_PASS=${X}8", "78"),
        ("SMTP_PASS=null", None),
    ],
)
def test_values_of_an_environment_are_read_as_programs_read_them(line, value):
    assert secret(only(read(f"SMTP_HOST=smtp.a.example\n{line}", "env"))) == value


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("SMTP_HOST=smtp.a.example\nSMTP_PASS=${VAULT}", (2, "SMTP_PASS", Why.ELSEWHERE)),
        ('SMTP_HOST=smtp.a.example\nSMTP_PASS="open', (2, "SMTP_PASS", Why.SYNTAX)),
        ("SMTP_HOST=smtp.a.example\nSMTP_PORT=many", (2, "SMTP_PORT", Why.VALUE)),
        ("SMTP_HOST=smtp a", (1, "SMTP_HOST", Why.VALUE)),
        ("SMTP_HOST=smtp.a.example\nSMTP_SECURE=perhaps", (2, "SMTP_SECURE", Why.VALUE)),
        ("MAIL_MAILER=log\nMAIL_HOST=smtp.a.example", (1, "MAIL_MAILER", Why.MAILER)),
        ("MAILER_DSN=ses+api://a:b@default", (1, "MAILER_DSN", Why.MAILER)),
        ("relayhost = provider.example:587", (1, "relayhost", Why.MX)),
        ("relayhost = [a]:b:c", (1, "relayhost", Why.VALUE)),
        ("EMAIL_HOST = 'a'\nMAILERS = make()", (2, "MAILERS", Why.ELSEWHERE)),
        ("EMAIL_HOST = 'smtp.a.example'\nEMAIL_BACKEND = 'anymail.backends.brevo.EmailBackend'",
         (2, "EMAIL_BACKEND", Why.MAILER)),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_marked(text, missed):
    assert missed in unread(read(text))


@pytest.mark.parametrize(
    ("port", "word", "encryption"),
    [
        ("465", "tls", "ssl"), ("587", "tls", "starttls"), ("587", "ssl", "ssl"), ("587", "null", "starttls"),
        ("25", "", "starttls"), ("", "", "starttls"), ("2525", "", "starttls"), ("2465", "", "ssl"),
    ],
)  # fmt: skip
def test_encryption_follows_what_was_said_else_the_port(port, word, encryption):
    text = f"SMTP_HOST=a.example\nSMTP_PORT={port}\nSMTP_ENCRYPTION={word}\nSMTP_USER=lea\nSMTP_PASS=x"
    assert only(read(text)).values["encryption"] == encryption


def test_a_relay_without_a_login_on_port_25_stays_unencrypted():
    assert only(read("relayhost = [10.0.0.5]")).values | {} == {
        "host": "10.0.0.5",
        "port": "25",
        "encryption": "none",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", "DB_HOST=x\n", "print('hello')", "Bonjour,\nvoici"])
def test_a_text_without_an_account_has_none(text):
    assert read(text).found == ()


def test_a_kind_that_was_said_is_not_guessed():
    assert kind_of('EMAIL_HOST = "smtp.a.example"') == Kind.DJANGO
    assert read('EMAIL_HOST = "smtp.a.example"', "env").kind == Kind.ENV
    with pytest.raises(Invalid, match="Choose env, url"):
        read("", "msmtp")
    with pytest.raises(Invalid, match="too long"):
        read("a" * (MOST + 1))


def test_django_is_never_run(tmp_path):
    trap = tmp_path / "trap"
    reading = read(
        f"EMAIL_HOST = open({str(trap)!r}, 'w').name\nEMAIL_PORT = 587\nEMAIL_HOST_USER='a'", "django"
    )
    assert not trap.exists()
    assert unread(reading)[0] == (1, "EMAIL_HOST", Why.ELSEWHERE)
    broken = read("EMAIL_HOST = (\nEMAIL_PORT = 1", "django")
    assert (broken.found, broken.unread[0].why) == ((), Why.SYNTAX)


def test_half_a_character_is_no_value():
    for line in (
        "EMAIL_HOST_PASSWORD = '\\ud800'",
        "MAILERS = {'\\ud800': {'OPTIONS': {'host': 'a.example'}}}",
    ):
        reading = read(f"EMAIL_HOST = 'smtp.a.example'\n{line}", "django")
        assert (reading.found, reading.unread[0].why) == ((), Why.SYNTAX)


# What comes out is sound, whatever goes in

NASTY = [
    "define('SMTP_HOST','a" * 9000,
    "/*" * 60_000,
    "'" * 120_000,
    "define(" * 18_000,
    "EMAIL_HOST = " + "(" * 60_000,
    "EMAIL_HOST = " + "[" * 150 + "]" * 150,
    "SMTP_HOST=" + "${A}" * 30_000,
    "A0=smtp\n" + "".join(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}\n" for n in range(1, 60)) + "SMTP_HOST=${A59}",
    'SMTP_PASS="' + "\\" * 100_000,
    "relayhost = x\n" + " y\n" * 40_000,
    "smtp://" + "a:" * 50_000,
    "SMTP_HOST=a" + " " * 120_000 + "b",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_no_text_takes_long(text):
    started = time.monotonic()
    for kind in ("", *Kind):
        read(text[:MOST], kind)
    assert time.monotonic() - started < 3.0


PIECES = st.sampled_from(
    ["SMTP_HOST", "EMAIL_PORT", "MAIL_PASSWORD", "=", " ", "\n", "'", '"', "smtp.a.example", "587", "[", "]", ":", "@",
     "define('WPMS_SMTP_HOST',", ");", "relayhost", "MAILERS", "{", "}", "smtps://", "%4", "#", "\\", "\0", "é", "null"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from(["", *Kind]))
def test_any_text_is_read_and_what_comes_out_is_known_to_the_form(text, kind):
    reading = read(text, kind)
    for found in reading.found:
        assert found.values.keys() <= {*fields.FIELDS}
        assert "password" not in found.values
    assert all(isinstance(one, Unread) and one.line >= 0 for one in reading.unread)
    assert "Secret" not in repr(reading) or "<Secret>" in repr(reading)
