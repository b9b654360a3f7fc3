import asyncio
from contextlib import closing, suppress

import nbformat
import pytest
from nbclient import NotebookClient

from wslearn.lab import lesson_14, small_server
from wslearn.lab.board import Board
from wslearn.lab.exercises import exercise, progress
from wslearn.lab.lesson_14 import EXERCISES, FAULTS, GOALS, lines_of, planted, play, with_line
from wslearn.lab.parts import SITTINGS, part

pytestmark = pytest.mark.usefixtures("own_folder")

NAMES = {"asyncio": asyncio, "closing": closing, "suppress": suppress, "part": part}


def answered(number, code):
    names = dict(NAMES)
    exec(exercise(number).setup, names)
    exec(code, names)
    return names["answer"]


def verdict(number, answer):
    return repr(exercise(number).check(answer))


@pytest.mark.parametrize("each", EXERCISES, ids=lambda each: each.number)
def test_starter_runs_and_is_not_right(each):
    assert not each.check(answered(each.number, each.starter))


@pytest.mark.parametrize("each", EXERCISES, ids=lambda each: each.number)
def test_solution_is_right(each):
    assert each.check(answered(each.number, each.solution_code))


# the sittings


@pytest.mark.parametrize(("number", "green"), [("14.1", 12), ("14.2", 20), ("14.3", 30)])
def test_board_grows_from_sitting_to_sitting(number, green):
    assert len(Board(answered(number, exercise(number).solution_code)).green) == green
    assert verdict(number, answered(number, exercise(number).solution_code)).endswith(
        f"are green, and {green} of all 30"
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("14.1", "✗ not yet: 3 of 10 are green; case 1 is red: 101 with the accept key: the answer has"),
        ("14.2", "✗ not yet: 14 of 20 are green; case 11 is red: 126 bytes: byte 3 is 01, due is 7e"),
        ("14.3", "✗ not yet: 18 of 30 are green; case 13 is red again, a case of sitting 2: a length in"),
    ],
)
def test_untouched_sitting_is_told_its_first_red_case(number, expected):
    assert verdict(number, answered(number, exercise(number).starter)).startswith(expected)


@pytest.mark.parametrize(
    ("number", "old", "new", "begin", "end"),
    [
        (
            "14.1",
            ' or not headers.get("host")',
            "",
            "9 of 10 are green; case 5 is red: a request without Host: the answer has the status 101,",
            "without Host it is a bad one, 400. (RFC 6455, section 4.2.1)",
        ),
        (
            "14.2",
            "except ValueError:\n        yield 1002",
            "finally:\n        pass",
            "19 of 20 are green; case 13 is red: a length in more bytes than it needs: the server raised",
            "The shortest form of a length has to be used: Close 1002. (RFC 6455, section 5.2)",
        ),
        (
            "14.3",
            "length > 125",
            "length > 126",
            "29 of 30 are green; case 26 is red: a ping of 126 bytes: byte 0 is 8a,",
            "at most 125 bytes of payload: Close 1002. (RFC 6455, section 5.5)",
        ),
        (
            "14.3",
            "opcode not in (0, 1, 2, 8, 9, 10) or ",
            "",
            "29 of 30 are green; case 27 is red: an opcode that nobody has defined: byte 0 is 83,",
            "are reserved, and fail the connection: Close 1002. (RFC 6455, section 5.2)",
        ),
    ],
)
def test_one_red_case_is_almost_right_and_its_rule_is_told(number, old, new, begin, end):
    code = exercise(number).solution_code
    assert old in code
    found = verdict(number, answered(number, code.replace(old, new)))
    assert found.startswith(f"◐ almost: {begin}")
    assert found.endswith(end)


def test_what_is_no_server_is_told():
    assert verdict("14.1", 3) == "✗ not yet: async def echo(reader, writer) is needed, this is 3"


@pytest.mark.parametrize(
    "stub",
    [name for name in vars(lesson_14) if name.endswith("_STUB")] + ["MESSAGES_1", "ECHO", "LIMITS", "MORE"],
)
def test_pieces_stand_in_the_notebook_as_they_are_judged_here(stub, request):
    path = request.config.rootpath / "notebooks" / "14-build-your-own.ipynb"
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert any(getattr(lesson_14, stub).strip("\n") in cell for cell in cells)


def test_conversation_takes_more_lines_than_frames_and_messages():
    frames = lines_of("read_header", "unmask", "frames", "frame")
    talk = lines_of("accept_key", "shake_hands", "pong", "close_reply", "items", "leave", "messages", "echo")
    assert (frames, lines_of("assemble"), talk) == (36, 18, 60)


