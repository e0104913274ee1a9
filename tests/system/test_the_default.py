"""The default sender (L1 to L4), as an operator meets it by API and command line."""

import threading

import pytest

from system.doors import by_api
from system.letters import Arrived, Person, a_plain_letter


def address_of(n):
    return f"sender{n}@example.org"


def three(product, sink):
    """Three active connections, none the default."""
    return [
        product.api.connect(sink, name=f"Internal {n}", sender_email=address_of(n), sender_name=f"Büro {n}")
        for n in range(3)
    ]


def newest(sink, uid, product):
    product.until_state(uid, "accepted")
    return sink.accepted[-1], Arrived(sink.accepted[-1].content)


def listed(product):
    return {item["name"]: item["is_default"] for item in product.api.get("/connections")["items"]}


def test_ticking_it_demotes_the_previous_one_and_says_so(product, sink):
    first, second, third = three(product, sink)
    assert product.api.patch(f"/connections/{first['id']}", {"is_default": True})["demoted"] == []
    answer = product.api.patch(f"/connections/{second['id']}", {"is_default": True})
    assert answer["demoted"] == [first["id"]]
    assert answer["is_default"]
    assert product.api.get(f"/connections/{first['id']}")["active"]
    told = product.tell("connection", "default", third["name"])
    assert [str(one) for one in told["demoted"]] == [second["id"]]
    said = product.run("connection", "default", first["name"])
    assert "Internal 2" in said
    assert listed(product) == {"Internal 0": True, "Internal 1": False, "Internal 2": False}


def test_it_overrides_sender_and_reply_to_of_every_message(product, sink):
    first, second, third = three(product, sink)
    product.api.patch(f"/connections/{second['id']}", {"is_default": True, "reply_to": "answers@example.org"})
    asked = a_plain_letter("override")
    body = asked.as_json() | {
        "from": {"email": address_of(0), "name": "Büro 0"},
        "reply_to": ["elsewhere@app.example"],
        "connection": first["id"],
    }
    one, arrived = newest(sink, product.api.send(**body)["id"], product)
    assert one.mail == address_of(1)
    assert arrived.people("From") == [Person(address_of(1), "Büro 1")]
    assert arrived.people("Reply-To") == [Person("answers@example.org")]
    assert b"elsewhere" not in one.content
    assert b"Internal" not in one.content
    product.api.patch(f"/connections/{second['id']}", {"reply_to": ""})
    one, arrived = newest(sink, product.api.send(**body)["id"], product)
    assert arrived.people("Reply-To") == []
    explained = product.api.post("/routes/explain", {"from": address_of(0), "connection": third["id"]})
    assert second["id"] in str(explained)


def test_under_fallback_it_serves_only_what_nothing_else_matches(product, sink):
    first, second, _ = three(product, sink)
    product.api.patch(f"/connections/{second['id']}", {"is_default": True})
    product.run("setting", "set", "default_mode", "fallback")
    assert product.api.get("/settings")["default_mode"] == "fallback"
    own = product.api.send(**{"from": address_of(2)})["id"]
    assert newest(sink, own, product)[0].mail == address_of(2)
    named = product.api.send(**{"from": "robot@app.example", "connection": first["name"]})["id"]
    assert newest(sink, named, product)[0].mail == address_of(0)
    rest = product.api.send(**{"from": "robot@app.example"})["id"]
    one, arrived = newest(sink, rest, product)
    assert one.mail == address_of(1)
    assert arrived.people("Reply-To") == [Person("robot@app.example")]


def test_without_one_and_without_a_match_mail_is_held_until_the_choice(product, sink):
    first, *_ = three(product, sink)
    uid = by_api(product, a_plain_letter("which"))
    message = product.message(uid)
    assert message["state"] == "held"
    assert message["reason"]["text"]
    product.run("connection", "default", first["name"])
    assert newest(sink, uid, product)[0].mail == address_of(0)


