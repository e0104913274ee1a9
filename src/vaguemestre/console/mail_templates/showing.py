"""A template's mail as it would look, in a frame that can do nothing.

The HTML is kept for a few minutes under a token, and answered with a policy of its own: inline styles, which
mail lives on, and nothing else; no script, no form, nothing loaded from anywhere. The frame is sandboxed
besides, so that not even a link in it leads this page away.
"""

from __future__ import annotations

import secrets

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.csp import CSP
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_safe

MINUTES = 10
_POLICY: dict[str, list[str] | str] = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.UNSAFE_INLINE],
    "img-src": ["data:"],
    "form-action": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.SELF],
    "sandbox": "",
}


def keep(request: HttpRequest, html: str) -> str:
    """Keep it for this person; the token by which it is shown."""
    token = secrets.token_urlsafe(16)
    cache.set(_name(request, token), html, MINUTES * 60)
    return token


@never_cache
@csp_override(_POLICY)
@xframe_options_sameorigin
@require_safe
def shown(request: HttpRequest, token: str) -> HttpResponse:
    """What was kept."""
    html = cache.get(_name(request, token))
    if html is None:
        raise Http404("not kept any more")
    return HttpResponse(html)


def _name(request: HttpRequest, token: str) -> str:
    return f"template-preview:{request.user.pk}:{token}"
