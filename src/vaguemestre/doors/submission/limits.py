"""What one submitter, and all of them together, may use of the listener: values that a test can set.

RFC 5321 §4.5.3.1 gives the least that must be taken; the numbers here are Postfix's where it has one.
"""

from __future__ import annotations

from dataclasses import dataclass

from vaguemestre.mail.envelope import RECIPIENT_LIMIT


@dataclass(frozen=True)
class Limits:
    """Lengths of time are seconds, sizes bytes.

    Attributes:
        message: largest content that is taken, announced as SIZE (RFC 1870).
        chunk: what is no message's chunk any more, and never read. Of a smaller one that is too large for a
            message the octets are read to their end, where RFC 3030 §2 has the answer.
        held: content of all sessions together that may be in memory.
        recipients: of one transaction.
        command: of a command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512, the parameters of
            SIZE, AUTH, SMTPUTF8 and DSN for more.
        idle: how long a submitter may take for one command, or for `stride` bytes of content.
        stride: bytes of content that count as progress.
        queueing: how long a message may wait for its commit before it is answered 451 instead.
        handshake: of TLS.
        refusal: from a wrong key to its answer, whatever is wrong with it.
        linger: for a submitter to read our last words and close.
        sessions: at once, from everywhere.
        sessions_of_peer: at once, from one address; of IPv6, from one /64.
        errors: refused commands of a session until it is closed.
        idle_commands: NOOP, RSET and the like without a message between them, until each is an error.
        surplus: recipients that were said already, or are too many, without a message between them, until
            each is an error. Lists do hold some twice, and a long one is said to its end.
        failures: refused authentications of a session until it is closed.
        trace: Received fields, beyond which a message is taken to loop (RFC 5321 §6.3).
    """

    message: int = 26_214_400
    chunk: int = 1 << 32
    held: int = 128 * 1_048_576
    recipients: int = RECIPIENT_LIMIT
    command: int = 2_048
    idle: float = 300.0
    stride: int = 16_384
    queueing: float = 60.0
    handshake: float = 30.0
    refusal: float = 0.3
    linger: float = 2.0
    sessions: int = 500
    sessions_of_peer: int = 100
    errors: int = 20
    idle_commands: int = 100
    surplus: int = 1_000
    failures: int = 3
    trace: int = 100
