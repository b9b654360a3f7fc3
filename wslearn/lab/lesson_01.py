"""Lesson 01: its exercises.

Here are the judges, each with a conversation of its own on the simulated network; the first conversation
and the match stand in the notebook.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from websockets.asyncio.client import connect as connect_witness
from websockets.exceptions import ConnectionClosed

from wslearn import (
    Application,
    ChannelClosed,
    CloseCode,
    CloseReason,
    Server,
    Session,
    WebSockets,
    connect,
    simulate,
)
from wslearn.lab.exercises import Exercise, Verdict, almost, compare_values, not_yet, right
from wslearn.lab.predictions import Prediction

T = TypeVar("T")

PATIENCE = 10
"""Seconds that a judge waits for one answer, of virtual time."""

MATCH = 90 * 60
QUESTION, ANSWER, HANDSHAKE, BEAT = 492, 67, 501 + 129, 160
"""Bytes, as recorded in a browser; a beat is a ping and its pong."""

TEXTS = ("goal", "España", "3:0 to us")
GOALS = ["1:0", "1:1", "2:1"]
NAMES = ("Ana", "Bo", "Chloé", "Dai", "Eve")
PROMPT = "Please enter your name"
GOODBYE = CloseReason(CloseCode.NORMAL_CLOSURE, "Client said BYE")


def judge_frames(answer: Any) -> Verdict:
    """Compare two numbers of frames."""
    good = "two texts and a Close from each; nobody had to ask for the server's first text"
    return compare_values(answer, (3, 3), good, names=("the client's number", "the server's number"))


def judge_shout(app: Any) -> Verdict:
    """Say three texts to `/shout`, with our client and with `websockets`."""
    wanted = [text.upper() for text in TEXTS]
    for name, say in (("our client", _say), ("websockets", _say_as_witness)):
        try:
            answers = _served(app, say)
        except TimeoutError:
            return not_yet(f"{name} waited {PATIENCE} s for an answer, and none came")
        if answers != wanted:
            return _compare_answers(name, answers, wanted)
    return right(f"{', '.join(wanted)} came back, to our client and to websockets")


def _compare_answers(name: str, answers: list[str], wanted: list[str]) -> Verdict:
    """Name the first answer that is not the one wanted, or that is missing."""
    for said, answer, want in zip(TEXTS, answers, wanted, strict=False):
        if answer != want:
            return almost(f"{name} said {said!r} and got {answer!r}, {want!r} is wanted")
    said = TEXTS[len(answers)]
    return not_yet(f"{name} said {said!r}, and the session ended before an answer: does the handler go on?")


async def _say(server: Server) -> list[str]:
    """Return the answers up to the end of the session."""
    answers: list[str] = []
    async with connect(server.url("/shout")) as session:
        for text in TEXTS:
            try:
                await session.send(text)
                answers.append(await _heard(session))
            except ChannelClosed:
                break
    return answers


async def _say_as_witness(server: Server) -> list[str]:
    """Do what `_say` does, with another library."""
    answers: list[str] = []
    async with connect_witness(server.url("/shout"), proxy=None) as session:
        for text in TEXTS:
            try:
                await session.send(text)
                async with asyncio.timeout(PATIENCE):
                    answers.append(str(await session.recv()))
            except ConnectionClosed:
                break
    return answers


async def _heard(session: Session) -> str:
    async with asyncio.timeout(PATIENCE):
        frame = await session.incoming.receive()
    return frame.data.decode()


def judge_period(answer: Any) -> Verdict:
    """Compare seconds between two questions, and say what they cost."""
    if isinstance(answer, bool) or not isinstance(answer, int | float) or answer <= 0:
        return not_yet(f"seconds above 0 are needed, this is {answer!r}")
    asking, listening = MATCH / answer * (QUESTION + ANSWER), HANDSHAKE + MATCH / 15 * BEAT
    costs = f"a question every {answer:g} s costs {asking:,.0f} bytes, listening {listening:,.0f}"
    return right(costs) if abs(answer - 51.8) <= 1 else not_yet(costs)


def judge_push(app: Any) -> Verdict:
    """Let three viewers wait at `/watch` while a reporter tells three goals to `/goal`."""
    seen = _served(app, _watch)
    if all(goals == GOALS for goals in seen):
        return right(f"three viewers got {', '.join(GOALS)} and said nothing")
    number, goals = next((n, goals) for n, goals in enumerate(seen, 1) if goals != GOALS)
    verdict = almost if any(seen) else not_yet
    return verdict(f"the reporter told {GOALS}; viewer {number} got {goals}")


async def _watch(server: Server) -> list[list[str]]:
    """Return what each viewer got."""
    async with (
        connect(server.url("/watch")) as first,
        connect(server.url("/watch")) as second,
        connect(server.url("/watch")) as third,
        connect(server.url("/goal")) as reporter,
    ):
        await _tell(reporter)
        await asyncio.sleep(1)
        return [_all(viewer) for viewer in (first, second, third)]


async def _tell(reporter: Session) -> None:
    """Tell the goals, as far as the reporter is listened to."""
    for goal in GOALS:
        try:
            await reporter.send(goal)
        except ChannelClosed:
            return
        await asyncio.sleep(1)


def _all(viewer: Session) -> list[str]:
    return [frame.data.decode() for frame in iter(viewer.incoming.try_receive, None)]


def judge_greeter(answer: Any) -> Verdict:
    """Enter five names and say bye, at a handler of the form `async def answer(session)`."""
    if not inspect.iscoroutinefunction(answer):
        return not_yet(f"a handler is needed that begins with async def, this is {answer!r}")
    app = Application()
    app.install(WebSockets)
    app.websocket("/echo")(answer)
    said, reason = _served(app, _greet)
    wanted = [PROMPT, *(f"Hi, {name}!" for name in NAMES)]
    if said == wanted and reason == GOODBYE:
        return right(f"{len(NAMES)} names were greeted, and bye ended with {reason!r}")
    fitting = sum(got == want for got, want in zip(said[1:], wanted[1:], strict=False))
    verdict = almost if fitting == len(NAMES) else not_yet
    end = f"the end was {reason!r}" if reason else "bye ended nothing"
    return verdict(f"{fitting} of {len(NAMES)} names were greeted, and {end}")


async def _greet(server: Server) -> tuple[list[str], CloseReason | None]:
    """Return all that the server said, and why it ended; None if it did not end by itself."""
    said: list[str] = []
    async with connect(server.url("/echo")) as session:
        try:
            said.append(await _heard(session))
            for name in NAMES:
                await session.send(name)
                said.append(await _heard(session))
            await session.send("bye")
            async with asyncio.timeout(PATIENCE):
                return said, await session.close_reason
        except ChannelClosed as closed:
            return said, closed.reason
        except TimeoutError:
            return said, None


def _served(app: Any, scene: Callable[[Server], Awaitable[T]]) -> T:
    """Run a scene at the routes of an application, with the options that were not touched."""
    if not isinstance(app, Application):
        raise TypeError(f"an Application is needed, this is {app!r}")

    async def serve() -> T:
        served = Application()
        served.install(WebSockets)
        served.routes = app.routes
        async with served.start("server", 80) as server:
            return await scene(server)

    return simulate(lambda net: serve(), latency=0.02)


PREDICTIONS = [
    Prediction(
        "01.a",
        "The client has sent nothing. What does receive() do?",
        "it returns a frame",
        "the handler speaks first, and nobody has to ask on a connection that is open",
        choices=("it waits for ever", "it fails", "it returns a frame"),
    ),
    Prediction(
        "01.b",
        "How many bytes does the viewer with one question every 5 seconds cost in a match?",
        "about 600 kB",
        "1,080 questions of 492 bytes, and 1,080 answers of 67",
        choices=("about 6 kB", "about 60 kB", "about 600 kB", "about 6 MB"),
    ),
]

EXERCISES = [
    Exercise(
        "01.1",
        1,
        "P",
        task=(
            'A client of `/echo` says "Ana", waits for the answer, then says "bye". How many frames does '
            "each side send, Close frames counted too? Predict two numbers: client, server."
        ),
        judge=judge_frames,
        hints=(
            "Count what the server says before anybody asked.",
            "A Close is answered with a Close.",
            "Client: Ana, bye, and one frame more.",
        ),
        starter="answer = (..., ...)",
        solution="answer = (3, 3)",
    ),
    Exercise(
        "01.2",
        1,
        "B",
        task=(
            "Give the running server a second route: `/shout` sends every text back in capitals. "
            "Three texts are said to it, by our client and by `websockets`, a library that other"
            " people wrote."
        ),
        judge=judge_shout,
        hints=(
            "The handler of /echo above has the shape that you need.",
            "A handler that returns ends its session: a loop over session.incoming keeps it open.",
            "Inside the loop: await session.send(frame.read_text().upper()).",
        ),
        starter="""
