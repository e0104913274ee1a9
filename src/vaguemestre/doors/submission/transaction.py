"""What MAIL and RCPT have said so far (RFC 5321 §3.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from vaguemestre.doors.submission.answers import LOOP, MAIL_FIRST, NO_RECIPIENT, Answer, refusal
from vaguemestre.doors.submission.effects import Handover, Submitter
from vaguemestre.doors.submission.headers import read_wishes
from vaguemestre.doors.submission.paths import Mail, Rcpt
from vaguemestre.doors.submission.receiving import Receiving
from vaguemestre.mail.errors import Invalid


@dataclass
class Transaction:
    """One mail transaction, from MAIL to the end of data or RSET."""

    submitter: Submitter
    mail: Mail
    recipients: dict[str, Rcpt] = field(default_factory=dict)

    def take(self, rcpt: Rcpt, limit: int) -> bool:
        """Add a recipient, once, as it was said last; False if there are `limit` others already."""
        wire = rcpt.recipient.wire
        if wire not in self.recipients and len(self.recipients) >= limit:
            return False
        self.recipients[wire] = rcpt
        return True

    def handover(self, received: Receiving) -> Handover | Answer:
        """The transaction with its content, or why that is no message."""
        try:
            content, parcel = received.whole()
            wishes = read_wishes(content)
        except Invalid as fault:
            return refusal(fault)
        most = received.limits.trace
        if len(content.fields) > most and [name for name, _ in content.fields].count(b"received") > most:
            return LOOP
        return Handover(self.submitter, self.mail, tuple(self.recipients.values()), content, wishes, parcel)


def obstacle(transaction: Transaction | None) -> Answer | None:
    """Why no content may follow, if it may not."""
    if transaction is None:
        return MAIL_FIRST
    return None if transaction.recipients else NO_RECIPIENT
