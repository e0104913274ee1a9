"""Building envelope and content of a posted message; an independent parser (the standard library's) reads it back."""

import email
import hashlib
import random
import time
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.compose import Attachment, Bodies, Post, compose
from vaguemestre.mail.content import LINE_LIMIT, Content
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox

TO = (NamedMailbox(Mailbox.parse("ann@example.org")),)


def named(address, name=""):
    return NamedMailbox(Mailbox.parse(address), name)


def read(post) -> EmailMessage:
    _, content = compose(post)
    assert max(len(line) for line in content.raw.split(b"\r\n")) <= LINE_LIMIT
    # What was known while it was put together is what is found in its bytes.
    found = Content(content.raw)
    assert (content.fields, content.header_block, content.body) == (
        found.fields,
        found.header_block,
        found.body,
    )
    return email.message_from_bytes(content.raw, policy=policy.default)


def refusal(post) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compose(post)
    return caught.value


def text_of(part):
    return part.get_payload(decode=True).decode()


def test_text_alone_is_a_plain_7bit_message():
    envelope, content = compose(
        Post(to=TO, from_=named("bob@example.org", "Bob"), subject="Hello", text="One\nTwo\n")
    )
    assert envelope.reverse_path == Mailbox.parse("bob@example.org")
    assert envelope.recipients == (Mailbox.parse("ann@example.org"),)
    assert content.raw == (
        b"From: Bob <bob@example.org>\r\n"
        b"To: ann@example.org\r\n"
        b"Subject: Hello\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"One\r\nTwo\r\n"
    )


def test_text_and_html_are_alternatives_in_that_order():
    message = read(Post(to=TO, text="plain", html="<p>rich</p>"))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


def test_an_inline_image_is_related_to_the_html_and_a_file_is_mixed():
    message = read(
        Post(
            to=TO,
            text="t",
            html='<img src="cid:logo@example.org">',
            attachments=(
                Attachment("logo.png", b"\x89PNG", "image/png", "logo@example.org"),
                Attachment("a.pdf", b"%PDF", "application/pdf"),
            ),
        )
    )
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    image, file = [part for part in message.walk() if part.get_filename()]
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo@example.org>", "inline")
    assert (file.get_filename(), file.get_content_disposition()) == ("a.pdf", "attachment")


def test_an_attachment_alone_is_enough():
    message = read(Post(to=TO, attachments=(Attachment("a.bin", b"x"),)))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "application/octet-stream",
    ]


def test_nothing_to_say_is_refused():
    assert refusal(Post(to=TO)).code == "body_missing"


def test_no_recipient_is_refused_at_to():
    assert (refusal(Post(text="x")).field, refusal(Post(text="x")).code) == ("to", "recipient_missing")


def test_bcc_is_in_the_envelope_and_nowhere_in_the_content():
    envelope, content = compose(
        Post(to=TO, cc=(named("c@example.org"),), bcc=(named("secret@example.org"),), text="x")
    )
    assert [mailbox.wire for mailbox in envelope.recipients] == [
        "ann@example.org",
        "c@example.org",
        "secret@example.org",
    ]
    assert b"secret" not in content.raw
    assert not content.has("bcc")


def test_a_recipient_named_in_to_and_cc_is_one_recipient():
    envelope, _ = compose(Post(to=TO, cc=TO, text="x"))
    assert len(envelope.recipients) == 1


def test_without_from_the_reverse_path_is_not_the_null_one():
    envelope, content = compose(Post(to=TO, text="x"))
    assert envelope.reverse_path is not None
    assert not content.has("from")


def test_date_and_message_id_are_left_to_rendering():
    _, content = compose(Post(to=TO, text="x"))
    assert not content.has("date")
    assert not content.has("message-id")
    _, content = compose(Post(to=TO, text="x", headers={"Message-ID": "<1@example.org>"}))
    assert content.text("message-id") == "<1@example.org>"


