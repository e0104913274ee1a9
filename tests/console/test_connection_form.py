"""The page of one connection: what was typed, what is wrong with it, and what saving it did."""

import re

import pytest
from django.utils import timezone

from console.kit import CANARY, connect, errors, tags, text, typed
from vaguemestre.ledger import connections, instance, streams, vault
from vaguemestre.ledger.models import Connection


def value_of(answer, name):
    return next(
        attrs.get("value") for tag, attrs in tags(answer) if tag == "input" and attrs.get("name") == name
    )


def ticked(answer, name):
    return next(
        "checked" in attrs for tag, attrs in tags(answer) if tag == "input" and attrs.get("name") == name
    )


def test_the_form_has_the_missions_labels(page):
    words = text(page.get("/connections/new/"))

    for label in (
        "Données de sortie (SMTP)", "Nom Connexion", "Email Expéditeur", "Serveur", "Actif",
        "Utiliser comme expéditeur par défaut", "Détails techniques d’accès", "SMTP Login", "SMTP Password",
        "Chiffrement", "SSL", "TLS", "Aucun", "Port", "Vérifier la connexion", "Enregistrer", "Limites", "Avancé",
    ):  # fmt: skip
        assert label in words, label


def test_a_connection_is_created_and_an_unverified_one_says_so(page):
    answer = page.post("/connections/new/", typed(login="contact@exemple.fr", password=CANARY), follow=True)

    saved = Connection.objects.get()
    assert (saved.name, saved.port, saved.encryption, saved.active, saved.is_default) == (
        "Bureau", 587, "starttls", True, False,
    )  # fmt: skip
    assert vault.secret_of(saved).reveal() == CANARY
    assert "n’ont pas encore été vérifiés avec succès" in text(answer)
    assert "Jamais vérifiée" in text(answer)
    assert CANARY not in answer.content.decode()


def test_every_fault_stands_at_its_field_and_what_was_typed_is_kept(page):
    connect("Serveur Marketing")

    answer = page.post("/connections/new/", typed(
        name="SERVEUR MARKETING", sender_email="pas une adresse", host="smtp://smtp.exemple.fr", port="99999",
        per_day="beaucoup", allowed_senders="lea@exemple.org\nn'importe quoi", login="contact", password=CANARY,
    ))  # fmt: skip

    assert answer.status_code == 422
    assert errors(answer) == {
        "name": "Une autre connexion porte ce nom ; choisissez-en un différent.",
        "sender_email": "Ce n’est pas une adresse email ; elle s’écrit comme nom@exemple.fr.",
        "host": "Donnez seulement le nom du serveur, sans ce qui finit par ://.",
        "port": "Le port est un nombre de 1 à 65535, en général 465 ou 587.",
        "per_day": "Une limite est un nombre entier supérieur à 0, ou rien.",
        "allowed_senders": "Un expéditeur admis est une adresse comme nom@exemple.fr, ou *@exemple.fr pour tout un"
        " domaine.",
    }
    assert value_of(answer, "sender_email") == "pas une adresse"
    assert value_of(answer, "host") == "smtp://smtp.exemple.fr"
    assert value_of(answer, "port") == "99999"
    assert value_of(answer, "login") == "contact"
    assert CANARY not in answer.content.decode()
    assert "le mot de passe n’est pas réaffiché" in text(answer)
    assert Connection.objects.count() == 1


def test_a_faulty_field_is_marked_for_those_who_do_not_see_it(page):
    answer = page.post("/connections/new/", typed(host="smtp exemple"))

    host = next(attrs for tag, attrs in tags(answer) if attrs.get("name") == "host")
    assert host["aria-invalid"] == "true"
    assert "id_host_error" in host["aria-describedby"].split()


@pytest.mark.parametrize(("encryption", "port"), [("ssl", 465), ("starttls", 587), ("none", 25)])
def test_an_empty_port_follows_the_encryption(page, encryption, port):
    page.post("/connections/new/", typed(encryption=encryption))

    assert Connection.objects.get().port == port


def test_a_blank_is_refused_and_not_trimmed(page):
    answer = page.post("/connections/new/", typed(host=" smtp.exemple.fr"))

    assert "host" in errors(answer)
    assert value_of(answer, "host") == " smtp.exemple.fr"


