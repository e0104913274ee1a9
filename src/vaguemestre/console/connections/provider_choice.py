"""What a choice of provider fills into the form, and what the form says about the provider."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.http import QueryDict

from vaguemestre.console.connections.forms import ConnectionForm
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.host import canonical_host, valid_port
from vaguemestre.providers.preset import Login, Preset, Server, preset, preset_of_host, presets
from vaguemestre.providers.recognition import Proposal
from vaguemestre.providers.wording import hint_text, why_text


@dataclass(frozen=True)
class Choice:
    """A provider, or a server that a domain publishes.

    Attributes:
        values: the form's fields that it fills, as text.
        login: what of the sender's address it fills in as login.
    """

    values: dict[str, str]
    provider: Preset | None = None
    login: Login | None = None

    @property
    def as_json(self) -> str:
        """For the script, which fills the page that is already there."""
        return json.dumps({**self.values, "login": self.login or ""})

    def into(self, typed: QueryDict) -> ConnectionForm:
        """The form as typed, with these values in it. A login that was typed stays."""
        data = typed.copy()
        for name, value in self.values.items():
            data[name] = value
        if self.login and not data.get("login"):
            data["login"] = self.login.of(data.get("sender_email", ""))
        return ConnectionForm(data)


@dataclass(frozen=True)
class Proposed:
    """A proposal as the page shows it."""

    name: str
    server: Server
    why: str
    use: str


def choice_of(text: str) -> Choice:
    """The choice that a field or a proposal's button stands for: a key, or `encryption:port:host`.

    Raises:
        Invalid: it is neither.
    """
    encryption, _, rest = text.partition(":")
    if not rest:
        chosen = preset(text)
        limits = {name: str(limit) for name, limit in chosen.limits.items()}
        return Choice(_fields(chosen.server) | _sign_in(chosen) | limits, chosen, chosen.login_is)
    port, _, host = rest.partition(":")
    if encryption not in {*Encryption} or not port.isdecimal():
        raise Invalid("provider", "provider_unknown", "This is no provider.", {"provider": text})
    return Choice(_fields(Server(canonical_host(host), valid_port(int(port)), Encryption(encryption))))


def proposed(proposal: Proposal | None) -> Proposed | None:
    """What was recognised, and what its button says."""
    if proposal is None:
        return None
    server, known = proposal.server, proposal.preset
    use = known.key if known else f"{server.encryption}:{server.port}:{server.host}"
    return Proposed(known.label if known else server.host, server, why_text(proposal), use)


def provider_told(form: ConnectionForm) -> dict[str, Any]:
    """The part of the page about the provider: the one whose server stands in the form, and its hints."""
    known = preset_of_host(str(form["host"].value() or ""))
    if known is not None:
        form.fields["login"].help_text = hint_text(known.login)
    return {"providers": presets().values()} | told(known)


def told(provider: Preset | None) -> dict[str, Any]:
    """A provider in words."""
    if provider is None:
        return {"provider": None}
    return {
        "provider": provider,
        "provider_login": hint_text(provider.login),
        "provider_password": hint_text(provider.password),
        "provider_note": hint_text(provider.note),
    }


def _sign_in(provider: Preset) -> dict[str, str]:
    """The way that the provider prefers; the form knows two."""
    preferred = provider.auth[0] if provider.auth[0] is AuthKind.OAUTH2 else AuthKind.PASSWORD
    return {"auth": preferred.value}


def _fields(server: Server) -> dict[str, str]:
    return {"host": server.host, "port": str(server.port), "encryption": server.encryption.value}
