import asyncio
import json
import linecache

import pytest

from wslearn.lab.exercises import Exercise, exercise, exercises, not_yet, progress, right

FILE = ".wslearn-progress.json"
CELL = """\
def double(n):
    # the judge tries seven numbers
    return 2 * n

answer = double
check(answer)
"""
KEPT = "def double(n):\n    # the judge tries seven numbers\n    return 2 * n\nanswer = double"

pytestmark = pytest.mark.usefixtures("own_folder")


def made(number="99.1", judge=lambda answer: right() if answer == 1 else not_yet("no")):
    return Exercise(number, 1, "C", "Say one.", judge, ("a", "b", "c"), "answer = ...", "answer = 1")


def cell(source):
    """Return the answer of a notebook's cell, whose lines Python can find."""
    names = {"check": lambda answer: None}
    linecache.cache["<cell>"] = (len(source), None, source.splitlines(True), "<cell>")
    exec(compile(source, "<cell>", "exec"), names)
    return names["answer"]


def test_right_answer_is_kept_in_the_working_folder(own_folder):
    made().check(1)
    assert json.loads((own_folder / FILE).read_text()) == {
        "done": ["99.1"],
        "functions": {},
        "taken": {},
    }


def test_wrong_answer_after_a_right_one_takes_nothing_away():
    made().check(1)
    made().check(2)
    assert progress().done == {"99.1"}


def test_wrong_answer_and_reset_write_no_file(own_folder):
    made().check(2)
    made().reset()
    assert list(own_folder.iterdir()) == []


def test_reset_of_an_exercise_forgets_its_hints_and_its_progress_only():
    made("00.1").check(1)
    asked = made()
    asked.check(1)
    asked.hint()
    asked.reset()
    assert progress().done == {"00.1"}
    assert repr(asked.hint()) == "Hint 1 of 3: a"


@pytest.mark.parametrize("text", ["", "{", "3", "\xff", '{"00.1": "right"}', '{"done": 3, "functions": {}}'])
def test_broken_progress_file_counts_as_none(own_folder, text):
    (own_folder / FILE).write_text(text, encoding="latin-1")
    assert progress().done == set()
    assert made().check(1)
    assert progress().done == {"99.1"}


def test_right_answer_is_right_where_nothing_can_be_written(own_folder):
    (own_folder / FILE).mkdir()
    assert made().check(1)


def test_progress_prints_a_line_for_each_lesson_and_the_whole():
    made("00.1").check(1)
    made("01.3").check(1)
    lines = repr(progress()).splitlines()
    assert lines[:2] == ["00  ✓ ○ ○ ○", "01  ○ ○ ✓ ○ ○"]
    assert lines[-1] == f"2 of {len(exercises())} exercises done"


def test_progress_as_html_says_in_words_what_its_bars_show():
    made("00.1").check(1)
    shown = progress()._repr_html_()
    assert '<th scope="row">00</th><td style="text-align:left">✓ ○ ○ ○</td>' in shown
    assert "1 of 4" in shown


def test_reset_of_all_progress_leaves_nothing(own_folder):
    made().check(1)
    progress().reset()
    assert progress().done == set()
    assert list(own_folder.iterdir()) == []


def test_exported_progress_is_read_where_it_is_put(own_folder):
    made("00.1").check(1)
    progress().export(own_folder / "mine.json")
    progress().reset()
    (own_folder / "mine.json").rename(own_folder / FILE)
    assert progress().done == {"00.1"}


def test_right_function_is_kept_with_its_cell_but_without_what_only_ran_there():
    made(judge=lambda answer: right()).check(cell(CELL))
    assert progress().functions == {"99.1": KEPT}


def test_code_of_an_exercise_is_the_learners_own_once_it_was_right():
    reference = exercise("03.3").code
    assert reference == exercise("03.3").solution_code
    progress().note("03.3", cell(CELL))
    assert exercise("03.3").code == KEPT


def test_function_of_a_judge_that_is_awaited_is_kept_too():
    async def judge(answer):
        return right()

    asyncio.run(made(judge=judge).check(cell(CELL)))
    assert progress().functions == {"99.1": KEPT}


def test_answer_that_is_no_function_or_whose_code_is_nowhere_keeps_no_code():
    progress().note("99.1", 1)
    progress().note("99.2", eval("lambda n: n"))
    assert progress().functions == {}
