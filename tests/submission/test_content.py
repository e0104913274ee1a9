"""Content: where it ends, what is refused, and that nothing in it changes (I01)."""

import hashlib
import smtplib
from ipaddress import ip_network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submission.door import MESSAGE, eventually, stuffed
from submission.test_main_path import stored
from vaguemestre.doors.submission.answers import CLOSED_DOWN
from vaguemestre.doors.submission.dialogue import Dialogue
from vaguemestre.doors.submission.effects import Close, Handover
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger import models
from vaguemestre.ledger.models import Chunk, Message

TRUST = (ip_network("127.0.0.0/8"),)
HEAD = b"From: app@example.org\r\nSubject: one\r\n\r\nfirst"
# What follows the false end, if it is taken for one: a second message.
REST = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: two\r\n\r\nsecond"
FALSE_ENDS = {
    r"\n.\n": b"\n.\n",
    r"\n.\r\n": b"\n.\r\n",
    r"\r\n.\n": b"\r\n.\n",
    r"\r.\r": b"\r.\r",
    r"\r.\r\n": b"\r.\r\n",
    r"\r\n.\r": b"\r\n.\r",
    r"\r.\n": b"\r.\n",
    r"\n.\r": b"\n.\r",
    r"\r\n\0.\r\n": b"\r\n\0.\r\n",
    r"\r\n.\0\r\n": b"\r\n.\0\r\n",
    r"\r\n. \r\n": b"\r\n. \r\n",
    r"\r\r\n.\r\r\n": b"\r\r\n.\r\r\n",
    r"\r\n..\r\n": b"\r\n..\r\n",  # an honest line of one dot
}
HARMLESS = {r"\r\n\0.\r\n", r"\r\n.\0\r\n", r"\r\n. \r\n", r"\r\n..\r\n"}  # no bare CR or LF in them


