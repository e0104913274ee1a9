"""Guessers: three refused sign-ins, then a ban that grows (I05)."""

import hashlib
import re
import smtplib
import time
from ipaddress import ip_network

import pytest
import structlog

from submission.conftest import new_key
from submission.test_signing_in import FAR
from vaguemestre.doors.submission import bans
from vaguemestre.doors.submission.bans import Bans, known_as
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.house import House
from vaguemestre.doors.submission.limits import Limits
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.mail.secret import Secret

QUICK = Limits(refusal=0.01)


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


def test_i05_bans_double_up_to_an_hour():
    clock = Clock()
    banned = Bans(clock)
    lengths = []
    for _ in range(8):
        assert [banned.refused(FAR), banned.refused(FAR)] == [0, 0]
        lengths.append(banned.refused(FAR))
        assert banned.left(FAR) == lengths[-1]
        clock.now += lengths[-1]
        assert banned.left(FAR) == 0
    assert lengths == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]


def test_i05_success_or_an_hour_of_quiet_forgets_all():
    clock = Clock()
    banned = Bans(clock)
    for _ in range(3):
        banned.refused(FAR)
    banned.succeeded(FAR)
    assert banned.left(FAR) == 0
    assert [banned.refused(FAR) for _ in range(3)] == [0, 0, 60]
    clock.now += 60 + 3_601
    assert [banned.refused(FAR) for _ in range(3)] == [0, 0, 60]
    clock.now += 61
    assert [banned.refused(FAR) for _ in range(3)] == [0, 0, 120]


def test_i05_a_subscriber_of_ipv6_is_one_guesser():
    assert known_as(Peer.at("2001:db8:1:2::1")) == known_as(Peer.at("2001:db8:1:2:ffff::9"))
    assert known_as(Peer.at("2001:db8:1:2::1")) != known_as(Peer.at("2001:db8:1:3::1"))
    assert known_as(Peer.at("::ffff:192.0.2.7")) == known_as(Peer.at("192.0.2.7"))


def test_i05_memory_is_for_so_many_and_no_more():
    banned = Bans()
    for number in range(bans.MOST + 500):
        banned.refused(f"2001:db8:{number:x}::/64")
    assert len(banned) == bans.MOST
    assert not any(banned.refused("2001:db8:0::/64") for _ in range(2))  # it was forgotten


async def test_i05_a_far_guesser_is_turned_away_at_the_greeting():
    house = House(Terms("mx.example.org", trust=(ip_network("192.168.1.0/24"),)), Threads(), None)
    far, near, here = Peer.at(FAR), Peer.at("192.168.1.9"), Peer.at("127.0.0.1")
    for peer in (far, near, here):
        for _ in range(3):
            house.bans.refused(house.known_as(peer, "app"))
    turned_away = str(house.admit(object(), far))
    assert turned_away.startswith("421 4.7.0 ")
    assert turned_away.endswith(" try again in 60 seconds")
    assert house.admit(object(), Peer.at("192.0.2.8")) is None
    # Many applications share these: only the one that guessed is concerned, and only by its sign-ins.
    assert house.admit(object(), near) is None
    assert house.admit(object(), here) is None
    assert house.bans.left(house.known_as(here, "app")) > 0
    assert house.bans.left(house.known_as(here, "shop")) == 0


class Threads:
    workers = 1


def test_i05_behind_three_wrong_keys_even_the_right_one_has_to_wait(open_door, key):
    door = open_door(QUICK)
    line = door.dial()
    assert [line.sign_in(f"wrong {number}") for number in range(3)] == [535] * 3
    assert line.reply()[0] == 421
    line = door.dial()
    assert line.sign_in(key) == 454
    assert line.ask("NOOP")[0] == 250
    assert door.dial().sign_in(key, user="another") == 235


def log_in(door, user, key):
    """As smtplib and Django do it: PLAIN, and LOGIN where that was refused; the last answer."""
    with smtplib.SMTP("127.0.0.1", door.port, timeout=10) as submitter:
        try:
            return submitter.login(user, key)
        except smtplib.SMTPAuthenticationError as refused:
            return refused.smtp_code, refused.smtp_error


def test_i05_one_login_of_smtplib_is_one_refused_sign_in(open_door, key):
    door = open_door(QUICK)
    for _ in range(3):
        code, text = log_in(door, "app", "wrong")
        assert (code, text[:6]) == (535, b"5.7.8 ")
    code, text = log_in(door, "app", key)
    assert code == 454
    assert re.fullmatch(rb"4\.7\.0 Too many refused sign-ins, try again in (59|60) seconds", text)
    assert log_in(door, "shop", key)[0] == 235


def test_i05_the_same_guess_again_is_answered_as_before_and_not_for_ever(open_door, key):
    door = open_door(Limits(refusal=0.01, errors=6))
    line = door.dial()
    assert [line.sign_in("wrong") for _ in range(6)] == [535] * 6
    assert line.closed()
    assert door.listener._house.bans.left("127.0.0.1 app") == 0
    with structlog.testing.capture_logs() as events:
        line = door.dial()
        assert [line.sign_in("wrong") for _ in range(2)] == [535] * 2
    assert [event["event"] for event in events] == ["sign_in_refused"]


def test_i05_credentials_are_told_apart_by_a_digest_that_only_this_process_can_make():
    here = Credentials("app", Secret("key")).digest
    assert here == Credentials("app", Secret("key")).digest
    others = {Credentials(*pair).digest for pair in (("app", Secret("kez")), ("apq", Secret("key")))}
    assert here not in others
    assert here != hashlib.blake2b(b"app\0key", digest_size=16).digest()


def test_i02_to_sign_in_under_a_ban_brings_nothing_about(open_door, key):
    door = open_door(Limits(refusal=0.01, idle_commands=5, errors=3))
    for _ in range(3):
        door.listener._house.bans.refused("127.0.0.1 app")
    line = door.dial()
    codes = []
    while (code := line.sign_in(key)) == 454:
        codes.append(code)
    assert len(codes) == 7  # beside EHLO
    assert code == 454 or line.closed()


def test_i05_a_thousand_guesses_from_one_address_are_three(open_door, key):
    door = open_door(QUICK)
    codes = []
    for _ in range(30):
        line = door.dial()
        codes += [line.sign_in(f"wrong {number}") for number in range(3) if line.ask("NOOP")[0] == 250]
        line.close()
    assert codes.count(535) == 3
    assert set(codes[3:]) == {454}


@pytest.mark.parametrize("rounds", [15])
def test_i05_unknown_and_wrong_keys_are_answered_after_the_same_time(open_door, key, rounds):
    door = open_door(Limits(refusal=0.1, failures=10, errors=10))
    door.listener._house.bans.refused = lambda who: 0
    wrong, unknown = key[:-4] + "AAAA", "vgm_000000000000_" + "A" * 43
    _, revoked = new_key(networks=("192.0.2.0/24",))
    times = {wrong: [], unknown: [], revoked: [], "no key at all": []}
    for _ in range(rounds):
        line = door.dial()  # in the same session the same key is not looked up again
        for text, taken in times.items():
            begun = time.perf_counter()
            assert line.sign_in(text) == 535
            taken.append(time.perf_counter() - begun)
    # The quickest of each tells what is meant: no answer comes before its time, and a busy machine delays most.
    quickest = sorted(min(taken) for taken in times.values())
    assert quickest[0] > 0.09  # uvloop counts whole milliseconds
    assert quickest[-1] / quickest[0] < 1.05
