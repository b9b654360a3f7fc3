"""Lesson 10: a crowd of viewers, and the exercises on many sessions.

Here are the positions of the players, viewers who take notes, and the judges; chat, broadcast and herd
stand in the notebook.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websockets
from websockets.exceptions import ConnectionClosed

from wslearn import (
    CLOSE,
    Application,
    ChannelClosed,
    ChannelOverflow,
    Channels,
    CloseReason,
    Server,
    Session,
    Text,
    WebSockets,
    bounded,
    connect,
    simulate,
    unlimited,
)
from wslearn.channels import Bound
from wslearn.lab.exercises import Exercise, Verdict, almost, compare_values, not_yet, right
from wslearn.lab.predictions import Prediction
from wslearn.simulation import SimulatedNetwork

T = TypeVar("T")

PERIOD = 0.2
"""Seconds from one message with positions to the next."""


def positions(number: int) -> str:
    """Return where 22 players are, in about a kilobyte of JSON; the number rises."""
    angles = [number / 30 + player for player in range(22)]
    places = [(52.5 + 45 * math.sin(angle), 34 + 30 * math.cos(2 * angle)) for angle in angles]
    players = [
        {"id": 100 + player, "x": f"{x:05.2f}", "y": f"{y:05.2f}"} for player, (x, y) in enumerate(places)
    ]
    return json.dumps({"number": f"{number:06}", "players": players})


def number_in(data: bytes) -> int:
    """Return the number of a message with positions."""
    return int(data[12:18])


class Sample(NamedTuple):
    """What there was to see at one moment.

    Args:
        time: seconds since the first message.
        held: messages that wait in the queues of the server.
        age: seconds that the viewers who are awake are behind, at most.
        served: viewers that took the newest message.
    """

    time: float
    held: int
    age: float
    served: int


class Crowd:
    """Viewers of `/positions`; viewer 0 sleeps before it reads anything.

    `numbers` has for each viewer those of the messages that it read, `samples` what was to be seen; who
    sends tells in `served` how many took a message.
    """

    def __init__(self, server: Server, viewers: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = server
        self.numbers: list[list[int]] = [[] for _ in range(viewers)]
        self.samples: list[Sample] = []
        self.served = viewers
        self.viewing: list[asyncio.Task[None]] = []
        self.start = 0.0

    @classmethod
    async def come(cls, net: SimulatedNetwork, server: Server, *, viewers: int, wakes: float) -> Crowd:
        """Let viewers connect, each from a host of its own.

        Args:
            wakes: seconds until viewer 0 begins to read.
        """
        crowd, sessions = cls(server, viewers), []
        for number in range(viewers):
            with net.host(f"viewer {number}"):
                sessions.append(await connect(server.url("/positions")))
        crowd.start = crowd.loop.time()
        views = [crowd._view(session, number, wakes) for number, session in enumerate(sessions)]
        crowd.viewing = [crowd.loop.create_task(view) for view in views]
        crowd.loop.call_soon(crowd._watch)
        return crowd

    async def due(self, number: int) -> None:
        """Wait until a message is due, five in a second; not at all where it is late."""
        await asyncio.sleep(max(0.0, self.start + number * PERIOD - self.loop.time()))

    async def _view(self, session: Session, number: int, wakes: float) -> None:
        await asyncio.sleep(0 if number else wakes)
        with suppress(ChannelOverflow):
            async for frame in session.incoming:
                self.numbers[number].append(number_in(frame.data))

    def _watch(self) -> None:
        now = self.loop.time() - self.start
        held = sum(len(session.outgoing) for session in self.server.sessions)
        newest = min((numbers[-1] if numbers else 0 for numbers in self.numbers[1:]), default=0)
        age = max(0.0, now - newest * PERIOD)
        self.samples.append(Sample(round(now, 3), held, round(age, 3), self.served))
        self.loop.call_later(PERIOD, self._watch)


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

POLICIES: dict[str, Bound] = {
    "unlimited": unlimited(),
    "SUSPEND": bounded(64),
    "CLOSE": bounded(64, on_overflow=CLOSE),
}
QUESTIONS = {
    "who waits": ("nobody", "everybody"),
    "who is dropped": ("nobody", "the sleeper"),
    "what grows": ("nothing", "memory", "delay"),
}


def judge_policies(answer: Any) -> Verdict:
    """Let four viewers, one of them asleep, watch under each policy, and compare what happened."""
    if not isinstance(answer, dict) or answer.keys() != POLICIES.keys():
        return not_yet(f"a dictionary with {', '.join(POLICIES)} is needed, this is {answer!r}")
    if any(not isinstance(words, tuple | list) or len(words) != 3 for words in answer.values()):
        return not_yet("three words are needed for each policy")
    given = [word for policy in POLICIES for word in answer[policy]]
    for word, (question, choices) in zip(given, list(QUESTIONS.items()) * 3, strict=True):
        if word not in choices:
            return not_yet(f"{question}: {word!r} is none of {', '.join(choices)}")
    happened = [word for bound in POLICIES.values() for word in _what_happens(bound)]
    names = tuple(f"{policy}, {question}" for policy in POLICIES for question in QUESTIONS)
    good = "somebody pays for a slow reader: the memory, all the others, or the reader"
    return compare_values(given, happened, good, names)


def _what_happens(outgoing: Bound) -> tuple[str, str, str]:
    async def scene(net: SimulatedNetwork) -> list[Sample]:
        app = Application()
        app.install(WebSockets, ping_period=None, channels=Channels(outgoing=outgoing))
        app.websocket("/positions")(_read_all)
        server = await app.start("server", 80)
        crowd = await Crowd.come(net, server, viewers=4, wakes=100)
        sending = asyncio.create_task(_broadcast(crowd, server))
        await asyncio.sleep(45)
        sending.cancel()
        return crowd.samples

    samples = simulate(scene, latency=0.05)
    late = max(sample.age for sample in samples) > 1
    dropped = samples[-1].served < 4
    grows = "memory" if max(sample.held for sample in samples) > 64 else "delay" if late else "nothing"
    return "everybody" if late else "nobody", "the sleeper" if dropped else "nobody", grows


async def _broadcast(crowd: Crowd, server: Server) -> None:
    for number in range(400):
        await crowd.due(number)
        message, served = positions(number), 0
        for session in server.sessions:
            with suppress(ChannelOverflow, ChannelClosed):
                await session.send(message)
                served += 1
        crowd.served = served


async def _read_all(session: Session) -> None:
    async for _ in session.incoming:
        pass


def judge_memory(answer: Any) -> Verdict:
    """Compare a number of bytes, to one percent."""
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return not_yet(f"a number of bytes is needed, this is {answer!r}")
    want = 1000 * 512 * 200
    if abs(answer - want) <= want / 100:
        return right(f"{want:,} bytes, for viewers who read nothing")
    return not_yet(f"{answer:,} bytes are {answer / want:.3g} times what may wait there")


FANS = ("Ana", "Bo", "Eve")
LINES = 20


def judge_chat(app: Any) -> Verdict:
    """Let three fans say 20 lines each, and compare what everybody heard; Eve comes with `websockets`."""
    if not isinstance(app, Application):
        return not_yet(f"an Application is needed, this is {app!r}")
    heard = simulate(lambda net: _talk(app), latency=0.02, jitter=0.03, seed=10)
    said = [[f"{name}: line {number}" for number in range(LINES)] for name in FANS]
    for name, lines in heard.items():
        for line in (line for of_one in said for line in of_one):
            if lines.count(line) != 1:
                state = almost if len(lines) >= len(FANS) * LINES else not_yet
                return state(f"{name} heard {line!r} {lines.count(line)} times, of {len(lines)} lines in all")
        if extra := [line for line in lines if not any(line in of_one for of_one in said)]:
            return almost(f"{name} heard {extra[0]!r}, which nobody said")
    for number, row in enumerate(zip(*heard.values(), strict=True)):
        if len({*row}) > 1:
            return almost(f"line {number} is {row[0]!r} for {FANS[0]} and not for all: one order is wanted")
    first = heard[FANS[0]]
    for name, lines in zip(FANS, said, strict=True):
        if [line for line in first if line in lines] != lines:
            return almost(f"{name}'s lines are not in the order in which they were said")
    return right(f"{len(first)} lines, to everybody once and in one order; Eve came with websockets")


async def _talk(app: Application) -> dict[str, list[str]]:
    """Return what each fan heard."""
    heard: dict[str, list[str]] = {name: [] for name in FANS}
    server = await app.start("server", 80)
    url = server.url("/chat")
    ana, bo = await connect(url), await connect(url)
    eve = await connect_websockets(url, proxy=None)
    ana.launch(_read(ana, heard["Ana"], bytes.decode))
    bo.launch(_read(bo, heard["Bo"], bytes.decode))
    hearing = asyncio.create_task(_hear(eve, heard["Eve"]))
    says: list[Callable[[str], Awaitable[None]]] = [ana.send, bo.send, eve.send]
    with suppress(ChannelClosed, ConnectionClosed):
        for name, say in zip(FANS, says, strict=True):
            await say(name)
        await asyncio.sleep(1)
        for number in range(LINES):
            for say in says:
                await say(f"line {number}")
            await asyncio.sleep(0.01)
    await asyncio.sleep(2)
    hearing.cancel()
    return heard


async def _read(session: Session, seen: list[T], what: Callable[[bytes], T], pause: float = 0) -> None:
    """Keep something of each message, and rest after it."""
    async for frame in session.incoming:
        seen.append(what(frame.data))
        await asyncio.sleep(pause)


async def _hear(fan: ClientConnection, lines: list[str]) -> None:
    with suppress(ConnectionClosed):
        while True:
            lines.append(str(await fan.recv()))


GOALS = 100
PHOTO = 8192
"""Bytes of a goal with its photo."""


def judge_goals(app: Any) -> Verdict:
    """Tell 100 goals in half a second while one of four viewers is frozen; count what the others have."""
    if not isinstance(app, Application):
        return not_yet(f"an Application is needed, this is {app!r}")
    with _quiet():
        seen, ended = simulate(lambda net: _tell_goals(app, net), latency=0.01)
    for viewer, goals in seen.items():
        if len(goals) != GOALS:
            state = not_yet if len(goals) < GOALS else almost
            over = f"; the reporter's session ended: {ended}" if ended else ""
            return state(f"{viewer} has {len(goals)} of {GOALS} goals, 1 s after the first was told{over}")
        if missing := {*range(GOALS)} - {*goals}:
            return almost(f"{viewer} has {GOALS} goals, and number {min(missing)} is not among them")
        if goals != sorted(goals):
            return almost(f"{viewer} has all goals, and not in order")
    return right(
        f"{len(seen)} viewers have all {GOALS} goals within 1 s, and the sleeper kept nobody waiting"
    )


async def _tell_goals(
    app: Application, net: SimulatedNetwork
) -> tuple[dict[str, list[int]], CloseReason | None]:
    """Return the numbers that the viewers who are awake have after a second, and how the reporter ended."""
    seen: dict[str, list[int]] = {f"viewer {number}": [] for number in (1, 2, 3)}
    server = await app.start("server", 80)
    for host in ("sleeper", *seen):
        with net.host(host):
            viewer = await connect(server.url("/watch"))
        if host in seen:
            viewer.launch(_read(viewer, seen[host], lambda data: int(data[:6])))
    net.freeze("sleeper")
    reporter = await connect(server.url("/goal"))
    await asyncio.sleep(0.5)
    reporter.launch(_report(reporter))
    await asyncio.sleep(1)
    ended = None
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            ended = await reporter.close_reason
    return {host: list(goals) for host, goals in seen.items()}, ended


async def _report(reporter: Session) -> None:
    with suppress(ChannelClosed):
        for number in range(GOALS):
            await reporter.send(f"{number:06}".ljust(PHOTO, "."))
            await asyncio.sleep(0.005)


MOST_HELD = 64
MESSAGES = 1000


def judge_bound(answer: Any) -> Verdict:
    """Emit 1,000 positions to a quick, a slow and a sleeping viewer; then the sleeper wakes."""
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not isinstance(answer[0], Application):
        return not_yet(f"(application, function that emits) is needed, this is {answer!r}")
    app, emit = answer
    try:
        with _quiet():
            seen, held = simulate(lambda net: _emit_many(app, emit, net), latency=0.02)
    except TimeoutError:
        return not_yet("emitting waited for a viewer: nobody else gets anything meanwhile")
    for viewer, numbers in seen.items():
        for before, after in pairwise(numbers):
            if after <= before:
                return almost(f"the {viewer} viewer read number {after} behind {before}")
        if not numbers or numbers[-1] != MESSAGES - 1:
            last = f"number {numbers[-1]}" if numbers else "nothing"
            return not_yet(
                f"the last that the {viewer} viewer read is {last}, not the newest: dropped, or far behind?"
            )
    if len(seen["quick"]) != MESSAGES:
        return almost(f"the quick viewer read {len(seen['quick'])} of {MESSAGES}, and could have read all")
    if held > MOST_HELD:
        return almost(f"{held} messages were held for the viewer that slept, {MOST_HELD} are allowed")
    count = len(seen["sleeping"])
    return right(f"{held} messages held at most; the sleeper read {count} of {MESSAGES}, and the newest")


async def _emit_many(
    app: Application, emit: Callable[[str], object], net: SimulatedNetwork
) -> tuple[dict[str, list[int]], int]:
    """Return what each viewer read, and how many messages the server held for the one that slept."""
    seen: dict[str, list[int]] = {"sleeping": [], "slow": [], "quick": []}
    server = await app.start("server", 80)
    for name in seen:
        with net.host(name):
            viewer = await connect(server.url("/positions"))
        viewer.launch(_read(viewer, seen[name], number_in, pause=0.1 if name == "slow" else 0))
    await asyncio.sleep(0.5)
    net.freeze("sleeping")
    for number in range(MESSAGES):
        async with asyncio.timeout(1):
            if inspect.isawaitable(emitting := emit(positions(number))):
                await emitting
        await asyncio.sleep(0.01)
    written = _written_to_the_first(server)
    net.thaw("sleeping")
    await asyncio.sleep(60)
    return {name: list(numbers) for name, numbers in seen.items()}, _written_to_the_first(server) - written


def _written_to_the_first(server: Server) -> int:
    """Return how many messages the server has handed to the first connection that it had."""
    frames = [frame for frame in server.trace.frames if frame.sender == "server"]
    first = min((frame.session for frame in frames), default=0)
    return sum(frame.session == first and isinstance(frame.frame, Text) for frame in frames)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the ends of sessions that an exercise provokes out of the log; other errors are told there."""

    def other(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, ChannelClosed | ChannelOverflow)

    log = logging.getLogger("wslearn.session")
    log.addFilter(other)
    try:
        yield
    finally:
        log.removeFilter(other)


