"""Lesson 08: how conversations end, and the exercises on closing (RFC 6455, section 7).

Judged is what our endpoint says and keeps, beside websockets where bytes are asked for. Ways to end, and a
client that comes back, stand in the notebook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from wslearn import Application, CloseReason, RawSession, Session, Trace, WebSockets, connect, simulate
from wslearn.codec import wrap
from wslearn.frames import Close
from wslearn.lab.answers import told
from wslearn.lab.exercises import (
    NOT_TRIED,
    Exercise,
    Verdict,
    almost,
    compare_bytes,
    name_first,
    not_yet,
    right,
)
from wslearn.lab.predictions import Prediction
from wslearn.lab.table import Table
from wslearn.lab.two_servers import ours, theirs
from wslearn.simulation import SimulatedNetwork


class End(NamedTuple):
    """One end of a conversation, as three saw it: the wire, the client, the server."""

    wire: Trace
    client: CloseReason
    server: CloseReason


class ThreeViews(Table):
    """Ends of conversations by name, a row each: what the wire carried, and what each side keeps."""

    def __init__(self, ends: Mapping[str, End]) -> None:
        headings = ("", "on the wire", "client keeps", "server keeps")
        rows = [(name, closes(end.wire), _kept(end.client), _kept(end.server)) for name, end in ends.items()]
        super().__init__([headings, *rows])


def closes(wire: Trace) -> str:
    """Return the Closes of a trace in the order in which they were sent, an arrow for the way."""
    arrows = {"client": "→", "server": "←"}
    said = [
        f"{arrows[each.sender]} {reason.code if (reason := each.frame.read_reason()) else 'empty'}"
        for each in wire.frames
        if isinstance(each.frame, Close)
    ]
    return ", ".join(said) or "no Close"


def _kept(reason: CloseReason) -> str:
    return f"{reason.code}, by {reason.by}"


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

STORIES = {
    "done": (1000, "all is said, and nothing went wrong"),
    "server stops": (1001, "an endpoint is going away"),
    "broken frame": (1002, "the protocol itself was broken"),
    "forbidden by rule": (1008, "the frame is fine and the message breaks a house rule"),
    "too big": (1009, "there is a code for a message that is too big to process"),
    "server error": (1011, "the server met what it did not expect, and it is not the client's fault"),
}


def judge_stories(answer: Any) -> Verdict:
    if not isinstance(answer, Mapping) or set(answer) != set(STORIES):
        return not_yet(f"a code for each of {', '.join(STORIES)} is needed")
    if ... in answer.values():
        return NOT_TRIED
    wrong = {
        name: f"{answer[name]!r} is not it; {why} (7.4.1)"
        for name, (code, why) in STORIES.items()
        if answer[name] != code
    }
    if wrong:
        return name_first(wrong, len(STORIES))
    return right("each code tells the other side what to do next: come back, wait, or mend something")


def judge_going_away(answer: Any) -> Verdict:
    """Compare with what our server writes."""
    end = end_of(_server_says_bye)
    return compare_bytes(answer, end.wire.frames[0].wire, "this is what our server writes, byte for byte")


async def _server_says_bye(net: SimulatedNetwork, there: RawSession, here: Session) -> None:
    await there.close(CloseReason(1001, "bye"))


async def _client_leaves(net: SimulatedNetwork, there: RawSession, here: Session) -> None:
    await here.close(CloseReason(1000))


async def _both_leave(net: SimulatedNetwork, there: RawSession, here: Session) -> None:
    await here.close(CloseReason(4001, "bored"))
    await there.close(CloseReason(1000, "full time"))


async def _client_dies(net: SimulatedNetwork, there: RawSession, here: Session) -> None:
    net.reset("client")


Ending = Callable[[SimulatedNetwork, RawSession, Session], Awaitable[None]]
ENDINGS: dict[str, Ending] = {
    "A": _client_leaves,
    "B": _server_says_bye,
    "C": _both_leave,
    "D": _client_dies,
}


def end_of(ending: Ending) -> End:
    """Return how a quiet conversation ends, with 0.1 s of latency."""

    async def scene(net: SimulatedNetwork) -> End:
        app = Application()
        app.install(WebSockets, ping_period=None)

        @app.websocket("/score")
        async def score(session: Session) -> None:
            async for _ in session.incoming:
                pass

        server = await app.start("server", 80)
        here = await connect(server.url("/score"))
        await asyncio.sleep(1)
        there = next(iter(server.sessions))
        await ending(net, there, here)
        return End(net.trace, await here.close_reason, await there.close_reason)

    return simulate(scene, latency=0.1)


@cache
def four_ends() -> dict[str, End]:
    """Return the ends of the exercise 08.3 by letter."""
    return {letter: end_of(ending) for letter, ending in ENDINGS.items()}


def traces() -> dict[str, Trace]:
    """Return what the wire carried in each of the four, for a view."""
    return {letter: end.wire for letter, end in four_ends().items()}


FIRST = {"A": "client", "B": "server", "C": "both", "D": "nobody"}


def judge_ends(answer: Any) -> Verdict:
    """Compare with what both endpoints keep."""
    if not isinstance(answer, Mapping) or set(answer) != set(FIRST):
        return not_yet("(who, (code, by), (code, by)) for each of A, B, C and D is needed")
    if any("..." in repr(each) or "Ellipsis" in repr(each) for each in answer.values()):
        return NOT_TRIED
    wrong = {letter: found for letter in FIRST if (found := _unlike(letter, answer[letter]))}
    if wrong:
        return name_first(wrong, len(FIRST))
    return right("as both endpoints keep it: the code is that of the Close, `by` is each end's own view")


def _unlike(letter: str, given: Any) -> str:
    """Return what is wrong about one answer, or nothing."""
    match given:
        case [who, [_, _] as client, [_, _] as server]:
            end = four_ends()[letter]
        case _:
            return f"(who, (code, by), (code, by)) is needed, this is {given!r}"
    if who != FIRST[letter]:
        return f"{who!r} did not close first: look at where the arrows begin"
    for side, kept, said in (("client", end.client, client), ("server", end.server, server)):
        if tuple(said) != (kept.code, kept.by):
            return f"the {side} does not keep {said!r}"
    return ""


PAYLOADS = {
    "legal code": bytes.fromhex("03 e8 62 79 65"),
    "empty": b"",
    "one byte": bytes.fromhex("03"),
    "1005": bytes.fromhex("03 ed"),
    "2999": bytes.fromhex("0b b7"),
    "4001": bytes.fromhex("0f a1"),
}


def judge_reply(close_reply: Any) -> Verdict:
    """Compare with what our server answers; a reason of one's own may stand behind 1002."""
    if not callable(close_reply):
        return not_yet(f"a function is needed, this is {close_reply!r}")
    wires = [wrap(0x88, payload, b"\x37\xfa\x21\x3d") for payload in PAYLOADS.values()]
    answers = ours(*wires)
    wrong = {}
    for (name, payload), back in zip(PAYLOADS.items(), answers, strict=True):
        got = close_reply(payload)
        if got is ...:
            return NOT_TRIED
        if fault := _unlike_reply(got, back):
            wrong[name] = fault
    if wrong:
        return name_first(wrong, len(PAYLOADS))
    codes = [_code(answer) for answer in theirs(*wires)]
    same = "the same codes" if codes == [_code(answer) for answer in answers] else f"the codes {codes}"
    return right(f"{len(PAYLOADS)} Closes answered as our server does; websockets answers {same}")


