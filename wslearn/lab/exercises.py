"""Checked exercises: a task, a judge that says what it looks at, three hints and a solution.

    exercise("03.1")                  shows the task
    exercise("03.1").check(answer)    judges it; a judge that needs the running loop is awaited
    exercise("03.1").hint()           one hint more each time, three in all
    exercise("03.1").solution()       asks first; shows code when called again

The exercises of a lesson stand in `lesson_NN.py` as `EXERCISES`; each has a starter, which is the stub
in the notebook, and a solution, and both define `answer`. What a learner's code raises, or forgets to
await, becomes part of the verdict. What was right is noted in the learner's progress.
"""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from sysconfig import get_paths
from typing import Any, Literal

import wslearn.lab
from wslearn.lab.progress import Progress, read_progress

OURS = (str(Path(__file__).parent.parent), get_paths()["stdlib"], get_paths()["purelib"])

State = Literal["not tried", "not yet", "almost", "right"]
GLYPHS: dict[State, str] = {"not tried": "○", "not yet": "✗", "almost": "◐", "right": "✓"}
KINDS = {"P": "predict", "C": "compute", "B": "build", "D": "debug"}


@dataclass(frozen=True)
class Verdict:
    """What a judge says: a state and the reason in words."""

    state: State
    text: str = ""

    def __bool__(self) -> bool:
        return self.state == "right"

    def __repr__(self) -> str:
        return f"{GLYPHS[self.state]} {self.state}{': ' if self.text else ''}{self.text}"

    def _repr_html_(self) -> str:
        text = escape(self.text).replace("\n", "<br>")
        return f"<p><strong>{GLYPHS[self.state]} {self.state}</strong>{': ' if text else ''}{text}</p>"


def right(text: str = "") -> Verdict:
    return Verdict("right", text)


def almost(text: str) -> Verdict:
    return Verdict("almost", text)


def not_yet(text: str) -> Verdict:
    return Verdict("not yet", text)


NOT_TRIED = Verdict("not tried", "put your answer where the three dots are")

Judge = Callable[[Any], Verdict | Awaitable[Verdict]]


class Exercise:
    """One exercise of a lesson.

    Args:
        number: lesson and exercise, as "03.2".
        stars: 1 to 3, how hard it is.
        kind: P predict, C compute, B build, D debug; PD is first the one, then the other.
        task: what to do, and what is judged.
        judge: takes the answer and returns a verdict, or a coroutine of one.
        hints: a nudge, the place, nearly the answer.
        starter: code of the stub; defines `answer`, runs untouched, and is not right.
        solution: code that defines a right `answer`.
        setup: what starter and solution need from the lesson above, beside its imports.
    """

    def __init__(
        self,
        number: str,
        stars: int,
        kind: Literal["P", "C", "B", "D", "PD"],
        task: str,
        judge: Judge,
        hints: tuple[str, str, str],
        starter: str,
        solution: str,
        setup: str = "",
    ) -> None:
        self.number = number
        self.stars = stars
        self.kind = kind
        self.task = task
        self.hints = hints
        self.starter = starter.strip("\n")
        self.solution_code = solution.strip("\n")
        self.setup = setup
        self._judge = judge
        self._hinted = 0
        self._asked = False

    def check(self, answer: Any) -> Verdict | Awaitable[Verdict]:
        """Judge an answer; where the exercise is about sessions, await it."""
        if self.is_open(answer):
            return NOT_TRIED
        with _forgotten_awaits() as forgotten:
            try:
                verdict = self._judge(answer)
            # Whatever a learner's code raises is told, and the notebook goes on.
            except Exception as error:
                verdict = not_yet(in_words(error))
        if isinstance(verdict, Verdict):
            return self._noted(verdict, forgotten, answer)
        return self._awaited(verdict, answer)

    def is_open(self, answer: Any) -> bool:
        """Tell whether the three dots of the stub are still there."""
        return _is_open(answer)

    async def _awaited(self, awaited: Awaitable[Verdict], answer: Any) -> Verdict:
        with _forgotten_awaits() as forgotten:
            try:
                verdict = await awaited
            except Exception as error:
                verdict = not_yet(in_words(error))
        return self._noted(verdict, forgotten, answer)

    def _noted(self, verdict: Verdict, forgotten: list[str], answer: Any) -> Verdict:
        if verdict:
            progress().note(self.number, answer)
        elif forgotten:
            return Verdict(verdict.state, f"{verdict.text}\nPython adds: {forgotten[0]}")
        return verdict

    def hint(self) -> Card:
        """Show the next hint."""
        self._hinted = min(self._hinted + 1, len(self.hints))
        return Card(f"Hint {self._hinted} of {len(self.hints)}", self.hints[self._hinted - 1])

    def solution(self) -> Card:
        """Ask, and when called again show a solution."""
        if not self._asked:
            self._asked = True
            return Card("Sure?", "Each hint is worth a try first. Call solution() again to see one.")
        return Card("One solution", self.solution_code, code=True)

    def reset(self) -> None:
        """Forget hints and progress of this exercise."""
        self._hinted, self._asked = 0, False
        progress().forget(self.number)

    @property
    def code(self) -> str:
        """The learner's newest right code where the answer is a function, else a solution."""
        return progress().functions.get(self.number, self.solution_code)

    @property
    def title(self) -> str:
        """Number, stars and kind."""
        kinds = ", ".join(KINDS[kind] for kind in self.kind)
        return f"{self.number} {'★' * self.stars} {kinds}"

    def __repr__(self) -> str:
        return f"{self.title}: {self.task}"

    def _repr_html_(self) -> str:
        task = re.sub("`(.*?)`", r"<code>\1</code>", escape(self.task))
        return f"<p><strong>{self.title}</strong>: {task}</p>"


