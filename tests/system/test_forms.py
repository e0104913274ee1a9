"""A form of a website as the world meets it: 500 hostile submissions, and a visitor without a script."""

import http.client
import http.server
import json
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from email import message_from_bytes, policy
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from system.chromium import chromium
from system.product import until

FIELDS = [
    {"name": "nom", "label": "Nom", "kind": "name", "required": True},
    {"name": "courriel", "label": "Email", "kind": "email", "required": True},
    {"name": "message", "label": "Message", "kind": "lines", "required": True},
]
OFFICE, SITE = "bureau@example.org", "https://www.example.org"
HTML = '<script>alert(1)</script><a href="https://spam.example">gagné</a>'
TEN_MB = 10 * 1024 * 1024


class Visitors:
    """Post to one form over a kept connection, and count the answers."""

    def __init__(self, product, key):
        self.port, self.path = product.web_port, f"/f/{key}"
        self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def post(self, number, **values):
        given = {"nom": f"Visiteur {number}", "courriel": f"v{number}@example.com", "message": f"n° {number}"}
        return self._ask(urlencode(given | values).encode(), {})

    def from_site(self, number, site):
        body = urlencode({"nom": "X", "courriel": f"s{number}@example.com", "message": str(number)}).encode()
        return self._ask(body, {"Origin": site})

    def post_json(self, number, **values):
        body = {"nom": f"Visiteur {number}", "courriel": f"v{number}@example.com", "message": f"n° {number}"}
        return self._ask(json.dumps(body | values).encode(), {"Content-Type": "application/json"})

    def ten_megabytes(self):
        """It announces them and sends as many as are taken."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.putrequest("POST", self.path)
        line.putheader("Content-Type", "application/x-www-form-urlencoded")
        line.putheader("Content-Length", str(TEN_MB))
        line.endheaders(b"nom=")
        with suppress(OSError):  # it is told no before it has said all
            line.send(b"x" * (TEN_MB - 4))
        status = line.getresponse().status
        line.close()
        return status

    def close(self):
        self.line.close()

    def _ask(self, body, headers):
        usual = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        self.line.request("POST", self.path, body, usual | headers)
        answer = self.line.getresponse()
        answer.read()
        if answer.status >= 400:
            self.line.close()  # it may be told no before it was read, and the line then ends with that
        return answer.status


@pytest.fixture
def form(product):
    """Makes forms; what came in goes with them."""
    made = []

    def make(**values):
        usual = {
            "name": "Contact",
            "fields": FIELDS,
            "notify": [OFFICE],
            "per_address": 9000,
            "per_hour": 9000,
        }
        made.append(product.api.post("/forms", usual | values, status=201))
        return made[-1]

    yield make
    for one in made:
        product.api.ask("DELETE", f"/api/v1/forms/{one['key']}").expect(204)


def hostile(visitors, kind, n):
    """One submission of a kind; the status."""
    automatic = ("mailer-daemon", "no-reply", f"owner-{n}")[n % 3]
    forms = {
        "line in the name": {"nom": f"Léa\r\nBcc: victim{n}@example.net"},
        "line in the address": {"courriel": f"v{n}@example.com\r\nBcc: victim{n}@example.net"},
        "several addresses": {"courriel": f"v{n}@example.com, victim{n}@example.net"},
        "program": {"website": "https://spam.example"},
        "forged page": {"_token": f"{n}:0.forged"},
        "automatic": {"courriel": f"{automatic}@example.com"},
        "HTML": {"nom": f"Visitez www.spam{n}.example", "message": HTML},
        "formula": {"nom": f"=HYPERLINK({n})", "message": f"@SUM({n})"},
    }
    objects = {
        "encoded address": {"courriel": f"=?utf-8?q?victim{n}=40example.net?=@example.com"},
        "list for a text": {"courriel": [f"v{n}@example.com", f"victim{n}@example.net"]},
    }
    if kind in forms:
        return visitors.post(n, **forms[kind])
    if kind in objects:
        return visitors.post_json(n, **objects[kind])
    return visitors.post(999_999) if kind == "repeated" else visitors.ten_megabytes()


KINDS = {
    "line in the name": (60, 422), "line in the address": (60, 422), "several addresses": (30, 422),
    "encoded address": (20, 422), "list for a text": (20, 422), "program": (80, 303), "forged page": (40, 422),
    "repeated": (40, 303), "automatic": (30, 303), "HTML": (30, 303), "formula": (30, 303), "ten MB": (10, 413),
}  # fmt: skip


def test_500_hostile_submissions_send_nothing_they_should_not(product, sink, form):
    product.api.connect(sink)
    open_to_all, of_site, narrow = form(), form(origins=[SITE]), form(per_hour=5)
    answers = Counter()
    with closing(Visitors(product, open_to_all["key"])) as visitors:
        for place, (kind, (count, _status)) in enumerate(KINDS.items()):
            answers.update((kind, hostile(visitors, kind, n + 1000 * place)) for n in range(count))
    with closing(Visitors(product, of_site["key"])) as elsewhere:
        strangers = [elsewhere.from_site(n, "https://ailleurs.example") for n in range(30)]
        own = elsewhere.from_site(99, SITE)
    with closing(Visitors(product, narrow["key"])) as many:
        flood = Counter(many.post(n + 50_000) for n in range(20))

    assert answers == {(kind, status): count for kind, (count, status) in KINDS.items()}
    assert sum(answers.values()) + len(strangers) + sum(flood.values()) == 500
    assert (set(strangers), own) == ({403}, 303)
    assert flood == {303: 5, 429: 15}

    # Taken: one of the repeated, the automatic (three addresses of one kind at most, all kept), HTML, formulas.
    taken = 1 + 30 + 30 + 30 + 1 + 5
    replies = 1 + 30 + 30 + 1 + 5
    until(lambda: len(sink.accepted) >= taken + replies, 60)
    time.sleep(0.5)
    arrived = [
        (one.recipients, message_from_bytes(one.content, policy=policy.default)) for one in sink.accepted
    ]
    assert len(arrived) == taken + replies
    to_office = [letter for recipients, letter in arrived if recipients == (OFFICE,)]
    to_visitors = [(recipients, letter) for recipients, letter in arrived if recipients != (OFFICE,)]
    assert (len(to_office), len(to_visitors)) == (taken, replies)
    assert {letter["Auto-Submitted"] for letter in to_office} == {"auto-generated"}
    addresses = [recipients[0] for recipients, _ in to_visitors]
    assert len(set(addresses)) == replies
    assert not [one for one in addresses if not one.startswith(("v", "s99@"))]
    for recipients, letter in to_visitors:
        assert letter["To"] == recipients[0]
        assert letter["Auto-Submitted"] == "auto-replied"
        assert b"spam" not in letter.as_bytes()
        assert "HYPERLINK" not in letter.get_body(("html",)).get_content()
    for letter in to_office:
        assert "<script" not in letter.get_body(("html",)).get_content()
        assert len(letter["Subject"]) < 100
    assert not any(b"victim" in one.content for one in sink.accepted)

    exported = product.run("form", "submissions", open_to_all["key"], "--csv")
    assert exported.count("'=HYPERLINK") == exported.count("'@SUM") == 30
    assert "victim" not in exported


@contextmanager
def website(html):
    """A site that has one page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = html.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.needs("chromium")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of playwright's own pipes
