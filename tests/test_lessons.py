"""Every lesson is one clean run from top to bottom, small, repeatable, and written in the form of the course.

That the outputs are still true is checked by nbval, which runs the notebooks themselves.
"""

import ast
import asyncio
import base64
import inspect
import re
import statistics
from functools import cache
from http import HTTPStatus
from pathlib import Path

import nbformat
import pytest

from wslearn import CloseCode
from wslearn.lab.exercises import exercises
from wslearn.lab.predictions import Quiz, predictions

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
MAX_NOTEBOOK = 300_000  # bytes
MAX_PICTURE = 60_000  # bytes
MAX_LINES = 15
USUAL_LINES = 6  # that half of the lesson's code cells need at most, with one or two to spare
MAX_CODE_CELLS = 2  # in a row
MAX_FIRST_CELL = 60  # words
PROSE = (15, 60)  # words of a cell
MAX_SENTENCE = 20  # words
SECTION = (5, 8)  # cells between two headings, on average
MAX_SECTION = 10
CASES = "15-case-files"
TAGS = {"raises-exception", "nbval-ignore-output"}

# What another run, machine or version would print differently.
VARIES = {
    "a port": r"\b(127\.0\.0\.1|localhost|\[::1\]):\d+",
    "an address in memory": r"\b0x[0-9a-f]{7,}",
    "a path": r"(/tmp|/root|/home|/Users|/usr|site-packages|ipykernel_\d|[A-Z]:\\\\)",
    "a date": r"\b20[2-9]\d-\d\d-\d\d|\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d",
    "a version": r"\b(Python|websockets|wslearn)[/ ]\d+\.\d+",
    "a secret": r"\b(token|password)=\w|PRIVATE KEY",
}
# Known without a run: from a standard, from another library or lesson, or reckoned in the sentence itself.
FACTS = {
    "00": {255},
    "01": {0.08},
    "03": {127},
    "04": {256},
    "06": {0.6, 76, 125},
    "07": {16, 25, 120, 1800},
    "08": {14},
    "09": {53},
    "10": {40, 133},
    "11": {32, 36, 512},
    "15": {126},
}
CODES = {*CloseCode, *HTTPStatus}
NUMBER = r"(?<![\w.#])\d+(?:[,_]\d{3})*(?:\.\d+)?(?!\w)"
NAME = (
    r"`[^`]*`|\]\([^)]*\)|\b\d\d\.\d\b|\b\d+(?:\.\d+){2,}|\(\d+\.\d+\)"
    r"|(?i:lessons?|sections?|cases?|RFC) \d[\d.]*(?:(?:,| to| and) \d[\d.]*)*"
)
LOUD = r"\b(simply|just|obviously)\b"
EMOJI = r"[\U0001F000-\U0001FAFF\u2600-\u2604\u2607-\u26FF\uFE0F]"


def pytest_generate_tests(metafunc):
    if "lesson" in metafunc.fixturenames:
        metafunc.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
    if "number" in metafunc.fixturenames:
        metafunc.parametrize("number", exercises())


@cache
def read(lesson):
    return nbformat.read(lesson, as_version=4)


def code_cells(lesson):
    return [cell for cell in read(lesson).cells if cell.cell_type == "code"]


def prose_cells(lesson):
    return [cell for cell in read(lesson).cells if cell.cell_type == "markdown"]


def prose(lesson):
    """Return the text of the lesson without code, quoted or in line."""
    cells = "\n\n".join(cell.source for cell in prose_cells(lesson))
    return re.sub(r"```.*?```|`[^`]*`", "", cells, flags=re.DOTALL)


def running_text(cell):
    """Return the paragraphs of a cell: no headings, lists, tables, code, and nothing that is folded."""
    text = re.sub(r"```.*?```|<details>.*?</details>", "", cell.source, flags=re.DOTALL)
    return re.sub(r"^(#|\||> |- |\d\. ).*$", "", text, flags=re.MULTILINE).strip()


def is_quiz(cell):
    return cell.cell_type == "code" and cell.source.startswith("predict(")


def sections(lesson):
    """Return the cells under each heading of the second rank, by heading; quizzes are not counted."""
    found = {}
    for cell in read(lesson).cells:
        if cell.cell_type == "markdown" and (heading := re.match(r"## (.+)", cell.source)):
            found[heading[1]] = []
        if found and not is_quiz(cell):
            list(found.values())[-1].append(cell)
    return found


def tags(cell):
    return cell.metadata.get("tags", [])


def outputs(lesson, kind):
    return [
        (cell, output) for cell in code_cells(lesson) for output in cell.outputs if output.output_type == kind
    ]


# one clean run


def test_every_code_cell_was_run_once_from_top_to_bottom(lesson):
    cells = code_cells(lesson)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_only_cells_that_must_fail_fail_and_they_do(lesson):
    failed = [cell.id for cell, _ in outputs(lesson, "error")]
    assert failed == [cell.id for cell in code_cells(lesson) if "raises-exception" in tags(cell)]


def test_nothing_is_written_to_stderr(lesson):
    assert [output.text for _, output in outputs(lesson, "stream") if output.name == "stderr"] == []


