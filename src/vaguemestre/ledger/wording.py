"""The ledger's codes in the reader's language.

Reasons, states, troubles, events and refusals are kept as codes with facts; here they become sentences,
through gettext, in the language that is active. The English texts are the message ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from django.utils.translation import get_language, gettext, gettext_noop

from vaguemestre.ledger.form_wording import FORM_REFUSALS
from vaguemestre.ledger.oauth2_wording import OAUTH2_REFUSALS
from vaguemestre.ledger.refusals import Conflict
from vaguemestre.ledger.template_wording import TEMPLATE_REFUSALS
from vaguemestre.mail.errors import Invalid

_STATES = {
    "queued": gettext_noop("queued"),
    "claimed": gettext_noop("in progress"),
    "held": gettext_noop("held"),
    "in_doubt": gettext_noop("in doubt"),
    "accepted": gettext_noop("accepted by the server"),
    "refused": gettext_noop("refused"),
    "expired": gettext_noop("expired"),
    "cancelled": gettext_noop("cancelled"),
    "mixed": gettext_noop("mixed"),
}
_REASONS = {
    "default_override": gettext_noop(
        "“%(connection_name)s” is the default sender: it carries every message."
    ),
    "explicit": gettext_noop("The message asks for “%(connection_name)s”."),
    "stream": gettext_noop("The stream “%(stream)s” leaves through “%(connection_name)s”."),
    "sender": gettext_noop("“%(connection_name)s” sends as %(from)s."),
    "allowed_sender": gettext_noop("“%(connection_name)s” may send as %(from)s."),
    "allowed_domain": gettext_noop("“%(connection_name)s” may send for the domain of %(from)s."),
    "default_fallback": gettext_noop(
        "Nothing else matches, so the default “%(connection_name)s” carries it."
    ),
    "only_active": gettext_noop("“%(connection_name)s” is the only active connection."),
    "no_active_connection": gettext_noop("No connection is active. The message leaves once one is."),
    "explicit_inactive": gettext_noop(
        "The message asks for “%(connection_name)s”, which is inactive. It leaves once that one is active."
    ),
    "explicit_gone": gettext_noop("The message asks for a connection that was deleted."),
    "stream_inactive": gettext_noop(
        "The stream “%(stream)s” leaves through “%(connection_name)s”, which is inactive."
    ),
    "stream_gone": gettext_noop("The stream “%(stream)s” leaves through a connection that was deleted."),
    "ambiguous": gettext_noop(
        "Several connections are active, none is the default and none matches the sender. Say which one"
        " serves the rest."
    ),
    "unsubscribed": gettext_noop("The recipient unsubscribed from messages of this kind."),
}
_STANDS_IN = gettext_noop("“%(backup_name)s” carries it in place of “%(connection_name)s”.")
_WHYS = {
    "no_answer_to_content": gettext_noop(
        "The connection broke after the whole message had gone out, before the server's answer: it may have"
        " arrived."
    ),
    "session_was_over": gettext_noop("The server had closed the session; it is tried again on a new one."),
    "session_spent": gettext_noop("The session had carried all it may; it is tried again on a new one."),
    "manner_refused": gettext_noop(
        "The server announces a faster way to take messages, and refuses it; it is tried again at once the"
        " ordinary way."
    ),
    "service_closing": gettext_noop("The server is closing its service for now."),
    "limit_reached": gettext_noop("The account reached a limit of its server; it goes on later."),
    "not_permitted": gettext_noop("This installation may not dial that address; its operator can allow it."),
    "host_unknown": gettext_noop("No server of that name was found; check how it is spelt."),
    "lookup_failed": gettext_noop("The server's name cannot be looked up for now (DNS)."),
    "connection_refused": gettext_noop("Nothing answers on that port of the server."),
    "no_answer": gettext_noop("The server does not answer."),
    "source_address": gettext_noop("The server cannot be dialled from the local address that is set."),
    "not_smtp": gettext_noop("What answers there is not an SMTP server; check server and port."),
    "turned_away": gettext_noop("The server turns us away before it takes any mail."),
    "no_dialogue": gettext_noop("The server was reached, and the dialogue broke before it began."),
    "server_unavailable": gettext_noop("The server cannot be reached."),
    "encryption_failed": gettext_noop("No trustworthy encrypted session could be had with the server."),
    "tls_expected": gettext_noop(
        "On this port the server wants encryption from the first moment: choose SSL."
    ),
    "tls_not_spoken": gettext_noop("On this port the server does not take SSL: choose TLS."),
    "tls_too_old": gettext_noop("The server only knows encryption that is out of date, below TLS 1.2."),
    "starttls_missing": gettext_noop(
        "The server offers no encryption, which this connection requires. No password was sent."
    ),
    "certificate_expired": gettext_noop(
        "The server's certificate has expired; its provider has to renew it."
    ),
    "certificate_not_yet_valid": gettext_noop(
        "The server's certificate is not valid yet; its provider, or this machine's clock, has to be put"
        " right."
    ),
    "certificate_name": gettext_noop("The server's certificate is for another name."),
    "certificate_unvouched": gettext_noop(
        "Nobody we know vouches for the server's certificate. If the server is your own, verify the"
        " connection and pin the certificate."
    ),
    "certificate_changed": gettext_noop("The server shows another certificate than the pinned one."),
    "certificate_untrusted": gettext_noop("The server's certificate cannot be trusted."),
    "sign_in_unavailable": gettext_noop("The server could not check the login for now."),
    "sign_in_refused": gettext_noop(
        "The server refused the login or the password. The connection is locked."
    ),
    "token_unavailable": gettext_noop(
        "No access token can be had for now; the provider's service for them does not answer."
    ),
    "token_refused": gettext_noop(
        "The server refuses the account's authorisation. The connection is locked; connect the account anew."
    ),
    "not_connected": gettext_noop(
        "Nobody has connected the account (OAuth2) yet. The connection is locked; open its page and connect"
        " it."
    ),
    "consent_withdrawn": gettext_noop(
        "The consent for this account (OAuth2) is no longer valid. The connection is locked; connect it"
        " again."
    ),
    "scope_missing": gettext_noop(
        "The token (OAuth2) does not allow sending mail. The connection is locked; add the permission and"
        " connect the account again."
    ),
    "application_refused": gettext_noop(
        "The provider refuses the registered application (OAuth2): its secret has run out or is wrong. The"
        " connection is locked; give it another one and connect the account again."
    ),
    "sign_in_not_offered": gettext_noop(
        "The server takes no login on this port. The connection is locked; choose TLS or SSL, or leave login"
        " and password empty."
    ),
    "no_mechanism": gettext_noop(
        "The server takes logins only in ways that Vaguemestre does not use. The connection is locked."
    ),
    "sign_in_in_clear": gettext_noop(
        "A password may only travel encrypted: choose TLS or SSL. The connection is locked."
    ),
    "sign_in_required": gettext_noop("The server wants a login; give the connection one."),
    "app_password_needed": gettext_noop(
        "Google wants an app password in place of the usual one. The connection is locked."
    ),
    "password_off": gettext_noop(
        "Signing in with a password is switched off for this mailbox. The connection is locked."
    ),
    "encryption_required": gettext_noop("The server takes no mail unencrypted: choose TLS or SSL."),
    "address_not_listed": gettext_noop(
        "The server does not let our IP address in; have the addresses of the whitelist page put on its list."
    ),
    "too_large": gettext_noop("The message is larger than the server takes. Make it smaller."),
    "smtputf8_missing": gettext_noop("An address is beyond ASCII, which this server does not take."),
    "bare_line_ending": gettext_noop(
        "The message holds a line ending that is none, a bare CR or LF, which no server has to take. Have it"
        " made again by the program that wrote it."
    ),
    "content_kind_refused": gettext_noop("The server does not take this kind of content."),
    "parameter_refused": gettext_noop("The server does not take a parameter of the message."),
    "null_reverse_path_refused": gettext_noop("The server does not take messages without a return address."),
    "access_denied": gettext_noop("The server does not let this connection send."),
    "access_denied_once": gettext_noop("The server does not let this connection send to that recipient."),
    "sender_refused": gettext_noop("The server refuses the connection's sender. The connection is locked."),
    "dialogue_broken": gettext_noop("The dialogue with the server broke before the message was handed over."),
    "too_many_recipients": gettext_noop("The server takes fewer recipients at once."),
    "recipient_refused": gettext_noop("The server refuses this recipient."),
    "recipient_deferred": gettext_noop("The server asks to try this recipient later."),
    "message_deferred": gettext_noop("The server asks to try this message later."),
    "greylisted": gettext_noop(
        "The server asks new senders to wait (greylisting) and takes the message later; it is tried again by"
        " itself."
    ),
    "message_refused": gettext_noop("The server refuses this message."),
    "stage_refused": gettext_noop("The route changed at the last moment; nothing was handed over."),
    "courier_died": gettext_noop("The courier stopped before the message was handed over."),
    "our_fault": gettext_noop(
        "A fault of Vaguemestre itself ended this attempt; its log tells more. It is tried again later."
    ),
    "secret_unreadable": gettext_noop(
        "The stored password cannot be read any more: type it again. The connection is locked until then."
    ),
    "lane_waits": gettext_noop("The connection is waiting; the message leaves when it works again."),
    "content_gone": gettext_noop("The content is not kept any more."),
    "unsubscribed": gettext_noop("The recipient unsubscribed from messages of this kind: nothing was sent."),
}
_EVENTS = {
    "accepted_here": gettext_noop("Taken over from the submitter"),
    "routed": gettext_noop("Routed anew"),
    "released": gettext_noop("Released by a person"),
    "cancelled": gettext_noop("Cancelled by a person"),
    "arrived": gettext_noop("A person said that it arrived"),
    "send_again": gettext_noop("A person had it sent again"),
    "attempt": gettext_noop("Attempt"),
    "put_back": gettext_noop("Put back into the queue"),
    "in_doubt": gettext_noop("May have arrived"),
    "waits_for_person": gettext_noop("Waits for a person: the route would now be another"),
    "backup": gettext_noop("Handed to “%(backup_name)s”, which stands in for “%(connection_name)s”"),
    "evidence": gettext_noop("The server’s answer, found after a courier could not record it"),
    "backup_over": gettext_noop("Back at “%(connection_name)s” from “%(backup_name)s”"),
    "expired": gettext_noop("Expired"),
    "unsubscribed": gettext_noop("Not sent: the recipient had unsubscribed"),
    "reported": gettext_noop("Reported to the sender by mail"),
    "delayed": gettext_noop("Late: it has not left yet"),
    "unreported": gettext_noop("No report could be made for the sender; the log tells why"),
}
_DOUBTS = {
    "timeout": gettext_noop("The server did not answer in time after the end of the message."),
    "connection_lost": gettext_noop("The connection broke after the end of the message."),
    "malformed_reply": gettext_noop("The server's answer to the end of the message could not be read."),
    "unexpected_code": gettext_noop("The server's answer to the end of the message makes no sense there."),
    "worker_died": gettext_noop(
        "The courier stopped between the end of the message and the server's answer."
    ),
    "forced_shutdown": gettext_noop("The courier had to stop before the server's answer."),
}
# The texts of refusals stand where they are raised, in `mail`, `policy` and `ledger`; repeated here for those
# that the console shows, so that they can be translated. A code that is not here is shown as it was raised.
_REFUSALS = {
    **OAUTH2_REFUSALS,
    **TEMPLATE_REFUSALS,
    **FORM_REFUSALS,
    "report_recipients": gettext_noop("Say who is to get the report."),
    "report_recipients_many": gettext_noop("A report has at most %(limit)s recipients."),
    "zone_unknown": gettext_noop("There is no such time zone; one looks like Europe/Paris."),
    "address_empty": gettext_noop("An address is needed, such as name@example.org."),
    "address_blank": gettext_noop("There is a blank before or after the address; remove it."),
    "address_syntax": gettext_noop("This is not an email address; write it like name@example.org."),
    "address_length": gettext_noop("The address is too long: at most 64 bytes before the @ and 254 in all."),
    "address_single": gettext_noop("There are several addresses; give one, like Name <name@example.org>."),
    "address_group": gettext_noop(
        "This is a group of addresses: a : or ; stands outside quotes. Give one, like Name"
        " <name@example.org>."
    ),
    "allowed_sender_syntax": gettext_noop(
        "An allowed sender is an address such as name@example.org, or *@example.org for a whole domain."
    ),
    "control_characters": gettext_noop("There is a control character in it; remove it."),
    "too_long": gettext_noop("This is too long."),
    "import_kind_unknown": gettext_noop("Choose one of the kinds, or have it told from the text."),
    "host_empty": gettext_noop("The server is needed, such as smtp.example.org."),
    "host_url": gettext_noop("Give only the server's name: leave out what ends in ://."),
    "host_blank": gettext_noop("There is a blank in the server's name; remove it."),
    "host_port": gettext_noop("Give the port in its own field: server %(host)s, port %(port)s."),
    "host_address": gettext_noop("This is an email address; the server is like smtp.example.org."),
    "host_syntax": gettext_noop("This is not a server's name; it looks like smtp.example.org."),
    "port_range": gettext_noop("The port is a number from 1 to 65535, usually 465 or 587."),
    "encryption_unknown": gettext_noop("Choose SSL, TLS or none."),
    "credentials_in_clear": gettext_noop(
        "A password is never sent unencrypted: choose SSL or TLS, or leave login and password empty."
    ),
    "default_inactive": gettext_noop(
        "Only an active connection can be the default sender: activate it, or leave it unticked."
    ),
    "name_empty": gettext_noop("Give it a name."),
    "name_taken": gettext_noop("Another connection has this name; choose a different one."),
    "login_missing": gettext_noop("A password needs a login; leave both empty for none."),
    "password_missing": gettext_noop(
        "The login needs its password; leave both empty for a server that asks for none."
    ),
    "password_again": gettext_noop(
        "The server, port, encryption, login or certificate changed: type the password again."
    ),
    "password_unreadable": gettext_noop("The stored password cannot be read any more: type it again."),
    "auth_contradicts": gettext_noop(
        "There is a password, but the kind of authentication is none: leave out one of them."
    ),
    "backup_itself": gettext_noop("A connection cannot stand in for itself."),
    "limit_range": gettext_noop("A limit is a whole number above 0, or empty for none."),
    "ip_syntax": gettext_noop("This is not an IP address."),
    "day_syntax": gettext_noop("Write the day like 2026-12-31."),
    "days_order": gettext_noop("The last day lies before the first."),
    "address_twice": gettext_noop("This address is in the list twice."),
    "certificate_syntax": gettext_noop("Give a SHA-256 fingerprint or a certificate in PEM."),
    "connection_unknown": gettext_noop("There is no such connection any more."),
    "successor_inactive": gettext_noop("The successor must be another active connection."),
    "person_known": gettext_noop("This address is one of the people already."),
    "person_oneself": gettext_noop("You cannot deactivate yourself."),
    "person_deactivated": gettext_noop("You were deactivated yourself."),
    "language_unknown": gettext_noop("Choose a language of the console."),
    "scope_unknown": gettext_noop("Choose at least one permission."),
    "stream_unknown": gettext_noop("There is no such stream."),
    "network_syntax": gettext_noop("This is not a network such as 192.0.2.0/24."),
    "successor_needed": gettext_noop(
        "“%(connection)s” is the default sender: say who follows it, a connection or nobody."
    ),
    "connection_in_use": gettext_noop(
        "Streams still use “%(connection)s”: %(streams)s. Give them another one first."
    ),
    "undo_nothing": gettext_noop("No change of the default sender is left to undo."),
    "undo_late": gettext_noop("The default sender changed more than 24 hours ago; name it by hand."),
    "undo_gone": gettext_noop("“%(connection)s” was deleted; it cannot be the default again."),
    "undo_inactive": gettext_noop(
        "“%(connection)s” was deactivated since; activate it, then name it the default."
    ),
    "undo_changed": gettext_noop(
        "“%(connection)s” has another sender or reply address since: look at it first."
    ),
    "reassign_itself": gettext_noop("Choose another connection than the one that goes."),
    "stream_key": gettext_noop("A stream’s key is of small letters, digits and hyphens."),
    "stream_taken": gettext_noop("There is already a stream of this key; choose a different one."),
    "stream_built_in": gettext_noop("This communication is built in and stays."),
    "stream_has_templates": gettext_noop("Templates belong to this communication; delete them first."),
    "template_in_use": gettext_noop(
        "Forms reply by this template: %(forms)s. Choose another one for them first."
    ),
    "stream_in_use": gettext_noop("Messages refer to this communication: it stays with them."),
    "on_doubt_unknown": gettext_noop("Choose one of the two."),
    "priority_unknown": gettext_noop("Choose one of the three."),
    "auto_submitted_unknown": gettext_noop("Choose one of the three."),
    "days_range": gettext_noop("Give a number of days from 1 to 3650."),
    "hours_range": gettext_noop("Give a number of hours from 1 to 720."),
    "connection_locked": gettext_noop(
        "“%(connection)s” is locked, since its server refused it. Verify it, or type the password again."
    ),
    "nothing_waits": gettext_noop("Nothing of this message is held or queued."),
    "no_route": gettext_noop("There is still no route for this message."),
    "claimed": gettext_noop("A courier is sending this message at this moment; try again."),
    "already_paused": gettext_noop("Sending is paused already."),
    "paused_anew": gettext_noop("Sending was paused anew since; look again."),
    "in_hands": gettext_noop(
        "A courier still has some of what is to be cancelled in its hands. It gives it back within seconds;"
        " try again then. If no courier runs, start one: nothing is sent meanwhile."
    ),
    "not_paused": gettext_noop("Sending is not paused; there is nothing to resume."),
    "terminal": gettext_noop("All of this message has ended; there is nothing to cancel."),
    "not_in_doubt": gettext_noop("Nothing of this message is in doubt any more."),
    "stale_attempt": gettext_noop("There was another attempt since; look at the message again."),
    "content_gone": gettext_noop("The content of this message is not kept any more."),
}


def state_text(state: str) -> str:
    """A state of a delivery or message."""
    return gettext(_STATES.get(state, state))


def reason_text(reason: Mapping[str, Any]) -> str:
    """Why a delivery is routed as it is, or held: {"code", "facts"}; and who stands in."""
    return _reason_text(orjson.dumps(reason, str), get_language())


@lru_cache(maxsize=256)  # nearly all messages of an hour have the same few
def _reason_text(stored: bytes, _language: str) -> str:
    reason = orjson.loads(stored)
    facts = reason.get("facts", {})
    why = _filled(_REASONS, str(reason["code"]), facts)
    return f"{why} {gettext(_STANDS_IN) % facts}" if "backup" in facts else why


def trouble_text(trouble: Mapping[str, Any]) -> str:
    """What the last attempt met: {"why", "facts", ...}."""
    return _filled(_WHYS, str(trouble.get("why", "")), trouble.get("facts", {}))


def event_text(detail: Mapping[str, Any]) -> str:
    """A line of a message's time line."""
    return _filled(_EVENTS, str(detail.get("code", "")), detail)


def doubt_text(reason: str) -> str:
    """Why it is not known whether a delivery arrived."""
    return gettext(_DOUBTS.get(reason, reason))


def health_text(why: str) -> str:
    """Why a connection is throttled or locked."""
    return gettext(_WHYS.get(why, why))


def describe(refusal: Invalid | Conflict) -> str:
    """A refusal in the reader's language; in English as it was raised where there is no translation."""
    known = _REFUSALS.get(refusal.code)
    return refusal.message if known is None else _filled(_REFUSALS, refusal.code, refusal.facts)


def _filled(texts: Mapping[str, str], code: str, facts: Mapping[str, Any]) -> str:
    template = gettext(texts[code]) if code in texts else code
    try:
        return template % facts if "%(" in template else template
    except KeyError:
        return template