@dataclass(frozen=True)
class Card:
    """A short text with a title."""

    title: str
    text: str
    code: bool = False

    def __repr__(self) -> str:
        return f"{self.title}:{chr(10) if self.code else ' '}{self.text}"

    def _repr_html_(self) -> str:
        text = f"<pre>{escape(self.text)}</pre>" if self.code else escape(self.text)
        return f"<p><strong>{escape(self.title)}</strong> {'' if self.code else text}</p>" + (
            text if self.code else ""
        )


@cache
def exercises() -> dict[str, Exercise]:
    """Return all exercises by number."""
    return {each.number: each for each in from_lessons("EXERCISES")}


def from_lessons(name: str) -> Iterator[Any]:
    """Yield what all lessons list under a name, in their order."""
    lessons = sorted(m.name for m in iter_modules(wslearn.lab.__path__) if m.name.startswith("lesson_"))
    for lesson in lessons:
        yield from getattr(import_module(f"wslearn.lab.{lesson}"), name, ())


def exercise(number: str) -> Exercise:
    """Return the exercise with this number, as "03.2".

    Raises:
        ValueError: there is none; names those of the lesson.
    """
    known = exercises()
    if number not in known:
        lesson = [each for each in known if each[:2] == str(number)[:2]] or list(known)
        raise ValueError(f"exercise {number!r}: {', '.join(lesson)} are there")
    return known[number]


def progress() -> Progress:
    """Return the exercises that are done, from the file in the working folder."""
    return read_progress(exercises())


def _is_open(answer: Any) -> bool:
    """Tell whether the three dots of the stub are still there, or a function gave nothing back.

    Inside a dictionary None may be an answer: an option that is off.
    """
    return answer is None or _has_dots(answer)


def _has_dots(answer: Any) -> bool:
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, tuple | list):
        return any(_has_dots(part) for part in answer)
    return answer is ...


@contextmanager
def _forgotten_awaits() -> Iterator[list[str]]:
    """Collect Python's warnings of coroutines that nobody awaited, in place of its red text."""
    forgotten: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        yield forgotten
    forgotten += [text for each in caught if "never awaited" in (text := str(each.message))]


def in_words(error: Exception) -> str:
    """Return what was raised, and the learner's own line that led to it."""
    lines = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith(OURS)]
    place = f", in your line: {lines[-1].line}" if lines and lines[-1].line else ""
    return f"{type(error).__name__}: {error}{place}"


def together(found: list[Verdict]) -> Verdict:
    """Judge several findings as one: right where all are, else the first that is not."""
    wrong = [each for each in found if not each]
    if not wrong:
        return right("\n".join(each.text for each in found))
    state = almost if len(wrong) < len(found) else not_yet
    return state(f"{len(found) - len(wrong)} of {len(found)} are right; {wrong[0].text}")


def compare_bytes(got: object, want: bytes, good: str = "") -> Verdict:
    """Judge bytes, and name the first one that differs."""
    if not isinstance(got, bytes | bytearray):
        return not_yet(f"bytes are needed, this is {got!r}; bytes.fromhex('81 05') makes some from hex")
    if got == want:
        return right(good)
    for n, (ours, theirs) in enumerate(zip(got, want, strict=False)):
        if ours != theirs:
            verdict = almost if n else not_yet
            return verdict(f"byte {n} is {ours:02x}: the judge expects another value there")
    fit = min(len(got), len(want))
    return almost(f"the first {fit} fit; these are {len(got)} in all, the judge expects {len(want)}")


def is_number(value: object) -> bool:
    """Tell whether a value is a number, which True and False are not meant to be."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def name_first(wrong: Mapping[str, str], many: int) -> Verdict:
    """Judge several named answers of which some are wrong, and say why the first of them is.

    Args:
        wrong: the reasons by name, in order.
        many: how many answers there are.
    """
    name, text = next(iter(wrong.items()))
    verdict = almost if len(wrong) <= 2 else not_yet
    return verdict(f"{many - len(wrong)} of {many} fit; {name}: {text}")


def compare_values(got: Any, want: Any, good: str = "", names: tuple[str, ...] = ()) -> Verdict:
    """Judge a value, or several in order, and name the first one that differs."""
    if not isinstance(want, tuple | list):
        return right(good) if got == want else not_yet(f"{got!r} is not it")
    if not isinstance(got, tuple | list) or len(got) != len(want):
        return not_yet(f"{len(want)} values are needed, this is {got!r}")
    wrong = [n for n, (ours, theirs) in enumerate(zip(got, want, strict=True)) if ours != theirs]
    if not wrong:
        return right(good)
    name = names[wrong[0]] if names else f"value {wrong[0] + 1}"
    verdict = almost if len(wrong) * 2 <= len(want) else not_yet
    return verdict(f"{len(want) - len(wrong)} of {len(want)} fit; {name}: {got[wrong[0]]!r} is not it")
