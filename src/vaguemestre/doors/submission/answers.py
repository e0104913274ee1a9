"""What the listener answers: code, enhanced status and text (RFC 5321 §4.2, RFC 2034, RFC 3463).

Every answer but the greeting, 354, 334 and those to EHLO carries an enhanced status. Texts are English, since
they are read in logs and by programs, and never repeat what the other side sent without making it safe: a
line is ASCII, whatever stream or address it names, and holds at most 512 octets.
"""

from __future__ import annotations

import re
from math import ceil

from vaguemestre.mail.errors import Invalid
from vaguemestre.mail.reply import printable
from vaguemestre.mail.value import value

LINE = 400  # octets of text in one line; a reply line holds 512, RFC 5321 §4.5.3.1.5
_NO_ASCII = re.compile(r"[^\x00-\x7f]")
# Matters of policy; everything else that is refused is a fault of the message's own form.
_POLICY = frozenset({"stream_unknown", "stream_not_allowed", "connection_unknown"})


@value
class Answer:
    """One answer, as `answer` makes it.

    Attributes:
        code: three digits.
        enhanced: `5.7.1`, or "" where the RFC has none.
        lines: text, one entry a line.
        wire: its bytes, with CRLF; the enhanced status on every line (RFC 2034 §4).
    """

    code: int
    enhanced: str
    lines: tuple[str, ...]
    wire: bytes

    @property
    def accepts(self) -> bool:
        """Whether it is a 2yz."""
        return self.code // 100 == 2

    @property
    def refuses(self) -> bool:
        """Whether it is a 5yz."""
        return self.code >= 500

    def __str__(self) -> str:
        return f"{self.code} {self.enhanced} {self.lines[0]}"


def answer(code: int, enhanced: str, *lines: str) -> Answer:
    """An answer of so many lines."""
    *before, last = [_text(f"{enhanced} {line}".strip()) for line in lines]
    wire = f"{''.join([f'{code}-{text}\r\n' for text in before])}{code} {last}\r\n"
    return Answer(code, enhanced, lines, wire.encode("ascii"))


def _text(line: str) -> str:
    """A line that any reader takes: escaped before it is cut, since an escape is long."""
    safe = _NO_ASCII.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", printable(line, LINE).replace("\n", " "))
    return safe if len(safe) <= LINE else f"{safe[: LINE - 3]}..."


OK = answer(250, "2.0.0", "OK")
BYE = answer(221, "2.0.0", "Bye")
GO_AHEAD = answer(354, "", "End the message with <CR><LF>.<CR><LF>")
CANNOT_VERIFY = answer(252, "2.5.0", "Cannot verify, but will take a message and try")
HELP = answer(214, "2.0.0", "Vaguemestre takes mail for submission: EHLO, AUTH, MAIL, RCPT, DATA, QUIT")
START_TLS = answer(220, "2.0.0", "Start TLS now")
SIGNED_IN = answer(235, "2.7.0", "Signed in")

SENDER_TAKEN = answer(250, "2.1.0", "Sender taken")
RECIPIENT_TAKEN = answer(250, "2.1.5", "Recipient taken")

UNKNOWN_COMMAND = answer(500, "5.5.1", "Unknown command")
NOT_OFFERED = answer(502, "5.5.1", "This command is not offered")
BAD_LINE = answer(500, "5.5.2", "A command is one line of printable characters that ends with CR LF")
LONG_LINE = answer(500, "5.5.2", "The command line is too long")
NO_ARGUMENT = answer(501, "5.5.4", "This command takes no argument")
NO_NAME = answer(501, "5.5.4", "Give one name or address behind the command")
GREET_FIRST = answer(503, "5.5.1", "Say EHLO first")
MAIL_FIRST = answer(503, "5.5.1", "Say MAIL first")
NO_RECIPIENT = answer(554, "5.5.1", "No recipient was accepted")
BETWEEN_CHUNKS = answer(503, "5.5.1", "Not between the chunks of a content: BDAT or RSET")
CHUNK_SYNTAX = answer(501, "5.5.4", "Write BDAT and a number of octets, then LAST with the last of them")
IN_TRANSACTION = answer(503, "5.5.1", "Not within a transaction")
UNSYNCHRONISED = answer(554, "5.5.0", "Wait for the answer before sending more")

