"""Which addresses no program may answer (RFC 3834 §2): behind them stand programs too, and two would go on.

The null address never gets here: it is no mailbox.
"""

from __future__ import annotations

import re

from vaguemestre.mail.mailbox import Mailbox

_AUTOMATIC = re.compile(
    r"(?:mailer-daemon|postmaster|daemon|nobody|null|dev-null"
    r"|(?:no|non|do-?not|ne-?pas)-?(?:reply|repondre|répondre|rispondere|responder)|noreplies|ne-?pas-?repondre"
    r"|bounces?|majordomo|listserv|mailman|autoresponder|auto-?reply"
    r"|owner-.*|bounces?-.*|.*-(?:owner|request|bounces?|daemon|noreply|no-reply))(?:\+.*)?",
    re.IGNORECASE,
)


def is_automatic(mailbox: Mailbox) -> bool:
    """Whether nobody reads there, or a program does."""
    local = re.sub(r"[._]", "-", mailbox.local.strip('"'))
    return _AUTOMATIC.fullmatch(local) is not None
