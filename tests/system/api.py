"""A small client of the HTTP API: one kept connection a thread, every answer remembered on request."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

IDLE = 5.0  # seconds after which a kept connection is not used again


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict
    content: bytes

    @property
    def json(self):
        return json.loads(self.content)

    def expect(self, *statuses):
        """Its JSON (None for an empty body), if it has one of the statuses."""
        assert self.status in statuses, f"{self.status} instead of {statuses}: {self.content[:2000].decode()}"
        return self.json if self.content else None


@dataclass
class Api:
    """Asks as the owner of a key.

    Attributes:
        heard: every answer's headers and body, while `remembers`.
    """

    host: str
    port: int
    key: str = ""
    remembers: bool = False
    timeout: float = 30.0
    heard: list = field(default_factory=list)

    def __post_init__(self):
        self._here = threading.local()

    def ask(self, method, path, body=None, **headers):
        """The answer to one request. Raises OSError or HTTPException if there is none; nothing is repeated."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if raw is not None:
            sent["Content-Type"] = "application/json"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self._connection()
        try:
            connection.request(method, path, raw, sent)
            response = connection.getresponse()
            answer = Answer(response.status, dict(response.getheaders()), response.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if self.remembers:
            self.heard.append(repr(answer.headers).encode() + answer.content)
        return answer

    def _connection(self):
        # Not one that the server may be about to close for its idleness.
        if time.monotonic() - getattr(self._here, "used_at", 0.0) > IDLE:
            self.close()
        self._here.used_at = time.monotonic()
        if getattr(self._here, "connection", None) is None:
            self._here.connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        return self._here.connection

    def close(self):
        """Close this thread's connection."""
        if getattr(self._here, "connection", None) is not None:
            self._here.connection.close()
            self._here.connection = None

    def get(self, path, **headers):
        return self.ask("GET", f"/api/v1{path}", **headers).expect(200)

    def post(self, path, body=None, *, status=200, **headers):
        return self.ask("POST", f"/api/v1{path}", {} if body is None else body, **headers).expect(status)

    def patch(self, path, body, *, status=200):
        return self.ask("PATCH", f"/api/v1{path}", body).expect(status)

    def connect(self, server, **values):
        """Create a connection to a server of the kit."""
        usual = {
            "name": f"Internal name {server.port}",
            "sender_email": "office@example.org",
            "host": "localhost",
            "port": server.port,
            "encryption": "none",
        }
        return self.post("/connections", usual | values, status=201)

    def send(self, **values):
        """Post a message; the answer of its acceptance."""
        usual = {"to": ["reader@example.com"], "subject": "A test", "text": "Good day."}
        return self.post("/messages", usual | values, status=202)
