"""BDAT (RFC 3030): sizes, order, limits, and that nothing in a chunk is ever read as a command."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submission.door import MESSAGE
from submission.test_commands import TRUST, new_dialogue, said
from submission.test_main_path import stored
from vaguemestre.doors.submission.effects import Close, Handover
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.ledger.models import Message

BEGUN = b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"
HEAD = b"Subject: one\r\n\r\n"
INJECTED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\n"


@pytest.fixture
def line(open_door):
    return open_door(trust=TRUST).dial()


def begun(limits=None):
    dialogue = new_dialogue(limits)
    assert said(dialogue.receive(BEGUN)).endswith(b"250 2.1.5 Recipient taken\r\n")
    return dialogue


def chunk(content, *, last=False):
    return b"BDAT %d%s\r\n%s" % (len(content), b" LAST" if last else b"", content)


def test_a_message_in_three_chunks_in_one_write_with_its_envelope(line):
    line.write(
        b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n"
        + chunk(MESSAGE[:20])
        + chunk(MESSAGE[20:21])
        + chunk(MESSAGE[21:], last=True)
        + b"NOOP\r\n"
    )
    codes = line.replies(4)
    assert [code for code, _ in codes] == [250] * 4
    _, content = stored(line.reply())
    assert content == MESSAGE
    assert line.reply()[0] == 250


@pytest.mark.parametrize("last", [chunk(MESSAGE, last=True), chunk(MESSAGE) + chunk(b"", last=True)])
def test_the_last_chunk_may_be_empty(line, last):
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n" + last)
    replies = line.replies(2 + last.count(b"BDAT"))
    assert stored(replies[-1])[1] == MESSAGE


def test_content_needs_no_last_line_end_and_dots_stay(line):
    raw = HEAD + b".\r\n..\r\nno end"
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n" + chunk(raw, last=True))
    assert stored(line.replies(3)[-1])[1] == raw


@given(st.lists(st.integers(0, 120), max_size=8), st.lists(st.integers(0, 400), max_size=10))
@settings(max_examples=200, deadline=None)
def test_any_chunks_in_any_splitting_are_the_same_message(sizes, cuts):
    raw = HEAD + b"\r\n".join(b"line %d" % number for number in range(12)) + b"\r\n.\r\n"
    edges = sorted({0, len(raw), *(size for size in sizes if size < len(raw))})
    wired = b"".join(chunk(raw[start:end]) for start, end in pairwise(edges)) + chunk(b"", last=True)
    dialogue = begun()
    ends = sorted({0, len(wired), *(cut for cut in cuts if cut < len(wired))})
    effects = [effect for start, end in pairwise(ends) for effect in dialogue.receive(wired[start:end])]
    assert [effect.content.raw for effect in effects if isinstance(effect, Handover)] == [raw]
    assert said(effects).count(b"250 2.0.0 ") == len(edges) - 1


@pytest.mark.parametrize(
    "argument", ["", "LAST", "-1", "x", "1 FIRST", "1 LAST 2", "1" * 21, "0x10", "1.5", "+5", "\u0661"]
)
def test_what_names_no_size_ends_the_session_and_its_octets_are_no_commands(argument):
    dialogue = begun()
    effects = dialogue.receive(f"BDAT {argument}\r\n".encode() + INJECTED)
    assert said(effects).startswith(b"501 5.5.4 ")
    assert said(effects).count(b"\r\n") == 1
    assert isinstance(effects[-1], Close)


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        (b"EHLO a\r\n", b"503 5.5.1 "),
        (b"EHLO a\r\nMAIL FROM:<a@example.org>\r\n", b"554 5.5.1 "),
        (b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<nobody>\r\n", b"554 5.5.1 "),
    ],
)
def test_a_chunk_out_of_place_is_read_and_thrown_away(before, answer):
    dialogue = new_dialogue()
    dialogue.receive(before)
    effects = dialogue.receive(chunk(INJECTED) + b"NOOP\r\n")
    assert said(effects).startswith(answer)
    assert said(effects).split(b"\r\n")[1] == b"250 2.0.0 OK"
    assert dialogue.content.held == 0


def test_between_chunks_come_only_chunks_or_the_end():
    dialogue = begun()
    dialogue.receive(chunk(HEAD))
    for command in (b"RCPT TO:<c@example.net>", b"DATA", b"MAIL FROM:<c@example.org>", b"AUTH PLAIN"):
        assert said(dialogue.receive(command + b"\r\n")).startswith(b"503 5.5.1 "), command
    assert said(dialogue.receive(b"NOOP\r\n")).startswith(b"250 ")
    (recorded,) = dialogue.receive(chunk(b"x\r\n", last=True))
    assert recorded.content.raw == HEAD + b"x\r\n"
    assert len(recorded.rcpts) == 1


@pytest.mark.parametrize("end", [b"RSET\r\n", b"EHLO b\r\n"])
def test_rset_and_ehlo_forget_the_chunks(end):
    dialogue = begun()
    dialogue.receive(chunk(HEAD + b"forgotten\r\n"))
    assert dialogue.content.held > 0
    assert said(dialogue.receive(end)).startswith(b"250")
    assert dialogue.content.held == 0
    assert said(dialogue.receive(chunk(b"x", last=True))).startswith(b"503 5.5.1 ")
    dialogue.receive(BEGUN)
    (recorded,) = dialogue.receive(chunk(HEAD, last=True))
    assert recorded.content.raw == HEAD


@pytest.mark.parametrize(
    "bad",
    [b"a\nb\r\n", b"a\rb\r\n", b"x\r\r\n", b"ends with\r", b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n"],
)
def test_i01_a_bare_cr_or_lf_is_refused_at_every_split_into_chunks(bad):
    raw = HEAD + bad
    for cut in range(len(HEAD), len(raw) + 1):
        dialogue = begun()
        effects = dialogue.receive(chunk(raw[:cut]) + chunk(raw[cut:], last=True) + b"NOOP\r\n")
        assert not any(isinstance(effect, Handover) for effect in effects)
        assert b"550 5.6.11 " in said(effects)
        assert said(effects).endswith(b"250 2.0.0 OK\r\n")


def test_i01_an_end_of_data_within_a_chunk_ends_nothing():
    raw = HEAD + b"first\r\n.\r\n" + INJECTED + b"DATA\r\n"
    (recorded,) = begun().receive(chunk(raw, last=True))
    assert recorded.content.raw == raw


def test_more_than_the_limit_is_552_and_what_was_pipelined_behind_is_thrown_away():
    dialogue = begun(Limits(message=1_000))
    wired = chunk(HEAD) + chunk(b"x" * 2_000) + chunk(b"y" * 10) + chunk(INJECTED, last=True) + b"NOOP\r\n"
    replies = said(dialogue.receive(wired)).split(b"\r\n")
    assert [reply[:10] for reply in replies[:-1]] == [
        b"250 2.0.0 ",
        b"552 5.3.4 ",
        b"503 5.5.1 ",
        b"503 5.5.1 ",
        b"250 2.0.0 ",
    ]
    assert dialogue.content.held == 0


def test_a_chunk_without_end_costs_no_memory(open_door):
    line = open_door(Limits(message=100_000), trust=TRUST).dial()
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n")
    line.write(b"BDAT 30000000 LAST\r\n" + b"x" * 30_000_000)
    assert [code for code, _ in line.replies(3)] == [250, 250, 552]
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n" + chunk(MESSAGE, last=True))
    assert [code for code, _ in line.replies(3)] == [250] * 3


def test_a_thousand_transactions_in_one_write_are_taken_one_by_one(line):
    one = b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n"
    wired = b"".join(one + chunk(HEAD + b"%d\r\n" % number, last=True) for number in range(100))
    line.write(wired)
    assert {code for code, _ in line.replies(300)} == {250}
    assert Message.objects.count() == 100


def test_refused_transactions_in_one_write_are_refused_one_by_one():
    one = b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n" + chunk(b"no header\r\n", last=True)
    dialogue = begun()
    dialogue.receive(b"RSET\r\n")
    replies = said(dialogue.receive(one * 3_000)).split(b"\r\n")
    assert len(replies) == 9_001
    assert {reply[:4] for reply in replies[2:-1:3]} == {b"550 "}


@pytest.mark.parametrize("size", [26_214_401, 99_999_999_999_999_999_999])
def test_a_chunk_beyond_any_message_ends_the_session_where_there_is_no_transaction(size):
    dialogue = new_dialogue()
    effects = dialogue.receive(b"EHLO a\r\nBDAT %d\r\n" % size + INJECTED)
    assert said(effects).split(b"\r\n")[-2].startswith(b"503 5.5.1 ")
    assert isinstance(effects[-1], Close)
    assert dialogue.receive(INJECTED) == []


def test_a_chunk_without_end_ends_the_session_in_a_transaction_too():
    dialogue = begun()
    assert dialogue.receive(b"BDAT %d LAST\r\n" % (2**32 - 1)) == []
    dialogue = begun()
    effects = dialogue.receive(b"BDAT %d\r\n" % 2**32 + INJECTED)
    assert said(effects).startswith(b"552 5.3.4 ")
    assert isinstance(effects[-1], Close)
    assert dialogue.receive(INJECTED) == []


def test_empty_chunks_are_cut_short():
    dialogue = begun(Limits(idle_commands=10, errors=5))
    effects = dialogue.receive(chunk(b"") * 100)
    assert said(effects).count(b"250 2.0.0 ") < 20
    assert isinstance(effects[-1], Close)
