"""The parts of a learner's own server: right code of earlier exercises, or the reference where it is missing.

Kept code is run and judged once more; only what is still right is used. The reference is `small_server`.
"""

from __future__ import annotations

import inspect
import linecache
from collections.abc import Callable
from contextlib import suppress
from html import escape
from typing import Any

import wslearn
from wslearn.codec import encode
from wslearn.frames import Frame, Ping
from wslearn.lab import small_server
from wslearn.lab.exercises import exercise, in_words, progress

PARTS = {
    "02.2": "accept_key",
    "03.3": "read_header",
    "04.4": "unmask",
    "05.3": "assemble",
    "06.4": "pong",
    "08.4": "close_reply",
}
SITTINGS = ("14.1", "14.2", "14.3")


class Part:
    """A function of the server, with its code and whose it is; what stands beside it is found by name."""

    def __init__(self, name: str, whose: str, code: str, function: Any, names: dict[str, Any]) -> None:
        self.name, self.whose, self.code, self.function = name, whose, code, function
        self._names = names

    def __call__(self, *given: Any) -> Any:
        return self.function(*given)

    def __getitem__(self, name: str) -> Any:
        return self._names[name]

    def __repr__(self) -> str:
        return f"{self.name}: {self.whose}\n\n{self.code}"

    def _repr_html_(self) -> str:
        return f"<p><strong>{self.name}</strong>: {escape(self.whose)}</p><pre>{escape(self.code)}</pre>"


def part(number: str) -> Part:
    """Return the function of an exercise: the learner's newest right one, or the reference.

    Raises:
        ValueError: the exercise gives no part; names those that do.
    """
    if number not in PARTS and number not in SITTINGS:
        raise ValueError(f"part {number!r}: {', '.join([*PARTS, *SITTINGS])} are there")
    kept = progress().functions.get(number)
    if kept is None:
        return _reference(number, f"the reference, as {number} is not done here")
    try:
        return _own(number, kept)
    # Whatever kept code raises, the lesson goes on with the reference.
    except Exception as error:
        return _reference(number, f"the reference, as yours of {number} fails here: {in_words(error)}")


def _own(number: str, code: str) -> Part:
    names = _run(number, code)
    verdict: Any = exercise(number).check(names["answer"])
    if not verdict:
        raise ValueError(verdict.text)
    function = _pong_of(names["answer"]) if number == "06.4" else names["answer"]
    return Part(PARTS.get(number, "echo"), f"yours, of {number}", code, function, names)


def _reference(number: str, whose: str) -> Part:
    if number in SITTINGS:
        names = _run(number, exercise(number).solution_code)
        return Part("echo", whose, exercise(number).solution_code, names["answer"], names)
    function = getattr(small_server, PARTS[number])
    return Part(PARTS[number], whose, inspect.getsource(function).rstrip(), function, vars(small_server))


def _run(number: str, code: str) -> dict[str, Any]:
    """Run code among the reference's names, and for a sitting among the parts; return all names."""
    names = vars(wslearn) | vars(small_server)
    if number in SITTINGS:
        names |= {name: part(each).function for each, name in PARTS.items()}
    file = f"<exercise {number}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    exec(compile(code, file, "exec"), names)
    return names


class _OnePing:
    """A raw session in which one ping comes, and what is sent is kept."""

    def __init__(self, payload: bytes) -> None:
        self._left: list[Frame] = [Ping(payload)]
        self.incoming, self.sent = self, b""

    def __aiter__(self) -> _OnePing:
        return self

    async def __anext__(self) -> Frame:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()

    async def receive(self) -> Frame:
        if not self._left:
            raise EOFError("one ping, and no more")
        return self._left.pop()

    async def send(self, frame: Frame) -> None:
        self.sent += encode(frame)


def _pong_of(handler: Callable[[Any], Any]) -> Callable[[bytes], bytes]:
    """Return `pong(payload)`, made of a handler of a raw route: what it sends for one ping."""

    def pong(payload: bytes) -> bytes:
        session = _OnePing(payload)
        with suppress(StopIteration, EOFError):
            handler(session).send(None)
        return session.sent

    if pong(b"hi?") != small_server.pong(b"hi?"):
        raise ValueError("it sends nothing before it waits for something else than a frame")
    return pong
