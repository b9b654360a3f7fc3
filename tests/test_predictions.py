import re

import pytest

from wslearn.lab import predict
from wslearn.lab.predictions import Prediction, Quiz, predictions

BYTES = Prediction("99.a", "How long is it?", 1024, "it is two to the power of ten", unit="bytes", within=8)
CHOICE = Prediction("99.b", "What comes back?", "a pong", "a ping is answered", ("an echo", "a pong"))


def asked(prediction, *messages):
    """Return what a quiz shows after these messages of its page."""
    quiz = Quiz(prediction)
    for message in messages:
        quiz._answered(quiz, message, [])
    return quiz.state


@pytest.mark.parametrize("guess", ["1024", "1,024 bytes", " 1016 ", "1032"])
def test_number_within_reach_is_right(guess):
    assert asked(BYTES, {"guess": guess}, {"compare": True})["right"]


@pytest.mark.parametrize("guess", ["1015", "1033 bytes", "-1024", "nan"])
def test_number_out_of_reach_is_wrong_and_the_answer_is_told(guess):
    told = asked(BYTES, {"guess": guess}, {"compare": True})
    assert told["told"] == f"✗ You said {guess}, it is 1,024 bytes: it is two to the power of ten"
    assert not told["right"]


def test_what_is_no_number_is_named_and_nothing_can_be_compared():
    told = asked(BYTES, {"guess": "many"}, {"compare": True})
    assert told == {"guess": "", "said": "✗ a number is needed, this is 'many'", "told": "", "right": False}


def test_guess_is_only_noted_until_the_reader_compares():
    assert asked(CHOICE, {"guess": "an echo"}) == {
        "guess": "an echo",
        "said": "You say an echo. Run the next cell, and compare.",
        "told": "",
        "right": False,
    }


def test_another_guess_takes_the_place_of_the_first():
    told = asked(CHOICE, {"guess": "an echo"}, {"guess": "a pong"}, {"compare": True})
    assert told["told"] == "✓ As you said: a ping is answered"


def test_compare_without_a_guess_tells_nothing():
    assert asked(CHOICE, {"compare": True})["told"] == ""


@pytest.mark.parametrize("number", predictions())
def test_no_form_gives_the_answer_away_before_the_reader_compares(number):
    quiz, prediction = predict(number), predictions()[number]
    shown = [quiz.plain(), quiz.html(), str(quiz.question), str(quiz.state)]
    assert not any(prediction.because in form for form in shown)
    told = re.compile(rf"(?<![\d.,]){re.escape(prediction.answer_shown)}(?![\d.,])")
    assert prediction.choices or not any(told.search(form) for form in shown)


@pytest.mark.parametrize("number", predictions())
def test_answer_of_every_prediction_is_right(number):
    prediction = predictions()[number]
    assert prediction.holds(prediction.answer if prediction.choices else str(prediction.answer))


def test_quiz_prints_as_a_question_with_its_choices():
    assert repr(Quiz(CHOICE)) == "Predict: What comes back?\n    ( ) an echo\n    ( ) a pong"
    assert repr(Quiz(BYTES)) == "Predict: How long is it?\n    ____ bytes"
    assert Quiz(CHOICE).html() == (
        "<p><strong>Predict:</strong> What comes back?</p>"
        '<ul style="list-style-type:circle"><li>an echo</li><li>a pong</li></ul>'
    )


def test_unknown_prediction_names_those_of_the_lesson():
    with pytest.raises(ValueError, match=r"prediction '00\.z': 00\.a, 00\.b are there"):
        predict("00.z")


def test_answer_that_is_no_choice_is_an_error_of_the_lesson():
    with pytest.raises(ValueError, match=r"prediction 99\.c: the answer 'silence' is none of the choices"):
        Prediction("99.c", "What?", "silence", "", ("an echo", "a pong"))
