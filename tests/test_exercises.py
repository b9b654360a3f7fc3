import asyncio

import pytest

from wslearn import simulate
from wslearn.lab.exercises import (
    Exercise,
    almost,
    compare_bytes,
    compare_values,
    exercise,
    exercises,
    is_number,
    name_first,
    not_yet,
    right,
)

pytestmark = pytest.mark.usefixtures("own_folder")


def made(judge):
    return Exercise(
        "99.1", 2, "B", "Send `Hello`.", judge, ("think", "look", "do"), "answer = ...", "answer = 1"
    )


def is_one(answer):
    return right("it is one") if answer == 1 else not_yet("it is something else")


def states(answers, judge):
    return [made(judge).check(answer).state for answer in answers]


# the exercises of all lessons


def test_every_exercise_is_found_by_its_number():
    assert {number: exercise(number).number for number in exercises()} == {n: n for n in exercises()}


COURSE = {"00": 4} | {f"{lesson:02}": 5 for lesson in range(1, 15)} | {"15": 8}
CASES = "15"  # all of them are found and repaired
LESSONS = sorted({number[:2] for number in exercises()})


def kinds(*lessons):
    return "".join(each.kind for number, each in exercises().items() if number[:2] in lessons)


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_exercise_of_the_course_is_missing(lesson):
    numbers = [number for number in exercises() if number.startswith(lesson)]
    assert numbers == [f"{lesson}.{n}" for n in range(1, COURSE[lesson] + 1)]


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if lesson not in ("00", CASES)])
def test_every_lesson_asks_to_predict_or_compute_and_to_build_or_debug(lesson):
    found = kinds(lesson)
    assert set(found) & set("PC"), found
    assert set(found) & set("BD"), found


def test_course_has_enough_to_build_and_to_debug():
    found = kinds(*(lesson for lesson in COURSE if lesson != CASES))
    assert len(exercises()) == 74 + COURSE[CASES]
    assert found.count("B") >= 24
    assert found.count("D") >= 14


def test_every_exercise_has_three_hints_and_one_to_three_stars():
    assert {len(each.hints) for each in exercises().values()} == {3}
    assert {each.stars for each in exercises().values()} <= {1, 2, 3}


@pytest.mark.parametrize("lesson", ["00", "01"])
def test_no_hint_gives_the_solution_away(lesson):
    for number, each in exercises().items():
        if number.startswith(lesson):
            assert each.solution_code not in each.hints


def test_exercise_of_two_kinds_names_both():
    assert exercise("14.4").title == "14.4 ★★ predict, debug"


def test_unknown_exercise_names_those_of_the_lesson():
    with pytest.raises(ValueError, match=r"exercise '01\.9': 01\.1, 01\.2, 01\.3, 01\.4, 01\.5 are there"):
        exercise("01.9")


# the verdict


def test_three_dots_are_not_tried_wherever_they_stand():
    assert states([..., None, (..., 1), [1, (2, ...)], {"a": (1, ...)}], is_one) == ["not tried"] * 5


@pytest.mark.parametrize("answer", [{"ping_period": None}, (None, 1), [None]])
def test_none_inside_an_answer_is_a_value(answer):
    assert states([answer], is_one) == ["not yet"]


def test_right_answer_is_right_and_true():
    verdict = made(is_one).check(1)
    assert repr(verdict) == "✓ right: it is one"
    assert verdict


def test_wrong_answer_is_not_yet_and_false():
    verdict = made(is_one).check(2)
    assert repr(verdict) == "✗ not yet: it is something else"
    assert not verdict


def test_verdict_as_html_escapes_what_a_learner_wrote():
    assert not_yet("<b>\nno")._repr_html_() == "<p><strong>✗ not yet</strong>: &lt;b&gt;<br>no</p>"


def test_error_in_an_answer_is_told_with_the_line_that_led_to_it():
    def answer():
        return 1 / 0

    verdict = made(lambda answer: answer()).check(answer)
    assert repr(verdict) == "✗ not yet: ZeroDivisionError: division by zero, in your line: return 1 / 0"