def test_a_boundary_that_occurs_in_a_part_is_not_taken(monkeypatch):
    monkeypatch.setattr("zlib.crc32", lambda *_: 0xFFFF)
    taken, html = "=-alternative_0000ffff", "=_alternative =-alternative_00010000"
    message = read(Post(to=TO, text=f"--{taken}--", html=f"{taken} {html}"))
    assert message.get_boundary() == "=-alternative_00010001"
    texts = [text_of(part) for part in message.iter_parts()]
    assert texts == [f"--{taken}--\r\n", f"{taken} {html}\r\n"]


def test_no_boundary_begins_as_one_within_its_parts_does():
    text = "--=_mixed\n\nx\n--=_mixed--\n--=_alternative\n"  # an older mail, quoted
    message = read(Post(to=TO, text=text, html=text, attachments=(Attachment("a", b"y", "text/plain"),)))
    for part in message.walk():
        if (boundary := part.get_boundary()) is not None:
            assert not boundary.startswith(("=_mixed", "=_alternative"))


def test_a_boundary_is_the_usual_one_unless_a_part_has_it():
    assert read(Post(to=TO, text="x", html="y")).get_boundary() == "=_alternative"
    inner = compose(Post(to=TO, text="x", html="y"))[1].raw
    attached = Attachment("kept.eml", inner, "message/rfc822")
    message = read(Post(to=TO, text="x", html="y", attachments=(attached,)))
    alternative, forwarded = message.iter_parts()
    assert (message.get_boundary(), alternative.get_boundary()) == ("=_mixed", "=_alternative")
    assert forwarded.get_content().get_boundary() == "=_alternative"
    assert [text_of(part) for part in forwarded.get_content().iter_parts()] == ["x\r\n", "y\r\n"]


def test_the_same_post_makes_the_same_bytes():
    post = Post(to=TO, text="é" * 500, html="<b>", attachments=(Attachment("é.txt", b"1", "text/plain"),))
    assert compose(post)[1].raw == compose(post)[1].raw


def test_names_and_subject_beyond_ascii_come_back_as_they_were():
    post = Post(
        to=(named("ann@example.org", "Ann, née Étienne"), named("b@example.org", 'Le "Chef"')),
        from_=named("bob@café.example", "Crème brûlée"),
        reply_to=(named("r@example.org", "日本語"),),
        subject="Votre facture n° 12 — à régler",
        text="x",
    )
    message = read(post)
    assert message["Subject"] == post.subject
    assert [(a.display_name, a.addr_spec) for a in message["To"].addresses] == [
        ("Ann, née Étienne", "ann@example.org"),
        ('Le "Chef"', "b@example.org"),
    ]
    assert message["From"].addresses[0].display_name == "Crème brûlée"
    assert message["From"].addresses[0].addr_spec == "bob@xn--caf-dma.example"
    assert message["Reply-To"].addresses[0].display_name == "日本語"


def test_a_local_part_beyond_ascii_stays_utf8_in_the_header():
    envelope, content = compose(Post(to=(named("jérôme@example.org", "Jérôme"),), text="x"))
    assert envelope.needs_smtputf8
    assert "<jérôme@example.org>".encode() in content.raw


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 1000, 300_000])
def test_an_attachment_comes_out_as_it_went_in(size):
    data = random.Random(size).randbytes(size)
    message = read(Post(to=TO, text="see", attachments=(Attachment("a.bin", data),)))
    (part,) = message.iter_attachments()
    assert hashlib.sha256(part.get_content()).digest() == hashlib.sha256(data).digest()


@given(
    st.binary(max_size=400),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), min_size=1, max_size=120),
)
def test_any_bytes_under_any_name_come_back(data, name):
    name = name.replace("/", "-").replace("\\", "-")
    if name in {".", ".."}:
        return
    message = read(Post(to=TO, text="x", attachments=(Attachment(name, data),)))
    (part,) = message.iter_attachments()
    assert part.get_payload(decode=True) == data
    assert "".join((part.get_filename() or "").split()) == "".join(name.split())


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\r\n\t =.é"), max_size=400))
def test_any_text_comes_back_with_crlf(text):
    normal = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    for found in (text_of(read(Post(to=TO, text=text))), text_of(read(Post(to=TO, html=text)))):
        assert found == (normal if normal.endswith("\r\n") else normal + "\r\n")


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\r\n\t\f =_.é"), max_size=400)
)
def test_what_was_looked_through_already_makes_the_same_bytes(text):
    post = Post(to=TO, text=text, html=f"<p>{text}</p>")
    assert compose(post, Bodies(checked=True)) == compose(post)