@pytest.mark.parametrize("how", ["deactivate", "delete"])
def test_taking_it_away_asks_for_the_successor(product, sink, how):
    first, second, _ = three(product, sink)
    path = f"/api/v1/connections/{first['id']}"
    product.api.patch(f"/connections/{first['id']}", {"is_default": True})
    before = product.rows("SELECT routing_epoch FROM ledger_instance")
    if how == "deactivate":
        refused = product.api.ask("PATCH", path, {"active": False})
        said = product.run("connection", "deactivate", first["name"], status=1)
    else:
        refused = product.api.ask("DELETE", path)
        said = product.run("connection", "delete", first["name"], status=1)
    assert refused.expect(409)["code"] == "successor_needed"
    assert said.strip()
    assert listed(product) == {"Internal 0": True, "Internal 1": False, "Internal 2": False}
    assert product.rows("SELECT routing_epoch FROM ledger_instance") == before
    if how == "deactivate":
        product.api.ask("PATCH", path, {"active": False, "successor": second["id"]}).expect(200)
        assert listed(product) == {"Internal 0": False, "Internal 1": True, "Internal 2": False}
    else:
        product.api.ask("DELETE", f"{path}?successor={second['id']}").expect(204)
        assert listed(product) == {"Internal 1": True, "Internal 2": False}


def test_with_no_active_connection_mail_is_held_and_leaves_by_itself_after_activation(product, sink):
    made = product.api.connect(sink, active=False)
    uids = [by_api(product, a_plain_letter(f"held {n}")) for n in range(20)]
    assert {product.message(uid)["state"] for uid in uids} == {"held"}
    assert sink.sessions == 0
    product.run("connection", "activate", made["name"])
    for uid in uids:
        product.until_state(uid, "accepted")
    assert len(sink.accepted) == 20


def test_a_deactivated_connection_carries_nothing_more(product, sink):
    first, second, _ = three(product, sink)
    product.api.patch(f"/connections/{first['id']}", {"is_default": True})
    product.api.patch(f"/connections/{first['id']}", {"active": False, "successor": None})
    uid = product.api.send(connection=first["id"])["id"]
    assert product.message(uid)["state"] == "held"
    product.until_state(product.api.send(connection=second["id"])["id"], "accepted")
    assert [one.mail for one in sink.accepted] == [address_of(1)]
    assert product.message(uid)["state"] == "held"


def test_a_hundred_changes_at_once_leave_exactly_one_at_every_read(product, sink):
    made = [
        product.api.connect(sink, name=f"Internal {n}", sender_email=address_of(n))["id"] for n in range(10)
    ]
    product.api.patch(f"/connections/{made[0]}", {"is_default": True})
    answers, reads, start, done = [], [], threading.Barrier(101), threading.Event()

    def change(n):
        start.wait()
        answers.append(product.api.ask("PATCH", f"/api/v1/connections/{made[n % 10]}", {"is_default": True}))
        product.api.close()

    def read():
        start.wait()
        while not done.is_set():
            defaults = [item["id"] for item in product.api.get("/connections")["items"] if item["is_default"]]
            stored = product.rows("SELECT count(*) FROM ledger_connection WHERE is_default")
            reads.append((len(defaults), stored[0][0]))
        product.api.close()

    threads = [threading.Thread(target=change, args=(n,)) for n in range(100)]
    reader = threading.Thread(target=read)
    for thread in (*threads, reader):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()

    assert [answer.status for answer in answers] == [200] * 100
    assert len(reads) >= 5
    assert set(reads) == {(1, 1)}
    # Each change tells whom it demoted: the chain of them leads from the first default to the last.
    changes = [answer.json for answer in answers]
    assert all(len(change["demoted"]) <= 1 for change in changes)
    balance = dict.fromkeys(made, 0) | {made[0]: 1}
    for change in changes:
        for demoted in change["demoted"]:
            balance[change["id"]] += 1
            balance[demoted] -= 1
    (last,) = [item["id"] for item in product.api.get("/connections")["items"] if item["is_default"]]
    assert balance == dict.fromkeys(made, 0) | {last: 1}
