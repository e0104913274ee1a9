"""The bench's client of the API posts as much as it is told to, and fails where an answer is not 202."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bench.letters import posted
from bench.posting import post


@contextmanager
def api(status=202):
    """A server, and what was posted to it."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            bodies.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port, bodies
        server.shutdown()


def test_each_message_is_posted_once_whoever_posts_it():
    with api() as (port, bodies):
        told = post(port, "a key", singles=3, messages=10)
    assert sorted(body["subject"] for _, body in bodies) == [f"Message {number:07}" for number in range(10)]
    assert (len(told.singles), len(told.batches)) == (10, 0)
    assert 0 < max(told.singles) <= told.seconds


def test_batches_hold_a_thousand():
    with api() as (port, bodies):
        told = post(port, "a key", batchers=1, batches=2)
    assert [(path, len(body["messages"])) for path, body in bodies] == [("/api/v1/messages/batch", 1000)] * 2
    assert len(told.batches) == 2


def test_batches_go_on_until_the_last_single_message():
    with api() as (port, bodies):
        told = post(port, "a key", singles=2, messages=50, batchers=1)
    assert len(told.singles) == 50
    assert len(told.batches) == len(bodies) - 50 >= 1


def test_another_answer_than_202_is_no_figure():
    with api(status=503) as (port, _), pytest.raises(RuntimeError, match=r"HTTP/1\.1 503"):
        post(port, "a key", singles=1, messages=1)


def test_a_message_has_the_size_that_it_is_said_to_have():
    assert {len(posted(number)) for number in (0, 1, 4711, 9_999_999)} == {1536}
