"""Who submits in a session, and how they come to be known: a trusted network, or AUTH (RFC 4954).

Promises: TLS forgets who has signed in before it (RFC 3207 §4.2), and a key is asked for only where nobody
between can read it.
"""

from __future__ import annotations

from vaguemestre.doors.submission import answers, hello
from vaguemestre.doors.submission.answers import Answer
from vaguemestre.doors.submission.effects import Submitter
from vaguemestre.doors.submission.exchange import Credentials, Exchange
from vaguemestre.doors.submission.paths import Refused
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger.models import ApiKey


class Admission:
    """Of one session.

    Attributes:
        secure: whether TLS is in use.
        submitter: None until somebody is known.
    """

    def __init__(self, terms: Terms, peer: Peer, *, secure: bool) -> None:
        self._peer = peer
        self._tls = terms.tls is not None
        self.secure = secure
        self._trusted = Submitter(peer=str(peer)) if peer.within(terms.trust) else None
        self.submitter = self._trusted
        self._exchange: Exchange | None = None
        self._stream: str | None = None

    def secured(self) -> None:
        """TLS is in use."""
        self.secure = True
        self.submitter = self._trusted

    def signed_in(self, key: ApiKey) -> None:
        """The ledger knows the key that was given."""
        self.submitter = Submitter(key, self._stream)

    def obstacle(self) -> Answer | None:
        """Why nobody may sign in now, if so."""
        if not hello.may_sign_in(self._peer, secure=self.secure):
            return answers.AUTH_OVER_TLS if self._tls else answers.AUTH_WITHOUT_TLS
        if self.submitter is not None and self.submitter.key is not None:
            return answers.AUTH_TWICE
        return None

    @property
    def first(self) -> Answer:
        """What somebody who is not known has to do."""
        if hello.may_sign_in(self._peer, secure=self.secure):
            return answers.AUTH_NEEDED
        return answers.TLS_NEEDED if self._tls else answers.TLS_MISSING

    def begin(self, argument: bytes) -> bytes | Credentials:
        """AUTH with its argument, to a challenge as bytes of the wire, or the credentials.

        Raises:
            Refused: see `Exchange`.
        """
        self._exchange = Exchange(argument)
        return self._noted(self._exchange.begin())

    def respond(self, line: bytes) -> bytes | Credentials:
        """A response without its CRLF, to the next challenge or the credentials.

        Raises:
            Refused: see `Exchange`.
        """
        if self._exchange is None:
            raise Refused(answers.AUTH_SYNTAX)
        return self._noted(self._exchange.respond(line))

    def _noted(self, result: bytes | Credentials) -> bytes | Credentials:
        if isinstance(result, Credentials):
            self._exchange, self._stream = None, result.stream
        return result

    def __repr__(self) -> str:
        return f"<Admission of {self._peer}>"
