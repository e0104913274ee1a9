"""What mail is written on and what is kept of it: templates, and the register of invoices."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint


class Template(models.Model):
    """A template of one's own, or one that takes the place of a starter.

    For one stream, or for all that have none of their own. `version` counts its changes.
    """

    key = models.TextField()
    stream = models.ForeignKey("ledger.Stream", models.CASCADE, null=True)
    language = models.TextField()  # such as fr or pt-BR
    subject = models.TextField()
    text = models.TextField(default="", blank=True)
    html = models.TextField(default="", blank=True)
    version = models.IntegerField(default=1)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            UniqueConstraint(fields=["key", "stream", "language"], name="template_once"),
            UniqueConstraint(  # NULL is like no other NULL
                fields=["key", "language"], condition=Q(stream=None), name="template_once_for_all"
            ),
            CheckConstraint(condition=~Q(text="") | ~Q(html=""), name="template_body"),
        ]


class Invoice(models.Model):
    """That an invoice of this number went to this recipient, and with which message.

    The same number goes to the same recipient once; each time that it was asked for again counts one more.
    """

    number = models.TextField()
    number_key = models.TextField()  # casefolded NFKC, by which it is the same
    recipient = models.TextField()
    recipient_key = models.TextField()  # casefolded
    again = models.IntegerField(default=0)
    message = models.ForeignKey("ledger.Message", models.PROTECT)
    amount = models.TextField(default="", blank=True)  # as it was given, such as 1234.50
    currency = models.TextField(default="", blank=True)
    due = models.DateField(null=True)
    sha256 = models.TextField()  # of the PDF

    class Meta:
        constraints = [
            UniqueConstraint(fields=["number_key", "recipient_key", "again"], name="invoice_once"),
            CheckConstraint(condition=Q(again__gte=0), name="invoice_again"),
        ]
        indexes = [Index(fields=["recipient_key", "id"], name="invoice_recipient")]
