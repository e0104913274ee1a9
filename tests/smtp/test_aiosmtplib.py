"""aiosmtplib as an oracle of the manner that writes one command at a time: the same commands, the same judgement.

Each case is one message, and an ordinary one behind it on the same session. Where ours differs on purpose, a
test of its own says so, and why.
"""

from __future__ import annotations

import aiosmtplib
import pytest

from scripted.client import SHORT, envelope, hop_to, loopback_network, staged
from scripted.sink import Answer, SinkServer
from smtp.kit import CONTENT
from smtp.one import transact
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.wire import BareLineEnding

A, B, C, D = (f"{name}@example.org" for name in "abcd")
SENDER, ORDINARY = "sender@example.org", "ordinary@example.org"
UTF8 = "zoé@example.org"


def to(**answers):
    """A hook for RCPT: by the first letter of the recipient."""
    return lambda moment: answers.get(moment.argument[0]) and Answer(answers[moment.argument[0]])


def once(reply):
    """A hook for the first transaction alone."""
    return lambda moment: Answer(reply) if moment.transaction == 1 else None


async def ours(sink, recipients, content):
    """The commands of our session, and the code by which each recipient is judged."""
    session = await open_session(hop_to(sink), loopback_network(), SHORT)
    number, found = sink.sessions, {}
    for wanted, body in ((recipients, content), ([ORDINARY], CONTENT)):
        result = await transact(session, envelope(*wanted), body, staged)
        for outcome in result.outcomes:
            found[outcome.recipient.address] = None if outcome.reply is None else outcome.reply.code
    await session.quit()
    return _said(sink, number), found


async def theirs(sink, recipients, content, *options):
    """The same of aiosmtplib."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port, local_hostname="client.example.org")
    await client.connect()
    number, found = sink.sessions, {}
    for wanted, body, asked in ((recipients, content, options), ([ORDINARY], CONTENT, ())):
        found |= dict.fromkeys(wanted, 250)
        try:
            refused, _ = await client.sendmail(SENDER, wanted, body, mail_options=list(asked))
            found |= {recipient: response.code for recipient, response in refused.items()}
        except aiosmtplib.SMTPRecipientsRefused as error:
            found |= {one.recipient: one.code for one in error.recipients}
        except aiosmtplib.SMTPResponseException as error:
            found |= dict.fromkeys(wanted, error.code)
    await client.quit()
    return _said(sink, number), found


def _said(sink, number):
    """A session's commands; parameters of MAIL are words without an order or a case (RFC 5321 §2.4)."""
    lines = [line for session, line in sink.commands if session == number]
    return [_plain(line) for line in lines]


def _plain(line):
    verb, *words = line.split(" ")
    if verb != "MAIL":
        return line
    path, *parameters = words
    return " ".join([verb, path, *sorted(word.upper() for word in parameters)])


