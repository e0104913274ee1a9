"""A command that comes alone: taken apart as any other, and known the next time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from submission.test_commands import new_dialogue, said
from vaguemestre.doors.submission import lines
from vaguemestre.smtp.wire import BareLineEnding, LineReader, LineTooLong

PARTS = [b"\r", b"\n", b"\r\n", b"NOOP", b"data", b" ", b"x" * 20, b"\t", b"\xc3\xa9", b"\xff"]
COMMANDS = st.builds(
    lambda verb, rest: verb + rest + b"\r\n",
    st.sampled_from([b"MAIL", b"mail", b"RCPT", b"Rcpt", b"DATA", b"RSET", b"NOOP", b"AUTH", b" DATA", b""]),
    st.sampled_from(
        [b"", b" ", b" FROM:<a@example.org>", b" FROM:<>  ", b" TO:<b@example.net>", b" \xc3\xa9", b"\t"]
    ),
)


@given(st.lists(st.sampled_from(PARTS), max_size=5).map(b"".join))
def test_what_is_taken_as_a_sole_command_is_the_one_line_that_a_reader_finds(data):
    reader, found = LineReader(limit=25), []
    reader.feed(data)
    try:
        while (line := reader.next_line()) is not None:
            found.append(line)
    except (BareLineEnding, LineTooLong):
        found.append(None)
    plain = len(found) == 1 and found[0] is not None and all(0x20 <= octet < 0x7F for octet in found[0])
    expected = lines.apart(found[0]) if plain and not reader.buffer else None
    assert lines.sole(data, 25) == expected
    assert lines.known(data) in (expected, None)


@given(st.lists(COMMANDS, max_size=8))
@settings(deadline=None)
def test_a_command_is_answered_the_same_alone_again_and_in_pieces(commands):
    alone, again, torn = new_dialogue(), new_dialogue(), new_dialogue()
    for command in [b"EHLO a\r\n", *commands]:
        answer = said(alone.receive(command))
        assert said(again.receive(command)) == answer
        assert said(torn.receive(command[:1])) + said(torn.receive(command[1:])) == answer
        assert alone.mode is again.mode is torn.mode


def test_behind_the_start_of_a_line_nothing_is_a_command_of_its_own():
    lines.sole(b"DATA\r\n", 25)
    dialogue = new_dialogue()
    assert dialogue.receive(b"X") == []
    assert said(dialogue.receive(b"DATA\r\n")).startswith(b"500 5.5.1")  # XDATA


def test_only_short_lines_of_a_transaction_are_kept_never_a_key_and_not_too_many():
    for line in (b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n", b"RCPT TO:<%b>\r\n" % (b"x" * 200), b"NOOP\r\n"):
        assert lines.sole(line, 2_048) is not None
        assert lines.known(line) is None
    for number in range(2_000):
        line = b"rcpt TO:<%d@example.net>\r\n" % number
        lines.sole(line, 2_048)
        assert lines.known(line) == (b"RCPT", b"TO:<%d@example.net>" % number)
        assert len(lines._said) <= 512
