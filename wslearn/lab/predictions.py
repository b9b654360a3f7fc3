"""A question before a run: the reader commits to a guess, runs the next cell, and compares.

    predict("04.a")                   shows the question, its choices or a field for a number

The predictions of a lesson stand in `lesson_NN.py` as `PREDICTIONS`. The answer stays in Python until the
reader compares, so neither the page nor the text and HTML forms give it away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

import traitlets

from wslearn.lab.exercises import from_lessons
from wslearn.lab.view import View, module, style


@dataclass(frozen=True)
class Prediction:
    """A question with its answer.

    Args:
        number: lesson and letter, as "04.a".
        answer: one of the choices, or a number.
        because: why it is so, in one sentence; shown when the reader compares.
        choices: what to choose from; empty where a number is asked for.
        unit: what the number counts.
        within: how far a number may be off.

    Raises:
        ValueError: the answer is none of the choices.
    """

    number: str
    question: str
    answer: str | float
    because: str
    choices: tuple[str, ...] = ()
    unit: str = ""
    within: float = 0

    def __post_init__(self) -> None:
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"prediction {self.number}: the answer {self.answer!r} is none of the choices")

    def holds(self, guess: str) -> bool:
        """Tell whether a guess, as it was typed or chosen, is right."""
        if self.choices:
            return guess == self.answer
        return abs(read_number(guess) - float(self.answer)) <= self.within

    @property
    def answer_shown(self) -> str:
        """The answer with its unit."""
        if isinstance(self.answer, str):
            return self.answer
        return f"{self.answer:,} {self.unit}".strip()


def read_number(text: str) -> float:
    """Return the number that somebody typed, "1,024" or "1024 bytes".

    Raises:
        ValueError: it begins with no number.
    """
    digits = text.strip().replace(",", "").partition(" ")[0]
    try:
        return float(digits)
    except ValueError:
        raise ValueError(f"a number is needed, this is {text!r}") from None


class Quiz(View):
    """A prediction, as radio buttons or a field; the answer comes when the reader asks for it."""

    _esm = module("quiz")
    _css = style("quiz")
    question = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, prediction: Prediction) -> None:
        self._prediction = prediction
        super().__init__(
            question={
                "text": prediction.question,
                "choices": list(prediction.choices),
                "unit": prediction.unit,
            },
            state={"guess": "", "said": "", "told": "", "right": False},
        )
        self.on_msg(self._answered)

    def plain(self) -> str:
        """Return the question with its choices."""
        lines = [f"( ) {choice}" for choice in self._prediction.choices] or [self._blank]
        return "\n".join([f"Predict: {self._prediction.question}", *(f"    {line}" for line in lines)])

    def html(self) -> str:
        """Return the question with its choices, as a list."""
        choices = "".join(f"<li>{escape(choice)}</li>" for choice in self._prediction.choices)
        shown = f'<ul style="list-style-type:circle">{choices}</ul>' if choices else f"<p>{self._blank}</p>"
        return f"<p><strong>Predict:</strong> {escape(self._prediction.question)}</p>{shown}"

    @property
    def _blank(self) -> str:
        return f"____ {self._prediction.unit}".strip()

    def _answered(self, view: View, asked: dict[str, Any], buffers: list[bytes]) -> None:
        """Take a guess, or compare the one that was made."""
        match asked:
            case {"guess": str(guess)}:
                self._take(guess)
            case {"compare": True} if self.state["guess"]:
                self._compare(self.state["guess"])

    def _take(self, guess: str) -> None:
        try:
            self._prediction.holds(guess)
        except ValueError as error:
            self.state = {"guess": "", "said": f"✗ {error}", "told": "", "right": False}
            return
        said = f"You say {guess}. Run the next cell, and compare."
        self.state = {"guess": guess, "said": said, "told": "", "right": False}

    def _compare(self, guess: str) -> None:
        right = self._prediction.holds(guess)
        begin = "✓ As you said" if right else f"✗ You said {guess}, it is {self._prediction.answer_shown}"
        self.state = {
            "guess": guess,
            "said": "",
            "told": f"{begin}: {self._prediction.because}",
            "right": right,
        }


@cache
def predictions() -> dict[str, Prediction]:
    """Return the predictions of all lessons by number."""
    return {each.number: each for each in from_lessons("PREDICTIONS")}


def predict(number: str) -> Quiz:
    """Show the prediction with this number, as "04.a".

    Raises:
        ValueError: there is none; names those of the lesson.
    """
    known = predictions()
    if number not in known:
        lesson = [each for each in known if each[:2] == str(number)[:2]] or list(known)
        raise ValueError(f"prediction {number!r}: {', '.join(lesson) or 'none'} are there")
    return Quiz(known[number])
