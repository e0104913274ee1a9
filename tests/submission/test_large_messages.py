"""Large contents: they flow to the ledger in pieces, and are judged on their way."""

import gc
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from submission.door import MESSAGE, eventually
from submission.test_commit import hold_writers
from submission.test_main_path import stored
from vaguemestre.doors.submission.answers import BARE_LINE_ENDING
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.receiving import Receiving
from vaguemestre.ledger import accept, keys, messages, parcels
from vaguemestre.ledger.database import writing
from vaguemestre.ledger.models import Chunk, Message, Parcel
from vaguemestre.ledger.parcels import Piece
from vaguemestre.mail.content import HEADER_LIMIT

CHUNK = accept.CHUNK
LINE = b"x" * 70 + b"\r\n"


def chunks_of(message):
    return list(Chunk.objects.filter(message=message).order_by("position").values_list("data", flat=True))


def nothing_is_left():
    return Parcel.objects.count() == Chunk.objects.count() == 0


@pytest.mark.parametrize("more", [1, 3, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 77])
def test_a_content_beyond_one_chunk_is_the_same_in_many(door, key, more):
    raw = MESSAGE + b"y" * (CHUNK + more - len(MESSAGE) - 2) + b"\r\n"
    message, content = stored(door.dial(key=key).submit(raw))
    assert content == raw
    assert message.pk < 0
    assert message.size == len(raw)
    sizes = [len(chunk) for chunk in chunks_of(message)]
    assert set(sizes[:-1]) == {CHUNK}
    assert 0 < sizes[-1] <= CHUNK
    assert Parcel.objects.count() == 0


def test_a_content_of_exactly_one_chunk_stays_in_one(door, key):
    raw = MESSAGE + b"y" * (CHUNK - len(MESSAGE) - 2) + b"\r\n"
    message, content = stored(door.dial(key=key).submit(raw))
    assert content == raw
    assert message.pk > 0
    assert len(chunks_of(message)) == 1


def test_dots_at_the_borders_of_chunks_survive(door, key):
    raw = MESSAGE + b".\r\n..\r\n\r\n." * 100_000 + b"\r\n"
    assert stored(door.dial(key=key).submit(raw))[1] == raw


def test_by_chunks_of_its_own_it_is_the_same(door, key):
    raw = MESSAGE + LINE * 20_000
    line = door.dial(key=key)
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\n")
    for start in range(0, len(raw), 100_000):
        piece = raw[start : start + 100_000]
        line.write(b"BDAT %d\r\n" % len(piece) + piece)
    line.write(b"BDAT 0 LAST\r\nNOOP\r\n")
    replies = line.replies(2 + 15 + 1 + 1)
    assert {code for code, _ in replies} == {250}
    assert stored(replies[-2])[1] == raw


@pytest.mark.parametrize("place", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 3 * CHUNK - 3])
@pytest.mark.parametrize("bad", [b"\r", b"\n"])
def test_i01_a_bare_cr_or_lf_at_a_border_of_chunks_is_refused(door, key, place, bad):
    raw = MESSAGE + b"y" * (3 * CHUNK - len(MESSAGE) - 2) + b"\r\n"
    line = door.dial(key=key)
    code, text = line.submit(raw[:place] + bad + raw[place + 1 :])
    assert (code, text[:7]) == (550, "5.6.11 ")
    assert eventually(nothing_is_left)
    assert line.submit()[0] == 250


def test_a_crlf_at_a_border_of_chunks_is_none(door, key):
    raw = MESSAGE + b"y" * (CHUNK - len(MESSAGE) - 1) + b"\r\n" + LINE * 1_000
    assert raw[CHUNK - 1 : CHUNK + 1] == b"\r\n"
    assert stored(door.dial(key=key).submit(raw))[1] == raw


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"no header at all\r\n", "5.6.0 "),
        (b"Subject: a\0b\r\n\r\n", "5.6.0 "),
        (b"Received: from a\r\n" * 101 + b"\r\n", "5.4.6 "),
        (b"X-Long: " + b"y" * 1_100_000 + b"\r\n\r\n", "5.6.0 "),
        (b"X-Long: y\r\n" * 110_000 + b"\r\n", "5.6.0 "),
        (b"X-Vaguemestre-Metadata: [1]\r\n\r\n", "5.6.0 "),
        (b"X-Vaguemestre-Stream: nothing\r\n\r\n", "5.7.1 "),
        (b"From: a@example.org\r\nFrom: b@example.org\r\n\r\n", "5.6.0 "),
    ],
    ids=["none", "NUL", "loop", "long field", "many fields", "wish", "stream", "two From"],
)
def test_what_is_no_message_is_refused_at_its_end_and_leaves_nothing(door, key, head, status):
    line = door.dial(key=key)
    code, text = line.submit(head + LINE * 8_000)
    assert code // 100 == 5
    assert text.startswith(status)
    assert eventually(nothing_is_left)
    assert line.submit()[0] == 250


