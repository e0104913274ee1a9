"""Guessing passwords: few tries, from however many networks; and no stranger keeps the owner out."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.utils import timezone

from console.conftest import PASSWORD
from console.kit import connect, text
from console.test_people import choose, forgets, link_in
from vaguemestre.console.people import guesses
from vaguemestre.ledger import instance
from vaguemestre.ledger.models import Message, User

TOO_MANY = "Trop d’essais erronés pour cette adresse."
WRONG = "non non non non"


def browser():
    return Client(headers={"accept-language": "fr"})


def sign_in(client, password=PASSWORD, network="203.0.113.7", login="claire@exemple.fr"):
    """ "in", "wrong" or "refused"."""
    form = {"login": login, "password": password}
    answer = client.post("/accounts/login/", form, REMOTE_ADDR=network)
    if answer.status_code == 302:
        return "in"
    return "refused" if TOO_MANY in text(answer) else "wrong"


@pytest.fixture
def frozen(time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


def tries(number, network):
    """How many of them are let through, each from a network of its own."""
    requests = [
        RequestFactory().post("/", REMOTE_ADDR=f"{network}.{n // 200}.{n % 200}") for n in range(number)
    ]
    return sum(guesses.begin(request, "Claire@exemple.fr ") is not None for request in requests)


def test_400_guesses_from_as_many_networks_are_ten_and_then_one_in_a_minute(claire, frozen):
    cache.clear()
    assert tries(400, "198.18") == 10
    start, later = timezone.now(), 0
    for second in range(0, 600, 10):
        frozen.move_to(start + timedelta(seconds=second), tick=False)
        later += tries(2, f"198.{20 + second // 10}")
    assert later == 9
    assert sign_in(browser(), network="192.0.2.1") == "refused"


def test_strangers_do_not_keep_a_known_browser_out(claire, stranger, frozen):
    assert sign_in(stranger) == "in"
    stranger.post("/accounts/logout/")
    tries(20, "198.18")
    for _guess in range(7):
        sign_in(browser(), WRONG)  # from the very network of the owner

    assert sign_in(browser()) == "refused"
    assert sign_in(stranger) == "in"
    assert sign_in(stranger, network="2001:db8::1") == "in"


def test_a_stranger_in_one_network_does_not_keep_the_owner_out_of_another(claire, stranger):
    assert [sign_in(browser(), WRONG) for _guess in range(6)] == ["wrong"] * 5 + ["refused"]
    assert sign_in(browser()) == "refused"
    assert sign_in(stranger, network="192.0.2.1") == "in"


def test_a_link_by_mail_makes_a_browser_known_whatever_strangers_do(claire, stranger, frozen):
    connect("Bureau")
    tries(20, "198.18")
    forgets(stranger, REMOTE_ADDR="192.0.2.1")
    new = "une tempête dans un verre"
    assert sign_in(stranger, new, "192.0.2.1") == "refused"

    choose(stranger, link_in(Message.objects.get()), new)

    tries(20, "198.19")
    assert sign_in(stranger, new, "192.0.2.1") == "in"


def test_the_browser_of_the_first_administrator_is_known(stranger):
    form = {"email": "claire@exemple.fr", "password": PASSWORD, "again": PASSWORD}
    stranger.post(f"/setup/{instance.new_setup_token()}/", form)
    stranger.post("/accounts/logout/")
    tries(20, "198.18")
    assert sign_in(stranger) == "in"


def test_a_known_browser_guesses_no_more_than_others(claire, stranger):
    assert sign_in(stranger) == "in"
    stranger.post("/accounts/logout/")
    found = [sign_in(stranger, WRONG, f"198.18.0.{number}") for number in range(11)]
    assert (found.count("wrong"), sign_in(stranger)) == (10, "refused")


def test_being_known_for_one_address_helps_with_no_other(claire, stranger):
    User.objects.create_user("bruno@exemple.fr", PASSWORD, language="fr")
    hers = browser()
    assert (sign_in(hers, network="192.0.2.1"), sign_in(stranger, login="bruno@exemple.fr")) == ("in", "in")
    mine, name = known(stranger), known(hers).key
    assert (mine["httponly"], mine["path"], mine["samesite"]) == (True, "/accounts/login/", "Lax")
    for forged in (mine.value, "x", ""):
        thief = browser()
        thief.cookies[name] = forged
        sign_in(thief, WRONG)
        sign_in(thief, WRONG)

    assert sign_in(thief, WRONG) == "refused"


def known(client):
    (cookie,) = (one for one in client.cookies.values() if one.key.startswith("known_"))
    return cookie


def test_signing_in_rightly_is_not_counted(claire):
    assert {sign_in(browser(), network="192.0.2.1") for _time in range(9)} == {"in"}
