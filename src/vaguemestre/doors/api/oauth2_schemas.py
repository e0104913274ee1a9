"""The shapes of a connection's account of OAuth 2.0 in the OpenAPI document."""

from __future__ import annotations

from vaguemestre.doors.api.shapes import ANY_OBJECT, FLAG, MAYBE_TIME, TEXT, JsonSchema, one_of
from vaguemestre.providers.oauth2.account import Grant, Provider

_SECRET = {"type": "string", "writeOnly": True}
_PLAIN: dict[str, JsonSchema] = {
    "provider": one_of(*Provider),
    "grant": one_of(*Grant),
    "tenant": TEXT | {"description": "Microsoft's directory (tenant) id, or a domain of it."},
    "client_id": TEXT,
    "token_endpoint": TEXT | {"description": "Empty for the provider's own."},
    "authorization_endpoint": TEXT | {"description": "Empty for the provider's own."},
    "scope": TEXT | {"description": "Empty for what the provider's mail servers want."},
    "issuer": TEXT | {"description": "The address of a service account; its key file has it."},
}
OAUTH2_INPUT: dict[str, JsonSchema] = {
    **_PLAIN,
    "client_secret": _SECRET,
    "refresh_token": _SECRET,
    "service_account_key": {
        "anyOf": [TEXT, ANY_OBJECT],
        "writeOnly": True,
        "description": "Google's JSON file, as text or as an object.",
    },
}
OAUTH2: dict[str, JsonSchema] = {
    **_PLAIN,
    "connected": FLAG | {"description": "Whether there is what tokens are asked for with."},
    "granted_scope": TEXT | {"description": "Of the token at hand, as far as known."},
    "expires_at": MAYBE_TIME | {"description": "The end of the token at hand."},
}
