"""A large message taken by SMTP: its number is below zero, and everything that concerns it works all the same."""

import asyncio
from datetime import timedelta
from ipaddress import ip_network

from scripted.sink import SinkServer
from submission.door import Door
from vaguemestre.console.messages.preview import preview_of
from vaguemestre.doors.submission.terms import Terms
from vaguemestre.ledger import messages, retention
from vaguemestre.ledger.models import Chunk, Message, Parcel

HEAD = b"From: app@example.net\r\nTo: to@example.com\r\nSubject: large\r\n\r\n"
BODY = b"Good day\r\n" + b"".join(b"%070d\r\n" % number for number in range(20_000))  # 1.4 MB


def submitted(door):
    code, text = door.dial().submit(HEAD + BODY, sender="<app@example.net>", recipients=("<to@example.com>",))
    assert code == 250, text
    return messages.find(text.removeprefix("2.0.0 queued as "))


def arrived(sink, number):
    content = sink.accepted[number].content
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"\r\nSubject: large" in head
    assert body == BODY


async def test_it_leaves_byte_for_byte_is_shown_sent_again_and_forgotten(office):
    async with SinkServer() as sink:
        await office.connect(sink)
        with Door(Terms("mx.example.org", trust=(ip_network("127.0.0.0/8"),))) as door:
            message = await office.ask(submitted, door)
        assert message.pk < 0
        async with office.courier():
            await office.until(message, "accepted")
            arrived(sink, 0)
            again = await office.ask(messages.resend, str(message.uid), "user:tests", office.clock())
            assert again.resent_from_id == message.pk
            await office.until(again, "accepted")
            arrived(sink, 1)
    shown = await office.ask(lambda: preview_of(messages.find(str(message.uid))))
    assert shown.text.startswith("Good day\n")
    listed = await office.ask(messages.listing, messages.Filter(), None, 10)
    assert [one.uid for one in listed.items] == [again.uid, message.uid]
    assert await office.ask(retention.sweep, office.clock() + timedelta(days=40)) == 2
    assert await office.ask(Chunk.objects.count) == await office.ask(Parcel.objects.count) == 0
    assert await office.ask(Message.objects.count) == 2


async def test_what_a_crash_left_of_one_is_swept_with_the_rest(office):
    def half():
        with Door(Terms("mx.example.org", trust=(ip_network("127.0.0.0/8"),))) as door:
            door.listener._house.drop = lambda parcel: None  # as if it had died
            line = door.dial()
            line.envelope()
            line.write(HEAD + BODY)
            while Chunk.objects.count() < 3:
                pass
            line.close()

    await asyncio.wait_for(office.ask(half), 10)
    await office.ask(retention.sweep, office.clock() + timedelta(minutes=50))
    assert await office.ask(Chunk.objects.count) >= 3
    await office.ask(retention.sweep, office.clock() + timedelta(minutes=70))
    assert await office.ask(Chunk.objects.count) == await office.ask(Parcel.objects.count) == 0
