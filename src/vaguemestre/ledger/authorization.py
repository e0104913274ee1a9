"""How a connection comes by its access tokens: a row beside it, as `models` wants it.

The secrets, and the token itself, stand in `Secret`; here is what may be seen of them. While a token is asked
for, `asking` names who does, until `asking_until`: nobody else asks meanwhile.
"""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Q

from vaguemestre.providers.oauth2.account import Grant, Provider


class Authorization(models.Model):
    """An account of OAuth 2.0 of a connection."""

    connection = models.OneToOneField(
        "ledger.Connection", models.CASCADE, primary_key=True, related_name="authorization"
    )
    provider = models.TextField()
    grant = models.TextField()
    client_id = models.TextField()
    token_endpoint = models.TextField()
    authorization_endpoint = models.TextField(default="", blank=True)
    tenant = models.TextField(default="", blank=True)
    scope = models.TextField(default="", blank=True)
    issuer = models.TextField(default="", blank=True)
    obtained_at = models.DateTimeField(null=True)  # the token; None while there is none
    expires_at = models.DateTimeField(null=True)
    granted_scope = models.TextField(default="", blank=True)
    asking = models.TextField(default="", blank=True)
    asking_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            CheckConstraint(
                condition=Q(provider__in=[one.value for one in Provider]), name="authorization_provider"
            ),
            CheckConstraint(condition=Q(grant__in=[one.value for one in Grant]), name="authorization_grant"),
            CheckConstraint(condition=~Q(token_endpoint=""), name="authorization_token_endpoint"),
            CheckConstraint(
                condition=Q(asking="", asking_until=None) | (~Q(asking="") & Q(asking_until__isnull=False)),
                name="authorization_asking_until",
            ),
            CheckConstraint(
                condition=Q(obtained_at=None, expires_at=None)
                | Q(obtained_at__isnull=False, expires_at__isnull=False),
                name="authorization_obtained_expires",
            ),
        ]
