"""A server of its own process that says as much as anybody takes: what it holds is not our memory.

    with flooding([b"220 mx\r\n"], [b"250-more\r\n", b"250-x"]) as port:

Whoever dials hears the first, and behind a command of theirs the next flood, up to 200 MB of it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence

OCTETS = 200_000_000

_SERVER = """
import itertools, json, socket, ssl, sys, threading
told = json.loads(sys.stdin.readline())
said, floods = [[bytes.fromhex(word) for word in told[name]] for name in ("said", "floods")]
context = None
if told["certificate"]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(told["certificate"])

def serve(peer, flood):
    block = flood * max(1, 65536 // len(flood))
    try:
        if context is not None:
            peer = context.wrap_socket(peer, server_side=True)
        for reply in said:
            peer.sendall(reply)
            peer.recv(65536)
        for _ in range(told["octets"] // len(block)):
            peer.sendall(block)
    except OSError:
        pass
    peer.close()

listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
for flood in itertools.cycle(floods):
    threading.Thread(target=serve, args=(listener.accept()[0], flood), daemon=True).start()
"""


@contextlib.contextmanager
def flooding(said: Sequence[bytes], floods: Sequence[bytes], certificate: str = ""):
    """The server's port. With `certificate`, a PEM file of chain and key, it speaks TLS from the beginning."""
    hexed = {"said": [reply.hex() for reply in said], "floods": [flood.hex() for flood in floods]}
    running = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        running.stdin.write(json.dumps(hexed | {"certificate": certificate, "octets": OCTETS}) + "\n")
        running.stdin.flush()
        yield int(running.stdout.readline())
    finally:
        running.kill()
        running.wait()
        running.stdin.close()
        running.stdout.close()
