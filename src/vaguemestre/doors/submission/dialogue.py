"""One submitter's dialogue as a pure state machine (RFC 5321 §3, §4.1; RFC 6409).

Bytes go in, effects come out; there is no socket, clock or database here. Commands may arrive together
(RFC 2920) and are answered in order. While an effect waits for its result (a sign-in, a commit, a handshake)
no further command is taken up.

Promises: content ends only at CRLF . CRLF, and what follows DATA or AUTH before its answer is never read as
commands: the session is closed instead. Bytes behind STARTTLS are thrown away (RFC 3207 §4.2). Nobody who has
not signed in, or comes from a trusted network, gets as far as a recipient.
Fails by answering; too many errors, refused sign-ins or a line without end close the session.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto

from vaguemestre.doors.submission import answers
from vaguemestre.doors.submission.answers import Answer, answer
from vaguemestre.doors.submission.effects import (
    Authenticate,
    Close,
    Effect,
    Record,
    StartTls,
    Submitter,
    Write,
)
from vaguemestre.doors.submission.exchange import Credentials, Exchange
from vaguemestre.doors.submission.paths import Refused, parse_mail, parse_rcpt
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.doors.submission.transaction import Transaction
from vaguemestre.ledger.models import ApiKey
from vaguemestre.smtp.wire import BareLineEnding, ContentTooLarge, DataReader, LineReader, LineTooLong

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_GREETING = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")
_WEB = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE", b"PRI"}
)
_TLS_RECORD = 0x16  # the first byte of a handshake: somebody chose implicit TLS on this port
_IDLE = frozenset({b"NOOP", b"RSET", b"VRFY", b"HELP", b"EHLO", b"HELO"})


class Mode(Enum):
    """What the next bytes are."""

    COMMAND = auto()
    RESPONSE = auto()  # to a challenge of AUTH
    CONTENT = auto()
    WAITING = auto()  # for the result of an effect; bytes are only kept
    CLOSED = auto()  # bytes are thrown away


class Dialogue:
    """One session's state. `peer` decides on trust and on whether AUTH may go unencrypted."""

    def __init__(self, terms: Terms, peer: Peer, *, secure: bool) -> None:
        self._terms = terms
        self._limits = terms.limits
        self._secure = secure
        self._peer = peer
        self._trusted = Submitter() if peer.within(terms.trust) else None
        self._submitter = self._trusted
        self._lines = LineReader(self._limits.command)
        self._data = DataReader(self._limits.message)
        self._mode = Mode.COMMAND
        self._greeted = False
        self._untouched = True  # no byte has been read
        self._transaction: Transaction | None = None
        self._exchange: Exchange | None = None
        self._stream: str | None = None
        self._errors = self._failures = self._idle_commands = 0
        self._held = 0
        self._draining = False

    @property
    def mode(self) -> Mode:
        """What the next bytes will be taken for."""
        return self._mode

    @property
    def held(self) -> int:
        """Bytes of content in memory, until they are recorded or refused."""
        return self._held

    # What happens to it

    def begin(self) -> list[Effect]:
        """The greeting (RFC 5321 §3.1)."""
        return [Write(answer(220, "", f"{self._terms.name} ESMTP Vaguemestre").wire)]

    def receive(self, data: bytes) -> list[Effect]:
        """Bytes of the submitter."""
        if self._mode is Mode.CLOSED:
            return []
        if self._untouched and data:
            self._untouched = False
            if data[0] == _TLS_RECORD:
                return self._close(answers.CLOSED_PROTOCOL)
        if self._mode is Mode.CONTENT:
            return self._take_content(data) + self._proceed()
        self._lines.feed(data)
        return self._proceed()

    def signed_in(self, key: ApiKey) -> list[Effect]:
        """The ledger knows the key."""
        self._submitter = Submitter(key, self._stream)
        return self._resume(self._say(answers.SIGNED_IN))

    def sign_in_refused(self, reply: Answer) -> list[Effect]:
        """The ledger does not take the key, or (4yz) cannot say."""
        if reply.refuses:
            self._failures += 1
            if self._failures >= self._limits.failures:
                return [Write(reply.wire), *self._close(answers.CLOSED_FAILURES)]
        return self._resume(self._say(reply))

    def recorded(self, reply: Answer) -> list[Effect]:
        """The ledger has committed the handover (250), or says why not."""
        self._held = 0
        self._idle_commands = 0
        # A refused message is not an error of the dialogue: a batch may hold many.
        return self._resume([Write(reply.wire)])

    def secured(self) -> list[Effect]:
        """TLS is in use: everything learnt before it is forgotten (RFC 3207 §4.2)."""
        self._secure = True
        self._greeted = False
        self._transaction = None
        self._submitter = self._trusted
        self._mode = Mode.COMMAND
        return []

    def turn_away(self, reply: Answer) -> list[Effect]:
        """The session ends for a reason that lies outside the dialogue, which the 421 names."""
        return [] if self._mode is Mode.CLOSED else self._close(reply)

    def drain(self) -> list[Effect]:
        """The listener stops: content that is under way may still end, everything else is over."""
        if self._mode in {Mode.CONTENT, Mode.WAITING}:
            self._draining = True
            return []
        return self.turn_away(answers.CLOSED_DOWN)

    # Reading

    def _resume(self, effects: list[Effect]) -> list[Effect]:
        """Go on behind the answer to what was waited for, unless that answer was the last."""
        if self._mode is Mode.CLOSED:
            return effects
        if self._draining:
            return [*effects, *self._close(answers.CLOSED_DOWN)]
        self._mode = Mode.COMMAND
        return [*effects, *self._proceed()]

    def _proceed(self) -> list[Effect]:
        """Take up complete lines for as long as they are what is expected."""
        effects: list[Effect] = []
        while self._mode in {Mode.COMMAND, Mode.RESPONSE}:
            try:
                line = self._lines.next_line()
            except BareLineEnding:
                effects += self._say(answers.BAD_LINE)
                continue
            except LineTooLong:
                long = answers.AUTH_LONG if self._mode is Mode.RESPONSE else answers.LONG_LINE
                effects += self._close(long)
                break
            if line is None:
                break
            effects += self._respond(line) if self._mode is Mode.RESPONSE else self._command(line)
        return effects

    def _command(self, line: bytes) -> list[Effect]:
        if _CONTROL.search(line):
            return self._say(answers.BAD_LINE)
        verb, _, argument = line.rstrip(b" ").partition(b" ")
        verb = verb.upper()
        if verb in _WEB:
            return self._close(answers.CLOSED_PROTOCOL)
        if verb in _IDLE:
            self._idle_commands += 1
            self._errors += self._idle_commands > self._limits.idle_commands
        try:
            return self._answer(verb, argument)
        except Refused as refusal:
            return self._say(refusal.answer)

    def _answer(self, verb: bytes, argument: bytes) -> list[Effect]:
        if verb in _ANSWERS:
            return self._say(_ANSWERS[verb])
        if verb in _COMMANDS:
            return _COMMANDS[verb](self, argument)
        return self._say(answers.UNKNOWN_COMMAND)

    # Commands

    def _ehlo(self, argument: bytes) -> list[Effect]:
        return self._greet(argument, self._extensions())

    def _helo(self, argument: bytes) -> list[Effect]:
        return self._greet(argument, [])

    def _greet(self, argument: bytes, extensions: list[str]) -> list[Effect]:
        if _GREETING.fullmatch(argument.decode("utf-8", "surrogateescape")) is None:
            return self._say(answer(501, "5.5.4", "Give one name or address behind the command"))
        self._greeted = True
        self._transaction = None
        return self._say(Answer(250, "", (f"{self._terms.name} greets {self._peer.literal}", *extensions)))

    def _extensions(self) -> list[str]:
        offered = [
            "PIPELINING",
            "8BITMIME",
            "SMTPUTF8",
            f"SIZE {self._limits.message}",
            "ENHANCEDSTATUSCODES",
        ]
        if self._may_sign_in:
            offered.append("AUTH PLAIN LOGIN")
        if self._terms.tls is not None and not self._secure:
            offered.append("STARTTLS")
        return offered

    @property
    def _may_sign_in(self) -> bool:
        return self._secure or self._peer.loopback

    def _mail(self, argument: bytes) -> list[Effect]:
        if not self._greeted:
            return self._say(answers.GREET_FIRST)
        if self._submitter is None:
            return self._say(answers.AUTH_NEEDED)
        if self._transaction is not None:
            return self._say(answers.IN_TRANSACTION)
        self._transaction = Transaction(self._submitter, parse_mail(argument, self._limits.message))
        return self._say(answers.SENDER_TAKEN)

    def _rcpt(self, argument: bytes) -> list[Effect]:
        transaction = self._transaction
        if transaction is None:
            return self._say(answers.MAIL_FIRST)
        rcpt = parse_rcpt(argument, utf8=transaction.mail.utf8)
        taken = transaction.take(rcpt, self._limits.recipients)
        return self._say(answers.RECIPIENT_TAKEN if taken else answers.TOO_MANY_RECIPIENTS)

    def _quit(self, argument: bytes) -> list[Effect]:
        return self._say(answers.NO_ARGUMENT) if argument else self._close(answers.BYE)

    def _bdat(self, _argument: bytes) -> list[Effect]:
        # Not announced (RFC 3030); its octets follow at once and must not be read as commands.
        return self._close(answers.NOT_OFFERED)

    def _rset(self, argument: bytes) -> list[Effect]:
        if argument:
            return self._say(answers.NO_ARGUMENT)
        self._transaction = None
        return self._say(answers.OK)

    def _starttls(self, argument: bytes) -> list[Effect]:
        if argument:
            return self._say(answers.NO_ARGUMENT)
        if self._secure:
            return self._say(answers.TLS_ALREADY)
        if self._terms.tls is None:
            return self._say(answers.TLS_NOT_OFFERED)
        self._lines.take_rest()  # clear text, injected or not, is never read behind TLS
        self._mode = Mode.WAITING
        return [Write(answers.START_TLS.wire), StartTls()]

    # Signing in

    def _auth(self, argument: bytes) -> list[Effect]:
        obstacle = self._obstacle_to_auth()
        if self._lines.take_rest():
            # RFC 2920 §3.1: AUTH ends a group. What was sent behind it may be a response or a command.
            return self._close(answers.UNSYNCHRONISED)
        if obstacle is not None:
            return self._say(obstacle)
        self._exchange = Exchange(argument)
        return self._exchanged(self._exchange.begin())

    def _obstacle_to_auth(self) -> Answer | None:
        if not self._greeted:
            return answers.GREET_FIRST
        if not self._may_sign_in:
            return answers.AUTH_OVER_TLS
        if self._transaction is not None:
            return answers.IN_TRANSACTION
        if self._submitter is not None and self._submitter.key is not None:
            return answers.AUTH_TWICE
        return None

    def _respond(self, line: bytes) -> list[Effect]:
        exchange = self._exchange
        self._mode = Mode.COMMAND
        if exchange is None:
            return self._say(answers.AUTH_SYNTAX)
        try:
            return self._exchanged(exchange.respond(line))
        except Refused as refusal:
            self._exchange = None
            return self._say(refusal.answer)

    def _exchanged(self, result: bytes | Credentials) -> list[Effect]:
        if isinstance(result, bytes):
            self._mode = Mode.RESPONSE
            return [Write(result)]
        self._exchange = None
        self._stream = result.stream
        self._mode = Mode.WAITING
        return [Authenticate(result)]

    # Content

    def _begin_content(self, argument: bytes) -> list[Effect]:
        if self._lines.take_rest():
            # Content that came before its 354, whether or not DATA is going to be refused.
            return self._close(answers.UNSYNCHRONISED)
        if argument:
            return self._say(answers.NO_ARGUMENT)
        if self._transaction is None:
            return self._say(answers.MAIL_FIRST)
        if not self._transaction.recipients:
            return self._say(answers.NO_RECIPIENT)
        self._data = DataReader(self._limits.message)
        self._mode = Mode.CONTENT
        return [Write(answers.GO_AHEAD.wire)]

    def _take_content(self, data: bytes) -> list[Effect]:
        self._held = min(self._held + len(data), self._limits.message)
        if not self._data.feed(data):
            return []
        self._lines.feed(self._data.rest)
        self._mode = Mode.WAITING
        reader, self._data = self._data, DataReader(0)
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            raise RuntimeError("content without a transaction")
        try:
            return [Record(transaction.handover(reader.content()))]
        except ContentTooLarge:
            return self.recorded(answers.TOO_LARGE)
        except BareLineEnding:
            return self.recorded(answers.BARE_LINE_ENDING)

    # Answering

    def _say(self, reply: Answer) -> list[Effect]:
        self._errors += reply.refuses
        if self._errors >= self._limits.errors:
            return [Write(reply.wire), *self._close(answers.CLOSED_ERRORS)]
        return [Write(reply.wire)]

    def _close(self, reply: Answer) -> list[Effect]:
        self._mode = Mode.CLOSED
        self._held = 0
        return [Write(reply.wire), Close()]

    def __repr__(self) -> str:
        return f"<Dialogue {self._mode.name}>"


_ANSWERS = {
    b"NOOP": answers.OK,
    b"VRFY": answers.CANNOT_VERIFY,
    b"HELP": answers.HELP,
    **dict.fromkeys((b"EXPN", b"ETRN", b"TURN", b"SEND", b"SOML", b"SAML"), answers.NOT_OFFERED),
}
_COMMANDS: dict[bytes, Callable[[Dialogue, bytes], list[Effect]]] = {
    b"EHLO": Dialogue._ehlo,  # noqa: SLF001  the class's own table, which must stand behind it
    b"HELO": Dialogue._helo,  # noqa: SLF001
    b"MAIL": Dialogue._mail,  # noqa: SLF001
    b"RCPT": Dialogue._rcpt,  # noqa: SLF001
    b"DATA": Dialogue._begin_content,  # noqa: SLF001
    b"RSET": Dialogue._rset,  # noqa: SLF001
    b"QUIT": Dialogue._quit,  # noqa: SLF001
    b"AUTH": Dialogue._auth,  # noqa: SLF001
    b"STARTTLS": Dialogue._starttls,  # noqa: SLF001
    b"BDAT": Dialogue._bdat,  # noqa: SLF001
}
