"""An account of OAuth 2.0: who asks for access tokens, where, and in which way (RFC 6749).

A value without secrets; those are `grants.Credentials`. What Microsoft and Google have published (addresses,
scopes) is data here; any address may be given in its place, as national clouds and an own provider need it.
Nothing fails here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Provider(StrEnum):
    """Whose tokens they are."""

    MICROSOFT = "microsoft"
    GOOGLE = "google"
    GENERIC = "generic"


class Grant(StrEnum):
    """What a token is given for."""

    CLIENT_CREDENTIALS = "client_credentials"  # RFC 6749 §4.4: an application, nobody signs in
    AUTHORIZATION_CODE = "authorization_code"  # RFC 6749 §4.1 with PKCE, RFC 7636: a person signs in once
    JWT_BEARER = "jwt_bearer"  # RFC 7523 §2.1: a service account signs for a person of its domain


@dataclass(frozen=True)
class Usual:
    """What a provider has published for one way.

    Attributes:
        token_endpoint, authorization_endpoint: `{tenant}` stands for the tenant; "" has to be given.
        scope: to ask for.
        needed: what a token must allow so that its server takes it.
        asked_further: parameters of the request for an authorization, beside those of RFC 6749 §4.1.1.
    """

    token_endpoint: str = ""
    authorization_endpoint: str = ""
    scope: str = ""
    needed: str = ""
    asked_further: tuple[tuple[str, str], ...] = ()


_MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0"
_GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_GOOGLE_MAIL = "https://mail.google.com/"  # the only scope that Google's SMTP servers take

USUAL: dict[tuple[Provider, Grant], Usual] = {
    (Provider.MICROSOFT, Grant.CLIENT_CREDENTIALS): Usual(
        f"{_MICROSOFT}/token", "", "https://outlook.office365.com/.default", "SMTP.SendAsApp"
    ),
    (Provider.MICROSOFT, Grant.AUTHORIZATION_CODE): Usual(
        f"{_MICROSOFT}/token",
        f"{_MICROSOFT}/authorize",
        "https://outlook.office.com/SMTP.Send offline_access",
        "SMTP.Send",
        (("prompt", "select_account"),),
    ),
    (Provider.GOOGLE, Grant.AUTHORIZATION_CODE): Usual(
        _GOOGLE_TOKENS,
        "https://accounts.google.com/o/oauth2/v2/auth",
        _GOOGLE_MAIL,
        _GOOGLE_MAIL,
        # Without both there is no refresh token the second time that somebody agrees.
        (("access_type", "offline"), ("prompt", "consent")),
    ),
    (Provider.GOOGLE, Grant.JWT_BEARER): Usual(_GOOGLE_TOKENS, "", _GOOGLE_MAIL, _GOOGLE_MAIL),
    (Provider.GENERIC, Grant.CLIENT_CREDENTIALS): Usual(),
    (Provider.GENERIC, Grant.AUTHORIZATION_CODE): Usual(),
}


@dataclass(frozen=True)
class Account:
    """Whom tokens are asked for, and where.

    Attributes:
        provider: whose tokens.
        grant: in which way.
        client_id: of the application; of a service account the number that a domain delegates to.
        token_endpoint: web address, whole.
        authorization_endpoint: where a person agrees; "" where nobody has to.
        tenant: Microsoft's directory; "" elsewhere.
        scope: what is asked for, separated by blanks.
        issuer: the address of a service account; "" elsewhere.
        subject: the mailbox.
    """

    provider: Provider
    grant: Grant
    client_id: str
    token_endpoint: str
    authorization_endpoint: str = ""
    tenant: str = ""
    scope: str = ""
    issuer: str = ""
    subject: str = ""

    @property
    def usual(self) -> Usual:
        """What the provider has published."""
        return USUAL[self.provider, self.grant]

    @property
    def needed(self) -> tuple[str, ...]:
        """What a token must allow, as far as that is known."""
        if self.usual.needed:
            return (self.usual.needed,)
        return tuple(word for word in permissions(self.scope) if word not in _NO_PERMISSION)


_NO_PERMISSION = frozenset({"offline_access", "openid", "email", "profile"})  # OpenID Connect Core §5.4, §11


def permissions(scope: str) -> tuple[str, ...]:
    """The words of a scope that name one: Microsoft's `.default` is whatever the application was granted."""
    return tuple(word for word in scope.split() if not word.endswith("/.default"))