def test_a_header_section_of_half_a_megabyte_is_taken(door, key):
    raw = b"X-Long: " + b"y" * 110 + b"\r\n"
    raw = raw * 4_000 + MESSAGE + LINE * 5_000
    message, content = stored(door.dial(key=key).submit(raw))
    assert content == raw
    assert message.subject == "Hello"


def test_a_piece_counts_as_held_until_it_is_stored():
    content = Receiving(Limits())
    content.begin_data()
    content.feed(MESSAGE + LINE * (CHUNK // len(LINE)))
    size = content.held
    assert size > CHUNK
    assert len(content.piece().data) == CHUNK
    assert content.held == size
    content.stored(1)
    assert content.held == size - CHUNK


@pytest.mark.parametrize("end", [b"A: b\r\n" * CHUNK, b"\r\n" + LINE * CHUNK])
def test_of_a_header_section_beyond_its_limit_nothing_is_held(end):
    content = Receiving(Limits())
    content.begin_data()
    head = b"A: " + b"x" * 70 + b"\r\n"
    content.feed(head * (HEADER_LIMIT // len(head) + 1) + end)
    pieces = 0
    while content.piece() is not None:
        content.stored(1)
        pieces += 1
    assert content.fault is not None
    assert (pieces, content.held) == (HEADER_LIMIT // CHUNK, 0)


def test_a_piece_with_a_fault_is_not_stored():
    content = Receiving(Limits())
    content.begin_data()
    content.feed(MESSAGE + b"bare\nline\r\n" + LINE * (CHUNK // len(LINE)))
    assert content.piece() is None
    assert content.fault is BARE_LINE_ENDING
    assert content.held == 0


def test_beyond_the_limit_nothing_is_kept(open_door, key):
    line = open_door(Limits(message=1_000_000)).dial(key=key)
    code, text = line.submit(MESSAGE + LINE * 20_000)
    assert (code, text[:6]) == (552, "5.3.4 ")
    assert eventually(nothing_is_left)


def test_a_lost_session_leaves_nothing(door, key):
    line = door.dial(key=key)
    line.envelope()
    line.write(MESSAGE + LINE * 20_000)
    assert eventually(lambda: Chunk.objects.count() > 2)
    line.close()
    assert eventually(lambda: door.sessions == 0)
    assert eventually(nothing_is_left)


def test_rset_between_chunks_leaves_nothing(door, key):
    line = door.dial(key=key)
    raw = MESSAGE + LINE * 20_000
    line.write(b"MAIL FROM:<app@example.org>\r\nRCPT TO:<to@example.net>\r\nBDAT %d\r\n" % len(raw) + raw)
    assert [code for code, _ in line.replies(3)] == [250] * 3
    assert Chunk.objects.count() > 2
    assert line.ask("RSET")[0] == 250
    assert eventually(nothing_is_left)


def test_a_piece_that_was_stored_for_who_has_left_is_dropped(door):
    async def told(answer, outcome):
        answer(outcome)

    line = door.dial()
    (session,) = door.listener._house.guests
    line.close()
    assert eventually(lambda: door.sessions == 0)
    (parcel,) = parcels.add_all([Piece(b"x" * CHUNK, 0, None)], timezone.now())
    door.run(told(session._stored, parcel))
    assert eventually(nothing_is_left)


def test_no_piece_is_held_once_it_is_stored(door, key):
    line = door.dial(key=key)
    assert line.ask("MAIL FROM:<app@example.org>")[0] == line.ask("RCPT TO:<to@example.net>")[0] == 250
    line.write(b"BDAT 300000\r\n" + LINE * 4_166 + b"y" * 48)
    assert line.reply()[0] == 250
    assert line.ask("RSET")[0] == 250
    gc.collect()
    assert not [kept for kept in gc.get_objects() if isinstance(kept, Piece)]


def test_a_revoked_key_leaves_nothing(door, key):
    line = door.dial(key=key)
    keys.revoke(str(keys.all_keys()[0].uid), "cli:tests", datetime.now(UTC))
    code, text = line.submit(MESSAGE + LINE * 20_000)
    assert (code, text) == (550, "5.7.1 The API key has been revoked")
    assert nothing_is_left()


def test_nothing_more_is_read_while_a_piece_is_being_stored(door, key):
    line = door.dial(key=key)
    line.envelope()
    with writing():
        hold_writers() if connection.vendor == "sqlite" else lock_chunks()
        line.plug.settimeout(0.5)
        with pytest.raises(TimeoutError):
            line.write(MESSAGE + LINE * 400_000)  # 28 MB, far more than the kernel keeps
        assert door.held < 3 * CHUNK
    line.close()


def lock_chunks():
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE ledger_chunk IN EXCLUSIVE MODE")


def test_an_idempotency_key_holds_for_a_large_message(door, key):
    raw = b"X-Vaguemestre-Idempotency-Key: large-1\r\n" + MESSAGE + LINE * 8_000
    first = door.dial(key=key).submit(raw)
    assert first[0] == 250
    assert door.dial(key=key).submit(raw) == first
    assert Message.objects.count() == 1
    assert Chunk.objects.count() == 3
    assert Parcel.objects.count() == 0


# Parcels by themselves

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def opened(pieces=2, at=NOW):
    (parcel,) = parcels.add_all([Piece(b"a", 0, None)], at)
    for position in range(1, pieces):
        assert parcels.add_all([Piece(b"b", position, parcel)], at) == [parcel]
    return parcel


def test_a_parcel_is_swept_an_hour_after_its_last_piece(ledger):
    old, slow, new = opened(), opened(), opened(at=NOW + timedelta(minutes=30))
    parcels.add_all([Piece(b"c", 2, slow)], NOW + timedelta(minutes=50))
    assert parcels.sweep(NOW + timedelta(minutes=61)) == 1
    assert set(Parcel.objects.values_list("pk", flat=True)) == {slow, new}
    assert not Chunk.objects.filter(message_id=-old).exists()
    assert Chunk.objects.count() == 5


def test_a_parcel_that_is_gone_takes_no_piece(ledger):
    gone, there = opened(), opened()
    assert parcels.drop([gone]) == 1
    assert parcels.add_all([Piece(b"c", 2, gone), Piece(b"c", 2, there)], NOW) == [None, there]
    assert not Chunk.objects.filter(message_id=-gone).exists()


def test_a_parcel_that_was_taken_over_is_not_dropped(ledger):
    parcel = opened()
    Parcel.objects.filter(pk=parcel).delete()  # as acceptance does
    assert parcels.drop([parcel]) == 0
    assert Chunk.objects.filter(message_id=-parcel).count() == 2


def test_large_and_small_ones_are_listed_by_their_time(door, key):
    line = door.dial(key=key)
    small, large = [MESSAGE + b"%d\r\n" % n for n in range(5)], MESSAGE + LINE * 5_000
    taken = []
    for raw in small:
        taken += [stored(line.submit(raw))[0].uid, stored(line.submit(large + raw[-3:]))[0].uid]
    seen, cursor = [], None
    for _ in range(4):
        page = messages.listing(messages.Filter(), cursor, 3)
        seen += [message.uid for message in page.items]
        cursor = page.next
    assert seen == taken[::-1]
    assert cursor is None


def test_the_same_large_bytes_again_are_the_same_message_and_leave_no_second_parcel(door, key):
    raw = MESSAGE + LINE * 8_000
    first = door.dial(key=key).submit(raw)
    assert first[0] == 250
    assert door.dial(key=key).submit(raw) == first
    assert eventually(lambda: Parcel.objects.count() == 0)
    assert (Message.objects.count(), Chunk.objects.count()) == (1, 3)
