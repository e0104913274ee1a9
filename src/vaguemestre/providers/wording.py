"""What is said about providers: why one is proposed, what it allows, its hints; in the reader's language."""

from __future__ import annotations

from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from vaguemestre.providers.imports.reading import Found, Kind, Unread
from vaguemestre.providers.imports.reading import Why as Missed
from vaguemestre.providers.preset import Hint, Preset
from vaguemestre.providers.recognition import Proposal, Why

_WHY = {
    Why.DOMAIN: gettext_noop("because mailboxes at %(evidence)s are kept by %(provider)s"),
    Why.MX: gettext_noop("because the mail of this domain is received by %(provider)s (%(evidence)s)"),
    Why.SRV: gettext_noop("because the domain publishes it for mail programs (%(evidence)s)"),
    Why.AUTOCONFIG: gettext_noop(
        "because the domain’s own document for mail programs says so (%(evidence)s)"
    ),
}

_MISSED = {
    Missed.UNKNOWN: gettext_noop("it is about mail, but nothing here corresponds to it"),
    Missed.VALUE: gettext_noop("its value cannot be used"),
    Missed.ELSEWHERE: gettext_noop("its value comes from somewhere else: type it in"),
    Missed.MAILER: gettext_noop("mail does not leave by SMTP there"),
    Missed.OPPORTUNISTIC: gettext_noop("encryption was not required there; here it is"),
    Missed.MX: gettext_noop(
        "without brackets Postfix asks for the domain’s mail servers; here it is the server"
    ),
    Missed.SYNTAX: gettext_noop("it cannot be read"),
}

_KINDS = {
    Kind.ENV: gettext_noop("a .env file"),
    Kind.URL: gettext_noop("an SMTP address (smtp://…)"),
    Kind.DJANGO: gettext_noop("Django’s settings"),
    Kind.WORDPRESS: gettext_noop("WordPress’s constants"),
    Kind.POSTFIX: gettext_noop("Postfix’s files"),
}


def kind_text(kind: Kind) -> str:
    """What a pasted text is."""
    return _(_KINDS[kind])


def why_text(proposal: Proposal) -> str:
    """What a proposal rests on, as the end of a sentence."""
    provider = proposal.preset.label if proposal.preset else proposal.server.host
    return _(_WHY[proposal.why]) % {"evidence": proposal.evidence, "provider": provider}


def hint_text(hint: Hint | None) -> str:
    """A hint of the data."""
    return "" if hint is None else hint.text(translation.get_language() or "en")


def missed_text(unread: Unread) -> str:
    """A line that was not understood, and why."""
    facts = {"line": unread.line, "name": unread.name, "why": _(_MISSED[unread.why])}
    return (_("Line %(line)s, %(name)s: %(why)s.") if unread.name else _("Line %(line)s: %(why)s.")) % facts


def found_resource(found: Found) -> dict[str, Any]:
    """A connection of a pasted text, without its password."""
    return {"name": found.label, "values": dict(found.values), "has_password": found.password is not None}


def missed_resource(unread: Unread) -> dict[str, Any]:
    """A line that was not understood."""
    return {"line": unread.line, "name": unread.name, "why": unread.why.value, "text": missed_text(unread)}


def preset_resource(preset: Preset) -> dict[str, Any]:
    """A provider as API, command line and console show it."""
    return {
        "key": preset.key,
        "label": preset.label,
        "countries": list(preset.countries),
        **preset.server.values(),
        "servers": [server.values() for server in preset.servers],
        "auth": [kind.value for kind in preset.auth],
        "login_hint": hint_text(preset.login),
        "password_hint": hint_text(preset.password),
        "note": hint_text(preset.note),
        "docs_url": preset.docs,
        "limits": dict(preset.limits),
        "spf_include": preset.spf_include,
        "dkim_selectors": list(preset.dkim_selectors),
        "checked_on": preset.checked_on.isoformat(),
        "source": preset.source,
    }


def proposal_resource(proposal: Proposal | None) -> dict[str, Any]:
    """What was recognised: the settings, why, and the provider where it is known."""
    if proposal is None:
        return {"found": False, "why": None, "text": "", "evidence": "", "provider": None} | dict.fromkeys(
            ("host", "port", "encryption", "login")
        )
    return {
        "found": True,
        "why": proposal.why.value,
        "text": why_text(proposal),
        "evidence": proposal.evidence,
        "provider": preset_resource(proposal.preset) if proposal.preset else None,
        **proposal.server.values(),
        "login": proposal.login.value if proposal.login else None,
    }
