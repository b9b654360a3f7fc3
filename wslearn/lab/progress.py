"""What a learner has done: one plain JSON file in the working folder, which nothing sends anywhere.

Kept are the numbers of exercises that were right, and of answers that are functions the code: lesson 14
builds a server of them. Of the cases of lesson 15 it is also kept how many clues and guesses each has taken.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

PROGRESS = Path(".wslearn-progress.json")


@dataclass
class Progress:
    """The exercises that are done, of all there are.

    Args:
        done: their numbers.
        functions: by number, the newest right code of an answer that is a function.
        known: the numbers of all exercises, in their order.
        taken: by number, the clues and the guesses that a case has taken.
    """

    done: set[str] = field(default_factory=set)
    functions: dict[str, str] = field(default_factory=dict)
    known: Iterable[str] = ()
    taken: dict[str, list[int]] = field(default_factory=dict)

    def __contains__(self, number: object) -> bool:
        return number in self.done

    def lessons(self) -> dict[str, list[str]]:
        """Return the numbers of each lesson's exercises."""
        lessons: dict[str, list[str]] = {}
        for number in self.known:
            lessons.setdefault(number[:2], []).append(number)
        return lessons

    def export(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON to a file of its own, to be put in place of `.wslearn-progress.json` elsewhere."""
        kept: dict[str, Any] = {
            "done": sorted(self.done),
            "functions": dict(sorted(self.functions.items())),
            "taken": dict(sorted(self.taken.items())),
        }
        Path(path).write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")

    def reset(self) -> None:
        """Forget everything, in the file too."""
        self.done.clear()
        self.functions.clear()
        self.taken.clear()
        with suppress(OSError):
            PROGRESS.unlink(missing_ok=True)

    def note(self, number: str, answer: Any) -> None:
        """Keep that an answer was right; in a folder that is read-only it is right all the same."""
        self.done.add(number)
        if code := code_of(answer):
            self.functions[number] = code
        self._write()

    def take(self, number: str, clues: int, guesses: int) -> None:
        """Keep how many clues and guesses a case has taken, the most there were, until it is solved."""
        if number not in self.done:
            before = self.taken.get(number, [0, 0])
            self.taken[number] = [max(before[0], clues), max(before[1], guesses)]
            self._write()

    def forget(self, number: str) -> None:
        """Forget one exercise."""
        if number in self.done or number in self.taken:
            self.done.discard(number)
            self.functions.pop(number, None)
            self.taken.pop(number, None)
            self._write()

    def _write(self) -> None:
        with suppress(OSError):
            self.export(PROGRESS)

    def __repr__(self) -> str:
        lines = [f"{lesson}  {' '.join(self._marks(numbers))}" for lesson, numbers in self.lessons().items()]
        return "\n".join([*lines, self._overall])

    def _repr_html_(self) -> str:
        rows = "".join(self._row(lesson, numbers) for lesson, numbers in self.lessons().items())
        head = '<thead><tr><th scope="col">lesson</th><th scope="col">exercises</th><th scope="col">done</th>'
        return (
            f'<table><caption style="text-align:left">{escape(self._overall)}</caption>{head}</tr></thead>'
            f"<tbody>{rows}</tbody></table>"
        )

    def _row(self, lesson: str, numbers: list[str]) -> str:
        done = sum(number in self.done for number in numbers)
        bar = f'<meter min="0" max="{len(numbers)}" value="{done}" aria-hidden="true"></meter>'
        marks = f'<td style="text-align:left">{" ".join(self._marks(numbers))}</td>'
        return f'<tr><th scope="row">{lesson}</th>{marks}<td>{bar} {done} of {len(numbers)}</td></tr>'

    def _marks(self, numbers: list[str]) -> list[str]:
        return ["✓" if number in self.done else "○" for number in numbers]

    @property
    def _overall(self) -> str:
        known = list(self.known)
        return f"{sum(number in self.done for number in known)} of {len(known)} exercises done"


def read_progress(known: Iterable[str]) -> Progress:
    """Return the progress in the working folder; a file that is none counts as none."""
    with suppress(OSError, ValueError):
        match json.loads(PROGRESS.read_text(encoding="utf-8")):
            case {"done": [*done], "functions": {**functions}, **others}:
                code = {str(number): str(text) for number, text in functions.items()}
                return Progress(set(map(str, done)), code, known, _taken(others.get("taken")))
    return Progress(known=known)


def _taken(kept: object) -> dict[str, list[int]]:
    """Return clues and guesses by number; what is none is left out."""
    pairs = kept.items() if isinstance(kept, dict) else ()
    return {
        number: [*pair]
        for number, pair in pairs
        if isinstance(pair, list) and list(map(type, pair)) == [int, int]
    }


def code_of(answer: Any) -> str:
    """Return the code of a function's cell without what only runs there; empty where there is none."""
    lines = linecache.getlines(answer.__code__.co_filename) if hasattr(answer, "__code__") else []
    with suppress(SyntaxError):
        kept = [node for node in ast.parse("".join(lines)).body if not isinstance(node, ast.Expr)]
        return "\n".join("".join(lines[_first_line(node) - 1 : node.end_lineno]).rstrip() for node in kept)
    return ""


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])
