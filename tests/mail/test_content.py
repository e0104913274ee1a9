"""Content is kept as it came; rendering changes the header block and nothing else."""

import contextlib
import dataclasses
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from vaguemestre.mail.content import (
    HEADER_FIELDS,
    HEADER_LIMIT,
    Content,
    Rendering,
    address_field,
    render_header,
)
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.header import mailboxes_field, text_field
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox

RENDERING = Rendering(
    sender=mailboxes_field("From", [NamedMailbox(Mailbox.parse("office@example.org"), "Café du Centre")]),
    reply_to=address_field("Reply-To", "Ann <ann@example.org>"),
    received=text_field(
        "Received",
        "from [127.0.0.1] by mail.example.org with ESMTPA id 1; Mon, 05 Jan 2026 10:00:00 +0000",
    ),
    message_id="<1@example.org>",
    date=text_field("Date", "Mon, 05 Jan 2026 10:00:00 +0000"),
)


def rendered(content, rendering):
    return render_header(content.header_block, rendering) + b"\r\n" + content.body


@pytest.mark.parametrize(
    "raw",
    [
        b"A: b\n\r\nx", b"A: b\r\r\nx", b"A: b\r\n\r\nx\ny", b"A: b\r\n\r\nx\ry", b"A: b\r\n\r\n.\n", b"\n", b"\r",
        b"A: b\r\n\r\nx\r", b"\nA: b\r\n\r\n", b"A: b\r\n\r\n\r\n.\r", b"\r\n.\n", b"\r\n\r.\r\n", b"\r\r\n", b"\n\r",
    ],
)  # fmt: skip
def test_i01_a_bare_cr_or_lf_is_refused(raw):
    with pytest.raises(Invalid) as caught:
        Content(raw)
    assert caught.value.code == "bare_line_ending"


@given(st.binary(max_size=40) | st.text("A: \r\nb", max_size=40).map(str.encode))
def test_every_content_has_only_crlf(raw):
    try:
        content = Content(raw)
    except Invalid:
        return
    rest = content.raw.replace(b"\r\n", b"")
    assert b"\r" not in rest
    assert b"\n" not in rest
    assert b"".join(field for _, field in content.fields) == content.header_block


@pytest.mark.parametrize(
    "raw",
    [
        b"no field\r\n\r\n",
        b" folded first\r\n\r\n",
        b"A: b\r\nwrong\r\n\r\n",
        b"A: b",
        b"\xe9: x\r\n\r\n",
        b": x\r\n\r\n",
        b"A B: x\r\n\r\n",
    ],
)
def test_i08_a_header_without_a_colon_is_refused(raw):
    with pytest.raises(Invalid) as caught:
        Content(raw)
    assert caught.value.code == "header_syntax"


@pytest.mark.parametrize("line", [b"a:\r\n", b"a: b\r\n c\r\n\td\r\n"])
def test_i08_a_header_section_of_too_many_fields_is_refused(line):
    assert Content(line * HEADER_FIELDS + b"\r\n")
    with pytest.raises(Invalid) as caught:
        Content(line * (HEADER_FIELDS + 1) + b"\r\n")
    assert caught.value.code == "header_fields"


def test_i08_a_header_section_beyond_its_limit_is_refused():
    with pytest.raises(Invalid) as caught:
        Content(b"A: " + b"x" * HEADER_LIMIT + b"\r\n\r\n")
    assert caught.value.code == "header_size"


def test_nul_in_the_header_is_refused():
    with pytest.raises(Invalid) as caught:
        Content(b"A: \0\r\n\r\n")
    assert caught.value.code == "nul"


@pytest.mark.parametrize(
    ("raw", "block", "body"),
    [
        (b"A: b\r\n\r\nbody", b"A: b\r\n", b"body"),
        (b"\r\nbody", b"", b"body"),
        (b"A: b\r\n", b"A: b\r\n", b""),
        (b"A: b\r\n\r\n", b"A: b\r\n", b""),
        (b"A: b\r\n c\r\nD: e\r\n\r\n\r\nx", b"A: b\r\n c\r\nD: e\r\n", b"\r\nx"),
    ],
)
def test_header_block_and_body_are_told_apart(raw, block, body):
    assert (Content(raw).header_block, Content(raw).body) == (block, body)


def test_fields_are_found_without_regard_to_case():
    content = Content("Subject : é\r\nSUBJECT: two\r\n\r\n".encode())
    assert content.text("subject") == "é"
    assert content.has("Subject")
    assert content.text("from") is None
    assert [name for name, _ in content.fields] == [b"subject", b"subject"]


