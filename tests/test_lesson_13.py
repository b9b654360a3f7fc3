import asyncio

import pytest

from wslearn import Text
from wslearn.frames import Close
from wslearn.lab import plots
from wslearn.lab.browser_client import WAYS
from wslearn.lab.exercises import exercise
from wslearn.lab.lesson_13 import GOOD, RECORDED, lost, may_close
from wslearn.lab.plots import two_legs

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


def solved(number):
    names = {"asyncio": asyncio, "lost": lost, "Close": Close}
    exec(exercise(number).solution_code, names)
    return names["answer"]


def changed(number, key, value):
    """Return the solution with one part changed."""
    answer = solved(number)
    return answer | {key: value} if isinstance(answer, dict) else (*answer[:key], value, *answer[key + 1 :])


def test_recording_has_both_ways_of_each_act():
    assert tuple(RECORDED) == WAYS
    assert list(RECORDED["directly"]) == list(RECORDED["through the proxy"])


# 13.1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (changed("13.1", 0, (1005, True)), "◐ almost: 5 of 6 fit; 'Close 4001': (1005, True) is not it"),
        (changed("13.1", 3, (1002, False)), "◐ almost: 5 of 6 fit; 'a masked text': (1002, False) is not it"),
        ([[1000, True]] * 6, "✗ not yet: 0 of 6 fit; 'Close 4001': (1000, True) is not it"),
        (changed("13.1", 5, (..., ...)), "○ not tried"),
        (4001, "✗ not yet: 6 values are needed, this is 4001"),
    ],
)
def test_predicted_ends_are_compared_with_the_recording(answer, expected):
    assert verdict("13.1", answer).startswith(expected)


# 13.2


@pytest.mark.parametrize(
    ("code", "may"),
    [(999, False), (1000, True), (1001, False), (2999, False), (3000, True), (4999, True), (5000, False)],
)
def test_page_may_say_1000_and_3000_to_4999(code, may):
    assert may_close(code) == may


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([1000, 3000, 4001, 4999], "✓ right"),
        ({1000, 1001, 3000, 4001, 4999}, "◐ almost: 6 of 7 fit; 1001 is the browser's own word"),
        ({3000, 4001, 4999}, "◐ almost: 6 of 7 fit; 1000 is the one code below 3000"),
        ({1000, 1001, 1011}, "✗ not yet: 2 of 7 fit; 1001 is the browser's own word"),
        ({1000, 1006}, "✗ not yet: 1006 is none of the seven"),
        ("1000", "✗ not yet: codes in braces are needed, this is '1000'"),
        ({...}, "○ not tried"),
        (1000, "✗ not yet: 4 of 7 fit; 3000 to 4999 are free"),
    ],
)
def test_codes_are_told_apart(answer, expected):
    assert verdict("13.2", answer).startswith(expected)


# 13.3


def test_code_comes_to_the_proxy_and_no_farther():
    closes = [(each.session, each.frame) for each in lost().frames if isinstance(each.frame, Close)]
    assert [(session, frame.read_reason() is not None) for session, frame in closes] == [
        (1, True),
        (1, True),
        (2, False),
        (2, False),
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("server", 8), "✓ right: the proxy closes its own leg in its own words"),
        (("server", 9), "◐ almost: it is the server's leg; frame 9 is Close()"),
        (("server", 77), "◐ almost: it is the server's leg; frame 77 is not there"),
        (("page", 7), "✗ not yet: on the page's leg the code goes in, and its echo comes back"),
        (("proxy", 8), "✗ not yet: 'proxy' is no leg: 'page' and 'server' are"),
        ("server", "✗ not yet: (leg, number of the frame) is needed"),
        (("server", ...), "○ not tried"),
    ],
)
def test_leg_is_judged_before_the_frame(answer, expected):
    assert verdict("13.3", answer).startswith(expected)


# 13.4


async def by_ping(session):
    return 0.002