def dialogue_in_content():
    """A dialogue that has said 354."""
    dialogue = Dialogue(Terms("mx.example.org", trust=TRUST), Peer.at("127.0.0.1"), secure=False)
    dialogue.begin()
    effects = dialogue.receive(b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
    assert effects[-1].startswith(b"354 ")
    return dialogue


def end_of(dialogue, pieces):
    """What became of the content: the handovers, and the replies."""
    effects = [effect for piece in pieces for effect in dialogue.receive(piece)]
    handovers = [effect for effect in effects if isinstance(effect, Handover)]
    return handovers, b"".join(effect for effect in effects if isinstance(effect, bytes))


@pytest.mark.parametrize("name", FALSE_ENDS)
def test_i01_a_false_end_makes_one_message_or_none_at_every_split(name):
    wire = HEAD + FALSE_ENDS[name] + REST + b"\r\n.\r\n"
    for cut in range(1, len(wire)):
        handovers, replies = end_of(dialogue_in_content(), [wire[:cut], wire[cut:]])
        if name in HARMLESS:
            assert len(handovers) == 1
            assert REST in handovers[0].content.raw
            assert replies == b""
        else:
            assert handovers == []
            assert replies.startswith(b"550 5.6.11 ")
            assert replies.count(b"\r\n") == 1


@pytest.mark.parametrize("name", FALSE_ENDS)
def test_i01_byte_by_byte_it_is_the_same(name):
    wire = HEAD + FALSE_ENDS[name] + REST + b"\r\n.\r\n"
    handovers, replies = end_of(dialogue_in_content(), [bytes([octet]) for octet in wire])
    assert len(handovers) == (name in HARMLESS)
    assert replies.startswith(b"550 5.6.11 ") is (name not in HARMLESS)


@pytest.mark.parametrize("name", FALSE_ENDS)
def test_i01_over_a_socket_the_session_goes_on_and_the_ledger_holds_one_message_or_none(door, key, name):
    line = door.dial(key=key)
    line.envelope()
    line.write(HEAD + FALSE_ENDS[name] + REST + b"\r\n.\r\n")
    code, text = line.reply()
    assert (code, text[:7]) == ((250, "2.0.0 q") if name in HARMLESS else (550, "5.6.11 "))
    assert line.ask("NOOP")[0] == 250
    assert Message.objects.count() == (name in HARMLESS)
    assert line.submit()[0] == 250


@given(body=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_splitting_yields_the_bytes_that_were_written(body, cuts):
    body = HEAD + body.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    wire = stuffed(body) + b".\r\n"
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in pairwise(edges)]
    handovers, replies = end_of(dialogue_in_content(), pieces)
    assert [handover.content.raw for handover in handovers] == [body]
    assert replies == b""


@pytest.mark.parametrize(
    "body", [b".\r\n", b"..\r\n", b".a\r\n.\r\n..b\r\n", b"\r\n.\r\n", b"a\r\n\r\n.\r\n\r\n"]
)
def test_dots_at_the_start_of_lines_survive(door, key, body):
    raw = b"Subject: dots\r\n\r\n" + body
    _, content = stored(door.dial(key=key).submit(raw))
    assert content == raw


def test_eight_bit_content_is_stored_as_it_came(door, key):
    raw = MESSAGE + bytes(octet for octet in range(256) if octet not in b"\r\n") + b"\r\n"
    line = door.dial(key=key)
    assert line.ask("MAIL FROM:<app@example.org> BODY=8BITMIME")[0] == 250
    assert line.ask("RCPT TO:<to@example.net>")[0] == 250
    assert line.ask("DATA")[0] == 354
    line.write(raw + b".\r\n")
    _, content = stored(line.reply())
    assert content == raw


def test_addresses_and_headers_beyond_ascii_are_taken_with_smtputf8(door, key):
    raw = "From: Zoé <zoé@example.org>\r\nSubject: Été\r\n\r\nÀ bientôt\r\n".encode()
    line = door.dial(key=key)
    assert line.ask("MAIL FROM:<zoé@example.org> SMTPUTF8 BODY=8BITMIME")[0] == 250
    assert line.ask("RCPT TO:<élan@café.example>")[0] == 250
    assert line.ask("DATA")[0] == 354
    line.write(raw + b".\r\n")
    message, content = stored(line.reply())
    assert content == raw
    assert message.reverse_path == "zoé@example.org"
    assert [delivery.recipient for delivery in message.delivery_set.all()] == ["élan@xn--caf-dma.example"]


def test_a_large_message_fills_many_chunks_and_is_the_same(door, key):
    raw = MESSAGE + b"".join(b"%075d\r\n" % number for number in range(100_000))  # 7.7 MB
    message, content = stored(door.dial(key=key).submit(raw))
    assert message.size == len(raw) == 7_700_071
    assert content == raw
    assert Chunk.objects.filter(message=message).count() == 30


def test_more_than_the_announced_size_is_refused_at_mail(open_door, key):
    line = open_door(Limits(message=10_000)).dial(key=key)
    code, text = line.ask("MAIL FROM:<app@example.org> SIZE=10001")
    assert (code, text[:5]) == (552, "5.3.4")
    assert line.ask("MAIL FROM:<app@example.org> SIZE=10000")[0] == 250


@pytest.mark.parametrize(("size", "code"), [(9_999, 250), (10_000, 250), (10_001, 552), (2_000_000, 552)])
def test_a_message_that_grows_beyond_the_limit_is_refused_at_its_end(open_door, key, size, code):
    line = open_door(Limits(message=10_000)).dial(key=key)
    raw = b"Subject: x\r\n\r\n"
    raw += b"a" * (size - len(raw) - 2) + b"\r\n"
    assert len(raw) == size
    answered, text = line.submit(raw)
    assert answered == code
    assert code == 250 or text.startswith("5.3.4 ")
    assert line.submit()[0] == 250


def test_content_that_is_given_up_is_forgotten(open_door, key):
    door = open_door(Limits(message=100_000, held=150_000))
    first, second = door.dial(key=key), door.dial(key=key)
    for line in (first, second):
        line.envelope()
    first.write(b"a" * 90_000)
    assert eventually(lambda: door.held == 90_000)
    second.write(b"b" * 90_000)
    code, text = second.reply()
    assert (code, text[:5]) == (421, "4.3.1")
    assert second.closed()
    first.write(b"\r\n.\r\n")
    assert first.reply()[0] == 550  # it was no message; the room is free again
    assert first.submit()[0] == 250


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"Hello without a header\r\n", "5.6.0"),
        (b"Subject: a\0b\r\n\r\nx\r\n", "5.6.0"),
        (b"Received: from a\r\n" * 101 + b"\r\nx\r\n", "5.4.6"),
        (b"Subject: " + b"x" * 1_100_000 + b"\r\n\r\nx\r\n", "5.6.0"),
        (b"From: a@example.org\r\nFrom: b@example.org\r\n\r\nx\r\n", "5.6.0"),
    ],
    ids=["no header", "NUL", "loop", "huge header", "two From"],
)
def test_what_is_no_message_is_refused_with_its_reason(door, key, raw, status):
    code, text = door.dial(key=key).submit(raw)
    assert str(code).startswith("55")
    assert text.startswith(status + " ")
    assert Message.objects.count() == 0


