"""Findings: what is wrong with a connection, how bad it is, and who must act.

A finding is a code with facts; what, why and remedy are written at the edge, by code, in the reader's
language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vaguemestre.mail.phase import Phase


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"  # nothing leaves through this connection
    WARNING = "warning"  # it works, and something will or may not
    INFO = "info"


class Who(StrEnum):
    """Who must act."""

    YOU = "you"  # whoever fills in the form
    PROVIDER = "provider"  # who runs the server
    DNS_HOST = "dns_host"  # who runs the server's domain
    OPERATOR = "operator"  # who runs this instance and its network


class FindingCode(StrEnum):
    """What is the matter."""

    OK = "ok"
    # reaching the server
    HOST_UNKNOWN = "host_unknown"
    LOOKUP_FAILED = "lookup_failed"
    ADDRESS_NOT_PERMITTED = "address_not_permitted"
    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    SOURCE_ADDRESS_UNUSABLE = "source_address_unusable"
    SILENT = "silent"
    NOT_SMTP = "not_smtp"
    GREETING_BUSY = "greeting_busy"
    GREETING_REJECTED = "greeting_rejected"
    EHLO_REFUSED = "ehlo_refused"
    # encryption
    SSL_ON_STARTTLS_PORT = "ssl_on_starttls_port"
    STARTTLS_ON_SSL_PORT = "starttls_on_ssl_port"
    STARTTLS_NOT_OFFERED = "starttls_not_offered"
    STARTTLS_REFUSED = "starttls_refused"
    ENCRYPTION_REQUIRED = "encryption_required"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_WRONG_NAME = "certificate_wrong_name"
    CERTIFICATE_UNKNOWN_AUTHORITY = "certificate_unknown_authority"
    CERTIFICATE_SELF_SIGNED = "certificate_self_signed"
    CERTIFICATE_CHANGED = "certificate_changed"  # not the pinned one
    CERTIFICATE_INTERCEPTED = "certificate_intercepted"  # by something between here and the server
    CERTIFICATE_OTHER = "certificate_other"
    TLS_FAILED = "tls_failed"
    TLS_TOO_OLD = "tls_too_old"
    # signing in
    AUTH_NOT_OFFERED = "auth_not_offered"
    NO_MECHANISM = "no_mechanism"
    AUTH_REFUSED = "auth_refused"
    LOGIN_WITHOUT_DOMAIN = "login_without_domain"
    PASSWORD_BLANK_EDGE = "password_blank_edge"  # noqa: S105  a code, no secret
    APP_PASSWORD_SPACES = "app_password_spaces"  # noqa: S105  a code, no secret
    AUTH_TEMPORARILY_UNAVAILABLE = "auth_temporarily_unavailable"
    MICROSOFT_PASSWORD_OFF = "microsoft_password_off"  # noqa: S105  a code, no secret
    MICROSOFT_TENANT_OR_MAILBOX_OFF = "microsoft_tenant_or_mailbox_off"
    MICROSOFT_SIGN_IN_POLICY = "microsoft_sign_in_policy"
    GOOGLE_APP_PASSWORD = "google_app_password"  # noqa: S105  a code, no secret
    OAUTH2_TOKEN_REFUSED = "oauth2_token_refused"  # noqa: S105  a code, no secret
    OAUTH2_SCOPE_MISSING = "oauth2_scope_missing"
    OAUTH2_CONSENT_WITHDRAWN = "oauth2_consent_withdrawn"
    OAUTH2_NOT_CONNECTED = "oauth2_not_connected"
    OAUTH2_APPLICATION_REFUSED = "oauth2_application_refused"
    OAUTH2_TOKEN_UNAVAILABLE = "oauth2_token_unavailable"  # noqa: S105  a code, no secret
    ACCOUNT_SUSPENDED = "account_suspended"
    AUTH_NEEDS_TLS = "auth_needs_tls"
    AUTHENTICATION_REQUIRED = "authentication_required"
    # being let through
    SENDER_REFUSED = "sender_refused"
    SENDER_DOMAIN_UNKNOWN = "sender_domain_unknown"
    SENDER_NEEDS_SMTPUTF8 = "sender_needs_smtputf8"
    SMTPUTF8_NOT_OFFERED = "smtputf8_not_offered"
    MESSAGE_TOO_LARGE = "message_too_large"
    ADDRESS_NOT_LISTED = "address_not_listed"
    ADDRESS_ON_BLOCKLIST = "address_on_blocklist"
    ADDRESS_WITHOUT_NAME = "address_without_name"
    RELAY_DENIED = "relay_denied"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    MICROSOFT_TOO_MANY_CONNECTIONS = "microsoft_too_many_connections"
    RATE_LIMITED = "rate_limited"
    DAILY_LIMIT = "daily_limit"
    SERVICE_CLOSING = "service_closing"
    TEMPORARILY_REFUSED = "temporarily_refused"
    COMMAND_REFUSED = "command_refused"
    # the dialogue itself
    CONNECTION_LOST = "connection_lost"
    PROTOCOL_BROKEN = "protocol_broken"
    OUT_OF_TIME = "out_of_time"
    # it works, and
    CERTIFICATE_EXPIRES_SOON = "certificate_expires_soon"
    TRUSTED_INTERCEPTION = "trusted_interception"
    SMALL_SIZE_LIMIT = "small_size_limit"
    NO_EIGHT_BIT = "no_eight_bit"
    NO_SMTPUTF8 = "no_smtputf8"
    FAMILY_SILENT = "family_silent"
    RECIPIENT_REFUSED = "recipient_refused"
    NO_CREDENTIALS_BUT_OFFERED = "no_credentials_but_offered"


WARNINGS = frozenset(
    {
        FindingCode.CERTIFICATE_EXPIRES_SOON,
        FindingCode.TRUSTED_INTERCEPTION,
        FindingCode.SMALL_SIZE_LIMIT,
        FindingCode.FAMILY_SILENT,
        FindingCode.RECIPIENT_REFUSED,
        FindingCode.NO_CREDENTIALS_BUT_OFFERED,
    }
)
REMARKS = frozenset({FindingCode.OK, FindingCode.NO_EIGHT_BIT, FindingCode.NO_SMTPUTF8})
_YOURS = frozenset(
    {
        FindingCode.OK,
        FindingCode.HOST_UNKNOWN,
        FindingCode.REFUSED,
        FindingCode.NOT_SMTP,
        FindingCode.SSL_ON_STARTTLS_PORT,
        FindingCode.STARTTLS_ON_SSL_PORT,
        FindingCode.STARTTLS_NOT_OFFERED,
        FindingCode.ENCRYPTION_REQUIRED,
        FindingCode.CERTIFICATE_WRONG_NAME,
        FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY,
        FindingCode.CERTIFICATE_SELF_SIGNED,
        FindingCode.CERTIFICATE_CHANGED,
        FindingCode.AUTH_NOT_OFFERED,
        FindingCode.AUTH_REFUSED,
        FindingCode.LOGIN_WITHOUT_DOMAIN,
        FindingCode.PASSWORD_BLANK_EDGE,
        FindingCode.APP_PASSWORD_SPACES,
        FindingCode.MICROSOFT_PASSWORD_OFF,
        FindingCode.MICROSOFT_TENANT_OR_MAILBOX_OFF,
        FindingCode.MICROSOFT_SIGN_IN_POLICY,
        FindingCode.OAUTH2_TOKEN_REFUSED,
        FindingCode.OAUTH2_SCOPE_MISSING,
        FindingCode.OAUTH2_CONSENT_WITHDRAWN,
        FindingCode.OAUTH2_NOT_CONNECTED,
        FindingCode.OAUTH2_APPLICATION_REFUSED,
        FindingCode.GOOGLE_APP_PASSWORD,
        FindingCode.AUTH_NEEDS_TLS,
        FindingCode.AUTHENTICATION_REQUIRED,
        FindingCode.SENDER_REFUSED,
        FindingCode.SENDER_NEEDS_SMTPUTF8,
        FindingCode.MESSAGE_TOO_LARGE,
        FindingCode.TOO_MANY_CONNECTIONS,
        FindingCode.MICROSOFT_TOO_MANY_CONNECTIONS,
        FindingCode.NO_CREDENTIALS_BUT_OFFERED,
    }
)
_OTHERS = {
    FindingCode.LOOKUP_FAILED: Who.DNS_HOST,
    FindingCode.SENDER_DOMAIN_UNKNOWN: Who.DNS_HOST,
    FindingCode.CERTIFICATE_INTERCEPTED: Who.OPERATOR,
    FindingCode.TRUSTED_INTERCEPTION: Who.OPERATOR,
    FindingCode.ADDRESS_ON_BLOCKLIST: Who.OPERATOR,
    FindingCode.ADDRESS_WITHOUT_NAME: Who.OPERATOR,
    FindingCode.ADDRESS_NOT_PERMITTED: Who.OPERATOR,
    FindingCode.NO_ANSWER: Who.OPERATOR,
    FindingCode.SOURCE_ADDRESS_UNUSABLE: Who.OPERATOR,
    FindingCode.FAMILY_SILENT: Who.OPERATOR,
}


@dataclass(frozen=True)
class Finding:
    """One line of diagnosis.

    Attributes:
        code: what is the matter.
        severity: how bad it is.
        phase: where in the session; None where it is of the connection as a whole.
        who: who must act.
        facts: what its text may show. Made safe; never a secret.
    """

    code: FindingCode
    severity: Severity
    phase: Phase | None
    who: Who
    facts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def decisive(cls, code: FindingCode, phase: Phase | None, facts: Mapping[str, str]) -> Finding:
        """What ended a dialogue is an error, though the same code may be a hint elsewhere."""
        return cls(code, Severity.ERROR, phase, who_acts(code), facts)

    @classmethod
    def of(cls, code: FindingCode, phase: Phase | None, facts: Mapping[str, str]) -> Finding:
        """A finding with the severity of its code and who must act on it."""
        return cls(code, severity_of(code), phase, who_acts(code), facts)

    def as_json(self) -> dict[str, Any]:
        """For the ledger; the API adds its texts."""
        return {
            "code": self.code.value,
            "severity": self.severity.value,
            "phase": None if self.phase is None else self.phase.value,
            "who": self.who.value,
            "facts": dict(self.facts),
        }


def severity_of(code: FindingCode) -> Severity:
    """How bad a finding of that code is."""
    if code in REMARKS:
        return Severity.INFO
    return Severity.WARNING if code in WARNINGS else Severity.ERROR


def who_acts(code: FindingCode) -> Who:
    """Who must act on a finding of that code; the server's side where nobody else is named."""
    return Who.YOU if code in _YOURS else _OTHERS.get(code, Who.PROVIDER)
