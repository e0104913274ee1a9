"""What people type for OAuth 2.0, checked: one validation for console, API and command line (L8, L11).

The object `oauth2` of a connection names provider and grant, and what differs from what the provider has
published. Its secrets are `client_secret`, `refresh_token` and `service_account_key` (the JSON file of
Google). Each fault is collected at its field, `oauth2.client_id`. What the stored secrets are bound to does
not change without them: a change wants the secret again, or forgets the consent of a person on request
(`clear_password`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from vaguemestre.http_transport import Address
from vaguemestre.ledger import oauth2, vault
from vaguemestre.ledger.fields import Clean, is_loopback, text_of
from vaguemestre.ledger.models import Connection
from vaguemestre.ledger.oauth2 import Kept
from vaguemestre.mail.account import AuthKind
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.secret import Secret
from vaguemestre.providers.oauth2.account import USUAL, Account, Grant, Provider, Usual
from vaguemestre.providers.oauth2.assertion import BadKey, key_of
from vaguemestre.providers.oauth2.grants import TOKEN_LIMIT, Credentials

PLAIN = (
    "provider",
    "grant",
    "tenant",
    "client_id",
    "token_endpoint",
    "authorization_endpoint",
    "scope",
    "issuer",
)
SECRETS = ("client_secret", "refresh_token", "service_account_key")
BOUND = ("host", "port", "encryption", "pinned_certificate", "auth", "login")  # of the connection
_URL_LIMIT = 2_000
_TEXT_LIMIT = 255
_VISIBLE = re.compile(r"[!-~]*")
_TENANT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_SCOPE = re.compile(r"(?:[!#-\[\]-~]+(?: [!#-\[\]-~]+)*)?")  # RFC 6749 appendix A.4
_AGAIN = {
    Grant.CLIENT_CREDENTIALS: "client_secret",
    Grant.JWT_BEARER: "service_account_key",
    Grant.AUTHORIZATION_CODE: "refresh_token",
}


@dataclass(frozen=True)
class Typed:
    """An account as it is to be.

    Attributes:
        account: None where nothing was said of it yet.
        kept: the secrets to store with it; None leaves what is stored.
    """

    account: Account | None = None
    kept: Kept | None = None


def checked(
    existing: Connection | None, given: object, state: Clean, *, clear: bool
) -> tuple[Typed, list[Invalid]]:
    """The account after what was given, and every fault.

    Args:
        existing: the saved connection, if any.
        given: what was typed under `oauth2`; None for nothing.
        state: the connection's values as they are to be.
        clear: whether the stored secrets are to be forgotten.
    """
    before = None if existing is None or existing.auth != AuthKind.OAUTH2 else oauth2.account_of(existing)
    if given is None and before is None:
        return Typed(), []
    if not isinstance(given, Mapping | None):
        return Typed(), [
            Invalid("oauth2", "not_object", f"An object with any of {', '.join(PLAIN)} is needed.")
        ]
    typing = _Typing(given or {}, before, str(state["login"] or state["sender_email"]))
    account = typing.account()
    if typing.faults or account is None:
        return Typed(), typing.faults
    kept = typing.kept(existing, account, moved=_moved(existing, state), clear=clear)
    return Typed(account, kept), typing.faults


def _moved(existing: Connection | None, state: Clean) -> bool:
    return existing is not None and any(getattr(existing, field) != state[field] for field in BOUND)


class _Typing:
    """One object as typed, over the account before; collects its faults."""

    def __init__(self, given: Mapping[str, object], before: Account | None, mailbox: str) -> None:
        self.faults: list[Invalid] = [
            Invalid(f"oauth2.{name}", "unknown_field", f"There is no field {name}.")
            for name in given
            if name not in {*PLAIN, *SECRETS}
        ]
        self._given = given
        self._before = before
        self._mailbox = mailbox
        self._key: Mapping[str, str] = {}

    def account(self) -> Account | None:
        """The account; None where it cannot be told, with its faults."""
        provider = self._choice(
            "provider", Provider, "oauth2_provider", "Choose microsoft, google or generic."
        )
        grant = self._choice("grant", Grant, "oauth2_grant", f"Choose one of {', '.join(Grant)}.")
        if not isinstance(provider, Provider) or not isinstance(grant, Grant):
            return None
        usual = USUAL.get((provider, grant))
        if usual is None:
            self._fault("grant", "oauth2_grant", f"{provider.value} does not know this grant for mail.")
            return None
        before = self._before
        if before is not None and (before.provider, before.grant) != (provider, grant):
            self._before = None  # nothing of another kind of account is taken over
        return self._filled(provider, grant, usual)

    def _filled(self, provider: Provider, grant: Grant, usual: Usual) -> Account:
        self._key = self._service_account() if grant is Grant.JWT_BEARER else {}
        tenant = self._tenant(provider, grant)
        scope = self._text("scope") or usual.scope
        if not _SCOPE.fullmatch(scope):
            self._fault("scope", "oauth2_scope", "A scope is words separated by one blank.")
        by_key = grant is Grant.JWT_BEARER
        issuer = self._visible("issuer", self._key.get("client_email", ""), needed=False) if by_key else ""
        return Account(
            provider,
            grant,
            client_id=self._visible("client_id", self._key.get("client_id", ""), needed=not by_key),
            token_endpoint=self._endpoint("token_endpoint", usual.token_endpoint, tenant, needed=True),
            authorization_endpoint=self._endpoint(
                "authorization_endpoint",
                usual.authorization_endpoint,
                tenant,
                needed=grant is Grant.AUTHORIZATION_CODE,
            ),
            tenant=tenant,
            scope=scope,
            issuer=issuer,
            subject=self._mailbox,
        )

    # Its values

    def _choice(
        self, name: str, kinds: type[Provider | Grant], code: str, message: str
    ) -> Provider | Grant | None:
        text = self._text(name)
        if text not in [kind.value for kind in kinds]:
            self._fault(name, code, message)
            return None
        return kinds(text)

    def _text(self, name: str) -> str:
        """As given, else as it was."""
        if name not in self._given:
            return "" if self._before is None else str(asdict(self._before)[name])
        limit = _URL_LIMIT if name.endswith("endpoint") else _TEXT_LIMIT * 4
        try:
            return text_of(self._given[name], f"oauth2.{name}", limit).strip()
        except Invalid as fault:
            self.faults.append(fault)
            return ""

    def _visible(self, name: str, other: str, *, needed: bool) -> str:
        text = other or self._text(name)
        if not _VISIBLE.fullmatch(text) or len(text) > _TEXT_LIMIT:
            self._fault(name, "oauth2_id", "This is copied without blanks, as the provider shows it.")
        elif needed and not text:
            self._fault(name, "oauth2_id_missing", "Copy it from the provider's page of the application.")
        return text

    def _tenant(self, provider: Provider, grant: Grant) -> str:
        text = self._text("tenant")
        if provider is not Provider.MICROSOFT:
            return ""
        shared = text.lower() in {"common", "organizations", "consumers"}
        if (
            not _TENANT.fullmatch(text)
            or len(text) > _TEXT_LIMIT
            or (shared and grant is Grant.CLIENT_CREDENTIALS)
        ):
            message = "Give the directory (tenant) id that Microsoft Entra shows, or your domain."
            self._fault("tenant", "oauth2_tenant", message)
        return text

    def _endpoint(self, name: str, usual: str, tenant: str, *, needed: bool) -> str:
        """As given; else the own one from before; else as the provider has published it."""
        published = usual.replace("{tenant}", tenant)
        if not needed:
            return ""
        url = self._text(name) if name in self._given else self._own(name, usual)
        if url or not published:
            self._judge_endpoint(name, url)
        return url or published

    def _own(self, name: str, usual: str) -> str:
        if self._before is None:
            return ""
        url = str(asdict(self._before)[name])
        return "" if url == usual.replace("{tenant}", self._before.tenant) else url

    def _judge_endpoint(self, name: str, url: str) -> None:
        try:
            address = Address.parse(url, f"oauth2.{name}")
        except Invalid as fault:
            self.faults.append(fault)
            return
        if not address.secure and not is_loopback(address.host):
            self._fault(
                name, "oauth2_endpoint_in_clear", "A secret is never sent unencrypted: give an https address."
            )

    def _service_account(self) -> Mapping[str, str]:
        """The JSON file of a service account, as text or as an object."""
        given = self._given.get("service_account_key")
        if given in (None, ""):
            return {}
        try:
            told: Any = json.loads(given) if isinstance(given, str) else given
            words = {name: str(told[name]) for name in ("client_email", "private_key")}
            words |= {name: str(told.get(name, "")) for name in ("client_id", "private_key_id")}
            key_of(Secret(words["private_key"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, BadKey):
            message = "Give the whole JSON file of the service account's key, as Google hands it out."
            self._fault("service_account_key", "oauth2_key", message)
            return {}
        return words

    # Its secrets

    def kept(self, existing: Connection | None, account: Account, *, moved: bool, clear: bool) -> Kept | None:
        """The secrets to store; None leaves them. With it come the faults of those that are missing."""
        typed = self._credentials(account.grant)
        stored = existing is not None and self._before is not None and vault.has(existing)
        bound = stored and not moved and _bound_alike(account, self._before)
        if typed is not None:
            return Kept.of(typed if not bound or clear else self._with_consent(existing, typed))
        if clear:
            return Kept()
        if stored and not bound:
            self._again(account.grant)
        elif not stored and self._given and account.grant is not Grant.AUTHORIZATION_CODE:
            self._fault(_AGAIN[account.grant], "oauth2_secret_missing", "Without it no token is given.")
        return None if stored else Kept()

    def _again(self, grant: Grant) -> None:
        if grant is Grant.AUTHORIZATION_CODE:
            code = "oauth2_consent_again"
            message = (
                "The server, the login or the account changed: forget the consent so far (clear_password),"
                " and connect again."
            )
        else:
            code = "oauth2_secret_again"
            message = (
                "The server, the login or the account changed: give this secret again, or forget the stored"
                " one and set up OAuth2 anew."
            )
        self._fault(_AGAIN[grant], code, message)

    def _credentials(self, grant: Grant) -> Credentials | None:
        """What was typed; None for nothing."""
        if self._key:
            return Credentials(Secret(self._key["private_key"]), self._key["private_key_id"])
        secret, refresh = self._secret("client_secret"), self._secret("refresh_token")
        if grant is Grant.JWT_BEARER or not (secret or refresh):
            return None
        return Credentials(secret, refresh_token=refresh if grant is Grant.AUTHORIZATION_CODE else Secret(""))

    def _secret(self, name: str) -> Secret:
        try:
            text = text_of(self._given.get(name), f"oauth2.{name}", TOKEN_LIMIT)
        except Invalid as fault:
            self.faults.append(fault)
            return Secret("")
        if not re.fullmatch(r"[ -~]*", text):
            self._fault(name, "oauth2_id", "This is copied without blanks, as the provider shows it.")
        return Secret(text)

    def _with_consent(self, existing: Connection | None, typed: Credentials) -> Credentials:
        """One of two secrets was typed: the other stays, as nothing changed that it is bound to."""
        try:
            old = Credentials() if existing is None else oauth2.kept_of(existing).credentials
        except vault.Unreadable:
            return typed
        return replace(
            typed,
            secret=typed.secret or old.secret,
            refresh_token=typed.refresh_token or old.refresh_token,
        )

    def _fault(self, name: str, code: str, message: str) -> None:
        self.faults.append(Invalid(f"oauth2.{name}", code, message))


def _bound_alike(account: Account, before: Account | None) -> bool:
    """Whether nothing differs but what no secret hangs on: where a person is asked to agree."""
    if before is None:
        return False
    return replace(account, authorization_endpoint=before.authorization_endpoint) == before
