"""Cases: broken conversations with three guesses, three clues and a repair, and the wall they hang on.

A case is an exercise whose answer points at what is wrong, and then mends it. Here guesses are judged and
counted; what went wrong, and how a repair is tried, is each case's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import indent
from typing import Any

from wslearn.lab.evidence import Evidence
from wslearn.lab.exercises import (
    GLYPHS,
    NOT_TRIED,
    Card,
    Exercise,
    Verdict,
    exercises,
    not_yet,
    progress,
    right,
)

GUESSES = CLUES = 3
LESSONS = {"08": ("15.1", "15.2", "15.3", "15.4"), "11": ("15.5", "15.6"), "13": ("15.7", "15.8")}
"""The cases that open after each lesson."""


@dataclass(frozen=True)
class Found(Verdict):
    """A verdict, and the code or the options it speaks of."""

    code: str = ""

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n\n{indent(self.code, '    ')}"

    def _repr_html_(self) -> str:
        return f"{super()._repr_html_()}<pre>{escape(self.code)}</pre>"


class Case(Exercise):
    """A broken conversation.

    Args:
        number: lesson and case, as "15.1".
        title: what people complain about.
        task: what to find and to mend.
        evidence: returns the recorded scene.
        finding: what is wrong, by name; where a frame may be pointed at in several ways, a tuple of them.
        choices: by name, what may be chosen.
        astray: by name and value, why what tempts is not it.
        culprit: the code or the options that did it, which the learner mends.
        mend: plays the scene with the repair.
        clues: a nudge, the place, nearly the finding.
        solution: code that defines a right `answer`.
    """

    def __init__(
        self,
        number: str,
        title: str,
        task: str,
        evidence: Callable[[], Evidence],
        finding: Mapping[str, Any],
        choices: Mapping[str, Sequence[str]],
        astray: Mapping[str, Mapping[Any, str]],
        culprit: str,
        mend: Callable[[Any], Verdict],
        clues: tuple[str, str, str],
        solution: str,
    ) -> None:
        names = ", ".join(f'"{name}": {"..." if name == "frame" else STRINGS}' for name in finding)
        starter = f'answer = {{{names}, "repair": ...}}'
        super().__init__(number, 2, "D", task, self._judge_case, clues, starter, solution)
        self.complaint = title
        self.evidence = evidence
        self.finding = finding
        self.choices = choices
        self.astray = astray
        self._culprit = culprit.strip("\n")
        self._mend = mend
        self._wrong: list[str] = []

    def hint(self) -> Card:
        """Show the next clue."""
        card = super().hint()
        self._take()
        return Card(card.title.replace("Hint", "Clue"), card.text)

    def reset(self) -> None:
        """Open the case again, as if nobody had looked at it."""
        super().reset()
        self._wrong.clear()

    def _take(self) -> None:
        progress().take(self.number, self._hinted, len(self._wrong))

    def _judge_case(self, answer: Any) -> Verdict:
        names = [*self.finding, "repair"]
        if not isinstance(answer, Mapping) or set(answer) != set(names):
            return not_yet(f"a dictionary with {', '.join(names)} is needed")
        if any(answer[name] in (..., None, "...") for name in self.finding):
            return NOT_TRIED
        if wrong := self._wrong_about(answer):
            return self._guessed(answer, wrong)
        if answer["repair"] is ...:
            return Found("almost", "you have found it. Mend this, and give it as the repair:", self._culprit)
        verdict = self._mend(answer["repair"])
        return right(f"{verdict.text}. Solved with {self._spent()}") if verdict else verdict

    def _wrong_about(self, answer: Mapping[str, Any]) -> dict[str, str]:
        """Return why each part of a finding is wrong, by its name."""
        return {
            name: self._why(name, answer[name])
            for name, want in self.finding.items()
            if answer[name] not in (want if isinstance(want, tuple) else (want,))
        }

    def _why(self, name: str, value: Any) -> str:
        if name in self.choices and value not in self.choices[name]:
            return f"{value!r} is none of {', '.join(self.choices[name])}"
        if why := self.astray.get(name, {}).get(value):
            return why
        if name != "frame":
            return f"{value!r} is not it"
        frames = self.evidence().frames
        if not isinstance(value, int) or not 0 <= value < len(frames):
            return f"{value!r} is none of 0 to {len(frames) - 1}"
        return f"{value} is the {self.evidence().said(value)}, and it does what it should"

    def _guessed(self, answer: Mapping[str, Any], wrong: Mapping[str, str]) -> Verdict:
        """Count a guess; behind the last one say openly what it was."""
        guess = repr([answer[name] for name in self.finding])
        if guess not in self._wrong:
            self._wrong.append(guess)
            self._take()
        many, (name, why) = len(self.finding), next(iter(wrong.items()))
        told = f"guess {len(self._wrong)}: {many - len(wrong)} of {many} fit; {name}: {why}"
        if len(self._wrong) < GUESSES:
            return Verdict("almost" if len(wrong) == 1 else "not yet", told)
        finding = ", ".join(
            f"{name} {value[0]!r}" if isinstance(value, tuple) else f"{name} {value!r}"
            for name, value in self.finding.items()
        )
        return not_yet(f"{told}. Three guesses are used, so here it is: {finding}. The repair is still yours")

    def _spent(self) -> str:
        """Return clues and guesses in words; the right guess counts too."""
        return f"{_count(self._hinted, 'clue')} and {_count(len(self._wrong) + 1, 'guess')}"


STRINGS = '"..."'


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 'es' if what.endswith('s') else 's'}"


def case(number: str) -> Case:
    """Return a case by its number, as "15.1".

    Raises:
        ValueError: there is none; names those that are.
    """
    known = {each.number: each for each in exercises().values() if isinstance(each, Case)}
    if number not in known:
        raise ValueError(f"case {number!r}: {', '.join(known)} are there")
    return known[number]


class CaseWall:
    """All cases with what is known of them: open or solved, and the clues and guesses taken."""

    def __init__(self) -> None:
        self._progress = progress()

    def _groups(self) -> list[tuple[str, list[Case]]]:
        known = exercises()
        cases = {n: each for n, each in known.items() if isinstance(each, Case)}
        return [
            (f"after lesson {lesson}", [cases[n] for n in numbers if n in cases])
            for lesson, numbers in LESSONS.items()
        ]

    def _state(self, each: Case) -> str:
        return f"{GLYPHS['right']} solved" if each.number in self._progress else f"{GLYPHS['not tried']} open"

    def _taken(self, each: Case) -> str:
        clues, guesses = self._progress.taken.get(each.number, [0, 0])
        if each.number in self._progress:
            guesses += 1
        return f"{clues} of {CLUES} clues, {_count(guesses, 'guess')}"

    @property
    def _overall(self) -> str:
        cases = [each for _, group in self._groups() for each in group]
        return f"{sum(each.number in self._progress for each in cases)} of {len(cases)} cases solved"

    def __repr__(self) -> str:
        return "\n".join(
            [line for heading, group in self._groups() for line in (heading, *map(self._line, group))]
            + [self._overall]
        )

    def _line(self, each: Case) -> str:
        return f"  {each.number}  {self._state(each):<8}  {self._taken(each)}  {each.complaint}"

    def _repr_html_(self) -> str:
        groups = "".join(
            f"<p><strong>{heading}</strong></p>"
            f'<ul style="list-style:none;display:flex;flex-wrap:wrap;gap:0.5em;margin:0;padding:0">'
            f"{''.join(map(self._card, group))}</ul>"
            for heading, group in self._groups()
        )
        return f"{groups}<p>{self._overall}</p>"

    def _card(self, each: Case) -> str:
        solved = each.number in self._progress
        fill = "background:#009e73;color:#000;" if solved else ""
        return (
            f'<li style="{fill}border:1px solid currentColor;border-radius:4px;box-sizing:border-box;'
            f'padding:0.5em 0.7em;width:14.5em">'
            f"<b>{each.number} {self._state(each)}</b><br>{escape(each.complaint)}<br>"
            f"<small>{self._taken(each)}</small></li>"
        )
