"""Utilisateurs: invitations, forgotten passwords and who comes in no more; all of it by ordinary messages."""

import email
import re
from datetime import timedelta
from email import policy

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.kit import connect, text
from vaguemestre.ledger import passwords, templates
from vaguemestre.ledger.contents import content_of
from vaguemestre.ledger.models import Delivery, Message, PasswordAsk, User

pytestmark = pytest.mark.django_db
NEW = "une tempête dans un verre"


def mail_of(message):
    return email.message_from_bytes(content_of(message).raw, policy=policy.default)


def link_in(message):
    words = mail_of(message).get_body(("plain",)).get_content().replace("\n", "")
    return re.search(r"https?://\S+?(/accounts/password/choose/[\w-]+/)", words)[1]


def choose(browser, link, password=NEW):
    form = browser.get(link, follow=True)
    return browser.post(
        form.request["PATH_INFO"], {"password1": password, "password2": password}, follow=True
    )


def test_somebody_is_invited_chooses_a_password_and_comes_in(page, settings):
    connect("Bureau")
    answer = page.post("/people/", {"email": "Max@Exemple.fr", "language": "it"}, follow=True)
    assert "Une invitation est en route vers Max@exemple.fr." in text(answer)
    assert "n’a pas encore choisi de mot de passe" in text(answer)
    (message,) = Message.objects.all()
    (delivery,) = message.delivery_set.all()
    assert (message.stream.key, message.via, delivery.state) == ("notifications", "report", "queued")
    assert delivery.expires_at - message.accepted_at == timedelta(days=1)
    assert mail_of(message)["Subject"] == "Invito a Vaguemestre"
    assert settings.ENVIRONMENT.base_url in mail_of(message).get_body(("html",)).get_content()

    guest = Client(headers={"accept-language": "it"})
    choose(guest, link_in(message))
    assert guest.post("/accounts/login/", {"login": "max@exemple.fr", "password": NEW}).status_code == 302
    assert User.objects.get(email__iexact="max@exemple.fr").is_superuser


def test_a_link_serves_once_and_for_a_day(page, stranger, time_machine):
    connect("Bureau")
    page.post("/people/", {"email": "max@exemple.fr", "language": "fr"})
    link = link_in(Message.objects.get())
    time_machine.move_to(timezone.now() + timedelta(hours=25))
    assert "Ce lien ne fonctionne plus" in text(stranger.get(link, follow=True))
    time_machine.move_to(timezone.now() - timedelta(hours=24, minutes=30))
    assert "Votre mot de passe est enregistré" in text(choose(stranger, link))
    assert "Ce lien ne fonctionne plus" in text(
        Client(headers={"accept-language": "fr"}).get(link, follow=True)
    )


def test_an_invitation_without_a_route_waits_and_says_what_helps(page):
    answer = page.post("/people/", {"email": "max@exemple.fr", "language": "fr"}, follow=True)
    assert "vaguemestre admin password --email max@exemple.fr" in text(answer)
    assert Delivery.objects.get().state == "held"


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"email": "claire@EXEMPLE.fr", "language": "fr"}, "fait déjà partie des utilisateurs"),
        ({"email": "nobody", "language": "fr"}, "adresse email"),
        ({"email": "max@exemple.fr", "language": "xx"}, "Choisissez une langue"),
    ],
)
def test_a_wrong_invitation_is_told_and_nobody_is_made(page, form, words):
    answer = page.post("/people/", form)
    assert answer.status_code == 422
    assert words in text(answer)
    assert (User.objects.count(), Message.objects.count()) == (1, 0)


def forgets(stranger, email="claire@exemple.fr", **options):
    """Asks for a new password; the courier answers at its next look."""
    answer = stranger.post("/accounts/password/forgotten/", {"email": email}, follow=True, **options)
    passwords.answer(timezone.now())
    return answer


def test_a_forgotten_password_is_answered_with_a_link(claire, stranger):
    connect("Bureau")
    answer = forgets(stranger, "CLAIRE@exemple.fr")
    assert "Si cette adresse est connue ici" in text(answer)
    message = Message.objects.get()
    assert mail_of(message)["To"] == "claire@exemple.fr"
    choose(stranger, link_in(message))
    claire.refresh_from_db()
    assert claire.check_password(NEW)


