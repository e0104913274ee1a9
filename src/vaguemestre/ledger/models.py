"""The schema: what is kept, and which combinations of values cannot exist.

Integer keys inside, UUID version 7 (`uid`) outside. States are text, tied to their columns by CHECK
constraints, so that no code path, migration or hand-written statement can break a law: L1 is a partial unique
index, L3 a routing epoch on every delivery, a lane's single courier an epoch on its lease. Secrets stand in
`Secret` alone, encrypted. Times are UTC.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint

from vaguemestre.ledger.arrivals import Handover as Handover  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.arrivals import Parcel as Parcel  # noqa: PLC0414  for models
from vaguemestre.ledger.authorization import Authorization as Authorization  # noqa: PLC0414  where Django
from vaguemestre.ledger.bookkeeping import Courier as Courier  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.bookkeeping import DefaultChange as DefaultChange  # noqa: PLC0414  where Django
from vaguemestre.ledger.bookkeeping import Idempotency as Idempotency  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.bookkeeping import Installation as Installation  # noqa: PLC0414  where Django
from vaguemestre.ledger.bookkeeping import Instance as Instance  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.bookkeeping import Version as Version  # noqa: PLC0414  for models
from vaguemestre.ledger.conditions import ENDED, any_of, values_of
from vaguemestre.ledger.history import Attempt as Attempt  # noqa: PLC0414  where Django looks for models
from vaguemestre.ledger.history import Event as Event  # noqa: PLC0414  where Django looks for models
from vaguemestre.ledger.history import Explanation as Explanation  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.history import WaitStart as WaitStart  # noqa: PLC0414  where Django looks for models
from vaguemestre.ledger.history import Written
from vaguemestre.ledger.identity import new_id
from vaguemestre.ledger.optouts import OptOut as OptOut  # noqa: PLC0414  where Django looks for models
from vaguemestre.ledger.origins import Sighting as Sighting  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.origins import SourceAddress as SourceAddress  # noqa: PLC0414  for models
from vaguemestre.ledger.people import PasswordAsk as PasswordAsk  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.people import User as User  # noqa: PLC0414  for models
from vaguemestre.ledger.reception import Form as Form  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.reception import FormSubmission as FormSubmission  # noqa: PLC0414  where Django
from vaguemestre.ledger.reception import FormUse as FormUse  # noqa: PLC0414  where Django looks for models
from vaguemestre.ledger.schedules import ReportSchedule as ReportSchedule  # noqa: PLC0414  where Django
from vaguemestre.ledger.stationery import Invoice as Invoice  # noqa: PLC0414  where Django looks
from vaguemestre.ledger.stationery import Template as Template  # noqa: PLC0414  for models
from vaguemestre.ledger.told import ConnectionNotice as ConnectionNotice  # noqa: PLC0414  where Django
from vaguemestre.ledger.told import WaitingNotice as WaitingNotice  # noqa: PLC0414  where Django
from vaguemestre.ledger.trials import Verification as Verification  # noqa: PLC0414  where Django looks
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.automation import AutoSubmitted
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.priority import USUAL_RANK, Priority
from vaguemestre.mail.state import DeliveryState, Health, OnDoubt


class Connection(models.Model):
    """An outgoing account. Deleting keeps the row (messages refer to it) and destroys its secret."""

    uid = models.UUIDField(unique=True, default=new_id, editable=False)
    name = models.TextField()
    name_key = models.TextField()  # casefolded NFKC: SQLite's LOWER knows ASCII only
    sender_email = models.TextField()  # as people read it
    sender_ascii = models.TextField()  # its domain in A-labels
    sender_name = models.TextField(default="", blank=True)
    reply_to = models.TextField(default="", blank=True)
    host = models.TextField()  # canonical A-label
    port = models.IntegerField()
    encryption = models.TextField()
    auth = models.TextField(default=AuthKind.NONE.value)
    login = models.TextField(default="", blank=True)
    active = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False)
    allowed_senders = models.JSONField(default=list)
    backup = models.ForeignKey("self", models.SET_NULL, null=True, related_name="+")
    max_sessions = models.IntegerField(null=True)
    per_minute = models.IntegerField(null=True)
    per_day = models.IntegerField(null=True)
    max_recipients = models.IntegerField(null=True)
    pinned_certificate = models.TextField(default="", blank=True)
    source_address = models.TextField(default="", blank=True)
    health = models.TextField(default=Health.READY.value)
    health_why = models.TextField(default="", blank=True)
    health_text = models.TextField(default="", blank=True)
    health_until = models.DateTimeField(null=True)
    health_since = models.DateTimeField(null=True)  # when it stopped being READY; None while it is
    health_step = models.IntegerField(default=0)
    broken_running = models.IntegerField(default=0)
    version = models.IntegerField(default=1)
    fingerprint = models.TextField(default="")  # HMAC of every bound value, secret included
    mechanism = models.TextField(default="", blank=True)  # of SASL, as these settings were verified with
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            UniqueConstraint(fields=["name_key"], condition=Q(deleted_at=None), name="connection_name_once"),
            UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="connection_one_default"
            ),
            CheckConstraint(condition=Q(is_default=False) | Q(active=True), name="connection_default_active"),
            CheckConstraint(
                condition=Q(deleted_at=None) | Q(active=False), name="connection_deleted_inactive"
            ),
            CheckConstraint(condition=Q(port__gte=1, port__lte=65535), name="connection_port"),
            CheckConstraint(condition=Q(encryption__in=values_of(Encryption)), name="connection_encryption"),
            CheckConstraint(condition=Q(auth__in=values_of(AuthKind)), name="connection_auth"),
            CheckConstraint(condition=Q(health__in=values_of(Health)), name="connection_health"),
            CheckConstraint(
                condition=Q(health=Health.THROTTLED.value, health_until__isnull=False)
                | (~Q(health=Health.THROTTLED.value) & Q(health_until=None)),
                name="connection_throttled_until",
            ),
        ]


class Secret(models.Model):
    """An encrypted secret (L8), bound to the connection's values that say where it may go."""

    connection = models.OneToOneField(Connection, models.CASCADE, primary_key=True)
    sealed = models.BinaryField()  # key id, nonce, ciphertext and tag: see `vault`
    updated_at = models.DateTimeField()


