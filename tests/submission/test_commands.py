"""Commands: dialogues, what is no command (I02), and the arguments of MAIL and RCPT (I03)."""

import resource
import socket
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from submission.door import eventually
from submission.script import play
from vaguemestre.doors.submission import answers
from vaguemestre.doors.submission.conduct import has_control
from vaguemestre.doors.submission.dialogue import Dialogue
from vaguemestre.doors.submission.effects import Close, Handover
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.paths import Mail, Refused, parse_mail, parse_rcpt
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger.models import Message

TRUST = (ip_network("127.0.0.0/8"),)
LARGEST = 26_214_400


@pytest.fixture
def line(open_door):
    """A session from a trusted network, before its greeting was read."""
    return open_door(trust=TRUST).dial(greeted=False)


def new_dialogue(limits=None):
    dialogue = Dialogue(
        Terms("mx.example.org", limits or Limits(), TRUST), Peer.at("127.0.0.1"), secure=False
    )
    dialogue.begin()
    return dialogue


def said(effects):
    return b"".join(effect for effect in effects if isinstance(effect, bytes))


DIALOGUES = {
    "a transaction": """
        S: 220 mx.example.org ESMTP
        C: EHLO client.example
        S: 250 mx.example.org greets [127.0.0.1]
        S* PIPELINING
        S* 8BITMIME
        S* SMTPUTF8
        S* SIZE 26214400
        S* ENHANCEDSTATUSCODES
        S* DSN
        S* AUTH PLAIN LOGIN
        S! STARTTLS
        S* CHUNKING
        S! BINARYMIME
        C: MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=QQ314159 AUTH=<>
        S: 250 2.1.0
        C: RCPT TO:<b@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@example.net
        S: 250 2.1.5
        C: DATA
        S: 354
        C: Subject: x
        C:
        C: .
        S: 250 2.0.0 queued as
        C: QUIT
        S: 221 2.0.0
        @closed
    """,
    "a pipelined group": """
        S: 220
        C: EHLO client.example
        S: 250
        C+ MAIL FROM:<a@example.org>
        C+ RCPT TO:<b@example.net>
        C+ RCPT TO:<nobody>
        C+ RCPT TO:<c@example.net>
        C: DATA
        S: 250 2.1.0
        S: 250 2.1.5
        S: 553 5.1.3
        S: 250 2.1.5
        S: 354
        C+ Subject: x
        C+
        C+ .
        C+ MAIL FROM:<a@example.org>
        C: RCPT TO:<b@example.net>
        S: 250 2.0.0 queued as
        S: 250 2.1.0
        S: 250 2.1.5
        C+ RSET
        C: QUIT
        S: 250 2.0.0
        S: 221 2.0.0
        @closed
    """,
    "HELO offers nothing": """
        S: 220
        C: HELO client.example
        S: 250 mx.example.org
        S! PIPELINING
        C: MAIL FROM:<>
        S: 250 2.1.0
    """,
    "order": """
        S: 220
        C: MAIL FROM:<a@example.org>
        S: 503 5.5.1
        C: RCPT TO:<b@example.net>
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: EHLO client.example
        S: 250
        C: RCPT TO:<b@example.net>
        S: 503 5.5.1
        C: DATA
        S: 503 5.5.1
        C: MAIL FROM:<a@example.org>
        S: 250 2.1.0
        C: MAIL FROM:<a@example.org>
        S: 503 5.5.1
        C: DATA
        S: 554 5.5.1
        C: RSET
        S: 250 2.0.0
        C: RCPT TO:<b@example.net>
        S: 503 5.5.1
        C: MAIL FROM:<a@example.org>
        S: 250
        C: EHLO again.example
        S: 250
        C: RCPT TO:<b@example.net>
        S: 503 5.5.1
    """,
    "small commands": """
        S: 220
        C: NOOP
        S: 250 2.0.0
        C: noop with a word
        S: 250 2.0.0
        C: VRFY root
        S: 252 2.5.0
        C: HELP
        S: 214 2.0.0
        C: EXPN list
        S: 502 5.5.1
        C: ETRN example.org
        S: 502 5.5.1
        C: XCLIENT ADDR=192.0.2.1
        S: 500 5.5.1
        C:
        S: 500 5.5.1
        C: RSET now
        S: 501 5.5.4
        C: QUIT now
        S: 501 5.5.4
        C: STARTTLS
        S: 502 5.5.1
        C: EHLO
        S: 501 5.5.4
        C: EHLO two words
        S: 501 5.5.4
        C: EHLO [IPv6:2001:db8::1]
        S: 250
        C: QUIT
        S: 221
        @closed
    """,
    "content in the same write as DATA is never read as commands": """
        S: 220
        C: EHLO client.example
        S: 250
        C+ DATA
        C+ MAIL FROM:<evil@example.org>
        C+ RCPT TO:<victim@example.net>
        C: DATA
        S: 554 5.5.0
        @closed
    """,
    "content in the same write as a DATA that would be taken": """
        S: 220
        C: EHLO client.example
        S: 250
        C+ MAIL FROM:<a@example.org>
        C+ RCPT TO:<b@example.net>
        C+ DATA
        C+ Subject: x
        C+
        C: .
        S: 250
        S: 250
        S: 554 5.5.0
        @closed
    """,
    "i02 a web browser": r"""
        S: 220
        C: POST / HTTP/1.1
        S: 421 4.7.0
        @closed
    """,
    "i02 a TLS handshake in clear text": r"""
        S: 220
        C- \x16\x03\x01\x02\x00
        S: 421 4.7.0
        @closed
    """,
    "i02 what begins like a TLS handshake behind a command is a bad line": r"""
        S: 220
        C: NOOP
        S: 250
        C: \x16\x03\x01
        S: 500 5.5.2
        C: NOOP
        S: 250
    """,
    "i02 bare LF, bare CR, NUL and 0xFF": r"""
        S: 220
        C- NOOP\n
        S: 500 5.5.2
        C- NOOP\rNOOP\r\n
        S: 500 5.5.2
        C- NOOP\r\r\n
        S: 500 5.5.2
        C: NO\0OP
        S: 500 5.5.2
        C: \xff\xfe
        S: 500 5.5.1
        C: EHLO \xff
        S: 501 5.5.4
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a\xff@example.org>
        S: 501 5.5.2
        C: MAIL FROM:<a@example.org\n>
        S: 500 5.5.2
        S: 500 5.5.1
        C: NOOP
        S: 250
    """,
}


