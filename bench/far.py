"""A far server: the sink behind the proxy, and how long a client took with it."""

import time
from contextlib import ExitStack

from bench.child import Child

PLAIN = ("SIZE 52428800", "8BITMIME", "PIPELINING")
CHUNKING = (*PLAIN, "CHUNKING")


class FarServer:
    """Runs from entering to leaving.

    Attributes:
        port: of the proxy: what clients dial.
    """

    def __init__(self, rtt, extensions):
        self._rtt, self._extensions = rtt, extensions

    def __enter__(self):
        with ExitStack() as opened:
            self._sink = opened.enter_context(Child("sink", *self._extensions))
            self._proxy = opened.enter_context(Child("delay", self._sink.port, self._rtt))
            self._opened = opened.pop_all()
        self.port = self._proxy.port
        return self

    def __exit__(self, *error):
        self._opened.__exit__(*error)

    def wait_for(self, messages, client, within):
        """Until the sink took that many.

        Raises:
            RuntimeError: it took more, or not all in time, or the client failed.
        """
        deadline = time.monotonic() + within
        while (taken := self._sink.ask()["taken"]) < messages:
            if time.monotonic() > deadline or client.poll():
                raise RuntimeError(f"the sink took {taken} of {messages} messages")
            time.sleep(0.1)
        if taken != messages:
            raise RuntimeError(f"the sink took {taken} messages instead of {messages}")

    def round_trips(self):
        """From the first SYN until the last acceptance was read, in round trips."""
        seconds = self._sink.ask()["last_at"] - self._proxy.ask()["first_at"]
        return seconds / self._rtt + 0.5