@app.websocket("/shout")
async def shout(session):
    ...

answer = app
""",
        solution="""
@app.websocket("/shout")
async def shout(session):
    async for frame in session.incoming:
        await session.send(frame.read_text().upper())

answer = app
""",
        setup="app = Application(); app.install(WebSockets)",
    ),
    Exercise(
        "01.3",
        2,
        "C",
        task=(
            "With which pause between two questions does asking cost the same bytes as the WebSocket above? "
            "Compute the seconds; one second of difference is allowed."
        ),
        judge=judge_period,
        hints=(
            "In the plot, go from the point of the WebSocket to the line, at equal height.",
            "Asking costs 5400 / pause questions of 492 + 67 bytes each.",
            "Divide 5400 * (492 + 67) by the bytes of the WebSocket.",
        ),
        starter="answer = ...",
        solution="answer = 5400 * (492 + 67) / (501 + 129 + 360 * 160)",
    ),
    Exercise(
        "01.4",
        2,
        "B",
        task=(
            "Build the two routes of a stadium: what a reporter says to `/goal` goes to all who are "
            "connected to `/watch`. Three viewers must get three goals each, in order, having sent nothing."
        ),
        judge=judge_push,
        hints=(
            "A SharedFlow stands between the two handlers: one emits, the other collects.",
            "The handler of /watch is the one of the score board above, with news in place of goals.",
            "In /goal: async for frame in session.incoming: await news.emit(frame.read_text()).",
        ),
        starter="""
