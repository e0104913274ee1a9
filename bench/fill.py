"""Accept messages as a door does, many to a transaction.

python -m bench.fill MESSAGES SIZE
"""

import sys

import django

from bench.letters import SENDER, composed, recipient_of

BATCH = 500  # messages to a transaction, or fewer: their contents are in memory
BATCH_BYTES = 64 * 1024 * 1024


def main():
    django.setup()
    from django.utils import timezone  # noqa: PLC0415  once there are settings

    from vaguemestre.ledger.accept import accept  # noqa: PLC0415
    from vaguemestre.ledger.database import writing  # noqa: PLC0415

    messages, size = int(sys.argv[1]), int(sys.argv[2])
    step = max(1, min(BATCH, BATCH_BYTES // size))
    for start in range(0, messages, step):
        with writing():
            for number in range(start, min(start + step, messages)):
                accept(submission(number, size), timezone.now())


def submission(number, size):
    from vaguemestre.ledger.accept import Submission, Via  # noqa: PLC0415  as above
    from vaguemestre.mail.content import Content  # noqa: PLC0415
    from vaguemestre.mail.envelope import Envelope  # noqa: PLC0415
    from vaguemestre.mail.mailbox import Mailbox  # noqa: PLC0415

    envelope = Envelope(Mailbox.parse(SENDER), (Mailbox.parse(recipient_of(number)),))
    return Submission(envelope, Content(composed(number, size)), Via.API)


if __name__ == "__main__":
    main()
