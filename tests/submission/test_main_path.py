"""A message from EHLO to the ledger."""

from submission.door import MESSAGE
from vaguemestre.ledger.models import Chunk, Message


def stored(reply):
    """The message that a 250 names, and its content as the chunks hold it."""
    code, text = reply
    assert code == 250, text
    assert text.startswith("2.0.0 queued as ")
    message = Message.objects.get(uid=text.removeprefix("2.0.0 queued as "))
    chunks = Chunk.objects.filter(message=message).order_by("position")
    return message, b"".join(bytes(chunk.data) for chunk in chunks)


def test_a_message_is_in_the_ledger_byte_for_byte_when_250_comes(door, key):
    message, content = stored(door.dial(key=key).submit(MESSAGE))
    assert content == MESSAGE
    assert message.via == "smtp"
    assert message.reverse_path == "app@example.org"
    assert [delivery.recipient for delivery in message.delivery_set.all()] == ["to@example.net"]
