"""Lesson 06: traces and round trips to read, and its exercises.

Here are the scenes behind the exercises and their judges; pings, pongs and percentiles stand in the
notebook.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from wslearn import (
    Application,
    Binary,
    Ping,
    Pong,
    Session,
    Text,
    Trace,
    WebSockets,
    connect,
    connect_raw,
    simulate,
)
from wslearn.lab.exercises import Exercise, Verdict, almost, compare_values, not_yet, right
from wslearn.lab.plots import beats, percentile
from wslearn.lab.predictions import Prediction
from wslearn.network import Network
from wslearn.session import RawSession
from wslearn.simulation import SimulatedNetwork

PATIENCE = 10
"""Seconds that a judge waits, of virtual time."""

THINKING = (0, 0.03, None, 0.11, 0, 0.05)
"""Seconds that a viewer takes before each pong; None where it answers only the ping after it."""


def heartbeat_trace() -> Trace:
    """Return the trace of a server that sends six pings with names to a viewer who is busy now and then."""
    return simulate(_named_pings, latency=0.02)


async def _named_pings(net: Network) -> Trace:
    app = Application()
    app.install(WebSockets)

    @app.websocket_raw("/score")
    async def score(session: RawSession) -> None:
        for number in range(1, 1 + len(THINKING)):
            await asyncio.sleep(0.5)
            await session.send(Ping(f"beat {number}".encode()))
        await asyncio.sleep(0.5)

    server = await app.start("server", 80)
    viewer = await connect_raw(server.url("/score"))
    await viewer.send(Pong(b"beat 0"))
    for thinking in THINKING:
        ping = await viewer.incoming.receive()
        if thinking is not None:
            await asyncio.sleep(thinking)
            await viewer.send(Pong(ping.data))
    await viewer.close_reason
    return server.trace


def train_times() -> list[float]:
    """Return 200 round trips in ms, from a viewer in a train: one ping a second, two slow stretches."""
    trace = simulate(_train, latency=0.03, jitter=0.02, seed=6)
    return [round(1000 * (beat.pong - beat.ping), 1) for beat in beats(trace) if beat.pong][:200]


async def _train(net: SimulatedNetwork) -> Trace:
    app = Application()
    app.install(WebSockets, ping_period=1)
    app.websocket("/score")(_read_all)
    server = await app.start("server", 80)
    viewer = await connect(server.url("/score"))
    for seconds, latency in ((60, 0.12), (8, 0.03), (90, 0.2), (3, 0.03), (60, 0.03)):
        await asyncio.sleep(seconds)
        net.set(latency=latency)
    await viewer.close()
    return net.trace


async def _read_all(session: Session) -> None:
    async for _ in session.incoming:
        pass


def proxied_trace() -> Trace:
    """Return a server's trace of a phone that is 100 ms away, behind a proxy that is near."""
    return simulate(_behind_a_proxy, latency=0.0001)


async def _behind_a_proxy(net: Network) -> Trace:
    app, proxy = Application(), Application()
    app.install(WebSockets, ping_period=1)
    proxy.install(WebSockets, ping_period=None)

    @app.websocket("/score")
    async def score(session: Session) -> None:
        async for _ in session.incoming:
            await asyncio.sleep(0.5)
            await session.send("still watching?")

    @proxy.websocket("/score")
    async def forward(phone: Session) -> None:
        async with connect(server.url("/score")) as onward:
            phone.launch(_pump(onward, phone))
            await _pump(phone, onward)

    server, middle = await app.start("server", 80), await proxy.start("proxy", 80)
    phone = await connect(middle.url("/score"))
    await phone.send("phone 7 is here")
    for _ in range(3):
        await phone.incoming.receive()
        await phone.send("yes")
    return server.trace


async def _pump(source: Session, drain: Session) -> None:
    """Carry messages over 100 ms of a slow link."""
    async for frame in source.incoming:
        await asyncio.sleep(0.1)
        await drain.send(frame)


# ── judges ───────────────────────────────────────────────────────────────────────────────────────


def judge_round_trips(answer: Any) -> Verdict:
    """Compare with the five pairs of the trace, to half a millisecond."""
    want = [round(1000 * (beat.pong - beat.ping)) for beat in beats(heartbeat_trace()) if beat.pong]
    if not _are_numbers(answer):
        return not_yet(f"a list of numbers is needed, one for each pair, this is {answer!r}")
    if len(answer) != len(want):
        return not_yet(f"{len(answer)} round trips: the judge finds {len(want)} pairs, and one ping alone")
    if max(answer) < 1:
        return almost("these look like seconds: the task asks for ms")
    near = [round(each) if abs(each - round(each)) <= 0.5 else each for each in answer]
    return compare_values(
        near,
        want,
        "the third ping was still unanswered when the fourth came, and one pong may answer both (5.5.3)",
    )


