"""The page of the console where something can be done about an alert."""

from __future__ import annotations

from vaguemestre.courier.alert_wording import Alert
from vaguemestre.ledger.lookup import Named
from vaguemestre.policy.alerting import AlertKind


def page_of(alert: Alert, named: Named | None) -> str:
    """Of the console, where something can be done."""
    if alert.kind is AlertKind.ADDRESS_UNLISTED:
        return "/source-addresses/"
    if alert.kind is AlertKind.TEMPLATE_UNUSABLE:
        return f"/templates/{alert.facts['template']}/{alert.facts['language']}/"
    if alert.kind is AlertKind.SENDING_PAUSED:
        return "/sending/"
    if alert.message:
        return f"/messages/{alert.message}/"
    return "/messages/?state=held" if named is None else f"/connections/{named.uid}/"
