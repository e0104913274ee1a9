"""One strict grammar for addresses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail import mailbox
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox, display_name


@pytest.mark.parametrize(
    ("text", "address", "wire"),
    [
        ("ann@example.org", "ann@example.org", "ann@example.org"),
        ("Ann.Doe+tag@Example.ORG", "Ann.Doe+tag@example.org", "Ann.Doe+tag@example.org"),
        ("a@localhost", "a@localhost", "a@localhost"),
        ("scan@printer.lan", "scan@printer.lan", "scan@printer.lan"),
        ("a@b.test", "a@b.test", "a@b.test"),
        ("a@b.internal", "a@b.internal", "a@b.internal"),
        ("contact@café.example", "contact@café.example", "contact@xn--caf-dma.example"),
        ("contact@CAFÉ.example", "contact@café.example", "contact@xn--caf-dma.example"),
        ("a@xn--caf-dma.example", "a@café.example", "a@xn--caf-dma.example"),
        ("jérôme@example.org", "jérôme@example.org", "jérôme@example.org"),
        ('"a b"@example.org', '"a b"@example.org', '"a b"@example.org'),
        ('"a@b"@example.org', '"a@b"@example.org', '"a@b"@example.org'),
        (
            "!#$%&'*+/=?^_`{|}~-@example.org",
            "!#$%&'*+/=?^_`{|}~-@example.org",
            "!#$%&'*+/=?^_`{|}~-@example.org",
        ),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_an_address_has_both_of_its_forms(text, address, wire):
    mailbox = Mailbox.parse(text)
    assert (mailbox.address, mailbox.wire, str(mailbox)) == (address, wire, address)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "@", "a@", "@b.c", "a@b@c", "a b@c.d", ".a@b.c", "a.@b.c", "a..b@c.d", "a@.c", "a@b..c", "a@b.c.",
        "a@-b.c", "a@b-.c", "a@b_c.d", "a@[127.0.0.1]", "<a@b.c>", "Ann <a@b.c>", "a@b.c, d@e.f", "@r:a@b.c",
        "a@b.c\r\nRCPT TO:<x@y.z>", "a\r@b.c", "a\n@b.c", "a\0@b.c", '"a\r\nb"@c.d', '"a\0b"@c.d', "a@b.c\u2028",
        "a\x85b@c.d", "a\u202eb@c.d", "\ud800@b.c", "=?utf-8?q?a?=@b.c", "a@ex\u00adample.org\u2029", "a(c)@b.c",
        "x" * 65 + "@example.org", "é" * 33 + "@example.org", "a@" + "b" * 64 + ".c", "a@" + "b." * 126 + "cc",
        "a@xn--\u00e9.example", "a@xn---.example", " a@b.c", "a@b.c ",
    ],
)  # fmt: skip
def test_i03_what_is_no_address_is_refused_at_its_field(text):
    with pytest.raises(Invalid) as caught:
        Mailbox.parse(text, "to[3]")
    assert caught.value.field == "to[3]"
    assert caught.value.code.startswith("address_")


@pytest.mark.parametrize(
    ("domain", "code"), [("b" * 1_000_000, "address_syntax"), ("b." * 500_000 + "c", "address_length")]
)
def test_what_is_too_long_for_an_address_is_refused_and_not_kept(domain, code):
    kept = mailbox._plain_domain.cache_info()
    with pytest.raises(Invalid) as caught:
        Mailbox.parse(f"a@{domain}", "to")
    assert (caught.value.field, caught.value.code) == ("to", code)
    assert mailbox._plain_domain.cache_info() == kept


@given(st.text(max_size=60) | st.from_regex(r"[^@]{1,10}@[^@]{1,20}", fullmatch=True))
def test_any_text_is_an_address_or_refused_and_never_carries_a_control(text):
    try:
        mailbox = Mailbox.parse(text)
    except Invalid:
        return
    assert not any(ord(character) < 32 or character in "\x7f\u2028\u2029" for character in mailbox.wire)
    assert mailbox.domain_ascii.isascii()
    assert Mailbox.parse(mailbox.wire) == mailbox
    assert Mailbox.parse(mailbox.address) == mailbox
    assert len(mailbox.wire.encode()) <= 254


def test_addresses_compare_without_regard_to_case():
    assert Mailbox.parse("Ann@Example.org").key == Mailbox.parse("ann@example.ORG").key


def test_only_a_local_part_beyond_ascii_needs_smtputf8():
    assert Mailbox.parse("jérôme@example.org").needs_smtputf8
    assert not Mailbox.parse("a@café.example").needs_smtputf8


@pytest.mark.parametrize(
    "name", ["a\nb", "a\rb", "a\0b", "a\u202eb", "a\u2066b", "\ud800", "x" * 201, "a\x9fb"]
)
def test_a_display_name_holds_nothing_that_moves_or_breaks_text(name):
    with pytest.raises(Invalid) as caught:
        display_name(name, "sender_name")
    assert caught.value.field == "sender_name"
    with pytest.raises(Invalid):
        NamedMailbox(Mailbox.parse("a@b.c"), name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "a@b.c"),
        ("Ann Doe", "Ann Doe <a@b.c>"),
        ("Doe, Ann", '"Doe, Ann" <a@b.c>'),
        ('Le "Chef"', '"Le \\"Chef\\"" <a@b.c>'),
        ("A. Doe", '"A. Doe" <a@b.c>'),
        ("Jérôme", "Jérôme <a@b.c>"),
    ],
)
def test_a_named_mailbox_as_header_text(name, expected):
    assert NamedMailbox(Mailbox.parse("a@b.c"), name).header() == expected


def test_a_named_mailbox_with_a_local_part_beyond_ascii_has_header_text():
    assert NamedMailbox(Mailbox.parse("é@café.example"), "É").header() == "É <é@xn--caf-dma.example>"


ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
WHOLE = re.compile(rf"{ATOM}(?:\.{ATOM})*@{LABEL}(?:\.{LABEL})*")


@given(st.text("aZ0.@-_é²'xn=?", max_size=12) | st.from_regex(WHOLE, fullmatch=True))
def test_an_address_is_plain_as_its_pattern_says(text):
    local, _, domain = text.partition("@")
    plain = mailbox._plain_domain(domain) is not None and mailbox._is_plain(local)
    assert plain == (WHOLE.fullmatch(text) is not None)
