"""`make screenshots`: takes docs/images from the running product with sample data, in Chromium.

It is meant for a network and a mount of its own (`unshare --map-root-user --net --mount`), where the servers
of the sample have their names and usual ports. Nothing is changed outside of docs/images. Arguments choose
pictures by the beginning of their names; the data and times are of the day it runs.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from cluster.shared import begin
from scripted.certificates import the_authority
from scripted.sink import Answer, Moment, SinkServer
from squeezing import squeeze
from system.chromium import chromium, window
from system.product import Product

IMAGES = Path("docs/images")
SMOOTH = ("--disable-lcd-text", "--font-render-hinting=none")  # readable on every screen
HERE, THERE, RELAY = "192.0.2.10", "203.0.113.25", "203.0.113.40"
NAMES = {"smtp.exemple.fr": THERE, "relais.exemple.fr": RELAY, "envoi.exemple.net": THERE}
PERSON, PASSWORD, SECRET = "claire@exemple.fr", "le facteur passe à midi", "une phrase de passe"

OFFICE = {
    "name": "Bureau",
    "sender_email": "contact@exemple.fr",
    "sender_name": "Menuiserie Lefèvre",
    "host": "smtp.exemple.fr",
    "encryption": "starttls",
    "login": "contact@exemple.fr",
    "password": SECRET,
}
SHOP = OFFICE | {
    "name": "Boutique",
    "sender_email": "boutique@exemple.fr",
    "sender_name": "La boutique Lefèvre",
    "encryption": "ssl",
    "login": "boutique@exemple.fr",
}
INVOICES = {
    "name": "Factures",
    "sender_email": "comptabilite@exemple.fr",
    "sender_name": "Comptabilité Lefèvre",
    "host": "relais.exemple.fr",
    "encryption": "none",
}
LETTERS = {
    "name": "Lettre d’information",
    "sender_email": "lettre@exemple.fr",
    "host": "envoi.exemple.net",
    "encryption": "starttls",
    "active": False,
}
ADDRESSES = (
    (HERE, "Paris, fibre principale"),
    ("192.0.2.11", "Paris, secours"),
    ("203.0.113.7", "Lyon"),
    ("203.0.113.64", "Serveur de la boutique"),
    ("2001:db8:4f3::10", "Paris, IPv6"),
)
SUBJECTS = (
    ("Votre commande n° 2041 est en route", "lea.marchand@exemple.org"),
    ("Confirmation de votre rendez-vous", "paul.girard@exemple.com"),
    ("Réinitialisation de votre mot de passe", "zoe@exemple.net"),
    ("Votre avis nous intéresse", "nadia.benali@exemple.org"),
    ("Facture 2026-0187", "achats@exemple.com"),
)
PACE = {"greeting": 0.021, "ehlo": 0.018, "starttls": 0.019, "auth": 0.084}  # seconds
# Hours ago at which sample messages left, for each connection in turn.
DAYS = {
    "Bureau": (1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 6, 6, 7, 8, 18, 20, 21, 21, 22, 22),
    "Boutique": (1, 2, 3, 3, 3, 4, 5, 9, 10, 11, 11, 12, 20, 23),
    "Factures": (2, 3, 6, 19, 21),
}


@contextmanager
def network() -> Iterator[None]:
    """The sample's addresses on the loopback interface, and its names; both end with this process."""
    for words in (
        ["ip", "link", "set", "lo", "up"],
        *(["ip", "addr", "add", f"{address}/32", "dev", "lo"] for address in (HERE, THERE, RELAY)),
        *(
            ["ip", "route", "replace", "local", address, "dev", "lo", "src", HERE, "table", "local"]
            for address in (THERE, RELAY)
        ),
    ):
        subprocess.run(words, check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write("127.0.0.1 localhost\n" + "".join(f"{at} {name}\n" for name, at in NAMES.items()))
        hosts.flush()
        subprocess.run(["mount", "--bind", hosts.name, "/etc/hosts"], check=True)
        yield


def _slowly(moment: Moment) -> Answer | None:
    """The pace of a server in another town; it knows one recipient no more."""
    time.sleep(PACE.get(moment.phase, 0.0))
    if "ancien" in moment.argument:
        return Answer("550 5.1.1 <ancien.client@exemple.org>: Recipient address rejected: User unknown")
    if moment.phase == "content":
        return Answer(f"250 2.0.0 Ok: queued as 4{len(moment.content):04X}C{moment.transaction:03X}")
    return None


@contextmanager
def servers() -> Iterator[None]:
    """The servers of the sample: a provider with STARTTLS and with SSL, and a relay without login."""
    certificate = the_authority().certificate(*NAMES)
    with ExitStack() as open_servers:
        for encryption, port, login in (
            ("starttls", 587, OFFICE["login"]),
            ("ssl", 465, SHOP["login"]),
        ):
            provider = SinkServer(
                THERE, port, "smtp.exemple.fr", encryption, certificate, login=str(login), password=SECRET,
                hooks=dict.fromkeys((*PACE, "rcpt", "content"), _slowly),
            )  # fmt: skip
            open_servers.enter_context(provider.in_thread())
        open_servers.enter_context(SinkServer(RELAY, 25, "relais.exemple.fr").in_thread())
        yield


def fill(product: Product) -> str:
    """Connections, addresses and a day of messages; the page of the message that is worth a picture."""
    product.run("admin", "create", "--email", PERSON, "--password-stdin", text=PASSWORD)
    items = [{"address": address, "label": label} for address, label in ADDRESSES]
    product.api.ask("PUT", "/api/v1/source-addresses", {"items": items}).expect(200)
    made = {}
    for values in (OFFICE, SHOP, INVOICES, LETTERS):
        if values is not LETTERS:
            product.api.post("/connections/verify", values)
        made[values["name"]] = product.api.post("/connections", values, status=201)["id"]
    product.api.key = product.tell("key", "create", "Boutique en ligne", "--scope", "send")["key"]
    sent = [
        (hours, _send(product, name, turn)) for name, ages in DAYS.items() for turn, hours in enumerate(ages)
    ]
    product.api.key = product.key
    for _hours, uid in sent:
        product.until_state(uid, "accepted", "refused", "mixed")
    _spread(product, sent)
    # Whoever changed the default is named beside the button that undoes it.
    product.api.key = product.tell("key", "create", "Menuiserie", "--scope", "connections")["key"]
    product.api.patch(f"/connections/{made['Bureau']}", {"is_default": True})
    product.api.key = product.key
    return f"/messages/{_worth_a_picture(product)}/"


def _send(product: Product, connection: str, turn: int) -> str:
    subject, recipient = SUBJECTS[turn % len(SUBJECTS)]
    return str(
        product.api.send(
            to=[recipient],
            subject=subject,
            text="Bonjour,\n\nmerci de votre confiance.",
            connection=connection,
        )["id"]
    )


def _worth_a_picture(product: Product) -> str:
    """Overridden by the default, and refused for one of two recipients."""
    product.api.key = product.tell("key", "create", "Site web", "--scope", "send")["key"]
    uid = product.api.send(
        **{"from": {"email": "boutique@exemple.fr", "name": "La boutique Lefèvre"}},
        reply_to=["commandes@exemple.fr"],
        to=[{"email": "lea.marchand@exemple.org", "name": "Léa Marchand"}, "ancien.client@exemple.org"],
        subject="Votre commande n° 2042 est prête",
        text="Bonjour Léa,\n\nvotre commande n° 2042 est prête\N{NO-BREAK SPACE}: vous pouvez passer la "
        "prendre à l’atelier dès demain matin.\n\nÀ bientôt,\nla boutique Lefèvre\n",
        stream="support",
    )["id"]
    product.api.key = product.key
    product.until_state(uid, "mixed")
    return str(uid)


def _spread(product: Product, sent: list[tuple[int, str]]) -> None:
    """Move each message into its hour of the day before, so that the plots have something to tell."""
    with closing(sqlite3.connect(f"{product.data}/vaguemestre.sqlite3", timeout=30)) as database, database:
        database.execute("UPDATE ledger_verification SET at = datetime(at, (-3 * id * id) || ' hours')")
        for hours, uid in sent:
            moved = f"-{hours * 60 - 11} minutes"
            key = uid.replace("-", "")
            database.execute(
                "UPDATE ledger_message SET accepted_at = datetime(accepted_at, ?) WHERE uid = ?", (moved, key)
            )
            database.execute(
                "UPDATE ledger_delivery SET settled_at = datetime(settled_at, ?) WHERE message_id = "
                "(SELECT id FROM ledger_message WHERE uid = ?)",
                (moved, key),
            )


@contextmanager
def person(browser: Browser, product: Product, scheme: str, width: int, height: int = 800) -> Iterator[Page]:
    """A page of somebody who is signed in."""
    size = {"width": width, "height": height}
    with window(browser, product, viewport=size, color_scheme=scheme, reduced_motion="reduce") as page:
        _sign_in(page)
        yield page


def _sign_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.fill("[name=login]", PERSON)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Se connecter").click()
    page.wait_for_url("**/connections/")


def verify_wrongly(page: Page) -> None:
    """The form of a new connection, and what a wrong password is told."""
    page.goto("/connections/new/")
    for name, value in (
        ("name", "Support"), ("sender_email", "support@exemple.fr"), ("sender_name", "Menuiserie Lefèvre"),
        ("host", "smtp.exemple.fr"), ("login", "support@exemple.fr"), ("password", "pas la bonne"),
    ):  # fmt: skip
        page.fill(f"#id_{name}", value)
    page.get_by_role("button", name="Vérifier la connexion").click()
    expect(page.locator("#verification-outcome .note").first).to_be_visible(timeout=20_000)
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")


def take(page: Page, name: str, wanted: tuple[str, ...], height: int = 800) -> None:
    """One picture, of a window of that height."""
    if wanted and not name.startswith(wanted):
        return
    width = page.viewport_size["width"] if page.viewport_size else 1280
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_load_state("networkidle")
    path = IMAGES / f"{name}.png"
    path.write_bytes(squeeze(page.screenshot(animations="disabled", caret="hide")))
    print(f"{path}: {path.stat().st_size // 1024} KiB", flush=True)


def shoot(browser: Browser, product: Product, message: str, wanted: tuple[str, ...]) -> None:
    """Every picture, in both schemes."""
    for scheme in ("light", "dark"):
        with person(browser, product, scheme, 1280) as page:
            take(page, f"connections-{scheme}", wanted)
            verify_wrongly(page)
            take(page, f"connection-{scheme}", wanted, 1000)
            page.goto(message)
            take(page, f"message-{scheme}", wanted, 900)
            page.goto("/source-addresses/")
            take(page, f"source-addresses-{scheme}", wanted)
    with person(browser, product, "light", 360) as page:
        verify_wrongly(page)
        tall = int(page.evaluate("document.documentElement.scrollHeight"))
        take(page, "connection-360", wanted, tall)


def main() -> int:
    """All of it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    begin()
    with network(), servers(), Product(VAGUEMESTRE_EGRESS_ALLOW="203.0.113.0/24") as product:
        message = fill(product)
        with chromium(*SMOOTH) as browser:
            shoot(browser, product, message, tuple(sys.argv[1:]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
