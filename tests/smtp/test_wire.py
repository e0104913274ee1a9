"""The octets of SMTP: replies in any splitting, commands without injection, dots both ways."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.line_ending import has_bare_line_ending
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.smtp import wire
from vaguemestre.smtp.wire import (
    BareLineEnding,
    DataReader,
    LineReader,
    LineTooLong,
    MalformedReply,
    ReplyParser,
)


def replies(*pieces: bytes):
    parser = ReplyParser()
    found = []
    for piece in pieces:
        parser.feed(piece)
        while (raw := parser.next_reply()) is not None:
            found.append((raw.code, raw.lines))
    return found


def pieces_of(data, cuts):
    borders = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(borders)]


CUTS = st.lists(st.integers(0, 10_000), max_size=12)
TEXT = st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))
REPLY = st.tuples(st.integers(200, 599), st.lists(TEXT, min_size=1, max_size=4))


def written(code, lines):
    marks = [b"-"] * (len(lines) - 1) + [b" "]
    return b"".join(b"%d%s%s\r\n" % (code, mark, line) for mark, line in zip(marks, lines, strict=True))


@given(st.lists(REPLY, max_size=5), CUTS)
def test_any_splitting_of_replies_parses_the_same(said, cuts):
    data = b"".join(written(code, lines) for code, lines in said)
    assert replies(*pieces_of(data, cuts)) == [(code, tuple(lines)) for code, lines in said]


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_parse_the_same_however_they_are_split(data, cuts):
    def outcome(pieces):
        parser, found = ReplyParser(), []
        try:
            for piece in pieces:
                parser.feed(piece)
                while (raw := parser.next_reply()) is not None:
                    found.append(raw)
        except MalformedReply:
            return found, "malformed"
        return found, "open" if parser.pending else "done"

    assert outcome([data]) == outcome(pieces_of(data, cuts))


@pytest.mark.parametrize(
    "data",
    [
        b"250ok\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"250 ok\n",
        b"250 o\rk\r\n",
        b"250 ok\r\r\n",
        b"\r\n",
        b"\n",
        b"250-a\r\n251 b\r\n",
        b"250-a\r\n\r\n250 b\r\n",
        b"999 what\r\n",
        b"199 what\r\n",
        b"150 wait\r\n",
        b"600 no\r\n",
        b"\xef\xbb\xbf250 ok\r\n",
        b" 250 ok\r\n",
        b"ok\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x28",
        b"+OK POP3\r\n",
    ],
)
def test_u14_what_is_no_reply_is_malformed(data):
    with pytest.raises(MalformedReply):
        replies(data)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"250\r\n", (b"",)),
        (b"250 \r\n", (b"",)),
        (b"250-\r\n250\r\n", (b"", b"")),
        (b"250 nul\0 esc\x1b[31m latin\xe9\r\n", (b"nul\0 esc\x1b[31m latin\xe9",)),
        (b"250 " + b"x" * 8192 + b"\r\n", (b"x" * 8192,)),
    ],
)
def test_u14_what_is_odd_but_a_reply_is_taken(data, lines):
    assert replies(data) == [(250, lines)]


def test_u14_the_text_of_a_reply_is_made_safe():
    parser = ReplyParser()
    parser.feed(b"550-5.1.1 a\0\x1b[31m\r\n550 caf\xe9\r\n")
    raw = parser.next_reply()
    assert raw is not None
    assert raw.reply.text == "5.1.1 a\\x00\\x1b[31m\ncafé"
    assert str(raw.reply.enhanced) == "5.1.1"


def test_replies_before_a_malformed_one_are_returned():
    parser = ReplyParser()
    parser.feed(b"250 taken\r\nrubbish\r\n")
    assert parser.next_reply() == wire.RawReply(250, (b"taken",))
    with pytest.raises(MalformedReply):
        parser.next_reply()


def test_nothing_is_read_behind_what_is_no_reply():
    parser = ReplyParser()
    parser.feed(b"rubbish\r\n250 taken\r\n")
    parser.feed(b"250 taken\r\n")
    for _ in range(2):
        with pytest.raises(MalformedReply):
            parser.next_reply()
    assert parser.pending


def test_u13_a_flood_of_replies_is_kept_up_to_more_than_any_transaction_has():
    parser = ReplyParser()
    parser.feed(b"".join(b"220 %d\r\n" % number for number in range(30_000)))
    assert [parser.next_reply().lines for _ in range(2_048)] == [(b"%d" % n,) for n in range(2_048)]
    with pytest.raises(MalformedReply, match="more replies than commands"):
        parser.next_reply()


@pytest.mark.parametrize("data", [b"250-more\r\n", b"250 x" + b"y" * 100, b"250-\r\n"])
def test_u13_a_reply_without_end_is_cut_at_64_kib(data):
    parser, fed = ReplyParser(), 0
    with pytest.raises(MalformedReply, match="without end"):  # noqa: PT012
        while True:
            piece = data if data.endswith(b"\n") or not fed else b"y" * 100
            parser.feed(piece)
            fed += len(piece)
            assert parser.next_reply() is None
    assert fed <= wire.REPLY_LIMIT + 200


def test_parsing_takes_time_linear_in_its_input():
    started = time.perf_counter()
    parser = ReplyParser()
    for octet in b"250-" + b"x" * 60_000:
        parser.feed(bytes([octet]))
        assert parser.next_reply() is None
    reader = LineReader(limit=10**7)
    reader.feed(b"NOOP\r\n" * 200_000)
    while reader.next_line() is not None:
        pass
    data = DataReader()
    for _ in range(20_000):
        data.feed(b"\r\n.x" * 20)
    assert time.perf_counter() - started < 3


def test_a_line_that_ended_a_longer_reply_is_one_by_itself():
    assert replies(b"250-first\r\n250 ok\r\n", b"250 ok\r\n") == [
        (250, (b"first", b"ok")),
        (250, (b"ok",)),
    ]


# Commands


@given(st.text())
def test_no_argument_adds_a_command(text):
    for build in (lambda: wire.command("EHLO", text), lambda: wire.line(f"AUTH PLAIN {text}")):
        try:
            line = build()
        except ValueError:
            continue
        assert line.endswith(b"\r\n")
        assert b"\r" not in line[:-2]
        assert b"\n" not in line[:-2]
        assert b"\0" not in line


@example("a b", '"{}"@example.org')
@given(st.text(max_size=30), st.sampled_from(["{}@example.org", '"{}"@example.org', "a@{}", "{}"]))
def test_an_address_is_refused_or_yields_one_path(text, form):
    try:
        mailbox = Mailbox.parse(form.format(text))
    except Invalid:
        return
    line = wire.mail_from(mailbox, size=7)
    assert line == b"MAIL FROM:<" + mailbox.wire.encode() + b"> SIZE=7\r\n"
    assert wire.rcpt_to(mailbox) == b"RCPT TO:<" + mailbox.wire.encode() + b">\r\n"
    assert not set(line[:-2]) & set(range(0x20))


@pytest.mark.parametrize(
    "bad", ["a\r\nRCPT TO:<x@y>", "a\nb", "a\0b", "a\x7fb", "a\x85b", "a b", "", "\ud800"]
)
def test_a_control_character_or_blank_is_no_argument(bad):
    with pytest.raises(ValueError, match=r".*"):
        wire.command("EHLO", bad)


def test_a_mailbox_built_past_the_parser_does_not_inject():
    for local in ("a\r\nDATA", "a> SIZE=1", "a\0"):
        with pytest.raises(ValueError, match=r".*"):
            wire.mail_from(Mailbox(local, "example.org", "example.org"))


def test_mail_with_its_parameters():
    mailbox = Mailbox.parse("zoé@café.example")
    assert wire.mail_from(None) == b"MAIL FROM:<>\r\n"
    assert (
        wire.mail_from(mailbox, size=10, eight_bit=True, smtputf8=True)
        == "MAIL FROM:<zoé@xn--caf-dma.example> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n".encode()
    )


# Content

LINES = st.lists(st.sampled_from([b"", b".", b"..", b".x", b"text", b"\xff", b"x."]), max_size=8)
CONTENT = LINES.map(lambda lines: b"".join(line + b"\r\n" for line in lines))


# Mostly line ends and dots, in every order.
TO_ENDINGS = bytes(b"\r\n.x"[octet % 4] if octet < 240 else octet for octet in range(256))


def stuffed(*blocks):
    stuffer = wire.DotStuffer()
    return b"".join([*map(stuffer.feed, blocks), stuffer.end(), wire.END_OF_DATA])


def checked(*blocks):
    endings = wire.LineEndings()
    for block in blocks:
        endings.feed(block)
    endings.end()


@given(CONTENT, CUTS, st.binary(max_size=20))
def test_content_goes_round_byte_for_byte(content, cuts, behind):
    wired = stuffed(content)
    reader, read = DataReader(), b""
    for piece in pieces_of(wired, cuts):
        assert not reader.finished
        read += reader.feed(piece)
    assert reader.finished
    assert read == content
    joined = DataReader()
    assert joined.feed(wired + behind) == content
    assert (joined.finished, joined.rest) == (True, behind)


@given(st.binary(max_size=40).map(lambda raw: raw.translate(TO_ENDINGS)), CUTS)
def test_stuffing_in_blocks_is_stuffing_at_once_and_lets_no_bare_ending_pass(content, cuts):
    if has_bare_line_ending(content):
        with pytest.raises(BareLineEnding):
            stuffed(*pieces_of(content, cuts))
        with pytest.raises(BareLineEnding):
            checked(*pieces_of(content, cuts))
    else:
        checked(*pieces_of(content, cuts))
        assert stuffed(*pieces_of(content, cuts)) == stuffed(content)
        assert stuffed(content) == wire.dot_stuffed(content) + wire.END_OF_DATA
        lines = content.removesuffix(b"\r\n").split(b"\r\n") if content else []
        dotted = [b"." + line if line.startswith(b".") else line for line in lines]
        assert stuffed(content) == b"".join(line + b"\r\n" for line in [*dotted, b"."])


def test_a_missing_last_line_end_is_added_and_nothing_else():
    assert stuffed(b"a") == b"a\r\n.\r\n"
    assert stuffed(b"a\r\n") == b"a\r\n.\r\n"
    assert stuffed(b"") == b".\r\n"


@pytest.mark.parametrize("large", [b"", b"a line\r\n" * 10_000])
@pytest.mark.parametrize("bare", [b"", b"\n", b"\r", b"\r\r\n\n", b"a\nb", b"a\rb", b"\r\n\n", b"\r\r\n"])
def test_a_bare_line_ending_is_found_in_contents_of_any_size(bare, large):
    assert has_bare_line_ending(large + bare) is bool(bare)
    assert has_bare_line_ending(bare + large) is bool(bare)


@given(st.binary(max_size=40).map(lambda raw: raw.translate(TO_ENDINGS)))
def test_a_line_ending_is_bare_that_is_left_once_every_crlf_was_taken_out(content):
    rest = content.replace(b"\r\n", b"")
    assert has_bare_line_ending(content) is (b"\n" in rest or b"\r" in rest)


@pytest.mark.parametrize("content", [b"a\nb", b"a\rb", b"\n.\r\n", b"a\r\r\n", b"\r"])
def test_a_bare_cr_or_lf_never_leaves(content):
    with pytest.raises(BareLineEnding, match="bare CR or LF"):
        stuffed(content)


def test_chunks_name_their_size():
    assert wire.bdat(7, last=False) == b"BDAT 7\r\n"
    assert wire.bdat(0, last=True) == b"BDAT 0 LAST\r\n"


SMUGGLED = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\r\n.\r\r\n",
]
HARMLESS = [b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n. \r\n"]


@pytest.mark.parametrize("ending", SMUGGLED + HARMLESS)
@pytest.mark.parametrize("single", [False, True])
def test_i01_only_crlf_dot_crlf_ends_content(ending, single):
    wired = b"first" + ending + b"MAIL FROM:<evil@example.org>\r\n.\r\n"
    pieces = [bytes([octet]) for octet in wired] if single else [wired]
    reader, read, ended = DataReader(), b"", []
    for piece in pieces:
        read += reader.feed(piece)
        ended.append(reader.finished)
    assert ended == [False] * (len(pieces) - 1) + [True]
    assert b"evil" in read
    assert has_bare_line_ending(read) is (ending in SMUGGLED)


def test_content_leaves_the_reader_as_it_comes():
    reader, read = DataReader(), 0
    for _ in range(100):
        read += len(reader.feed(b"\r\n..x" * 1_000))
        assert len(reader._kept) < 5
    assert read == 100 * 4_000


# Lines


@given(st.lists(TEXT, max_size=6), CUTS)
def test_lines_are_read_in_any_splitting(lines, cuts):
    reader, found = LineReader(), []
    for piece in pieces_of(b"".join(line + b"\r\n" for line in lines) + b"rest", cuts):
        reader.feed(piece)
        while (line := reader.next_line()) is not None:
            found.append(line)
    assert found == lines
    assert reader.take_rest() == b"rest"
    assert reader.take_rest() == b""


@pytest.mark.parametrize("take", [LineReader.take_rest, lambda reader: reader.take(10)])
def test_a_line_is_found_behind_a_piece_of_one_that_was_taken(take):
    reader = LineReader()
    reader.feed(b"content")
    assert reader.next_line() is None
    assert take(reader) == b"content"
    reader.feed(b"QUIT\r\n")
    assert reader.next_line() == b"QUIT"


@pytest.mark.parametrize("raw", [b"NOOP\n", b"NO\rOP\r\n", b"\n", b"NOOP\r\r\n"])
def test_i02_a_command_ended_otherwise_is_refused(raw):
    reader = LineReader()
    reader.feed(raw + b"QUIT\r\n")
    with pytest.raises(BareLineEnding):
        reader.next_line()
    assert reader.next_line() == b"QUIT"


@pytest.mark.parametrize("raw", [b"x" * 600, b"x" * 600 + b"\r\n"])
def test_i02_an_endless_command_is_cut(raw):
    reader = LineReader(limit=512)
    reader.feed(raw)
    with pytest.raises(LineTooLong):
        reader.next_line()
