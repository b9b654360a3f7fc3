"""Lesson 07: phones whose link stalls, and the exercises about timeouts.

Here are the hours of 200 healthy phones and the judges; cuts, bands and maps stand in the notebook.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any, NamedTuple

from wslearn import Application, Channels, Session, Trace, WebSockets, bounded, connect, simulate
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_values,
    is_number,
    not_yet,
    right,
)
from wslearn.lab.keepalive import HOUR, Stall, healthy_hour
from wslearn.lab.predictions import Prediction
from wslearn.network import Seconds
from wslearn.simulation import SimulatedNetwork

LATENCY = 0.05
"""Seconds of one way to a phone, when its link does not stall."""
OPENED = 3 * LATENCY
"""When the session of a phone that connects at 0 opens at the server."""


def phone_hours(many: int = 200) -> list[list[Stall]]:
    """Return the stalls of each of many healthy phones in one hour, the same ones every time."""
    chance = random.Random(7)
    return [healthy_hour(chance) for _ in range(many)]


def longest_wait(stalls: list[Stall], period: float) -> float:
    """Return how long a server waits for the slowest pong of the hour, within a latency or two, in seconds.

    A ping that meets a stall waits for its end; the beat goes on one period after that pong.
    """
    round_trip = 2 * LATENCY
    pong, longest = OPENED, round_trip
    for start, length in stalls:
        beats = math.ceil((start - round_trip - pong - period) / (period + round_trip))
        ping = pong + period + max(0, beats) * (period + round_trip)
        if ping < start + length:
            pong = start + length + round_trip
            longest = max(longest, pong - ping)
    return longest


# ── scenes ───────────────────────────────────────────────────────────────────────────────────────

Act = Callable[[SimulatedNetwork, Session], Coroutine[Any, Any, object]]


class Seen(NamedTuple):
    """What a server saw of one phone: when its session was over, in seconds, and all frames."""

    over: float | None
    trace: Trace


def watch(
    act: Act,
    *,
    ping_period: Seconds | None,
    timeout: Seconds,
    until: float,
    pause: float = 0,
    latency: float = LATENCY,
) -> Seen:
    """Let a phone be connected, something happen to it, and a server watch.

    Args:
        act: what happens, with the network and the phone's session.
        until: when the watching ends, in seconds.
        pause: seconds that the server's handler takes for each message.
    """

    async def scene(net: SimulatedNetwork) -> Seen:
        app, loop = Application(), asyncio.get_running_loop()
        four = Channels(incoming=bounded(4))
        app.install(WebSockets, ping_period=ping_period, timeout=timeout, channels=four)
        over: asyncio.Future[float] = loop.create_future()

        @app.websocket("/score")
        async def score(session: Session) -> None:
            reading = asyncio.create_task(_read_slowly(session, pause))
            await session.close_reason
            over.set_result(loop.time())
            reading.cancel()

        server = await app.start("server", 80)
        phone = await connect(server.url("/score"))
        acting = asyncio.create_task(act(net, phone))
        await asyncio.wait({over}, timeout=until - loop.time())
        acting.cancel()
        return Seen(over.result() if over.done() else None, server.trace)

    return simulate(scene, latency=latency)


async def _read_slowly(session: Session, pause: float) -> None:
    async for _ in session.incoming:
        await asyncio.sleep(pause)


def at(moment: float, what: Callable[[SimulatedNetwork], object]) -> Act:
    """Return what happens at one moment, in seconds of the clock."""

    async def act(net: SimulatedNetwork, phone: Session) -> None:
        await asyncio.sleep(moment - asyncio.get_running_loop().time())
        what(net)

    return act


def stalling(stalls: list[Stall]) -> Act:
    """Return an hour with these stalls."""

    async def act(net: SimulatedNetwork, phone: Session) -> None:
        loop = asyncio.get_running_loop()
        for stall in stalls:
            await asyncio.sleep(stall.start - loop.time())
            net.cut("client")
            await asyncio.sleep(stall.length)
            net.restore("client")

    return act


def _cut(net: SimulatedNetwork) -> None:
    net.cut("client")


def first_pong(options: dict[str, Any]) -> float:
    """Return when the first pong reaches the server, in seconds."""
    return OPENED + float(options["ping_period"] or 0) + 2 * LATENCY


def noticed_after(options: dict[str, Any], moment: float) -> float | None:
    """Return how long a cut at a moment stays unnoticed, in seconds; None if longer than two minutes."""
    over = watch(at(moment, _cut), until=moment + 120, **options).over
    return None if over is None else over - moment


# ── judges ───────────────────────────────────────────────────────────────────────────────────────


def judge_seconds(answer: Any) -> Verdict:
    """Cut the cable of a simulated phone 5 s after a pong, and compare."""
    if not is_number(answer):
        return not_yet(f"a number of seconds is needed, this is {answer!r}")
    # Without latency the session opens at 0 and the first pong is there at 12.
    over = watch(at(17, _cut), ping_period=12, timeout=6, until=60, latency=0).over
    assert over is not None
    if abs(answer - (over - 17)) < 0.1:
        return right("7 s until the next ping, and 6 s in vain")
    if near := next((text for seconds, text in NEAR.items() if abs(answer - seconds) < 0.1), ""):
        return almost(near)
    return not_yet(
        f"{answer:g} s it is not: when does the next ping leave, and how long does it wait for a pong?"
    )


NEAR = {
    18: "18 s is the worst case, a cut right after a pong; here 5 s of the period have passed",
    7: "after 7 s the ping leaves, and then the server waits for its pong",
    6: "6 s is the timeout alone; it begins when the next ping leaves",
}
"""Seconds that are half of the way, and what they are."""


WAYS = ("process killed", "cable pulled", "process frozen", "slow link", "slow handler")


async def _hurry(net: SimulatedNetwork, phone: Session) -> None:
    """Send more lines than a slow handler has room for."""
    for number in range(20):
        await phone.send(f"line {number}")


def judge_ways(answer: Any) -> Verdict:
    """Let a phone vanish in five ways right after a pong, and compare what the server noticed."""
    if not isinstance(answer, tuple | list) or any(len(_pair(each)) != 2 for each in answer):
        return not_yet(f"five pairs are needed, each as in ('timeout', 15), this is {answer!r}")
    acts: dict[str, Act] = {
        "process killed": at(10.1, lambda net: net.reset("client")),
        "cable pulled": at(10.1, _cut),
        "process frozen": at(10.1, lambda net: net.freeze("client")),
        "slow link": at(10.1, lambda net: net.set(latency=4)),
        "slow handler": _hurry,
    }
    happened = []
    for way, act in acts.items():
        seen = watch(act, ping_period=10, timeout=5, until=70, pause=20 * (way == WAYS[-1]), latency=0)
        by_timeout = any(event.name == "ping timeout" for event in seen.trace.events)
        what = "nothing" if seen.over is None else "timeout" if by_timeout else "reset"
        happened.append((what, "never" if seen.over is None else round(seen.over - 10.1)))
    given = [(what, round(when) if _is_finite(when) else when) for what, when in map(_pair, answer)]
    good = "a reset is heard at once, silence is timed, and our own slow handler is nobody's death"
    return compare_values(given, happened, good, names=WAYS)


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def _pair(each: Any) -> tuple[Any, ...]:
    return tuple(each) if isinstance(each, tuple | list) else ()


def judge_traffic(answer: Any) -> Verdict:
    """Compare two numbers of bytes, to one percent."""
    if not isinstance(answer, tuple | list) or len(answer) != 2 or not all(map(is_number, answer)):
        return not_yet(f"two numbers of bytes are needed, this is {answer!r}")
    beats = 2500 * HOUR // 30
    names = ("bytes of frames", "bytes with TCP/IP headers")
    for name, value, each in zip(names, answer, (160, 160 + 3 * 40), strict=True):
        if abs(value - beats * each) > beats * each / 100:
            verdict = not_yet if name == names[0] else almost
            return verdict(f"{name}: {value / beats:.1f} for each of {beats:,} beats, the judge has {each}")
    return right("300,000 beats an hour; with headers each of them costs 280 bytes in place of 160")


FAULTY: dict[str, dict[str, Any]] = {
    "no alarm": {"ping_period": None, "timeout": 5},
    "stalls": {"ping_period": 10, "timeout": 2},
    "proxy": {"ping_period": 90, "timeout": 10},
    "tornado": {"ping_period": 10, "timeout": 20},
}


def judge_settings(answer: Any) -> Verdict:
    """Look that each setting has one option changed, and try it."""
    if not isinstance(answer, dict) or answer.keys() != FAULTY.keys():
        return not_yet(f"a dictionary with {', '.join(FAULTY)} is needed, this is {answer!r}")
    faults = {name: _what_is_wrong(name, answer[name]) for name in FAULTY}
    wrong = {name: text for name, text in faults.items() if text}
    if not wrong:
        return right("each option is bound by another number: the period, the stalls, the proxy, the library")
    name, text = next(iter(wrong.items()))
    verdict = almost if len(wrong) <= 2 else not_yet
    return verdict(f"{len(FAULTY) - len(wrong)} of {len(FAULTY)} hold; {name}: {text}")


def _what_is_wrong(name: str, options: Any) -> str:
    """Return why one setting is not repaired, or nothing."""
    if not isinstance(options, dict) or options.keys() != FAULTY[name].keys():
        return f"ping_period and timeout are needed, this is {options!r}"
    changed = [key for key, value in options.items() if value != FAULTY[name][key]]
    if len(changed) != 1:
        return f"{len(changed)} options are changed, one is enough"
    if noticed_after(options, first_pong(options) + 0.001) is None:
        return "a cut right after a pong was not noticed within two minutes"
    if name == "stalls":
        before = Stall(OPENED + options["ping_period"] - 0.01, 4)
        over = watch(stalling([before]), until=before.start + 5 + options["timeout"], **options).over
        return "" if over is None else f"a stall of 4 s closed a healthy phone after {over:.1f} s"
    if name == "proxy":
        trace = watch(at(0, lambda net: None), until=400, **options).trace
        times = [OPENED, *(frame.time for frame in trace.frames), 400.0]
        longest = max(after - before for before, after in pairwise(times))
        return "" if longest < 60 else f"{longest:.0f} s without a byte, and the proxy cuts after 60"
    if name == "tornado" and options["timeout"] > options["ping_period"]:
        return "the timeout is above the period"
    return ""


MOST_CLOSED, WORST, MOST_BYTES, ENOUGH = 2, 10, 200_000, 10


def judge_policy(answer: Any) -> Verdict:
    """Cut 40 cables, count the bytes of an hour, and let 200 healthy phones live it."""
    if not isinstance(answer, dict) or answer.keys() != {"ping_period", "timeout"}:
        return not_yet(f'{{"ping_period": ..., "timeout": ...}} is needed, this is {answer!r}')
    if ... in answer.values():
        return NOT_TRIED
    if not all(map(is_number, answer.values())):
        return not_yet("two numbers of seconds are needed")
    moments = [first_pong(answer) + 0.001 + answer["ping_period"] * step / 40 for step in range(40)]
    delays = [noticed_after(answer, moment) for moment in moments]
    worst = max(delay or 120 for delay in delays)
    if worst > WORST:
        return not_yet(f"a cut stayed unnoticed for {worst:.4g} s, {WORST} are allowed")
    heartbeat = sum(len(frame.wire) for frame in watch(stalling([]), until=HOUR, **answer).trace.frames)
    if heartbeat > MOST_BYTES:
        return almost(f"noticed in time, but {heartbeat / 1000:.0f} kB an hour, 200 are allowed")
    closed = _closed(answer)
    if closed > MOST_CLOSED:
        count = f"{closed} healthy phones" if closed < ENOUGH else f"{closed} healthy phones or more"
        return almost(f"noticed in time, but {count} were closed, {MOST_CLOSED} are allowed")
    text = f"noticed within {worst:.1f} s, {closed} of 200 healthy phones closed"
    return right(f"{text}, {heartbeat / 1000:.0f} kB an hour")


def _closed(options: dict[str, Any]) -> int:
    """Return how many healthy phones are closed within their hour; it stops at ten."""
    closed = 0
    for stalls in phone_hours():
        if longest_wait(stalls, options["ping_period"]) > options["timeout"] - 4 * LATENCY:
            closed += watch(stalling(stalls), until=HOUR, **options).over is not None
        if closed == ENOUGH:
            break
    return closed


PREDICTIONS = [
    Prediction(
        "07.a",
        "Both options are 15 s. How long does a cut stay unnoticed on average, in seconds?",
        22.5,
        "the timeout always, and of the period half on average",
        unit="s",
        within=1,
    ),
    Prediction(
        "07.b",
        "One pong in 1,000 is late, with a ping every 5 s. Which part of all sessions is closed in an hour?",
        "about half",
        "an hour has 720 pings, and 0.999 to the power of 720 is 0.49",
        choices=("about 1 in 1,000", "about 1 in 10", "about half"),
    ),
]

EXERCISES = [
    Exercise(
        "07.1",
        1,
        "C",
        task=(
            "`ping_period` is 12 s, `timeout` is 6 s, the round trip takes no time. The cable is pulled 5 s "
            "after a pong. How many seconds after the cut does the server notice?"
        ),
        judge=judge_seconds,
        hints=(
            "When does the next ping leave?",
            "12 s after the pong, of which 5 have passed at the cut. Then the timeout runs.",
            "(12 - 5) + 6.",
        ),
        starter="answer = ...",
        solution="answer = (12 - 5) + 6",
    ),
    Exercise(
        "07.2",
        2,
        "P",
        task=(
            "`ping_period` is 10 s, `timeout` is 5 s, and a pong arrives. At this moment one of five "
            "things happens: the phone's process is killed, its cable is pulled, it freezes, the link "
            "becomes slow (4 s each way), or our own handler becomes slow and its queue is full. What tells "
            "the server, and after how many seconds? Write 'reset', 'timeout' or 'nothing', and a number "
            "or 'never'."
        ),
        judge=judge_ways,
        hints=(
            "In which of the five does a byte or a signal reach the server in time?",
            "Only an operating system can say that a process was killed. A slow link answers after 8 s.",
            "Silence: 10 s until the ping, 5 s in vain. While our own queue is full the clock stands still.",
        ),
        starter="""
