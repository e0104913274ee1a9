"""Why a connection cannot be used, in a word for people: the `why` of rows 5, 6, 8 and 10.

The row decides what follows; the word tells a person where to look. It names what `diagnosis` would find, as
far as one trouble tells it. Pure; nothing fails here.
"""

from __future__ import annotations

from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.policy import wording
from vaguemestre.policy.judgement import Why
from vaguemestre.policy.wording import Access

_UNREACHED = {
    Cause.HOST_UNKNOWN: Why.HOST_UNKNOWN,
    Cause.LOOKUP_FAILED: Why.LOOKUP_FAILED,
    Cause.NOT_PERMITTED: Why.NOT_PERMITTED,
    Cause.CONNECTION_REFUSED: Why.CONNECTION_REFUSED,
    Cause.UNREACHABLE: Why.NO_ANSWER,
    Cause.SOURCE_ADDRESS: Why.SOURCE_ADDRESS,
    Cause.NOT_SMTP: Why.NOT_SMTP,
    Cause.TLS_EXPECTED: Why.TLS_EXPECTED,
    Cause.REPLY: Why.TURNED_AWAY,
}
_TIMEOUT = {Phase.RESOLVE: Why.LOOKUP_FAILED, Phase.CONNECT: Why.NO_ANSWER}
_UNSECURED = {
    Cause.NOT_OFFERED: Why.STARTTLS_MISSING,
    Cause.TLS_TOO_OLD: Why.TLS_TOO_OLD,
    Cause.CERTIFICATE_EXPIRED: Why.CERTIFICATE_EXPIRED,
    Cause.CERTIFICATE_NOT_YET_VALID: Why.CERTIFICATE_NOT_YET_VALID,
    Cause.CERTIFICATE_NAME: Why.CERTIFICATE_NAME,
    Cause.CERTIFICATE_AUTHORITY: Why.CERTIFICATE_UNVOUCHED,
    Cause.CERTIFICATE_SELF_SIGNED: Why.CERTIFICATE_UNVOUCHED,
    Cause.CERTIFICATE_OTHER: Why.CERTIFICATE_UNTRUSTED,
}
_NO_SIGN_IN = {
    Cause.NOT_OFFERED: Why.SIGN_IN_NOT_OFFERED,
    Cause.NO_MECHANISM: Why.NO_MECHANISM,
    Cause.NOT_PERMITTED: Why.SIGN_IN_IN_CLEAR,
}
# By what the token's provider said: `providers.oauth2.grants.Refusal`.
_NO_TOKEN = {
    "oauth2_not_connected": Why.NOT_CONNECTED,
    "oauth2_consent_withdrawn": Why.CONSENT_WITHDRAWN,
    "oauth2_scope_missing": Why.SCOPE_MISSING,
    "oauth2_application_refused": Why.APPLICATION_REFUSED,
}
_ACCESS = {
    Access.ENCRYPTION_REQUIRED: Why.ENCRYPTION_REQUIRED,
    Access.PASSWORD_OFF: Why.PASSWORD_OFF,
    Access.ADDRESS_NOT_LISTED: Why.ADDRESS_NOT_LISTED,
    Access.AUTHENTICATION_REQUIRED: Why.SIGN_IN_REQUIRED,
}
_AT_AUTH: dict[Access | None, Why] = {
    Access.ENCRYPTION_REQUIRED: Why.SIGN_IN_IN_CLEAR,
    Access.ADDRESS_NOT_LISTED: Why.ADDRESS_NOT_LISTED,
}

# What another secret may cure, or a verification.
ABOUT_SIGN_IN = frozenset(
    {
        Why.SIGN_IN_REFUSED,
        Why.TOKEN_REFUSED,
        Why.SIGN_IN_IN_CLEAR,
        Why.APP_PASSWORD_NEEDED,
        Why.PASSWORD_OFF,
        *_NO_SIGN_IN.values(),
        *_NO_TOKEN.values(),
    }
)
# What never passes by itself: row 6.
ABOUT_ENCRYPTION = frozenset(
    {Why.ENCRYPTION_FAILED, Why.TLS_NOT_SPOKEN, Why.CERTIFICATE_CHANGED, *_UNSECURED.values()}
)


def why_unreached(trouble: Trouble) -> Why:
    """No dialogue came about."""
    if trouble.reply is not None and wording.access(trouble.reply) is Access.ADDRESS_NOT_LISTED:
        return Why.ADDRESS_NOT_LISTED
    if trouble.cause is Cause.TIMEOUT and trouble.phase in _TIMEOUT:
        return _TIMEOUT[trouble.phase]
    begun = trouble.phase not in {Phase.RESOLVE, Phase.CONNECT}
    return _UNREACHED.get(trouble.cause, Why.NO_DIALOGUE if begun else Why.SERVER_UNAVAILABLE)


def why_unsecured(trouble: Trouble) -> Why:
    """No encryption that can be trusted."""
    if trouble.cause is Cause.TLS_NOT_SPOKEN and trouble.phase is Phase.TLS:
        return Why.TLS_NOT_SPOKEN
    if trouble.cause is Cause.CERTIFICATE_OTHER and "pinned" in trouble.facts:
        return Why.CERTIFICATE_CHANGED
    return _UNSECURED.get(trouble.cause, Why.ENCRYPTION_FAILED)


def why_not_yet_signed_in(trouble: Trouble) -> Why:
    """It is not known yet whether the login is right."""
    ours = trouble.facts.get("oauth") == "no_token_for_now"
    return Why.TOKEN_UNAVAILABLE if ours else Why.SIGN_IN_UNAVAILABLE


def why_not_signed_in(trouble: Trouble, reply: Reply | None) -> Why:
    """There is no way to sign in, or it was refused."""
    if trouble.cause is Cause.NO_TOKEN:
        return _NO_TOKEN.get(trouble.facts.get("oauth", ""), Why.APPLICATION_REFUSED)
    if reply is None:
        return _NO_SIGN_IN.get(trouble.cause, Why.SIGN_IN_REFUSED)
    if wording.password_off(reply):
        return Why.PASSWORD_OFF
    if wording.app_password_needed(reply):
        return Why.APP_PASSWORD_NEEDED
    if reply.code == 538 or wording.detail(reply) == (7, 11):
        return Why.SIGN_IN_IN_CLEAR
    refused = Why.TOKEN_REFUSED if "oauth" in trouble.facts else Why.SIGN_IN_REFUSED
    return _AT_AUTH.get(wording.access(reply), refused)


def why_kept_out(access: Access) -> Why:
    """The server does not let the connection send."""
    return _ACCESS.get(access, Why.ACCESS_DENIED)
