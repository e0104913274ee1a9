"""What is on its way in, or came in a moment ago: tables that stay small, apart from the messages."""

from __future__ import annotations

from django.db import models


class Handover(models.Model):
    """What was handed over by SMTP a moment ago, so that the same bytes again are the same message."""

    digest = models.BinaryField()  # SHA-256 of submitter, stream, envelope and content; unique on PostgreSQL
    message_uid = models.UUIDField()
    at = models.DateTimeField()


class Parcel(models.Model):
    """A large content on its way in: its chunks are stored as they come, ahead of the message.

    The message's own number is the parcel's, negated; with the message the parcel's row is deleted. What is
    left of a submitter that went away is swept.
    """

    at = models.DateTimeField(db_index=True)