answer = (
    ("...", ...),  # process killed
    ("...", ...),  # cable pulled
    ("...", ...),  # process frozen
    ("...", ...),  # slow link
    ("...", ...),  # slow handler
)
""",
        solution="""
answer = (
    ("reset", 0),  # process killed
    ("timeout", 15),  # cable pulled
    ("timeout", 15),  # process frozen
    ("timeout", 15),  # slow link
    ("nothing", "never"),  # slow handler
)
""",
    ),
    Exercise(
        "07.3",
        2,
        "C",
        task=(
            "2,500 phones, a ping every 30 s, 160 bytes a beat. How many bytes of frames pass in an hour? "
            "And how many with headers: a beat is three TCP packets (ping, pong, and the acknowledgement of "
            "the pong) with 40 bytes of TCP/IP header each? Write both numbers."
        ),
        judge=judge_traffic,
        hints=(
            "How many beats has one phone in an hour, and how many have all?",
            "2,500 × 120 beats, at 160 bytes each.",
            "With headers a beat has 160 + 3 × 40 bytes.",
        ),
        starter="answer = (..., ...)",
        solution="""
beats = 2500 * 3600 // 30
answer = (beats * 160, beats * (160 + 3 * 40))
""",
    ),
    Exercise(
        "07.4",
        2,
        "D",
        task=(
            "Four settings, each with one fault. 'no alarm': cuts are never noticed. 'stalls': the link "
            "stalls for up to 4 s and healthy phones are closed. 'proxy': a proxy in between cuts after "
            "60 s without a byte. 'tornado': this library allows no timeout above its period. Change one "
            "option in each. Cuts must still be noticed within two minutes."
        ),
        judge=judge_settings,
        hints=(
            "For each setting ask which of the two numbers breaks a promise.",
            "No pings, no timeout. A timeout has to outlive the longest stall. Pings are bytes for a proxy.",
            "A period for the first, 5 s or more for the second, less than 60 s for the third.",
        ),
        starter="""
