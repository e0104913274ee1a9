"""What visitors of websites fill in: forms, what came in through them, and how often. See `models`."""

from __future__ import annotations

from django.db import models
from django.db.models import CheckConstraint, Index, Q, UniqueConstraint

from vaguemestre.ledger.identity import new_id


class Form(models.Model):
    """A form: what it asks, whom it tells, how it answers. `key` stands in its address.

    `fields` is a list of {"name", "label", "kind", "required", "longest", "choices"} (`policy.form_field`).
    """

    key = models.TextField(unique=True)
    name = models.TextField()
    fields = models.JSONField()
    active = models.BooleanField(default=True)
    connection = models.ForeignKey("ledger.Connection", models.PROTECT, null=True)
    reply_to = models.TextField(default="", blank=True)
    notify = models.JSONField(default=list)  # addresses
    replies = models.BooleanField(default=True)  # to the visitor
    quotes = models.BooleanField(default=False)  # the reply repeats what was written
    template = models.TextField(default="form-reply")  # of the reply
    languages = models.JSONField(default=list)  # the first is the usual one
    origins = models.JSONField(default=list)  # where it may be sent from; none is anywhere
    thanks_url = models.TextField(default="", blank=True)  # where visitors go afterwards; "" is our own page
    token_required = models.BooleanField(default=False)  # a page that was not fetched first is refused
    per_address = models.IntegerField(default=10)  # submissions in an hour, from one network address
    per_hour = models.IntegerField(default=100)  # from all together
    retention_days = models.IntegerField(default=180)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(per_address__gte=1, per_hour__gte=1), name="form_limits"),
            CheckConstraint(condition=Q(retention_days__gte=1), name="form_retention"),
        ]


class FormSubmission(models.Model):
    """What one visitor sent, once. `values` is a list of {"name", "label", "value"}, as the form was then.

    Attached files travel with the notification and are content of that message; their names stay here.
    """

    uid = models.UUIDField(unique=True, default=new_id, editable=False)
    form = models.ForeignKey(Form, models.CASCADE)
    at = models.DateTimeField()
    language = models.TextField()
    email = models.TextField(default="", blank=True)  # the address typed
    values = models.JSONField()
    files = models.JSONField(default=list)  # {"name", "filename", "size"}
    digest = models.TextField()  # keyed, of all that was sent: the same again is the same submission
    nonce = models.TextField(null=True)  # of the page it was sent from, which is good for one
    notification = models.ForeignKey("ledger.Message", models.SET_NULL, null=True, related_name="+")
    reply = models.ForeignKey("ledger.Message", models.SET_NULL, null=True, related_name="+")
    unreplied = models.TextField(default="", blank=True)  # why there is no reply; "" where there is one

    class Meta:
        constraints = [
            UniqueConstraint(fields=["form", "nonce"], name="form_submission_page_once"),
            CheckConstraint(
                condition=Q(reply=None) | (Q(unreplied="") & ~Q(email="")), name="form_submission_reply"
            ),
        ]
        indexes = [
            Index(fields=["form", "-at"], name="form_submission_recent"),
            Index(fields=["form", "digest"], name="form_submission_same"),
        ]


class FormUse(models.Model):
    """That a form was used once, as one of its limits counts it."""

    form = models.ForeignKey(Form, models.CASCADE)
    bucket = models.TextField()  # "all", or a keyed digest of a network address or of the address typed
    at = models.DateTimeField()

    class Meta:
        indexes = [Index(fields=["form", "bucket", "at"], name="form_use_recent")]