def _unlike_reply(got: Any, want: bytes) -> str:
    """Return what is wrong about one reply, or nothing."""
    if _code(want) != 1002:
        found = compare_bytes(got, want)
        return "" if found else f"{found.text} (RFC 6455, section 5.5.1)"
    if not isinstance(got, bytes | bytearray) or len(got) < 2:
        return f"the bytes of a Close are needed, this is {got!r}"
    if got[0] != 0x88 or got[1] != len(got) - 2:
        return f"{bytes(got[:2]).hex(' ')} is not the header of a Close with {len(got) - 2} bytes of payload"
    if got[2:4] != want[2:4]:
        return f"our server answers {told(want)}, this is {told(bytes(got))}"
    return ""


def _code(answer: bytes) -> int | None:
    return int.from_bytes(answer[2:4], "big") if len(answer) >= 4 else None


TUNNEL = (20.0, 40.0)
AWAY = (80.0, 95.0)
GOALS = 30
MATCH = 200.0
MOST = 8


def score_archive(goals: list[int]) -> Application:
    """Return a score board that is told the last goal a viewer has seen, and sends all after it."""
    app = Application()
    app.install(WebSockets, ping_period=5, timeout=5)

    @app.websocket("/score")
    async def score(session: Session) -> None:
        seen = int((await session.incoming.receive()).data)
        while True:
            for goal in [goal for goal in goals if goal > seen]:
                await session.send(str(goal))
                seen = goal
            await asyncio.sleep(0.5)

    return app


