"""Addresses in headers and as people type them."""

import contextlib
import email
import time
from email import policy
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vaguemestre.mail.address_list import parse_addresses, parse_named, parse_single
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import raw_value
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox


def found(text):
    return [(named.name, named.mailbox.wire) for named in parse_addresses(text, "to", 100)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.c", [("", "a@b.c")]),
        ("a@b.c, d@e.f", [("", "a@b.c"), ("", "d@e.f")]),
        ("Ann <a@b.c>", [("Ann", "a@b.c")]),
        ("<a@b.c>", [("", "a@b.c")]),
        ('"Doe, Ann" <a@b.c>, d@e.f', [("Doe, Ann", "a@b.c"), ("", "d@e.f")]),
        (r'"a \"q\" b" <a@b.c>', [('a "q" b', "a@b.c")]),
        ("J. Doe <a@b.c>", [("J. Doe", "a@b.c")]),
        ("[Shop] A\\B <a@b.c>", [("[Shop] A\\B", "a@b.c")]),
        ("Jérôme <a@b.c>", [("Jérôme", "a@b.c")]),
        ("=?utf-8?q?J=C3=A9r=C3=B4me=2C_x?= <a@b.c>", [("Jérôme, x", "a@b.c")]),
        ('"=?utf-8?q?A?=" <a@b.c>', [("=?utf-8?q?A?=", "a@b.c")]),
        ("a@b.c (office)", [("", "a@b.c")]),
        ("undisclosed-recipients:;", []),
        ("Team: a@b.c, d@e.f;, g@h.i", [("", "a@b.c"), ("", "d@e.f"), ("", "g@h.i")]),
        ("", []),
        ("a@b.c,", [("", "a@b.c")]),
        ('"a b"@c.d', [("", '"a b"@c.d')]),
        ('Q <"a>b"@c.d>', [("Q", '"a>b"@c.d')]),
        ("a@b.c <a@b.c>", [("a@b.c", "a@b.c")]),
        ("A@B.c <a@b.c>", [("A@B.c", "a@b.c")]),
        ("a@b.c; Ann <d@e.f>;", [("", "a@b.c"), ("Ann", "d@e.f")]),
        ('"a@b.c" <d@e.f>', [("a@b.c", "d@e.f")]),
        ('"x@y.z, x": a@b.c (x), ; (x) , , d@e.f', [("", "a@b.c"), ("", "d@e.f")]),
    ],
)
def test_a_list_is_read(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a", "a@b.c d@e.f", "Ann a@b.c", "<a@b.c", "a@b.c>", '"a <a@b.c>', "<a@b.c> x", "<a@b.c> <d@e.f>",
        "(a@b.c", "((x)) a@b.c", "<@relay.example:a@b.c>", "a@b.c\r\nBcc: x@y.z", '"a\r\nb" <a@b.c>',
        "=?utf-8?q?a=00?= <a@b.c>", "<>", "Ann <>", "a@b.c <d@e.f>", "a@b.c x <a@b.c>", "Ann @ x <a@b.c>",
        "[d@e.f] <a@b.c>", '[x] "d@e.f" <a@b.c>', '"d@e.f"\\ <a@b.c>', "[x]:a@b.c;",
        "<a@b.c>:d@e.f", "a@b.c:d@e.f", "a@b.c:d@e.f;", "a@b.c: d@e.f, g@h.i;", ":a@b.c;", '"x"@y.z:a@b.c;',
        "x: y: a@b.c;;", "x: a@b.c", "x: a@b.c, ", "x:; d@e.f", "x:;;", "x:;:;",
    ],
)  # fmt: skip
def test_what_is_no_list_of_addresses_is_refused(text):
    with pytest.raises(Invalid) as caught:
        found(text)
    assert caught.value.field == "to"


def test_beyond_the_limit_is_refused():
    with pytest.raises(Invalid) as caught:
        parse_addresses("a@b.c,d@e.f,g@h.i", "cc", 2)
    assert (caught.value.field, caught.value.code) == ("cc", "recipients_many")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10**6,
        "<" * 10**6,
        '"\\' * 5 * 10**5,
        '<a"b' * 250_000,
        '"a\\"' * 100_000,
        "a:" * 200_000,
        "a@b," * 250_000,
    ],
)
def test_i08_hostile_lists_take_no_time(text):
    started = time.process_time()
    with contextlib.suppress(Invalid):
        parse_addresses(text, "to", 1000)
    assert time.process_time() - started < 1.5


@given(
    st.text(st.sampled_from("ab_é'.&+-= ?"), min_size=1, max_size=20),
    st.sampled_from(["a@b.c", "é@b.c", "a b@c.d", "a", "<a@b.c", "a@b.c ", "=?utf-8?q?a?=@b.c"]),
)
def test_a_plain_name_before_an_address_is_read_as_in_a_list(name, address):
    text = f"{name} <{address}>"
    assert answer(lambda: [parse_named(text, "to")]) == answer(lambda: [*parse_addresses(text, "to", 2)])