EVIL = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\n"
CONTENT = b"Subject: x\r\n\r\nRSET\r\n" + EVIL + b"DATA\r\n"


@pytest.mark.parametrize("start", [CONTENT, b"\r\n" + EVIL, b"\t\r\n" + EVIL, "Été : x\r\n".encode() + EVIL])
@pytest.mark.parametrize("before", [b"", b"MAIL FROM:<a@example.org>\r\n"])
@pytest.mark.parametrize("data", [b"DATA\r\n", b"DATA now\r\n"])
def test_i01_content_behind_a_refused_data_ends_the_session_at_its_first_line(before, start, data):
    for cut in range(len(start) + 1):
        dialogue = new_dialogue()
        dialogue.receive(b"EHLO a\r\n" + before)
        assert said(dialogue.receive(data))[:4] in {b"501 ", b"503 ", b"554 "}
        effects = [*dialogue.receive(start[:cut]), *dialogue.receive(start[cut:])]
        assert said(effects).startswith(b"554 5.5.0 ")
        assert said(effects).count(b"\r\n") == 1
        assert isinstance(effects[-1], Close)


def test_behind_a_refused_data_commands_go_on(line):
    line.reply()
    line.ask("EHLO client.example")
    line.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<nobody>\r\nDATA\r\n")
    assert [code for code, _ in line.replies(3)] == [250, 553, 554]
    line.write(
        b"RSET\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<nobody>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
    )
    assert [code for code, _ in line.replies(5)] == [250, 250, 553, 250, 354]
    line.write(b"Subject: x\r\n\r\n.\r\nNONSENSE\r\nNOOP\r\n")
    assert [code for code, _ in line.replies(3)] == [250, 500, 250]


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_dialogue_is(line, name):
    play(line, DIALOGUES[name])


@pytest.mark.parametrize("length", [513, 1_000, 2_048])
def test_i02_a_line_of_up_to_2048_bytes_is_taken(line, length):
    line.reply()
    assert line.ask("NOOP " + "x" * (length - 7))[0] == 250


def test_i02_a_longer_line_ends_the_session(line):
    line.reply()
    assert line.ask("NOOP " + "x" * 2_042)[0] == 500
    assert line.closed()


def test_i02_200_megabytes_without_a_line_end_cost_no_memory(line):
    line.reply()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        for _ in range(200):
            line.write(b"x" * 1_048_576)
    except OSError:
        pass  # it has closed, as it should
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_i02_10000_noops_in_one_write_are_cut_short(line):
    line.reply()
    line.write(b"NOOP\r\n" * 10_000)
    codes = []
    while (code := line.reply()[0]) != 0:
        codes.append(code)
    assert codes == [250] * 120 + [421]


