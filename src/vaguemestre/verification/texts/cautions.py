"""Findings of a connection that works today: what may not tomorrow. What, why and remedy of each."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

CAUTIONS = {
    FindingCode.CERTIFICATE_EXPIRES_SOON: Text(
        gettext_noop("The certificate of %(host)s ends on %(expires_at)s"),
        gettext_noop(
            "Days left: %(days)s. If it is not renewed by then, no mail leaves through this connection any "
            "more."
        ),
        gettext_noop(
            "Most providers renew it by themselves shortly before. If the date has not moved a week from "
            "now, remind yours."
        ),
    ),
    FindingCode.TRUSTED_INTERCEPTION: Text(
        gettext_noop("The exchange with %(host)s is opened on the way (%(product)s)"),
        gettext_noop(
            "The certificate is not the server’s but that of a program or a device in between, which this "
            "installation was told to trust. It can read the password and every message."
        ),
        gettext_noop(
            "If that is not on purpose, whoever runs this installation should exempt this server from the "
            "inspection."
        ),
    ),
    FindingCode.SMALL_SIZE_LIMIT: Text(
        gettext_noop("%(host)s takes messages up to %(size)s"),
        gettext_noop("A larger one is refused, and an attachment grows by a third on its way."),
        gettext_noop("Send large files as links. Or ask your provider to take larger messages."),
    ),
    FindingCode.NO_EIGHT_BIT: Text(
        gettext_noop("%(host)s only takes messages in plain ASCII"),
        gettext_noop(
            "It does not offer 8BITMIME. Vaguemestre re-encodes what needs it, and recipients see no "
            "difference; only a signature made beforehand may no longer hold."
        ),
        gettext_noop("There is nothing you must do."),
    ),
    FindingCode.NO_SMTPUTF8: Text(
        gettext_noop("%(host)s takes no addresses with letters such as é before the @"),
        gettext_noop(
            "It does not offer SMTPUTF8. Such addresses are rare still, and a domain with such letters is no "
            "matter."
        ),
        gettext_noop("There is nothing you must do."),
    ),
    FindingCode.FAMILY_SILENT: Text(
        gettext_noop("%(host)s does not answer at its %(family)s address"),
        gettext_noop(
            "By %(other)s all is well, and that is how mail leaves. The address %(address)s is announced for "
            "it as well, and nothing answers there: each new session loses a moment finding out."
        ),
        gettext_noop(
            "Either %(family)s is blocked on this network, or the server’s entry in the DNS is out of date: "
            "tell its provider. Nothing is urgent."
        ),
    ),
    FindingCode.RECIPIENT_REFUSED: Text(
        gettext_noop("%(host)s does not take mail for %(recipient)s"),
        gettext_noop(
            "Login and sender are in order; it is this recipient that it refuses. Others may well be "
            "accepted."
        ),
        gettext_noop(
            "Check the address. If it is right, ask your provider why; many servers make an unknown sender "
            "wait a few minutes, and then a second try succeeds."
        ),
    ),
    FindingCode.NO_CREDENTIALS_BUT_OFFERED: Text(
        gettext_noop("No login is filled in, though %(host)s takes one"),
        gettext_noop(
            "Without one, many servers only accept mail for their own people and refuse the rest later."
        ),
        gettext_noop(
            "If your provider gave you a login and a password, fill them in. If the server knows our "
            "addresses, all is well as it is."
        ),
    ),
}