def judge_comes_back(follow: Any) -> Verdict:
    """Play a match with a goal every 4 s, a tunnel of 20 s, and a server that is away for 15 s."""
    if not iscoroutinefunction(follow):
        return not_yet(f"an async function is needed, this is {follow!r}")
    seen, attempts, error = simulate(lambda net: _match(net, follow), latency=0.05)
    if error is not None and not seen:
        raise error
    return _judge_goals(seen, attempts, error)


async def _match(
    net: SimulatedNetwork, follow: Callable[[str, list[int]], Awaitable[None]]
) -> tuple[list[int], int, BaseException | None]:
    """Return the goals that were seen, the attempts to connect, and what ended the follower."""
    goals: list[int] = []
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    attempts = _count_attempts(loop)
    board = score_archive(goals)
    server = await board.start("server", 80)
    for number in range(1, GOALS + 1):
        loop.call_at(4.0 * number, goals.append, number)
    following = asyncio.ensure_future(follow(server.url("/score"), seen))
    loop.call_at(TUNNEL[0], net.cut, "client")
    loop.call_at(TUNNEL[1], net.restore, "client")
    await asyncio.sleep(AWAY[0])
    await server.stop()
    await asyncio.sleep(AWAY[1] - loop.time())
    async with board.start("server", 80):
        await asyncio.wait([following], timeout=MATCH - loop.time())
        error = following.exception() if following.done() and not following.cancelled() else None
        following.cancel()
        await asyncio.wait([following])
    return list(seen), len(attempts), error


def _count_attempts(loop: asyncio.AbstractEventLoop) -> list[float]:
    """Return a list that grows with each attempt to open a connection."""
    attempts: list[float] = []
    opens = loop.create_connection

    async def counted(*arguments: Any, **options: Any) -> Any:
        attempts.append(loop.time())
        if len(attempts) > 1000:
            raise RuntimeError("1,000 attempts to connect: wait between two of them")
        return await opens(*arguments, **options)

    loop.create_connection = counted  # type: ignore[method-assign]
    return attempts


def _judge_goals(seen: list[int], attempts: int, error: BaseException | None) -> Verdict:
    missing = [goal for goal in range(1, GOALS + 1) if goal not in seen]
    if twice := sorted({goal for goal in seen if seen.count(goal) > 1}):
        return almost(f"goal {twice[0]} came {seen.count(twice[0])} times: which one had you seen last?")
    if missing:
        ended = f"; your function ended with {error!r}" if error else ""
        return not_yet(f"{len(missing)} of {GOALS} goals are missing, the first is goal {missing[0]}{ended}")
    if seen != sorted(seen):
        return almost("all goals came, and not in order")
    if attempts > MOST:
        return almost(f"all goals came, after {attempts} attempts to connect: at most {MOST} are allowed")
    return right(
        f"{GOALS} goals, each once and in order, over a tunnel and a restart,"
        f" with {attempts} attempts to connect"
    )


PREDICTIONS = [
    Prediction(
        "08.a",
        "Both sides close in the same moment. How many Closes are on the wire?",
        2,
        "each side has said its own, and nobody says a second one",
        unit="Closes",
    ),
    Prediction(
        "08.b",
        "The process is killed. Which close code does the wire carry?",
        "none",
        "1006 is a note that an end makes for itself, where no Close arrived",
        choices=("1001", "1006", "1011", "none"),
    ),
    Prediction(
        "08.c",
        "A goal each 4 s, 20 s in the tunnel. Is every goal there when the phone is back?",
        "no",
        "the new connection knows nothing of the old one",
        choices=("yes", "no"),
    ),
]

