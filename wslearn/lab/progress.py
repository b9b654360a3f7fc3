"""What a learner has done, on the map of the course: one plain JSON file in the working folder, sent nowhere.

Kept are the numbers of exercises that were right, and of answers that are functions the code: lesson 14
builds a server of them. Of the cases of lesson 15 it is also kept how many clues and guesses each has taken.
"""

from __future__ import annotations

import ast
import json
import linecache
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from wslearn.lab.course import COURSE, TRACKS, Lesson

PROGRESS = Path(os.environ.get("WSLEARN_PROGRESS", ".wslearn-progress.json"))
"""In the working folder, unless the environment names another place."""


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

    def lessons(self) -> dict[Lesson, list[str]]:
        """Return the numbers of each lesson's exercises; a lesson without any is not here yet."""
        known = list(self.known)
        return {lesson: [each for each in known if each[:2] == lesson.number] for lesson in COURSE}

    def next_lesson(self, track: str | None = None) -> Lesson | None:
        """Return the first lesson, of a track or of all, with exercises to do; `None` when all are done."""
        for lesson, numbers in self.lessons().items():
            if (track is None or track in lesson.tracks) and not self.done.issuperset(numbers):
                return lesson
        return None

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
        lessons = [
            f"{lesson!s:29} {lesson.minutes:2} min  {self._marks(numbers)}".rstrip()
            for lesson, numbers in self.lessons().items()
        ]
        tracks = [
            f"{track:11}  {done} of {many} done{', next ' + str(then) if then else ''}"
            for track, done, many, then in self._tracks()
        ]
        return "\n".join([*lessons, "", *tracks, "", self._overall])

    def _repr_html_(self) -> str:
        lessons = [self._row(lesson, numbers) for lesson, numbers in self.lessons().items()]
        tracks = [
            _cells(f"<em>{track}</em>", _meter(done, many), _link(then) if then else "")
            for track, done, many, then in self._tracks()
        ]
        then = self.next_lesson()
        told = f"{escape(self._overall)}{f'. Next: {_link(then)}' if then else ''}"
        return _table(told, ("lesson", "minutes", "tracks", "exercises", "done"), lessons) + _table(
            "Tracks", ("track", "done", "next"), tracks
        )

    def _row(self, lesson: Lesson, numbers: list[str]) -> str:
        title = _link(lesson) if numbers else escape(str(lesson))
        done = _meter(len(self.done.intersection(numbers)), len(numbers)) if numbers else "being written"
        shown = f'{title}<br><span style="font-weight:normal">{escape(lesson.shows)}</span>'
        marks = _one_line(self._marks(numbers))
        return _cells(shown, str(lesson.minutes), " · ".join(lesson.tracks), marks, done)

    def _marks(self, numbers: list[str]) -> str:
        return " ".join("✓" if number in self.done else "○" for number in numbers)

    def _tracks(self) -> Iterator[tuple[str, int, int, Lesson | None]]:
        """Yield each track that is here: what is done of its exercises, how many there are, what is next."""
        for track in TRACKS:
            numbers = [n for lesson, some in self.lessons().items() if track in lesson.tracks for n in some]
            if numbers:
                yield track, len(self.done.intersection(numbers)), len(numbers), self.next_lesson(track)

    @property
    def _overall(self) -> str:
        known = list(self.known)
        return f"{len(self.done.intersection(known))} of {len(known)} exercises done"


def _link(lesson: Lesson) -> str:
    return f'<a href="{lesson.file}">{escape(str(lesson))}</a>'


def _meter(done: int, many: int) -> str:
    bar = f'<meter min="0" max="{many}" value="{done}" style="width:3em" aria-hidden="true"></meter>'
    return _one_line(f"{bar} {done} of {many}")


def _one_line(text: str) -> str:
    return f'<span style="white-space:nowrap">{text}</span>'


def _cells(head: str, *cells: str) -> str:
    """Return a row of a table; text begins at the left."""
    rest = "".join(f'<td style="text-align:left">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row" style="text-align:left">{head}</th>{rest}</tr>'


def _table(caption: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    columns = "".join(f'<th scope="col" style="text-align:left">{head}</th>' for head in heads)
    return (
        f'<table><caption style="text-align:left">{caption}</caption>'
        f"<thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


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
    """Return the code of a function's cell, and of the cells of what it calls; empty where there is none.

    What only runs in a cell, as a check does, is left out.
    """
    if not hasattr(answer, "__code__"):
        return ""
    own = _kept(answer.__code__.co_filename)
    others = dict.fromkeys(_files(answer.__code__, answer.__globals__, {answer.__code__}))
    others.pop(answer.__code__.co_filename, None)
    named = not own or re.search(r"^answer\b", own, re.MULTILINE)
    code = [*map(_kept, others), own, "" if named else f"answer = {answer.__name__}"]
    return "\n".join(filter(None, code))


def _files(code: CodeType, names: dict[str, Any], seen: set[CodeType]) -> Iterator[str]:
    """Yield where the functions of cells stand that this code names, and those which they name."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _files(inner, names, seen)
    for called in map(names.get, code.co_names):
        if isinstance(called, FunctionType) and called.__code__ not in seen:
            seen.add(called.__code__)
            yield from _files(called.__code__, called.__globals__, seen)
            # a cell is in memory only; what has a file can be imported
            if not os.path.exists(called.__code__.co_filename):
                yield called.__code__.co_filename


def _kept(file: str) -> str:
    lines = linecache.getlines(file)
    with suppress(SyntaxError):
        kept = [node for node in ast.parse("".join(lines)).body if not isinstance(node, ast.Expr)]
        return "\n".join("".join(lines[_first_line(node) - 1 : node.end_lineno]).rstrip() for node in kept)
    return ""


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])
