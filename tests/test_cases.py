import json
from pathlib import Path

import pytest

from wslearn.lab.cases import Case, CaseWall, case
from wslearn.lab.exercises import exercises, progress, right

pytestmark = pytest.mark.usefixtures("own_folder")

FOUND = {"frame": 4, "rule": "byte order", "side": "client"}


@pytest.fixture
def opened():
    """Return the first case as if nobody had looked at it."""
    case("15.1").reset()
    return case("15.1")


def guess(number=4, rule="byte order", side="client", repair=...):
    return {"frame": number, "rule": rule, "side": side, "repair": repair}


def test_untouched_answer_is_not_tried(opened):
    names = {}
    exec(opened.starter, names)
    assert repr(opened.check(names["answer"])).startswith("○ not tried")


@pytest.mark.parametrize("answer", [4, {}, {"frame": 4}, {**guess(), "more": 1}])
def test_answer_of_another_form_is_told_and_is_no_guess(opened, answer):
    assert repr(opened.check(answer)) == "✗ not yet: a dictionary with frame, rule, side, repair is needed"
    assert progress().taken == {}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (guess(2), "◐ almost: guess 1: 2 of 3 fit; frame: frame 2 has 125 bytes of text, and came back"),
        (
            guess(0),
            "◐ almost: guess 1: 2 of 3 fit; frame: 0 is the client's Text 'Goal!', and that is not it",
        ),
        (guess(5, "UTF-8"), "✗ not yet: guess 1: 1 of 3 fit; frame: frame 5 is the server's Close"),
        (guess(side="server"), "◐ almost: guess 1: 2 of 3 fit; side: the server does what the header says"),
    ],
)
def test_wrong_guess_names_the_first_part_that_is_wrong(opened, answer, expected):
    assert repr(opened.check(answer)).startswith(expected)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (guess(17), "✗ not yet: frame: 17 is none of 0 to 5; this counts as no guess"),
        (guess([4]), "✗ not yet: frame: [4] is none of 0 to 5"),
        (guess("4"), "✗ not yet: frame: '4' is none of 0 to 5"),
        (guess(0, "UTF8"), "✗ not yet: rule: 'UTF8' is none of byte order, UTF-8, masking"),
        (guess(side=["client"]), "✗ not yet: side: ['client'] is none of client, server"),
    ],
)
def test_answer_that_is_none_of_those_to_choose_from_is_no_guess(opened, answer, expected):
    assert repr(opened.check(answer)).startswith(expected)
    assert progress().taken == {}


def test_third_wrong_guess_is_told_openly_and_the_repair_is_still_to_be_made(opened):
    said = [repr(opened.check(guess(number))) for number in (0, 1, 2, 3)]
    assert "guess 2: " in said[1]
    assert "Three guesses" not in said[1]
    assert "frame 4, rule 'byte order', side 'client'. The repair is still yours" in said[2]
    assert "Three guesses are used" in said[3]


def test_same_guess_twice_counts_once(opened):
    opened.check(guess(0))
    assert repr(opened.check(guess(0))).startswith("◐ almost: guess 1: ")


def test_right_finding_shows_what_has_to_be_mended(opened):
    verdict = opened.check(guess())
    assert repr(verdict).startswith("◐ almost: you have found it")
    assert '    return bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "little")' in repr(verdict)
    assert "<pre>def header(length):" in verdict._repr_html_()


def test_solved_case_says_what_it_took(opened):
    opened.check(guess(0))
    opened.hint()
    names = {}
    exec(opened.solution_code, names)
    verdict = opened.check(names["answer"])
    assert verdict.state == "right"
    assert verdict.text.endswith("Solved with 1 clue and 2 guesses")


def test_clues_come_one_after_the_other(opened):
    assert repr(opened.hint()).startswith("Clue 1 of 3: ")
    assert repr(opened.hint()).startswith("Clue 2 of 3: ")


def test_clues_and_guesses_are_kept_with_the_progress(opened, own_folder):
    opened.check(guess(0))
    opened.hint()
    assert json.loads((own_folder / ".wslearn-progress.json").read_text())["taken"] == {"15.1": [1, 1]}
    opened.reset()
    assert progress().taken == {}


def test_nothing_is_counted_once_a_case_is_solved(opened):
    progress().note("15.1", None)
    opened.hint()
    assert progress().taken == {}


@pytest.mark.parametrize("taken", [3, {"15.1": 3}, {"15.1": [1]}, {"15.1": ["a", "b"]}])
def test_broken_counts_count_as_none(own_folder, taken):
    kept = {"done": [], "functions": {}, "taken": taken}
    (own_folder / ".wslearn-progress.json").write_text(json.dumps(kept))
    assert progress().taken == {}