class Lane(models.Model):
    """The lease of a connection's deliveries: one courier at a time, told apart by the epoch.

    With it, what was learned of the server (`manner`, for one version of the settings; when its certificate
    ends) and what the courier does now, for people (`activity`: {"sessions", "in_flight", "window",
    "waiting", "at"}).
    """

    connection = models.OneToOneField(Connection, models.CASCADE, primary_key=True)
    epoch = models.BigIntegerField(default=0)
    holder = models.TextField(default="", blank=True)  # boot id, PID namespace, PID, start time
    renewed_at = models.DateTimeField(null=True)
    manner = models.TextField(default=Manner.BDAT.value)
    manner_why = models.TextField(default="", blank=True)
    manner_at = models.DateTimeField(null=True)
    manner_version = models.IntegerField(default=0)
    activity = models.JSONField(default=dict)
    certificate_ends_at = models.DateTimeField(null=True)  # as last seen; None where its end does not matter
    certificate_starts_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [CheckConstraint(condition=Q(manner__in=values_of(Manner)), name="lane_manner")]


class Use(models.Model):
    """Tokens of a connection's limits that are out (`allowance`).

    They come back a minute or a day after `at`, the end of the attempt that took them; None while it runs.
    """

    connection = models.ForeignKey(Connection, models.CASCADE)
    attempt = models.UUIDField(null=True, unique=True)
    at = models.DateTimeField(null=True)
    messages = models.IntegerField()
    recipients = models.IntegerField()

    class Meta:
        indexes = [Index(fields=["connection", "at"], name="use_recent")]


class Stream(models.Model):
    """A named purpose of communication."""

    key = models.TextField(unique=True)
    name = models.TextField()
    connection = models.ForeignKey(Connection, models.PROTECT, null=True)
    reply_to = models.TextField(default="", blank=True)
    on_doubt = models.TextField(default=OnDoubt.RETRY.value)
    retry_age = models.FloatField(default=5 * 24 * 3600)  # seconds of counted delays
    priority = models.TextField(default=Priority.NORMAL.value)
    auto_submitted = models.TextField(default=AutoSubmitted.NO.value)
    unsubscribe = models.BooleanField(default=False)  # each recipient gets a link to be spared from now on
    retention_days = models.IntegerField(default=30)
    redact = models.BooleanField(default=False)
    built_in = models.BooleanField(default=False)

    class Meta:
        constraints = [
            CheckConstraint(condition=Q(on_doubt__in=values_of(OnDoubt)), name="stream_on_doubt"),
            CheckConstraint(condition=Q(priority__in=values_of(Priority)), name="stream_priority"),
            CheckConstraint(
                condition=Q(auto_submitted__in=values_of(AutoSubmitted)), name="stream_automatic"
            ),
        ]


