"""L8 with real processes: a secret is found nowhere outside the vault, and goes nowhere it was not saved for.

One product, one search. What is hunted: passwords, client secrets, access and refresh tokens, the private key of a
service account, the key that alerts are signed with, and the passphrase of an export.
"""

import base64
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from scripted.authorization import CLIENT, AuthorizationServer
from scripted.sink import Answer, SinkServer
from system.canaries import files_below, lines_of_key, occurrences, processes_of, spellings
from system.doors import by_api
from system.letters import a_plain_letter
from system.person import Person
from system.product import Product, until

RIGHT, WRONG, TYPED = "Kanarie-7QzX4mW9-vogel", "Kanarie-2JhT8pL5-falsch", "Kanarie-5NcV3kR1-getippt"
PASSWORDS = (RIGHT, WRONG, TYPED)
CLIENT_SECRET, CLIENT_TYPED = "Kanarie-8RbN6xD3-client", "Kanarie-4WmP9sF7-client"
REFRESH = "Kanarie-3TgH5yJ8-refresh"
PASSPHRASE, NO_PASSPHRASE = "Kanarie-6ZvC2bN4-phrase", "Kanarie-9XqL7wE5-phrase"
ALERTS = b"Kanarie-1PkM8zU6-alerts!"
MAILBOX, SERVICE = "office@example.org", "relay@p.iam.gserviceaccount.example"


class Post(BaseHTTPRequestHandler):
    """Takes alerts."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append(str(self.headers).encode() + body)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def alerts():
    """What came to the alert URL: head and body."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Post)
    server.taken = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory, alerts):
    """The module's product; the key of its alerts lies in a file, out of its directory."""
    key = tmp_path_factory.mktemp("alerts") / "key"
    key.write_text(f"whsec_{base64.b64encode(ALERTS).decode()}")
    variables = {"URL": f"http://127.0.0.1:{alerts.server_address[1]}/", "SECRET_FILE": str(key)}
    with Product(**{f"VAGUEMESTRE_ALERT_{name}": text for name, text in variables.items()}) as product:
        yield product


def test_the_search_finds_what_it_looks_for():
    log_in = base64.b64encode(b"\0app\0" + RIGHT.encode())
    assert occurrences([("blob", log_in)], PASSWORDS)
    assert occurrences([("blob", b"x" + base64.b64encode(b"ab" + WRONG.encode()))], PASSWORDS)
    assert occurrences([("text", f"<input value={TYPED}>".encode())], PASSWORDS)
    assert not occurrences(
        [("text", b"Kanarie"), ("blob", base64.b64encode(b"Kanarie-" * 9))], (*PASSWORDS, REFRESH, ALERTS)
    )
    pem = new_key()[1]
    assert occurrences([("export", pem.replace("\n", "\\n").encode())], lines_of_key(pem))


def new_key():
    """A private key, and its PEM."""
    key = rsa.generate_private_key(65537, 2048)
    kind = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    return key, pem.decode()


def until_locked(product, made):
    where = f"/connections/{made['id']}"
    until(lambda: product.api.get(where)["health"]["state"] == "locked", what="the lock")


def use_a_password(product, person, printed):
    """Typed, saved, wrong, mended, used: by API, command line and pages."""
    server = SinkServer(encryption="starttls", login="app", password=RIGHT, require_auth=True)
    with server.in_thread() as sink:
        typed = {
            "name": "Canary", "sender_email": "office@example.org", "host": "localhost", "port": sink.port,
            "encryption": "starttls", "login": "app",
        }  # fmt: skip
        api = product.api
        assert not api.post("/connections/verify", typed | {"password": WRONG})["ok"]
        where, words = "/api/v1/connections/verify", typed | {"password": RIGHT}
        assert b"data:" in api.ask("POST", where, words, Accept="text/event-stream").content
        refused = api.ask("POST", "/api/v1/connections", typed | {"password": TYPED, "port": "none"})
        assert refused.status == 422
        made = api.post("/connections", words, status=201)
        product.until_state(by_api(product, a_plain_letter("used")), "accepted")

        api.patch(f"/connections/{made['id']}", {"password": WRONG})
        failed = by_api(product, a_plain_letter("failed"))
        until_locked(product, made)
        product.message(failed)
        printed.append(product.run("connection", "verify", "Canary", status=1))
        mend = ("connection", "edit", "Canary", "--password-stdin", "--json")
        printed.append(product.run(*mend, text=f"{RIGHT}\n"))
        product.until_state(failed, "accepted")
        printed.append(product.run("message", "show", failed, "--json"))

        for path in (f"/connections/{made['id']}/", f"/messages/{failed}/"):
            assert person.read(path)[0] == 200, path
        form = typed | {"host": "not a host", "password": TYPED}
        status, _, page = person.submit("/connections/new/", form)
        assert (status, "not a host" in page) == (422, True)
        person.submit("/connections/new/", typed | {"password": TYPED}, "/connections/verify/")
    heard = bytes(sink.heard)
    assert RIGHT.encode() not in heard  # base64 only
    assert spellings(RIGHT) & {form for form in spellings(RIGHT) if form in heard}, "it was never used"


