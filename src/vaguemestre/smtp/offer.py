"""An offer: one transaction as it goes, without I/O: what is said for a message, and what each reply means.

Each manner (`serial`, `chunked`) writes an offer's commands and hands every reply back, in order, to `heard`.
Its answer says whether what follows can still be read: a trouble ends the session, and is what stands behind
it. `broke` tells an offer that the dialogue ended; `result` then has an outcome for every recipient.

Two rules of design §6 live here. MAIL that is not answered 2yz voids the transaction, whatever is said to
RCPT and to the content behind it. And once the write that ends its data went out (`ended`), only a definite
answer keeps an offer out of doubt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from vaguemestre.mail.mailbox import Mailbox
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause, Phase, Trouble
from vaguemestre.mail.reply import Reply
from vaguemestre.mail.transcript import Step
from vaguemestre.smtp.body import Body
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.command import BARE, DATA, RSET, Command, Parameters, mail, rcpt
from vaguemestre.smtp.flow import Message
from vaguemestre.smtp.outcome import Outcome, Result

_CLOSING = 421  # closes the session (RFC 5321 §3.8)
_OUT_OF_ORDER = 503  # the server's idea of the dialogue is not ours
_UNKNOWN_COMMAND = frozenset({500, 502})
_BDAT_NOT_TAKEN = frozenset({500, 501, 502, 503, 504})

type Explain = Callable[..., Trouble]  # `Session.trouble`


class Offer:
    """See the module.

    Attributes:
        message: what is offered.
        body: its content as this server takes it.
        shown: the same, for the transcript.
        manner: how it is written.
        first: whether it is its session's first transaction.
        grouped: how many are in flight with it.
        steps: its transcript.
        staged: whether the flow said that it may be finished.
        ended: whether the write that ends its data was handed over.
        blind: whether its content left before anything of it was answered.
        odd: whether a reply of a blind one fits no server in step; what stands behind the window tells.
        closes: whether the session must be closed once what is due was read.
        accepted: whether the server took it.
        asked: whether the server waits for content (354).
        lone_dot: whether that is content that nobody is to get.
        again: whether it is to be offered once more, without parameters (faults U24).
    """

    def __init__(self, message: Message, manner: Manner, explain: Explain) -> None:
        self.message = message
        self.body: Body = message.body
        self.manner = manner
        self.first = False
        self.grouped = 1
        self.shown = ""
        self.steps: list[Step] = []
        self.staged = self.closes = self.blind = self.odd = False
        self._explain = explain
        self._number = len(message.envelope.recipients)
        self._impossible: dict[str, Outcome] = {}  # by address: judged before a byte went out
        self._parameters = BARE
        self._begin()

    def _begin(self) -> None:
        """Nothing was said yet."""
        self.ended = self.accepted = self.asked = self.lone_dot = self.again = False
        self._outcomes = {**self._impossible}
        self._accepted: dict[str, int] = {}  # addresses at RCPT, with how many were before
        self._refused_reset: Trouble | None = None
        self._void: Trouble | None = None  # MAIL was turned down
        self._stray = False  # a recipient was taken into a void transaction

    # Where it stands

    @property
    def left(self) -> tuple[Mailbox, ...]:
        """The recipients without an outcome."""
        recipients, outcomes = self.message.envelope.recipients, self._outcomes
        return tuple([one for one in recipients if one.wire not in outcomes]) if outcomes else recipients

    @property
    def over(self) -> bool:
        """Whether every recipient has an outcome."""
        return len(self._outcomes) == self._number

    @property
    def reach(self) -> tuple[Mailbox, ...]:
        """The recipients that its end of data may reach, as far as is known now: whom the server took."""
        taken, recipients = self._accepted, self.message.envelope.recipients
        if len(taken) == len(recipients):
            return recipients
        return tuple([one for one in recipients if one.wire in taken]) or self.left

    @property
    def flawless(self) -> bool:
        """Whether every reply was 2yz."""
        offered = self._number - len(self._impossible)
        return self.accepted and not self.closes and len(self._accepted) == offered

    @property
    def ready(self) -> bool:
        """Whether there is somebody to write content for."""
        return self._void is None and bool(self._accepted) and len(self._outcomes) < self._number

    @property
    def hopeless(self) -> bool:
        """Whether nobody will be taken, whatever else is said."""
        return self._void is not None or (not self._accepted and self.over)

    def result(self) -> Result:
        """What became of it, once all was read: what MAIL was answered holds for all who are left."""
        if self._void is not None and not self.again:
            self.fail(self._void)
        outcomes = tuple([self._outcomes[recipient.wire] for recipient in self.message.envelope.recipients])
        return Result(outcomes, self.staged, tuple(self.steps), self.manner, self.first, self.grouped)

    # Before a byte goes out

    async def fit(self, capabilities: Capabilities) -> None:
        """Make the content fit what the server announced."""
        eight_bit, smtputf8 = capabilities.eight_bit, capabilities.smtputf8
        self.body = await self.body.fitted(eight_bit=eight_bit, smtputf8=smtputf8)

    def judge(self, capabilities: Capabilities) -> None:
        """Judge what the announcement rules out."""
        envelope = self.message.envelope
        if not capabilities.smtputf8 and envelope.needs_smtputf8:
            self._miss_smtputf8(envelope.reverse_path)
        size, limit = self.body.size, capabilities.size
        self.shown = f"content, {size} bytes"
        if limit is not None and size > limit:
            facts = {"size": str(size), "limit": str(limit)}
            self.fail(self._explain(Phase.MAIL, Cause.TOO_LARGE, None, facts))
        self._impossible = {**self._outcomes}
        self._parameters = Parameters.of(envelope, self.body, capabilities)

    def _miss_smtputf8(self, path: Mailbox | None) -> None:
        if path is not None and path.needs_smtputf8:
            self.fail(self._explain(Phase.MAIL, Cause.SMTPUTF8_NOT_OFFERED))
        for recipient in self.left:
            if recipient.needs_smtputf8:
                self._settle(recipient, self._explain(Phase.RCPT, Cause.SMTPUTF8_NOT_OFFERED))

    async def strip(self) -> None:
        """Begin again without parameters: the server announced some that it does not know."""
        self.body = await self.message.body.fitted(eight_bit=False, smtputf8=False)
        self.shown = f"content, {self.body.size} bytes"
        self._parameters = BARE
        self._begin()

    # What is said

    def commands(self, *, reset: bool) -> list[Command]:
        """Up to the last RCPT, or to DATA; RSET in front where the session was used before."""
        said = [mail(self.message.envelope.reverse_path, self._parameters), *map(rcpt, self.left)]
        if reset:
            said.insert(0, RSET)
        if self.manner is not Manner.BDAT:
            said.append(DATA)
        return said

    # What is heard

    def heard(self, command: Command, reply: Reply) -> Trouble | None:
        """The reply to a command, other than 421.

        Args:
            command: the one that it answers.
            reply: as it came.

        Returns:
            None while the dialogue is in order; else the trouble of whatever was written behind this.
        """
        if command.phase is Phase.CONTENT:
            return self._end_answered(command, reply) if self.ended else self._chunk_answered(command, reply)
        answered = self._ANSWERED[command.phase]
        return answered(self, command, reply)

    def closed(self, command: Command, reply: Reply, *, went_on: bool) -> Trouble:
        """A 421 to a command; `went_on` if the server spoke on behind it, which it must not."""
        trouble = self._explain(command.phase, Cause.REPLY, reply)
        if went_on and command.phase is not Phase.CONTENT:
            self.broke(self._undue())
        elif self.ended and command.phase is Phase.CONTENT and self._void is None:
            self.fail(trouble, after_dot=True)
        else:
            self.broke(trouble)
        return self._undue() if went_on else trouble

    def _reset_answered(self, command: Command, reply: Reply) -> Trouble | None:
        if reply.positive:
            return None
        if reply.intermediate:
            return self._misread(command, reply)
        self._refused_reset = self._explain(Phase.RSET, Cause.REPLY, reply)
        if self.ended:
            self.closes = self.odd = True
            return None
        self.fail(self._refused_reset)
        return self._refused_reset

    def _mail_answered(self, command: Command, reply: Reply) -> Trouble | None:
        if reply.positive:
            return None
        if reply.intermediate:
            return self._misread(command, reply)
        self.again = reply.code == 555 and self._parameters.optional
        # Where RSET was refused, MAIL is refused for what that left open, and not for its own sake.
        trouble = self._refused_reset or self._explain(Phase.MAIL, Cause.REPLY, reply)
        return self._turned_down(trouble, reply)

    def _rcpt_answered(self, command: Command, reply: Reply) -> Trouble | None:
        recipient, taken = command.recipient, reply.positive
        if recipient is None or (not taken and reply.intermediate):
            return self._misread(command, reply)
        if self._void is not None:
            self._stray = self._stray or taken
            self.odd = self.odd or self._stray
        elif taken:
            self._accepted[recipient.wire] = len(self._accepted)
        elif reply.code == _OUT_OF_ORDER:
            return self._turned_down(self._explain(Phase.RCPT, Cause.REPLY, reply), reply)
        else:
            self._settle(recipient, self._explain(Phase.RCPT, Cause.REPLY, reply))
        return None

    def _turned_down(self, trouble: Trouble, reply: Reply) -> Trouble | None:
        """No recipient will get it."""
        self._void = trouble
        if reply.code != _OUT_OF_ORDER:
            return None
        if self.ended:
            self.closes = True
            return None
        self.fail(trouble)
        return trouble

    def _data_answered(self, command: Command, reply: Reply) -> Trouble | None:
        if reply.code == 354:
            return self._content_asked()
        if reply.positive or reply.intermediate:
            return self._misread(command, reply)
        if not self.ready:
            return None  # nobody was taken, and it says so
        trouble = self._explain(Phase.DATA, Cause.REPLY, reply)
        self.fail(trouble)
        return trouble if reply.code == _OUT_OF_ORDER else None

    def _content_asked(self) -> Trouble | None:
        self.asked, self.lone_dot = True, not self.ready
        if self._void is None or not self._stray:
            return None
        # A dot now would give somebody a message without content.
        self.fail(self._void)
        return self._void

    def _chunk_answered(self, command: Command, reply: Reply) -> Trouble | None:
        """To BDAT without LAST."""
        if self.over or reply.positive:
            return None
        if reply.intermediate:
            return self._misread(command, reply)
        if reply.code in _BDAT_NOT_TAKEN:
            return self._bdat_refused(reply)
        self.fail(self._explain(Phase.CONTENT, Cause.REPLY, reply))
        return None

    def _end_answered(self, command: Command, reply: Reply) -> Trouble | None:
        """To the final dot, or to BDAT with LAST."""
        if self._void is not None:
            return self._void_answered(self._void, reply)
        if not self._accepted:
            return self._nobody_answered(command, reply)
        if reply.positive:
            self.accepted = True
            for one in self.reach:
                outcome = Outcome(one, reply, None, True, self._accepted[one.wire])
                self._outcomes.setdefault(one.wire, outcome)
            return None
        if self.manner is Manner.BDAT and reply.code in _BDAT_NOT_TAKEN:
            return self._bdat_refused(reply)
        self.fail(self._explain(Phase.CONTENT, Cause.REPLY, reply), after_dot=True)
        return self._undue() if reply.intermediate or reply.code == _OUT_OF_ORDER else None

    def _void_answered(self, void: Trouble, reply: Reply) -> Trouble | None:
        refused = reply.transient or reply.permanent
        if self.manner is Manner.BDAT and not refused:
            self.fail(self._undue(), after_dot=True)
            self.odd = self.closes = True
            return None
        if not self.again:
            self.fail(void)
        return None if refused else self._undue()

    def _nobody_answered(self, command: Command, reply: Reply) -> Trouble | None:
        if self.manner is Manner.BDAT and reply.intermediate:
            return self._misread(command, reply)
        if self.blind and reply.positive:
            self.odd = self.closes = True
            return None
        return None if reply.transient or reply.permanent else self._undue()

    def _bdat_refused(self, reply: Reply) -> Trouble | None:
        self.closes = True
        unknown = reply.code in _UNKNOWN_COMMAND
        if unknown and self.blind:
            # It took BDAT before: this is more likely another's answer, and its own is still to come.
            self.odd = True
            self.fail(self._undue(), after_dot=True)
        self.fail(self._explain(Phase.DATA, Cause.BDAT_REFUSED, reply))
        # Who does not know the command read the content as commands: what it says now answers those.
        return self._undue() if unknown else None

    def _misread(self, command: Command, reply: Reply) -> Trouble:
        """A reply that this command cannot have: all that were read may be another command's."""
        self.odd = True
        self._outcomes = dict(self._impossible)
        phase = Phase.CONTENT if self.ended else command.phase
        self.fail(self._explain(phase, Cause.REPLY, reply), after_dot=self.ended)
        return self._undue()

    def _undue(self) -> Trouble:
        return self._explain(Phase.CONTENT, Cause.UNDUE)

    _ANSWERED: ClassVar = {
        Phase.RSET: _reset_answered,
        Phase.MAIL: _mail_answered,
        Phase.RCPT: _rcpt_answered,
        Phase.DATA: _data_answered,
    }

    # How it ends

    def broke(self, trouble: Trouble) -> None:
        """The dialogue ended, perhaps before the reply that decides."""
        if self.over:
            return
        if trouble.cause is Cause.UNDUE and not self.ended:
            self._begin()  # what was read may be another command's
        closing = trouble.reply is not None and trouble.reply.code == _CLOSING
        if self._void is not None and self._refused_reset is None:
            self.fail(trouble if self.again else self._void)
        elif self.ended and not closing:
            doubt = self._explain(Phase.CONTENT, trouble.cause, trouble.reply, trouble.facts)
            self.fail(doubt, after_dot=True)
        else:
            self.fail(trouble)

    def out_of_step(self) -> None:
        """What was read was not in its place: neither a yes nor a no of it counts."""
        if not self.ended:
            return
        self.accepted = self.again = False
        self._void = None
        self._outcomes = dict(self._impossible)
        self.fail(self._undue(), after_dot=True)

    def fail(self, trouble: Trouble, *, after_dot: bool = False) -> None:
        """The trouble of every recipient that has no outcome yet."""
        for recipient in self.left:
            self._settle(recipient, trouble, after_dot=after_dot)

    def _settle(self, recipient: Mailbox, trouble: Trouble, *, after_dot: bool = False) -> None:
        before = self._accepted.get(recipient.wire, len(self._accepted))
        outcome = Outcome(recipient, trouble.reply, trouble, after_dot, before)
        self._outcomes.setdefault(recipient.wire, outcome)
