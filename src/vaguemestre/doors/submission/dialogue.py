"""One submitter's dialogue as a pure state machine (RFC 5321 §3, §4.1; RFC 6409).

Bytes go in, effects come out; there is no socket, clock or database here. Commands may arrive together
(RFC 2920) and are answered in order. While an effect waits for its result (a sign-in, a commit, a handshake)
no further command is taken up.

Promises: content ends only at CRLF . CRLF. What follows AUTH before its answer is never read as commands,
however it was cut: the session is closed instead. So it is by what follows DATA in the same write. Content
that comes later, behind a DATA that was refused, cannot be told from commands (RFC 5321 §3.3 forbids it): the
session is closed at its first line that is none, as every header field is. Bytes behind STARTTLS are thrown
away (RFC 3207 §4.2). Nobody who has not signed in, or comes from a trusted network, gets as far as a
recipient.
Fails by answering; too many errors, refused sign-ins or a line without end close the session.
"""

from __future__ import annotations

from collections.abc import Callable

from vaguemestre.doors.submission import answers, hello, lines
from vaguemestre.doors.submission.admission import Admission
from vaguemestre.doors.submission.answers import Answer, answer
from vaguemestre.doors.submission.conduct import IDLE, TINY, Conduct, has_control, is_handshake, is_web
from vaguemestre.doors.submission.effects import (
    Authenticate,
    Close,
    Declined,
    Drop,
    Effect,
    StartTls,
    Store,
)
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.mode import Mode
from vaguemestre.doors.submission.paths import Refused, parse_mail, parse_rcpt
from vaguemestre.doors.submission.receiving import Receiving, parse_chunk
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.doors.submission.transaction import Transaction, obstacle
from vaguemestre.ledger.models import ApiKey
from vaguemestre.smtp.wire import BareLineEnding, LineReader, LineTooLong