def sign_in_in_two_halves(product):
    """LOGIN writes the password alone in base64."""
    server = SinkServer(encryption="ssl", login="app", password=RIGHT, mechanisms="LOGIN", require_auth=True)
    with server.in_thread() as sink:
        made = product.api.connect(sink, encryption="ssl", login="app", password=RIGHT)
        uid = product.api.send(connection=made["id"])["id"]
        product.until_state(uid, "accepted")
        product.message(uid)


@contextmanager
def tokens_and_their_server():
    """An authorization server, and a mail server that takes its tokens alone."""
    with AuthorizationServer(client_secret=CLIENT_SECRET, refresh_tokens=[REFRESH]).serving() as tokens:
        server = SinkServer(
            encryption="starttls", login=MAILBOX, mechanisms="XOAUTH2 OAUTHBEARER", tokens=tokens.tokens,
            require_auth=True,
        )  # fmt: skip
        with server.in_thread() as sink:
            yield tokens, sink


def accounts(tokens, pem):
    """One of each way to a token."""
    application = {
        "provider": "generic", "grant": "client_credentials", "client_id": CLIENT, "client_secret": CLIENT_SECRET,
        "token_endpoint": tokens.token_endpoint,
    }  # fmt: skip
    agreed = {"authorization_endpoint": tokens.authorization_endpoint, "refresh_token": REFRESH}
    key = {"client_email": SERVICE, "client_id": "17", "private_key": pem, "private_key_id": "k1"}
    service = {"service_account_key": key, "token_endpoint": tokens.token_endpoint}
    return {
        "Application": application,
        "Person": application | {"grant": "authorization_code"} | agreed,
        "Service": service | {"provider": "google", "grant": "jwt_bearer"},
    }


def use_tokens(product, person, printed):
    """Asked for, used, refused by both servers; and all of it out and in again. The answer is what was secret."""
    key, pem = new_key()
    with tokens_and_their_server() as (tokens, sink):
        tokens.delegated[SERVICE] = key.public_key()
        made = {}
        for name, account in accounts(tokens, pem).items():
            server = {"encryption": "starttls", "auth": "oauth2", "login": MAILBOX}
            made[name] = product.api.connect(sink, **server, name=name, oauth2=account)
            assert product.api.post(f"/connections/{made[name]['id']}/verify")["ok"], name
            uid = product.api.send(connection=name)["id"]
            product.until_state(uid, "accepted")
            product.message(uid)
            assert person.read(f"/connections/{made[name]['id']}/oauth2/")[0] == 200
        wrong = accounts(tokens, pem)["Application"] | {
            "client_secret": CLIENT_TYPED
        }  # whose server repeats it
        typed = {"id": made["Application"]["id"], "oauth2": wrong}
        assert not product.api.post("/connections/verify", typed)["ok"]
        guide = f"/connections/{made['Application']['id']}/oauth2/microsoft-app/"
        assert person.submit(guide, {"client_secret": CLIENT_TYPED, "login": ""})[0] == 422
        take_out_and_in(product, printed)
        sink.tokens, tokens.withdrawn = (), True  # a 334 with its reason, then no other token
        product.api.send(connection="Person")
        until_locked(product, made["Person"])
        assert not product.api.post(f"/connections/{made['Service']['id']}/verify")["ok"]
    refreshed = [form["refresh_token"] for form in tokens.asked if "refresh_token" in form]
    assert len(tokens.tokens) >= 4
    assert refreshed[0] == REFRESH
    assert any(form in bytes(sink.heard) for form in spellings(tokens.tokens[0])), "it was never used"
    return [*tokens.tokens, *tokens.refresh_tokens, *refreshed, *lines_of_key(pem)]


def take_out_and_in(product, printed):
    """The whole configuration under a passphrase, into the same installation."""
    document = product.run("export", "--passphrase-stdin", text=PASSPHRASE)
    printed.append(document)
    assert document.count('"secret"') >= 4
    file = product.home / "export.json"
    file.write_text(document)
    words = ("import", file, "--replace", "--passphrase-stdin")
    printed.append(product.run(*words, text=NO_PASSPHRASE, status=1))
    printed.append(product.run(*words, text=PASSPHRASE))


