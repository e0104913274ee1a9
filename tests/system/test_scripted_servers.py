"""The whole product before servers that each lack something."""

import pytest

from scripted.sink import LOST, Answer, SinkServer
from system.doors import by_api
from system.letters import Arrived, Person, a_full_letter, a_plain_letter
from system.product import until

SENDER = Person("office@example.org", "Étude Dupont")


def test_a_server_with_ssl_on_connect_and_auth_login_only(product):
    server = SinkServer(
        encryption="ssl", login="app", password="ein Wort für hier", mechanisms="LOGIN", require_auth=True
    )
    with server.in_thread() as sink:
        typed = {
            "encryption": "ssl",
            "login": "app",
            "password": "ein Wort für hier",
            "sender_name": SENDER.name,
        }
        made = product.api.connect(sink, **typed)
        assert product.api.post(f"/connections/{made['id']}/verify")["ok"]
        letter = a_full_letter("ssl")
        product.until_state(by_api(product, letter), "accepted")
        (one,) = sink.accepted
        assert (one.tls, one.login, one.mail) == (True, "app", SENDER.email)
        assert set(one.recipients) == letter.recipients
        Arrived(one.content).assert_is(letter, sender=SENDER, reply_to=letter.reply_to, never=(made["name"],))
        assert {line.split()[1] for _, line in sink.commands if line.startswith("AUTH")} == {"LOGIN"}
        assert sink.faults == []


def test_a_server_without_auth(product, sink):
    made = product.api.connect(sink, sender_name=SENDER.name)
    assert made["auth"] == "none"
    letter = a_full_letter("relay")
    product.until_state(by_api(product, letter), "accepted")
    (one,) = sink.accepted
    assert one.login is None
    Arrived(one.content).assert_is(letter, sender=SENDER, reply_to=letter.reply_to, never=(made["name"],))
    assert not [line for _, line in sink.commands if line.startswith("AUTH")]
    assert sink.faults == []


def test_the_command_hands_over_a_raw_message_and_waits_for_its_acceptance(product, sink, tmp_path):
    product.api.connect(sink, sender_name=SENDER.name)
    letter = a_full_letter("command raw")
    path = tmp_path / "letter.eml"
    path.write_bytes(letter.as_email().as_bytes())
    to = [word for address in sorted(letter.recipients) for word in ("--to", address)]
    told = product.tell("send", "--raw", path, *to, "--wait")
    assert told["state"] == "accepted"
    (one,) = sink.accepted
    assert set(one.recipients) == letter.recipients
    Arrived(one.content).assert_is(letter, sender=SENDER, reply_to=letter.reply_to)
    assert told["id"] in product.run("message", "list")


def test_a_server_that_drops_after_the_dot_leaves_doubt_and_gets_the_same_bytes_once_more(product):
    seen = set()

    def lost_at_first(moment):
        first = moment.recipients not in seen
        seen.add(moment.recipients)
        return LOST if first else None

    with SinkServer(hooks={"content": lost_at_first}).in_thread() as sink:
        product.api.connect(sink)
        # Two: a third broken dialogue running would throttle the connection for a minute.
        uids = [by_api(product, a_plain_letter(f"drop {n}", f"reader{n}@example.com")) for n in range(2)]
        doubtful = [product.until_state(uid, "in_doubt", within=10) for uid in uids]
        assert {message["deliveries"][0]["doubt"] for message in doubtful} == {"connection_lost"}
        settled = [product.until_state(uid, "accepted", within=20) for uid in uids]
        assert [len(message["attempts"]) for message in settled] == [2] * 2
        for n in range(2):
            first, second = [one for one in sink.accepted if one.recipients == (f"reader{n}@example.com",)]
            assert first.content == second.content
            assert second.at - first.at >= 3.0
            assert (first.answered, second.answered) == (False, True)


def test_what_is_in_doubt_with_hold_waits_for_a_person(product):
    first = [True]

    def lost_once(_):
        return LOST if first.pop() else None

    with SinkServer(
        hooks={"content": lambda moment: lost_once(moment) if first else None}
    ).in_thread() as sink:
        product.api.connect(sink)
        uid = product.api.send(on_doubt="hold")["id"]
        product.until_state(uid, "in_doubt")
        until(lambda: product.message(uid)["deliveries"][0]["next_attempt_at"] is None, 2)
        later = product.api.send(text="After it.")["id"]
        product.until_state(later, "accepted")
        assert product.message(uid)["state"] == "in_doubt"
        assert len(sink.accepted) == 2
        attempt = product.message(uid)["deliveries"][0]["attempt"]
        shown = product.tell("message", "show", uid)
        assert shown["state"] == "in_doubt"
        product.api.post(f"/messages/{uid}/resolve", {"outcome": "send_again", "attempt": attempt})
        product.until_state(uid, "accepted")
        assert len(sink.accepted) == 3
        product.api.post(
            f"/messages/{uid}/resolve", {"outcome": "send_again", "attempt": attempt}, status=409
        )


@pytest.mark.parametrize("reply", ["550 5.1.1 no such user", "450 4.2.0 later"])
def test_one_recipient_is_judged_alone(product, reply):
    calls = []

    def picky(moment):
        if moment.argument == "gone@example.com":
            calls.append(moment)
            return Answer(reply) if len(calls) == 1 else None
        return None

    with SinkServer(hooks={"rcpt": picky}).in_thread() as sink:
        product.api.connect(sink)
        uid = by_api(product, a_plain_letter("picky", "anna@example.com", "gone@example.com"))
        wanted = "refused" if reply.startswith("5") else "accepted"

        def settled():
            states = {one["recipient"]: one["state"] for one in product.message(uid)["deliveries"]}
            return states == {"anna@example.com": "accepted", "gone@example.com": wanted}

        until(settled, 15, what=f"accepted and {wanted}")
        assert sum("anna@example.com" in one.recipients for one in sink.accepted) == 1
        assert reply[:3] in str(product.message(uid)["attempts"])