@pytest.mark.parametrize(
    "value",
    [
        b"\t\x01*:>;-f%",
        b'\xff.*Q\xff-\xe9?%,"',
        b"B][@\\\xff8;;uu-*",
        b"(" * 50_000,
        b"<" * 50_000,
        b"a:" * 50_000,
    ],
)
@pytest.mark.parametrize("name", ["From", "Reply-To", "Subject", "Content-Type", "Date"])
def test_i08_a_field_that_breaks_other_parsers_is_read(name, value):
    started = time.process_time()
    content = Content(name.encode() + b": " + value + b"\r\n\r\n")
    assert content.text(name)
    with contextlib.suppress(Invalid):
        content.mailboxes(name, 10)
    assert time.process_time() - started < 0.5


@given(
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b""))
)
def test_reading_any_field_never_fails(value):
    content = Content(b"From: " + value + b"\r\n\r\n")
    assert isinstance(content.text("from"), str)


def test_i08_a_header_of_a_megabyte_takes_no_time():
    started = time.process_time()
    content = Content(b"To: " + b"a@example.org,\r\n " * 60_000 + b"\r\n\r\n")
    with pytest.raises(Invalid) as caught:
        content.mailboxes("to", 1000)
    assert caught.value.code == "recipients_many"
    with pytest.raises(Invalid):
        Content(b"A: b\r\n" * 170_000 + b"\r\n")
    assert time.process_time() - started < 1.0


def test_rendering_replaces_what_the_route_decides_and_drops_what_is_ours():
    content = Content(
        b"From: Me <me@example.net>\r\nSender: me@example.net\r\nReply-To: x@example.net\r\nBcc: secret@example.net\r\n"
        b"To: a@example.org\r\nX-Vaguemestre-Stream: invoices\r\nReturn-Path: <x@y.z>\r\nSubject: s\r\n\r\nbody\r\n"
    )
    assert rendered(content, RENDERING) == (
        b"Received: from [127.0.0.1] by mail.example.org with ESMTPA id 1; Mon, 05 Jan\r\n 2026 10:00:00 +0000\r\n"
        b"From: =?utf-8?q?Caf=C3=A9_du_Centre?= <office@example.org>\r\n"
        b"Reply-To: Ann <ann@example.org>\r\n"
        b"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n"
        b"Message-ID: <1@example.org>\r\n"
        b"To: a@example.org\r\nSubject: s\r\n\r\nbody\r\n"
    )


def test_rendering_keeps_from_and_sender_where_the_route_does():
    content = Content(
        b"From: Me <me@example.net>\r\nSender: me@example.net\r\nDate: x\r\nMessage-ID: <1>\r\n\r\n"
    )
    leaves = Content(rendered(content, dataclasses.replace(RENDERING, sender=b"", reply_to=b"")))
    assert (leaves.text("from"), leaves.text("sender")) == ("Me <me@example.net>", "me@example.net")
    assert not leaves.has("reply-to")
    assert (leaves.text("date"), leaves.text("message-id")) == ("x", "<1>")


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_the_body_passes_byte_for_byte_and_rendering_is_repeatable(body):
    content = Content(b"Subject: s\r\n\r\n" + body)
    first = rendered(content, RENDERING)
    assert first == rendered(Content(content.raw), RENDERING)
    assert Content(first).body == body


def test_a_sender_beyond_ascii_is_rendered_in_utf8():
    sender = NamedMailbox(Mailbox.parse("jérôme@café.example"), "Jérôme")
    leaves = rendered(
        Content(b"\r\n"), dataclasses.replace(RENDERING, sender=mailboxes_field("From", [sender]))
    )
    assert "From: =?utf-8?b?SsOpcsO0bWU=?= <jérôme@xn--caf-dma.example>\r\n".encode() in leaves


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Jérôme <jérôme@example.org>, b@c.d",
            "Reply-To: =?utf-8?b?SsOpcsO0bWU=?= <jérôme@example.org>, b@c.d\r\n",
        ),
        ("a@café.example", "Reply-To: a@xn--caf-dma.example\r\n"),
        ("undisclosed:;", "Reply-To: undisclosed:;\r\n"),
        ("not an address", "Reply-To: not an address\r\n"),
    ],
)
def test_a_reply_to_given_as_text_is_encoded_by_its_parts(text, expected):
    assert address_field("Reply-To", text) == expected.encode()


def fields_of(raw):
    try:
        return Content(raw).fields
    except Invalid as fault:
        return fault.code


@given(st.lists(st.text("Aa1-_: \t", max_size=8)))
def test_fields_of_simple_names_are_found_as_those_behind_one_that_is_not_simple(lines):
    block = "".join(f"{line}\r\n" for line in lines).encode()
    assume(not block.startswith((b" ", b"\t")))
    alone, behind = fields_of(block), fields_of(b"X_1: y\r\n" + block)
    assert alone == (behind if isinstance(behind, str) else behind[1:])
