"""Opening a session: resolve, connect, TLS, greeting, EHLO, STARTTLS, AUTH (RFC 5321 §3.1, RFC 3207, RFC
4954).

Every stage ends in what was asked for or in `SessionFailed`; none is skipped and none weakened. Nothing
secret is written before the link is protected, loopback excepted. What was announced in clear counts for
nothing after TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from dataclasses import replace

from vaguemestre.egress import HostUnknown, LookupFailed, NotPermitted
from vaguemestre.mail.account import AuthKind, Encryption
from vaguemestre.mail.phase import Cause, Phase
from vaguemestre.mail.transcript import Step
from vaguemestre.smtp import sasl, wire
from vaguemestre.smtp.capabilities import Capabilities
from vaguemestre.smtp.certificate import Certificate
from vaguemestre.smtp.hop import NextHop
from vaguemestre.smtp.link import LinkLost, cause_of
from vaguemestre.smtp.network import DialFailed, Network, TlsFailed
from vaguemestre.smtp.session import RESPONSE, Observe, Session, SessionFailed, unobserved
from vaguemestre.smtp.silence import Silence, interpreted
from vaguemestre.smtp.timeouts import Timeouts

TLS_PORTS = frozenset({465, 2465})  # where servers want TLS at once and say nothing before it
_COMMAND_LINE = 512  # octets, RFC 5321 §4.5.3.1.4: a longer initial response waits for its 334
_INSPECTION = 5.0  # seconds at most to read a certificate that was refused
# How what is no SMTP server begins to speak.
_TONGUES = {b"HTTP/": "web", b"<": "web", b"SSH-": "ssh", b"* ": "imap", b"+OK": "pop", b"-ERR": "pop"}
_CERTIFICATE = frozenset(cause for cause in Cause if cause.value.startswith("certificate_"))


async def open_session(
    hop: NextHop, network: Network, timeouts: Timeouts, observe: Observe = unobserved
) -> Session:
    """A session that is ready for mail.

    Args:
        hop: where, how protected, how signed in.
        network: how to get there.
        timeouts: of each phase.
        observe: called with each step as it happens.

    Raises:
        SessionFailed: with the trouble and the steps until then. Nothing is left open.
    """
    session = Session(hop, network, timeouts, observe)
    await bring_up(session)
    return session


async def bring_up(session: Session) -> None:
    """Open a session that was made and not dialled yet; who made it keeps what it learned if it fails.

    Raises:
        SessionFailed: as `open_session` does.
    """
    try:
        await _open(session)
    except SessionFailed:
        session.mute()
        await session.quit()
        raise
    except BaseException:
        session.abort()
        raise


async def _open(session: Session) -> None:
    hop = session.hop
    await _reach(session)
    if hop.encryption is Encryption.SSL:
        await _protect(session, Phase.TLS)
    await _greet(session)
    await _introduce(session)
    if hop.encryption is Encryption.STARTTLS:
        await _start_tls(session)
        await _protect(session, Phase.STARTTLS)
        await _introduce(session)
    if hop.auth is not AuthKind.NONE:
        await _sign_in(session)
    session.opened()


async def _reach(session: Session) -> None:
    """Resolve and connect."""
    hop, network = session.hop, session.network
    sent, started = f"resolve {hop.host}", network.monotonic()
    try:
        async with asyncio.timeout(session.timeouts.resolve):
            addresses = session.addresses = await network.resolve(hop.host, hop.port)
    except (NotPermitted, HostUnknown, LookupFailed, TimeoutError) as error:
        cause, elapsed = _resolve_cause(error), network.monotonic() - started
        raise _unreached(session, Step(Phase.RESOLVE, sent, None, cause, elapsed), cause) from None
    shown = ", ".join(map(str, addresses))
    session.record(Step(Phase.RESOLVE, sent, elapsed=network.monotonic() - started, detail=shown))
    started = network.monotonic()
    try:
        link = await network.dial(
            addresses, hop.port, source=hop.source_address, within=session.timeouts.connect
        )
    except DialFailed as failure:
        sent, elapsed = f"connect to port {hop.port}", network.monotonic() - started
        step = Step(Phase.CONNECT, sent, None, failure.cause, elapsed, shown)
        raise _unreached(session, step, failure.cause) from None
    session.dialled(link)
    sent = f"connect to {session.peer} port {hop.port}"
    session.record(Step(Phase.CONNECT, sent, elapsed=network.monotonic() - started, detail=session.peer))


def _unreached(session: Session, step: Step, cause: Cause) -> SessionFailed:
    session.record(step)
    facts = {"addresses": step.detail} if step.detail else {}
    if cause is Cause.SOURCE_ADDRESS:
        facts["source_address"] = session.hop.source_address
    return session.failed(session.trouble(step.phase, cause, None, facts))


def _resolve_cause(error: Exception) -> Cause:
    match error:
        case NotPermitted():
            return Cause.NOT_PERMITTED
        case HostUnknown():
            return Cause.HOST_UNKNOWN
        case LookupFailed():
            return Cause.LOOKUP_FAILED
        case _:
            return Cause.TIMEOUT


async def _greet(session: Session) -> None:
    async with interpreted(session) as silence:
        raw = await session.receive(Phase.GREETING, "", lambda error: _no_greeting(session, silence, error))
    if raw.code != 220:
        raise session.failed(session.trouble(Phase.GREETING, Cause.REPLY, raw.reply))


def _no_greeting(session: Session, silence: Silence, error: Exception) -> tuple[Cause, dict[str, str]]:
    """Why there is no greeting. A server's bytes are not repeated, only what kind it is: it may be anything
    (SSRF).
    """
    cause = Cause.TLS_EXPECTED if silence.awaits_tls else _greeting_cause(session, error)
    if cause is not Cause.NOT_SMTP or not isinstance(error, wire.MalformedReply):
        return cause, {}
    kind = next((kind for start, kind in _TONGUES.items() if error.start.startswith(start)), "")
    return cause, {"speaks": kind} if kind else {}


def _greeting_cause(session: Session, error: Exception) -> Cause:
    plain = session.tls is None
    if isinstance(error, wire.MalformedReply):
        if plain and error.start[:2] in {b"\x15\x03", b"\x16\x03"}:  # a record of TLS
            return Cause.TLS_EXPECTED
        meant = error.lines or error.start.startswith(b"220")  # a mail server, though not by the rules
        return Cause.MALFORMED if meant else Cause.NOT_SMTP
    if plain and session.hop.port in TLS_PORTS:
        return Cause.TLS_EXPECTED
    return cause_of(error)


async def _introduce(session: Session) -> None:
    """EHLO; HELO only where nothing that EHLO announces is needed (faults U12)."""
    hop = session.hop
    raw = await session.exchange(Phase.EHLO, wire.command("EHLO", hop.ehlo_name))
    if raw.code == 250:
        session.capabilities = Capabilities.parse(raw.lines)
        return
    plain = hop.encryption is Encryption.NONE and hop.auth is AuthKind.NONE
    if raw.code in {500, 502} and plain:
        raw = await session.exchange(Phase.EHLO, wire.command("HELO", hop.ehlo_name))
        if raw.code == 250:
            session.capabilities = Capabilities()
            return
    raise session.failed(session.trouble(Phase.EHLO, Cause.REPLY, raw.reply))


async def _start_tls(session: Session) -> None:
    """The command; the handshake is `_protect`'s."""
    if not session.capabilities.starttls:
        session.record(Step(Phase.STARTTLS, "STARTTLS", error=Cause.NOT_OFFERED))
        raise session.failed(session.trouble(Phase.STARTTLS, Cause.NOT_OFFERED, None, _offered(session)))
    raw = await session.exchange(Phase.STARTTLS, wire.command("STARTTLS"))
    if raw.code != 220:
        raise session.failed(session.trouble(Phase.STARTTLS, Cause.REPLY, raw.reply))
    # Whatever came in clear behind the 220 may be anybody's (RFC 3207 §4.2, response injection).
    session.check_quiet(Phase.STARTTLS)


