"""Alerts in the operator's language: what is the matter, and what to do. English texts are message ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_noop, override

from vaguemestre.ledger import sending_wording, wording
from vaguemestre.ledger.days import day_text
from vaguemestre.policy.alerting import AlertKind
from vaguemestre.policy.installation import PauseWhy
from vaguemestre.verification.wording import stored_words

_SAID = gettext_noop("The server said: %(said)s")
_CERTIFICATE = gettext_noop("Its certificate is for %(names)s, by %(issuer)s, until %(expired_at)s.")

_WHAT = {
    AlertKind.CONNECTION_LOCKED: gettext_noop("“%(connection)s” is locked; its messages wait."),
    AlertKind.CONNECTION_THROTTLED: gettext_noop("“%(connection)s” has to wait, and its messages with it."),
    AlertKind.CONNECTION_RECOVERED: gettext_noop("“%(connection)s” works again."),
    AlertKind.CERTIFICATE_TROUBLE: gettext_noop(
        "“%(connection)s” cannot trust its server's encryption; its messages wait."
    ),
    AlertKind.BACKUP_IN_USE: gettext_noop("“%(backup)s” stands in for “%(connection)s”."),
    AlertKind.VERIFICATION_FAILED: gettext_noop("“%(connection)s” was tried in the background, and failed."),
    AlertKind.CERTIFICATE_EXPIRES: gettext_noop(
        "The certificate of the server of “%(connection)s” ends on %(date)s."
    ),
    AlertKind.MESSAGE_HELD: gettext_noop("A message is held, for there is no connection that carries it."),
    AlertKind.IN_DOUBT_WAITS: gettext_noop(
        "A message may have arrived or not; whether it is sent again is for a person to say."
    ),
    AlertKind.QUOTA_NEAR: gettext_noop(
        "“%(connection)s” has used %(used)s of the %(limit)s recipients that it may reach in 24 hours."
    ),
    AlertKind.ADDRESS_UNLISTED: gettext_noop(
        "A server saw “%(connection)s” come from %(addresses)s, which is not on the published list."
    ),
    AlertKind.TEMPLATE_UNUSABLE: gettext_noop(
        "Your template “%(template)s” could not write the weekly report; the one that came with Vaguemestre"
        " did."
    ),
}
_REMEDY = {
    AlertKind.CONNECTION_LOCKED: gettext_noop(
        "Open its page, put right what is said there, and verify it: a successful verification unlocks it."
    ),
    AlertKind.CONNECTION_THROTTLED: gettext_noop(
        "It is tried again by itself. If that lasts, ask its provider; a backup connection carries the"
        " messages meanwhile."
    ),
    AlertKind.CONNECTION_RECOVERED: gettext_noop("Nothing to do."),
    AlertKind.CERTIFICATE_TROUBLE: gettext_noop(
        "Verify the connection to see the certificate. Its provider has to renew or mend it; where it is an"
        " own server with an own authority, pin that."
    ),
    AlertKind.BACKUP_IN_USE: gettext_noop(
        "See on its page why it does not work; once it does, it takes its messages back by itself."
    ),
    AlertKind.VERIFICATION_FAILED: gettext_noop("Open its page and verify it."),
    AlertKind.CERTIFICATE_EXPIRES: gettext_noop(
        "Most providers renew it by themselves shortly before. If the date stays, remind yours: once it has "
        "passed, no mail leaves through this connection."
    ),
    AlertKind.MESSAGE_HELD: gettext_noop(
        "Activate a connection, or say which one serves the rest: what is held then leaves by itself."
    ),
    AlertKind.IN_DOUBT_WAITS: gettext_noop(
        "Open the message, ask the recipient, and say that it arrived or have it sent again."
    ),
    AlertKind.QUOTA_NEAR: gettext_noop(
        "What goes beyond waits until the oldest are a day old, the urgent first. Ask its provider for more,"
        " or give some communications another connection."
    ),
    AlertKind.ADDRESS_UNLISTED: gettext_noop(
        "If the address is yours, add it to the list and give it to the mail administrator. If not, ask"
        " whoever looks after your network which way the traffic takes."
    ),
    AlertKind.TEMPLATE_UNUSABLE: gettext_noop(
        "Open its page: the preview says what is wrong, at its line. Or take the template that came with it."
    ),
}


@dataclass(frozen=True)
class Alert:
    """Something to tell the operator.

    Attributes:
        kind: what it is about.
        connection_id: whose trouble it is; None where there is no connection.
        why: the code of a judgement or of a health.
        said: the server's words, made safe.
        reason: of a hold, as the delivery keeps it.
        message: the public id of the message it is about.
        backup: the name of the connection that stands in.
        facts: a certificate's, what is used of a limit, which template, or of an older database (`sending`).
        finding: what a verification found, as the ledger keeps it.
        addresses: that a server saw, and that are not on the list.
    """

    kind: AlertKind
    connection_id: int | None = None
    why: str = ""
    said: str = ""
    reason: Mapping[str, object] = field(default_factory=dict)
    message: str = ""
    backup: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    finding: Mapping[str, Any] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()


def worded(alert: Alert, connection: str, language: str) -> tuple[str, str]:
    """What is the matter, and what to do, about the connection of that name."""
    if alert.kind is AlertKind.SENDING_PAUSED:
        return _paused(alert, language)
    named = {
        "connection": connection,
        "backup": alert.backup,
        "addresses": ", ".join(alert.addresses),
        "used": alert.facts.get("used", ""),
        "limit": alert.facts.get("limit", ""),
        "template": alert.facts.get("template", ""),
    }
    with override(language):
        found = stored_words(alert.finding) if alert.finding else {"what": "", "why": "", "remedy": ""}
        sentences = [
            gettext(_WHAT[alert.kind]) % (named | {"date": _date(alert.facts)}),
            f"{found['what']}." if found["what"] else "",
            found["why"],
            wording.reason_text(alert.reason) if alert.reason else "",
            wording.health_text(alert.why) if alert.why else "",
            _certificate(alert.facts),
            gettext(_SAID) % {"said": alert.said} if alert.said else "",
        ]
        return " ".join(filter(None, sentences)), found["remedy"] or gettext(_REMEDY[alert.kind])


def _paused(alert: Alert, language: str) -> tuple[str, str]:
    why = PauseWhy(alert.why)
    with override(language):
        facts = {name: int(value) for name, value in alert.facts.items()}
        return sending_wording.what(why, facts), sending_wording.remedy(why)


def _date(facts: Mapping[str, str]) -> str:
    """When a certificate ends, as people write it."""
    text = facts.get("expires_at", "")
    return day_text(localtime(datetime.fromisoformat(text))) if text else ""


def _certificate(facts: Mapping[str, str]) -> str:
    whole = all(facts.get(name) for name in ("names", "issuer", "expired_at"))
    return gettext(_CERTIFICATE) % facts if whole else ""
