"""What became of a message that was offered to a server: values, recipient by recipient.

Until its end of data leaves, whatever happens means "not accepted". Behind it, a valid 2yz is accepted
whatever follows, a valid 4yz or 5yz is not accepted, and anything else leaves it in doubt (design L6, RFC
1047): such an outcome has `after_dot` and a trouble at `Phase.CONTENT`.
"""

from __future__ import annotations

from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.transcript import Transcript
from vaguemestre.mail.value import value


@value
class Outcome:
    """What became of one recipient.

    Attributes:
        recipient: whose.
        reply: the server's last word on it, if there was one.
        trouble: None exactly when the message was accepted for it.
        after_dot: whether the end of data had been written, and this says what came of it.
        accepted_before: how many recipients of this transaction had been accepted at RCPT before it.
    """

    recipient: Mailbox
    reply: Reply | None
    trouble: Trouble | None
    after_dot: bool = False
    accepted_before: int = 0

    @property
    def accepted(self) -> bool:
        """Whether the server answered 2yz to the end of data."""
        return self.trouble is None

    @property
    def in_doubt(self) -> bool:
        """Whether it may have arrived, and nobody can say."""
        return self.after_dot and self.trouble is not None and not _definite(self.trouble)


def _definite(trouble: Trouble) -> bool:
    reply = trouble.reply
    return trouble.cause is Cause.REPLY and reply is not None and (reply.transient or reply.permanent)


@value
class Result:
    """What became of a transaction.

    Attributes:
        outcomes: one for each recipient, in the envelope's order.
        staged: whether it was staged: its end of data was about to be written, or went out.
        steps: the transcript of this transaction.
        manner: how it was written.
        first: whether it was the first of its session: the session's opening is then part of its story.
        grouped: how many transactions were in flight with it, itself included.
    """

    outcomes: tuple[Outcome, ...]
    staged: bool
    steps: Transcript
    manner: Manner = Manner.SINGLE
    first: bool = True
    grouped: int = 1