def _offered(session: Session) -> dict[str, str]:
    return {"offered": " ".join(sorted(session.capabilities.keywords))[:500]}


async def _protect(session: Session, phase: Phase) -> None:
    """The handshake, in its own step of the transcript."""
    network, started = session.network, session.network.monotonic()
    try:
        async with asyncio.timeout(session.timeouts.tls):
            tls = await network.start_tls(session.link, session.hop.host, session.hop.pinned_certificate)
    except (TlsFailed, TimeoutError) as error:
        failure = error if isinstance(error, TlsFailed) else TlsFailed(Cause.TIMEOUT)
        elapsed = network.monotonic() - started
        session.abort()
        facts = {**failure.facts, **await _certificate_facts(session, failure)}
        session.record(Step(phase, "TLS handshake", None, failure.cause, elapsed))
        raise session.broken(session.trouble(phase, failure.cause, None, facts)) from None
    session.protected(tls)
    elapsed = network.monotonic() - started
    session.record(Step(phase, "TLS handshake", elapsed=elapsed, detail=str(tls)))


async def _certificate_facts(session: Session, failure: TlsFailed) -> dict[str, str]:
    """What the refused certificate says; a second link is opened for it, and nothing is said there."""
    certificate = failure.certificate
    if certificate is None and failure.cause in _CERTIFICATE:
        with contextlib.suppress(SessionFailed, TlsFailed, DialFailed, TimeoutError, LinkLost):
            async with asyncio.timeout(min(_INSPECTION, session.timeouts.tls)):
                certificate = await _inspect(session)
    session.presented = certificate
    return {} if certificate is None else certificate.facts()


