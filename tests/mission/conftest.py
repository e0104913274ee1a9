"""One product for the whole mission, a person at its console, and mail servers that keep what they take."""

import html
import re

import pytest

from scripted.sink import SinkServer
from system.letters import Arrived
from system.person import Person
from system.product import Product

WHITELIST = (
    "13.38.96.228", "13.39.17.106", "52.47.109.251", "15.236.148.180", "35.180.87.240", "13.38.244.164",
    "35.181.213.114",
)  # fmt: skip
LOGIN, PASSWORD = "expedition@example.org", "un-mot-de-passe"


@pytest.fixture(scope="session")
def running():
    with Product(VAGUEMESTRE_SOURCE_ADDRESSES=",".join(WHITELIST)) as product:
        yield product


@pytest.fixture(scope="session")
def person(running):
    """Whoever sits at the console, in French."""
    return Person(running)


@pytest.fixture
def product(running):
    """The product, with no connection left from another sentence."""
    for item in running.api.get("/streams")["items"]:
        running.api.patch(f"/streams/{item['key']}", {"connection": None, "reply_to": ""})
    for item in running.api.get("/forms")["items"]:
        running.api.ask("DELETE", f"/api/v1/forms/{item['key']}").expect(204)
    for item in running.api.get("/connections")["items"]:
        running.api.ask("DELETE", f"/api/v1/connections/{item['id']}?successor=none").expect(204)
    return running


@pytest.fixture
def server():
    """An external mail server with a login, under TLS."""
    sink = SinkServer(encryption="starttls", login=LOGIN, password=PASSWORD, require_auth=True)
    with sink.in_thread():
        yield sink


@pytest.fixture
def account(product, server):
    """Makes an account at that server: `account("Marketing")` sends as marketing@example.org."""

    def make(name, **values):
        plain = {
            "name": name,
            "sender_email": f"{name.lower()}@example.org",
            "host": "localhost",
            "port": server.port,
            "encryption": "starttls",
            "login": LOGIN,
            "password": PASSWORD,
        }
        return product.api.post("/connections", plain | values, status=201)

    return make


@pytest.fixture
def arrives(product, server):
    """Sends a message and says what the mail server took: its reverse-path, From and Reply-To."""

    def send(**values):
        uid = product.api.send(**values)["id"]
        product.until_state(uid, "accepted")
        accepted = server.accepted[-1]
        letter = Arrived(accepted.content)
        return {
            "mail": accepted.mail,
            "from": [one.email for one in letter.people("From")],
            "reply_to": [one.email for one in letter.people("Reply-To")],
            "login": accepted.login,
            "tls": accepted.tls,
        }

    return send


@pytest.fixture
def read(person):
    """A page of the console as words, blanks alike."""

    def words(path, fields=None):
        page = person.read(path, fields)[2]
        return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))

    return words
