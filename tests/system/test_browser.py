"""One story in a real browser, as the person lives it who was given four values by a provider."""

import json
import re
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from scripted.sink import SinkServer
from system.api import Api
from system.chromium import chromium, window
from system.letters import Arrived, Letter, Person
from system.product import Product, until

PERSON, PASSWORD = "claire@exemple.fr", "le facteur passe à midi"
OFFICE, SHOP = "contact@exemple.fr", "boutique@exemple.fr"
RIGHT, WRONG = "le-bon-mot-de-passe", "le-mauvais-mot-de-passe"
pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of playwright's own pipes
]


@pytest.fixture
def provider():
    """A provider's server: STARTTLS, then a login."""
    server = SinkServer(encryption="starttls", login=OFFICE, password=RIGHT, require_auth=True)
    with server.in_thread() as sink:
        yield sink


@contextmanager
def calm(browser, product):
    """A window that must have nothing to complain of."""
    with window(browser, product, viewport={"width": 1280, "height": 900}) as page:
        yield page
    assert page.complaints == []


def first_link(product):
    """The one-time link that `up` printed."""
    return json.loads((product.home / "out").read_text().splitlines()[0])["link"]


def heading(page, words):
    return page.get_by_role("heading", name=words)


def press(page, words):
    page.get_by_role("button", name=words, exact=True).click()


def follow(page, words):
    page.get_by_role("link", name=words, exact=True).click()


def becomes_the_first_administrator(page, link):
    page.goto(link)
    page.get_by_label("Votre adresse email").fill(PERSON)
    page.get_by_label("Mot de passe", exact=False).first.fill(PASSWORD)
    page.get_by_label("Le même mot de passe, encore une fois").fill(PASSWORD)
    press(page, "Créer et se connecter")
    expect(page.get_by_text("Bienvenue. La suite : votre première connexion.")).to_be_visible()
    expect(heading(page, "Votre première connexion")).to_be_visible()


def types_a_connection(page, server, name, sender, password):
    for label, value in (
        ("Nom Connexion", name), ("Email Expéditeur", sender), ("Nom de l’expéditeur", "Menuiserie Lefèvre"),
        ("Serveur", "localhost"), ("SMTP Login", OFFICE), ("SMTP Password", password), ("Port", str(server.port)),
    ):  # fmt: skip
        page.get_by_label(re.compile(f"^{label}")).fill(value)


def verifies_in_vain_then_corrects_it(page, server):
    """A wrong password: seven steps succeed, the eighth says why, a finding says what to do."""
    follow(page, "Créer une connexion")
    types_a_connection(page, server, "Bureau", OFFICE, WRONG)
    press(page, "Vérifier la connexion")
    expect(heading(page, "localhost refuse le login ou le mot de passe")).to_be_visible()
    steps = page.locator("#verification-result .ladder > li")
    expect(steps).to_have_count(8)
    expect(steps.and_(page.locator(".bad"))).to_have_count(1)
    expect(steps.last).to_contain_text("Identifiants refusés")
    expect(steps.last).to_contain_text("535 5.7.8 bad credentials")
    expect(page.locator(".findings")).to_contain_text("Retapez les deux, sans espace avant ni après.")
    expect(page.locator(".findings")).to_contain_text("À faire par vous")
    page.get_by_label("SMTP Password").fill(RIGHT)
    press(page, "Vérifier la connexion")
    expect(heading(page, "La connexion fonctionne")).to_be_visible()
    expect(steps.and_(page.locator(".bad"))).to_have_count(0)
    assert server.accepted == []


def saves_it_and_makes_it_the_default(page):
    press(page, "Enregistrer")
    expect(page.get_by_text("« Bureau » est enregistrée, et vérifiée.")).to_be_visible()
    row = page.get_by_role("listitem").filter(has=heading(page, "Bureau"))
    expect(row).to_contain_text("Vérifiée à l’instant")
    expect(row).to_contain_text("Prête à envoyer")
    follow(page, "Bureau")
    page.get_by_label("Utiliser comme expéditeur par défaut").check()
    expect(page.get_by_text("Tous les messages partiront d’ici")).to_be_visible()
    press(page, "Enregistrer")
    expect(page.locator(".ruling")).to_contain_text(f"Tous les emails partent de Bureau <{OFFICE}>")


