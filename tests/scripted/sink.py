"""An SMTP server that accepts, remembers and can misbehave on request.

In a test:

    async with SinkServer() as sink:                    # asyncio
    with SinkServer(login="app", password="s").in_thread() as sink:   # from plain code
        ...
        sink.accepted[0].content

Behaviour is chosen by hooks, one per phase (`greeting ehlo starttls auth mail rcpt data bdat content rset quit`):
a hook gets the `Moment` and returns an `Answer`, or None for the usual one. `bdat` is asked for each chunk, before
it is read; `content` at the end of data in either manner:

    def busy(moment):
        return Answer("451 4.3.0 try later") if moment.recipients == ("b@example.org",) else None
    SinkServer(hooks={"content": busy}, keywords=(*SinkServer.keywords, "CHUNKING"))

As its own process (prints `{"port": N}` first, then appends a JSON line for each accepted message to FILE):

    python -m scripted.sink --port 0 --log FILE [--faults FILE] [--keywords "PIPELINING,CHUNKING,SIZE 52428800"]
        [--lose 0.02 --seed 7] [--tls ssl|starttls --certificate F --key F] [--login L --password P]

It is written apart from `vaguemestre.smtp` on purpose, so that the two check each other; `faults` lists what
the client did against RFC 5321, 2920, 3030, 3207 and 4954.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fnmatch
import json
import random
import ssl
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TextIO

from scripted.behaviour import DROP, LOST, Accepted, Answer, Hook, Moment
from scripted.certificates import Certificate, the_certificate
from scripted.leaving import leave
from scripted.plug import Plug
from scripted.sink_session import Over, Session

__all__ = ["DROP", "LOST", "Accepted", "Answer", "Hook", "Moment", "SinkServer"]


@dataclass
class SinkServer:
    """See the module.

    Attributes:
        encryption: `none`, `ssl` or `starttls`.
        login, password: the only credentials taken; AUTH is announced when a login is set.
        tokens: access tokens of OAuth 2.0 that are taken as well, by XOAUTH2 and OAUTHBEARER.
        mechanisms: what AUTH announces.
        require_auth: MAIL before AUTH is answered 530.
        keywords: further EHLO lines; CHUNKING among them allows BDAT.
        log: a text file for JSON lines of what was accepted.
        blames: a text file for `faults`, a line each.
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
    tokens: Collection[str] = ()
    mechanisms: str = "PLAIN LOGIN"
    require_auth: bool = False
    keywords: tuple[str, ...] = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    log: TextIO | None = None
    blames: TextIO | None = None
    accepted: list[Accepted] = field(default_factory=list)
    commands: list[tuple[int, str]] = field(default_factory=list)
    heard: bytearray = field(default_factory=bytearray)
    faults: list[str] = field(default_factory=list)
    sessions: int = 0
    open_sessions: int = 0
    most_open: int = 0

    def __post_init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._plugs: set[Plug] = set()
        if self.encryption != "none" and self.context is None:
            self.context = (self.certificate or the_certificate()).context()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._plug, self.host, self.port, reuse_address=True, backlog=512
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def _plug(self) -> Plug:
        return Plug(self._begin, self.heard.extend, paused=self.encryption == "ssl")

    def _begin(self, plug: Plug) -> None:
        self.sessions += 1
        task = asyncio.get_running_loop().create_task(self._serve(plug, self.sessions))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def __aexit__(self, *_: object) -> None:
        await leave(self._server, self._tasks)

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

    async def interject(self, text: str = "", *, leave: bool = False) -> None:
        """Say something on every open session that nobody asked for; `leave` closes it behind that."""
        for plug in list(self._plugs):
            if text:
                await plug.write(text.encode() + b"\r\n")
            if leave:
                await plug.drop()

    async def _serve(self, plug: Plug, number: int) -> None:
        self.open_sessions += 1
        self._plugs.add(plug)
        self.most_open = max(self.most_open, self.open_sessions)
        try:
            await Session(self, number, plug).run()
        except (OSError, EOFError, Over):  # ssl.SSLError is an OSError
            pass
        finally:
            self.open_sessions -= 1
            self._plugs.discard(plug)
            plug.abort()

    def blame(self, fault: str) -> None:
        """Remember what the client did against the protocol."""
        self.faults.append(fault)
        if self.blames is not None:
            self.blames.write(fault + "\n")
            self.blames.flush()

    def take(self, accepted: Accepted) -> None:
        """Remember a message, before its reply is written."""
        self.accepted.append(accepted)
        if self.log is not None:
            self.log.write(json.dumps(accepted.as_json()) + "\n")
            self.log.flush()


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
    parser.add_argument(
        "--keywords", help="EHLO lines instead of the usual ones, joined by commas; may be empty"
    )
    parser.add_argument(
        "--faults", help="what clients do against the standards is appended here, a line each"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply to the content")
    parser.add_argument("--jitter", type=float, default=0.0, help="up to so many seconds more, by chance")
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

    def content(moment: Moment) -> Answer:
        nonlocal contents
        contents += 1
        delay = options.delay + dice.random() * options.jitter
        if contents <= options.lose_first or dice.random() < options.lose:
            return Answer(delay=delay, then="drop", accepted=True)
        return Answer(options.content_reply or f"250 2.0.0 taken as {contents}", delay=delay)

    def rcpt(moment: Moment) -> Answer | None:
        return next(
            (Answer(reply) for glob, reply in patterns if fnmatch.fnmatch(moment.argument, glob)), None
        )

    hooks: dict[str, Hook] = {"content": content, "rcpt": rcpt}
    if options.mail_reply:
        hooks["mail"] = lambda _: Answer(options.mail_reply)
    return hooks


def _keywords(options: argparse.Namespace) -> tuple[str, ...]:
    usual = SinkServer.keywords[1:] if options.no_pipelining else SinkServer.keywords
    return usual if options.keywords is None else tuple(filter(None, options.keywords.split(",")))


async def _serve(options: argparse.Namespace, log: TextIO, blames: TextIO | None) -> None:
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    async with SinkServer(
        options.host,
        options.port,
        encryption=options.tls,
        context=context,
        login=options.login,
        password=options.password,
        mechanisms=options.mechanisms,
        require_auth=options.require_auth,
        keywords=_keywords(options),
        hooks=_hooks(options),
        log=log,
        blames=blames,
    ) as sink:
        sys.stdout.write(json.dumps({"port": sink.port}) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _run(options: argparse.Namespace) -> None:
    with contextlib.ExitStack() as files, contextlib.suppress(KeyboardInterrupt):
        log = files.enter_context(Path(options.log).open("a", encoding="utf-8"))
        blames = options.faults and files.enter_context(Path(options.faults).open("a", encoding="utf-8"))
        asyncio.run(_serve(options, log, blames or None))


if __name__ == "__main__":
    _run(_arguments())
