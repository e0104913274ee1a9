"""Notifications, read back by an independent parser: the standard library's."""

import dataclasses
import email
import re
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaguemestre.mail.content import LINE_LIMIT, Content
from vaguemestre.mail.dsn import Action, Dsn, Ended, action_of, compose, status_of, status_of_delay
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox
from vaguemestre.mail.reply import Reply, printable
from vaguemestre.mail.state import DeliveryState

AT = datetime(2026, 11, 27, 8, 30, tzinfo=UTC)
HEADER = b"From: app@example.org\r\nTo: ann@example.com\r\nSubject: Hello\r\n"
WHOLE = HEADER + b"\r\nGood day\r\n"
ANN = Ended(
    Mailbox.parse("ann@example.com"),
    Action.FAILED,
    "5.1.1",
    "rfc822;Ann+2BBox@example.com",
    Reply(550, "5.1.1 No such user"),
    "smtp.example.com",
    AT,
)


def dsn(**values):
    made = {
        "to": Mailbox.parse("app@example.org"),
        "sender": NamedMailbox(Mailbox.parse("office@example.org"), "Office"),
        "subject": "Your message did not get through: Hello",
        "text": "One\nTwo é",
        "reporting": "relay.example.org",
        "arrived_at": AT,
        "ended": (ANN,),
        "original": WHOLE,
    }
    return Dsn(**made | values)


def read(made):
    raw = compose(made).raw
    assert max(map(len, raw.split(b"\r\n"))) <= LINE_LIMIT
    return email.message_from_bytes(raw)


def test_the_subject_keeps_its_no_break_spaces_and_is_one_line():
    subject = "Votre message n’est pas parti\u202f: «\xa0Facture\n  17\xa0»"
    told = str(make_header(decode_header(read(dsn(subject=subject))["Subject"])))
    assert told == "Votre message n’est pas parti\u202f: «\xa0Facture 17\xa0»"


def groups(parsed):
    """The fields for programs: of the message, then of each recipient."""
    return [
        {name: re.sub(r"\r?\n(?=[ \t])", "", value) for name, value in block.items()}
        for block in parsed.get_payload(1).get_payload()
        if block.items()
    ]


def test_a_notification_word_for_word():
    raw = compose(dsn()).raw
    boundary = re.search(rb'boundary="(=_[0-9a-f]{32})"', raw)[1]
    assert raw.replace(boundary, b"BORDER") == (
        b"From: Office <office@example.org>\r\n"
        b"To: app@example.org\r\n"
        b"Subject: Your message did not get through: Hello\r\n"
        b"Auto-Submitted: auto-replied\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status;\r\n"
        b' boundary="BORDER"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"--BORDER\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n"
        b"\r\n"
        b"One\r\nTwo =C3=A9\r\n\r\n"
        b"--BORDER\r\n"
        b"Content-Type: message/delivery-status\r\n"
        b"\r\n"
        b"Reporting-MTA: dns; relay.example.org\r\n"
        b"Arrival-Date: Fri, 27 Nov 2026 08:30:00 +0000\r\n"
        b"\r\n"
        b"Original-Recipient: rfc822; Ann+Box@example.com\r\n"
        b"Final-Recipient: rfc822; ann@example.com\r\n"
        b"Action: failed\r\n"
        b"Status: 5.1.1\r\n"
        b"Remote-MTA: dns; smtp.example.com\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 No such user\r\n"
        b"Last-Attempt-Date: Fri, 27 Nov 2026 08:30:00 +0000\r\n"
        b"\r\n"
        b"--BORDER\r\n"
        b"Content-Type: text/rfc822-headers\r\n"
        b"\r\n" + HEADER + b"\r\n"
        b"--BORDER--\r\n"
    )


def test_the_same_notification_is_the_same_bytes():
    assert compose(dsn()).raw == compose(dsn()).raw


def test_the_whole_message_is_returned_as_a_message():
    returned = read(dsn(whole=True)).get_payload(2)
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0)["Subject"] == "Hello"
    assert returned.get_payload(0).get_payload() == "Good day\r\n"


def test_a_message_of_eight_bits_is_returned_with_its_octets():
    raw = HEADER + b"\r\n" + "Schöne Grüße\r\n".encode("latin-1")
    parsed = read(dsn(original=raw, whole=True))
    assert parsed["Content-Transfer-Encoding"] == "8bit"
    assert parsed.get_payload(2)["Content-Transfer-Encoding"] == "8bit"
    assert raw in compose(dsn(original=raw, whole=True)).raw


def test_a_message_whose_header_is_beyond_ascii_is_returned_as_a_global_one():
    raw = "Subject: Déjà\r\n\r\nHello\r\n".encode()
    assert read(dsn(original=raw, whole=True)).get_payload(2).get_content_type() == "message/global"