class ApiKey(models.Model):
    """A submitter. The key itself is shown once; its digest is kept."""

    uid = models.UUIDField(unique=True, default=new_id, editable=False)
    name = models.TextField()
    prefix = models.TextField(unique=True)  # visible part, by which it is found
    digest = models.TextField()  # SHA-256 of the whole key
    scopes = models.JSONField()
    senders = models.JSONField(default=list)
    streams = models.JSONField(default=list)
    networks = models.JSONField(default=list)
    dsn = models.BooleanField(default=True)  # failures of what it hands over by SMTP are reported
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)


class Message(models.Model):
    """Envelope and content as accepted; never changed."""

    uid = models.UUIDField(unique=True, default=new_id, editable=False)
    via = models.TextField()
    submitter = models.ForeignKey(ApiKey, models.PROTECT, null=True, db_index=False)
    stream = models.ForeignKey(Stream, models.PROTECT, null=True, db_index=False)
    reverse_path = models.TextField()  # "" is the null reverse-path
    ret = models.TextField(default="")  # RFC 3461 §4.3: FULL, HDRS, or "" where MAIL did not say
    envid = models.TextField(default="")  # RFC 3461 §4.4, as it was given (xtext)
    header_from = Written(null=True)  # {"email", "name"}
    header_reply_to = models.TextField(default="")
    subject = models.TextField(default="")
    message_id = models.TextField(blank=True)  # as it was given; "" has one made when it leaves
    explicit = models.ForeignKey(Connection, models.PROTECT, null=True, related_name="+", db_index=False)
    on_doubt = models.TextField(default="")  # "" follows the stream
    tags = Written(default=list)
    metadata = Written(default=dict)
    received_by = models.TextField()  # our name in the trace field, as it was at acceptance (L6)
    added = Written(default=dict)  # what its stream adds when it leaves: see `additions`
    size = models.BigIntegerField()
    accepted_at = models.DateTimeField()
    resent_from = models.ForeignKey("self", models.SET_NULL, null=True, db_index=False)

    class Meta:
        constraints = [
            CheckConstraint(condition=any_of("on_doubt", ["", *values_of(OnDoubt)]), name="message_on_doubt")
        ]
        # Most messages have none of these: an index of all would be written for nothing.
        indexes = [
            Index(fields=["accepted_at"], name="message_recent"),  # rising: what comes goes to its end
            Index(fields=["submitter"], condition=Q(submitter__isnull=False), name="message_submitter"),
            Index(fields=["stream"], condition=Q(stream__isnull=False), name="message_stream"),
            Index(fields=["explicit"], condition=Q(explicit__isnull=False), name="message_explicit"),
        ]


class Chunk(models.Model):
    """A piece of a message's content, so that a courier can stream a large one."""

    # Without a constraint: the chunks of a parcel are there before their message. The index is `once`'s.
    message = models.ForeignKey(Message, models.CASCADE, db_constraint=False, db_index=False)
    position = models.IntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [UniqueConstraint(fields=["message", "position"], name="chunk_position_once")]