EXERCISES = [
    Exercise(
        "08.1",
        1,
        "C",
        task=(
            "Which close code fits each story: all is done; the server stops; a frame is broken; a message"
            " is forbidden by a rule of the house; a message is too big; the server meets an error?"
        ),
        judge=judge_stories,
        hints=(
            "Section 7.4.1 lists them, from 1000 on.",
            "The first three are 1000, 1001 and 1002, in the order of the stories.",
            "Policy is 1008, size is 1009, and the server's own error is 1011.",
        ),
        starter="""
answer = {
    "done": ...,
    "server stops": ...,
    "broken frame": ...,
    "forbidden by rule": ...,
    "too big": ...,
    "server error": ...,
}
""",
        solution="""
answer = {
    "done": 1000,
    "server stops": 1001,
    "broken frame": 1002,
    "forbidden by rule": 1008,
    "too big": 1009,
    "server error": 1011,
}
""",
    ),
    Exercise(
        "08.2",
        1,
        "C",
        task='Write the bytes of the frame with which a server says Close 1001 "bye".',
        judge=judge_going_away,
        hints=(
            "The first byte has FIN and opcode 8, the second the length. A server does not mask.",
            "The payload begins with the code in two bytes, and the text follows it.",
            '(1001).to_bytes(2, "big") is 03 e9, and "bye" is 62 79 65: five bytes in all.',
        ),
        starter="answer = ...",
        solution='answer = bytes([0x88, 5]) + (1001).to_bytes(2, "big") + b"bye"',
    ),
    Exercise(
        "08.3",
        2,
        "D",
        task=(
            "Four ladders, four ends. Who closed first: 'client', 'server', 'both' or 'nobody'? And which"
            " code, by whom ('local', 'peer', 'network'), does the client keep, and which the server?"
        ),
        judge=judge_ends,
        hints=(
            "Who sent a Close first keeps its own code, by 'local'. Who only answered keeps it by 'peer'.",
            "In C both arrows begin at the same time: each had spoken before it heard the other.",
            "In D no Close passed at all: both ends note 1006, by 'network'.",
        ),
        starter="""
answer = {
    "A": ("...", (..., "..."), (..., "...")),  # who, client's code and by, server's code and by
    "B": ("...", (..., "..."), (..., "...")),
    "C": ("...", (..., "..."), (..., "...")),
    "D": ("...", (..., "..."), (..., "...")),
}
""",
        solution="""
answer = {
    "A": ("client", (1000, "local"), (1000, "peer")),
    "B": ("server", (1001, "peer"), (1001, "local")),
    "C": ("both", (4001, "local"), (1000, "local")),
    "D": ("nobody", (1006, "network"), (1006, "network")),
}
""",
    ),
    Exercise(
        "08.4",
        2,
        "B",
        task=(
            "Write `close_reply(payload)`: the payload of a client's Close, unmasked, goes in, and your"
            " server's answer comes back, a whole frame. It repeats a payload that is allowed, and answers"
            " any other with 1002. The judge tries a legal code, an empty payload, one byte, 1005, 2999 and"
            " 4001. Lesson 14's server will use it."
        ),
        judge=judge_reply,
        hints=(
            "A frame of the server is 88, the length of the payload, and the payload. 1002 is 03 ea.",
            "A Close may be empty. One byte is no code, and 1005 and 2999 may not be sent.",
            "1000 to 1003, 1007 to 1014 and 3000 to 4999 may be sent. Empty is answered with 88 00.",
        ),
        starter="""
def close_reply(payload):
    return ...

answer = close_reply
""",
        solution="""
def close_reply(payload):
    code = int.from_bytes(payload[:2], "big")
    allowed = 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
    if payload and (len(payload) == 1 or not allowed):
        payload = (1002).to_bytes(2, "big")
    return bytes([0x88, len(payload)]) + payload

answer = close_reply
""",
    ),
    Exercise(
        "08.5",
        3,
        "B",
        task=(
            "Write `follow(url, goals)`: it appends each goal to `goals` and comes back after each end. This"
            " board wants the last goal's number as your first text, 0 for none. The judge plays 30 goals, a"
            " tunnel of 20 s, and a server that is away for 15 s: every goal once, in order, at most eight"
            " attempts to connect."
        ),
        judge=judge_comes_back,
        hints=(
            "Here the URL stays. So `async for session in connect(url)` can come back, with back-off. What"
            " must each session say first?",
            "Give connect a ping_period and a timeout, and put `with suppress(PingTimeout):` around the loop"
            " over the frames.",
            "First text: str(goals[-1] if goals else 0). Then append int(frame.read_text()) for each frame.",
        ),
        starter="""
async def follow(url, goals):
    async with connect(url) as session:
        await session.send("0")
        async for frame in session.incoming:
            goals.append(int(frame.read_text()))

answer = follow
""",
        solution="""
async def follow(url, goals):
    async for session in connect(url, ping_period=5, timeout=5):
        await session.send(str(goals[-1] if goals else 0))
        with suppress(PingTimeout):
            async for frame in session.incoming:
                goals.append(int(frame.read_text()))

answer = follow
""",
    ),
]