def test_a_password_in_clear_is_refused_at_the_encryption(page):
    answer = page.post("/connections/new/", typed(encryption="none", login="a", password=CANARY))

    assert "Un mot de passe ne part jamais en clair" in errors(answer)["encryption"]


def test_an_inactive_default_is_refused_at_the_field(page):
    answer = page.post("/connections/new/", typed(active=None, is_default="on"))

    assert "Seule une connexion active peut être l’expéditeur par défaut" in errors(answer)["is_default"]


def test_editing_shows_everything_but_the_password(page):
    connect("Bureau", login="contact@exemple.fr", password=CANARY, allowed_senders=["lea@exemple.fr", "*@b.fr"],
            limits={"per_day": 200}, reply_to="reponse@exemple.fr", sender_name="L’atelier")  # fmt: skip

    answer = page.get(f"/connections/{Connection.objects.get().uid}/")

    assert value_of(answer, "login") == "contact@exemple.fr"
    assert value_of(answer, "per_day") == "200"
    assert value_of(answer, "reply_to") == "reponse@exemple.fr"
    assert value_of(answer, "sender_name") == "L’atelier"
    assert "lea@exemple.fr\n*@b.fr" in answer.content.decode()
    assert value_of(answer, "password") is None
    assert CANARY not in answer.content.decode()
    assert "Laisser vide pour garder le mot de passe enregistré" in text(answer)


def test_an_empty_password_keeps_the_stored_one(page):
    saved = connect("Bureau", login="contact", password=CANARY)

    page.post(f"/connections/{saved.uid}/", typed(name="Le bureau", login="contact"))

    saved.refresh_from_db()
    assert saved.name == "Le bureau"
    assert vault.secret_of(saved).reveal() == CANARY


@pytest.mark.parametrize(
    "moved", [{"host": "autre.exemple.fr"}, {"port": "2525"}, {"encryption": "ssl"}, {"login": "autre"}]
)
def test_another_server_port_encryption_or_login_wants_the_password_again(page, moved):
    saved = connect("Bureau", login="contact", password=CANARY)

    answer = page.post(f"/connections/{saved.uid}/", typed(login="contact") | moved)

    assert answer.status_code == 422
    assert "retapez le mot de passe" in errors(answer)["password"]
    assert Connection.objects.get().host == "smtp.exemple.fr"


def test_the_stored_password_can_be_forgotten(page):
    saved = connect("Bureau", login="contact", password=CANARY)

    page.post(f"/connections/{saved.uid}/", typed(login="", clear_password="on"))

    saved = Connection.objects.get()
    assert saved.auth == "none"
    assert not connections.vault_has(saved)


def test_ticking_the_default_tells_before_whom_it_demotes(page):
    connect("Serveur Marketing", is_default=True)

    words = text(page.get("/connections/new/"))

    assert "Ce que cela change" in words
    assert (
        "« Serveur Marketing » ne sera plus l’expéditeur par défaut ; la connexion restera active." in words
    )
    assert "quoi que le message ait demandé" in words


def test_a_second_default_demotes_the_first_and_says_so(page):
    connect("Serveur Marketing", is_default=True)

    answer = page.post("/connections/new/", typed(is_default="on"), follow=True)

    assert "« Serveur Marketing » n’est plus l’expéditeur par défaut ; la connexion reste active." in text(
        answer
    )
    assert "Tous les emails partent de Bureau <contact@exemple.fr> : expéditeur par défaut." in text(answer)
    assert list(Connection.objects.filter(is_default=True).values_list("name", flat=True)) == ["Bureau"]
    assert Connection.objects.filter(active=True).count() == 2


def test_in_fallback_the_page_tells_what_the_default_then_means(page):
    instance.change_settings({"default_mode": "fallback"}, "user:x", timezone.now())

    assert "ne correspondent à aucune autre connexion partiront d’ici" in text(page.get("/connections/new/"))