def answer(read):
    try:
        return read()
    except Invalid as refused:
        return refused.field, refused.code


@given(st.text(st.sampled_from('<>()[]@:;,."\\ =?ab_é\t\0\r\n'), max_size=40))
def test_reading_a_list_answers_or_refuses(text):
    try:
        answer = parse_addresses(text, "to", 5)
    except Invalid:
        return
    assert all(isinstance(named, NamedMailbox) for named in answer)


PIECES = [
    "a@b.c", "<a@b.c>", "d@e.f", "<d@e.f>", '"d@e.f"', "(d@e.f)", "=?utf-8?q?d=40e.f=2C?=", "=?utf-8?q?d@e.f?=",
    "Ann", "é", '"', "'", "\\", *"<>()[]@:;,.", " ", "\t", "\r\n ",
]  # fmt: skip


def addresses_elsewhere(field):
    """What the standard library's two parsers find in a field From."""
    message = email.message_from_bytes(field + b"\r\n", policy=policy.default)
    modern = [address.addr_spec for address in message["From"].addresses]
    found = [*modern, *(address for _, address in getaddresses([raw_value(field)]))]
    return {
        as_we_write(address.encode("utf-8", "surrogateescape").decode())
        for address in found
        if "@" in address
    }


def as_we_write(address):
    try:
        return Mailbox.parse(address).wire
    except Invalid:
        return address


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example("d@e.f <a@b.c>")
@example("d@e.f:a@b.c")
@example("<d@e.f>:a@b.c;")
@example("d@e.f\r\n :a@b.c")
@example("d@e.f, x:a@b.c;")
@example('"d@e.f"[<a@b.c>')
@example("=?utf-8?q?d=40e.f=2C?=]<a@b.c>")
@example('"=?utf-8?q?d=40e.f=2C?="\\<a@b.c>')
def test_i06_nobody_else_reads_another_address_where_we_read_one(text):
    field = f"From: {text}\r\n".encode()
    try:
        ours = parse_single(raw_value(field), "from")
    except Invalid:
        return
    elsewhere = {address.casefold() for address in addresses_elsewhere(field)}
    assert elsewhere <= {ours.mailbox.wire.casefold()}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x: a@b.c;", "address_group"),
        ("Shop: orders <a@b.c>", "address_group"),
        ("a@b.c;", "address_group"),
        ("a@b.c, d@e.f", "address_single"),
        ("", "address_syntax"),
        (" , ", "address_syntax"),
    ],
)
def test_where_one_address_belongs_neither_list_nor_group_is_taken(text, code):
    with pytest.raises(Invalid) as caught:
        parse_single(text, "from", "The header From")
    assert (caught.value.field, caught.value.code) == ("from", code)
    assert caught.value.message.startswith("The header From ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a@b.c", ("", "a@b.c")),
        ("Ann <a@b.c>", ("Ann", "a@b.c")),
        ({"email": "a@b.c"}, ("", "a@b.c")),
        ({"email": "a@b.c", "name": "Doe, Ann"}, ("Doe, Ann", "a@b.c")),
        ({"email": "a@b.c", "name": None}, ("", "a@b.c")),
    ],
)
def test_one_address_in_each_of_its_forms(value, expected):
    named = parse_named(value, "to[0]")
    assert (named.name, named.mailbox.wire) == expected


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("", "to[1]"),
        ("a@b.c, d@e.f", "to[1]"),
        ("Team: <a@b.c>;", "to[1]"),
        ("Ann <a@b.c", "to[1]"),
        (None, "to[1]"),
        (5, "to[1]"),
        (["a@b.c"], "to[1]"),
        ({}, "to[1].email"),
        ({"email": 5}, "to[1].email"),
        ({"email": "a"}, "to[1].email"),
        ({"email": "Ann <a@b.c>"}, "to[1].email"),
        ({"email": "a@b.c", "name": "a\r\nb"}, "to[1].name"),
        ({"email": "a@b.c", "name": 5}, "to[1].name"),
        ({"email": "a@b.c", "name": "x" * 201}, "to[1].name"),
        ({"email": "a@b.c", "nom": "x"}, "to[1].nom"),
        ("A\r\nB <a@b.c>", "to[1]"),
    ],
)
def test_what_is_not_one_address_is_refused_at_its_field(value, field):
    with pytest.raises(Invalid) as caught:
        parse_named(value, "to[1]")
    assert caught.value.field == field


def test_the_text_of_a_mailbox_is_read_back():
    for name in ("", "Ann", "Doe, Ann", 'Le "Chef" \\', "Jérôme", "=?utf-8?q?A?=", " padded ", "a  b"):
        named = NamedMailbox(Mailbox.parse("é@café.example"), name)
        assert parse_addresses(named.header(), "to", 1) == (named,)