def test_progress_without_counts_is_read(own_folder):
    (own_folder / ".wslearn-progress.json").write_text('{"done": ["15.1"], "functions": {}}')
    assert "15.1" in progress()


def test_wall_hangs_all_cases_and_says_when_they_open():
    cases = [number for number, each in exercises().items() if isinstance(each, Case)]
    lines = repr(CaseWall()).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == cases
    assert [line for line in lines if line.startswith("after")] == [
        "after lesson 08",
        "after lesson 11",
        "after lesson 13",
    ]
    assert lines[-1] == f"0 of {len(cases)} cases solved"


def test_wall_tells_solved_from_open_in_sign_and_word(opened):
    opened.hint()
    opened.check(guess(0))
    progress().note("15.1", None)
    lines = repr(CaseWall()).splitlines()
    assert "  15.1  ✓ solved  1 of 3 clues, 2 guesses  Short lines come back" in lines[1]
    assert "  15.2  ○ open    0 of 3 clues, 0 guesses  " in lines[2]
    html = CaseWall()._repr_html_()
    assert "<b>15.1 ✓ solved</b>" in html
    assert "<b>15.2 ○ open</b>" in html


def test_unknown_case_names_those_that_are():
    with pytest.raises(ValueError, match=r"case '15.9': 15.1, 15.2"):
        case("15.9")


CASES = [each for each in exercises().values() if isinstance(each, Case)]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.number)
def test_every_finding_stands_in_its_evidence_and_in_its_choices(each):
    for name, want in each.finding.items():
        for one in [*want] if isinstance(want, tuple | set) else [want]:
            assert one in each.choices[name] if name in each.choices else each.evidence()[one]


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.number)
def test_what_leads_astray_is_there_and_is_not_the_finding(each):
    for name, reasons in each.astray.items():
        base, _, place = name.partition(" ")
        want = each.finding[base][int(place) - 1] if place else each.finding[base]
        assert set(reasons).isdisjoint(want if isinstance(want, set) else {want})
        known = each.choices.get(base, range(len(each.evidence().frames)))
        assert set(reasons) <= set(known)


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.number)
def test_task_names_every_choice(each):
    assert [word for words in each.choices.values() for word in words if f"'{word}'" not in each.task] == []


@pytest.mark.parametrize("each", CASES, ids=lambda each: each.number)
def test_lesson_names_every_choice(each):
    notebook = Path(__file__).resolve().parent.parent / "notebooks" / "15-case-files.ipynb"
    text = notebook.read_text(encoding="utf-8").partition(f"## {each.number} ")[2].partition('"## ')[0]
    assert [word for words in each.choices.values() for word in words if f"'{word}'" not in text] == []


def test_pair_is_judged_part_by_part():
    each = case("15.7")
    each.reset()
    answer = {
        "header": ("Host", "Origin"),
        "rule": ("hop by hop", "key"),
        "side": ("proxy", "page"),
        "repair": ...,
    }
    assert repr(each.check(answer)).startswith(
        "✗ not yet: guess 1: 3 of 6 fit; header 1: the server takes any"
    )
    answer["header"] = ("Upgrade", "Origin")
    assert repr(each.check(answer)).startswith(
        "✗ not yet: guess 2: 4 of 6 fit; rule 2: a wrong key is answered"
    )
    answer["rule"] = ("hop by hop", "origin")
    assert "5 of 6 fit; side 2: a browser writes Origin" in repr(each.check(answer))
    assert "side 1 'proxy', side 2 'server'. The repair is still yours" in repr(each.check(answer))
    assert "header 1: 'Upgrade" not in repr(each.check({**answer, "header": "Upgrade"}))


def test_several_frames_may_be_right_and_one_is_told():
    each = case("15.5")
    each.reset()
    found = {"rule": "no ping", "side": "server", "repair": ...}
    assert all(repr(each.check({"frame": n, **found})).startswith("◐ almost: you have") for n in (10, 11, 12))
    said = [repr(each.check({"frame": n, **found})) for n in (0, 1, 2)]
    assert "so here it is: frame 10, rule 'no ping'" in said[-1]


def test_right_is_what_a_repair_is_judged_by():
    made = Case(
        "99.1",
        "t",
        "t",
        case("15.1").evidence,
        {"side": "a"},
        {"side": "ab"},
        {},
        "c",
        lambda _: right("good"),
        ("a", "b", "c"),
        "",
    )
    assert made.check({"side": "a", "repair": 1}).text == "good. Solved with 0 clues and 1 guess"
