import re

import pytest

from wslearn.lab import small_server
from wslearn.lab.board import Board
from wslearn.lab.diploma import Diploma
from wslearn.lab.exercises import exercise, exercises, progress
from wslearn.lab.lesson_14 import play

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture(scope="module")
def board():
    return Board(small_server.echo)


@pytest.fixture(scope="module")
def trace():
    names = {"messages": small_server.messages, "frame": small_server.frame}
    exec(exercise("14.5").solution_code, names)
    return play(names["answer"]).trace


def test_certificate_says_what_was_done_here(board, trace):
    progress().note("00.1", 1)
    assert repr(Diploma(board, trace)).splitlines() == [
        "Certificate",
        f"1 of {len(exercises())} exercises done",
        "the reference, as 14.3 is not done here: 30 of 30 conformance cases are green",
        "a match on it: 3 connections, 84 frames",
    ]


@pytest.mark.parametrize(
    ("echo", "whose"),
    [
        (exercise("14.3").solution_code, "a server of one's own"),
        (
            "answer = 3",
            "the reference, as yours of 14.3 fails here: ValueError: async def echo(reader, writer)",
        ),
    ],
)
def test_certificate_says_whose_server_it_is(board, trace, echo, whose):
    kept = progress()
    kept.done.add("14.3")
    kept.functions["14.3"] = echo
    kept.export(".wslearn-progress.json")
    line = Diploma(board, trace).lines[1]
    assert line.startswith(whose)
    assert line.endswith(": 30 of 30 conformance cases are green")


def test_page_is_one_file_with_the_name_escaped(own_folder, board, trace):
    assert Diploma(board, trace, "Ana <b>").write() == "certificate.html"
    page = (own_folder / "certificate.html").read_text(encoding="utf-8")
    assert "Ana &lt;b&gt;" in page
    assert page.count("<svg") == 1
    assert re.findall(r"(src|href|@import|url\()", page) == []


def test_page_holds_no_date_and_is_the_same_each_time(board, trace):
    page = Diploma(board, trace).page
    assert re.findall(r"20[2-9]\d", page) == []
    assert page == Diploma(board, trace).page


def test_strip_has_a_line_for_each_connection_and_a_cross_for_what_was_lost(board, trace):
    shown = Diploma(board, trace)._repr_html_()
    assert re.findall(r"connection \d(?=<)", shown) == ["connection 1", "connection 2", "connection 3"]
    lost = [frame for frame in trace.frames if frame.received is None]
    assert shown.count("l8,8m0,-8l-8,8") == len(lost) == 2
