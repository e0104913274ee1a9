"""What MAIL and RCPT have said so far (RFC 5321 §3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre.doors.submission.effects import Handover, Submitter
from vaguemestre.doors.submission.paths import Mail, Rcpt
from vaguemestre.mail.mailbox import Mailbox


@dataclass
class Transaction:
    """One mail transaction, from MAIL to the end of data or RSET."""

    submitter: Submitter
    mail: Mail
    recipients: dict[str, Mailbox] = field(default_factory=dict)

    def take(self, rcpt: Rcpt, limit: int) -> bool:
        """Add a recipient, once; False if there are `limit` others already."""
        wire = rcpt.recipient.wire
        if wire not in self.recipients and len(self.recipients) >= limit:
            return False
        self.recipients[wire] = rcpt.recipient
        return True

    def handover(self, raw: bytes) -> Handover:
        """The transaction with its content, dots undone."""
        return Handover(
            submitter=self.submitter,
            reverse_path=self.mail.reverse_path,
            recipients=tuple(self.recipients.values()),
            raw=raw,
            utf8=self.mail.utf8,
        )