def test_twenty_errors_end_the_session(line):
    line.reply()
    line.write(b"NONSENSE\r\n" * 30)
    codes = [line.reply()[0] for _ in range(22)]
    assert codes == [500] * 20 + [421, 0]


def test_a_refused_message_is_no_error_of_the_dialogue(open_door):
    line = open_door(Limits(errors=3), trust=TRUST).dial()
    assert [line.submit(b"no header\r\n")[0] for _ in range(5)] == [550] * 5
    assert line.submit()[0] == 250


def test_more_recipients_than_the_limit_are_told_to_come_again(open_door):
    line = open_door(Limits(recipients=3), trust=TRUST).dial()
    assert line.ask("MAIL FROM:<a@example.org>")[0] == 250
    codes = [line.ask(f"RCPT TO:<b{number}@example.net>") for number in range(5)]
    assert [code for code, _ in codes] == [250, 250, 250, 452, 452]
    assert codes[3][1].startswith("4.5.3 ")
    assert line.ask("RCPT TO:<b0@example.net>")[0] == 250  # known already
    assert line.ask("DATA")[0] == 354
    line.write(b"Subject: x\r\n\r\n.\r\n")
    assert line.reply()[0] == 250
    assert Message.objects.get().delivery_set.count() == 3


BEGUN = b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n"


@pytest.mark.parametrize(
    "command", [b"RCPT TO:<b@example.net>\r\n", b"RCPT TO:<c@example.net>\r\n", b"BDAT 1\r\nx"]
)
def test_i02_commands_that_bring_nothing_about_are_cut_short(command):
    dialogue = new_dialogue(Limits(recipients=1, surplus=50, idle_commands=51))
    dialogue.receive(BEGUN)  # EHLO is the first of 51
    effects = dialogue.receive(command * 25_000)
    assert said(effects).count(b"\r\n") == 50 + 20 + 1
    assert said(effects).endswith(b"\r\n" + answers.CLOSED_ERRORS.wire)
    assert isinstance(effects[-1], Close)


def test_a_message_makes_up_for_recipients_that_were_too_many(open_door):
    line = open_door(Limits(recipients=1, surplus=5, errors=1), trust=TRUST).dial()
    for number in range(3):
        codes = [
            line.ask(command)[0]
            for command in ("MAIL FROM:<a@example.org>", *["RCPT TO:<b@example.net>"] * 3)
        ]
        codes += [line.ask(f"RCPT TO:<c{other}@example.net>")[0] for other in range(3)]
        assert codes == [250] * 4 + [452] * 3
        assert line.ask("DATA")[0] == 354
        line.write(b"Subject: x%d\r\n\r\n.\r\n" % number)
        assert line.reply()[0] == 250


def test_a_list_of_5000_recipients_is_not_cut_short_before_its_first_1000_are_twice_told():
    dialogue = new_dialogue(Limits())
    dialogue.receive(BEGUN)
    effects = dialogue.receive(b"".join(b"RCPT TO:<b%d@example.net>\r\n" % number for number in range(1_999)))
    replies = said(effects).split(b"\r\n")[:-1]
    assert [reply[:4] for reply in replies] == [b"250 "] * 999 + [b"452 "] * 1_000


def test_a_thousand_recipients_arrive(open_door):
    line = open_door(trust=TRUST).dial()
    line.write(b"MAIL FROM:<a@example.org>\r\n")
    line.write(b"".join(b"RCPT TO:<b%d@example.net>\r\n" % number for number in range(1_000)))
    assert {code for code, _ in line.replies(1_001)} == {250}
    assert line.ask("DATA")[0] == 354
    line.write(b"Subject: x\r\n\r\n.\r\n")
    assert line.reply()[0] == 250
    assert Message.objects.get().delivery_set.count() == 1_000


MAILS = {
    b"FROM:<a@example.org>": "a@example.org",
    b"from:<a@example.org>": "a@example.org",
    b"FROM: <a@example.org>": "a@example.org",  # printers write it
    b"FROM:<>": None,
    b"FROM:<> SIZE=10": None,
    b'FROM:<"a b"@example.org>': '"a b"@example.org',
    b'FROM:<"a>b"@example.org> SIZE=1': '"a>b"@example.org',
    b'FROM:<"a\\"b"@example.org>': '"a\\"b"@example.org',
    b"FROM:<a@localhost>": "a@localhost",
    "FROM:<a@bücher.example> SMTPUTF8".encode(): "a@xn--bcher-kva.example",
    b"FROM:<a@xn--bcher-kva.example>": "a@xn--bcher-kva.example",
    "FROM:<é@example.org> SMTPUTF8 SIZE=1".encode(): "é@example.org",
    b"FROM:<" + b"a" * 64 + b"@example.org>": "a" * 64 + "@example.org",
}