def test_the_generated_html_works_in_a_page_of_a_site_without_a_script(product, sink, form):
    product.api.connect(sink)
    made = form(languages=["fr"])
    pasted = product.api.get(f"/forms/{made['key']}/markup")["html"]
    page_of_site = f'<!doctype html><html lang="fr"><meta charset="utf-8"><title>Nous</title>{pasted}</html>'
    with website(page_of_site) as site, chromium() as browser:
        origin = f"http://127.0.0.1:{site.server_port}"
        product.api.patch(f"/forms/{made['key']}", {"origins": [origin]})
        context = browser.new_context(java_script_enabled=False, locale="fr-FR")
        page = context.new_page()
        page.goto(origin)
        expect(page.get_by_label("Laissez ce champ vide")).not_to_be_in_viewport()
        page.get_by_label("Nom").fill("Léa Marchand")
        page.get_by_label("Email").fill("lea@example.com")
        page.get_by_label("Message").fill("Bonjour,\nun devis ?")
        page.get_by_role("button", name="Envoyer").click()
        expect(page.get_by_role("heading", name="Merci")).to_be_visible()
        context.close()
    until(lambda: len(sink.accepted) == 2, 30)
    letters = {
        one.recipients[0]: message_from_bytes(one.content, policy=policy.default) for one in sink.accepted
    }
    assert letters[OFFICE]["Reply-To"] == "lea@example.com"
    assert letters["lea@example.com"]["Subject"] == "Nous avons bien reçu votre message"
