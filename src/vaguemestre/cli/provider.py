"""`vaguemestre provider`: what is known of providers, and which one an address belongs to."""

from __future__ import annotations

import argparse

from django.conf import settings

from vaguemestre.cli.arguments import action, actions
from vaguemestre.cli.output import listing, show, table
from vaguemestre.dialling import discovery_from
from vaguemestre.providers.discovery import recognise
from vaguemestre.providers.preset import preset, presets
from vaguemestre.providers.wording import preset_resource, proposal_resource

COLUMNS = ("key", "label", "host", "port", "encryption", "checked_on")


def declare(parser: argparse.ArgumentParser) -> None:
    """`provider list|show|recognise`."""
    among = actions(parser)
    action(among, "list", "list all that are known", _list)
    one = action(among, "show", "show one: servers, hints, limits, documentation", _show)
    one.add_argument("key", help="its key, as `list` shows it")
    ask = action(among, "recognise", "find out from its domain how an address's mail is sent", _recognise)
    ask.add_argument("address", help="the sender's address")


def _list(arguments: argparse.Namespace) -> None:
    found = [preset_resource(one) for one in presets().values()]
    show(arguments, found, table(found, COLUMNS))


def _show(arguments: argparse.Namespace) -> None:
    found = preset_resource(preset(arguments.key))
    servers = [f"{one['host']}:{one['port']} {one['encryption']}" for one in found["servers"]]
    show(arguments, found, listing(found | {"servers": servers}))


def _recognise(arguments: argparse.Namespace) -> int:
    found = proposal_resource(recognise(arguments.address, discovery_from(settings.ENVIRONMENT)))
    show(arguments, found, _told(found))
    return 0 if found["found"] else 1


def _told(found: dict[str, object]) -> str:
    if not found["found"]:
        return "Nothing was found: give the server's name as your provider tells it."
    provider = found["provider"]
    facts = {name: found[name] for name in ("host", "port", "encryption", "login") if found[name]}
    if isinstance(provider, dict):
        facts |= {"provider": provider["key"], "login_hint": provider["login_hint"]}
        facts |= {"password_hint": provider["password_hint"], "docs_url": provider["docs_url"]}
    return f"{listing(facts)}\n\nThis is proposed {found['text']}."
