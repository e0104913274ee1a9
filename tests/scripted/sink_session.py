"""One connection of the sink: its commands, its answers, and what the client does against the standards.

The states are those of Postfix where servers differ: MAIL within a transaction is 503 (a refused DATA leaves it
open), and a BDAT that failed is followed by RSET, until which chunks are read and thrown away (RFC 3030 section 2).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from typing import TYPE_CHECKING

from scripted.behaviour import Accepted, Answer, Moment
from scripted.plug import Plug

if TYPE_CHECKING:
    from scripted.sink import SinkServer

# Within quotes an angle bracket is no end.
_PATH = re.compile(r"""(?:FROM|TO):<((?:"(?:[^"\\]|\\.)*"|[^">])*)>(?: (.*))?""", re.IGNORECASE)
_CHUNK = re.compile(r"(\d{1,20})(?: (LAST))?", re.IGNORECASE)
# RFC 2920 section 3.1, RFC 3207 section 4.2, RFC 4954 section 4: the reply is waited for before more is written.
_LAST_OF_A_GROUP = frozenset(("EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "NOOP", "QUIT"))
_WITH_TOKEN = {"XOAUTH2": "", "OAUTHBEARER": "AQ=="}  # and how a client answers the reason of a refusal
_NEEDS = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8"}


class Over(Exception):
    """The session ends here."""


class Session:
    """One connection."""

    def __init__(self, sink: SinkServer, number: int, plug: Plug) -> None:
        self._sink = sink
        self._number = number
        self._plug = plug
        self._tls = False
        self._login: str | None = None
        self._transaction = 0
        self._verb = ""
        self._announced: set[str] = set()
        self._greeted = False
        self._forget()

    def _forget(self) -> None:
        self._mail: str | None = None
        self._recipients: list[str] = []
        self._parameters: tuple[str, ...] = ()
        self._chunks: list[bytes] | None = None  # None before the first BDAT
        self._failed = False  # a BDAT, and no RSET since

    def _fault(self, text: str) -> None:
        self._sink.blame(f"session {self._number}: {text}")

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

    def _asked(self, phase: str, argument: str = "", content: bytes = b"") -> Answer | None:
        hook = self._sink.hooks.get(phase)
        return None if hook is None else hook(self._moment(phase, argument, content))

    def _chosen(self, phase: str, usual: str, argument: str = "", content: bytes = b"") -> Answer:
        return self._asked(phase, argument, content) or Answer(usual)

    async def _answer(self, answer: Answer) -> str:
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.after is not None:
            await answer.after.wait()
        if self._verb == "STARTTLS":
            self._plug.hold()
        self._judge_what_came_early()
        await self._write(answer)
        if answer.then == "rst":
            self._plug.reset()
            raise Over
        if answer.then == "drop":
            await self._plug.drop()
            raise Over
        return answer.reply

    async def _write(self, answer: Answer) -> None:
        for octet in answer.octets if answer.pause else b"":
            await self._plug.write(bytes([octet]))
            await asyncio.sleep(answer.pause)
        if not answer.pause:
            await self._plug.write(answer.octets)
        while answer.then == "endless" and not self._plug.over:
            await self._plug.write(answer.octets * 100)
            await asyncio.sleep(0)

    def _judge_what_came_early(self) -> None:
        if not self._plug.ahead:
            return
        if self._verb in _LAST_OF_A_GROUP or not self._verb:
            self._fault(f"wrote behind {self._verb or 'nothing'} before its reply")
        elif "PIPELINING" not in self._announced:
            self._fault(f"wrote behind {self._verb} without PIPELINING")

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
            self._verb = verb.upper()
            await self._command(self._verb, argument)

    async def _line(self) -> str:
        raw = await self._plug.line()
        if not raw.endswith(b"\r\n") or b"\r" in raw[:-2]:
            self._fault(f"line not ended by CRLF: {raw!r}")
        return raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")

    async def _command(self, verb: str, argument: str) -> None:
        match verb:
            case "EHLO" | "HELO":
                await self._hello(verb, argument)
            case "STARTTLS" if self._sink.encryption == "starttls" and not self._tls:
                if (await self._say("starttls", "220 2.0.0 go ahead")).startswith("220"):
                    await self._start_tls()
            case "AUTH":
                await self._auth(argument)
            case "NOOP":
                await self._answer(Answer("250 2.0.0 ok"))
            case "QUIT":
                await self._say("quit", "221 2.0.0 bye")
                raise Over
            case _:
                await self._transact(verb, argument)

    async def _transact(self, verb: str, argument: str) -> None:
        if self._failed and verb not in {"RSET", "BDAT", "RCPT"}:
            self._fault(f"{verb} behind a failed BDAT, without RSET")
        match verb:
            case "MAIL":
                await self._mail_from(argument)
            case "RCPT":
                await self._rcpt_to(argument)
            case "DATA":
                await self._data()
            case "BDAT":
                await self._bdat(argument)
            case "RSET":
                if (await self._say("rset", "250 2.0.0 reset")).startswith("2"):
                    self._forget()
                self._failed = False
            case _:
                self._fault(f"unknown command: {verb} {argument}")
                await self._answer(Answer("500 5.5.1 unknown command"))

    async def _hello(self, verb: str, argument: str) -> None:
        usual = self._greeting() if verb == "EHLO" else f"250 {self._sink.name}"
        reply = await self._say("ehlo", usual, argument)
        if not reply.startswith("2"):
            return  # all stays as it was (RFC 5321 section 4.1.4)
        self._forget()
        self._greeted = True
        said = [line[4:].partition(" ")[0].upper() for line in reply.split("\r\n")[1:]]
        self._announced = set(said) if verb == "EHLO" else set()

    def _greeting(self) -> str:
        lines = [f"{self._sink.name} Hello [{self._plug.peer}]", *self._sink.keywords]
        if self._sink.encryption == "starttls" and not self._tls:
            lines.append("STARTTLS")
        if self._sink.login and (self._tls or self._sink.encryption == "none"):
            lines.append(f"AUTH {self._sink.mechanisms}")
        return "\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    async def _start_tls(self) -> None:
        assert self._sink.context is not None
        await self._plug.start_tls(self._sink.context)
        self._tls, self._greeted, self._announced, self._verb = True, False, set(), ""

    async def _auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        try:
            login, password = await self._credentials(mechanism.upper(), initial)
        except (binascii.Error, ValueError):
            await self._answer(Answer("501 5.5.2 cannot decode"))
            return
        right = login == self._sink.login and password in {self._sink.password, *self._sink.tokens}
        if mechanism.upper() in _WITH_TOKEN and not right:
            # RFC 7628 section 3.2.2, and as Google documents XOAUTH2: why, then an answer, then 535.
            blob = base64.b64encode(b'{"status":"401","schemes":"bearer","scope":"mail.send"}').decode()
            await self._answer(Answer(f"334 {blob}"))
            if await self._line() != _WITH_TOKEN[mechanism.upper()]:
                self._fault(f"answer to the reason of {mechanism}")
        usual = "235 2.7.0 welcome" if right else "535 5.7.8 bad credentials"
        answer = self._chosen("auth", usual, mechanism)
        if answer.reply.startswith("235"):
            self._login = login
        await self._answer(answer)

    async def _credentials(self, mechanism: str, initial: str) -> tuple[str, str]:
        if mechanism in _WITH_TOKEN:
            said = base64.b64decode(initial or await self._challenge(""), validate=True).decode().split("\1")
            token = next(part for part in said if part.startswith("auth=Bearer ")).removeprefix(
                "auth=Bearer "
            )
            name = said[0].removeprefix("user=").removeprefix("n,a=").removesuffix(",")
            return name, token
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
        if not self._greeted:
            self._fault("MAIL before EHLO")
        if self._mail is not None or self._failed:
            await self._answer(Answer("503 5.5.1 nested MAIL"))
            return
        if self._sink.require_auth and self._login is None:
            await self._answer(Answer("530 5.7.0 authentication required"))
            return
        found = _PATH.fullmatch(argument)
        if found is None:
            self._fault(f"MAIL {argument}")
            await self._answer(Answer("501 5.5.4 syntax"))
            return
        parameters = tuple((found[2] or "").split())
        self._judge_parameters(parameters)
        self._transaction += 1
        if (await self._say("mail", "250 2.1.0 ok", argument)).startswith("2"):
            self._mail, self._parameters = found[1], parameters

    def _judge_parameters(self, parameters: tuple[str, ...]) -> None:
        for parameter in parameters:
            name = parameter.partition("=")[0].upper()
            if name in _NEEDS and _NEEDS[name] not in self._announced:
                self._fault(f"MAIL with {parameter}, which was not announced")

    async def _rcpt_to(self, argument: str) -> None:
        found = _PATH.fullmatch(argument)
        if found is None:
            self._fault(f"RCPT {argument}")
            await self._answer(Answer("501 5.5.4 syntax"))
        elif self._mail is None:
            await self._answer(Answer("503 5.5.1 MAIL first"))
        elif self._chunks is not None:
            self._fault("RCPT behind BDAT")
            await self._answer(Answer("503 5.5.1 RCPT behind BDAT"))
        elif (await self._say("rcpt", "250 2.1.5 ok", found[1])).startswith("2"):
            self._recipients.append(found[1])

    def _without_recipients(self) -> str:
        return "503 5.5.1 RCPT first" if self._mail is None else "554 5.5.1 no valid recipients"

    async def _data(self) -> None:
        if self._chunks is not None:
            self._fault("DATA behind BDAT")
            await self._answer(Answer("503 5.5.1 DATA behind BDAT"))
            return
        usual = "354 go ahead" if self._recipients else self._without_recipients()
        if not (await self._say("data", usual)).startswith("354"):
            return
        raw = await self._plug.content()
        if not self._recipients:
            if raw != b".\r\n":
                self._fault("content without an accepted recipient")
            await self._conclude(Answer(self._without_recipients()), b"", "DATA")
            return
        content = raw[:-3].removeprefix(b".").replace(b"\r\n.", b"\r\n")
        await self._conclude(self._content_answer(content), content, "DATA")

    def _content_answer(self, content: bytes) -> Answer:
        usual = f"250 2.0.0 taken as {len(self._sink.accepted) + 1}"
        return self._chosen("content", usual, content=content)

    async def _conclude(self, answer: Answer, content: bytes, manner: str) -> None:
        """The reply to the end of data."""
        self._verb = "the end of data"
        if answer.takes and self._recipients:
            self._take(content, manner, answered=answer.reply.startswith("2"))
        self._forget()
        self._failed = manner == "BDAT" and not answer.reply.startswith("2")
        await self._answer(answer)

    async def _bdat(self, argument: str) -> None:
        found = _CHUNK.fullmatch(argument)
        if found is None:
            self._fault(f"BDAT {argument}")
            await self._answer(Answer("501 5.5.4 syntax", then="drop"))
            return
        if "CHUNKING" not in self._announced:
            self._fault("BDAT, which was not announced")
        answer = self._asked("bdat", argument)
        octets = b""
        if answer is None or answer.reads:
            octets = await self._plug.octets(int(found[1]))
        await self._chunk(octets, answer or self._refusal(), last=found[2] is not None)

    def _refusal(self) -> Answer | None:
        """Why the transaction takes no chunk."""
        if "CHUNKING" not in self._announced:
            return Answer("502 5.5.1 not implemented")
        if self._failed:
            return Answer("503 5.5.1 a BDAT failed before, RSET first")
        return None if self._recipients else Answer(self._without_recipients())

    async def _chunk(self, octets: bytes, answer: Answer | None, *, last: bool) -> None:
        content = b"".join([*(self._chunks or []), octets])
        if last:
            await self._conclude(answer or self._content_answer(content), content, "BDAT")
            return
        self._chunks = [*(self._chunks or []), octets]
        answer = answer or Answer(f"250 2.0.0 {len(octets)} octets")
        self._failed = not answer.reply.startswith("2")
        await self._answer(answer)

    def _judge_content(self, content: bytes) -> None:
        if content.count(b"\r") != content.count(b"\r\n") or content.count(b"\n") != content.count(b"\r\n"):
            self._fault("bare CR or LF in the content")
        if not content.isascii() and "BODY=8BITMIME" not in (word.upper() for word in self._parameters):
            self._fault("8-bit content without BODY=8BITMIME")
        if any(len(line) > 998 for line in content.split(b"\r\n")):
            self._fault("a line beyond 998 octets")

    def _take(self, content: bytes, manner: str, *, answered: bool) -> None:
        assert self._mail is not None
        self._judge_content(content)
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
                manner,
            )
        )
