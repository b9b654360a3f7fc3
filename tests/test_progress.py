import asyncio
import json
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from wslearn.lab.course import COURSE, TRACKS
from wslearn.lab.exercises import Exercise, exercise, exercises, not_yet, progress, right
from wslearn.lab.progress import Progress

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
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


def test_progress_prints_a_line_for_each_lesson_each_track_and_the_whole():
    made("00.1").check(1)
    made("01.3").check(1)
    lines = repr(progress()).splitlines()
    assert lines[:2] == [
        "00 Start here                 25 min  ✓ ○ ○ ○",
        "01 A first conversation       30 min  ○ ○ ✓ ○ ○",
    ]
    assert "evening      2 of 24 done, next 00 Start here" in lines
    assert "options      0 of 30 done, next 04 Masking" in lines
    assert lines[-1] == f"2 of {len(exercises())} exercises done"


def test_progress_as_html_links_the_lessons_and_says_in_words_what_its_bars_show():
    made("00.1").check(1)
    shown = progress()._repr_html_()
    assert '<a href="00-start-here.ipynb">00 Start here</a><br>' in shown
    assert ">✓ ○ ○ ○</span></td>" in shown
    assert re.search('max="4" value="1" .* aria-hidden="true"></meter> 1 of 4', shown)
    assert f'1 of {len(exercises())} exercises done. Next: <a href="00-start-here.ipynb">' in shown


def test_lesson_that_is_not_here_yet_has_no_link_and_nothing_to_do():
    shown = Progress(known=["00.1"])._repr_html_()
    assert re.findall(r'href="(.+?)"', shown) == ["00-start-here.ipynb"] * 5
    assert ">15 Case files<br>" in shown


def test_next_lesson_is_the_first_of_its_track_with_something_to_do():
    mine = Progress(known=exercises())
    mine.done = {number for number in exercises() if number < "03.2"}
    assert str(mine.next_lesson()) == "03 Anatomy of a frame"
    assert str(mine.next_lesson("application")) == "05 Messages and fragments"


def test_all_done_leaves_no_next_lesson():
    mine = Progress(set(exercises()), known=exercises())
    assert mine.next_lesson() is None
    assert "next" not in repr(mine)
    assert "Next" not in mine._repr_html_()


def test_course_is_listed_as_its_notebooks_are_named_and_titled():
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        [lesson] = [each for each in COURSE if each.number == path.name[:2]]
        assert lesson.file == path.name
        assert nbformat.read(path, as_version=4).cells[0].source.startswith(f"# {lesson.title}\n")
    assert [each.number for each in COURSE] == [f"{n:02}" for n in range(16)]
    assert {track for each in COURSE for track in each.tracks} == set(TRACKS)


def test_reset_of_all_progress_leaves_nothing(own_folder):
    made().check(1)
    progress().reset()
    assert progress().done == set()
    assert list(own_folder.iterdir()) == []


def test_environment_may_name_another_place(own_folder):
    note = "from wslearn.lab.exercises import progress; progress().note('00.1', 1)"
    elsewhere = os.environ | {"WSLEARN_PROGRESS": "elsewhere.json"}
    subprocess.run([sys.executable, "-c", note], env=elsewhere, check=True)
    assert json.loads((own_folder / "elsewhere.json").read_text())["done"] == ["00.1"]
    assert not (own_folder / FILE).exists()


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