def test_no_state_of_widgets_is_kept(lesson):
    assert "widgets" not in read(lesson).metadata


def test_lesson_is_small(lesson):
    assert lesson.stat().st_size < MAX_NOTEBOOK


def test_pictures_are_small(lesson):
    pictures = [output.data.get("image/png", "") for kind in SHOWN for _, output in outputs(lesson, kind)]
    assert max((len(base64.b64decode(picture)) for picture in pictures), default=0) <= MAX_PICTURE


def test_pictures_are_told_in_numbers_too(lesson):
    told = [o.data["text/plain"] for kind in SHOWN for _, o in outputs(lesson, kind) if "image/png" in o.data]
    assert [text for text in told if not re.search(r"\d", text)] == []


def test_no_cell_draws_over_what_nbval_would_compare(lesson):
    assert (
        re.findall(r"\b(clear_output|update_display)\b", "\n".join(c.source for c in code_cells(lesson)))
        == []
    )


@pytest.mark.parametrize("what", VARIES)
def test_no_compared_output_has_what_varies(lesson, what):
    compared = [cell for cell in code_cells(lesson) if "nbval-ignore-output" not in tags(cell)]
    texts = [text for cell in compared for output in cell.outputs for text in texts_of(output)]
    assert [found[0] for text in texts if (found := re.search(VARIES[what], text))] == []


SHOWN = ("execute_result", "display_data")