@pytest.mark.parametrize(
    "header", ["Subject: Déjà\r\n".encode(), b"X-Long: " + b"x" * 2000 + b"\r\n"], ids=["8bit", "long"]
)
def test_a_header_section_that_seven_bits_cannot_hold_is_encoded(header):
    returned = read(dsn(original=header + b"\r\nbody")).get_payload(2)
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True) == header


def test_without_a_content_nothing_is_returned():
    assert [part.get_content_type() for part in read(dsn(original=b"")).get_payload()] == [
        "text/plain",
        "message/delivery-status",
    ]


def test_the_envelope_id_is_decoded_and_the_message_is_named():
    parsed = read(dsn(envid="QQ+2B314159", message_id="<17@example.org>"))
    assert groups(parsed)[0]["Original-Envelope-Id"] == "QQ+314159"
    assert parsed["References"] == "<17@example.org>"


@pytest.mark.parametrize(("length", "named"), [(900, True), (901, False)])
def test_no_message_is_named_whose_id_no_line_can_hold(length, named):
    message_id = f"<{'x' * (length - 14)}@example.org>"
    assert len(message_id) == length
    assert (read(dsn(message_id=message_id))["References"] == message_id) is named


@pytest.mark.parametrize("envid", ["a+0D+0AAction:+20relayed", "a+00", "a+7F"])
def test_an_envelope_id_that_would_break_a_line_stays_encoded(envid):
    assert groups(read(dsn(envid=envid)))[0]["Original-Envelope-Id"] == envid


def test_without_a_sender_the_connection_gives_the_from():
    assert read(dsn(sender=None))["From"] is None


def test_addresses_beyond_ascii_are_written_in_seven_bits():
    one = Ended(Mailbox.parse("zoé+x@exämple.org"), Action.FAILED, "5.6.7", "utf-8;zoé@exämple.org")
    raw = compose(dsn(ended=(one,))).raw
    fields = groups(email.message_from_bytes(raw))[1]
    assert fields["Final-Recipient"] == "utf-8; zo\\x{E9}\\x{2B}x@xn--exmple-cua.org"
    assert fields["Original-Recipient"] == "utf-8; zo\\x{E9}@ex\\x{E4}mple.org"
    assert raw.isascii()


@pytest.mark.parametrize(
    ("host", "named"), [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]")]
)
def test_a_server_without_a_name_is_an_address_literal(host, named):
    (_, of_recipient) = groups(read(dsn(ended=(dataclasses.replace(ANN, remote=host),))))
    assert of_recipient["Remote-MTA"] == f"dns; {named}"


def test_a_server_s_words_beyond_ascii_are_escaped_for_programs():
    one = Ended(Mailbox.parse("a@b.example"), Action.FAILED, "5.1.1", reply=Reply(550, "Élève\ninconnu"))
    assert groups(read(dsn(ended=(one,))))[1]["Diagnostic-Code"] == "smtp; 550 \\x{C9}l\\x{E8}ve inconnu"


@pytest.mark.parametrize(
    ("state", "notify", "expected"),
    [
        ("refused", "", Action.FAILED),
        ("expired", "FAILURE,DELAY", Action.FAILED),
        ("refused", "NEVER", None),
        ("refused", "SUCCESS", None),
        ("accepted", "", None),
        ("accepted", "DELAY,SUCCESS", Action.RELAYED),
        ("accepted", "NEVER", None),
        ("cancelled", "SUCCESS,FAILURE", None),
        ("queued", "SUCCESS,FAILURE", None),
        ("in_doubt", "SUCCESS,FAILURE", None),
    ],
)
def test_what_is_reported(state, notify, expected):
    assert action_of(DeliveryState(state), notify) is expected


@pytest.mark.parametrize(
    ("state", "reply", "ours", "expected"),
    [
        ("refused", Reply(550, "5.1.1 unknown"), "", "5.1.1"),
        ("refused", Reply(550, "unknown"), "", "5.0.0"),
        ("refused", None, "5.3.4", "5.3.4"),
        ("expired", Reply(450, "4.2.2 full"), "", "4.2.2"),
        ("expired", Reply(450, "busy"), "", "5.4.7"),
        ("expired", None, "", "5.4.7"),
        ("accepted", Reply(250, "2.1.5 Ok"), "", "2.1.5"),
        ("accepted", Reply(250, "Ok"), "", "2.0.0"),
    ],
)
def test_the_status_is_the_server_s_own_where_it_gave_one(state, reply, ours, expected):
    assert status_of(DeliveryState(state), reply, ours) == expected


