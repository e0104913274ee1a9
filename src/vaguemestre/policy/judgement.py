"""A failure as one delivery sees it, and what follows from it: the columns of the failure table.

`verdict` holds the table itself and the policy behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vaguemestre.mail.phase import Trouble


class Scope(StrEnum):
    """Whom a failure blames."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    CONNECTION = "connection"
    NONE = "none"


class Fate(StrEnum):
    """What becomes of the delivery."""

    DEFERRED = "deferred"  # queued again, with a time
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    AT_ONCE_NEW_SESSION = "at_once_new_session"  # tried again at once, on a new session
    AT_ONCE_NEXT_TRANSACTION = "at_once_next_transaction"
    SETTLED = "settled"  # it was settled before; it stays as it is


class HealthChange(StrEnum):
    """What the connection's health learns."""

    THROTTLE = "throttle"
    LOCK = "lock"
    NOTE = "note"  # a broken dialogue, to be counted


class SessionFate(StrEnum):
    """What becomes of the session."""

    KEEP = "keep"
    RSET = "rset"  # kept, the transaction reset
    CLOSE = "close"


class Why(StrEnum):
    """The judgement in a word, for people; its text is made at the edge."""

    ALREADY_SETTLED = "already_settled"
    NO_ANSWER_TO_CONTENT = "no_answer_to_content"
    SESSION_WAS_OVER = "session_was_over"
    SESSION_SPENT = "session_spent"  # it may carry no more messages; another one may
    MANNER_REFUSED = "manner_refused"  # the server does not take BDAT although it says so
    SERVICE_CLOSING = "service_closing"
    LIMIT_REACHED = "limit_reached"
    NOT_PERMITTED = "not_permitted"
    HOST_UNKNOWN = "host_unknown"
    LOOKUP_FAILED = "lookup_failed"
    CONNECTION_REFUSED = "connection_refused"
    NO_ANSWER = "no_answer"
    SOURCE_ADDRESS = "source_address"
    NOT_SMTP = "not_smtp"
    TURNED_AWAY = "turned_away"  # at the greeting or at EHLO
    NO_DIALOGUE = "no_dialogue"  # reached, and lost, late or malformed before there was one
    SERVER_UNAVAILABLE = "server_unavailable"
    ENCRYPTION_FAILED = "encryption_failed"
    TLS_EXPECTED = "tls_expected"
    TLS_NOT_SPOKEN = "tls_not_spoken"
    TLS_TOO_OLD = "tls_too_old"
    STARTTLS_MISSING = "starttls_missing"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    CERTIFICATE_NAME = "certificate_name"
    CERTIFICATE_UNVOUCHED = "certificate_unvouched"  # by an authority that we do not know, or by itself
    CERTIFICATE_CHANGED = "certificate_changed"  # not the pinned one
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    SIGN_IN_UNAVAILABLE = "sign_in_unavailable"
    SIGN_IN_REFUSED = "sign_in_refused"
    TOKEN_UNAVAILABLE = "token_unavailable"  # noqa: S105  a code, no secret
    TOKEN_REFUSED = "token_refused"  # noqa: S105  a code, no secret
    NOT_CONNECTED = "not_connected"  # OAuth 2.0: nobody has agreed yet
    CONSENT_WITHDRAWN = "consent_withdrawn"
    SCOPE_MISSING = "scope_missing"
    APPLICATION_REFUSED = "application_refused"
    SIGN_IN_NOT_OFFERED = "sign_in_not_offered"
    NO_MECHANISM = "no_mechanism"
    SIGN_IN_IN_CLEAR = "sign_in_in_clear"
    SIGN_IN_REQUIRED = "sign_in_required"
    APP_PASSWORD_NEEDED = "app_password_needed"  # noqa: S105  a code, no secret
    PASSWORD_OFF = "password_off"  # noqa: S105  a code, no secret
    ENCRYPTION_REQUIRED = "encryption_required"
    ADDRESS_NOT_LISTED = "address_not_listed"  # our IP address is not on the server's list
    TOO_LARGE = "too_large"
    SMTPUTF8_MISSING = "smtputf8_missing"
    BARE_LINE_ENDING = "bare_line_ending"
    CONTENT_KIND_REFUSED = "content_kind_refused"
    PARAMETER_REFUSED = "parameter_refused"
    NULL_REVERSE_PATH_REFUSED = "null_reverse_path_refused"
    ACCESS_DENIED = "access_denied"
    ACCESS_DENIED_ONCE = "access_denied_once"  # at RCPT, for one domain so far
    SENDER_REFUSED = "sender_refused"
    DIALOGUE_BROKEN = "dialogue_broken"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    RECIPIENT_REFUSED = "recipient_refused"
    RECIPIENT_DEFERRED = "recipient_deferred"
    MESSAGE_DEFERRED = "message_deferred"
    GREYLISTED = "greylisted"
    MESSAGE_REFUSED = "message_refused"
    STAGE_REFUSED = "stage_refused"
    COURIER_DIED = "courier_died"


@dataclass(frozen=True)
class Case:
    """A failure, as seen by one delivery.

    Attributes:
        trouble: what happened.
        after_dot: whether the stage was committed: the end of data may have gone out.
        reused_first_reply: whether it is the first answer to this transaction on a session used before, the
            transactions ahead of it in a window included; a RSET in front of it counts as its first command.
        accepted_before: recipients accepted before this one in the same transaction.
        recipient_domains_refused_running: recipient domains refused access one after the other, with this.
        broken_running: broken dialogues (row 12) one after the other on the connection, with this.
        null_reverse_path: whether the transaction's reverse-path is `<>`.
        has_been_retried_on_new_session: whether row 2 or 18 was used for this delivery in this attempt.
        sender_needs_smtputf8: whether the connection's own sender has a local part beyond ASCII.
    """

    trouble: Trouble
    after_dot: bool = False
    reused_first_reply: bool = False
    accepted_before: int = 0
    recipient_domains_refused_running: int = 1
    broken_running: int = 1
    null_reverse_path: bool = False
    has_been_retried_on_new_session: bool = False
    sender_needs_smtputf8: bool = False


@dataclass(frozen=True)
class Judgement:
    """What follows.

    Attributes:
        row: of the failure table.
        scope: whom it blames.
        delivery: what becomes of it.
        counted: whether the attempt counts towards expiry.
        connection: what its health learns; None for nothing.
        session: what becomes of it.
        throttle_for: seconds named by the reply, for THROTTLE; None leaves it to the backoff of `health`.
        why: for people.
        throttle_least: seconds that the reply implies without naming them: the backoff may exceed them.
        retry_after: seconds that the reply names for this delivery alone; its next time is not before.
    """

    row: int
    scope: Scope
    delivery: Fate
    counted: bool
    connection: HealthChange | None
    session: SessionFate
    throttle_for: float | None
    why: Why
    throttle_least: float = 0.0
    retry_after: float | None = None
