"""OAuth 2.0 in a real browser, under the strict policy: from the form over the provider's page to a checked sign-in."""

import dataclasses
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.sync_api import expect

from console.kit import connect
from console.test_in_chromium import _chromium, signed_in, window  # noqa: F401  fixtures, and what they need
from scripted.authorization import CLIENT, CLIENT_SECRET, JWT_BEARER, AuthorizationServer
from scripted.sink import SinkServer
from vaguemestre.ledger.models import Connection

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of playwright's own pipes
]
MAILBOX = "boite@exemple.fr"


@pytest.fixture
def at_home(settings, live_server):
    """The installation knows the address under which it is open."""
    settings.ENVIRONMENT = dataclasses.replace(settings.ENVIRONMENT, base_url=live_server.url)


def test_a_person_connects_a_mailbox_and_every_step_is_checked(at_home, signed_in):  # noqa: F811
    page = signed_in
    with AuthorizationServer().serving() as tokens:
        sink = SinkServer(login=MAILBOX, mechanisms="XOAUTH2", tokens=tokens.tokens, require_auth=True)
        with sink.in_thread():
            page.goto("/connections/new/")
            page.fill("#id_name", "Boîte")
            page.fill("#id_sender_email", MAILBOX)
            page.fill("#id_host", "127.0.0.1")
            page.get_by_text("Aucun", exact=True).last.click()
            page.fill("#id_port", str(sink.port))
            page.get_by_text("Microsoft, Google : OAuth2").click()
            expect(page.locator("#id_password")).to_be_hidden()
            page.fill("#id_login", MAILBOX)
            page.get_by_role("button", name="Enregistrer").click()
            page.get_by_role("link", name="Microsoft 365, en tant que personne").click()
            expect(page.get_by_text(f"{page.url.split('/connections')[0]}/oauth2/callback/")).to_be_visible()
            page.fill("#id_tenant", "exemple.fr")
            page.fill("#id_client_id", CLIENT)
            page.fill("#id_client_secret", CLIENT_SECRET)
            page.get_by_text("Autres adresses").click()
            page.fill("#id_token_endpoint", tokens.token_endpoint)
            page.fill("#id_authorization_endpoint", tokens.authorization_endpoint)
            page.get_by_role("button", name="Enregistrer").click()
            page.get_by_role("button", name="Se connecter avec Microsoft").click()
            page.wait_for_url(f"{tokens.url}/**")
            page.get_by_role("link", name="I agree").click()
            expect(page.get_by_text("« Boîte » est reliée.")).to_be_visible()
            page.get_by_role("button", name="Vérifier maintenant").click()
            expect(page.get_by_text("La connexion fonctionne")).to_be_visible()
            expect(page.locator(".ladder .good")).to_have_count(4)
            page.set_viewport_size({"width": 360, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert [form["grant_type"] for form in tokens.asked] == ["authorization_code", "refresh_token"]
        assert Connection.objects.get(name="Boîte").health == "ready"


def test_an_application_and_a_service_account_are_set_up_and_every_step_is_checked(at_home, signed_in):  # noqa: F811
    page, key = signed_in, rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    file = {"client_email": "relais@p.iam.gserviceaccount.com", "client_id": "17", "private_key": pem}
    ways = {
        "microsoft-app": {"tenant": "exemple.fr", "client_id": CLIENT, "client_secret": CLIENT_SECRET},
        "google-service-account": {"service_account_key": json.dumps(file)},
    }
    with AuthorizationServer().serving() as tokens:
        tokens.delegated[file["client_email"]] = key.public_key()
        sink = SinkServer(login=MAILBOX, mechanisms="XOAUTH2", tokens=tokens.tokens, require_auth=True)
        with sink.in_thread():
            for way, values in ways.items():
                tokens.as_jwt = {"roles": ["SMTP.SendAsApp"]} if way == "microsoft-app" else None
                made = connect(way, host="127.0.0.1", port=sink.port, encryption="none")
                page.goto(f"/connections/{made.uid}/oauth2/{way}/")
                page.get_by_text("Autres adresses").click()
                for name, value in (
                    {"login": MAILBOX, "token_endpoint": tokens.token_endpoint} | values
                ).items():
                    page.fill(f"#id_{name}", value)
                page.get_by_role("button", name="Enregistrer").click()
                page.get_by_role("button", name="Vérifier maintenant").click()
                expect(page.get_by_text("La connexion fonctionne")).to_be_visible()
                expect(page.locator(".ladder .good")).to_have_count(4)
                assert CLIENT_SECRET not in page.content()
                assert "PRIVATE KEY" not in page.content()
    assert [form["grant_type"] for form in tokens.asked] == ["client_credentials", JWT_BEARER]
