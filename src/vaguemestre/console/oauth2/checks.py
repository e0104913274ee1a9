"""The steps of OAuth 2.0 as a verification saw them: token, permission in it, sign-in, sender."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from vaguemestre.mail.phase import Phase
from vaguemestre.mail.transcript import Step
from vaguemestre.providers.oauth2.account import Account
from vaguemestre.providers.oauth2.grants import lacks
from vaguemestre.verification.ladder import step_failed
from vaguemestre.verification.outcome import Outcome
from vaguemestre.verification.sign_in import ASKS


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes:
        words: what was looked at.
        tone: `good`, `bad`, or "" where it did not come to that.
        detail: what was found; "" for nothing to tell.
    """

    words: str
    tone: str
    detail: str = ""


def checks_of(account: Account | None, outcome: Outcome) -> list[Check]:
    """What of it works, one after the other."""
    token = _only(step for step in outcome.steps if step.sent.startswith(ASKS))
    signed = _last(step for step in outcome.steps if step.phase is Phase.AUTH and step is not token)
    sender = _last(step for step in outcome.steps if step.phase is Phase.MAIL)
    return [
        Check(_("The provider gives a token"), _tone(token), "" if token is None else token.detail),
        _permission(account, token),
        Check(_("The mail server takes the token"), _tone(signed), _said(signed)),
        Check(_("It takes the sender"), _tone(sender), _said(sender)),
    ]


def _permission(account: Account | None, token: Step | None) -> Check:
    words = _("The token allows sending by SMTP")
    if account is None or token is None or step_failed(token) or not token.detail:
        return Check(words, "")
    missing = lacks(account, token.detail)
    if missing:
        return Check(words, "bad", _("Missing: %(scope)s") % {"scope": missing})
    return Check(words, "good", ", ".join(account.needed))


def _tone(step: Step | None) -> str:
    if step is None:
        return ""
    return "bad" if step_failed(step) else "good"


def _said(step: Step | None) -> str:
    """The server's words of a refusal, and what it told in the 334 ahead of them."""
    if step is None or not step_failed(step):
        return ""
    reply = "" if step.reply is None else f"{step.reply.code} {step.reply.text}"
    return " — ".join(filter(None, (reply, step.detail)))


def _only(steps: Iterable[Step]) -> Step | None:
    return next(iter(steps), None)


def _last(steps: Iterable[Step]) -> Step | None:
    return next(reversed(list(steps)), None)