CASES = {
    "all accepted": ({}, [A, B, C], CONTENT, ()),
    "some refused": ({"rcpt": to(b="550 5.1.1 unknown", c="450 4.2.1 later")}, [A, B, C, D], CONTENT, ()),
    "the first refused": ({"rcpt": to(a="550 5.1.1 unknown")}, [A, B], CONTENT, ()),
    "all refused": ({"rcpt": to(a="550 5.1.1 unknown", b="450 4.2.1 later")}, [A, B], CONTENT, ()),
    "251 is taken": ({"rcpt": to(a="251 2.1.5 will forward")}, [A, B], CONTENT, ()),
    "MAIL refused for good": ({"mail": once("550 5.7.1 not yours")}, [A, B], CONTENT, ()),
    "MAIL refused for now": ({"mail": once("451 4.3.0 later")}, [A], CONTENT, ()),
    "DATA refused": ({"data": once("451 4.3.0 later")}, [A, B], CONTENT, ()),
    "the end of data refused for good": ({"content": once("554 5.6.0 no")}, [A, B], CONTENT, ()),
    "the end of data refused for now": ({"content": once("452 4.3.1 full")}, [A, B], CONTENT, ()),
    "dots": ({}, [A], b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n. \r\n\r\n.\r\n", ()),
    "no body": ({}, [A], b"Subject: x\r\n\r\n", ()),
    "8 bits": ({}, [A], "Subject: x\r\n\r\né\r\n".encode(), ("BODY=8BITMIME",)),
    "a recipient beyond ASCII": ({}, [UTF8, A], CONTENT, ("SMTPUTF8",)),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_commands_the_judgement_and_what_arrives_are_the_same(case):
    hooks, recipients, content, options = CASES[case]
    async with SinkServer(hooks=hooks) as sink:
        expected = await theirs(sink, recipients, content, *options)
        taken = [one.content for one in sink.accepted]
        found = await ours(sink, recipients, content)
        again = [one.content for one in sink.accepted][len(taken) :]
    assert found == expected
    assert again == taken
    assert sink.faults == []


# Where ours differs


@pytest.mark.parametrize("end", [b"body", b"."])
async def test_the_newline_that_content_lacks_is_added_alike_but_not_declared(end):
    """SIZE is the content's own size in every manner; a server may take two octets more (RFC 1870 §6)."""
    content = b"Subject: x\r\n\r\n" + end
    async with SinkServer() as sink:
        theirs_said, expected = await theirs(sink, [A], content)
        ours_said, found = await ours(sink, [A], content)
    assert found == expected == {A: 250, ORDINARY: 250}
    assert sink.contents(A) == [content + b"\r\n"] * 2
    size = len(content)
    assert theirs_said[1] == f"MAIL FROM:<{SENDER}> SIZE={size + 2}"
    assert ours_said[1] == f"MAIL FROM:<{SENDER}> SIZE={size}"
    assert ours_said[2:] == theirs_said[2:]


@pytest.mark.parametrize("content", [b"Subject: x\r\n\r\na\nb\r\n", b"Subject: x\r\n\r\na\rb\r\n"])
async def test_a_bare_line_ending_is_refused_and_not_rewritten(content):
    """What is rewritten breaks its signature, and may smuggle: bad input is refused (L11)."""
    async with SinkServer() as sink:
        await theirs(sink, [A], content)
        assert sink.contents(A) == [b"Subject: x\r\n\r\na\r\nb\r\n"]
        with pytest.raises(BareLineEnding):
            await ours(sink, [A], content)
    assert len(sink.accepted) == 2


async def test_8_bits_are_encoded_anew_for_a_server_that_takes_7():
    content = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\né\r\n".encode()
    async with SinkServer(keywords=("SIZE 1000",)) as sink:
        await theirs(sink, [A], content)
        assert sink.faults  # 8-bit content without BODY=8BITMIME
        sink.faults.clear()
        _, found = await ours(sink, [A], content)
    sent, encoded = sink.contents(A)
    assert (sent, encoded.isascii(), found[A]) == (content, True, 250)
    assert b"=C3=A9" in encoded
    assert sink.faults == []


async def test_who_needs_smtputf8_where_there_is_none_keeps_nobody_else_from_getting_it():
    async with SinkServer(keywords=("SIZE 1000",)) as sink:
        with pytest.raises(aiosmtplib.SMTPNotSupported):
            await theirs(sink, [UTF8, A], CONTENT, "SMTPUTF8")
        said, found = await ours(sink, [UTF8, A], CONTENT)
    assert found == {UTF8: None, A: 250, ORDINARY: 250}
    assert f"RCPT TO:<{A}>" in said
    assert len(sink.contents(A)) == 1


async def test_a_recipient_keeps_its_own_refusal_where_the_content_is_refused_too():
    """One error of the whole would have a mailbox that does not exist tried again."""
    hooks = {"rcpt": to(b="550 5.1.1 unknown"), "content": once("451 4.3.0 later")}
    async with SinkServer(hooks=hooks) as sink:
        theirs_said, expected = await theirs(sink, [A, B], CONTENT)
        ours_said, found = await ours(sink, [A, B], CONTENT)
    assert ours_said == theirs_said
    assert expected == {A: 451, B: 451, ORDINARY: 250}
    assert found == {A: 451, B: 550, ORDINARY: 250}


async def test_what_is_beyond_the_announced_size_never_leaves():
    content = b"Subject: x\r\n\r\n" + b"x" * 900 + b"\r\n"
    async with SinkServer(keywords=("SIZE 500",)) as sink:
        await theirs(sink, [A], content)
        assert len(sink.contents(A)) == 1
        said, found = await ours(sink, [A], content)
    assert found == {A: None, ORDINARY: 250}
    assert f"RCPT TO:<{A}>" not in said
    assert len(sink.contents(A)) == 1
