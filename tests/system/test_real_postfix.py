"""The whole product before a real Postfix that wants STARTTLS and SASL, from every door."""

import os

import pytest

from scripted.sink import SinkServer
from system.doors import by_api, by_api_raw, by_command, by_smtp, by_swaks
from system.letters import Arrived, Person, a_full_letter, a_plain_letter
from system.postfix import Postfix
from system.product import Product, until

pytestmark = pytest.mark.needs("postfix", "saslpasswd2")

NAME = "Compte interne 4711"
SENDER = Person("office@example.org", "Étude Dupont")


@pytest.fixture(scope="module")
def mailboxes():
    """Where Postfix passes on what it took."""
    with SinkServer().in_thread() as sink:
        yield sink


@pytest.fixture(scope="module")
def postfix(mailboxes):
    if os.geteuid() != 0 and os.environ.get("VAGUEMESTRE_TEST_REQUIRE") != "all":
        pytest.skip("Postfix runs as root only")
    with Postfix(mailboxes.port, sender=SENDER.email) as server:
        yield server


def connection_to(postfix):
    return {
        "name": NAME,
        "sender_email": SENDER.email,
        "sender_name": SENDER.name,
        "encryption": "starttls",
        "login": postfix.login,
        "password": postfix.password,
    }


def arrivals(mailboxes, letter):
    """What arrived of a letter: its copies, once each recipient has one."""

    def copies():
        found = [
            one for one in mailboxes.accepted if Arrived(one.content).parsed["Subject"] == letter.subject
        ]
        return (
            found if {address for one in found for address in one.recipients} >= letter.recipients else None
        )

    return until(copies, 20, what="the arrival")


def check(product, mailboxes, letter, uid, reply_to):
    product.until_state(uid, "accepted")
    copies = arrivals(mailboxes, letter)
    assert sorted(address for one in copies for address in one.recipients) == sorted(letter.recipients)
    for one in copies:
        assert one.mail == SENDER.email
        Arrived(one.content).assert_is(letter, sender=SENDER, reply_to=reply_to, never=(NAME, "vgm_"))


def carry_mail_of_every_door(product, mailboxes, postfix, folder):
    typed = connection_to(postfix) | {"host": "localhost", "port": postfix.port}
    verified = product.api.post("/connections/verify", typed)
    assert verified["ok"], verified
    assert [step["phase"] for step in verified["steps"]][-4:] == ["auth", "mail", "rset", "quit"]
    assert verified["tls"]["version"] == "TLSv1.3"
    made = product.api.connect(postfix, **connection_to(postfix))
    assert made["verification"]["state"] == "verified"
    assert not made["unverified"]

    mark = product.web_port
    full, raw, plain = (a_full_letter(f"{door} {mark}") for door in ("api", "raw", "smtp"))
    uids = {
        "api": by_api(product, full),
        "raw": by_api_raw(product, raw),
        "smtp": by_smtp(product, plain),
    }
    command = a_plain_letter(f"cli {mark}", "anna@example.com", "boris@example.net")
    uids["cli"] = by_command(product, command, folder)

    check(product, mailboxes, full, uids["api"], full.reply_to)
    check(product, mailboxes, raw, uids["raw"], raw.reply_to)
    check(product, mailboxes, plain, uids["smtp"], plain.reply_to)
    # L4: another From than the connection's becomes the Reply-To where there is none.
    check(product, mailboxes, command, uids["cli"], [command.from_])
    told = product.message(uids["api"])
    assert told["via"] == "api"
    assert {delivery["connection"] for delivery in told["deliveries"]} == {made["id"]}
    assert told["attempts"][0]["tls"] == "TLSv1.3"
    assert told["deliveries"][0]["last_reply"]["code"] == 250


def test_a_verified_connection_carries_mail_of_every_door_unchanged(product, mailboxes, postfix, tmp_path):
    carry_mail_of_every_door(product, mailboxes, postfix, tmp_path)


@pytest.mark.needs("swaks")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_submits(product, mailboxes, postfix, tmp_path, mechanism):
    product.api.connect(postfix, **connection_to(postfix))
    letter = a_full_letter(f"swaks {mechanism}")
    uid = by_swaks(product, letter, tmp_path, mechanism)
    check(product, mailboxes, letter, uid, letter.reply_to)


def test_an_enclosure_given_to_the_command_arrives(product, mailboxes, postfix, tmp_path):
    product.api.connect(postfix, **connection_to(postfix))
    letter = a_full_letter("enclosed")
    sent = type(letter)(
        to=letter.to,
        subject=letter.subject,
        text=letter.text,
        from_=letter.from_,
        enclosures=letter.enclosures,
    )
    uid = by_command(product, sent, tmp_path)
    check(product, mailboxes, sent, uid, [sent.from_])


def test_a_wrong_password_is_told_and_what_waited_leaves_with_the_right_one(product, mailboxes, postfix):
    wrong = product.api.connect(postfix, **connection_to(postfix) | {"password": "not this one"})
    letter = a_plain_letter("locked")
    uid = by_api(product, letter)
    until(
        lambda: product.api.get(f"/connections/{wrong['id']}")["health"]["state"] == "locked", what="the lock"
    )
    assert product.message(uid)["state"] == "queued"
    assert "535" in str(product.message(uid)["attempts"])
    product.api.patch(f"/connections/{wrong['id']}", {"password": postfix.password})
    check(product, mailboxes, letter, uid, [letter.from_])


# In `make soak`: in every run `test_database_gone` has the whole product carry mail on PostgreSQL.
@pytest.mark.slow
@pytest.mark.needs("pg_ctlcluster")
def test_on_postgresql_a_verified_connection_carries_mail_of_every_door_unchanged(
    mailboxes, postfix, tmp_path
):
    with Product(database="postgresql") as product:
        assert not (product.data / "vaguemestre.sqlite3").exists()
        carry_mail_of_every_door(product, mailboxes, postfix, tmp_path)
