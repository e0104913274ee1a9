"""Whose request it is, behind a reverse proxy: the visitor's address, where the proxy is one of ours.

Before everything that looks at an address (limits of forms and logins, networks of API keys): as middleware,
and by `locate` on the short way of `api.intake`. A request says in X-Forwarded-For whatever it likes; only
what our own proxies added is believed (`VAGUEMESTRE_TRUSTED_PROXIES`): read from its end, the first address
that is none of theirs. Where a trusted proxy says nothing, or nothing that is an address, the request counts
as the proxy's own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from vaguemestre.spelling import Network

FORWARDED = "HTTP_X_FORWARDED_FOR"
_MAPPED = "::ffff:"  # RFC 4291 §2.5.5.2

type IPAddress = IPv4Address | IPv6Address


class Visitor:
    """Middleware: see the module."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Has `REMOTE_ADDR` name the visitor."""
        locate(request.META)
        return self.get_response(request)


def locate(environ: MutableMapping[str, Any]) -> None:
    """Have `REMOTE_ADDR` of a request's environment name the visitor; twice is once.

    Who comes by IPv4 to a socket of IPv6 has an IPv4 address all the same: networks are compared with it.
    """
    forwarded, near = environ.get(FORWARDED), str(environ.get("REMOTE_ADDR", ""))
    if forwarded:
        environ["REMOTE_ADDR"] = visitor(near, forwarded, settings.ENVIRONMENT.trusted_proxies)
    elif near.startswith(_MAPPED):
        environ["REMOTE_ADDR"] = str(_address(near) or near)


def visitor(near: str, forwarded: str, trusted: Collection[Network]) -> str:
    """The visitor's address.

    Args:
        near: whoever is connected to us.
        forwarded: X-Forwarded-For: the visitor first, then each proxy's neighbour.
        trusted: the networks of our proxies.
    """
    found = near
    for hop in (near, *reversed(forwarded.split(","))):
        address = _address(hop)
        if address is None:
            break
        found = str(address)
        if not any(address in network for network in trusted):
            break
    return found


def _address(text: str) -> IPAddress | None:
    try:
        found = ip_address(text.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
