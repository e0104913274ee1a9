"""Streams and the rules of routing in the reader's language."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext, gettext_noop

from vaguemestre.policy.decision import RuleCode, RuleWhy

# What the built-in ones are called as long as nobody gave them another name.
_NAMES = {
    "notifications": gettext_noop("Notifications"),
    "form-replies": gettext_noop("Form replies"),
    "invoices": gettext_noop("Invoices"),
    "reports": gettext_noop("Reports"),
    "marketing": gettext_noop("Marketing"),
    "support": gettext_noop("Support"),
}
_RULES = {
    RuleCode.DEFAULT_OVERRIDE: gettext_noop("The default sender overrides everything"),
    RuleCode.EXPLICIT: gettext_noop("The connection that the message names"),
    RuleCode.STREAM: gettext_noop("The connection of its communication"),
    RuleCode.SENDER: gettext_noop("The connection whose sender is the message’s From"),
    RuleCode.ALLOWED_SENDER: gettext_noop("The connection that allows that very From"),
    RuleCode.ALLOWED_DOMAIN: gettext_noop("The connection that allows the domain of the From"),
    RuleCode.DEFAULT_FALLBACK: gettext_noop("The default sender serves the rest"),
    RuleCode.ONLY_ACTIVE: gettext_noop("The only active connection"),
    RuleCode.NONE: gettext_noop("Nothing matches: the message is held"),
}
_WHYS = {
    RuleWhy.MATCHED: gettext_noop("It decides."),
    RuleWhy.DECIDED_BEFORE: gettext_noop("It would match, but an earlier rule has decided."),
    RuleWhy.NO_DEFAULT: gettext_noop("No connection is the default."),
    RuleWhy.MODE_IS_FALLBACK: gettext_noop("The setting says that the default only serves the rest."),
    RuleWhy.MODE_IS_OVERRIDE: gettext_noop("The setting says that the default overrides everything."),
    RuleWhy.NOT_NAMED: gettext_noop("The message names no connection."),
    RuleWhy.NO_STREAM: gettext_noop("The message belongs to no communication."),
    RuleWhy.STREAM_HAS_NONE: gettext_noop("The communication has no connection of its own."),
    RuleWhy.NO_FROM: gettext_noop("The message has no From yet."),
    RuleWhy.NO_MATCH: gettext_noop("No connection matches %(from)s."),
    RuleWhy.ONLY_INACTIVE: gettext_noop("“%(connection_name)s” would match, but it is inactive."),
    RuleWhy.NONE_ACTIVE: gettext_noop("No connection is active."),
    RuleWhy.SEVERAL_ACTIVE: gettext_noop("Several connections are active."),
}

# For programs and the command line, which say stream where the console says communication.
_PLAIN: Mapping[str, str] = {
    RuleCode.STREAM: "The connection of its stream",
    RuleWhy.NO_STREAM: "The message belongs to no stream.",
    RuleWhy.STREAM_HAS_NONE: "The stream has no connection of its own.",
}


def stream_text(key: str, name: str) -> str:
    """What people call a stream: a built-in one in the reader's language, unless it was renamed."""
    usual = _NAMES.get(key)
    return gettext(usual) if usual is not None and usual == name else name


def rule_text(code: str) -> str:
    """A rule of routing."""
    return gettext(_RULES[RuleCode(code)])


def rule_why_text(rule: Mapping[str, Any]) -> str:
    """Why a rule decided, was passed over, or does not apply: {"why", "facts", ...}."""
    text = gettext(_WHYS[RuleWhy(rule["why"])])
    try:
        return text % rule["facts"] if "%(" in text else text
    except KeyError:
        return text


def plain_why_text(rule: Mapping[str, Any]) -> str:
    """The same in the words of the API and the commands."""
    return _PLAIN.get(rule["why"]) or rule_why_text(rule)


def plain_text(rule: Mapping[str, Any]) -> str:
    """A rule and why, in the words of the API and the commands."""
    return f"{_PLAIN.get(rule['code']) or rule_text(rule['code'])}. {plain_why_text(rule)}"


def rules_told(rules: Iterable[Mapping[str, Any]], *, plain: bool = False) -> list[dict[str, Any]]:
    """Every rule as it was kept, and in words: the console's, or plain ones."""
    return [
        {
            "code": rule["code"],
            "outcome": rule["outcome"],
            "why": rule["why"],
            "text": plain_text(rule) if plain else f"{rule_text(rule['code'])}. {rule_why_text(rule)}",
        }
        for rule in rules
    ]
