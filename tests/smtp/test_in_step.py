"""Behind a window stands EHLO, and its reply tells whether all before it were read in their places."""

from __future__ import annotations

import asyncio

import pytest

from scripted.server import ScriptedServer
from smtp.kit import BYE, HELLO, MAIL, RSET, SHORT, SYNC, Queue, bdat, hop_to, rcpt, said
from smtp.windows import FIRST, GOOD, MESSAGES, ONE, OPENED, TAKEN, TWO, WINDOW, ZERO, bdats, doubt, troubles
from vaguemestre.mail.manner import Manner
from vaguemestre.mail.phase import Cause
from vaguemestre.smtp.flow import Limits
from vaguemestre.smtp.opening import open_session
from vaguemestre.smtp.window import convey


@pytest.mark.parametrize("extra", ["421 bye", "rubbish"])
async def test_a_server_that_leaves_behind_a_window_has_answered_it(network, extra):
    found, reusable = await troubles(f"{WINDOW}{said(*GOOD, *GOOD, *GOOD, extra)}@close any", network)
    assert (found, reusable) == ([TAKEN] * 3, False)


@pytest.mark.parametrize("end", ["@drop", "@rst"])
@pytest.mark.parametrize("place", range(3))
async def test_u35_one_reply_too_many_before_the_server_leaves_accepts_nothing(network, place, end):
    """RCPT's reply stands where that to the content would: the server has not taken it."""
    replies = [*GOOD, *GOOD, *GOOD[:3]]
    replies.insert(8 + place, "250 and more")
    found, reusable = await troubles(f"{WINDOW}{said(*replies)}{end}", network)
    assert (found, reusable) == ([TAKEN, TAKEN, doubt(Cause.UNDUE)], False)


@pytest.mark.parametrize("place", range(3))
async def test_u35_nor_where_it_leaves_in_good_order(network, place):
    replies = [*GOOD, *GOOD, *GOOD[:3]]
    replies.insert(8 + place, "250 and more")
    found, reusable = await troubles(f"{WINDOW}{said(*replies, '421 bye')}@close any", network)
    assert (found, reusable) == ([TAKEN, TAKEN, doubt(Cause.UNDUE)], False)


async def test_u35_a_server_that_says_the_same_to_all_commands_is_not_believed_as_it_leaves(network):
    script = (
        f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}{said('250 ok 17', *HELLO)}"
    )
    script += WINDOW.removeprefix(FIRST) + said(*["250 ok"] * 12)
    found, _ = await troubles(f"{script}@drop", network)
    assert found == [TAKEN, TAKEN, doubt(Cause.UNDUE)]


@pytest.mark.parametrize("behind", ["", "550 no"])
async def test_u35_nor_where_the_courier_breaks_off_meanwhile(network, behind):
    """What was read is settled then, and so is looked at in the same way."""
    replies = ["250 reset", "250 and more", "250 ok", "250 ok", *([behind] if behind else [])]
    async with ScriptedServer(f"{WINDOW}{said(*replies)}@close any") as server:
        session = await open_session(hop_to(server), network, SHORT)
        session.window, flow = 4, Queue(MESSAGES)
        task = asyncio.create_task(convey(session, flow, Manner.BDAT, Limits()))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [outcome.in_doubt for outcome in flow.outcomes] == [False, True]
    assert [outcome.accepted for outcome in flow.outcomes] == [True, False]


@pytest.mark.parametrize("extra", ["250 and more", "550 no", "451 later", "354 what", "500 what"])
@pytest.mark.parametrize("place", range(13))
async def test_one_reply_too_many_in_a_window_leaves_nothing_of_it_to_be_trusted(network, place, extra):
    """All behind it is read one command too late: the second one's 451 would be the third one's."""
    replies = [*GOOD, *GOOD[:3], "451 later", *GOOD]
    replies.insert(place, extra)
    found, reusable = await troubles(f"{WINDOW}{said(*replies, *HELLO)}@close any", network)
    assert not reusable
    assert found[1] != TAKEN
    assert all(one == TAKEN or one[1] for one in (found[0], found[2])), found  # the server took both
    if extra == "250 and more":
        assert found == [doubt(Cause.UNDUE)] * 3


@pytest.mark.parametrize("behind", [HELLO, ()])
@pytest.mark.parametrize("code", [250, 450, 550])
async def test_u32_a_first_message_is_accepted_whatever_stands_in_the_place_of_ehlo(network, code, behind):
    script = f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}"
    script += f"{said('250 taken', f'{code} what', *behind)}@close any"
    flow, reusable, _ = await bdats(script, network, ZERO)
    assert [outcome.accepted for outcome in flow.outcomes] == [True]
    assert not reusable


@pytest.mark.parametrize("code", [500, 501, 502, 503, 504])
async def test_a_server_that_takes_no_ehlo_behind_a_message_gets_no_windows(network, code):
    script = f"{OPENED}{MAIL}{rcpt('zero')}{said('250 ok', '250 ok')}{bdat()}{SYNC}"
    script += said("250 taken", f"{code} no")
    for name in ("one", "two"):
        script += f"{RSET}{MAIL}{rcpt(name)}C: DATA\n" if name == "one" else ""
    script += (
        f"{said(*GOOD[:3], '354 go on')}C: Subject: x\nC: \nC: body\nC: .\n{RSET}{MAIL}{rcpt('two')}C: DATA\n"
    )
    script += (
        f"{said('250 taken', *GOOD[:3], '354 go on')}C: Subject: x\nC: \nC: body\nC: .\nS: 250 taken\n{BYE}"
    )
    flow, reusable, _ = await bdats(script, network, ZERO, ONE, TWO)
    assert [outcome.accepted for outcome in flow.outcomes] == [True] * 3
    assert [result.manner for result in flow.results.values()] == [Manner.BDAT, Manner.DATA, Manner.DATA]
    assert reusable