PREDICTIONS = [
    Prediction(
        "10.a",
        "Ana speaks first in each of 100 rounds. How often is her line the first that all hear?",
        "about 20 times",
        "five ways of different length end at the server, and its order is the only one there is",
        choices=("100 times", "about 50 times", "about 20 times"),
    ),
    Prediction(
        "10.b",
        "With a queue of 1,024 in place of 64, how much longer is the server safe from the sleeper?",
        "about 6 times",
        "the rooms on the way stay as they are, and a queue only adds its own length divided by the rate",
        choices=("about 6 times", "16 times", "for ever"),
    ),
    Prediction(
        "10.c",
        "Each pause is between 0 and 4 s now. How many of the 1,000 meet in one tenth of a second, at most?",
        "fewer than 100",
        "1,000 over 4 s are 25 in each tenth, and those who come again are spread as well",
        choices=("1,000", "about 500", "fewer than 100"),
    ),
]

EXERCISES = [
    Exercise(
        "10.1",
        1,
        "P",
        task=(
            "The same positions go to 20 viewers, one of them asleep, under three policies of the queue "
            "`outgoing`. Who waits: 'nobody' or 'everybody'? Who is dropped: 'nobody' or 'the sleeper'? "
            "What grows: 'nothing', 'memory' or 'delay'? The judge lets four viewers watch."
        ),
        judge=judge_policies,
        hints=(
            "One full queue, and one message more: where can it go?",
            "Into memory, or it waits and all behind it with it, or its reader is sent away.",
            "unlimited: memory. SUSPEND: everybody waits. CLOSE: the sleeper is dropped, nothing else.",
        ),
        starter="""
answer = {  # who waits, who is dropped, what grows
    "unlimited": (..., ..., ...),
    "SUSPEND": (..., ..., ...),
    "CLOSE": (..., ..., ...),
}
""",
        solution="""
answer = {
    "unlimited": ("nobody", "nobody", "memory"),
    "SUSPEND": ("everybody", "nobody", "delay"),
    "CLOSE": ("nobody", "the sleeper", "nothing"),
}
""",
    ),
    Exercise(
        "10.2",
        1,
        "C",
        task=(
            "1,000 viewers are asleep, and each is sent messages of its own. `outgoing` is `bounded(512)`, a "
            "frame has 200 bytes, and no two queues share one. How many bytes of frames may wait in "
            "all these queues together? One percent of difference is allowed."
        ),
        judge=judge_memory,
        hints=(
            "How much may one viewer cost?",
            "512 frames of 200 bytes.",
            "1000 * 512 * 200.",
        ),
        starter="answer = ...",
        solution="answer = 1000 * 512 * 200",
    ),
    Exercise(
        "10.3",
        2,
        "B",
        task=(
            "Build a chat at `/chat`. The first text of a client is its name. Each later text goes to "
            "everybody as 'Ana: Goal', to who said it too. Three clients say 20 lines each: everybody hears "
            "every line once, all in one order."
        ),
        judge=judge_chat,
        hints=(
            "The chat above has everything but the names.",
            "session.incoming.receive() takes the first frame; the loop behind it takes the others.",
            'name = (await session.incoming.receive()).read_text(), then emit f"{name}: {...}" in the loop.',
        ),
        starter="""
club, words = Application(), SharedFlow()
club.install(WebSockets, ping_period=None)

@club.websocket("/chat")
async def talk(session):
    ...

answer = club
""",
        solution="""
club, words = Application(), SharedFlow()
club.install(WebSockets, ping_period=None)

@club.websocket("/chat")
async def talk(session):
    session.launch(listen_to_words(session))
    name = (await session.incoming.receive()).read_text()
    async for frame in session.incoming:
        await words.emit(f"{name}: {frame.read_text()}")

async def listen_to_words(session):
    async for line in words.collect():
        await session.send(line)

answer = club
""",
    ),
    Exercise(
        "10.4",
        2,
        "D",
        task=(
            "This stadium sends each goal, with a photo of 8 KiB, to one viewer after the other. One viewer "
            "is asleep, and soon nobody gets anything. Repair it: the three who are awake have all 100 goals "
            "within one simulated second."
        ),
        judge=judge_goals,
        hints=(
            "Which line waits for the viewer that reads nothing, and who waits behind it?",
            "Each viewer needs a queue of its own, and somebody who waits at that one alone.",
            "A SharedFlow: /goal emits, and each /watch collects and sends for itself.",
        ),
        starter="""
broken, viewers = Application(), []
broken.install(WebSockets, ping_period=None)
@broken.websocket("/watch")
async def watch(session):
    viewers.append(session)
    await session.close_reason

@broken.websocket("/goal")
async def tell(session):
    async for frame in session.incoming:
        for viewer in viewers:
            await viewer.send(frame)

answer = broken
""",
        solution="""
mended, goals = Application(), SharedFlow()
mended.install(WebSockets, ping_period=None)

@mended.websocket("/watch")
async def watch(session):
    async for frame in goals.collect():
        await session.send(frame)

@mended.websocket("/goal")
async def goal(session):
    async for frame in session.incoming:
        await goals.emit(frame)

answer = mended
""",
    ),
    Exercise(
        "10.5",
        3,
        "B",
        task=(
            "1,000 positions in ten seconds, to a quick, a slow and a sleeping viewer. Nobody is dropped, "
            "every viewer reads rising numbers and in the end the newest, the quick one reads all, and for "
            "no viewer does the server hold more than 64 messages. `answer` is the application and the "
            "function that emits."
        ),
        judge=judge_bound,
        hints=(
            "An old position is worth nothing once there is a newer one: which policy throws it away?",
            "DROP_OLDEST. And there are two queues, one behind the other: how long is each?",
            "capacity=16 for the flow, and channels=Channels(outgoing=bounded(16)) for the sessions.",
        ),
        starter="""
game, moves = Application(), SharedFlow()
game.install(WebSockets, ping_period=None)

@game.websocket("/positions")
async def watch(session):
    async for message in moves.collect():
        await session.send(message)

answer = game, moves.emit
""",
        solution="""
game, moves = Application(), SharedFlow(capacity=16, on_overflow=DROP_OLDEST)
game.install(WebSockets, ping_period=None, channels=Channels(outgoing=bounded(16)))

@game.websocket("/positions")
async def watch(session):
    async for message in moves.collect():
        await session.send(message)

answer = game, moves.emit
""",
    ),
]