async def _inspect(failed: Session) -> Certificate:
    session = Session(replace(failed.hop, secret=None), failed.network, failed.timeouts)
    try:
        address = ipaddress.ip_address(failed.peer)
        link = await session.network.dial(
            (address,), session.hop.port, source=session.hop.source_address, within=session.timeouts.connect
        )
        session.dialled(link)
        if session.hop.encryption is Encryption.STARTTLS:
            await _greet(session)
            await _introduce(session)
            await _start_tls(session)
        return await session.network.read_certificate(link, session.hop.host)
    finally:
        session.abort()


async def _sign_in(session: Session) -> None:
    """AUTH, once (RFC 4954)."""
    mechanism = _mechanism(session)
    raw = await _auth(session, mechanism)
    while raw.code == 334:
        response = mechanism.respond(raw.lines[-1])
        if response is None:
            await session.exchange(Phase.AUTH, wire.line("*"))
            raise session.failed(session.trouble(Phase.AUTH, Cause.MALFORMED, raw.reply, mechanism.facts))
        shown = RESPONSE if response else "(empty)"
        raw = await session.exchange(Phase.AUTH, wire.line(response), shown, detail=sasl.told(mechanism))
    if raw.code != 235:
        raise session.failed(session.trouble(Phase.AUTH, Cause.REPLY, raw.reply, mechanism.facts))
    session.mechanism = mechanism.name


async def _auth(session: Session, mechanism: sasl.Mechanism) -> wire.RawReply:
    """The command, with the initial response where there is one and the line stays short."""
    verb, initial = f"AUTH {mechanism.name}", mechanism.initial
    if initial is None:
        return await session.exchange(Phase.AUTH, wire.command("AUTH", mechanism.name))
    line = wire.command("AUTH", mechanism.name, initial)
    if len(line) <= _COMMAND_LINE:
        return await session.exchange(Phase.AUTH, line, f"{verb} {RESPONSE}")
    raw = await session.exchange(Phase.AUTH, wire.command("AUTH", mechanism.name))
    if raw.code != 334:
        return raw
    return await session.exchange(Phase.AUTH, wire.line(initial), RESPONSE)


def _mechanism(session: Session) -> sasl.Mechanism:
    """How to sign in; raises before anything is written if there is no way, or none that is safe."""
    hop, offered = session.hop, session.capabilities.auth
    if session.tls is None and not ipaddress.ip_address(session.peer).is_loopback:
        raise _no_way(session, Cause.NOT_PERMITTED)
    if not offered:
        raise _no_way(session, Cause.NOT_OFFERED)
    mechanism = sasl.choose(offered, hop)
    if mechanism is None:
        raise _no_way(session, Cause.NO_MECHANISM)
    return mechanism


def _no_way(session: Session, cause: Cause) -> SessionFailed:
    session.record(Step(Phase.AUTH, "AUTH", error=cause))
    offered, fixed = session.capabilities.auth, session.hop.mechanism
    facts = {"offered": " ".join(offered)[:500]}
    if session.hop.auth is AuthKind.OAUTH2:
        facts |= {"oauth": "not_offered"}
    if fixed and fixed not in offered:
        facts |= {"fixed": fixed}
    return session.failed(session.trouble(Phase.AUTH, cause, None, facts))
