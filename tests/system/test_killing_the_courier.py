"""L6 with real processes: the courier is killed again and again; nothing is lost, nothing doubled silently."""

import pytest

from system.databases import sqlite_first
from system.killing import killed


def check(told):
    """The campaign met what it is about."""
    assert told["lost replies"] > 0
    assert told["doubts"] > 0, "the kills met nothing between an end of data and its reply"
    # Two sessions that break one after the other take a lane down to DATA (`policy.manner`).
    assert "BDAT" in told["manners"]["chunking"]
    assert told["manners"]["pipelining"].keys() == told["manners"]["plain"].keys() == {"DATA"}


@sqlite_first
@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_doubled_without_doubt_by_twelve_kills(database):
    told = killed(database, kills=12, messages=500, seed=20, within=120)
    print(told)  # noqa: T201  shown with -rP, as by `make soak`
    check(told)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_nothing_is_lost_and_nothing_doubled_without_doubt_by_two_hundred_kills(database):
    told = killed(database, kills=200, messages=5000, seed=200, within=600)
    print(told)  # noqa: T201  shown with -rP, as by `make soak`
    check(told)