PIECES = st.lists(
    st.sampled_from(["", "x", " ", "\t", "\n", "\r", "_", "=_", "=_alternative", "é", "\u2028", "y" * 500]),
    max_size=6,
).map("".join)


@given(PIECES, PIECES)
def test_texts_made_into_a_body_at_once_are_what_they_are_made_into_one_by_one(text, html):
    post = Post(to=TO, text=text, html=html)
    assert compose(post, Bodies(checked=True)) == compose(post)
    read(post)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=300))
def test_any_subject_comes_back(subject):
    post = Post(to=TO, text="x", subject=subject)
    read(post)
    _, content = compose(post)
    assert content.text("subject") == subject
    assert max(map(len, content.header_block.split(b"\r\n"))) <= LINE_LIMIT


def test_a_line_of_5000_characters_is_encoded():
    line = "x" * 5000
    message = read(Post(to=TO, text=line))
    assert message["Content-Transfer-Encoding"] == "quoted-printable"
    assert text_of(message) == line + "\r\n"


def test_mostly_foreign_text_is_base64_and_french_is_quoted_printable():
    assert read(Post(to=TO, text="日本語" * 200))["Content-Transfer-Encoding"] == "base64"
    assert (
        read(Post(to=TO, text="Être ou ne pas être, là est la question. " * 20))["Content-Transfer-Encoding"]
        == "quoted-printable"
    )


def test_further_headers_are_kept_and_a_long_url_stays_whole():
    url = "<https://example.org/" + "u" * 300 + ">"
    _, content = compose(Post(to=TO, text="x", headers={"List-Unsubscribe": url, "X-Ticket": "été"}))
    assert f"List-Unsubscribe: {url}\r\n".encode() in content.raw
    assert content.text("x-ticket") == "été"


@pytest.mark.parametrize(
    "name",
    ["From", "to", "CC", "Bcc", "Subject", "Reply-To", "Sender", "Return-Path", "Received", "MIME-Version",
     "DKIM-Signature", "Content-Type", "content-foo", "X-Vaguemestre-Stream"],
)  # fmt: skip
def test_a_header_of_ours_is_refused_by_name(name):
    fault = refusal(Post(to=TO, text="x", headers={name: "v"}))
    assert (fault.field, fault.code) == (f"headers.{name}", "header_reserved")


@pytest.mark.parametrize("name", ["", "A B", "A:", "É", "A\r\nBcc", "x" * 77, "A\0"])
def test_what_is_no_header_name_is_refused(name):
    assert refusal(Post(to=TO, text="x", headers={name: "v"})).code == "header_name"


def test_a_header_given_twice_is_refused():
    assert refusal(Post(to=TO, text="x", headers={"X-A": "1", "x-a": "2"})).code == "header_twice"


@pytest.mark.parametrize("value", ["x", "<a>", "<a b@c>", "<@>", "<a@b> <c@d>", "<" + "a" * 1000 + "@b>"])
def test_a_message_id_has_the_form_of_one(value):
    assert refusal(Post(to=TO, text="x", headers={"Message-ID": value})).field == "headers.Message-ID"


def test_a_date_is_a_date():
    assert refusal(Post(to=TO, text="x", headers={"Date": "tomorrow"})).code == "date"
    compose(Post(to=TO, text="x", headers={"Date": "Mon, 05 Jan 2026 10:00:00 +0100"}))


