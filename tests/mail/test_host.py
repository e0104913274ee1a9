"""Server names and ports as people type them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, readable_host, valid_port


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp.example.org", "smtp.example.org"),
        ("SMTP.Example.ORG", "smtp.example.org"),
        ("smtp.example.org.", "smtp.example.org"),
        ("localhost", "localhost"),
        ("mail_1.lan", "mail_1.lan"),
        ("smtp.café.example", "smtp.xn--caf-dma.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("1and1.example", "1and1.example"),
        ("3com", "3com"),
    ],
)
def test_a_name_has_one_canonical_form(text, expected):
    assert canonical_host(text) == expected
    assert canonical_host(expected) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "host_empty"),
        ("smtp://smtp.example.org", "host_url"),
        ("https://example.org", "host_url"),
        ("smtp.example.org:587", "host_port"),
        ("smtp.example.org ", "host_blank"),
        ("smtp example.org", "host_blank"),
        ("smtp.example.org\r\nX", "host_blank"),
        ("ann@example.org", "host_address"),
        ("smtp..example", "host_syntax"),
        ("-smtp.example", "host_syntax"),
        ("smtp-.example", "host_syntax"),
        ("smtp.example/x", "host_syntax"),
        ("x" * 64 + ".example", "host_syntax"),
        ("a." * 127 + "example", "host_syntax"),
        (".", "host_syntax"),
        ("smtp\0.example", "host_syntax"),
        ("127.0.0.1\0.example", "host_syntax"),
        ("2130706433", "host_syntax"),
        ("0x7f000001", "host_syntax"),
        ("127.1", "host_syntax"),
        ("0177.0.0.1", "host_syntax"),
        ("0", "host_syntax"),
        ("ｌocalhost", "host_syntax"),
        ("①②⑦.0.0.1", "host_syntax"),
        ("127。0。0。1", "host_syntax"),
        ("\ud800.example", "host_syntax"),
        ("[smtp.example]", "host_syntax"),
    ],
)
def test_what_is_no_name_is_refused_with_its_hint(text, code):
    with pytest.raises(Invalid) as caught:
        canonical_host(text, "host")
    assert (caught.value.field, caught.value.code) == ("host", code)


def test_a_pasted_port_is_told_apart():
    with pytest.raises(Invalid) as caught:
        canonical_host("smtp.example.org:587")
    assert caught.value.facts == {"host": "smtp.example.org", "port": "587"}


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9.\-_é]{1,30}", fullmatch=True))
def test_any_accepted_name_is_ascii_and_no_disguised_address(text):
    try:
        name = canonical_host(text)
    except Invalid:
        return
    assert name.isascii()
    assert not set(name) & set(" \r\n\0/@%")
    assert canonical_host(name) == name
    try:
        ipaddress.ip_address(name)
    except ValueError:
        assert not name.replace(".", "").isdigit()


def test_the_readable_form_has_u_labels():
    assert readable_host("smtp.xn--caf-dma.example") == "smtp.café.example"
    assert readable_host("smtp.example.org") == "smtp.example.org"
    assert readable_host("xn--\u00ff") == "xn--\u00ff"


@pytest.mark.parametrize("port", [1, 25, 587, 65535])
def test_a_port_in_range_is_taken(port):
    assert valid_port(port) == port


@pytest.mark.parametrize("port", [0, -1, 65536, 10**9])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(Invalid, match="1 to 65535"):
        valid_port(port)
