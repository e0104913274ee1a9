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
    FindingCode.LOGIN_WITHOUT_DOMAIN: Text(
        gettext_noop("The login “%(login)s” is not a complete address"),
        gettext_noop("Most providers want the whole address as login."),
        gettext_noop("Try %(sender)s under “SMTP login”, if that is the account."),
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
