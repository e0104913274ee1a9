"""An SMTP server that accepts, remembers and can misbehave on request.

In a test:

    async with SinkServer() as sink:                    # asyncio
    with SinkServer(login="app", password="s").in_thread() as sink:   # from plain code
        ...
        sink.accepted[0].content

Behaviour is chosen by hooks, one per phase (`greeting ehlo starttls auth mail rcpt data content rset quit`):
a hook gets the `Moment` and returns an `Answer`, or None for the usual one:

    def busy(moment):
        return Answer("451 4.3.0 try later") if moment.recipients == ("b@example.org",) else None
    SinkServer(hooks={"content": busy})

As its own process (prints `{"port": N}` first, then appends a JSON line for each accepted message to FILE):

    python -m scripted.sink --port 0 --log FILE [--tls ssl|starttls --certificate F --key F] [--login L --password P]

It is written apart from `vaguemestre.smtp` on purpose, so that the two check each other; `faults` lists what
the client did against RFC 5321.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import contextlib
import fnmatch
import hashlib
import json
import random
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TextIO

from scripted.certificates import Certificate, the_certificate


@dataclass(frozen=True)
class Answer:
    """What a hook wants to happen.

    Attributes:
        reply: the line without CRLF, or several joined by CRLF; "" says nothing.
        delay: seconds before it.
        then: `keep`, `drop` (FIN) or `rst` afterwards.
        accepted: whether the content counts as accepted; None follows the reply's first digit.
    """

    reply: str = ""
    delay: float = 0.0
    then: str = "keep"
    accepted: bool | None = None

    @property
    def takes(self) -> bool:
        return self.reply.startswith("2") if self.accepted is None else self.accepted


LOST = Answer(then="drop", accepted=True)  # taken, and the reply to the final dot never comes
DROP = Answer(then="drop")


@dataclass(frozen=True)
class Moment:
    """Where a session stands when a hook is asked.

    Attributes:
        phase: the hook's name.
        session: 1 for the first connection.
        transaction: 1 for the session's first MAIL.
        argument: the command's argument, such as `FROM:<a@example.org> SIZE=10`, or the recipient at rcpt.
        mail: the reverse-path once given; "" is the null one.
        recipients: those accepted so far.
        content: unstuffed, at `content` only.
        tls, login: how the session is protected, and who signed in.
    """

    phase: str
    session: int
    transaction: int
    argument: str = ""
    mail: str | None = None
    recipients: tuple[str, ...] = ()
    content: bytes = b""
    tls: bool = False
    login: str | None = None


@dataclass(frozen=True)
class Accepted:
    """One message that was answered 250 (or taken and then lost on purpose)."""

    session: int
    transaction: int
    mail: str
    recipients: tuple[str, ...]
    content: bytes
    parameters: tuple[str, ...]
    tls: bool
    login: str | None
    at: float
    answered: bool

    def as_json(self) -> dict[str, object]:
        return {
            "at": self.at,
            "session": self.session,
            "transaction": self.transaction,
            "mail": self.mail,
            "recipients": list(self.recipients),
            "parameters": list(self.parameters),
            "tls": self.tls,
            "login": self.login,
            "answered": self.answered,
            "size": len(self.content),
            "sha256": hashlib.sha256(self.content).hexdigest(),
            "content": base64.b64encode(self.content).decode(),
        }


type Hook = Callable[[Moment], Answer | None]


@dataclass
class SinkServer:
    """See the module.

    Attributes:
        encryption: `none`, `ssl` or `starttls`.
        login, password: the only credentials taken; AUTH is announced when a login is set.
        mechanisms: what AUTH announces.
        require_auth: MAIL before AUTH is answered 530.
        keywords: further EHLO lines.
        log: a text file for JSON lines.
        accepted: every message taken, in order.
        commands: every command line heard, `(session, line)`.
        heard: every byte read, decrypted.
        faults: what the client did against the protocol.
        sessions: connections so far; `open_sessions` those not closed.
    """

    host: str = "127.0.0.1"
    port: int = 0
    name: str = "sink.example.org"
    encryption: str = "none"
    certificate: Certificate | None = None
    context: ssl.SSLContext | None = None
    login: str = ""
    password: str = ""
    mechanisms: str = "PLAIN LOGIN"
    require_auth: bool = False
    keywords: tuple[str, ...] = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    log: TextIO | None = None
    accepted: list[Accepted] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    faults: list[str] = field(default_factory=list)
    sessions: int = 0
    open_sessions: int = 0
    most_open: int = 0

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        if self.encryption != "none" and self.context is None:
            self.context = (self.certificate or the_certificate()).context()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept, self.host, self.port, limit=1 << 26, reuse_address=True, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[Self]:
        """The same, served by a thread of its own."""
        ready, loop = threading.Event(), asyncio.new_event_loop()
        stop = asyncio.Event()

        async def serve() -> None:
            async with self:
                ready.set()
                await stop.wait()

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(serve())

        thread = threading.Thread(target=run, name="sink", daemon=True)
        thread.start()
        if not ready.wait(10):
            raise RuntimeError("the sink did not start")
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)

    def contents(self, recipient: str) -> list[bytes]:
        """What was accepted for a recipient."""
        return [one.content for one in self.accepted if recipient in one.recipients]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.sessions += 1
        self.open_sessions += 1
        self.most_open = max(self.most_open, self.open_sessions)
        try:
            await _Session(self, self.sessions, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, _Over):
            pass
        finally:
            self.open_sessions -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    def take(self, accepted: Accepted) -> None:
        """Remember a message, before its reply is written."""
        self.accepted.append(accepted)
        if self.log is not None:
            self.log.write(json.dumps(accepted.as_json()) + "\n")
            self.log.flush()


class _Over(Exception):
    """The session ends here."""


_PATH = re.compile(r"(?:FROM|TO):<([^>]*)>(?: (.*))?", re.IGNORECASE)


class _Session:
    """One connection."""

    def __init__(
        self, sink: SinkServer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._sink = sink
        self._number = number
        self._reader = reader
        self._writer = writer
        self._tls = False
        self._login: str | None = None
        self._transaction = 0
        self._forget()

    def _forget(self) -> None:
        self._mail: str | None = None
        self._recipients: list[str] = []
        self._parameters: tuple[str, ...] = ()

    def _moment(self, phase: str, argument: str = "", content: bytes = b"") -> Moment:
        return Moment(
            phase,
            self._number,
            self._transaction,
            argument,
            self._mail,
            tuple(self._recipients),
            content,
            self._tls,
            self._login,
        )

    def _chosen(self, phase: str, usual: str, argument: str = "", content: bytes = b"") -> Answer:
        hook = self._sink.hooks.get(phase)
        answer = None if hook is None else hook(self._moment(phase, argument, content))
        return Answer(usual) if answer is None else answer

    async def _answer(self, answer: Answer) -> str:
        if answer.delay:
            await self._writer.drain()
            await asyncio.sleep(answer.delay)
        if answer.reply:
            self._writer.write(answer.reply.encode("utf-8", "surrogateescape") + b"\r\n")
            await self._writer.drain()
        if answer.then == "rst":
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
            raise _Over
        if answer.then == "drop":
            self._writer.close()
            raise _Over
        return answer.reply

    async def _say(self, phase: str, usual: str, argument: str = "") -> str:
        return await self._answer(self._chosen(phase, usual, argument))

    async def run(self) -> None:
        if self._sink.encryption == "ssl":
            await self._start_tls()
        await self._say("greeting", f"220 {self._sink.name} ESMTP sink")
        while True:
            line = await self._line()
            self._sink.commands.append((self._number, line))
            verb, _, argument = line.partition(" ")
            await self._command(verb.upper(), argument)

    async def _line(self) -> str:
        raw = await self._reader.readuntil(b"\n")
        self._sink.heard += raw
        if not raw.endswith(b"\r\n") or b"\r" in raw[:-2]:
            self._sink.faults.append(f"line not ended by CRLF: {raw!r}")
        return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")

    async def _command(self, verb: str, argument: str) -> None:
        match verb:
            case "EHLO":
                self._forget()
                await self._say("ehlo", self._greeting(), argument)
            case "HELO":
                self._forget()
                await self._say("ehlo", f"250 {self._sink.name}", argument)
            case "STARTTLS" if self._sink.encryption == "starttls" and not self._tls:
                if (await self._say("starttls", "220 2.0.0 go ahead")).startswith("220"):
                    await self._start_tls()
            case "AUTH":
                await self._auth(argument)
            case "MAIL":
                await self._mail_from(argument)
            case "RCPT":
                await self._rcpt_to(argument)
            case "DATA":
                await self._data()
            case "RSET":
                self._forget()
                await self._say("rset", "250 2.0.0 reset")
            case "NOOP":
                await self._answer(Answer("250 2.0.0 ok"))
            case "QUIT":
                await self._say("quit", "221 2.0.0 bye")
                raise _Over
            case _:
                self._sink.faults.append(f"unknown command: {verb} {argument}")
                await self._answer(Answer("500 5.5.1 unknown command"))

    def _greeting(self) -> str:
        peer = self._writer.get_extra_info("peername")[0]
        lines = [f"{self._sink.name} Hello [{peer}]", *self._sink.keywords]
        if self._sink.encryption == "starttls" and not self._tls:
            lines.append("STARTTLS")
        if self._sink.login and (self._tls or self._sink.encryption == "none"):
            lines.append(f"AUTH {self._sink.mechanisms}")
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    async def _start_tls(self) -> None:
        assert self._sink.context is not None
        await self._writer.start_tls(self._sink.context)
        self._tls = True

    async def _auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        try:
            login, password = await self._credentials(mechanism.upper(), initial)
        except (binascii.Error, ValueError):
            await self._answer(Answer("501 5.5.2 cannot decode"))
            return
        right = (login, password) == (self._sink.login, self._sink.password)
        usual = "235 2.7.0 welcome" if right else "535 5.7.8 bad credentials"
        answer = self._chosen("auth", usual, mechanism)
        if answer.reply.startswith("235"):
            self._login = login
        await self._answer(answer)

    async def _credentials(self, mechanism: str, initial: str) -> tuple[str, str]:
        if mechanism == "PLAIN":
            blob = initial or await self._challenge("")
            _, login, password = base64.b64decode(blob, validate=True).split(b"\0")
            return login.decode(), password.decode()
        name = initial or await self._challenge("Username:")
        word = await self._challenge("Password:")
        return base64.b64decode(name, validate=True).decode(), base64.b64decode(word, validate=True).decode()

    async def _challenge(self, prompt: str) -> str:
        await self._answer(Answer(f"334 {base64.b64encode(prompt.encode()).decode()}"))
        return await self._line()

    async def _mail_from(self, argument: str) -> None:
        if self._mail is not None:
            await self._answer(Answer("503 5.5.1 nested MAIL"))
            return
        if self._sink.require_auth and self._login is None:
            await self._answer(Answer("530 5.7.0 authentication required"))
            return
        found = _PATH.fullmatch(argument)
        if found is None:
            self._sink.faults.append(f"MAIL {argument}")
            await self._answer(Answer("501 5.5.4 syntax"))
            return
        self._transaction += 1
        if (await self._say("mail", "250 2.1.0 ok", argument)).startswith("2"):
            self._mail = found[1]
            self._parameters = tuple((found[2] or "").split())

    async def _rcpt_to(self, argument: str) -> None:
        found = _PATH.fullmatch(argument)
        if found is None:
            self._sink.faults.append(f"RCPT {argument}")
            await self._answer(Answer("501 5.5.4 syntax"))
        elif self._mail is None:
            await self._answer(Answer("503 5.5.1 MAIL first"))
        elif (await self._say("rcpt", "250 2.1.5 ok", found[1])).startswith("2"):
            self._recipients.append(found[1])

    async def _data(self) -> None:
        if not self._recipients:
            await self._answer(
                Answer("503 5.5.1 RCPT first" if self._mail is None else "554 5.5.1 no valid recipients")
            )
            return
        if not (await self._say("data", "354 go ahead")).startswith("354"):
            return
        content = await self._content()
        mark = len(self._sink.accepted) + 1
        answer = self._chosen("content", f"250 2.0.0 taken as {mark}", content=content)
        if answer.takes:
            self._take(content, answered=answer.reply.startswith("2"))
        self._forget()
        await self._answer(answer)

    async def _content(self) -> bytes:
        raw = b""
        while not (raw == b".\r\n" or raw.endswith(b"\r\n.\r\n")):
            raw += await self._reader.readuntil(b".\r\n")
        self._sink.heard += raw
        content = raw[:-3]
        if content.count(b"\r") != content.count(b"\r\n") or content.count(b"\n") != content.count(b"\r\n"):
            self._sink.faults.append("bare CR or LF in the content")
        return content.removeprefix(b".").replace(b"\r\n.", b"\r\n")

    def _take(self, content: bytes, *, answered: bool) -> None:
        assert self._mail is not None
        self._sink.take(
            Accepted(
                self._number,
                self._transaction,
                self._mail,
                tuple(self._recipients),
                content,
                self._parameters,
                self._tls,
                self._login,
                time.time(),
                answered,
            )
        )


def _arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripted.sink", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", required=True, help="JSON lines of accepted messages are appended here")
    parser.add_argument("--tls", choices=["none", "ssl", "starttls"], default="none")
    parser.add_argument("--certificate", help="PEM chain; without it one of a throw-away authority")
    parser.add_argument("--key", help="PEM key")
    parser.add_argument("--login", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--mechanisms", default="PLAIN LOGIN")
    parser.add_argument("--require-auth", action="store_true")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply to the content")
    parser.add_argument("--lose", type=float, default=0.0, help="share of final replies that are lost")
    parser.add_argument("--lose-first", type=int, default=0, help="how many first final replies are lost")
    parser.add_argument("--seed", type=int, default=0, help="of the share above")
    parser.add_argument("--mail-reply", default="", help="reply to every MAIL")
    parser.add_argument("--content-reply", default="", help="reply to every content")
    parser.add_argument(
        "--rcpt-reply",
        action="append",
        default=[],
        metavar="PATTERN=REPLY",
        help="reply to matching recipients",
    )
    return parser.parse_args(words)


def _hooks(options: argparse.Namespace) -> dict[str, Hook]:
    dice = random.Random(options.seed)
    patterns = [tuple(rule.split("=", 1)) for rule in options.rcpt_reply]
    contents = 0

    def content(moment: Moment) -> Answer | None:
        nonlocal contents
        contents += 1
        if contents <= options.lose_first or dice.random() < options.lose:
            return Answer(delay=options.delay, then="drop", accepted=True)
        return Answer(options.content_reply or f"250 2.0.0 taken as {contents}", delay=options.delay)

    def rcpt(moment: Moment) -> Answer | None:
        return next(
            (Answer(reply) for glob, reply in patterns if fnmatch.fnmatch(moment.argument, glob)), None
        )

    hooks: dict[str, Hook] = {"content": content, "rcpt": rcpt}
    if options.mail_reply:
        hooks["mail"] = lambda _: Answer(options.mail_reply)
    return hooks


async def _serve(options: argparse.Namespace) -> None:
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    keywords = SinkServer.keywords[1:] if options.no_pipelining else SinkServer.keywords
    with Path(options.log).open("a", encoding="utf-8") as log:  # noqa: ASYNC230  opened once, before serving
        async with SinkServer(
            options.host,
            options.port,
            encryption=options.tls,
            context=context,
            login=options.login,
            password=options.password,
            mechanisms=options.mechanisms,
            require_auth=options.require_auth,
            keywords=keywords,
            hooks=_hooks(options),
            log=log,
        ) as sink:
            sys.stdout.write(json.dumps({"port": sink.port}) + "\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_arguments()))