def makes_a_second_one_the_default(page, server):
    follow(page, "Nouvelle connexion")
    types_a_connection(page, server, "Boutique", SHOP, RIGHT)
    page.get_by_label("Utiliser comme expéditeur par défaut").check()
    expect(page.locator(".consequence")).to_contain_text("« Bureau » ne sera plus l’expéditeur par défaut")
    press(page, "Enregistrer")
    expect(page.get_by_text("« Bureau » n’est plus l’expéditeur par défaut")).to_be_visible()
    expect(page.locator(".ruling")).to_contain_text(f"Tous les emails partent de Boutique <{SHOP}>")


def makes_a_key(page):
    """A key of an application; the text that is shown once."""
    follow(page, "Applications")
    follow(page, "Nouvelle clé")
    page.get_by_label(re.compile("^Nom de l’application")).fill("Site web")
    press(page, "Créer la clé")
    key = page.locator("#key").inner_text()
    follow(page, "Je l’ai copiée")
    expect(page.get_by_text("Site web")).to_be_visible()
    assert key not in page.content()
    return key


def hands_over(product, key):
    """What the application posts with that key; it asks for a From and a Reply-To of its own."""
    letter = Letter(
        to=(Person("lea.marchand@exemple.org", "Léa Marchand"),),
        subject="Votre commande n° 2042 est prête",
        text="Bonjour Léa,\n.\nà bientôt\n",
        from_=Person("robot@app.example", "Le Robot"),
        reply_to=(Person("ailleurs@app.example"),),
    )
    application = Api("127.0.0.1", product.web_port, key)
    uid = application.send(**letter.as_json())["id"]
    application.close()
    product.until_state(uid, "accepted")
    return letter


def reads_what_became_of_it(page, letter):
    follow(page, "Messages")
    follow(page, letter.subject)
    expect(heading(page, letter.subject)).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("accepté par le serveur")
    recipient = page.locator(".deliveries > li")
    expect(recipient).to_contain_text("lea.marchand@exemple.org")
    expect(recipient).to_contain_text("250 2.0.0 taken as 1")
    way = page.get_by_role("region", name="Son chemin")
    expect(way.get_by_role("link", name="Boutique")).to_be_visible()
    expect(way).to_contain_text("« Boutique » est l’expéditeur par défaut : il porte tous les messages.")
    expect(way.locator("s")).to_have_text(["Le Robot <robot@app.example>", "ailleurs@app.example"])
    expect(way).to_contain_text(f"Menuiserie Lefèvre <{SHOP}>")
    expect(way).to_contain_text("retirée")
    expect(page.get_by_role("region", name="Fiche")).to_contain_text("Site web · API")


def switches_the_default_off_and_names_who_follows(page):
    follow(page, "Connexions")
    page.get_by_role("switch", name="Boutique").click()
    expect(heading(page, "Qui devient l’expéditeur par défaut")).to_be_visible()
    page.get_by_role("radio", name=re.compile("^Bureau")).check()
    press(page, "Désactiver")
    expect(page.get_by_text("« Boutique » est désactivée.")).to_be_visible()
    expect(page.locator(".ruling")).to_contain_text(f"Tous les emails partent de Bureau <{OFFICE}>")
    expect(page.get_by_role("switch", name="Boutique")).not_to_be_checked()


def opens_the_used_link(browser, product, link):
    """It is answered 404, which Chromium tells on its console; the page itself stays calm."""
    with window(browser, product) as page:
        page.goto(link)
        expect(heading(page, "Ce lien ne fonctionne plus")).to_be_visible()
        expect(page.get_by_text("le lien ne servait qu’une fois")).to_be_visible()
        follow(page, "Se connecter")
        expect(page.get_by_label("Adresse email")).to_be_visible()
        assert [told for told in page.complaints if "404" not in told] == []


def test_an_office_manager_sets_it_up_and_sees_a_message_through(provider):
    with Product() as product, chromium() as browser:
        link = first_link(product)
        with calm(browser, product) as page:
            becomes_the_first_administrator(page, link)
            verifies_in_vain_then_corrects_it(page, provider)
            saves_it_and_makes_it_the_default(page)
            makes_a_second_one_the_default(page, provider)
            letter = hands_over(product, makes_a_key(page))
            reads_what_became_of_it(page, letter)
            switches_the_default_off_and_names_who_follows(page)
        opens_the_used_link(browser, product, link)
        assert WRONG not in product.logs()
    until(lambda: provider.open_sessions == 0, what="the end of the last session")
    (taken,) = provider.accepted
    assert (taken.mail, taken.tls, taken.login) == (SHOP, True, OFFICE)
    Arrived(taken.content).assert_is(
        letter,
        sender=Person(SHOP, "Menuiserie Lefèvre"),
        reply_to=(),
        never=("Boutique", "ailleurs", "robot@"),
    )
    assert provider.faults == []