@pytest.mark.timeout(240)
def test_a_secret_is_found_nowhere_outside_the_vault(product, alerts):
    product.api.remembers = True
    printed, person = [], Person(product)
    use_a_password(product, person, printed)
    sign_in_in_two_halves(product)
    hunted = use_tokens(product, person, printed)
    for path in ("/connections/", "/messages/", "/settings/", "/source-addresses/"):
        assert person.read(path)[0] == 200, path
    product.api.ask("GET", "/metrics")
    product.api.ask("GET", "/api/v1/openapi.json")
    until(lambda: alerts.taken, what="an alert")
    places = [
        *files_below(product.home),
        *(("api", content) for content in product.api.heard),
        *(("page", content) for content in person.heard),
        *(("command", text.encode()) for text in printed),
        *(("alert", content) for content in alerts.taken),
        *processes_of(product),
    ]
    assert all(b"webhook-signature: v1," in head for head in alerts.taken)
    assert {Path(place).name for place, _ in places} >= {"vaguemestre.sqlite3", "log", "out"}
    typed = (*PASSWORDS, CLIENT_SECRET, CLIENT_TYPED, REFRESH, PASSPHRASE, NO_PASSPHRASE, ALERTS)
    assert occurrences(places, [*typed, *hunted]) == []


def test_a_server_that_repeats_the_password_does_not_spread_it(product):
    product.api.remembers = True
    log_in = base64.b64encode(b"\0app\0" + RIGHT.encode()).decode()
    word = base64.b64encode(RIGHT.encode()).decode()
    said = f"535 5.7.8 neither {RIGHT} nor {word} nor {log_in} is right"
    server = SinkServer(
        encryption="ssl", login="app", password="another", hooks={"auth": lambda _: Answer(said)}
    )
    with server.in_thread() as sink:
        made = product.api.connect(sink, encryption="ssl", login="app", password=RIGHT)
        assert not product.api.post(f"/connections/{made['id']}/verify")["ok"]
        uid = by_api(product, a_plain_letter("repeated"))
        where = f"/connections/{made['id']}"
        until(lambda: product.api.get(where)["health"]["state"] == "locked", what="the lock")
        attempt = str(product.message(uid)["attempts"])
    assert "5.7.8" in attempt
    assert "is right" in attempt
    places = [*files_below(product.home), *(("api", content) for content in product.api.heard)]
    assert occurrences(places, PASSWORDS) == []


@pytest.fixture
def saved(product):
    """A connection with a password, used and verified, to a server with SSL on connect."""
    server = SinkServer(encryption="ssl", login="app", password=RIGHT, require_auth=True)
    with server.in_thread() as sink:
        made = product.api.connect(sink, encryption="ssl", login="app", password=RIGHT)
        assert product.api.post(f"/connections/{made['id']}/verify")["ok"]
        yield made


CHANGES = {
    "host": {"host": "127.0.0.1"},
    "port": {},
    "encryption to starttls": {"encryption": "starttls"},
    "encryption to none": {"encryption": "none"},
    "login": {"login": "somebody"},
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("theirs", ["ssl", "none"])
def test_after_a_change_of_a_bound_value_not_a_byte_of_the_password_leaves(product, saved, change, theirs):
    server = SinkServer(encryption=theirs, login="app", password="x", hooks={})
    with server.in_thread() as thief:
        changed = CHANGES[change] | {"port": thief.port}
        if change == "port":
            changed["encryption"] = saved["encryption"]
        fields = ("name", "sender_email", "host", "port", "encryption", "login")
        typed = {name: saved[name] for name in fields} | changed | {"id": saved["id"]}
        before = product.rows("SELECT port, host, encryption, login, version FROM ledger_connection")
        for answer in (
            product.api.ask("POST", "/api/v1/connections/verify", typed),
            product.api.ask("POST", "/api/v1/connections/verify", typed, Accept="text/event-stream"),
            product.api.ask("PATCH", f"/api/v1/connections/{saved['id']}", changed),
        ):
            assert "password" in [error["field"] for error in answer.expect(422)["errors"]]
        assert product.rows("SELECT port, host, encryption, login, version FROM ledger_connection") == before
        product.run("connection", "edit", saved["name"], "--port", thief.port, status=1)
        assert thief.sessions == 0
        assert bytes(thief.heard) == b""


@pytest.mark.parametrize("change", ["host", "login"])
def test_after_a_change_at_the_same_server_the_password_does_not_leave_either(product, saved, change):
    typed = {name: saved[name] for name in ("name", "sender_email", "host", "port", "encryption", "login")}
    typed |= CHANGES[change] | {"id": saved["id"]}
    answer = product.api.ask("POST", "/api/v1/connections/verify", typed).expect(422)
    assert [error["field"] for error in answer["errors"]] == ["password"]
    unchanged = {name: saved[name] for name in typed if name in saved} | {"id": saved["id"]}
    assert product.api.post("/connections/verify", unchanged)["ok"]


def test_an_api_key_is_stored_and_logged_nowhere(product, sink):
    product.api.connect(sink)
    product.until_state(by_api(product, a_plain_letter("key")), "accepted")
    secret = re.sub(r"^vgm_", "", product.key).encode()
    found = [place for place, content in files_below(product.home) if secret in content]
    assert found == []
