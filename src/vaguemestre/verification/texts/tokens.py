"""Findings about access tokens (OAuth2) that cannot be had. What, why and remedy of each."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

_AWAY = {
    "not_permitted": gettext_noop("This installation may not dial its address; its operator can allow it."),
    "host_unknown": gettext_noop("There is no server of that name."),
    "lookup_failed": gettext_noop("Its name cannot be looked up for now (DNS)."),
    "unreachable": gettext_noop("It cannot be reached from here."),
    "certificate": gettext_noop("Its certificate is not trusted."),
    "tls": gettext_noop("It takes no encryption that can be trusted."),
    "timeout": gettext_noop("It did not answer in time."),
    "busy": gettext_noop("Another process is asking it just now."),
    "changed": gettext_noop("The account was changed meanwhile."),
}
_SENSELESS = gettext_noop("Its answer makes no sense.")
_ANSWERED = gettext_noop("It answered with an error (HTTP), as servers do that have no time.")

TOKENS = {
    FindingCode.OAUTH2_NOT_CONNECTED: Text(
        gettext_noop("This connection is not connected to its account yet (OAuth2)"),
        gettext_noop(
            "It signs in with tokens, and nobody has said yet where they come from, or given the consent."
        ),
        gettext_noop(
            "Open the connection’s page, choose “Set up OAuth2” and follow its steps. For the consent, the "
            "person whose mailbox it is signs in once at the provider."
        ),
    ),
    FindingCode.OAUTH2_APPLICATION_REFUSED: Text(
        gettext_noop("The provider gives this application no token (OAuth2)"),
        gettext_noop(
            "The token service was reached, and refuses: most often the client secret has run out or is not "
            "the right one, or the tenant or client ID was copied from somewhere else."
        ),
        gettext_noop(
            "Compare the tenant and client ID with the provider’s page of the application, and create a new "
            "secret or key there. Then give it on the connection’s page."
        ),
    ),
    FindingCode.OAUTH2_TOKEN_UNAVAILABLE: Text(
        gettext_noop("No token can be had for now (OAuth2)"),
        gettext_noop(
            "The provider’s token service does not answer, cannot be reached from here, or has no time. The "
            "mail server was not tried."
        ),
        gettext_noop(
            "Try again in a few minutes. If it lasts, see that this machine may reach the token service by "
            "HTTPS, and that its address is right where you gave one of your own."
        ),
    ),
}


def away_text(why: str) -> str:
    """The message id of a sentence for a reason of `providers.oauth2.grants.TokenAway`."""
    return _ANSWERED if why.startswith("answered_") else _AWAY.get(why, _SENSELESS)
