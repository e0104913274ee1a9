"""The twenty classic forms of an open relay test (I06): without signing in none is taken, and signed in none
reaches another address than the one that RFC 5321 reads in it."""

import pytest

from vaguemestre.ledger.models import Delivery, Message

# form -> the address that RFC 5321 §4.1.2 reads in it, or None where it must be refused
FORMS = {
    "<victim@example.net>": "victim@example.net",
    "victim@example.net": None,
    "<victim%example.net@mx.example.org>": "victim%example.net@mx.example.org",
    "<victim%example.net@[127.0.0.1]>": None,
    "<victim%example.net>": None,
    '<"victim@example.net">': None,
    '<"victim%example.net">': None,
    "<victim@example.net@mx.example.org>": None,
    '<"victim@example.net"@mx.example.org>': '"victim@example.net"@mx.example.org',
    '<"victim%example.net"@mx.example.org>': "victim%example.net@mx.example.org",
    "<victim@example.net@[127.0.0.1]>": None,
    '<"victim@example.net"@[127.0.0.1]>': None,
    "<@mx.example.org:victim@example.net>": None,
    "<@[127.0.0.1]:victim@example.net>": None,
    "<@a.example,@b.example:victim@example.net>": None,
    "<example.net!victim>": None,
    "<example.net!victim@mx.example.org>": "example.net!victim@mx.example.org",
    "<example.net!victim@[127.0.0.1]>": None,
    "<mx.example.org!example.net!victim@>": None,
    '<"<victim@example.net>"@mx.example.org>': '"<victim@example.net>"@mx.example.org',
    "<victim@example.net>,<other@example.net>": None,
    "<victim@example.net> <other@example.net>": None,
    "<mailto:victim@example.net>": None,
}
SENDERS = ["<spam@mx.example.org>", "<spam@[127.0.0.1]>", "<spam@localhost>", "<spam>", "<>", "<a@b@c>"]


@pytest.mark.parametrize("sender", SENDERS)
def test_i06_a_stranger_gets_nowhere_whatever_the_sender(door, sender):
    line = door.dial()
    assert line.ask(f"MAIL FROM:{sender}")[0] == 530
    for form in list(FORMS)[:10]:
        assert line.ask(f"RCPT TO:{form}")[0] == 503
    assert Message.objects.count() == 0


@pytest.mark.parametrize("form", FORMS)
def test_i06_the_recipient_is_the_one_that_was_written_or_none(door, key, form):
    line = door.dial(key=key)
    assert line.ask("MAIL FROM:<app@example.org>")[0] == 250
    code, _ = line.ask(f"RCPT TO:{form}")
    if FORMS[form] is None:
        assert code in {501, 553}
        assert line.ask("DATA")[0] == 554
        return
    assert code == 250
    assert line.ask("DATA")[0] == 354
    line.write(b"Subject: x\r\n\r\n.\r\n")
    assert line.reply()[0] == 250
    assert list(Delivery.objects.values_list("recipient", flat=True)) == [FORMS[form]]
