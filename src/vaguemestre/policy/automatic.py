"""Which addresses no program may answer (RFC 3834 §2): behind them stand programs too, and two would go on.

The null address never gets here: it is no mailbox.
"""

from __future__ import annotations

import re

from vaguemestre.mail.mailbox import Mailbox

_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|daemon|nobody|null|dev-null|majordomo|listserv|mailman|bounces?"
    r"|auto-?(?:reply|responder))(?:\+.*)?"
    r"|(?:no|non|do-?not|ne-?pas)-?(?:reply|repondre|répondre|rispondere|responder)(?:[+-].*)?",
    re.IGNORECASE,
)
_LIST = re.compile(r"(?:owner|bounces?)-.*|.*-(?:owner|request|bounces?|daemon)(?:\+.*)?", re.IGNORECASE)


def is_automatic(mailbox: Mailbox) -> bool:
    """Whether nobody reads there, or a program does."""
    local = mailbox.local.strip('"')
    return bool(_NOBODY.fullmatch(re.sub(r"[._]", "-", local)) or _LIST.fullmatch(local))