class Dialogue:
    """One session's state. `peer` decides on trust and on whether AUTH may go unencrypted.

    Attributes:
        mode: what the next bytes will be taken for.
        content: what is being received: how much of it is in memory.
    """

    def __init__(self, terms: Terms, peer: Peer, *, secure: bool) -> None:
        self._terms = terms
        self._limits = terms.limits
        self._peer = peer
        self._admission = Admission(terms, peer, secure=secure)
        self._lines = LineReader(self._limits.command)
        self.content = Receiving(self._limits)
        self.mode = Mode.WAITING
        self._greeted = False
        self._untouched = True  # no byte has been read
        self._transaction: Transaction | None = None
        self._conduct = Conduct(self._limits)
        self._unheeded = False  # DATA was refused, so that content may come all the same
        self._draining = False

    # What happens to it

    def begin(self) -> list[Effect]:
        """The greeting (RFC 5321 §3.1)."""
        if self._draining:
            return self._close(answers.CLOSED_DOWN)
        self.mode = Mode.COMMAND
        return [answer(220, "", f"{self._terms.name} ESMTP Vaguemestre").wire]

    def receive(self, data: bytes) -> list[Effect]:
        """Bytes of the submitter."""
        mode = self.mode
        if mode is Mode.COMMAND and not self._lines.buffer:
            said = lines.known(data) or lines.sole(data, self._limits.command)
            if said is not None:
                self._untouched = False
                return self._command(*said)
        if mode is Mode.CONTENT:
            return self._proceed(self._take_content(data))
        if mode is Mode.CLOSED:
            return []
        if self._untouched and data:
            self._untouched = False
            if is_handshake(data):
                return self._close(answers.CLOSED_PROTOCOL)
        self._lines.feed(data)
        return self._proceed([])

    def signed_in(self, key: ApiKey) -> list[Effect]:
        """The ledger knows the key."""
        if self._lines.take_rest():
            return self._close(answers.UNSYNCHRONISED)
        self._admission.signed_in(key)
        return self._answered(self._say(answers.SIGNED_IN))

    def sign_in_refused(self, reply: Answer, *, again: bool = False) -> list[Effect]:
        """The ledger does not take the key, or (4yz) cannot say; `again` if this was answered before."""
        if self._lines.take_rest():
            return self._close(answers.UNSYNCHRONISED)
        if not self._conduct.bears_sign_in(reply, again=again):
            return [reply.wire, *self._close(answers.CLOSED_FAILURES)]
        return self._answered(self._say(reply))

    def stored(self, outcome: int | Answer) -> list[Effect]:
        """The ledger has stored the piece in that parcel, or says why not."""
        self.content.stored(outcome)
        effects = self._go_on_with_content()
        if self.mode is Mode.CONTENT:
            effects += self._take_content(self._lines.take_rest())
        return self._proceed(effects)

    def recorded(self, reply: Answer) -> list[Effect]:
        """The ledger has committed the handover (250), or says why not."""
        self.content = Receiving(self._limits)
        self._conduct.message()
        return self._proceed(self._answered([reply.wire]))

    def secured(self) -> list[Effect]:
        """TLS is in use: everything learnt before it is forgotten (RFC 3207 §4.2)."""
        self._lines.take_rest()
        self._greeted = False
        self._admission.secured()
        return self._answered([])

    def turn_away(self, reply: Answer) -> list[Effect]:
        """The session ends for a reason that lies outside the dialogue, which the 421 names."""
        return [] if self.mode is Mode.CLOSED else self._close(reply)

    def lost(self) -> list[Effect]:
        """There is nobody any more."""
        self.mode = Mode.CLOSED
        return self._abandon()

    def drain(self) -> list[Effect]:
        """The listener stops: content that is under way may still end, everything else is over."""
        if self.mode in {Mode.CONTENT, Mode.CHUNK, Mode.WAITING}:
            self._draining = True
            return []
        return self.turn_away(answers.CLOSED_DOWN)

    # Reading

    def _answered(self, effects: list[Effect]) -> list[Effect]:
        """Expect a command again, unless it is over."""
        if self.mode is Mode.CLOSED:
            return effects
        if self._draining:
            return [*effects, *self._close(answers.CLOSED_DOWN)]
        self.mode = Mode.COMMAND
        return effects

    def _proceed(self, effects: list[Effect]) -> list[Effect]:
        """Take up complete lines, and counted octets, for as long as they are what is expected."""
        while self._lines.buffer:
            if self.mode is Mode.CHUNK:
                effects += self._take_content(self._lines.take(self.content.left))
                continue
            if self.mode is not Mode.COMMAND and self.mode is not Mode.RESPONSE:
                break
            try:
                line = self._lines.next_line()
            except BareLineEnding:
                line = b"\r"  # in its place: no command either, and no response
            except LineTooLong:
                long = answers.AUTH_LONG if self.mode is Mode.RESPONSE else answers.LONG_LINE
                effects += self._close(long)
                break
            if line is None:
                break
            effects += self._respond(line) if self.mode is Mode.RESPONSE else self._foreign_command(line)
        return effects

    def _foreign_command(self, line: bytes) -> list[Effect]:
        """Of any octets."""
        return self._say(answers.BAD_LINE) if has_control(line) else self._command(*lines.apart(line))

    def _command(self, verb: bytes, argument: bytes) -> list[Effect]:
        if verb in IDLE:
            self._conduct.idle()
        command = _COMMANDS.get(verb)
        try:
            return self._other(verb) if command is None else command(self, argument)
        except Refused as refusal:
            return self._say(refusal.answer)

    def _other(self, verb: bytes) -> list[Effect]:
        if is_web(verb):
            return self._close(answers.CLOSED_PROTOCOL)
        return self._say(answers.TO_COMMANDS.get(verb, answers.UNKNOWN_COMMAND))

    # Commands

    def _ehlo(self, argument: bytes) -> list[Effect]:
        return self._greet(argument, hello.ehlo(self._terms, self._peer, secure=self._admission.secure))

    def _helo(self, argument: bytes) -> list[Effect]:
        return self._greet(argument, hello.helo(self._terms, self._peer))

    def _greet(self, argument: bytes, reply: Answer) -> list[Effect]:
        if not hello.is_name(argument):
            return self._say(answers.NO_NAME)
        self._greeted = True
        return [*self._abandon(), *self._say(reply)]

    def _mail(self, argument: bytes) -> list[Effect]:
        if not self._greeted or self._transaction is not None:
            return self._say(answers.IN_TRANSACTION if self._greeted else answers.GREET_FIRST)
        submitter = self._admission.submitter
        if submitter is None:
            return self._say(self._admission.first)
        mail = parse_mail(argument, self._limits.message)
        if not submitter.may_send_as(mail.reverse_path):
            return self._say(answers.SENDER_NOT_ALLOWED)
        self._transaction = Transaction(submitter, mail)
        return self._say(answers.SENDER_TAKEN)

    def _rcpt(self, argument: bytes) -> list[Effect]:
        transaction = self._transaction
        if transaction is None:
            return self._say(answers.MAIL_FIRST)
        if self.content.begun:
            return self._say(answers.BETWEEN_CHUNKS)
        rcpt = parse_rcpt(argument, utf8=transaction.mail.utf8)
        before = len(transaction.recipients)
        taken = transaction.take(rcpt, self._limits.recipients)
        if len(transaction.recipients) == before:
            self._conduct.surplus()
        return self._say(answers.RECIPIENT_TAKEN if taken else answers.TOO_MANY_RECIPIENTS)

    def _quit(self, argument: bytes) -> list[Effect]:
        return self._say(answers.NO_ARGUMENT) if argument else self._close(answers.BYE)

    def _rset(self, argument: bytes) -> list[Effect]:
        if argument:
            return self._say(answers.NO_ARGUMENT)
        return [*self._abandon(), *self._say(answers.OK)]

    def _starttls(self, argument: bytes) -> list[Effect]:
        if argument:
            return self._say(answers.NO_ARGUMENT)
        if self._admission.secure:
            return self._say(answers.TLS_ALREADY)
        if self._terms.tls is None:
            return self._say(answers.TLS_NOT_OFFERED)
        self._lines.take_rest()  # clear text, injected or not, is never read behind TLS
        self.mode = Mode.WAITING
        return [*self._abandon(), answers.START_TLS.wire, StartTls()]

    # Signing in

    def _auth(self, argument: bytes) -> list[Effect]:
        if self._lines.take_rest():
            # RFC 2920 §3.1: AUTH ends a group. What was sent behind it may be a response or a command.
            return self._close(answers.UNSYNCHRONISED)
        if not self._greeted or self._transaction is not None:
            return self._say(answers.IN_TRANSACTION if self._greeted else answers.GREET_FIRST)
        why_not = self._admission.obstacle()
        return self._exchanged(self._admission.begin(argument)) if why_not is None else self._say(why_not)

    def _respond(self, line: bytes) -> list[Effect]:
        self.mode = Mode.COMMAND
        try:
            return self._exchanged(self._admission.respond(line))
        except Refused as refusal:
            if self._lines.take_rest():
                return self._close(answers.UNSYNCHRONISED)
            return self._say(refusal.answer)

    def _exchanged(self, result: bytes | Credentials) -> list[Effect]:
        if isinstance(result, bytes):
            self.mode = Mode.RESPONSE
            return [result]
        self.mode = Mode.WAITING
        return [Authenticate(result)]

    # Content

    def _begin_data(self, argument: bytes) -> list[Effect]:
        if self._lines.take_rest():
            # Content that came before its 354, whether or not DATA is going to be refused.
            return self._close(answers.UNSYNCHRONISED)
        self._unheeded = True
        if argument:
            return self._say(answers.NO_ARGUMENT)
        why_not = answers.BETWEEN_CHUNKS if self.content.begun else obstacle(self._transaction)
        if why_not is not None:
            return self._say(why_not)
        self._unheeded = False
        self.content.begin_data()
        self.mode = Mode.CONTENT
        return [answers.GO_AHEAD.wire]

    def _begin_chunk(self, argument: bytes) -> list[Effect]:
        chunk = parse_chunk(argument)
        if chunk is None:
            # Where its octets end, and commands begin again, nobody knows.
            return self._close(answers.CHUNK_SYNTAX)
        size, last = chunk
        if size > self._limits.message and (self._transaction is None or size >= self._limits.chunk):
            # Whoever says it would be read for ever, and may be a stranger.
            return self._close(answers.MAIL_FIRST if self._transaction is None else answers.TOO_LARGE)
        if size <= TINY and not last:
            self._conduct.idle()
        self.content.begin_chunk(size, obstacle(self._transaction), last=last)
        self.mode = Mode.CHUNK
        return [] if self.content.left else self._go_on_with_content()

    def _take_content(self, data: bytes) -> list[Effect]:
        self.content.feed(data)
        if self.content.rest:
            self._lines.feed(self.content.take_rest())
        return self._go_on_with_content()

    def _go_on_with_content(self) -> list[Effect]:
        """Have stored what is more than may stay in memory; then see whether an end was reached."""
        content = self.content
        piece = content.piece()
        if piece is not None:
            self.mode = Mode.WAITING
            return [Store(piece)]
        if not content.ended:
            self.mode = Mode.CHUNK if content.left else Mode.CONTENT
            return self._drop() if content.fault else []
        if content.fault is not None:
            return self._decline(content.fault)
        if not content.last:
            return self._answered(self._say(answers.octets(content.size)))
        return self._hand_over()

    def _hand_over(self) -> list[Effect]:
        transaction = self._transaction
        handover = transaction.handover(self.content) if transaction else answers.MAIL_FIRST
        if isinstance(handover, Answer):
            return self._decline(handover)
        self.content.parcel = None  # it is the ledger's to use or to drop
        self._transaction = None
        self.mode = Mode.WAITING
        return [handover]

    def _decline(self, reply: Answer) -> list[Effect]:
        """The content becomes no message, and the transaction ends (RFC 3030 §2)."""
        size, transaction = self.content.size, self._transaction
        dropped = self._abandon()
        if transaction is None or not transaction.recipients:
            return self._answered([*dropped, *self._say(reply)])
        # A refused message is no error of the dialogue: a batch may hold many.
        self._conduct.message()
        declined = Declined(transaction.submitter, reply, len(transaction.recipients), size)
        return self._answered([*dropped, declined, reply.wire])

    def _abandon(self) -> list[Effect]:
        """No transaction is under way any more."""
        dropped = self._drop()
        self._transaction = None
        if self.content.begun:
            self.content = Receiving(self._limits)
        return dropped

    def _drop(self) -> list[Effect]:
        parcel = self.content.take_parcel()
        return [] if parcel is None else [Drop(parcel)]

    # Answering

    def _say(self, reply: Answer) -> list[Effect]:
        if reply.code >= 500:
            self._conduct.error()
            if self._unheeded and reply.code == 500:  # this is no command
                return self._close(answers.UNSYNCHRONISED)
        if self._conduct.borne:
            return [reply.wire]
        return [reply.wire, *self._close(answers.CLOSED_ERRORS)]

    def _close(self, reply: Answer) -> list[Effect]:
        self.mode = Mode.CLOSED
        return [*self._abandon(), reply.wire, Close()]

    def __repr__(self) -> str:
        return f"<Dialogue {self.mode.name}>"


_COMMANDS: dict[bytes, Callable[[Dialogue, bytes], list[Effect]]] = {
    b"EHLO": Dialogue._ehlo,  # noqa: SLF001  the class's own table, which must stand behind it
    b"HELO": Dialogue._helo,  # noqa: SLF001
    b"MAIL": Dialogue._mail,  # noqa: SLF001
    b"RCPT": Dialogue._rcpt,  # noqa: SLF001
    b"DATA": Dialogue._begin_data,  # noqa: SLF001
    b"RSET": Dialogue._rset,  # noqa: SLF001
    b"QUIT": Dialogue._quit,  # noqa: SLF001
    b"AUTH": Dialogue._auth,  # noqa: SLF001
    b"STARTTLS": Dialogue._starttls,  # noqa: SLF001
    b"BDAT": Dialogue._begin_chunk,  # noqa: SLF001
}