INJECTIONS = [
    "a\r\nBcc: x@example.org",
    "a\nb",
    "a\rb",
    "a\0b",
    "a\x1bb",
    "a\x85b",
    "a\u2028b",
    "a\ud800b",
    "a\x7fb",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_i09_a_control_character_is_refused_at_its_field(text):
    at = {
        "subject": Post(to=TO, text="x", subject=text),
        "headers.X-Foo": Post(to=TO, text="x", headers={"X-Foo": text}),
        "attachments[0].filename": Post(to=TO, attachments=(Attachment(text, b""),)),
        "attachments[1].content_type": Post(
            to=TO, attachments=(Attachment("a", b""), Attachment("a", b"", f"text/{text}"))
        ),
        "attachments[0].content_id": Post(to=TO, attachments=(Attachment("a", b"", "a/b", text),)),
    }
    assert {field: refusal(post).field for field, post in at.items()} == {field: field for field in at}


@pytest.mark.parametrize("text", ["a\0b", "a\x1bb", "a\ud800b", "a\x0bb"])
def test_i09_a_control_character_in_the_text_is_refused(text):
    assert refusal(Post(to=TO, text=text)).field == "text"
    assert refusal(Post(to=TO, html=text)).field == "html"


@pytest.mark.parametrize("name", ["../a", "a/b", "C:\\a", ".", "..", "", "invoice\u202efdp.exe", "x" * 256])
def test_i09_a_filename_is_a_bare_name(name):
    assert refusal(Post(to=TO, attachments=(Attachment(name, b"x"),))).field == "attachments[0].filename"


@pytest.mark.parametrize("kind", ["", "pdf", "multipart/mixed", "a/b; c", "a/b\r\nX: y", "é/b", "a/b;" * 400])
def test_what_is_no_content_type_is_refused(kind):
    assert (
        refusal(Post(to=TO, attachments=(Attachment("a", b"x", kind),))).field
        == "attachments[0].content_type"
    )


def test_a_content_id_twice_is_refused():
    twice = (Attachment("a", b"", "a/b", "x"), Attachment("b", b"", "a/b", "x"))
    assert refusal(Post(to=TO, html="h", attachments=twice)).field == "attachments[1].content_id"


def test_a_message_within_a_message_travels_unencoded_or_is_refused():
    inner = b"Subject: inner\r\n\r\nbody\r\n"
    message = read(Post(to=TO, text="fwd", attachments=(Attachment("m.eml", inner, "message/rfc822"),)))
    (part,) = message.iter_attachments()
    assert part.get_payload(0)["Subject"] == "inner"
    eight_bit = Attachment("m.eml", "Subject: é\r\n\r\n".encode(), "message/rfc822")
    assert refusal(Post(to=TO, attachments=(eight_bit,))).code == "message_embedded"


def test_25_megabytes_and_1000_recipients_take_no_time():
    data = random.Random(1).randbytes(25_000_000)
    many = tuple(named(f"a{number}@example.org", f"Näme {number}") for number in range(1000))
    started = time.process_time()
    envelope, content = compose(Post(to=many, text="x", attachments=(Attachment("a", data),)))
    assert time.process_time() - started < 3.0
    assert len(envelope.recipients) == 1000
    assert len(content.mailboxes("to", 1000)) == 1000


def test_an_empty_text_beside_html_makes_no_part():
    _, content = compose(Post(to=(named("a@example.org"),), text=" \n", html="<p>hello</p>"))
    assert content.value("content-type").startswith("text/html")


TEXTS = st.sampled_from([None, "", " ", "One\nTwo", "Zo\u00e9", "\0"])
FILES = st.sampled_from([(), (Attachment("a.txt", b"One", content_id="a"),)])
WRITTEN = st.builds(Post, to=st.just(TO), text=TEXTS, html=TEXTS, attachments=FILES)


def composed(post, **among):
    try:
        return compose(post, **among)
    except Invalid as fault:
        return str(fault)


@given(st.lists(WRITTEN, max_size=8))
def test_a_message_among_others_is_composed_as_if_it_came_alone(posts):
    bodies = Bodies()
    assert [composed(post, bodies=bodies) for post in posts] == [composed(post) for post in posts]