AUTH_NEEDED = answer(530, "5.7.0", "Sign in first: AUTH with an API key as password")
AUTH_TWICE = answer(503, "5.5.1", "Already signed in")
TLS_NEEDED = answer(530, "5.7.0", "Say STARTTLS first, then sign in with an API key as password")
TLS_MISSING = answer(530, "5.7.0", "Signing in needs TLS, for which this listener has no certificate")
AUTH_OVER_TLS = answer(538, "5.7.11", "Say STARTTLS first: signing in needs TLS here")
AUTH_WITHOUT_TLS = answer(538, "5.7.11", "Signing in needs TLS, for which this listener has no certificate")
AUTH_MECHANISM = answer(504, "5.5.4", "AUTH takes PLAIN or LOGIN")
AUTH_LONG = answer(500, "5.5.6", "The response is too long")
AUTH_SYNTAX = answer(501, "5.5.2", "The response is not what the mechanism asks for")
AUTH_CANCELLED = answer(501, "5.7.0", "Signing in was cancelled")
AUTH_FAILED = answer(
    535, "5.7.8", "The API key is not accepted: give a valid one with the scope send as password"
)
AUTH_LATER = answer(454, "4.7.0", "Signing in is not possible at the moment, try again")
TLS_ALREADY = answer(503, "5.5.1", "TLS is in use already")
TLS_NOT_OFFERED = answer(502, "5.5.1", "STARTTLS is not offered: this listener has no certificate")

TOO_LARGE = answer(552, "5.3.4", "The message is larger than this server takes")
SENDER_NOT_ALLOWED = answer(553, "5.7.1", "This key may not send with that reverse-path")
TOO_MANY_RECIPIENTS = answer(452, "4.5.3", "Too many recipients; send the rest in another transaction")
BARE_LINE_ENDING = answer(550, "5.6.11", "The content holds a bare CR or LF; end every line with CR LF")
DISK_FULL = answer(452, "4.3.1", "No space is left to record the message, try again")
NOT_RECORDED = answer(451, "4.3.1", "The message could not be recorded, try again")
KEY_REVOKED = answer(550, "5.7.1", "The API key has been revoked")
KEY_REUSED = answer(550, "5.5.4", "The idempotency key was used for another message")
IN_PROGRESS = answer(
    451, "4.3.0", "The first message of that idempotency key is still being recorded, try again"
)
LOOP = answer(554, "5.4.6", "The message has been passed on too often: is there a loop?")

CLOSED_ERRORS = answer(421, "4.7.0", "Too many errors, closing")
CLOSED_FAILURES = answer(421, "4.7.0", "Too many refused sign-ins, closing")
CLOSED_IDLE = answer(421, "4.4.2", "No command for too long, closing")
CLOSED_PROTOCOL = answer(421, "4.7.0", "This is not SMTP, closing")
CLOSED_DOWN = answer(421, "4.3.2", "Shutting down, try again")
CLOSED_ROOM = answer(421, "4.3.1", "Too much mail is being taken at the moment, try again")
CLOSED_BUSY = answer(421, "4.7.0", "Too many sessions, try again later")


def auth_banned(seconds: float) -> Answer:
    """Who guessed too often may not sign in for so long."""
    return answer(454, "4.7.0", f"Too many refused sign-ins, try again in {ceil(seconds)} seconds")


def closed_banned(seconds: float) -> Answer:
    """So is an address turned away."""
    text = f"Too many refused sign-ins from this address, try again in {ceil(seconds)} seconds"
    return answer(421, "4.7.0", text)


def octets(count: int) -> Answer:
    """A chunk that is not the last was taken (RFC 3030 §2)."""
    return answer(250, "2.0.0", f"{count} octets in all")


def queued(identifier: str) -> Answer:
    """The message is in the ledger under that name: what `answer` would make of it."""
    text = f"queued as {identifier}"
    return Answer(250, "2.0.0", (text,), f"250 2.0.0 {text}\r\n".encode())


def refusal(*faults: Invalid) -> Answer:
    """The answer to a message that is not taken, with all its reasons."""
    first = faults[0]
    text = " ".join(fault.message for fault in faults)
    if first.code in _BY_CODE:
        return _BY_CODE[first.code]
    if first.code == "message_size":
        return answer(552, "5.3.4", text)
    if first.code in {"sender_not_allowed", "sender_not_named"}:
        return answer(553, "5.7.1", text)
    return answer(550, "5.7.1" if first.code in _POLICY else "5.6.0", text)


TO_COMMANDS = {  # whatever the state
    b"NOOP": OK,
    b"VRFY": CANNOT_VERIFY,
    b"HELP": HELP,
    **dict.fromkeys((b"EXPN", b"ETRN", b"TURN", b"SEND", b"SOML", b"SAML"), NOT_OFFERED),
}
_BY_CODE = {
    "bare_line_ending": BARE_LINE_ENDING,
    "key_revoked": KEY_REVOKED,
    "content_gone": NOT_RECORDED,  # the submitter still has it
}