async def by_one_way(session):
    await session.send("there?")
    return 0.1


async def forgets_to_return(session):
    await session.send("there?")


async def never(session):
    await asyncio.Event().wait()


async def fails(session):
    return 1 / 0


async def by_a_guess(session):
    return 0.2


async def in_milliseconds(session):
    return 1000 * await solved("13.4")(session)


async def by_another_clock(session):
    await session.send("there?")
    await session.incoming.receive()
    return 0.0004


async def dots(session):
    return ...


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (by_ping, "✗ not yet: 0.002 s is the server's leg alone: the proxy has answered, not the page"),
        (by_a_guess, "✗ not yet: 0.200 s; there and back on both legs takes 0.062 s"),
        (in_milliseconds, "✗ not yet: 202.000 s: these are milliseconds"),
        (by_another_clock, "✗ not yet: 0.000 s, and 0.202 s passed by this network's clock"),
        (by_one_way, "✗ not yet: 0.100 s; there and back on both legs takes 0.202 s"),
        (forgets_to_return, "✗ not yet: seconds are needed, your function returned None"),
        (never, "✗ not yet: 30 s passed, and your function had not returned"),
        (fails, "✗ not yet: ZeroDivisionError: division by zero"),
        (dots, "○ not tried"),
        (lambda session: 0.2, "✗ not yet: an async function is needed"),
    ],
)
def test_round_trips_that_do_not_reach_the_page_are_told_apart(answer, expected):
    assert verdict("13.4", answer).startswith(expected)


def test_round_trip_is_taken_by_message():
    assert verdict("13.4", solved("13.4")).startswith("✓ right: 0.202 s, and both legs take 0.202 s")


# 13.5


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (changed("13.5", "game positions", ["WebSocket", "both ways"]), "✓ right: each with a reason"),
        (
            changed("13.5", "log tail", ("WebSocket", "both ways")),
            "◐ almost: 5 of 6 fit; log tail: who speaks there",
        ),
        (changed("13.5", "chat", ("WebSocket", "one way")), "◐ almost: 5 of 6 fit; chat"),
        (
            changed("13.5", "game positions", ("WebTransport", "both ways")),
            "◐ almost: 5 of 6 fit; game positions: WebTransport fits, and it is not 'both ways'",
        ),
        (changed("13.5", "chat", ("mail", "rare")), "✗ not yet: chat: ('mail', 'rare') is no tool of poll"),
        (dict.fromkeys(GOOD, ("WebSocket", "both ways")), "✗ not yet: 3 of 6 fit; score board"),
        (changed("13.5", "chat", (..., ...)), "○ not tried"),
        ({"chat": ("WebSocket", "both ways")}, "✗ not yet: a dictionary with score board, chat"),
    ],
)
def test_tools_are_judged_with_their_reasons(answer, expected):
    assert verdict("13.5", answer).startswith(expected)


# pictures


def test_picture_of_two_legs_has_a_line_for_each_frame():
    picture = two_legs(lost())
    lines = repr(picture).splitlines()
    assert lines[0].split() == ["page", "proxy", "server"]
    assert lines[7] == "  6 0.240 s  ────────── Close 4002 ──────────▶"
    assert lines[9].endswith("                         ───── Close without a code ─────▶")
    assert len(lines) == 1 + len(lost().frames)
    assert len(picture._repr_png_()) < 60_000
    assert repr(Text("2:1")) in lines[1]


def test_picture_of_two_legs_numbers_its_frames_as_the_text_does():
    labels = [text.get_text() for text in two_legs(lost()).figure.axes[0].texts]
    assert {"0: Text('2:1')", "6: Close 4002", "9: Close without a code"} <= set(labels)


def test_picture_of_round_trips_prints_milliseconds():
    picture = plots.legs({"by ping": 0.0002, "by message": 0.2002})
    assert repr(picture) == "by ping: 0.2 ms\nby message: 200.2 ms"
    assert len(picture._repr_png_()) < 60_000
