"""Findings about the dialogue itself: it broke, or made no sense. What, why and remedy of each."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

DIALOGUE = {
    FindingCode.CONNECTION_LOST: Text(
        gettext_noop("%(host)s hung up in the middle of the dialogue"),
        gettext_noop(
            "The line was cut without a word. A firewall on the way does that, or a port that is meant for "
            "another encryption."
        ),
        gettext_noop(
            "Check that “Encryption” and “Port” belong together: 465 goes with SSL, 587 with TLS. If they "
            "do, ask your provider whether it lets in the addresses of the page “Source IP addresses "
            "(whitelist)”."
        ),
    ),
    FindingCode.PROTOCOL_BROKEN: Text(
        gettext_noop("%(host)s gives answers that make no sense"),
        gettext_noop(
            "One of them breaks the rules of mail (SMTP), so Vaguemestre ended the dialogue, to be on the "
            "safe side."
        ),
        gettext_noop(
            "Show your provider the steps of this verification. A filter between here and there may be "
            "altering the dialogue."
        ),
    ),
    FindingCode.OUT_OF_TIME: Text(
        gettext_noop("%(host)s did not answer in time"),
        gettext_noop(
            "The server was reached and then kept us waiting, longer than anybody should wait in front of a"
            " page."
        ),
        gettext_noop(
            "Verify again in a few minutes. If it lasts, ask your provider whether the server is "
            "overloaded, or slows newcomers down on purpose."
        ),
    ),
}