@pytest.mark.parametrize("argument", MAILS)
def test_i03_mail_takes(argument):
    path = parse_mail(argument, LARGEST).reverse_path
    assert (path and path.wire) == MAILS[argument]


BAD_MAILS = {
    b"": "501 5.5.2",
    b"<a@example.org>": "501 5.5.2",
    b"FROM:": "501 5.5.2",
    b"FROM:a@example.org": "501 5.5.2",
    b"FROM:<a@example.org": "501 5.5.2",
    b"FROM:<a@example.org>SIZE=1": "501 5.5.2",
    "FROM:<a@example.org> SIZE=\u0661\u0662".encode(): "501 5.5.4",  # digits, but no octets
    b"FROM <a@example.org>": "501 5.5.2",
    b"TO:<a@example.org>": "501 5.5.2",
    b"FROM:<a b@example.org>": "501 5.5.2",
    b"FROM:<a@example.org> <b@example.org>": "501 5.5.4",
    b'FROM:<"a@example.org>': "501 5.5.2",
    b"FROM:<a@example.org>>": "501 5.5.2",
    b"FROM:<@x.example,@y.example:a@example.org>": "553 5.1.7",
    b"FROM:<a>": "553 5.1.7",
    b"FROM:<a@>": "553 5.1.7",
    b"FROM:<a@[127.0.0.1]>": "553 5.1.7",
    b"FROM:<a@[IPv6:::1]>": "553 5.1.7",
    b"FROM:<a@-x.example>": "553 5.1.7",
    b"FROM:<a..b@example.org>": "553 5.1.7",
    b"FROM:<" + b"a" * 65 + b"@example.org>": "553 5.1.7",
    b"FROM:<a@" + b"x" * 64 + b".example>": "553 5.1.7",
    "FROM:<a@bücher.example>".encode(): "553 5.6.7",
    "FROM:<é@example.org>".encode(): "553 5.6.7",
    b"FROM:<\xe9@example.org> SMTPUTF8": "501 5.5.2",
    b"FROM:<a@example.org> SIZE=-1": "501 5.5.4",
    b"FROM:<a@example.org> SIZE=x": "501 5.5.4",
    b"FROM:<a@example.org> SIZE=": "501 5.5.4",
    b"FROM:<a@example.org> SIZE": "501 5.5.4",
    b"FROM:<a@example.org> SIZE=9223372036854775808": "552 5.3.4",
    b"FROM:<a@example.org> SIZE=99999999999999999999": "552 5.3.4",
    b"FROM:<a@example.org> SIZE=100000000000000000000": "501 5.5.4",
    b"FROM:<a@example.org> SIZE=1 SIZE=1": "501 5.5.4",
    b"FROM:<a@example.org> BODY": "501 5.5.4",
    b"FROM:<a@example.org> BODY=BINARYMIME": "501 5.5.4",
    b"FROM:<a@example.org> SMTPUTF8=1": "501 5.5.4",
    b"FROM:<a@example.org> AUTH": "501 5.5.4",
    b"FROM:<a@example.org> RET=SOME": "501 5.5.4",
    b"FROM:<a@example.org> ENVID=a+0": "501 5.5.4",
    b"FROM:<a@example.org> ENVID=" + b"a" * 101: "501 5.5.4",
    b"FROM:<a@example.org> NOTIFY=NEVER": "555 5.5.4",
    b"FROM:<a@example.org> X=1": "555 5.5.4",
    b"FROM:<a@example.org> =1": "501 5.5.4",
    b"FROM:<a@example.org> A=B=C": "501 5.5.4",
}


@pytest.mark.parametrize("argument", BAD_MAILS)
def test_i03_mail_refuses(argument):
    with pytest.raises(Refused) as refusal:
        parse_mail(argument, LARGEST)
    assert str(refusal.value).startswith(BAD_MAILS[argument] + " ")