def judge_percentiles(answer: Any) -> Verdict:
    """Compare with the nearest rank; a value up to the next rank is right too, as other methods give it."""
    if not _are_numbers(answer) or len(answer) != 2:
        return not_yet(f"two numbers are needed, as in (60.0, 90.0), this is {answer!r}")
    times = sorted(train_times())
    for value, percent in zip(answer, (50, 99), strict=True):
        low = percentile(times, percent)
        next_one = times[min(len(times) - 1, times.index(low) + 1)]
        if not low - 0.05 <= value <= next_one + 0.05:
            less = sum(time <= value for time in times)
            return not_yet(f"p{percent} is not {value}: {less} of the {len(times)} are at most that")
    p50, p99 = (percentile(times, percent) for percent in (50, 99))
    return right(f"half are at most {p50} ms, and 198 of 200 at most {p99} ms")


PONGS = ("right", "unasked", "old", "empty", "late")


def judge_pongs(answer: Any) -> Verdict:
    """Let a viewer send each of the five pongs to a real session, and compare with what it does."""
    words = ("counted", "ignored")
    if not isinstance(answer, tuple | list) or any(each not in words for each in answer):
        return not_yet(f"five words are needed, each 'counted' or 'ignored', this is {answer!r}")
    happened = tuple(words[not _counts(which)] for which in PONGS)
    good = "the payload alone decides, and within the timeout a late pong is as good as a quick one"
    return compare_values(tuple(answer), happened, good, names=tuple(f"pong {n}" for n in range(1, 6)))


def _counts(which: str) -> bool:
    """Return whether a session takes this pong as the answer to its second ping."""

    async def scene(net: Network) -> bool:
        app = Application()
        app.install(WebSockets, ping_period=1, timeout=5)
        app.websocket("/score")(_read_all)
        server = await app.start("server", 80)
        viewer = await connect_raw(server.url("/score"))
        old = await viewer.incoming.receive()
        await viewer.send(Pong(old.data))
        await asyncio.sleep(0.5)
        session = server.sessions[0]
        assert isinstance(session, Session)
        session.latency = None
        ping = old if which == "unasked" else await viewer.incoming.receive()
        await asyncio.sleep(4 if which == "late" else 0)
        others = {"unasked": b"hello", "old": old.data, "empty": b""}
        await viewer.send(Pong(others.get(which, ping.data)))
        await asyncio.sleep(0.4)
        return session.latency is not None

    return simulate(scene)


PINGS = (b"one", b"", b"between", b"x" * 125, b"last")


def judge_raw_pongs(answer: Any) -> Verdict:
    """Let the answer, `async def answer(session)`, serve a raw route, and ping it five times."""
    if not inspect.iscoroutinefunction(answer):
        return not_yet(f"a function is needed that begins with async def, this is {answer!r}")
    try:
        early, frames = simulate(lambda net: _ping_raw(answer))
    except TimeoutError:
        return not_yet(f"after {PATIENCE} s the pongs are not all there: one is due for each ping")
    for frame in frames:
        if not isinstance(frame, Pong):
            return almost(f"{frame!r} came back: a pong is due for each ping, and nothing else")
    got = [frame.data for frame in frames]
    for number, (ours, want) in enumerate(zip(got, PINGS, strict=False), 1):
        if ours != want:
            return almost(f"pong {number} carries {ours!r}, its ping carried {want!r}")
    if early < 3:
        return almost(
            "the third pong waited for the second fragment: a ping between them is answered at once"
        )
    return right("five pings, five equal pongs, the third of them between two fragments")


async def _ping_raw(answer: Callable[[RawSession], Awaitable[object]]) -> tuple[int, list[Any]]:
    """Return how many frames were back before the second fragment, and all that came back."""
    app = Application()
    app.install(WebSockets)
    app.websocket_raw("/score")(answer)
    parts: list[Any] = [Ping(data) for data in PINGS]
    parts[2:3] = [Text("GO", fin=False), parts[2]]
    server = await app.start("server", 80)
    viewer = await connect_raw(server.url("/score"))
    for frame in parts[:4]:
        await viewer.send(frame)
    await asyncio.sleep(1)
    early = len(viewer.incoming)
    for frame in [Text("AL"), *parts[4:], Binary(b"end")]:
        await viewer.send(frame)
    async with asyncio.timeout(PATIENCE):
        back = [await viewer.incoming.receive() for _ in PINGS]
    await asyncio.sleep(1)
    while frame := viewer.incoming.try_receive():
        back.append(frame)
    return early, back