class Delivery(models.Model):
    """Our duty to one recipient of one message: the unit of the queue.

    `route` holds what leaves: {"sender": {"email", "name"} | null, "reply_to": text | null,
    "reverse_path": text | null}. `counted` tries and their `spent` seconds of delay decide expiry (L7).
    """

    message = models.ForeignKey(Message, models.CASCADE, db_index=False)  # `delivery_recipient_once` is one
    recipient = models.TextField()
    notify = models.TextField(default="")  # RFC 3461 §4.1: NEVER, or of SUCCESS,FAILURE,DELAY
    orcpt = models.TextField(default="")  # RFC 3461 §4.2, as it was given
    state = models.TextField(default=DeliveryState.QUEUED.value)
    connection = models.ForeignKey(Connection, models.PROTECT, null=True)
    route_epoch = models.BigIntegerField()
    rank = models.SmallIntegerField(default=USUAL_RANK)  # of its stream's priority, the first first
    route = Written(null=True)
    explanation = models.ForeignKey(Explanation, models.PROTECT)
    next_attempt_at = models.DateTimeField(null=True)
    retry_age = models.FloatField()
    counted = models.IntegerField(default=0)
    spent = models.FloatField(default=0)
    expires_at = models.DateTimeField(null=True)
    lane_epoch = models.BigIntegerField(null=True)
    claimed_at = models.DateTimeField(null=True)
    staged_at = models.DateTimeField(null=True)
    attempt = models.UUIDField(null=True)
    orphaned = models.IntegerField(default=0)  # couriers that died holding it, one after the other
    backup_for = models.ForeignKey(  # its connection stands in for this one
        Connection, models.PROTECT, null=True, related_name="+", db_index=False
    )
    doubts = models.IntegerField(default=0)
    doubt_reason = models.TextField(default="", blank=True)
    last_code = models.IntegerField(null=True)
    last_text = models.TextField(default="", blank=True)
    trouble = Written(null=True)  # the last one: {"phase", "cause", "row", "facts"}
    settled_at = models.DateTimeField(null=True)
    dsn_due = models.BooleanField(default=False)  # it is to be reported to the reverse-path
    delayed_at = models.DateTimeField(null=True)  # when people were told that it is late

    class Meta:
        constraints = [
            CheckConstraint(condition=any_of("state", values_of(DeliveryState)), name="delivery_state"),
            CheckConstraint(
                condition=~Q(state=DeliveryState.QUEUED.value)
                | Q(connection__isnull=False, route__isnull=False, next_attempt_at__isnull=False),
                name="delivery_queued",
            ),
            CheckConstraint(
                condition=Q(
                    state=DeliveryState.CLAIMED.value,
                    connection__isnull=False,
                    route__isnull=False,
                    lane_epoch__isnull=False,
                    claimed_at__isnull=False,
                    attempt__isnull=False,
                )
                | (
                    ~Q(state=DeliveryState.CLAIMED.value)
                    & Q(lane_epoch=None, claimed_at=None, staged_at=None)
                ),
                name="delivery_claimed",
            ),
            CheckConstraint(
                condition=~Q(state=DeliveryState.IN_DOUBT.value)
                | (Q(connection__isnull=False, route__isnull=False, doubts__gte=1) & ~Q(doubt_reason="")),
                name="delivery_in_doubt",
            ),
            # What may have arrived is never queued, held, refused or expired: only tried again, or ended by a
            # person (L6).
            CheckConstraint(
                condition=Q(doubts=0) | ~any_of("state", ["queued", "held", "refused", "expired"]),
                name="delivery_doubt_stays",
            ),
            CheckConstraint(
                condition=(Q(settled_at=None) & ~any_of("state", ENDED))
                | (Q(settled_at__isnull=False) & any_of("state", ENDED)),
                name="delivery_settled",
            ),
            UniqueConstraint(fields=["message", "recipient"], name="delivery_recipient_once"),
        ]
        indexes = [
            Index(
                fields=["connection", "rank", "next_attempt_at", "id"],
                condition=any_of("state", ["queued", "in_doubt"]),
                name="delivery_due",
            ),
            Index(fields=["connection", "lane_epoch"], condition=Q(state="claimed"), name="delivery_claims"),
            Index(
                fields=["route_epoch"],
                condition=any_of("state", ["queued", "held", "in_doubt"]),
                name="delivery_routes",
            ),
            Index(
                fields=["backup_for"],
                condition=Q(backup_for__isnull=False, state="queued"),
                name="delivery_stand_ins",
            ),
            Index(
                F("expires_at"),
                condition=Q(expires_at__isnull=False, settled_at=None),
                name="delivery_expiry",
            ),
            Index(fields=["message"], condition=Q(dsn_due=True), name="delivery_dsn_due"),
            # What waits for people is rare, and counted on every page.
            Index(fields=["connection"], condition=Q(state="in_doubt"), name="delivery_doubts"),
            Index(fields=["message"], condition=Q(state="held"), name="delivery_held"),
        ]

    @property
    def reason(self) -> dict[str, Any]:
        """{"code", "facts"}: why this connection, or why it is held."""
        reason: dict[str, Any] = self.explanation.reason
        return reason

    @property
    def rules(self) -> list[dict[str, Any]]:
        """Every rule of routing, with what became of it."""
        rules: list[dict[str, Any]] = self.explanation.rules
        return rules