stadium, news = Application(), SharedFlow()
stadium.install(WebSockets)

@stadium.websocket("/watch")
async def watch(session):
    ...

@stadium.websocket("/goal")
async def goal(session):
    ...

answer = stadium
""",
        solution="""
stadium, news = Application(), SharedFlow()
stadium.install(WebSockets)

@stadium.websocket("/watch")
async def watch(session):
    async for score in news.collect():
        await session.send(score)

@stadium.websocket("/goal")
async def goal(session):
    async for frame in session.incoming:
        await news.emit(frame.read_text())

answer = stadium
""",
    ),
    Exercise(
        "01.5",
        2,
        "D",
        task=(
            "This handler greets one name and is gone. Repair it: five names are greeted, "
            'and "bye" ends the session with 1000 "Client said BYE".'
        ),
        judge=judge_greeter,
        hints=(
            "What happens to a session whose handler returns?",
            "receive takes one frame; the handler of /echo above takes all of them.",
            "Take receive away, and put what follows it into async for frame in session.incoming.",
        ),
        starter="""
async def answer(session):
    await session.send("Please enter your name")
    frame = await session.incoming.receive()
    name = frame.read_text()
    if name.lower() == "bye":
        await session.close(CloseReason(CloseCode.NORMAL_CLOSURE, "Client said BYE"))
    else:
        await session.send(f"Hi, {name}!")
""",
        solution="""
async def answer(session):
    await session.send("Please enter your name")
    async for frame in session.incoming:
        name = frame.read_text()
        if name.lower() == "bye":
            await session.close(CloseReason(CloseCode.NORMAL_CLOSURE, "Client said BYE"))
        else:
            await session.send(f"Hi, {name}!")
""",
    ),
]
