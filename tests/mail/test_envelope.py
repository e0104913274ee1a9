"""Who a transaction is from and for."""

import pytest

from vaguemestre.mail.envelope import RECIPIENT_LIMIT, UNNAMED, Envelope
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox

ANN, BOB = Mailbox.parse("ann@example.org"), Mailbox.parse("bob@example.org")


def many(count):
    return tuple(Mailbox(f"a{number}", "example.org", "example.org") for number in range(count))


@pytest.mark.parametrize(
    ("recipients", "code"),
    [
        ((), "recipient_missing"),
        ((ANN, ANN), "recipient_twice"),
        (many(RECIPIENT_LIMIT + 1), "recipients_many"),
    ],
)
def test_what_is_no_envelope_is_refused(recipients, code):
    with pytest.raises(Invalid) as caught:
        Envelope(None, recipients)
    assert (caught.value.field, caught.value.code) == ("to", code)


def test_each_recipient_once_in_order_of_mention():
    assert Envelope.to_each(None, (BOB, ANN, BOB)).recipients == (BOB, ANN)
    assert len(Envelope.to_each(None, many(RECIPIENT_LIMIT)).recipients) == RECIPIENT_LIMIT


def test_the_null_reverse_path_is_not_the_unnamed_one():
    assert Envelope(None, (ANN,)).reverse_path is None
    assert Envelope(UNNAMED, (ANN,)).reverse_path is not None


def test_a_local_part_beyond_ascii_anywhere_needs_smtputf8():
    foreign = Mailbox.parse("é@example.org")
    assert Envelope(foreign, (ANN,)).needs_smtputf8
    assert Envelope(None, (ANN, foreign)).needs_smtputf8
    assert not Envelope(None, (Mailbox.parse("a@café.example"),)).needs_smtputf8
