import asyncio
import re
from pathlib import Path

import nbformat
import pytest

from wslearn import connect
from wslearn.lab.exercises import exercise, exercises
from wslearn.lab.lesson_00 import probe
from wslearn.server import Starting

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

pytestmark = pytest.mark.usefixtures("own_folder")


def verdict(number, answer):
    return repr(exercise(number).check(answer))


# the probe


STORED = """\
✓ kernel   Python answers, and await works in a cell
✓ sockets  Hello went out over TCP on this machine and came back
? browser  a page tries this when it shows this cell, and none has yet
? proxy    a page tries this too: it is the way to a kernel on Binder"""


def told(view, **ways):
    """Return the lines of the page and of the proxy after the page has said what came back."""
    for way, came in zip(view.ways, ways.values(), strict=True):
        view._page_said(view, {"way": way, "came": came}, [])
    return [str(line) for line in view.lines[2:]]


def test_probe_says_one_line_about_each_part_and_of_the_page_that_none_has_tried():
    assert asyncio.run(probe()).plain() == STORED


def test_stored_lesson_says_of_no_page_that_it_has_tried():
    cells = nbformat.read(NOTEBOOKS / "00-start-here.ipynb", as_version=4).cells
    [shown] = [cell.outputs[0].data["text/plain"] for cell in cells if cell.source == "await probe()"]
    assert shown == STORED


def test_page_says_hello_to_a_server_that_lives_as_long_as_the_probe():
    async def main():
        view = await probe()
        async with connect(f"ws://127.0.0.1:{view.port}/?") as session:
            await session.send("Hello")
            return (await session.incoming.receive()).read_text()

    assert asyncio.run(main()) == "Hello"


@pytest.mark.parametrize("browser", ["✓", "◐"])
@pytest.mark.parametrize("proxy", ["✓", "✗"])
def test_probe_shows_what_the_page_has_tried_and_its_compared_form_stays(browser, proxy):
    view = asyncio.run(probe())
    lines = told(view, browser=browser == "✓", proxy=proxy == "✓")
    assert [line[:10].split() for line in lines] == [[browser, "browser"], [proxy, "proxy"]]
    assert view.plain() == STORED


def test_what_is_no_report_of_a_page_changes_nothing():
    view = asyncio.run(probe())
    view._page_said(view, {"way": "by post", "came": True}, [])
    view._page_said(view, {"way": "directly", "came": "Hello"}, [])
    assert "\n".join(map(str, view.lines)) == STORED


@pytest.mark.parametrize("error", [OSError, NotImplementedError])
def test_probe_says_what_a_machine_without_sockets_can_do(monkeypatch, error):
    async def start_server(*_):
        raise error

    monkeypatch.setattr(Starting, "_start", start_server)
    view = asyncio.run(probe())
    assert str(view.lines[1]) == (
        f"✗ sockets  none here ({error.__name__}): cells with app.start() fail, all others run"
    )
    assert view.port == 0


# the map


def test_stored_map_links_every_lesson_and_shows_nobodys_progress():
    cells = nbformat.read(NOTEBOOKS / "00-start-here.ipynb", as_version=4).cells
    [shown] = [cell.outputs[0].data["text/html"] for cell in cells if cell.source == "progress()"]
    rows = re.findall(r'<tr><th scope="row"[^>]*>(?:<a href="([^"]+)">)?(\d\d) ', shown)
    assert [number for _, number in rows] == [f"{number:02}" for number in range(16)]
    assert [target for target, _ in rows if target] == sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
    assert f"0 of {len(exercises())} exercises done" in shown


# 00.1 and 00.2: bits and bytes


@pytest.mark.parametrize(
    "answer", [("10001010", "82"), ["1000 1010", "0x82"], ("0b1000_1010", "82 "), ("10001010", "0X82")]
)
def test_bits_and_hex_are_right_however_they_are_spaced(answer):
    assert verdict("00.1", answer).startswith("✓ right")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (("10001010", "28"), "◐ almost: 1 of 2 fit; the hex of 1000 0010: '28' is not it"),
        (("01010001", "28"), "✗ not yet: 0 of 2 fit; the bits of 8a: '01010001' is not it"),
        ((0b10001010, 0x82), "✗ not yet: two texts are needed, as in ('10000001', '81'), this is (138, 130)"),
        ("10001010", "✗ not yet: two texts are needed, as in ('10000001', '81'), this is '10001010'"),
    ],
)
def test_wrong_bits_are_named(answer, expected):
    assert verdict("00.1", answer) == expected


def test_accent_of_its_own_is_almost_right():
    assert verdict("00.2", b"ne\xcc\x81").startswith("◐ almost: these are n, e and an accent of its own")


def test_latin_1_is_not_utf_8():
    assert verdict("00.2", "né".encode("latin-1")).startswith("◐ almost: byte 1 is e9")


# 00.3: a first session


def test_frame_in_place_of_its_text_is_almost_right():
    async def answer(url):
        async with connect(url) as session:
            await session.send("Ana")
            return await session.incoming.receive()

    assert verdict("00.3", answer) == "◐ almost: the whole frame came back: its read_text() is the text"


def test_text_that_the_server_did_not_say_is_almost_right():
    async def answer(url):
        async with connect(url) as session:
            await session.send("Ana")
            return "Ana"

    assert verdict("00.3", answer) == (
        "◐ almost: the server got 'Ana' and said 'Welcome, Ana!'; your function returned 'Ana'"
    )


def test_who_waits_without_having_asked_is_told_so():
    async def answer(url):
        async with connect(url) as session:
            return await session.incoming.receive()

    assert "after 10 s your function still waits" in verdict("00.3", answer)


def test_two_messages_are_one_too_many():
    async def answer(url):
        async with connect(url) as session:
            await session.send("Ana")
            await session.send("Bo")
            frame = await session.incoming.receive()
            return frame.read_text()

    assert verdict("00.3", answer) == "✗ not yet: the server got ['Ana', 'Bo'], one message is expected"


def test_another_server_than_that_of_the_judge_is_not_there():
    async def answer(url):
        async with connect("ws://127.0.0.1:80/hello") as session:
            await session.send("Ana")

    assert "no host '127.0.0.1'" in verdict("00.3", answer)


@pytest.mark.parametrize("number", ["00.3", "00.4"])
@pytest.mark.parametrize("answer", ["Ana", print, lambda session: session.send("GOAL")])
def test_what_is_no_async_function_is_named(number, answer):
    assert "a function is needed that begins with async def" in verdict(number, answer)


# 00.4: the missing await


def test_missing_await_is_shown_as_the_cell_shows_it():
    async def answer(session):
        print(session.send("GOAL"))

    assert verdict("00.4", answer) == (
        "✗ not yet: the server got no message, one 'GOAL' is expected;"
        " the cell printed <coroutine object RawSession.send>\n"
        "Python adds: coroutine 'RawSession.send' was never awaited"
    )


def test_another_message_is_not_the_goal():
    async def answer(session):
        await session.send("goal")

    assert verdict("00.4", answer) == "✗ not yet: the server got ['goal'], one 'GOAL' is expected"