@pytest.mark.parametrize(
    ("argument", "answer"),
    [
        (b"TO:<>", "553 5.1.3"),
        (b"TO:<postmaster>", "553 5.1.3"),
        (b"TO:b@example.net", "501 5.5.2"),
        (b"TO:<b@example.net> SIZE=1", "555 5.5.4"),
        (b"TO:<b@example.net> NOTIFY=NEVER,FAILURE", "501 5.5.4"),
        (b"TO:<b@example.net> NOTIFY", "501 5.5.4"),
        (b"TO:<b@example.net> ORCPT=b@example.net", "501 5.5.4"),
        (b"TO:<b@example.net> ORCPT=rfc822;" + b"a" * 500, "501 5.5.4"),
        ("TO:<b@example.net> ORCPT=rfc822;é@example.net".encode(), "501 5.5.4"),
        (b"TO:<b@example.net> ORCPT=rfc822;a+4", "501 5.5.4"),
        ("TO:<b@example.net> ORCPT=utf-8;é@example.net".encode(), "553 5.6.7"),
        ("TO:<é@example.net>".encode(), "553 5.6.7"),
    ],
)
def test_i03_rcpt_refuses(argument, answer):
    with pytest.raises(Refused) as refusal:
        parse_rcpt(argument, utf8=False)
    assert str(refusal.value).startswith(answer + " ")


def test_parameters_of_dsn_are_kept_as_given():
    mail = parse_mail(b"FROM:<a@example.org> ret=full ENVID=a+2Bb SIZE=12", LARGEST)
    assert mail == Mail(mail.reverse_path, 12, utf8=False, ret="FULL", envid="a+2Bb")
    rcpt = parse_rcpt(b"TO:<b@example.net> NOTIFY=delay,failure ORCPT=rfc822;b@example.net", utf8=False)
    assert (rcpt.notify, rcpt.orcpt) == ("DELAY,FAILURE", "rfc822;b@example.net")


@pytest.mark.parametrize(
    "orcpt", ["utf-8;é@exämple.org", r"UTF-8;\x{E9}@example.org", "rfc822;a+2Bb@example.org", "rfc822;"]
)
def test_an_original_recipient_is_xtext_or_where_its_type_says_so_utf8(orcpt):
    assert parse_rcpt(f"TO:<b@example.net> ORCPT={orcpt}".encode(), utf8=True).orcpt == orcpt


def test_a_utf8_recipient_needs_the_parameter_on_its_mail(line):
    play(
        line,
        r"""
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@example.org>
        S: 250
        C: RCPT TO:<\xc3\xa9@example.net>
        S: 553 5.6.7
        C: RSET
        S: 250
        C: MAIL FROM:<a@example.org> SMTPUTF8
        S: 250
        C: RCPT TO:<\xc3\xa9@example.net>
        S: 250 2.1.5
        """,
    )


GROUP = (
    b"EHLO client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<x>\r\nNOOP\r\n"
    b"NOPE\r\nMAIL FROM:<c@example.org>\r\nRSET\r\nVRFY a\r\nQUIT\r\n"
)


@given(st.lists(st.integers(0, len(GROUP)), max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_splitting_of_commands_yields_the_same_replies(cuts):
    whole = said(new_dialogue().receive(GROUP))
    dialogue, edges = new_dialogue(), sorted({0, len(GROUP), *cuts})
    pieces = [GROUP[start:end] for start, end in pairwise(edges)]
    assert b"".join(said(dialogue.receive(piece)) for piece in pieces) == whole
    assert whole.count(b"\r\n") == 18


@given(st.binary(max_size=2_000))
@settings(max_examples=300, deadline=None)
def test_no_bytes_break_the_dialogue(data):
    dialogue = new_dialogue()
    effects = dialogue.receive(b"EHLO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\n" + data)
    assert not any(isinstance(effect, Handover) for effect in effects)
    assert sum(isinstance(effect, Close) for effect in effects) <= 1
    for reply in said(effects).split(b"\r\n")[:-1]:
        assert reply[:3].isdigit()
        assert reply[3:4] in b"- "


def test_a_session_that_only_connects_leaves_nothing_behind(open_door):
    door = open_door()
    for _ in range(20):
        socket.create_connection(("127.0.0.1", door.port)).close()
    door.dial()
    assert eventually(lambda: door.sessions == 1)
    assert len(list(Path("/proc/self/fd").iterdir())) < 100


@given(st.binary(max_size=12))
def test_a_control_character_is_found_whatever_stands_beside_it(line):
    assert has_control(line) == any(octet < 32 or octet == 127 for octet in line)


def test_the_answer_to_a_message_is_made_as_any_other():
    assert answers.queued("0193-aa") == answers.answer(250, "2.0.0", "queued as 0193-aa")