def judge_who_answered(answer: Any) -> Verdict:
    """Look that the proxy is named and that the frame is a pong too early for the phone."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return not_yet(f"a name and a number are needed, as in ('phone', 0), this is {answer!r}")
    who, number = answer
    frames = proxied_trace().frames
    if who not in ("phone", "proxy", "server"):
        return not_yet(f"{who!r} is not among 'phone', 'proxy' and 'server'")
    if not isinstance(number, int) or not 0 <= number < len(frames):
        return not_yet(f"{number!r} is no place in trace.frames, which has {len(frames)}")
    if who != "proxy":
        return not_yet(f"the {who}? Look how long a question takes to the phone and back")
    traced = frames[number]
    if isinstance(traced.frame, Ping):
        return almost(
            f"frame {number} is the ping of {traced.time:.4f} s, a question: the proof is its answer"
        )
    if not isinstance(traced.frame, Pong):
        return almost(f"frame {number} has come all the way from the phone, or goes there: {traced.kind}")
    if any(isinstance(before.frame, Pong) for before in frames[:number]):
        return almost(f"frame {number} proves it; another one in front of it proves it too")
    return right("0.2 ms after its ping it was here; the phone's own answers take 200 ms")


def _are_numbers(answer: Any) -> bool:
    return isinstance(answer, tuple | list) and all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in answer
    )


PREDICTIONS = [
    Prediction(
        "06.a",
        "A ping has 76 bytes of payload. How long is the client's pong, as a frame?",
        82,
        "2 bytes of header, 4 of masking key, and the 76 of the ping",
        unit="bytes",
    ),
    Prediction(
        "06.b",
        "ping_period is 1 s and each way takes 0.2 s. How long is it from one ping to the next?",
        "1.4 s",
        "a period begins when the pong is there, one round trip after the ping",
        choices=("1 s", "1.2 s", "1.4 s"),
    ),
]

EXERCISES = [
    Exercise(
        "06.1",
        1,
        "C",
        task=(
            "Pair the pings and pongs of `heartbeat_trace()` by their payloads. Write the round trips in ms, "
            "in the order of the pings. One ping has no pair, and one pong was never asked for."
        ),
        judge=judge_round_trips,
        hints=(
            "The payloads are names here: a pong belongs to the ping that has the same one.",
            "A dictionary from payload to the time of the ping, sent, finds the pair of each pong.",
            "1000 * (each.time - sent[each.frame.data]) for each pong in .frames whose payload is in sent.",
        ),
        starter="answer = [...]",
        solution="""
frames = heartbeat_trace().frames
sent = {each.frame.data: each.time for each in frames if isinstance(each.frame, Ping)}
pongs = [each for each in frames if isinstance(each.frame, Pong) and each.frame.data in sent]
answer = [1000 * (each.time - sent[each.frame.data]) for each in pongs]
""",
    ),
    Exercise(
        "06.2",
        2,
        "C",
        task=(
            "`train_times()` returns 200 round trips in ms, from a viewer in a train. "
            "Write their p50 and p99, two numbers."
        ),
        judge=judge_percentiles,
        hints=(
            "Put them in order first.",
            "Half of 200 are 100, and 99 of 100 are 198 of 200. Python counts places from 0.",
            "ordered[99] is the hundredth, ordered[197] the one that 198 are not above.",
        ),
        starter="answer = (..., ...)",
        solution="""
ordered = sorted(train_times())
answer = (ordered[99], ordered[197])
""",
    ),
    Exercise(
        "06.3",
        1,
        "P",
        task=(
            "A server has sent ping A and got its pong. Ping B is next; the timeout is 5 s. Each of five "
            "viewers sends one pong: 1. payload B; 2. payload 'hello', before ping B is sent; 3. payload A "
            "once more, after ping B; 4. no payload, after ping B; 5. payload B, 4 s after ping B. "
            "Write 'counted' or 'ignored' for each. The judge lets a session decide."
        ),
        judge=judge_pongs,
        hints=(
            "A session compares one thing.",
            "It compares the payload with that of the ping it waits for.",
            "Two of the five carry payload B, and 4 s are less than 5 s.",
        ),
        starter="answer = (..., ..., ..., ..., ...)",
        solution='answer = ("counted", "ignored", "ignored", "ignored", "counted")',
    ),
    Exercise(
        "06.4",
        2,
        "B",
        task=(
            "On a raw route nobody answers pings for you. Write the handler: for each ping one pong with the "
            "same payload, and nothing else. The judge sends five pings; one of them comes between two "
            "fragments, which are a message in two frames."
        ),
        judge=judge_raw_pongs,
        hints=(
            "The handler gets every frame, pings too. Which of them need an answer?",
            "isinstance(frame, Ping) tells; frame.data is the payload.",
            "await session.send(Pong(frame.data)) for each ping.",
        ),
        starter="""
async def answer(session):
    async for frame in session.incoming:
        ...
""",
        solution="""
async def answer(session):
    async for frame in session.incoming:
        if isinstance(frame, Ping):
            await session.send(Pong(frame.data))
""",
    ),
    Exercise(
        "06.5",
        3,
        "D",
        task=(
            "`proxied_trace()` is what a server saw of a phone whose link has a latency of 100 ms; a proxy "
            "stands between them. Who answered the pings: 'phone', 'proxy' or 'server'? And which of its "
            "`.frames`, counted from 0, is the first that proves it? The handshake is no frame. Write both."
        ),
        judge=judge_who_answered,
        hints=(
            "Look at the times: what takes long, and what is quick?",
            "To the phone and back takes 200 ms at least. Which answers come sooner?",
            "The first pong is here 0.2 ms after its ping. Count its place from 0.",
        ),
        starter='answer = ("...", ...)',
        solution="""
frames = proxied_trace().frames
answer = ("proxy", next(n for n, each in enumerate(frames) if isinstance(each.frame, Pong)))
""",
    ),
]