texts = st.text(max_size=300)
locals_ = st.one_of(
    st.from_regex(r"[A-Za-z0-9+=!#%&'*/?^_`{|}~-]{1,30}", fullmatch=True),
    st.sampled_from(["zoé", "用户", "ж+=ж", '"a  b"', '"a\\"@b"', "x" * 64]),
)
mailboxes = st.builds(
    lambda local, domain: Mailbox.parse(f"{local}@{domain}"),
    locals_,
    st.sampled_from(["example.com", "exämple.org", "a.test", ".".join(["b" * 60] * 2)]),
)
replies = st.one_of(
    st.none(),
    st.builds(
        lambda code, text: Reply(code, printable(text)),
        st.integers(200, 599),
        st.one_of(texts, texts.map("5.1.1 ".__add__), st.text("aé=? \n\t", max_size=3000)),
    ),
)
endings = st.builds(
    Ended,
    recipient=mailboxes,
    action=st.sampled_from(Action),
    status=st.sampled_from(["5.1.1", "2.0.0", "4.2.2"]),
    orcpt=st.one_of(st.just(""), texts, texts.map("rfc822;".__add__), texts.map("utf-8;".__add__)),
    reply=replies,
    remote=st.sampled_from(["", "smtp.example.com"]),
    attempted_at=st.one_of(st.none(), st.just(AT)),
    retry_until=st.one_of(st.none(), st.just(AT)),
)
originals = st.one_of(
    st.just(b""),
    st.just(WHOLE),
    st.binary(max_size=200).map(lambda body: HEADER + b"\r\n" + re.sub(rb"[\r\n]", b"", body)),
    texts.map(lambda text: f"Subject: {' '.join(printable(text).split())}\r\n\r\nbody\r\n".encode()),
)


@given(
    to=mailboxes,
    subject=texts,
    text=texts,
    ended=st.lists(endings, min_size=1, max_size=4).map(tuple),
    envid=texts,
    message_id=st.one_of(texts, st.just("<1@example.org>")),
    original=originals,
    whole=st.booleans(),
)
def test_whatever_was_said_and_whoever_it_is_about_a_parser_reads_it_back(to, ended, **values):
    made = dsn(to=to, ended=ended, **values)
    raw = compose(made).raw
    Content(raw)
    parsed = read(made)
    parts = parsed.get_payload()
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert parsed.defects == []
    assert len(parsed.get_all("To")) == len(parsed.get_all("Subject")) == 1
    assert [part.get_content_type() for part in parts[:2]] == ["text/plain", "message/delivery-status"]
    assert len(parts) == (3 if values["original"] else 2)
    words = "\r\n".join(printable(line) for line in values["text"].splitlines())
    assert parts[0].get_payload(decode=True).decode() == words + "\r\n"
    assert (
        str(make_header(decode_header(parsed["Subject"]))).split()
        == printable(values["subject"], 300).split()
    )
    of_message, *of_recipients = groups(parsed)
    assert of_message["Reporting-MTA"] == "dns; relay.example.org"
    assert len(of_recipients) == len(ended)
    for fields, one in zip(of_recipients, ended, strict=True):
        _read_back(fields, one)


def _read_back(fields, one):
    kind, _, address = fields["Final-Recipient"].partition("; ")
    unescaped = re.sub(r"\\x\{([0-9A-F]+)\}", lambda found: chr(int(found[1], 16)), address)
    assert (kind, unescaped if kind == "utf-8" else address) == (
        "rfc822" if one.recipient.wire.isascii() else "utf-8",
        one.recipient.wire,
    )
    assert (fields["Action"], fields["Status"]) == (one.action.value, one.status)
    assert ("Diagnostic-Code" in fields) is (one.reply is not None)
    assert ("Remote-MTA" in fields) is (one.reply is not None and bool(one.remote))
    assert ("Original-Recipient" in fields) <= bool(one.orcpt)
    if one.reply is not None:
        assert fields["Diagnostic-Code"].startswith(f"smtp; {one.reply.code}")
    if one.attempted_at is not None:
        assert parsedate_to_datetime(fields["Last-Attempt-Date"]) == one.attempted_at
    assert all(value.isascii() for value in fields.values())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(451, "4.7.1 Greylisted"), "4.7.1"),
        (Reply(554, "5.7.1 Not now"), "4.7.1"),
        (Reply(450, "busy"), "4.0.0"),
        (None, "4.4.5"),
    ],
)
def test_the_status_of_a_delay_is_of_the_fourth_class(reply, expected):
    assert status_of_delay(reply, "4.4.5") == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [(Action.DELAYED, "Sat, 28 Nov 2026 08:30:00 +0000"), (Action.FAILED, None), (Action.RELAYED, None)],
)
def test_only_what_is_delayed_says_until_when_it_is_tried(action, expected):
    late = dataclasses.replace(ANN, action=action, retry_until=AT + timedelta(days=1))
    told = groups(read(dsn(ended=(late,))))[1]
    assert (told["Action"], told.get("Will-Retry-Until")) == (action.value, expected)