def test_a_link_is_not_to_be_read_in_the_console(page, claire, stranger):
    connect("Bureau")
    forgets(stranger)
    message = Message.objects.get()
    shown = page.get(f"/messages/{message.uid}/").content.decode()
    assert message.subject in shown
    assert link_in(message) not in shown


def test_a_link_names_the_public_address_whatever_the_request_says(claire, stranger, settings):
    connect("Bureau")
    forgets(stranger, headers={"host": "localhost:9"})
    assert "localhost:9" not in mail_of(Message.objects.get()).get_body(("plain",)).get_content()


def test_a_stranger_learns_nothing_and_nobody_gets_mail_for_an_unknown_address(claire, stranger):
    known, unknown = forgets(stranger), forgets(stranger, "nobody@exemple.fr")
    assert text(known) == text(unknown)
    assert Message.objects.count() == 1
    assert Delivery.objects.get().state == "held"  # no route: and the page names the command


def test_the_answer_takes_the_same_work_for_every_address(claire, stranger):
    """What the database is asked while a stranger waits tells no address from another."""
    asked = {}
    for typed in ("warm@exemple.fr", "claire@exemple.fr", "nobody@exemple.fr"):
        with CaptureQueriesContext(database) as statements:
            assert stranger.post("/accounts/password/forgotten/", {"email": typed}).status_code == 302
        asked[typed] = [statement["sql"].partition(" ")[0] for statement in statements]
    assert asked["claire@exemple.fr"] == asked["nobody@exemple.fr"]
    assert "ledger_user" not in "".join(statement["sql"] for statement in statements)
    assert Message.objects.count() == 0
    assert (passwords.answer(timezone.now()), Message.objects.count()) == (1, 1)
    assert passwords.answer(timezone.now()) == 0


def test_what_no_courier_answered_for_a_day_is_not_answered_any_more(claire):
    passwords.ask("claire@exemple.fr", timezone.now() - passwords.VALID)
    assert (passwords.answer(timezone.now()), PasswordAsk.objects.count()) == (0, 0)


def test_a_template_of_ones_own_that_cannot_be_used_locks_nobody_out(claire, stranger):
    connect("Bureau")
    broken = {"subject": "S", "text": "{{ nosuch }}"}
    templates.save("password-reset", "fr", broken, "user:x", timezone.now())
    forgets(stranger)
    message = Message.objects.get()
    assert message.subject == "Votre nouveau mot de passe"
    assert choose(stranger, link_in(message)).status_code == 200


def test_resets_are_no_way_to_flood_a_mailbox(claire, stranger):
    answers = [
        stranger.post("/accounts/password/forgotten/", {"email": "claire@exemple.fr"}) for _ in range(5)
    ]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429, 429]
    assert passwords.answer(timezone.now()) == 3
    assert Message.objects.count() == 3


def test_who_is_deactivated_is_out_at_once_and_may_come_back(page, claire):
    max_ = User.objects.create_user("max@exemple.fr", NEW, language="fr")
    his = Client(headers={"accept-language": "fr"})
    his.force_login(max_)
    assert his.get("/messages/").status_code == 200
    assert "max@exemple.fr n’entre plus." in text(page.post(f"/people/{max_.pk}/let-in/", follow=True))
    assert his.get("/messages/").status_code == 302
    page.post(f"/people/{max_.pk}/let-in/", {"may": "on"})
    assert User.objects.get(pk=max_.pk).is_active


def test_nobody_locks_themselves_out(page, claire):
    answer = page.post(f"/people/{claire.pk}/let-in/", follow=True)
    assert "Vous ne pouvez pas vous désactiver vous-même." in text(answer)
    assert User.objects.get().is_active


def test_an_invitation_is_sent_again(page):
    connect("Bureau")
    page.post("/people/", {"email": "max@exemple.fr", "language": "fr"})
    max_ = User.objects.get(email="max@exemple.fr")
    page.post(f"/people/{max_.pk}/invite/")
    assert Message.objects.count() == 2
    assert page.post("/people/x/invite/").status_code == 404


def test_alerts_by_mail_are_for_who_wants_them(page, claire):
    assert not User.objects.get().wants_alerts
    assert "Vous recevez les alertes par email" in text(
        page.post("/people/alerts/", {"alerts": "on"}, follow=True)
    )
    assert User.objects.get().wants_alerts
    assert "reçoit les alertes par email" in text(page.get("/people/"))
    page.post("/people/alerts/", {"alerts": "off"})
    assert not User.objects.get().wants_alerts
