"""What verifications found: one row each, kept apart from the connections whose values they tried."""

from __future__ import annotations

from django.db import models


class Verification(models.Model):
    """What a verification found, kept under the fingerprint of all values it was made with."""

    fingerprint = models.TextField(db_index=True)
    connection = models.ForeignKey("ledger.Connection", models.CASCADE, null=True)
    at = models.DateTimeField()
    ok = models.BooleanField()
    steps = models.JSONField()
    findings = models.JSONField()
    seen_address = models.TextField(default="", blank=True)
    mechanism = models.TextField(default="", blank=True)  # of SASL, that signed in
    certificate_ends_at = models.DateTimeField(null=True)  # the server's; None where its end does not matter

    class Meta:
        indexes = [models.Index(fields=["connection", "-at"], name="verification_latest")]
