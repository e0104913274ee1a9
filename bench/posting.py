"""Posts messages to an HTTP API as fast as it answers, and takes little of the processors for it.

    python -m bench.posting PORT KEY SINGLES MESSAGES BATCHERS BATCHES

SINGLES clients post MESSAGES between them, one to a request; BATCHERS clients post batches of 1,000, BATCHES
between them, or as many as they can until the last single message is answered where BATCHES is 0. Each client
keeps its connection and posts again once it is answered. All bodies are made beforehand. Prints what the
functions below give as JSON. Fails where an answer is not 202.
"""

import asyncio
import gc
import itertools
import json
import sys
import time
from dataclasses import dataclass

import uvloop

from bench.child import ROOT
from bench.letters import posted
from bench.peers.peer import run

BATCH = 1_000
PREPARED = 12  # batches that are made beforehand, then posted over and over


@dataclass(frozen=True)
class Posted:
    """What came of it.

    Attributes:
        singles, batches: how long each answer took, in seconds.
        seconds: from the first request to the last answer.
    """

    singles: tuple[float, ...]
    batches: tuple[float, ...]
    seconds: float


def post(port, key, *, singles=0, messages=0, batchers=0, batches=0):
    """Do it in a process of its own."""
    words = (port, key or "none", singles, messages, batchers, batches)
    told = json.loads(run(sys.executable, "-m", "bench.posting", *words, cwd=ROOT))
    return Posted(tuple(told["singles"]), tuple(told["batches"]), told["seconds"])


class Client(asyncio.Protocol):
    """One connection.

    Attributes:
        took: seconds of each answer.
        done: a future; set once there are no more requests.
    """

    def __init__(self, requests):
        self._requests = requests
        self._heard = bytearray()
        self._asked = 0.0
        self.took = []
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, error):
        self._fail(f"the connection was lost: {error}")

    def go(self):
        """The next request, if there is one."""
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
        else:
            self._asked = time.perf_counter()
            self._transport.write(request)

    def data_received(self, data):
        self._heard += data
        if not _is_whole(self._heard):
            return
        self.took.append(time.perf_counter() - self._asked)
        if self._heard[9:12] != b"202":
            self._fail(bytes(self._heard[:1000]).decode(errors="replace"))
            return
        self._heard.clear()
        self.go()

    def _fail(self, why):
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))


def _is_whole(heard):
    """Whether an answer has come to its end, by its length or by its last chunk (RFC 9112 §6, §7.1)."""
    head, found, _ = bytes(heard[:1000]).partition(b"\r\n\r\n")
    if not found:
        return False
    if b"\r\ntransfer-encoding: chunked" in head.lower():
        return heard.endswith(b"\r\n0\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    return len(heard) - len(head) - 4 >= int(length)


def _request(path, key, body):
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _batch(number):
    messages = b",".join(posted(number * BATCH + each) for each in range(BATCH))
    return b'{"messages":[' + messages + b"]}"


async def main():
    port, key, singles, messages, batchers, batches = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    letters = [_request("/api/v1/messages", key, posted(number)) for number in range(messages)]
    parcels = [
        _request("/api/v1/messages/batch", key, _batch(number))
        for number in range(min(batches, PREPARED) if batches else PREPARED if batchers else 0)
    ]
    one_by_one, over_and_over = iter(letters), itertools.cycle(parcels)
    single_clients = [await _client(port, one_by_one) for _ in range(singles)]
    left = itertools.islice(over_and_over, batches) if batches else _while_any(single_clients, over_and_over)
    batch_clients = [await _client(port, left) for _ in range(batchers)]
    print(json.dumps(await _told(single_clients, batch_clients)))


async def _client(port, requests):
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(requests), "127.0.0.1", int(port))
    return client


def _while_any(clients, requests):
    """As many requests as are asked for while one of the clients is at work."""
    while not all(client.done.done() for client in clients):
        yield next(requests)


async def _told(single_clients, batch_clients):
    everybody = single_clients + batch_clients
    gc.disable()
    started = time.perf_counter()
    for client in everybody:
        client.go()
    await asyncio.gather(*(client.done for client in everybody))
    seconds = time.perf_counter() - started
    return {
        "singles": list(itertools.chain.from_iterable(client.took for client in single_clients)),
        "batches": list(itertools.chain.from_iterable(client.took for client in batch_clients)),
        "seconds": seconds,
    }


if __name__ == "__main__":
    uvloop.run(main())
