import asyncio
from contextlib import suppress

import pytest

from wslearn import CloseReason, PingTimeout, connect, simulate
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_08 import (
    ENDINGS,
    FIRST,
    MOST,
    PAYLOADS,
    STORIES,
    ThreeViews,
    _match,
    closes,
    four_ends,
    traces,
)

pytestmark = pytest.mark.usefixtures("own_folder")


def said(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {"connect": connect, "suppress": suppress, "PingTimeout": PingTimeout}
    exec(exercise(number).solution_code, names)
    return names["answer"]


# one end, seen by three


def test_each_end_is_a_row_of_three_witnesses():
    assert repr(ThreeViews(four_ends())).splitlines() == [
        "    on the wire      client keeps       server keeps",
        "A   → 1000, ← 1000   1000, by local     1000, by peer",
        "B   ← 1001, → 1001   1001, by peer      1001, by local",
        "C   → 4001, ← 1000   4001, by local     1000, by local",
        "D   no Close         1006, by network   1006, by network",
    ]


def test_rows_as_html_escape_their_names():
    html = ThreeViews({"<b>": four_ends()["A"]})._repr_html_()
    assert "&lt;b&gt;" in html
    assert "→ 1000, ← 1000" in html


def test_ladders_of_the_exercise_are_those_of_the_judge():
    assert list(traces()) == list(ENDINGS) == list(FIRST)
    assert closes(traces()["D"]) == "no Close"
    assert four_ends()["C"].server == CloseReason(1000, "full time")


# 08.1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"done": 1005}, "◐ almost: 5 of 6 fit; done: 1005 is not it; all is said"),
        ({"server error": 500}, "◐ almost: 5 of 6 fit; server error: 500 is not it; the server met"),
        ({"done": 1, "too big": 2, "broken frame": 3}, "✗ not yet: 3 of 6 fit; done: 1 is not it"),
        ({"done": ...}, "○ not tried"),
        ({"more": 1000}, "✗ not yet: a code for each of done, server stops, broken frame,"),
    ],
)
def test_wrong_code_hears_what_the_story_was_about(change, expected):
    answer = {name: code for name, (code, _) in STORIES.items()} | change
    assert said("08.1", answer).startswith(expected)


# 08.2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (bytes.fromhex("88 05 03 e9 62 79 65"), "✓ right"),
        (bytes.fromhex("88 05 e9 03 62 79 65"), "◐ almost: byte 2 is e9"),
        (bytes.fromhex("88 03 62 79 65"), "◐ almost: byte 1 is 03"),
        (bytes.fromhex("88 85 03 e9 62 79 65"), "◐ almost: byte 1 is 85"),
        (bytes.fromhex("08 05 03 e9 62 79 65"), "✗ not yet: byte 0 is 08"),
        ("1001 bye", "✗ not yet: bytes are needed"),
    ],
)
def test_close_of_a_server_is_compared_byte_by_byte(answer, expected):
    assert said("08.2", answer).startswith(expected)


# 08.3


@pytest.mark.parametrize(
    ("letter", "given", "expected"),
    [
        ("A", ("server", (1000, "local"), (1000, "peer")), "A: 'server' did not close first"),
        ("B", ("server", (1001, "local"), (1001, "local")), "B: the client does not keep (1001, 'local')"),
        ("C", ("both", (4001, "local"), (4001, "peer")), "C: the server does not keep (4001, 'peer')"),
        ("D", ("nobody", (1000, "network"), (1006, "network")), "D: the client does not keep (1000,"),
        (
            "A",
            ("client", 1000, 1000),
            "A: (who, (code, by), (code, by)) is needed, this is ('client', 1000, 1000)",
        ),
        ("D", 1006, "D: (who, (code, by), (code, by)) is needed, this is 1006"),
    ],
)
def test_wrong_reading_of_a_ladder_is_named(letter, given, expected):
    assert said("08.3", solved("08.3") | {letter: given}).startswith(f"◐ almost: 3 of 4 fit; {expected}")


def test_ladders_want_an_answer_each():
    assert said("08.3", {"A": 1}).startswith("✗ not yet: (who, (code, by), (code, by)) for each")


# 08.4


def echo(payload):
    return bytes([0x88, len(payload)]) + payload