def test_learner_who_completes_the_cells_has_the_sittings_kept(own_folder, request, monkeypatch):
    monkeypatch.setenv("WSLEARN_PROGRESS", ".wslearn-progress.json")
    whole, piece = small_server, lesson_14._source
    completed = {
        "async def shake_hands": [piece(whole.shake_hands)],
        "MORE = ": [f"{lesson_14.MORE}\n{lesson_14.FRAMES_1}"],
        "def frame(": [lesson_14.FRAME_1, piece(whole.frame)],
        "async def messages": [lesson_14.MESSAGES_1, lesson_14.MESSAGES_2, piece(whole.messages)],
        "def frames": [piece(whole.frames)],
        "def items": [lesson_14.ITEMS_2, piece(whole.items)],
        "async def leave": [piece(whole.leave)],
    }
    path = request.config.rootpath / "notebooks" / "14-build-your-own.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for begin, codes in completed.items():
            if cell.cell_type == "code" and cell.source.startswith(begin):
                cell.source = codes.pop(0).strip("\n")
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(own_folder)}}).execute()
    assert {"14.1", "14.2", "14.3"} <= progress().done
    assert [part(number).whose for number in SITTINGS] == [f"yours, of {number}" for number in SITTINGS]


# 14.4


@pytest.mark.parametrize("letter", FAULTS)
def test_fault_turns_its_case_red_and_the_right_line_none(letter):
    fault = FAULTS[letter]
    assert fault.case in Board(with_line(letter, fault.planted)).red
    assert Board(with_line(letter, fault.line)).red == []
    assert fault.planted in repr(planted(letter))
    assert fault.line not in repr(planted(letter))


RIGHT = {letter: (fault.case, fault.line) for letter, fault in FAULTS.items()}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"B": (22, "allowed = code >= 1000")}, "◐ almost: 2 of 3 are right; B: case 22 stays green"),
        ({"B": (23, "...")}, "◐ almost: 2 of 3 are right; B: case 23 it is; with your line case 21 is red"),
        ({"A": (15, "")}, "◐ almost: 2 of 3 are right; A: case 15 it is; the repaired line is needed"),
        ({"C": (18, "if opcode <:")}, "◐ almost: 2 of 3 are right; C: case 18 it is; the line is no Python"),
        ({"C": (18, "if opcode < 10:")}, "✓ right: each fault turned"),
        ({"A": 15}, "◐ almost: 2 of 3 are right; A: (number of the case, repaired line) is needed"),
        ({"A": (..., "...")}, "○ not tried"),
    ],
)
def test_fault_is_judged_by_its_case_first_and_then_by_the_line(changes, expected):
    assert verdict("14.4", {**RIGHT, **changes}).startswith(expected)


def test_answer_without_all_letters_is_told():
    assert verdict("14.4", {"A": (15, "")}).startswith("✗ not yet: a dictionary with A, B and C is needed")


# 14.5


def match(**changed):
    """Return the class of the solution with some methods changed."""
    base = answered("14.5", exercise("14.5").solution_code)
    return type("Match", (base,), changed)


def test_match_is_told_to_both_and_the_tunnel_is_bridged():
    played = play(match())
    assert played.goals("Ana") == played.goals("Ben") == list(GOALS.values())
    assert " 45.30 s  Ben  2:1" in repr(played)
    assert repr(played).endswith("Ana ends with 1000, Ben ends with 1000")


def test_match_is_the_same_each_time():
    assert repr(play(match())) == repr(play(match()))


def forgets(self, score):
    self.tell(score)


def twice(self, text):
    for viewer in self.viewers:
        viewer.write(2 * small_server.frame(1, text.encode()))


def breaks(self, score):
    raise KeyError(score)


async def crashes(self, reader, writer):
    raise KeyError("writer")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"goal": forgets}, "◐ almost: Ben saw 1:0, 3:1; due is each of 1:0, 1:1, 2:1, 3:1 once, in order"),
        ({"tell": twice}, "◐ almost: Ana saw 1:0, 1:0, 1:1"),
        ({"goal": breaks}, "✗ not yet: KeyError: '1:0', in your line: raise KeyError(score)"),
        ({"serve": crashes}, "✗ not yet: the server raised KeyError: 'writer'"),
    ],
)
def test_match_is_judged_by_what_each_client_was_told(changed, expected):
    assert verdict("14.5", match(**changed)).startswith(expected)


def test_match_that_is_no_class_is_told():
    assert verdict("14.5", 3) == "✗ not yet: a class is needed, this is 3"
