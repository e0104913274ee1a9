"""Addresses in headers and as people type them."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.address_list import parse_addresses, parse_named
from vaguemestre.mail.errors import Invalid
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
        ("a@b.c <d@e.f>", [("a@b.c", "d@e.f")]),
    ],
)
def test_a_list_is_read(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "a", "a@b.c d@e.f", "Ann a@b.c", "<a@b.c", "a@b.c>", '"a <a@b.c>', "<a@b.c> x", "<a@b.c> <d@e.f>",
        "(a@b.c", "((x)) a@b.c", "<@relay.example:a@b.c>", "a@b.c\r\nBcc: x@y.z", '"a\r\nb" <a@b.c>',
        "=?utf-8?q?a=00?= <a@b.c>", "<>", "Ann <>",
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
