"""What the console's tests share: typed forms, and pages as text."""

import re
from html.parser import HTMLParser

from django.utils import timezone

from vaguemestre.ledger import connections
from vaguemestre.ledger.accept import Submission, Via, accept
from vaguemestre.mail.content import Content
from vaguemestre.mail.envelope import Envelope
from vaguemestre.mail.mailbox import Mailbox

ACTOR = "user:claire@exemple.fr"
CANARY = "canari-mot-de-passe-7f3a"
HTMX = {"HX-Request": "true", "HX-Target": "connections"}


def connect(name="Bureau", **values):
    """A saved connection."""
    plain = {"name": name, "sender_email": f"{name.split()[0].lower()}@exemple.fr", "host": "smtp.exemple.fr"}
    return connections.create(plain | values, ACTOR, timezone.now()).connection


def typed(**values):
    """A form as a browser posts it: an unticked box is not there."""
    form = {"name": "Bureau", "sender_email": "contact@exemple.fr", "host": "smtp.exemple.fr", "port": "",
            "encryption": "starttls", "login": "", "password": "", "active": "on"} | values  # fmt: skip
    return {name: value for name, value in form.items() if value is not None}


def hand_over(
    *recipients, subject="Bonjour", body="Un texte.", from_="demande@exemple.net", headers=(), **values
):
    """A message in the ledger."""
    lines = [f"From: {from_}", f"Subject: {subject}", *headers, "", body, ""]
    content = Content("\r\n".join(lines).encode())
    path = Mailbox.parse("demande@exemple.net")
    to = tuple(Mailbox.parse(address) for address in recipients or ("lea@exemple.org",))
    via = values.pop("via", Via.API)
    return accept(Submission(Envelope(path, to), content, via, **values), timezone.now())


def text(response):
    """A page's words, blanks and unbreakable blanks alike; errors and notes included."""
    reader = _Words()
    reader.feed(response.content.decode())
    return re.sub(r"\s+", " ", " ".join(reader.words))


def tags(response):
    """(tag, attributes) of a page."""
    reader = _Tags()
    reader.feed(response.content.decode())
    return reader.tags


class _Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words.append(data)


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def errors(response):
    """field -> message of the faults that a form shows at its fields."""
    found = re.findall(
        r'<p class="error" id="id_(\w+)_error">.*?<span>(.*?)</span>', response.content.decode(), re.DOTALL
    )
    return {name: re.sub(r"\s+", " ", message).strip() for name, message in found}


def filled(answer):
    """What a browser would post of a page, unchanged."""
    return _Filled(answer.content.decode()).fields


class _Filled(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.fields, self.within, self.chosen = {}, None, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        name, kind = a.get("name"), a.get("type", "text")
        if tag == "select":
            self.chosen = name
        elif tag == "option" and self.chosen and ("selected" in a or self.chosen not in self.fields):
            self.fields[self.chosen] = a["value"]
        elif tag == "textarea":
            self.within, self.fields[name] = name, ""
        elif tag == "input" and name and (kind not in {"checkbox", "radio"} or "checked" in a):
            value = a.get("value") or ("on" if kind == "checkbox" else "")
            rows = self.fields.get(name)
            self.fields[name] = (
                value if rows is None else [*([rows] if isinstance(rows, str) else rows), value]
            )

    def handle_data(self, data):
        if self.within:
            self.fields[self.within] += data

    def handle_endtag(self, tag):
        if tag == "textarea":
            lines = self.fields[self.within].replace("\r\n", "\n").removeprefix("\n")
            self.fields[self.within] = lines.replace("\n", "\r\n")
            self.within = None
