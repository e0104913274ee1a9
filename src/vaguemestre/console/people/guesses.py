"""How often somebody may try a password: strangers are held up, and the owner of the address is not.

A browser in which somebody signed in, or chose a password by a link, is known for their address: it holds a
signed cookie, and its tries are counted by themselves. Everybody else is counted by address and network, and
by network alone. What all of them together try on one address is slowed to one in a minute, from however many
networks: a flood of that may keep strange browsers out, but no known one, and a link by mail makes one known.

Counts are kept in the cache, for all web processes. Where a count cannot be had, the try is refused.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from hashlib import sha256

from allauth.core.internal.ratelimit import RateLimitUsage, cache_lock, consume, get_ip
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse

RATES = {"known": "10/5m/key", "strange": "10/m/ip,5/10m/key"}
EVERY = 60.0  # seconds from one try of all strangers on an address to the next
AT_ONCE = 10  # of them, where there was none for long
KNOWN = timedelta(days=400)  # longer no browser keeps a cookie


def remember(answer: HttpResponseBase, address: str) -> None:
    """Have the browser known for the address."""
    answer.set_signed_cookie(
        _cookie(address),
        secrets.token_urlsafe(16),
        max_age=KNOWN,
        path=reverse("account_login"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def begin(request: HttpRequest, address: str) -> RateLimitUsage | None:
    """Count a try, to be rolled back if it is none; None where it is one too many."""
    browser = request.get_signed_cookie(_cookie(address), "", max_age=KNOWN)
    if browser:
        return _counted(request, "known", browser)
    found = _counted(request, "strange", f"{get_ip(request)} {_named(address)}")
    return found if found and _slowly(address) else None


def _counted(request: HttpRequest, action: str, key: str) -> RateLimitUsage | None:
    found: RateLimitUsage | None = consume(request, app="console", action=action, config=RATES, key=key)
    return found


def _slowly(address: str) -> bool:
    """Whether strangers may try once more now: each try takes a place for `EVERY`, of `AT_ONCE`."""
    key, now = f"console:tries:{_named(address)}", time.time()
    with cache_lock(key) as alone:
        free_at: float = max(cache.get(key, 0.0), now)
        allowed: bool = alone and free_at <= now + EVERY * (AT_ONCE - 1)
        if allowed:
            cache.set(key, free_at + EVERY, EVERY * AT_ONCE)
    return allowed


def _cookie(address: str) -> str:
    """Its name: people who share a browser have one each, and it names nobody."""
    return f"known_{_named(address)}"


def _named(address: str) -> str:
    return sha256(address.strip().lower().encode()).hexdigest()[:16]
