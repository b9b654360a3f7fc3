"""Lesson 00: what works on this machine, and its exercises.

Here are the probe and the judges; bytes, bits and the first conversation stand in the notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from io import StringIO
from typing import Any
from unicodedata import normalize

from wslearn import Application, Session, Text, WebSockets, connect, simulate
from wslearn.lab.exercises import (
    Exercise,
    Verdict,
    almost,
    compare_bytes,
    compare_values,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.lab.probe import Line, Probe

PATIENCE = 10
"""Seconds that a judge waits, of virtual time."""


async def probe() -> Probe:
    """Try what works here, and return a line for each part; the page that shows them tries two."""
    kernel = Line("✓", "kernel", "Python answers, and await works in a cell")
    try:
        server = await _echo().start()
        async with asyncio.timeout(5), connect(server.url()) as session:
            await session.send("Hello")
            await session.incoming.receive()
    except (OSError, NotImplementedError, TimeoutError) as error:
        none = f"none here ({type(error).__name__}): cells with app.start() fail, all others run"
        return Probe(None, kernel, Line("✗", "sockets", none))
    return Probe(
        server, kernel, Line("✓", "sockets", "Hello went out over TCP on this machine and came back")
    )


def _echo() -> Application:
    app = Application()
    app.install(WebSockets)

    @app.websocket("/")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    return app


def judge_bits(answer: Any) -> Verdict:
    """Compare two texts, however they are spaced."""
    if not isinstance(answer, tuple | list) or not all(isinstance(text, str) for text in answer):
        return not_yet(f"two texts are needed, as in ('10000001', '81'), this is {answer!r}")
    texts = [re.sub(r"^0[bx]|[\s_]", "", text.strip().lower()) for text in answer]
    good = "four bits for each hex digit: 8 is 1000, a is 1010, 2 is 0010"
    return compare_values(texts, ("10001010", "82"), good, names=("the bits of 8a", "the hex of 1000 0010"))


def judge_bytes_of_text(answer: Any) -> Verdict:
    """Compare with the bytes of a text whose accent is part of a letter."""
    if answer == normalize("NFD", "né").encode():
        return almost("these are n, e and an accent of its own; é here is one character, number e9")
    return compare_bytes(answer, "né".encode(), "n keeps its one byte, é takes two: c3 begins, a9 goes on")


def judge_name(answer: Any) -> Verdict:
    """Let the answer, `async def answer(url)`, talk to a server and look from both sides."""
    if not inspect.iscoroutinefunction(answer):
        return not_yet(f"a function is needed that begins with async def, this is {answer!r}")
    try:
        arrived, returned = simulate(lambda net: _ask(answer))
    except TimeoutError:
        return not_yet(f"after {PATIENCE} s your function still waits: the server answers what it gets")
    if len(arrived) != 1:
        return not_yet(f"the server got {arrived or 'no message'}, one message is expected")
    if isinstance(returned, Text):
        return almost("the whole frame came back: its read_text() is the text")
    expected = _welcome(arrived[0])
    if returned != expected:
        return almost(
            f"the server got {arrived[0]!r} and said {expected!r}; your function returned {returned!r}"
        )
    return right(f"the server got {arrived[0]!r}, and its answer came back: {returned!r}")


def _welcome(name: str) -> str:
    return f"Welcome, {name}!"


async def _ask(answer: Callable[[str], Awaitable[object]]) -> tuple[list[str], object]:
    """Return what arrived at the server, and what the answer returned."""
    app, arrived = Application(), []
    app.install(WebSockets)

    @app.websocket("/hello")
    async def hello(session: Session) -> None:
        async for frame in session.incoming:
            arrived.append(frame.data.decode())
            await session.send(_welcome(arrived[-1]))

    async with app.start("server", 80) as server, asyncio.timeout(PATIENCE):
        return arrived, await answer(server.url("/hello"))


def judge_await(answer: Any) -> Verdict:
    """Let the answer, `async def answer(session)`, send one message, and look at what arrived."""
    if not inspect.iscoroutinefunction(answer):
        return not_yet(f"a function is needed that begins with async def, this is {answer!r}")
    with redirect_stdout(StringIO()) as printed:
        try:
            arrived = simulate(lambda net: _listen(answer))
        except TimeoutError:
            return not_yet(f"after {PATIENCE} s your function still waits: nothing is sent back to it")
    if arrived == ["GOAL"]:
        return right("the server got 'GOAL': the call was made, and its work was done too")
    words = re.sub(r" at 0x\w+", "", printed.getvalue().strip())
    said = f"; the cell printed {words}" if words else ""
    return not_yet(f"the server got {arrived or 'no message'}, one 'GOAL' is expected{said}")


async def _listen(answer: Callable[[Session], Awaitable[object]]) -> list[str]:
    """Return what arrived at the server."""
    app, arrived = Application(), []
    app.install(WebSockets)

    @app.websocket("/goals")
    async def listen(session: Session) -> None:
        arrived.extend([frame.data.decode() async for frame in session.incoming])

    async with (
        asyncio.timeout(PATIENCE),
        app.start("server", 80) as server,
        connect(server.url("/goals")) as session,
    ):
        await answer(session)
    return arrived


PREDICTIONS = [
    Prediction(
        "00.a",
        "How many bytes has “Iñaki”, in UTF-8?",
        6,
        "four letters take one byte each, and ñ takes two",
        unit="bytes",
    ),
    Prediction(
        "00.b",
        "What does asyncio.run(later) do in a cell of a notebook?",
        "it raises an error",
        "a notebook has a loop that runs already, and a thread takes only one",
        choices=("it shows 'Hi, Ana'", "it waits for ever", "it raises an error"),
    ),
]

EXERCISES = [
    Exercise(
        "00.1",
        1,
        "C",
        task=(
            "The answer to a ping begins with the byte `8a`. Write its eight bits as a text. "
            "Then write the byte with the bits `1000 0010` in hex, as a second text."
        ),
        judge=judge_bits,
        hints=(
            "Each hex digit stands for four bits of its own.",
            "a is ten, and ten is 8 + 2. The other way, 0010 is 2.",
            "8a is 1000 followed by 1010; 1000 0010 is 8 followed by 2.",
        ),
        starter="answer = (..., ...)",
        solution='answer = (f"{0x8A:08b}", f"{0b10000010:02x}")',
    ),
    Exercise(
        "00.2",
        1,
        "C",
        task=(
            "Write the UTF-8 bytes of né by hand. The number of é is `e9`, which is `1110 1001` in bits. "
            'Bytes are written as `bytes.fromhex("6e …")`.'
        ),
        judge=judge_bytes_of_text,
        hints=(
            "n is plain ASCII, one byte. é lies above 7f, like ñ.",
            "Fill the eleven bits 000 1110 1001 into the two bytes 110..... 10......",
            "11000011 is c3. The six bits 101001 go behind 10 in the last byte.",
        ),
        starter='answer = ...  # bytes.fromhex("6e …")',
        solution='answer = bytes.fromhex("6e c3 a9")',
    ),
    Exercise(
        "00.3",
        2,
        "B",
        task=(
            "Connect to the `url`, send your name, receive one frame, and return its text. "
            "The judge's server checks that exactly one message arrived."
        ),
        judge=judge_name,
        hints=(
            "Every line that you need stands in the cells above.",
            "send and receive both wait, so both take an await.",
            'await session.send("Ana"), then frame = await session.incoming.receive().',
        ),
        starter="""
async def answer(url):
    async with connect(url) as session:
        ...
""",
        solution="""
async def answer(url):
    async with connect(url) as session:
        await session.send("Ana")
        frame = await session.incoming.receive()
        return frame.read_text()
""",
    ),
    Exercise(
        "00.4",
        2,
        "D",
        task=(
            "This function should send GOAL. It prints `<coroutine object …>`, and the server gets nothing. "
            "Repair it."
        ),
        judge=judge_await,
        hints=(
            "What does the call of an async function return?",
            "The coroutine that was printed is the work, not yet begun.",
            "One word is missing in front of session.send.",
        ),
        starter="""
async def answer(session):
    print(session.send("GOAL"))
""",
        solution="""
async def answer(session):
    await session.send("GOAL")
""",
    ),
]
