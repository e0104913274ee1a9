"""L8 with real processes: a password is found nowhere outside the vault, and goes nowhere it was not saved for."""

import base64
import re
import urllib.parse
from pathlib import Path

import pytest

from scripted.sink import Answer, SinkServer
from system.doors import by_api
from system.letters import a_plain_letter
from system.person import Person
from system.processes import descendants
from system.product import until

RIGHT, WRONG, TYPED = "Kanarie-7QzX4mW9-vogel", "Kanarie-2JhT8pL5-falsch", "Kanarie-5NcV3kR1-getippt"


def spellings(word):
    """Every form in which a password might be written down."""
    raw = word.encode()
    forms = {raw, raw.hex().encode(), raw[::-1], word.encode("utf-16-le"), urllib.parse.quote(word).encode()}
    for shift in range(3):
        # Whatever stands before and behind it in base64: the characters that depend on it alone.
        encoded = base64.b64encode(b"\0" * shift + raw + b"\0" * 3)
        forms.add(encoded[4 if shift else 0 : (shift + len(raw)) // 3 * 4])
    return forms


def occurrences(places):
    """Where a canary stands: `(place, form)`."""
    forms = set().union(*(spellings(word) for word in (RIGHT, WRONG, TYPED)))
    return [(place, form) for place, content in places for form in forms if form in content]


def files_below(folder):
    return [(str(path), path.read_bytes()) for path in Path(folder).rglob("*") if path.is_file()]


def processes_of(product):
    for pid in (product.running.pid, *descendants(product.running.pid)):
        for name in ("environ", "cmdline"):
            yield f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes()


def test_the_search_finds_what_it_looks_for():
    log_in = base64.b64encode(b"\0app\0" + RIGHT.encode())
    assert occurrences([("blob", log_in)])
    assert occurrences([("blob", b"x" + base64.b64encode(b"ab" + WRONG.encode()))])
    assert occurrences([("text", f"<input value={TYPED}>".encode())])
    assert not occurrences([("text", b"Kanarie"), ("blob", base64.b64encode(b"Kanarie-" * 9))])


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN"])
def test_a_password_is_found_nowhere_outside_the_vault(product, mechanisms):
    product.api.remembers = True
    printed = []
    server = SinkServer(
        encryption="starttls", login="app", password=RIGHT, mechanisms=mechanisms, require_auth=True
    )
    with server.in_thread() as sink:
        typed = {
            "name": "Canary",
            "sender_email": "office@example.org",
            "host": "localhost",
            "port": sink.port,
            "encryption": "starttls",
            "login": "app",
        }
        assert not product.api.post("/connections/verify", typed | {"password": WRONG})["ok"]
        assert product.api.post("/connections/verify", typed | {"password": RIGHT})["ok"]
        streamed = product.api.ask(
            "POST", "/api/v1/connections/verify", typed | {"password": RIGHT}, Accept="text/event-stream"
        )
        assert b"data:" in streamed.content
        refused = product.api.ask("POST", "/api/v1/connections", typed | {"password": TYPED, "port": "none"})
        assert refused.status == 422
        made = product.api.post("/connections", typed | {"password": RIGHT}, status=201)
        product.until_state(by_api(product, a_plain_letter("used")), "accepted")

        product.api.patch(f"/connections/{made['id']}", {"password": WRONG})
        failed = by_api(product, a_plain_letter("failed"))
        where = f"/connections/{made['id']}"
        until(lambda: product.api.get(where)["health"]["state"] == "locked", what="the lock")
        product.message(failed)
        printed.append(product.run("connection", "verify", "Canary", status=1))
        words = ("connection", "edit", "Canary", "--password-stdin")
        printed.append(product.run(*words, text=f"{RIGHT}\n"))
        product.until_state(failed, "accepted")
        printed.append(product.run("connection", "show", "Canary", "--json"))
        printed.append(product.run("connection", "list"))
        printed.append(product.run("message", "show", failed, "--json"))

        person = Person(product, f"operator-{mechanisms.lower()}@example.org")
        edit = f"/connections/{made['id']}/"
        for path in (
            "/connections/",
            edit,
            "/connections/new/",
            "/messages/",
            f"/messages/{failed}/",
            "/settings/",
        ):
            assert person.read(path)[0] == 200, path
        form = typed | {"host": "not a host", "password": TYPED}
        status, _, page = person.submit("/connections/new/", form)
        assert status in {200, 422}
        assert "not a host" in page
        person.submit("/connections/new/", typed | {"password": TYPED}, "/connections/verify/")
        product.api.ask("GET", "/metrics")
        product.api.ask("GET", "/api/v1/openapi.json")

        heard = bytes(sink.heard)
    assert RIGHT.encode() not in heard  # base64 only
    assert spellings(RIGHT) & {form for form in spellings(RIGHT) if form in heard}, "it was never used"
    places = [
        *files_below(product.home),
        *(("api", content) for content in product.api.heard),
        *(("page", content) for content in person.heard),
        *(("command", text.encode()) for text in printed),
        *processes_of(product),
    ]
    assert len(product.api.heard) > 8
    assert {Path(place).name for place, _ in places} >= {"vaguemestre.sqlite3", "log", "out"}
    assert occurrences(places) == []


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
    assert occurrences(places) == []


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