answer = {
    "no alarm": {"ping_period": None, "timeout": 5},
    "stalls": {"ping_period": 10, "timeout": 2},
    "proxy": {"ping_period": 90, "timeout": 10},
    "tornado": {"ping_period": 10, "timeout": 20},
}
""",
        solution="""
answer = {
    "no alarm": {"ping_period": 15, "timeout": 5},
    "stalls": {"ping_period": 10, "timeout": 5},
    "proxy": {"ping_period": 45, "timeout": 10},
    "tornado": {"ping_period": 10, "timeout": 10},
}
""",
    ),
    Exercise(
        "07.5",
        3,
        "B",
        task=(
            "Choose options for the 200 phones of this lesson: every cut is noticed within 10 s, at most 2 "
            "healthy phones are closed in their hour, and the heartbeat of a phone costs at most 200 kB an "
            "hour. The judge simulates cuts and hours, which takes a few seconds."
        ),
        judge=judge_policy,
        hints=(
            "Each of the three wishes is a bound on period, timeout or their sum.",
            "Worst case period + timeout. 200 kB at 160 bytes a beat bounds the period from below.",
            "The shortest period that 200 kB allow leaves the longest timeout for the stalls.",
        ),
        starter='answer = {"ping_period": ..., "timeout": ...}',
        solution='answer = {"ping_period": 3, "timeout": 6.9}',
    ),
]
