"""Rows about the ledger itself: answers given once, changes of the configuration, who works on it."""

from __future__ import annotations

from django.db import models
from django.db.models import Index, UniqueConstraint


class Idempotency(models.Model):
    """An answer given once is given again (30 days)."""

    submitter = models.TextField()
    key = models.TextField()
    digest = models.TextField()
    status = models.IntegerField(default=0)
    body = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [UniqueConstraint(fields=["submitter", "key"], name="idempotency_once")]


class Version(models.Model):
    """A change of the configuration: who, when, what. Never a secret."""

    kind = models.TextField()  # connection, stream, setting, key, source_addresses, user
    subject = models.TextField()  # its public id
    number = models.IntegerField()
    action = models.TextField()
    actor = models.TextField()
    at = models.DateTimeField(db_index=True)
    changes = models.JSONField()  # field -> [before, after]; of a secret only that it changed

    class Meta:
        indexes = [Index(fields=["kind", "subject"], name="version_subject")]


class DefaultChange(models.Model):
    """The default sender changed hands: kept so that it can be undone for a day (`undoing`)."""

    previous = models.ForeignKey("ledger.Connection", models.CASCADE, null=True, related_name="+")
    chosen = models.ForeignKey("ledger.Connection", models.CASCADE, null=True, related_name="+")
    deactivated = models.BooleanField(default=False)  # the previous one, by the same act
    actor = models.TextField()
    at = models.DateTimeField()
    undone_at = models.DateTimeField(null=True)


class Courier(models.Model):
    """The heartbeat of a courier process, for readiness."""

    holder = models.TextField(primary_key=True)
    beat_at = models.DateTimeField()
