"""The envelope: reverse-path and recipients (RFC 5321 §2.3.1)."""

from __future__ import annotations

from collections.abc import Sequence

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.value import value

RECIPIENT_LIMIT = 1_000  # of one message; ten times what RFC 5321 §4.5.3.1.8 asks for

# The reverse-path of a message whose submitter named no sender: not the null one, which would stay null.
UNNAMED = Mailbox("unnamed", "localhost", "localhost")


@value
class Envelope:
    """Who a transaction is from and for.

    Attributes:
        reverse_path: None is the null reverse-path `<>` (RFC 5321 §4.5.5), and stays null.
        recipients: at least one, at most `RECIPIENT_LIMIT`, none twice.
    """

    reverse_path: Mailbox | None
    recipients: tuple[Mailbox, ...]

    def __post_init__(self) -> None:
        if (count := len(self.recipients)) == 1:
            return
        if not count:
            raise Invalid("to", "recipient_missing", "At least one recipient is needed.")
        if count > RECIPIENT_LIMIT:
            raise Invalid("to", "recipients_many", f"A message has at most {RECIPIENT_LIMIT} recipients.")
        if len({mailbox.wire for mailbox in self.recipients}) != count:
            raise Invalid("to", "recipient_twice", "The same recipient is named twice.")

    @classmethod
    def to_each(cls, reverse_path: Mailbox | None, recipients: Sequence[Mailbox]) -> Envelope:
        """An envelope for the recipients, each once, in the order of their first mention."""
        if len(recipients) > 1:
            recipients = [*{mailbox.wire: mailbox for mailbox in recipients}.values()]
        return cls(reverse_path, tuple(recipients))

    @property
    def needs_smtputf8(self) -> bool:
        """Whether a local part is beyond ASCII (RFC 6531 §3.2)."""
        paths = self.recipients if self.reverse_path is None else (self.reverse_path, *self.recipients)
        return not "".join([mailbox.local for mailbox in paths]).isascii()
