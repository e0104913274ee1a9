"""The ways to come by tokens that the console guides through, each a page with its steps and its form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from vaguemestre.providers.oauth2.account import Account, Grant, Provider

_ENDPOINTS = ("token_endpoint", "authorization_endpoint")


@dataclass(frozen=True)
class Way:
    """One of them.

    Attributes:
        slug: in the page's address, and the name of its steps' template.
        provider, grant: what it sets up; no grant where the form asks for it.
        title, lead: what it is, and for whom.
        fields: of the form, in their order.
        advanced: further ones, folded.
        who: whose sign-in the button asks for; "" where nobody signs in.
    """

    slug: str
    provider: Provider
    grant: Grant | None
    title: Any
    lead: Any
    fields: tuple[str, ...]
    advanced: tuple[str, ...] = ()
    who: str = ""

    @property
    def steps(self) -> str:
        """The template of its steps."""
        return f"console/oauth2/steps/{self.slug}.html"


WAYS = (
    Way(
        "microsoft-app",
        Provider.MICROSOFT,
        Grant.CLIENT_CREDENTIALS,
        _("Microsoft 365, as an application"),
        _("For a shared or technical mailbox. An administrator sets it up once; nobody has to sign in."),
        ("login", "tenant", "client_id", "client_secret", "object_id"),
        ("token_endpoint",),
    ),
    Way(
        "microsoft-person",
        Provider.MICROSOFT,
        Grant.AUTHORIZATION_CODE,
        _("Microsoft 365, as a person"),
        _("The person whose mailbox it is signs in once and agrees. It lasts until they withdraw it."),
        ("login", "tenant", "client_id", "client_secret"),
        _ENDPOINTS,
        "Microsoft",
    ),
    Way(
        "google-person",
        Provider.GOOGLE,
        Grant.AUTHORIZATION_CODE,
        _("Google, as a person"),
        _("The person whose mailbox it is signs in once and agrees. It lasts until they withdraw it."),
        ("login", "client_id", "client_secret"),
        _ENDPOINTS,
        "Google",
    ),
    Way(
        "google-service-account",
        Provider.GOOGLE,
        Grant.JWT_BEARER,
        _("Google Workspace, as a service account"),
        _("An administrator of the domain delegates sending to it; nobody has to sign in."),
        ("login", "service_account_key"),
        ("token_endpoint",),
    ),
    Way(
        "other",
        Provider.GENERIC,
        None,
        _("Another provider"),
        _("With the addresses, the client ID and the scope that its documentation gives."),
        ("login", "grant", "client_id", "client_secret", "token_endpoint", "authorization_endpoint", "scope"),
        who="OAuth2",
    ),
)


def way_of(account: Account) -> Way:
    """The way by which an account was set up."""
    alike = (way for way in WAYS if way.provider is account.provider)
    return next(way for way in alike if way.grant in {None, account.grant})
