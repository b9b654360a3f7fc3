"""Cases: broken conversations with three guesses, three clues and a repair, and the wall they hang on.

A case is an exercise whose answer points at what is wrong, and then mends it. Here guesses are judged and
counted; what went wrong, and how a repair is tried, is each case's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from html import escape
from textwrap import indent
from typing import Any, NamedTuple

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


class Part(NamedTuple):
    """One part of an answer: its label, the name whose choices it has, what was given, what is wanted."""

    label: str
    name: str
    given: Any
    want: Any

    @property
    def fits(self) -> bool:
        """Whether it is what is wanted, or one of what is."""
        return any(self.given == each for each in (self.want if isinstance(self.want, Set) else [self.want]))

    @property
    def known(self) -> Any:
        """What is wanted, or one of what is."""
        return _one_of(self.want)


class Case(Exercise):
    """A broken conversation.

    Args:
        number: lesson and case, as "15.1".
        title: what people complain about.
        task: what to find and to mend.
        evidence: returns the recorded scene.
        finding: what is wrong, by name; a set where several are right, a pair where two are asked for.
        choices: by name, the words to choose from; what has none is the number of a frame.
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
        starter = f"answer = {_blanks(finding)}"
        super().__init__(number, 2, "D", task, self._judge_case, clues, starter, solution)
        self.complaint = title
        self.evidence = evidence
        self.finding = finding
        self.choices = choices
        self.astray = astray
        self._culprit = culprit.strip("\n")
        self._mend = mend
        self._wrong: list[str] = []

    def is_open(self, answer: Any) -> bool:
        """Tell whether the finding is still to be made; the repair comes behind it."""
        if isinstance(answer, Mapping):
            answer = [part for name, part in answer.items() if name != "repair"]
        return super().is_open(answer)

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
        parts = [*self._parts(answer)]
        if any(part.given in (..., None, "...") for part in parts):
            return NOT_TRIED
        if unknown := next(filter(None, map(self._unknown, parts)), ""):
            return not_yet(f"{unknown}; this counts as no guess")
        if wrong := [part for part in parts if not part.fits]:
            return self._guessed(parts, wrong)
        if answer["repair"] is ...:
            return Found("almost", "you have found it. Mend this, and give it as the repair:", self._culprit)
        verdict = self._mend(answer["repair"])
        return right(f"{verdict.text}. Solved with {self._spent()}") if verdict else verdict

    def _parts(self, answer: Mapping[str, Any]) -> Iterator[Part]:
        """Yield the parts of an answer, those of a pair one by one."""
        for name, want in self.finding.items():
            given = answer[name]
            if not isinstance(want, tuple):
                yield Part(name, name, given, want)
                continue
            is_pair = isinstance(given, tuple | list) and len(given) == len(want)
            for n, each in enumerate(want):
                yield Part(f"{name} {n + 1}", name, given[n] if is_pair else given, each)

    def _unknown(self, part: Part) -> str:
        """Return what can be given, where something else is; nothing where it can be."""
        choices = self.choices.get(part.name)
        frames = self.evidence().frames
        if part.given in (choices or range(len(frames))):
            return ""
        among = ", ".join(choices) if choices else f"0 to {len(frames) - 1}"
        return f"{part.label}: {part.given!r} is none of {among}"

    def _why(self, part: Part) -> str:
        """Return why a part is not it."""
        for name in (part.label, part.name):
            if why := self.astray.get(name, {}).get(part.given):
                return why
        if part.name in self.choices:
            return f"{part.given!r} is not it"
        return f"{part.given} is the {self.evidence().said(part.given)}, and that is not it"

    def _guessed(self, parts: Sequence[Part], wrong: Sequence[Part]) -> Verdict:
        """Count a guess; behind the last one say openly what it was."""
        guess = repr([part.given for part in parts])
        if guess not in self._wrong:
            self._wrong.append(guess)
            self._take()
        fit = f"{len(parts) - len(wrong)} of {len(parts)} fit"
        told = f"guess {len(self._wrong)}: {fit}; {wrong[0].label}: {self._why(wrong[0])}"
        if len(self._wrong) < GUESSES:
            return Verdict("almost" if len(wrong) == 1 else "not yet", told)
        found = ", ".join(f"{part.label} {part.known!r}" for part in parts)
        return not_yet(f"{told}. Three guesses are used, so here it is: {found}. The repair is still yours")

    def _spent(self) -> str:
        """Return clues and guesses in words; the right guess counts too."""
        return f"{_count(self._hinted, 'clue')} and {_count(len(self._wrong) + 1, 'guess')}"


def _blanks(finding: Mapping[str, Any]) -> str:
    """Return a dictionary to be filled in, with a line for each part where it is long."""
    parts = [f'"{name}": {_blank(want)}' for name, want in finding.items()] + ['"repair": ...']
    if len(parts) > 4 or any(isinstance(want, tuple) for want in finding.values()):
        return "\n    ".join(["{", *(f"{part}," for part in parts)]) + "\n}"
    return f"{{{', '.join(parts)}}}"


def _blank(want: Any) -> str:
    """Return what stands in the stub for a part of a finding."""
    if isinstance(want, tuple):
        return f"({', '.join(map(_blank, want))})"
    return '"..."' if isinstance(_one_of(want), str) else "..."


def _one_of(want: Any) -> Any:
    return min(want) if isinstance(want, Set) else want


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
            f'<p style="margin:0"><strong>{heading}</strong></p>'
            f'<ul style="list-style:none;display:flex;flex-wrap:wrap;gap:0.5em;margin:0.5em 0 1em;padding:0">'
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