def test_error_of_an_answer_in_a_simulation_names_the_line_of_the_answer():
    async def answer():
        await asyncio.sleep(1)
        raise KeyError("goal")

    verdict = made(lambda answer: simulate(lambda net: answer())).check(answer)
    assert repr(verdict) == "✗ not yet: KeyError: 'goal', in your line: raise KeyError(\"goal\")"


def test_forgotten_await_is_told_in_place_of_a_red_warning(recwarn):
    def judge(answer):
        asyncio.sleep(answer)
        return not_yet("nothing happened")

    assert repr(made(judge).check(1)) == (
        "✗ not yet: nothing happened\nPython adds: coroutine 'sleep' was never awaited"
    )
    assert not recwarn.list


def test_judge_that_needs_the_running_loop_is_awaited():
    async def judge(answer):
        await asyncio.sleep(0)
        return is_one(answer)

    async def cell():
        return [(await made(judge).check(answer)).state for answer in (1, 2)]

    assert asyncio.run(cell()) == ["right", "not yet"]


def test_error_of_an_awaited_judge_is_told_too():
    async def judge(answer):
        raise OSError("port 80 is in use")

    async def cell():
        return await made(judge).check(1)

    assert asyncio.run(cell()).text.startswith("OSError: port 80 is in use")


# comparing


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (b"\x81\x05", right()),
        (bytearray(b"\x81\x05"), right()),
        (b"\x82\x05", not_yet("byte 0 is 82: the judge expects another value there")),
        (b"\x81\x06", almost("byte 1 is 06: the judge expects another value there")),
        (b"\x81", almost("the first 1 fit; these are 1 in all, the judge expects 2")),
        (b"\x81\x05\x00", almost("the first 2 fit; these are 3 in all, the judge expects 2")),
    ],
)
def test_bytes_are_compared_up_to_the_first_that_differs(got, expected):
    assert compare_bytes(got, b"\x81\x05") == expected


def test_what_is_no_bytes_is_named():
    assert compare_bytes("81", b"\x81").text.startswith("bytes are needed, this is '81'")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ((1, 2, 3), right()),
        ([1, 2, 3], right()),
        ((1, 0, 3), almost("2 of 3 fit; b: 0 is not it")),
        ((0, 0, 3), not_yet("1 of 3 fit; a: 0 is not it")),
        ((1, 2), not_yet("3 values are needed, this is (1, 2)")),
        (1, not_yet("3 values are needed, this is 1")),
    ],
)
def test_values_are_compared_in_order_and_the_first_wrong_one_is_named(got, expected):
    assert compare_values(got, (1, 2, 3), names=("a", "b", "c")) == expected


def test_one_value_is_compared_alone():
    assert compare_values(7, 7, "seven") == right("seven")
    assert compare_values(8, 7) == not_yet("8 is not it")


@pytest.mark.parametrize(
    ("value", "expected"), [(1, True), (0.5, True), (True, False), ("1", False), (..., False)]
)
def test_truth_values_are_no_numbers(value, expected):
    assert is_number(value) == expected


@pytest.mark.parametrize(("many", "verdict"), [(2, almost), (3, not_yet)])
def test_first_of_several_wrong_answers_says_why(many, verdict):
    wrong = {"B": "too big", "C": "too small", "D": "too late"}
    expected = verdict(f"{5 - many} of 5 fit; B: too big")
    assert name_first(dict(list(wrong.items())[:many]), 5) == expected


# hints, solution, task


def test_hints_come_one_by_one_and_the_last_stays():
    asked = made(is_one)
    assert [repr(asked.hint()) for _ in range(4)] == [
        "Hint 1 of 3: think",
        "Hint 2 of 3: look",
        "Hint 3 of 3: do",
        "Hint 3 of 3: do",
    ]


def test_solution_asks_first():
    asked = made(is_one)
    assert repr(asked.solution()).startswith("Sure?")
    assert repr(asked.solution()) == "One solution:\nanswer = 1"
    assert asked.solution()._repr_html_() == "<p><strong>One solution</strong> </p><pre>answer = 1</pre>"


def test_task_prints_with_number_stars_and_kind():
    assert repr(made(is_one)) == "99.1 ★★ build: Send `Hello`."
    assert made(is_one)._repr_html_() == "<p><strong>99.1 ★★ build</strong>: Send <code>Hello</code>.</p>"