def texts_of(output):
    """Return what nbval compares of one output."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.ename, output.evalue]
    return [text for kind, text in output.data.items() if kind.startswith("text/") or kind == "image/svg+xml"]


# the form


def test_first_cell_says_what_the_reader_will_be_able_to_do(lesson):
    first = read(lesson).cells[0]
    title, quote, sections = first.source.split("\n\n")
    assert first.cell_type == "markdown"
    assert re.fullmatch(r"# .+", title)
    assert re.fullmatch(r"> .+", quote)
    assert "RFC 6455" in sections
    assert len(first.source.split()) <= MAX_FIRST_CELL


def test_second_cell_imports_and_does_nothing_else(lesson):
    second = read(lesson).cells[1]
    assert second.cell_type == "code"
    assert {type(node) for node in ast.parse(second.source).body} <= {ast.Import, ast.ImportFrom}


def test_code_cells_are_short(lesson):
    lines = [len(cell.source.splitlines()) for cell in code_cells(lesson)]
    assert max(lines) <= MAX_LINES
    assert statistics.median(lines) <= USUAL_LINES + 1


def test_prose_comes_in_small_cells(lesson):
    counts = {text: len(text.split()) for cell in prose_cells(lesson)[1:] if (text := running_text(cell))}
    assert [text for text, words in counts.items() if not PROSE[0] <= words <= PROSE[1]] == []


def test_sentences_are_short(lesson):
    """A colon or a semicolon ends one too."""
    paragraphs = [part for cell in prose_cells(lesson) for part in running_text(cell).split("\n\n")]
    sentences = [each for part in paragraphs for each in re.split(r"(?<=[.?:;])[”\")]?\s+", part)]
    assert [each for each in sentences if len(each.split()) > MAX_SENTENCE] == []


def test_headings_come_every_few_cells(lesson):
    *sizes, _exercises, findings = map(len, sections(lesson).values())
    assert SECTION[0] <= statistics.mean(sizes) <= SECTION[1]
    assert max(sizes) <= MAX_SECTION
    assert findings == 1


def test_title_stands_once_and_headings_stand_first_in_their_cells(lesson):
    cells = [re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL) for cell in prose_cells(lesson)]
    assert [cell for cell in cells if re.search(r"^# ", cell, re.MULTILINE)] == cells[:1]
    assert [cell for cell in cells if re.search(r"\n##? ", cell)] == []


def test_tags_are_those_that_jupyter_and_nbval_know(lesson):
    assert {tag for cell in read(lesson).cells for tag in tags(cell)} <= TAGS


def test_prose_reads_aloud_what_a_failing_cell_says(lesson):
    cells = read(lesson).cells
    for cell, output in outputs(lesson, "error"):
        after = cells[cells.index(cell) + 1]
        quotes = re.findall(r'"(.+?)"', after.source)
        assert any(quote.lower() in output.evalue.lower() for quote in quotes), after.source


def test_no_more_than_two_code_cells_follow_each_other(lesson):
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in read(lesson).cells)
    assert max(map(len, re.findall("c+", kinds))) <= MAX_CODE_CELLS


def test_no_cell_hides_its_output_behind_a_semicolon(lesson):
    assert [cell.source for cell in code_cells(lesson) if cell.source.rstrip().endswith(";")] == []


def test_no_sentence_that_begins_with_a_number_becomes_a_list(lesson):
    assert re.findall(r"^\d{2,}[.)] .*", prose(lesson), re.MULTILINE) == []


def numbers(text):
    return {float(re.sub("[,_]", "", number)) for number in re.findall(NUMBER, text)}


def shown_by(cell):
    """Return the numbers in what a code cell put out."""
    texts = [text for output in cell.outputs for text in (output.get("text", ""), output.get("evalue", ""))]
    data = [each for output in cell.outputs for each in output.get("data", {}).items()]
    texts += [
        re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL) for kind, text in data if kind[:4] == "text"
    ]
    return numbers(" ".join(texts))


def told_by(cell):
    """Return the numbers in a prose cell, without those that count lessons, sections and the like."""
    findings = cell.source.partition("**Open question**")[0] if cell.source.startswith("## What we") else ""
    return numbers(re.sub(NAME, "", findings or running_text(cell)))


def is_among(told, shown):
    """Tell whether a number was shown: 0.34 s may be called 340 ms, 57,600 bytes 58 kB, and 2.49 2.5."""
    digits = 0 if told.is_integer() else 1 if (told * 10).is_integer() else 2
    return any(told in (round(n, digits), round(n / 1000), round(n * 1000, 6)) for n in shown)


def test_numbers_in_prose_stand_in_an_output_above_or_are_set_in_a_cell(lesson):
    """Numbers under 10 are words."""
    known = {float(each) for each in CODES} | FACTS.get(lesson.stem[:2], set())
    shown = set().union(*(numbers(cell.source) for cell in code_cells(lesson)))
    missing = []
    for cell in read(lesson).cells[1:]:
        if cell.cell_type == "code":
            shown |= shown_by(cell)
        elif not re.match(r"### \d\d\.\d|## .*(exercises|guesses)", cell.source):
            missing += [n for n in told_by(cell) - known if (n >= 10 or n % 1) and not is_among(n, shown)]
    assert missing == []


def test_new_word_is_bold_once_in_the_whole_course():
    bold = [
        word.lower()
        for path in LESSONS
        for cell in prose_cells(path)
        for word in re.findall(r"\*\*(.+?)\*\*", cell.source)
    ]
    assert {word for word in bold if bold.count(word) > 1} == {"open question"}


def test_prose_does_not_shout(lesson):
    assert re.findall(LOUD, prose(lesson), re.IGNORECASE) == []
    assert re.findall(rf"!(?!\[)|{EMOJI}", prose(lesson)) == []


def test_last_cell_has_three_findings_and_an_open_question(lesson):
    last = read(lesson).cells[-1].source
    findings = re.findall(r"^- .+", last, re.MULTILINE)
    assert len(findings) == 3
    assert any(re.search(r"\d", finding) for finding in findings)
    assert "**Open question**" in last


# the predictions


def asked_in(cell):
    """Return the prediction that a quiz shows."""
    return predictions()[re.search(r'"(.+)"', cell.source)[1]]


def test_two_or_three_predictions_stand_before_the_cells_that_answer_them(lesson):
    cells = read(lesson).cells
    asked = {n: asked_in(cell).number for n, cell in enumerate(cells) if is_quiz(cell)}
    assert list(asked.values()) == [number for number in predictions() if lesson.name.startswith(number[:2])]
    assert len(asked) in (2, 3) or lesson.stem == CASES
    for n in asked:  # one cell of prose may come between
        assert any(each.cell_type == "code" and not is_quiz(each) for each in cells[n + 1 : n + 3])


def test_stored_predictions_ask_and_do_not_answer(lesson):
    for cell in filter(is_quiz, code_cells(lesson)):
        [output] = cell.outputs
        quiz = Quiz(asked_in(cell))
        assert output.data == {"text/plain": quiz.plain(), "text/html": quiz.html()}
        assert asked_in(cell).because not in str(output)


# the exercises


def of_lesson(number):
    return next(NOTEBOOKS.glob(f"{number[:2]}-*.ipynb"))


def test_lesson_ends_with_two_exercises_or_more(lesson):
    code = "\n".join(cell.source for cell in code_cells(lesson))
    used = set(re.findall(r'exercise\("([\d.]+)"\)\.check', code))
    assert used == {number for number in exercises() if lesson.name.startswith(number[:2])}
    assert len(used) >= 2


def test_stub_stands_in_the_lesson_as_it_is_judged_here(number):
    stubs = [
        cell.source for cell in code_cells(of_lesson(number)) if f'exercise("{number}").check' in cell.source
    ]
    assert len(stubs) == 1
    assert exercises()[number].starter in stubs[0]


def judged(number, code):
    """Run code as in a cell behind the imports of its lesson and its setup, and judge its answer."""

    async def cell():
        names = {}
        for source in (read(of_lesson(number)).cells[1].source, exercises()[number].setup, code):
            waits = eval(compile(source, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.isawaitable(waits):
                await waits
        verdict = exercises()[number].check(names["answer"])
        return await verdict if inspect.isawaitable(verdict) else verdict

    return asyncio.run(cell())


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Progress is kept in the working folder: here it is nobody's."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("nowhere")
def test_solution_is_right(number):
    verdict = judged(number, exercises()[number].solution_code)
    assert verdict.state == "right", verdict


@pytest.mark.usefixtures("nowhere")
def test_untouched_stub_runs_and_is_not_right(number):
    assert judged(number, exercises()[number].starter).state in ("not tried", "not yet", "almost")
