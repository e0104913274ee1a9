"""The main path: what is accepted leaves, as the route says, and is judged recipient by recipient."""

import asyncio
from email import message_from_bytes
from email.policy import default

from scripted.sink import Answer, SinkServer
from vaguemestre.ledger import connections, instance, messages


async def test_a_message_leaves_with_the_sender_of_the_connection_that_carries_it(office, sink):
    await office.connect(sink, sender_name="The Office")
    async with office.courier():
        message = await office.post("a@example.com", "b@example.com")
        found = await office.until(message, "accepted")
    (taken,) = sink.accepted
    parsed = message_from_bytes(taken.content, policy=default)
    assert taken.mail == "office@example.org"
    assert taken.recipients == ("a@example.com", "b@example.com")
    assert parsed["from"] == "The Office <office@example.org>"
    assert parsed["reply-to"] == "asked@example.net"
    assert parsed["subject"] == "a test"
    assert parsed["message-id"]
    assert parsed["date"]
    assert parsed.get_content().split() == ["hello"]
    assert {delivery.last_code for delivery in found.values()} == {250}
    assert b"Office" not in taken.content.replace(b"The Office", b"")
    assert sink.faults == []


async def test_with_a_default_another_sender_and_reply_to_are_overridden(office, sink):
    async with SinkServer() as other:
        await office.connect(other, name="Shop", sender_email="shop@example.org")
        await office.connect(sink, name="Default", is_default=True, reply_to="answers@example.org")
        async with office.courier():
            message = await office.post(
                sender="shop@example.org", headers=["Reply-To: me@example.net"], connection="Shop"
            )
            await office.until(message, "accepted")
        assert other.accepted == []
    parsed = message_from_bytes(sink.accepted[0].content, policy=default)
    assert parsed["from"] == "office@example.org"
    assert parsed["reply-to"] == "answers@example.org"
    assert (await office.delivery(message)).reason["code"] == "default_override"


async def test_in_fallback_mode_the_default_serves_only_what_nothing_matches(office, sink):
    async with SinkServer() as other:
        await office.connect(other, name="Shop", sender_email="shop@example.org")
        await office.connect(sink, name="Default", is_default=True)
        await office.ask(instance.change_settings, {"default_mode": "fallback"}, "test", office.clock())
        async with office.courier():
            matched = await office.post(sender="shop@example.org")
            other_one = await office.post(sender="who@example.net")
            await office.until(matched, "accepted")
            await office.until(other_one, "accepted")
        assert [one.mail for one in other.accepted] == ["shop@example.org"]
    assert [one.mail for one in sink.accepted] == ["office@example.org"]


async def test_without_an_active_connection_mail_is_held_and_leaves_by_itself_once_one_is_activated(
    office, sink
):
    connection = await office.connect(sink, active=False)
    async with office.courier():
        message = await office.post()
        assert (await office.delivery(message)).state == "held"
        await office.ask(connections.activate, str(connection.uid), "test", office.clock())
        await office.until(message, "accepted")
    assert len(sink.accepted) == 1


async def test_what_is_queued_for_a_connection_that_is_switched_off_does_not_leave_through_it(office, sink):
    connection = await office.connect(sink)
    message = await office.post()
    await office.ask(connections.deactivate, str(connection.uid), "test", office.clock())
    async with office.courier():
        await office.until(message, "held")
    assert sink.sessions == 0


async def test_recipients_are_judged_one_by_one(office, sink):
    def rcpt(moment):
        if "no@" in moment.argument:
            return Answer("550 5.1.1 no such user")
        return Answer("450 4.2.1 busy") if "later@" in moment.argument else None

    sink.hooks = {"rcpt": rcpt}
    await office.connect(sink)
    async with office.courier():
        message = await office.post("yes@example.com", "no@example.com", "later@example.com")
        await office.until_true(
            lambda: (
                {"accepted", "refused", "queued"}
                == {delivery.state for delivery in messages.deliveries_of(messages.find(str(message.uid)))}
            )
        )
    found = await office.deliveries(message)
    assert found["yes@example.com"].state == "accepted"
    assert (found["no@example.com"].state, found["no@example.com"].last_text) == (
        "refused",
        "5.1.1 no such user",
    )
    later = found["later@example.com"]
    assert (later.state, later.counted, later.spent) == ("queued", 1, 60.0)
    assert sink.accepted[0].recipients == ("yes@example.com",)


async def test_a_session_is_used_again_for_the_next_message(office, sink):
    await office.connect(sink, limits={"max_sessions": 1})
    async with office.courier():
        for number in range(5):
            await office.until(await office.post(f"r{number}@example.com"), "accepted")
    assert (len(sink.accepted), sink.sessions) == (5, 1)


async def test_max_recipients_splits_a_message_into_transactions(office, sink):
    await office.connect(sink, limits={"max_recipients": 2})
    async with office.courier():
        message = await office.post(*(f"r{number}@example.com" for number in range(5)))
        await office.until(message, "accepted")
    assert sorted(len(one.recipients) for one in sink.accepted) == [1, 2, 2]


async def test_every_step_of_an_attempt_is_kept_and_no_password_among_them(office):
    async with SinkServer(login="app", password="canary-5f2b", require_auth=True) as sink:
        await office.connect(sink, login="app", password="canary-5f2b")
        async with office.courier():
            message = await office.post()
            await office.until(message, "accepted")
        assert sink.accepted[0].login == "app"
    (attempt,) = await office.ask(lambda: messages.attempts_of(messages.find(str(message.uid))))
    phases = [step["phase"] for step in attempt.steps]
    assert phases == ["resolve", "connect", "greeting", "ehlo", "auth", "mail", "rcpt", "data", "content"]
    assert attempt.peer == "127.0.0.1"
    assert "canary-5f2b" not in str(attempt.steps)


async def test_per_minute_lets_so_many_messages_go_in_a_minute_and_the_rest_later(office, sink):
    await office.connect(sink, limits={"per_minute": 3})
    async with office.courier():
        posted = [await office.post(f"r{number}@example.com") for number in range(5)]
        await office.until_true(lambda: len(sink.accepted) == 3)
        await asyncio.sleep(1.3)
        assert len(sink.accepted) == 3
        office.clock.advance(seconds=61)
        for message in posted:
            await office.until(message, "accepted")
    assert [one.recipients[0][:2] for one in sink.accepted[:3]] == ["r0", "r1", "r2"]


async def test_per_day_counts_recipients_over_24_hours_and_across_restarts(office, sink):
    await office.connect(sink, limits={"per_day": 4, "max_sessions": 1})
    first = await office.post(*(f"r{number}@example.com" for number in range(3)))
    async with office.courier():
        await office.until(first, "accepted")
    second = await office.post("s0@example.com", "s1@example.com")
    async with office.courier():
        await office.until_true(lambda: len(sink.accepted) == 2)
        await asyncio.sleep(1.3)
        assert sorted(len(one.recipients) for one in sink.accepted) == [1, 3]
        office.clock.advance(hours=24, minutes=1)
        await office.until(second, "accepted")