def test_deactivating_the_default_in_the_form_asks_for_the_successor_and_keeps_what_was_typed(page):
    saved = connect("Bureau", is_default=True)
    heir = connect("Serveur Marketing")

    answer = page.post(f"/connections/{saved.uid}/", typed(active=None, is_default="on", sender_name="Tapé"))

    assert answer.status_code == 409
    assert "dites qui lui succède" in text(answer)
    assert value_of(answer, "sender_name") == "Tapé"
    assert Connection.objects.get(is_default=True).name == "Bureau"

    page.post(f"/connections/{saved.uid}/", typed(active=None, is_default="on", successor=str(heir.uid)))

    assert Connection.objects.get(is_default=True).name == "Serveur Marketing"
    assert not Connection.objects.get(name="Bureau").active


def test_unticking_the_default_leaves_none(page):
    saved = connect("Bureau", is_default=True)

    page.post(f"/connections/{saved.uid}/", typed())

    assert not Connection.objects.filter(is_default=True).exists()
    assert Connection.objects.get().active


def test_a_locked_connection_says_what_the_server_said(page):
    saved = connect("Bureau")
    Connection.objects.filter(pk=saved.pk).update(
        health="locked", health_why="sign_in_refused", health_text="535 5.7.8 <b>non</b>"
    )

    answer = page.get(f"/connections/{saved.uid}/")

    assert "Le serveur a refusé le login ou le mot de passe." in text(answer)
    assert "535 5.7.8 &lt;b&gt;non&lt;/b&gt;" in answer.content.decode()


def test_pausing_and_resuming(page):
    saved = connect("Bureau")

    assert page.post(f"/connections/{saved.uid}/pause/", {"back": "edit"}).url == f"/connections/{saved.uid}/"
    assert "Mise en pause" in text(page.get("/connections/"))
    page.post(f"/connections/{saved.uid}/resume/")
    assert "Prête à envoyer" in text(page.get("/connections/"))


def test_i11_what_was_typed_is_inert(page):
    nasty = "\"><img src=x onerror=alert(1)>'{{ 7|add:7 }}"

    answer = page.post("/connections/new/", typed(name=nasty, host=nasty, sender_email=nasty))

    assert "<img src=x" not in answer.content.decode()
    assert value_of(answer, "name") == nasty
    connect(nasty, sender_email="a@exemple.fr", sender_name="<script>alert(2)</script>")
    for address in ("/connections/", f"/connections/{Connection.objects.get().uid}/"):
        assert not re.search(r"<img src=x|<script>alert", page.get(address).content.decode())


def test_deleting_is_confirmed_on_a_page_of_its_own(page):
    saved = connect("Bureau", login="contact", password=CANARY)
    address = f"/connections/{saved.uid}/delete/"

    words = text(page.get(address))
    assert "Supprimer « Bureau » ?" in words
    assert "son mot de passe est détruit" in words
    assert Connection.objects.filter(deleted_at=None).exists()

    answer = page.post(address, follow=True)
    assert "« Bureau » est supprimée" in text(answer)
    assert not Connection.objects.filter(deleted_at=None).exists()
    assert page.get(address).status_code == 404


def test_deleting_the_default_asks_for_the_successor(page):
    saved, heir = connect("Bureau", is_default=True), connect("Support")
    address = f"/connections/{saved.uid}/delete/"

    answer = page.post(address)
    assert answer.status_code == 409
    assert "Qui devient l’expéditeur par défaut ?" in text(answer)
    assert Connection.objects.get(is_default=True).name == "Bureau"

    page.post(address, {"successor": str(heir.uid)})
    assert Connection.objects.get(is_default=True).name == "Support"


def test_deleting_what_a_stream_uses_is_refused_with_the_streams_name(page):
    saved = connect("Bureau")
    streams.edit("invoices", {"connection": str(saved.uid)}, "user:x", timezone.now())

    answer = page.post(f"/connections/{saved.uid}/delete/")

    assert answer.status_code == 409
    assert "invoices" in text(answer)


def test_an_international_server_is_shown_as_people_read_it(page):
    office = connect(host="smtp.café.example")
    assert office.host == "smtp.xn--caf-dma.example"
    shown = page.get(f"/connections/{office.uid}/").content.decode()
    assert 'value="smtp.café.example"' in shown
    assert "smtp.café.example" in text(page.get("/connections/"))