def test_a_null_reverse_path_stays_null(door, key):
    message, _ = stored(door.dial(key=key).submit(sender="<>"))
    assert message.reverse_path == ""


def test_a_recipient_named_twice_is_one_delivery(door, key):
    recipients = ("<to@example.net>", "<other@example.net>", "<to@EXAMPLE.net>")
    message, _ = stored(door.dial(key=key).submit(recipients=recipients))
    assert sorted(delivery.recipient for delivery in message.delivery_set.all()) == [
        "other@example.net",
        "to@example.net",
    ]


def test_the_same_with_other_wishes_for_reports_is_another_message(door, key):
    line = door.dial(key=key)

    def hand_over(mail, rcpt, head=b""):
        line.ask(f"MAIL FROM:<app@example.org>{mail}")
        line.ask(f"RCPT TO:<to@example.net>{rcpt}")
        line.ask("DATA")
        line.write(head + MESSAGE + b".\r\n")
        return line.reply()[1]

    wishes = [
        ("", ""),
        ("", " NOTIFY=NEVER"),
        ("", " NOTIFY=SUCCESS,FAILURE"),
        ("", " ORCPT=rfc822;to@example.net"),
        (" RET=HDRS", ""),
        (" ENVID=HDRS", ""),
    ]
    first = [hand_over(*wish) for wish in wishes]
    assert len({*first}) == Message.objects.count() == len(wishes)
    assert [hand_over(*wish) for wish in wishes] == first
    key_header = b"X-Vaguemestre-Idempotency-Key: one\r\n"
    assert hand_over(*wishes[1], key_header) == hand_over(*wishes[1], key_header)
    assert hand_over(*wishes[2], key_header).startswith("5.5.4 ")


def test_a_plain_handover_is_known_by_the_same_digest_after_an_upgrade(open_door):
    assert open_door(trust=TRUST).dial().submit(MESSAGE)[0] == 250
    words = ["smtp:127.0.0.1", "", hashlib.sha256(MESSAGE).hexdigest(), "app@example.org", "to@example.net"]
    digest = hashlib.sha256("\n".join(words).encode()).digest()
    assert [bytes(kept.digest) for kept in models.Handover.objects.all()] == [digest]


def test_fifty_messages_in_one_session_are_fifty_rows(door, key):
    line = door.dial(key=key)
    names = {line.submit()[1] for _ in range(50)}
    assert len(names) == Message.objects.count() == 50


def test_smtplib_pipes_a_message_of_bare_line_feeds_through_its_own_normalising(door, key):
    with smtplib.SMTP("127.0.0.1", door.port) as client:
        client.login("app", key)
        client.sendmail("app@example.org", ["to@example.net"], "Subject: x\n\nline\n.\nline\n")
    assert (
        b"".join(bytes(chunk.data) for chunk in Chunk.objects.all())
        == b"Subject: x\r\n\r\nline\r\n.\r\nline\r\n"
    )


def test_a_handover_does_not_show_its_content():
    handovers, _ = end_of(dialogue_in_content(), [b"Subject: canary\r\n\r\n.\r\n"])
    assert handovers[0].content.raw == b"Subject: canary\r\n\r\n"
    assert "canary" not in repr(handovers)


def test_a_dialogue_that_was_closed_takes_nothing_more():
    dialogue = dialogue_in_content()
    assert [type(effect) for effect in dialogue.turn_away(CLOSED_DOWN)] == [bytes, Close]
    assert dialogue.receive(b"x\r\n.\r\n") == []
    assert dialogue.content.held == 0
