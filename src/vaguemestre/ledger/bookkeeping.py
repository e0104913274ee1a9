"""Rows about the ledger itself: the installation, answers given once, changes made, couriers."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from vaguemestre.ledger.conditions import any_of, values_of
from vaguemestre.policy.installation import PauseWhy


class Instance(models.Model):
    """The one row of facts about this installation."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    routing_epoch = models.BigIntegerField(default=1)
    default_mode = models.TextField(default="override")
    renew_verifications = models.BooleanField(default=True)  # once a day, by the courier
    source_addresses_seeded = models.BooleanField(default=False)
    canary = models.BinaryField(default=b"")  # encrypted by the vault: tells a wrong key at start
    operators_told_at = models.DateTimeField(null=True)  # of alerts, by mail
    setup_digest = models.TextField(default="", blank=True)  # of the first administrator's one-time link
    paused = models.TextField(default="", blank=True)  # why nothing is sent: `policy.installation.PauseWhy`
    paused_at = models.DateTimeField(null=True)
    paused_by = models.TextField(default="", blank=True)
    paused_facts = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(id=1), name="instance_one_row"),
            CheckConstraint(
                condition=Q(paused="", paused_at=None)
                | (any_of("paused", values_of(PauseWhy)) & Q(paused_at__isnull=False)),
                name="instance_paused",
            ),
            CheckConstraint(condition=Q(default_mode__in=["override", "fallback"]), name="instance_mode"),
        ]


class Installation(models.Model):
    """What tells this database from a copy of it (`installation`); no row until a courier has looked."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    identity = models.TextField()  # as couriers' marks name it
    place = models.TextField(default="", blank=True)  # where this database lay when it was last confirmed
    high_water = models.BigIntegerField(default=0)  # raised while couriers send: tells a copy that is older

    class Meta:
        constraints = [CheckConstraint(condition=Q(id=1), name="installation_one_row")]


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

    kind = models.TextField()  # connection, stream, setting, sending, key, source_addresses, user
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