def always_1000(payload):
    return bytes.fromhex("88 02 03 e8")


def no_codes_of_applications(payload):
    return echo(payload if not payload or payload[:2] == b"\x03\xe8" else b"\x03\xea")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (echo, "✗ not yet: 3 of 6 fit; one byte: our server answers Close 1002"),
        (always_1000, "✗ not yet: 0 of 6 fit; legal code: byte 1 is 02"),
        (no_codes_of_applications, "◐ almost: 5 of 6 fit; 4001: byte 2 is 03"),
        (lambda payload: payload, "✗ not yet: 0 of 6 fit; legal code: byte 0 is 03"),
        (lambda payload: None, "✗ not yet: 0 of 6 fit; legal code: bytes are needed"),
        (lambda payload: ..., "○ not tried"),
        (b"", "✗ not yet: a function is needed"),
    ],
)
def test_replies_to_a_close_are_told_apart(answer, expected):
    assert said("08.4", answer).startswith(expected)


def test_reason_behind_1002_is_free():
    reply = solved("08.4")

    def with_reason(payload):
        frame = reply(payload)
        return frame if frame[2:4] != b"\x03\xea" else bytes.fromhex("88 04 03 ea 6e 6f")

    good = f"{len(PAYLOADS)} Closes answered as our server does; websockets answers the same codes"
    assert said("08.4", with_reason) == f"✓ right: {good}"


def test_length_that_is_not_that_of_the_payload_is_no_close():
    reply = solved("08.4")

    def too_long(payload):
        frame = reply(payload)
        return frame if frame[2:4] != b"\x03\xea" else bytes.fromhex("88 03 03 ea")

    assert "one byte: 88 03 is not the header of a Close with 2 bytes" in said("08.4", too_long)


# 08.5


async def says_zero(url, goals):
    async for session in connect(url, ping_period=5, timeout=5):
        await session.send("0")
        with suppress(PingTimeout):
            async for frame in session.incoming:
                goals.append(int(frame.read_text()))


async def hurries(url, goals):
    while True:
        with suppress(PingTimeout, OSError):
            async with connect(url, ping_period=1, timeout=1, open_timeout=1) as session:
                await session.send(str(goals[-1] if goals else 0))
                async for frame in session.incoming:
                    goals.append(int(frame.read_text()))


async def rests_a_second(url, goals):
    while True:
        with suppress(PingTimeout, OSError):
            async with connect(url, ping_period=5, timeout=5) as session:
                await session.send(str(goals[-1] if goals else 0))
                async for frame in session.incoming:
                    goals.append(int(frame.read_text()))
        await asyncio.sleep(1)


async def waits_for_the_end(url, goals):
    async for session in connect(url):
        await session.send(str(goals[-1] if goals else 0))
        async for frame in session.incoming:
            goals.append(int(frame.read_text()))


async def lets_the_error_out(url, goals):
    async for session in connect(url, ping_period=5, timeout=5):
        await session.send("0")
        async for frame in session.incoming:
            goals.append(int(frame.read_text()))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (says_zero, "◐ almost: goal 1 came 3 times: which one had you seen last?"),
        (hurries, "◐ almost: all goals came, after 161 attempts to connect: at most 8 are allowed"),
        (rests_a_second, "◐ almost: all goals came, after 16 attempts to connect: at most 8 are allowed"),
        (waits_for_the_end, "✓ right: 30 goals, each once and in order, over a tunnel and a restart"),
        (lets_the_error_out, "✗ not yet: 26 of 30 goals are missing, the first is goal 5; your function"),
        (5, "✗ not yet: an async function is needed, this is 5"),
        (lambda url, goals: 5, "✗ not yet: an async function is needed, this is <function"),
    ],
)
def test_clients_that_come_back_are_judged_by_their_goals(answer, expected):
    assert said("08.5", answer).startswith(expected)


@pytest.mark.parametrize("seed", range(20))
def test_back_off_of_connect_needs_no_more_attempts_than_are_allowed(seed):
    seen, attempts, error = simulate(lambda net: _match(net, solved("08.5")), latency=0.05, seed=seed)
    assert (seen, error) == (list(range(1, 31)), None)
    assert attempts <= MOST
