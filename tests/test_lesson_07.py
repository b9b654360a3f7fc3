from itertools import pairwise

import pytest

from wslearn.lab.exercises import exercise
from wslearn.lab.keepalive import LONGEST
from wslearn.lab.lesson_07 import (
    FAULTY,
    LATENCY,
    noticed_after,
    phone_hours,
    stalling,
    watch,
)
from wslearn.lab.lesson_07 import longest_wait as counted

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


# the phones


def test_phone_hours_are_the_same_each_time_and_stalls_never_overlap():
    assert phone_hours() == phone_hours()
    for stalls in phone_hours():
        for before, after in pairwise(stalls):
            assert before.start + before.length < after.start
        assert all(0 < stall.length <= LONGEST for stall in stalls)


@pytest.mark.parametrize(("period", "timeout"), [(15, 2), (30, 1), (12, 4)])
def test_counted_waits_agree_with_the_simulator(period, timeout):
    for stalls in phone_hours()[:12]:
        seen = watch(stalling(stalls), ping_period=period, timeout=timeout, until=3600)
        assert (counted(stalls, period) > timeout) == (seen.over is not None), stalls


@pytest.mark.parametrize("moment", [12.2, 16.7, 21.3])
def test_cut_is_noticed_within_the_band(moment):
    options = {"ping_period": 6, "timeout": 4}
    assert 4 - 2 * LATENCY <= noticed_after(options, moment) <= 10


def test_cut_without_pings_is_not_noticed():
    assert noticed_after({"ping_period": None, "timeout": 4}, 10) is None


# 07.1 to 07.3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("13", "✗ not yet: a number of seconds is needed, this is '13'"),
        (18, "◐ almost: 18 s is the worst case"),
        (7, "◐ almost: after 7 s the ping leaves"),
        (6, "◐ almost: 6 s is the timeout alone"),
        (11, "✗ not yet: 11 s it is not: when does the next ping leave"),
    ],
)
def test_wrong_seconds_are_told_apart(answer, said):
    assert verdict("07.1", answer).startswith(said)


GOOD = [("reset", 0), ("timeout", 15), ("timeout", 15), ("timeout", 15), ("nothing", "never")]


def test_prediction_of_the_five_ways_names_the_first_wrong_one():
    assert exercise("07.2").check(GOOD)
    assert "slow link: ('nothing', 'never') is not it" in verdict("07.2", [*GOOD[:3], GOOD[4], GOOD[4]])
    assert "five pairs are needed" in verdict("07.2", [1, 2, 3, 4, 5])
    assert "slow handler: ('nothing', inf) is not it" in verdict(
        "07.2", [*GOOD[:4], ("nothing", float("inf"))]
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (48_000_000, "two numbers of bytes are needed"),
        ((24_000_000, 84_000_000), "not yet: bytes of frames: 80.0 for each of 300,000 beats"),
        ((48_100_000, 72_000_000), "almost: bytes with TCP/IP headers: 240.0 for each"),
    ],
)
def test_wrong_traffic_says_what_a_beat_has_cost(answer, said):
    assert said in verdict("07.3", answer)


# 07.4

REPAIRED = {
    "no alarm": {"ping_period": 30, "timeout": 5},
    "stalls": {"ping_period": 10, "timeout": 6},
    "proxy": {"ping_period": 50, "timeout": 10},
    "tornado": {"ping_period": 20, "timeout": 20},
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("no alarm", {"ping_period": 115, "timeout": 5}),
        ("stalls", {"ping_period": 10, "timeout": 110}),
        ("proxy", {"ping_period": 59.9, "timeout": 10}),
        ("tornado", {"ping_period": 100, "timeout": 20}),
    ],
)
def test_repairs_at_the_limit_are_right_too(name, options):
    assert exercise("07.4").check(REPAIRED | {name: options})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("no alarm", {"ping_period": None, "timeout": 1}, "a cut right after a pong was not noticed"),
        ("no alarm", {"ping_period": 1, "timeout": 1}, "2 options are changed, one is enough"),
        ("stalls", {"ping_period": 10, "timeout": 3}, "a stall of 4 s closed a healthy phone"),
        ("stalls", {"ping_period": None, "timeout": 2}, "a cut right after a pong was not noticed"),
        ("proxy", {"ping_period": 61, "timeout": 10}, "61 s without a byte"),
        ("proxy", {"ping_period": 60, "timeout": 10}, "60 s without a byte"),
        ("tornado", {"ping_period": 10, "timeout": 15}, "the timeout is above the period"),
        ("tornado", {"ping_period": 101, "timeout": 20}, "a cut right after a pong was not noticed"),
        ("tornado", {"ping_period": 10, "timeout": 0}, "timeout is 0: seconds above 0 are allowed"),
        ("no alarm", {"ping_period": 116, "timeout": 5}, "a cut right after a pong was not noticed"),
        ("stalls", {"ping_period": 10, "timeout": 111}, "a cut right after a pong was not noticed"),
        ("stalls", {"ping_period": 60, "timeout": 2}, "a stall of 4 s closed a healthy phone"),
        ("proxy", {"ping_period": 30}, "ping_period and timeout are needed"),
        ("proxy", {"ping_period": 0, "timeout": 10}, "ping_period is 0"),
    ],
)
def test_repairs_that_do_not_hold_are_told_apart(name, options, said):
    assert said in verdict("07.4", REPAIRED | {name: options})


def test_nothing_repaired_is_not_yet():
    assert verdict("07.4", FAULTY).startswith("✗ not yet: 0 of 4 hold")
    assert "a dictionary with no alarm, stalls, proxy, tornado" in verdict("07.4", {"a": 1})


# 07.5


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"ping_period": 5}, "is needed"),
        ({"ping_period": "5", "timeout": 5}, "two numbers of seconds are needed"),
        ({"ping_period": 8, "timeout": 4}, "a cut stayed unnoticed for 12 s, 10 are allowed"),
        ({"ping_period": 1, "timeout": 9}, "kB an hour, 200 are allowed"),
        ({"ping_period": 8, "timeout": 2}, "10 healthy phones or more were closed, 2 are allowed"),
    ],
)
def test_policies_that_break_a_promise_are_told_apart(answer, said):
    assert said in verdict("07.5", answer)
