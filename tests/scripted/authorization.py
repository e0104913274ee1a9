"""An authorization server of the tests: real HTTP on loopback that speaks the flows of OAuth 2.0 this product uses.

Client credentials, authorization code with PKCE (S256), refresh with rotation, JWT bearer under RS256. It checks what
an honest server checks, and keeps what it was asked. It can withdraw consent, be away, take its time, give tokens that
allow too little, and give tokens that live briefly.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT, CLIENT_SECRET = "the-application", "a-client-secret~Q7-not-to-be-seen"


class Refused(Exception):
    """An error of RFC 6749 section 5.2."""


@dataclass
class AuthorizationServer:
    """See the module.

    Attributes:
        client_id, client_secret: the only application it knows; a secret of "" makes it a public client.
        life: seconds that a token lives.
        scope: what its tokens allow; None gives what was asked for.
        as_jwt: claims that an access token shows; None makes it opaque.
        rotates: whether a refresh token is good for one use.
        delegated: issuer -> its public key, for JWT bearer.
        withdrawn: whether refresh tokens and codes are refused.
        away: whether the token endpoint answers 503.
        delay: seconds before an answer of the token endpoint.
        asked: the form of every request for a token.
        tokens: every access token given that is still taken, in order.
    """

    client_id: str = CLIENT
    client_secret: str = CLIENT_SECRET
    life: int = 3600
    scope: str | None = None
    as_jwt: dict[str, object] | None = None
    rotates: bool = True
    delegated: dict[str, RSAPublicKey] = field(default_factory=dict)
    withdrawn: bool = False
    away: bool = False
    delay: float = 0.0
    asked: list[dict[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    refresh_tokens: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._codes: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token_endpoint(self) -> str:
        return f"{self.url}/token"

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.url}/authorize"

    @contextmanager
    def serving(self) -> Iterator[AuthorizationServer]:
        """Served by threads of its own."""
        served = self

        class Handler(_Handler):
            server_of_tokens = served

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def agree(self, url: str) -> str:
        """What a person's browser is sent back to, once they agreed to the request of that address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert asked["response_type"] == "code", asked
        assert asked["code_challenge_method"] == "S256", asked
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def refuse(self, url: str) -> str:
        """The same, where they did not."""
        asked = parse_qs(urlsplit(url).query)
        back = {"error": "access_denied", "error_description": "she said no", "state": asked["state"][0]}
        return f"{asked['redirect_uri'][0]}?{urlencode(back)}"

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Of the token endpoint."""
        self.asked.append(form)
        time.sleep(self.delay)
        if self.away:
            return 503, {"error": "temporarily_unavailable"}
        try:
            with self._lock:
                return 200, self._granted(form)
        except Refused as refused:
            error, _, description = str(refused).partition(" ")
            return 401 if error == "invalid_client" else 400, {
                "error": error,
                "error_description": description,
            }

    def _granted(self, form: dict[str, str]) -> dict[str, object]:
        kind = form["grant_type"]
        if kind == JWT_BEARER:
            return self._token(self._checked(form["assertion"])["scope"])
        if form.get("client_id") != self.client_id or form.get("client_secret", "") != self.client_secret:
            raise Refused(
                f"invalid_client The secret {form.get('client_secret')} is not right."
            )  # some do echo it
        if kind == "client_credentials":
            return self._token(form.get("scope", ""))
        if self.withdrawn:
            raise Refused("invalid_grant The grant was revoked.")
        if kind == "refresh_token":
            if form["refresh_token"] not in self.refresh_tokens:
                raise Refused("invalid_grant This refresh token is not known.")
            if self.rotates:
                self.refresh_tokens.remove(form["refresh_token"])
            return self._token(form.get("scope", ""), refreshable=self.rotates)
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or challenge != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
            or form["client_id"] != asked["client_id"]
        ):
            raise Refused("invalid_grant The code does not fit.")
        return self._token(asked["scope"], refreshable=True)

    def _checked(self, assertion: str) -> dict[str, str]:
        head, body, signature = assertion.split(".")
        said = json.loads(_octets(body))
        try:
            assert json.loads(_octets(head))["alg"] == "RS256"
            key = self.delegated[said["iss"]]
            key.verify(_octets(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256())
        except (KeyError, InvalidSignature):
            raise Refused("invalid_grant Invalid JWT Signature.") from None
        if (
            said["aud"] != self.token_endpoint
            or not said["iat"] <= time.time() < said["exp"] <= said["iat"] + 3600
        ):
            raise Refused("invalid_grant Invalid JWT.")
        if said["scope"] != "https://mail.google.com/" or "@" not in said["sub"]:
            raise Refused("unauthorized_client The client may not use any of the scopes requested.")
        return said

    def _token(self, asked: str, *, refreshable: bool = False) -> dict[str, object]:
        access = f"an-access-token.{secrets.token_urlsafe(12)}"
        if self.as_jwt is not None:
            claims = {**self.as_jwt, "jti": secrets.token_hex(8)}
            access = ".".join(
                base64.urlsafe_b64encode(part).rstrip(b"=").decode()
                for part in (b'{"alg":"none"}', json.dumps(claims).encode(), b"signature")
            )
        self.tokens.append(access)
        told: dict[str, object] = {"token_type": "Bearer", "access_token": access, "expires_in": self.life}
        if self.as_jwt is None:
            told["scope"] = asked if self.scope is None else self.scope
        if refreshable:
            told["refresh_token"] = f"a-refresh-token.{secrets.token_urlsafe(12)}"
            self.refresh_tokens.append(str(told["refresh_token"]))
        return told


class _Handler(BaseHTTPRequestHandler):
    server_of_tokens: AuthorizationServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        status, told = self.server_of_tokens.answer(form)
        self._say(status, json.dumps(told), "application/json")

    def do_GET(self) -> None:
        if urlsplit(self.path).path != "/authorize":
            self._say(404, "", "text/plain")
            return
        yes, no = self.server_of_tokens.agree(self.path), self.server_of_tokens.refuse(self.path)
        quoted = [url.replace("&", "&amp;") for url in (yes, no)]
        icon = '<link rel="icon" href="data:,">'
        page = f'<!doctype html><html lang="en">{icon}<title>Agree?</title><a href="{quoted[0]}">I agree</a> '
        self._say(200, f'{page}<a href="{quoted[1]}">I do not</a></html>', "text/html; charset=utf-8")

    def _say(self, status: int, text: str, kind: str) -> None:
        octets = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _octets(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
