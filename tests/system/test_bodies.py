"""Bodies of requests that do not come as announced, on real sockets: nothing of them is kept."""

import json
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlencode

import pytest

from system.product import until
from vaguemestre.doors.api.rooms import LARGE

LINE = "one line of it\r\n"
RAW = f"From: a@example.org\r\nTo: b@example.org\r\nSubject: broken off\r\n\r\n{LINE * 20}".encode()
ONE = {"to": "b@example.org", "subject": "broken off", "text": LINE}
JSON, HTML, PARTS = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=cut",
)
FIELDS = [
    {"name": "courriel", "label": "Email", "kind": "email", "required": True},
    {"name": "message", "label": "Message", "kind": "lines", "required": True},
    {"name": "plan", "label": "Plan", "kind": "file"},
]
TYPED = {"courriel": "v@example.com", "message": LINE * 9}
TOKEN = "t" * 32
BROWSER = {"Cookie": f"csrftoken={TOKEN}", "X-CSRFToken": TOKEN}
TABLES = "message", "formsubmission", "idempotency"


def asked(product, path, kind, body, missing=0, **headers):
    """A POST of which the last bytes do not come, since its sender ends: the answer's status and content."""
    fields = {
        "Host": f"127.0.0.1:{product.web_port}",
        "Content-Type": kind,
        "Content-Length": len(body) + missing,
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection(("127.0.0.1", product.web_port), timeout=20) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        if missing:
            line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            top, _, content = answer.read().partition(b"\r\n\r\n")
    return int(top.split()[1]), content


def begun(product, path, kind, length, **headers):
    """A connection on which a POST has begun, whose body does not go on."""
    line = socket.create_connection(("127.0.0.1", product.web_port), timeout=20)
    fields = {
        "Host": f"127.0.0.1:{product.web_port}",
        "Content-Type": kind,
        "Content-Length": length,
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    line.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\nab".encode())
    return line


def parts(values):
    """As `multipart/form-data`; a file comes last."""
    given = [f'--cut\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in values.items()]
    of_file = 'name="plan"; filename="plan.txt"\r\nContent-Type: text/plain'
    file = f"--cut\r\nContent-Disposition: form-data; {of_file}\r\n\r\n{LINE * 9}\r\n--cut--\r\n"
    return "".join([*given, file]).encode()


@pytest.fixture
def form(product):
    given = {"name": "Contact", "notify": ["office@example.org"], "fields": FIELDS}
    return f"/f/{product.api.post('/forms', given, status=201)['key']}"


def counts(product):
    return [product.rows(f"SELECT count(*) FROM ledger_{table}")[0][0] for table in TABLES]


def test_a_body_that_breaks_off_is_refused_at_every_door_and_nothing_of_it_is_kept(product, form):
    key = {"Authorization": f"Bearer {product.key}"}
    before = counts(product)
    for path, kind, body in [
        ("/api/v1/messages/raw", "message/rfc822", RAW),
        ("/api/v1/messages", JSON, json.dumps(ONE).encode()),
        ("/api/v1/messages/batch", JSON, json.dumps({"messages": [ONE]}).encode()),
        ("/api/v1/streams", JSON, b'{"key": "cut"}'),
        (form, JSON, json.dumps(TYPED).encode()),
    ]:
        for came in (body, body[:20]):  # what came may be whole of its kind
            status, content = asked(product, path, kind, came, missing=7, **key, **{"Idempotency-Key": "one"})
            problem = json.loads(content)
            assert (status, problem["status"], problem["errors"][0]["field"]) == (400, 400, "body"), path
            assert f"{len(came)} of {len(came) + 7} bytes came. Nothing was stored" in problem["detail"]
    for path in (form, "/accounts/login/", "/language/"):
        for kind, body in (HTML, urlencode(TYPED).encode()), (PARTS, parts(TYPED)):
            for came in (body, body[:-20]):
                status, content = asked(product, path, kind, came, missing=7, **BROWSER)
                assert (status, b"<html" in content) == (400, True), path
    assert counts(product) == before


def test_a_body_that_breaks_off_does_not_take_the_key_of_its_repetition(product):
    for number, missing in enumerate([len(LINE) * 3, len(LINE)]):  # a mail is one without its last lines, too
        once = {"Authorization": f"Bearer {product.key}", "Idempotency-Key": f"cut-{number}"}
        asked(product, "/api/v1/messages/raw", "message/rfc822", RAW[:-missing], missing, **once)
        status, content = asked(product, "/api/v1/messages/raw", "message/rfc822", RAW, **once)
        assert status == 202, content


def test_a_sender_that_is_gone_leaves_nothing_and_no_thread_waits_for_it(product, form):
    before = counts(product)
    for number in range(40):
        line = socket.create_connection(("127.0.0.1", product.web_port))
        path, kind, body = [
            ("/api/v1/messages/raw", "message/rfc822", RAW),
            (form, HTML, urlencode(TYPED).encode()),
        ][number % 2]
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{product.web_port}\r\nContent-Type: {kind}\r\n"
        key = f"Authorization: Bearer {product.key}\r\nContent-Length: {len(body) + 9}\r\n\r\n"
        line.sendall(f"{head}{key}".encode() + body)
        line.close()
    time.sleep(0.5)  # in which something could be kept
    until(lambda: product.status("/healthz") == 200, 10, what="an answer")
    assert counts(product) == before


def test_bodies_that_do_not_go_on_stop_nothing_else(product, form):
    key = {"Authorization": f"Bearer {product.key}"}
    with ExitStack() as lines:
        for path, kind, length, headers in [
            (form, HTML, 1000, {}),
            ("/accounts/login/", HTML, 1000, BROWSER),
            ("/api/v1/messages", JSON, 1000, key),
            ("/api/v1/messages", JSON, LARGE + 1, key),
        ] * 25:
            lines.enter_context(begun(product, path, kind, length, **headers))
        until(lambda: product.status("/healthz") == 200, 10, what="an answer")
        time.sleep(3)  # now nobody waits any more who has no place
        for _ in range(5):
            asked_at = time.monotonic()
            assert product.status("/healthz") == 200
            assert product.status("/accounts/login/") == 200
            assert time.monotonic() - asked_at < 2
        status, content = asked(product, "/api/v1/messages", JSON, json.dumps(ONE).encode(), **key)
        assert (status, json.loads(content)["status"]) == (503, 503)
        assert asked(product, form, HTML, urlencode(TYPED).encode())[0] == 503
        assert asked(product, "/accounts/login/", HTML, urlencode(TYPED).encode(), **BROWSER)[0] == 503

    def taken():
        return asked(product, "/api/v1/messages", JSON, json.dumps(ONE).encode(), **key)[0] == 202

    until(taken, 10, what="room for a body")
