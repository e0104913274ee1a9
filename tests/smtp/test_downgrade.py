"""U34 of the faults: content is re-encoded only where it must be, and means the same afterwards."""

from __future__ import annotations

import email
import hashlib
import time
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.content import has_long_line
from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.smtp.downgrade import fitted


def lowered(content):
    out = fitted(content, eight_bit=False, smtputf8=False)
    assert not has_bare_line_ending(out)
    assert out.isascii()
    assert not has_long_line(out)
    assert fitted(content, eight_bit=False, smtputf8=False) == out
    return out


def leaves(content):
    message = email.message_from_bytes(content, policy=SMTP)
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: x\r\n\r\nplain\r\n",
        b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n" + b"z" * 998,
    ],
)
def test_content_that_fits_is_not_touched(content):
    assert fitted(content, eight_bit=False, smtputf8=False) is content


def test_eight_bit_content_is_not_touched_where_it_is_offered():
    content = "Subject: x\r\n\r\né\r\n".encode()
    assert fitted(content, eight_bit=True, smtputf8=False) is content


@pytest.mark.parametrize(
    ("length", "long"), [(0, False), (998, False), (999, True), (1000, True), (5000, True)]
)
@pytest.mark.parametrize("before", [b"", b"a\r\n", b"b" * 998 + b"\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\nend"])
def test_a_line_is_long_beyond_998_octets(length, long, before, after):
    assert has_long_line(before + b"x" * length + after) is long


def test_every_part_means_the_same_and_the_rest_stays():
    picture = bytes(range(256)) * 40
    boundary = b'Content-Type: multipart/mixed; boundary="b 1"\r\n'
    text = "Zoé écrit.\r\n.dot\r\nFrom here\r\n".encode()
    content = (
        b"Subject: kept   as it is\r\n"
        + boundary
        + b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"preamble\r\n--b 1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + text
        + b"\r\n--b 1  \r\nContent-Type: text/plain\r\n\r\nplain, untouched \r\n--b 1\r\n"
        b"Content-Type: image/x; name=p\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + picture.replace(b"\r", b"").replace(b"\n", b"")
        + b"\r\n--b 1--\r\nepilogue\r\n"
    )
    out = lowered(content)
    assert out.startswith(b"Subject: kept   as it is\r\n" + boundary)
    assert b"\r\nContent-Type: text/plain\r\n\r\nplain, untouched \r\n--b 1\r\n" in out
    assert out.endswith(b"\r\n--b 1--\r\nepilogue\r\n")
    before, after = leaves(content), leaves(out)
    assert before[:2] == after[:2]
    digest = hashlib.sha256(picture.replace(b"\r", b"").replace(b"\n", b"")).digest()
    assert hashlib.sha256(after[2]).digest() == digest
    assert b"8bit" not in out


def test_parts_within_parts_and_forwarded_messages_are_reached():
    inner = EmailMessage(policy=SMTP.clone(cte_type="8bit"))
    inner["Subject"] = "inside"
    inner.set_content("Zoé\n", cte="8bit")
    outer = EmailMessage(policy=SMTP.clone(cte_type="8bit"))
    outer["Subject"] = "outside"
    outer.set_content("plain\n")
    outer.add_attachment(inner)
    content = outer.as_bytes()
    assert not content.isascii()
    out = lowered(content)
    assert leaves(content) == leaves(out)


def test_a_long_line_is_broken_even_where_8bitmime_is_offered():
    content = ("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "é" * 3000 + "\r\n").encode()
    out = fitted(content, eight_bit=True, smtputf8=True)
    assert not has_long_line(out)
    assert leaves(out) == leaves(content)


def test_raw_bytes_in_a_header_become_encoded_words():
    content = (
        'Subject: Été à\r\n Zürich\r\nTo: "Zoé" <zoe@example.org>\r\nX-A: plain\r\n'
        'Content-Disposition: attachment; filename="été.pdf"\r\n\r\nx\r\n'
    ).encode()
    out = lowered(content)
    message = email.message_from_bytes(out, policy=SMTP)
    assert message["Subject"] == "Été à Zürich"
    assert message.get_filename() == "été.pdf"
    assert message["To"].addresses[0].display_name == "Zoé"
    assert message["To"].addresses[0].addr_spec == "zoe@example.org"
    assert b"\r\nX-A: plain\r\n" in out
    assert fitted(content, eight_bit=True, smtputf8=True) is content


def test_a_broken_quoted_printable_or_base64_part_is_encoded_anew():
    for encoding, body in (("quoted-printable", b"a=C3=A9\xff\r\n"), ("base64", b"YWJj" * 300 + b"\r\n")):
        content = f"Content-Type: text/plain\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + body
        out = lowered(content)
        assert leaves(out)[0].rstrip() == leaves(content)[0].rstrip()


def test_parts_nested_beyond_reason_do_not_break_us():
    content = b""
    for depth in range(1500):
        content += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth)
    content += "\r\né\r\n".encode()
    assert fitted(content, eight_bit=False, smtputf8=False)


SLOW = {
    "semicolons": b"Content-Type: multipart/mixed" + b";" * 500_000 + b"\r\n\r\n\xe9\r\n",
    "a quote": b'Content-Type: multipart/mixed; x="' + b";" * 500_000 + b"\r\n\r\n\xe9\r\n",
    "parentheses": "Content-Type: text/plain; é=".encode() + b"(" * 5_000 + b"\r\n\r\nx\r\n",
    "no field": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + b"a" * 500_000 + b"\r\n\r\n\xe9",
    "lines": b"".join(b"Content-Type: multipart/x; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(50))
             + b"\r\n\xe9\r\n" + b"a\r\n" * 500_000,
}  # fmt: skip


@pytest.mark.parametrize("content", SLOW.values(), ids=SLOW)
def test_no_header_keeps_the_courier_for_long(content):
    started = time.process_time()
    assert fitted(content, eight_bit=False, smtputf8=False)
    assert time.process_time() - started < 1.0


FRAGMENTS = st.sampled_from(
    [
        b"Subject: x\r\n",
        "X: é\r\n".encode(),
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"--b\r\n",
        b"--b--\r\n",
        "é".encode() * 700,
        b"\xff\xfe",
        b"=\r\n",
        b".\r\n",
        b"text",
    ]
)


@given(st.lists(FRAGMENTS, max_size=20).map(b"".join), st.booleans(), st.booleans())
def test_no_content_breaks_it_or_gets_a_bare_line_ending(content, eight_bit, smtputf8):
    out = fitted(content, eight_bit=eight_bit, smtputf8=smtputf8)
    assert not has_bare_line_ending(out)
