"""U15 of the faults: what a server announces is read with care."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.smtp.capabilities import Capabilities


def parsed(*lines):
    return Capabilities.parse((b"mx.example.org Hello [203.0.113.7]", *lines))


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ((b"SIZE 5",), 5),
        ((b"size 5",), 5),
        ((b"SIZE",), None),
        ((b"SIZE 0",), None),
        ((b"SIZE abc",), None),
        ((b"SIZE -1",), None),
        ((b"SIZE 99999999999999999999999",), None),
        ((b"SIZE \xd9\xa5",), None),
        ((b"SIZE 9", b"SIZE 7"), 7),
        ((), None),
    ],
)
def test_u15_size(lines, size):
    assert parsed(*lines).size == size


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        ((b"AUTH PLAIN LOGIN",), ("PLAIN", "LOGIN")),
        ((b"AUTH=LOGIN PLAIN",), ("LOGIN", "PLAIN")),
        ((b"AUTH=PLAIN", b"AUTH PLAIN LOGIN"), ("PLAIN", "LOGIN")),
        ((b"auth plain",), ("PLAIN",)),
        ((b"AUTH",), ()),
        ((b"AUTH \x1b[31m PLAIN",), ("PLAIN",)),
    ],
)
def test_u15_auth(lines, mechanisms):
    assert parsed(*lines).auth == mechanisms


def test_u15_keywords_know_no_case_and_bad_lines_are_passed_over():
    found = parsed(
        b"starttls", b"Pipelining", b"8BITMIME", b"", b"-BAD", b"\xff\xfe", b"X_Y", b"PIPELINING", b"DSN x"
    )
    assert found.keywords == {"STARTTLS", "PIPELINING", "8BITMIME", "DSN"}
    assert (found.starttls, found.pipelining, found.eight_bit) == (True, True, True)
    assert (found.chunking, found.smtputf8) == (False, False)


def test_u15_five_hundred_keywords_are_read():
    assert len(parsed(*(b"X%d" % number for number in range(500))).keywords) == 500


@pytest.mark.parametrize(
    ("greeting", "name", "seen"),
    [
        (b"mx.example.org Hello [203.0.113.7]", "mx.example.org", "203.0.113.7"),
        (b"mx.example.org Hello client [IPv6:2001:db8::1], pleased", "mx.example.org", "2001:db8::1"),
        (b"[192.0.2.1] Hello [203.0.113.7]", "[192.0.2.1]", "203.0.113.7"),
        (b"mx.example.org at your service, [198.51.100.4]", "mx.example.org", "198.51.100.4"),
        (b"mx.example.org", "mx.example.org", None),
        (b"mx Hello [999.1.1.1] [1:2] [x]", "mx", None),
        (b"", "", None),
        (b"<script> [1.2.3.4]", "", "1.2.3.4"),
    ],
)
def test_the_greeting_tells_names_and_addresses(greeting, name, seen):
    found = Capabilities.parse((greeting,))
    assert (found.greeting_name, found.seen_address) == (name, seen)


@given(st.lists(st.binary(max_size=60), min_size=1))
def test_nothing_announced_breaks_the_parser(lines):
    found = Capabilities.parse(tuple(lines))
    assert found.size is None or found.size > 0
