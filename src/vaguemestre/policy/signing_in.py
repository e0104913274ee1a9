"""Why a server refuses to sign us in: the most telling of its words, the login and the password tell.

`refused` promises a finding for every 4yz and 5yz to AUTH. A password's form explains a refusal only where
the server names no other reason.
"""

from __future__ import annotations

from vaguemestre.mail.phase import Cause, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.secret import Shape
from vaguemestre.policy import wording
from vaguemestre.policy.dialogue import DialogueFacts, LoginForm
from vaguemestre.policy.finding import FindingCode
from vaguemestre.policy.wording import Access

_SHAPES = {
    Shape.BLANK_EDGE: FindingCode.PASSWORD_BLANK_EDGE,
    Shape.GROUPED: FindingCode.APP_PASSWORD_SPACES,
}
# RFC 7628 §3.2.2 as far as servers keep to it: Google and Microsoft tell an HTTP status in place of a word.
_SCOPE_STATUS = frozenset({"insufficient_scope", "403"})


def refused(facts: DialogueFacts, trouble: Trouble, reply: Reply) -> FindingCode:
    """The finding about a reply to AUTH."""
    known = _known(reply)
    if known is not None:
        return known
    if reply.transient and not (reply.code == 421 and wording.login_wrong(reply)):
        return FindingCode.AUTH_TEMPORARILY_UNAVAILABLE
    if reply.code in {500, 502, 503}:
        return FindingCode.AUTH_NOT_OFFERED  # the command is unknown here, or not enabled
    if reply.code in {504, 534}:
        return FindingCode.NO_MECHANISM
    return _token(trouble) if "oauth" in trouble.facts else _password(facts)


def _known(reply: Reply) -> FindingCode | None:
    access = wording.access(reply)
    if access is Access.ADDRESS_NOT_LISTED:
        return FindingCode.ADDRESS_NOT_LISTED
    if access is Access.ENCRYPTION_REQUIRED or reply.code == 538 or wording.detail(reply) == (7, 11):
        return FindingCode.AUTH_NEEDS_TLS
    if wording.password_off(reply):
        return _microsoft(reply)
    return FindingCode.GOOGLE_APP_PASSWORD if wording.app_password_needed(reply) else None


def _microsoft(reply: Reply) -> FindingCode:
    if wording.sign_in_policy(reply):
        return FindingCode.MICROSOFT_SIGN_IN_POLICY
    off = wording.submission_disabled(reply)
    return FindingCode.MICROSOFT_TENANT_OR_MAILBOX_OFF if off else FindingCode.MICROSOFT_PASSWORD_OFF


def without_token(trouble: Trouble) -> FindingCode | None:
    """The finding where no token could be had to sign in with; None where that is not the trouble."""
    if trouble.cause is Cause.NO_TOKEN:
        # By the codes of `providers.oauth2.grants.Refusal`.
        return FindingCode(trouble.facts.get("oauth", FindingCode.OAUTH2_APPLICATION_REFUSED))
    away = trouble.facts.get("oauth") == "no_token_for_now"
    return FindingCode.OAUTH2_TOKEN_UNAVAILABLE if away else None


def _token(trouble: Trouble) -> FindingCode:
    """RFC 7628 §3.2.2: what the server says of the token in its challenge."""
    narrow = trouble.facts.get("oauth_status") in _SCOPE_STATUS or "oauth_lacks" in trouble.facts
    return FindingCode.OAUTH2_SCOPE_MISSING if narrow else FindingCode.OAUTH2_TOKEN_REFUSED


def _password(facts: DialogueFacts) -> FindingCode:
    shape = _SHAPES.get(facts.secret_shape)
    if shape is not None:
        return shape
    return FindingCode.LOGIN_WITHOUT_DOMAIN if _cut_off(facts) else FindingCode.AUTH_REFUSED


def _cut_off(facts: DialogueFacts) -> bool:
    """Whether the login is surely short of its domain."""
    if facts.login_form is LoginForm.UNKNOWN:
        return facts.login.casefold() == facts.sender.local.casefold()
    return facts.login_form is LoginForm.ADDRESS and "@" not in facts.login
