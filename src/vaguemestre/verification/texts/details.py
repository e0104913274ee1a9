"""Sentences that a finding gains from its facts: what a certificate says, what the server said, what one
provider is known for.

A sentence with a fact that is not there is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.tokens import away_text


class Provider(StrEnum):
    """Providers with ways of their own."""

    GOOGLE = "google"
    MICROSOFT = "microsoft"


_DOMAINS = {
    "gmail.com": Provider.GOOGLE,
    "google.com": Provider.GOOGLE,
    "googlemail.com": Provider.GOOGLE,
    "office365.com": Provider.MICROSOFT,
    "outlook.com": Provider.MICROSOFT,
    "hotmail.com": Provider.MICROSOFT,
    "live.com": Provider.MICROSOFT,
}

_NAMES = gettext_noop("The certificate is for: %(names)s.")
_ISSUER = gettext_noop("It was issued by: %(issuer)s.")
_START = gettext_noop("Start of its validity: %(valid_from)s.")
_END = gettext_noop("End of its validity: %(expired_at)s.")
_FINGERPRINT = gettext_noop("Its fingerprint (SHA-256): %(fingerprint)s.")
_SPEAKS = {
    "web": gettext_noop("It answers like a website (HTTP)."),
    "ssh": gettext_noop("It greets like a server for remote logins (SSH)."),
    "imap": gettext_noop("It greets like a server for reading mail (IMAP)."),
    "pop": gettext_noop("It greets like a server for reading mail (POP)."),
}
_PRODUCT = gettext_noop("The certificate is by %(product)s.")
_SEEN = gettext_noop("The address it saw: %(seen_address)s.")
_OFFERED = gettext_noop("The server offers: %(offered)s.")
_FIXED = gettext_noop(
    "So far it was signed in with %(fixed)s, which the server no longer offers. If your provider changed "
    "that, verify the connection: how to sign in is then chosen anew."
)
_SAID = gettext_noop("The server’s answer: %(code)s %(said)s")

_PROVIDER_SAID = gettext_noop("The provider’s answer: %(oauth_said)s")
_REASON = gettext_noop("The reason in the server’s answer: %(oauth_status)s.")
_WANTED = gettext_noop("It wants a token for: %(oauth_scope)s.")
_LACKS = gettext_noop("The token does not hold: %(oauth_lacks)s.")

_OF_CODE = {
    FindingCode.OAUTH2_TOKEN_REFUSED: (_REASON, _WANTED),
    FindingCode.OAUTH2_SCOPE_MISSING: (_LACKS, _REASON, _WANTED, _PROVIDER_SAID),
    FindingCode.OAUTH2_CONSENT_WITHDRAWN: (_PROVIDER_SAID,),
    FindingCode.OAUTH2_APPLICATION_REFUSED: (_PROVIDER_SAID,),
    FindingCode.CERTIFICATE_EXPIRED: (_END, _ISSUER),
    FindingCode.CERTIFICATE_NOT_YET_VALID: (_START,),
    FindingCode.CERTIFICATE_WRONG_NAME: (_NAMES,),
    FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY: (_ISSUER, _NAMES),
    FindingCode.CERTIFICATE_SELF_SIGNED: (_FINGERPRINT,),
    FindingCode.CERTIFICATE_CHANGED: (_FINGERPRINT, _ISSUER),
    FindingCode.CERTIFICATE_INTERCEPTED: (_PRODUCT, _ISSUER),
    FindingCode.ADDRESS_NOT_LISTED: (_SEEN,),
    FindingCode.ADDRESS_ON_BLOCKLIST: (_SEEN,),
    FindingCode.ADDRESS_WITHOUT_NAME: (_SEEN,),
    FindingCode.CERTIFICATE_OTHER: (_NAMES, _ISSUER, _END),
    FindingCode.NO_MECHANISM: (_OFFERED, _FIXED),
}

_READING = frozenset({"110", "143", "993", "995"})
_READING_PORT = gettext_noop("Port %(port)s is for reading mail; sending goes through 465 or 587.")
_WEB = frozenset({"80", "443"})
_WEB_PORT = gettext_noop("Port %(port)s is for websites; sending mail goes through 465 or 587.")
_PORT_25 = gettext_noop("Many networks let nothing out on port 25: try 587 with TLS, or 465 with SSL.")
_TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})
_TAKES_TOKENS = gettext_noop(
    "It takes OAuth2, and so does Vaguemestre: choose it on the connection’s page in place of the password."
)
_AT_PROVIDER = {
    (FindingCode.AUTH_REFUSED, Provider.GOOGLE): gettext_noop(
        "At Google the usual password does not work here: create an app password at"
        " https://myaccount.google.com/apppasswords."
    ),
    (FindingCode.AUTH_REFUSED, Provider.MICROSOFT): gettext_noop(
        "At Microsoft 365 the right password is refused too while “Authenticated SMTP” is off for the"
        " mailbox: ask your administrator to allow it."
    ),
    (FindingCode.NO_MECHANISM, Provider.MICROSOFT): gettext_noop(
        "Microsoft offers OAuth2 alone for personal mailboxes; an account of Microsoft 365 for business can"
        " still allow a password."
    ),
    (FindingCode.SENDER_REFUSED, Provider.MICROSOFT): gettext_noop(
        "At Microsoft 365 the administrator gives the login’s mailbox the “Send as” permission on that"
        " address."
    ),
    (FindingCode.ADDRESS_NOT_LISTED, Provider.GOOGLE): gettext_noop(
        "In the Google admin console: Apps, Google Workspace, Gmail, Routing, SMTP relay service."
    ),
    (FindingCode.ADDRESS_NOT_LISTED, Provider.MICROSOFT): gettext_noop(
        "In the Exchange admin center: Mail flow, Connectors, one from your organization’s email server."
    ),
    (FindingCode.DAILY_LIMIT, Provider.GOOGLE): gettext_noop(
        "Google allows about 2,000 messages a day and account, Google’s relay 10,000."
    ),
    (FindingCode.DAILY_LIMIT, Provider.MICROSOFT): gettext_noop(
        "Microsoft 365 allows 10,000 recipients a day."
    ),
    (FindingCode.RATE_LIMITED, Provider.MICROSOFT): gettext_noop(
        "Microsoft 365 allows 30 messages a minute."
    ),
}


def provider_of(host: str) -> Provider | None:
    """Whose server that is, by its name."""
    return next((one for domain, one in _DOMAINS.items() if f".{host}".endswith(f".{domain}")), None)


def behind_why(code: FindingCode, facts: Mapping[str, str]) -> tuple[str, ...]:
    """Message ids that go behind `why`; some have facts in them that are not there."""
    speaks = _SPEAKS.get(facts.get("speaks", "")) if code is FindingCode.NOT_SMTP else None
    away = (away_text(facts["oauth_away"]),) if facts.get("oauth_away") else ()
    return (
        *_OF_CODE.get(code, ()),
        *away,
        *((speaks,) if speaks else ()),
        *((_SAID,) if facts.get("said") else ()),
    )


def behind_remedy(code: FindingCode, facts: Mapping[str, str]) -> tuple[str, ...]:
    """Message ids that go behind `remedy`."""
    provider = provider_of(facts.get("host", ""))
    own = None if provider is None else _AT_PROVIDER.get((code, provider))
    return (*_about_port(code, facts), *_about_tokens(code, facts), *((own,) if own else ()))


def _about_tokens(code: FindingCode, facts: Mapping[str, str]) -> tuple[str, ...]:
    offered = _TOKENS & set(facts.get("offered", "").split())
    able = code is FindingCode.NO_MECHANISM and "oauth" not in facts and bool(offered)
    return (_TAKES_TOKENS,) if able else ()


def _about_port(code: FindingCode, facts: Mapping[str, str]) -> tuple[str, ...]:
    """What the port that was typed tells by itself."""
    if code is not FindingCode.ADDRESS_NOT_PERMITTED:
        return (_PORT_25,) if "port_25" in facts else ()
    reading = facts.get("port") in _READING
    return (_READING_PORT,) if reading else (_WEB_PORT,) if facts.get("port") in _WEB else ()
