"""A next hop that takes everything and keeps nothing: it counts, and knows when it took each message.

    python -m bench.sink EXTENSION…        such as PIPELINING CHUNKING "SIZE 52428800"

Commands may be split and grouped in any way; what arrived together is answered together, as RFC 2920 §3.2
wants it. Order is insisted on (503), so that nothing is counted that a real server would refuse. Prints
{"port"}. Each line on its standard input is answered with {"sessions", "taken", "last_at"}: how many sessions
and messages, and when the last was accepted, on the monotonic clock; the line `times` with {recipient: when a
message to it was accepted} (its last one). Ends with its standard input.
"""

import asyncio
import sys
import time

import uvloop

from bench.child import answer_questions, be_prompt

END = b"\r\n.\r\n"
NOT_NOW = b"503 5.5.1 not now\r\n"


class Counts:
    """What all sessions saw."""

    def __init__(self):
        self.sessions = self.taken = 0
        self.last_at = None
        self.times = {}

    def take(self, recipient):
        self.taken += 1
        self.last_at = self.times[recipient] = time.monotonic()

    def tell(self, question):
        if question == "times":
            return {recipient.decode(): at for recipient, at in self.times.items()}
        return {"sessions": self.sessions, "taken": self.taken, "last_at": self.last_at}


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, counts, extensions):
        self._counts = counts
        lines = [b"sink.example", *(extension.encode() for extension in extensions)]
        self._welcome = b"".join(
            b"250%s%s\r\n" % (b" " if line is lines[-1] else b"-", line) for line in lines
        )
        self._kept = b""  # an unfinished command, or the last bytes of a content that may be part of its end
        self._in_data = False
        self._left = 0  # bytes of a chunk that have not come
        self._after_chunk = None  # what its answer is, once they have
        self._sender = False
        self._recipient = b""

    def connection_made(self, transport):
        self._transport = transport
        self._counts.sessions += 1
        transport.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data):
        data = self._kept + data
        self._kept = b""
        replies = []
        at = 0
        while at < len(data):
            read = self._content if self._in_data else self._chunk if self._left else self._command
            after = read(data, at, replies)
            if after is None:
                break
            at = after
        if replies:
            self._transport.write(b"".join(replies))
        if replies and replies[-1].startswith(b"221"):
            self._transport.close()

    def _content(self, data, at, replies):
        """After DATA; its end may be the first thing there is, so that the line break before counts."""
        found = data.find(END, at)
        if found < 0:
            self._kept = data[max(at, len(data) - len(END) + 1) :]
            return None
        self._in_data = False
        replies.append(self._taken())
        return found + len(END)

    def _chunk(self, data, at, replies):
        here = min(self._left, len(data) - at)
        self._left -= here
        if not self._left:
            replies.append(self._after_chunk())
        return at + here

    def _taken(self):
        self._counts.take(self._recipient)
        self._forget()
        return b"250 2.0.0 taken\r\n"

    def _forget(self):
        self._sender = False
        self._recipient = b""

    def _command(self, data, at, replies):
        end = data.find(b"\r\n", at)
        if end < 0:
            self._kept = data[at:]
            return None
        words = data[at:end].split(b" ")
        verb = words[0].upper()
        replies.append(self._answer(verb, words))
        # A content is looked at from the line break of its DATA on, which is the first half of its end.
        return end if self._in_data else end + 2

    def _answer(self, verb, words):  # noqa: PLR0911  one for each command
        match verb:
            case b"MAIL" if not self._sender:
                self._sender = True
                return b"250 2.1.0 ok\r\n"
            case b"RCPT" if self._sender:
                self._recipient = words[1][len(b"TO:<") : -1]
                return b"250 2.1.5 ok\r\n"
            case b"DATA" if self._recipient:
                self._in_data = True
                return b"354 go on\r\n"
            case b"BDAT":
                return self._announced(int(words[1]), last=len(words) > 2)
            case b"RSET":
                self._forget()
                return b"250 2.0.0 ok\r\n"
            case b"NOOP":
                return b"250 2.0.0 ok\r\n"
            case b"EHLO" | b"HELO":
                return self._welcome if verb == b"EHLO" else b"250 sink.example\r\n"
            case b"QUIT":
                return b"221 2.0.0 bye\r\n"
        return NOT_NOW

    def _announced(self, size, *, last):
        """The chunk comes whether it may or not; it is answered at its end."""
        self._after_chunk = self._chunk_answer(last=last)
        self._left = size
        return b"" if size else self._after_chunk()

    def _chunk_answer(self, *, last):
        if not self._recipient:
            return lambda: NOT_NOW
        return self._taken if last else lambda: b"250 2.0.0 go on\r\n"


async def main():
    be_prompt()
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(counts, sys.argv[1:]), "127.0.0.1", 0)
    await answer_questions({"port": server.sockets[0].getsockname()[1]}, counts.tell)


if __name__ == "__main__":
    uvloop.run(main())
