"""Lesson 12: six attacks with their board, a wiretap, and the exercises on security (RFC 6455, section 10).

Everything here attacks servers in a simulation of its own, or on this machine; each attack runs beside a good
client, and what it held of the server is counted from outside. The hijack stands in the notebook.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from html import escape
from types import TracebackType
from typing import Any, NamedTuple

from wslearn import (
    Application,
    Binary,
    ChannelClosed,
    Channels,
    CloseCode,
    CloseReason,
    Deflate,
    HandshakeError,
    RawSession,
    Server,
    Session,
    Text,
    Trace,
    WebSockets,
    connect,
    connect_raw,
    simulate,
    unlimited,
)
from wslearn.lab.board import sign
from wslearn.lab.exercises import Exercise, Verdict, almost, compare_values, not_yet, right
from wslearn.lab.predictions import Prediction
from wslearn.lab.relay import Relay
from wslearn.lab.two_servers import REQUEST
from wslearn.session import Call, chance
from wslearn.simulation import SimulatedNetwork

PAGE = "https://stadium.example"
FOREIGN = "https://evil.example"
LOGIN = "login=ana"
PATIENCE = 5
"""Virtual seconds in which a good client has to be served."""


class Wiretap:
    """A relay to a server on this machine that keeps what it hears: `async with Wiretap(server) as tap:`."""

    def __init__(self, server: Server) -> None:
        self.heard = b""
        self._server = server
        self._relay = Relay(("127.0.0.1", server.port), self._hear)

    def _hear(self, data: bytes) -> None:
        self.heard += data

    async def __aenter__(self) -> Wiretap:
        self._port = await self._relay.listen("127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._relay.close()

    def url(self, path: str) -> str:
        """Return the URL of a path of the server, by way of the tap."""
        return self._server.url(path).replace(f":{self._server.port}", f":{self._port}")


# ── six attacks ──────────────────────────────────────────────────────────────────────────────────


class Attempt(NamedTuple):
    """What an attack came to.

    Args:
        stopped: whether it was kept small.
        told: what happened, in a few words.
        held: pairs of seconds and what it held of the server, in the attack's own unit.
    """

    stopped: bool
    told: str
    held: list[tuple[float, float]]


Attack = Callable[[Server], Awaitable[Attempt]]


async def _every(pause: float, times: int) -> AsyncIterator[float]:
    """Yield the seconds that have passed, in even steps however long each of them works."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(1, times + 1):
        await asyncio.sleep(start + number * pause - loop.time())
        yield number * pause


async def foreign_page(server: Server) -> Attempt:
    """Connect as a page of another site would, with the victim's cookie."""
    try:
        await connect("ws://server/chat", headers={"Origin": FOREIGN, "Cookie": LOGIN})
    except HandshakeError as error:
        return Attempt(error.status == 403, f"refused with {error.status}", [])
    return Attempt(False, "let in", [])


async def slow_handshakes(server: Server) -> Attempt:
    """Begin 20 handshakes a second for half a minute, and end none."""
    held, ends, writers = [], [], []
    async for seconds in _every(0.05, 600):
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET /chat HTTP/1.1\r\n")
        writers.append(writer)
        ends.append(asyncio.create_task(reader.read()))
        held.append((seconds, float(sum(not end.done() for end in ends))))
    most = max(size for _, size in held)
    return Attempt(most <= 250, f"{most:.0f} connections held", held)


async def huge_frame(server: Server) -> Attempt:
    """Announce a frame of 100 GiB in 14 bytes, and send it piece by piece."""
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(REQUEST.replace(b"/echo", b"/chat").replace(b"Host", f"Origin: {PAGE}\r\nHost".encode()))
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x82\xff" + struct.pack("!Q", 100 * 2**30) + bytes(4))
    end = asyncio.create_task(reader.read(2))
    held, size = [], 0
    async for seconds in _every(0.1, 300):
        if not end.done():
            writer.write(bytes(2**16))
            size += 2**16
        held.append((seconds, 0.0 if end.done() else size / 2**20))
    return Attempt(size <= 2**18, f"{size / 2**20:.1f} MiB of one frame held", held)


async def bomb(server: Server) -> Attempt:
    """Send 4 MiB of zeros as a few kilobytes."""
    attacker = await connect("ws://server/chat", headers={"Origin": PAGE}, extensions=[Deflate()])
    await attacker.send(bytes(2**22))
    if b"permessage-deflate" not in attacker.trace.handshakes[0].response:
        return Attempt(True, "arrived as large as it is", [])
    with suppress(TimeoutError):
        reason = await asyncio.wait_for(attacker.close_reason, PATIENCE)
        return Attempt(reason.code == 1009, f"Close {reason.code}", [])
    return Attempt(False, "inflated to 4 MiB", [])


async def tiny_frames(server: Server) -> Attempt:
    """Send frames of one byte as fast as they go, for half a minute."""
    attacker = await connect_raw("ws://server/chat", headers={"Origin": PAGE})
    task = asyncio.create_task(_rain(attacker))
    held = [
        (seconds, float(sum(len(session.incoming) for session in server.sessions)))
        async for seconds in _every(0.5, 60)
    ]
    task.cancel()
    most = max(size for _, size in held)
    return Attempt(most <= 500, f"{most:,.0f} messages held", held)


async def _rain(attacker: RawSession) -> None:
    with suppress(ChannelClosed):
        while True:
            for _ in range(20):
                await attacker.send(Binary(b"!"))
            await asyncio.sleep(0.05)


async def crowd(server: Server) -> Attempt:
    """Open 300 sessions, and say nothing in any."""
    sessions, held = [], []
    async for seconds in _every(0.1, 300):
        with suppress(HandshakeError):
            sessions.append(await connect("ws://server/chat", headers={"Origin": PAGE}))
        held.append((seconds, float(len(sessions))))
    return Attempt(len(sessions) <= 100, f"{len(sessions)} sessions held", held)


ATTACKS: dict[str, Attack] = {
    "foreign page": foreign_page,
    "slow handshakes": slow_handshakes,
    "huge frame": huge_frame,
    "bomb": bomb,
    "tiny frames": tiny_frames,
    "crowd": crowd,
}


def attacked(app: Application, name: str) -> Attempt:
    """Let one attack run on `/chat` of an application, beside a good client who wants to be served."""
    return simulate(lambda net: _beside_a_good_client(net, app, ATTACKS[name]), latency=0.01)


async def _beside_a_good_client(net: SimulatedNetwork, app: Application, attack: Attack) -> Attempt:
    server = await app.start("server", 80)
    with net.host("fan"):
        try:
            fan = await connect("ws://server/chat", headers={"Origin": PAGE})
        except (HandshakeError, TimeoutError) as error:
            return Attempt(False, f"the good client is not let in: {error}", [])
    attempt = asyncio.create_task(_run(attack, server))
    while not attempt.done():
        try:
            await fan.send("hello")
            await asyncio.wait_for(fan.incoming.receive(), PATIENCE)
        except (ChannelClosed, TimeoutError):
            attempt.cancel()
            return Attempt(False, f"the good client waits for {PATIENCE} s, or is closed", [])
        await asyncio.sleep(1)
    return attempt.result()


async def _run(attack: Attack, server: Server) -> Attempt:
    try:
        return await attack(server)
    except HandshakeError as error:
        return Attempt(True, f"refused with {error.status}", [])


class AttackBoard:
    """Six attacks on an application, and which of them were stopped while a good client was served."""

    def __init__(self, app: Application) -> None:
        self.attempts = {name: attacked(app, name) for name in ATTACKS}

    @property
    def stopped(self) -> int:
        """How many were stopped."""
        return sum(attempt.stopped for attempt in self.attempts.values())

    def __repr__(self) -> str:
        lines = [
            f"{'✓ stopped' if each.stopped else '✗ open':<9}  {name:<15}  {each.told}"
            for name, each in self.attempts.items()
        ]
        return "\n".join([*lines, f"{self.stopped} of {len(ATTACKS)} stopped"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr>{sign(each.stopped, ('stopped', 'open'))}"
            f'<td style="text-align:left">{name}</td>'
            f'<td style="text-align:left">{escape(each.told)}</td></tr>'
            for name, each in self.attempts.items()
        )
        return f"<table>{rows}</table><p>{self.stopped} of {len(ATTACKS)} stopped</p>"


def open_house(**options: Any) -> Application:
    """Return a chat that lets everybody do everything, but for the options that are given."""
    app = Application()
    without: dict[str, Any] = {
        "ping_period": None,
        "max_frame_size": None,
        "open_timeout": 600,
        "channels": Channels(incoming=unlimited()),
        "extensions": [Deflate()],
    }
    app.install(WebSockets, **{**without, **options})

    @app.websocket("/chat")
    async def chat(session: Session) -> None:
        async for frame in session.incoming:
            await asyncio.sleep(0.01)
            await session.send(f"{len(frame.data)} bytes")

    return app


def ticket_office() -> Application:
    """Return a chat that sells one-time tickets at `/ticket` to who is logged in."""
    app, tickets = Application(), set()
    app.install(WebSockets, ping_period=None)

    @app.get("/ticket")
    async def ticket(call: Call) -> str:
        if call.headers.get("Cookie") != LOGIN:
            return ""
        new = chance(asyncio.get_running_loop())(16).hex()
        tickets.add(new)
        return new

    @app.websocket("/chat")
    async def chat(session: Session) -> None:
        shown = session.call.query.get("ticket", [""])[0]
        if shown not in tickets:
            await session.close(CloseReason(CloseCode.POLICY_VIOLATION, "no valid ticket"))
            return
        tickets.remove(shown)
        async for frame in session.incoming:
            await session.send(frame)

    return app


async def fetch(path: str, **headers: str) -> str:
    """Return what a server says to a GET, nothing where it refuses."""
    lines = [f"GET {path} HTTP/1.1", "Host: server", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write("\r\n".join([*lines, "", ""]).encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    return body.decode() if head.startswith(b"HTTP/1.1 200") else ""


async def greet(path: str, greeting: str = "hello") -> str:
    """Return "served" where a text comes back, else the code of the Close, "silence", or what came."""
    session = await connect(f"ws://server{path}")
    ended = await greeted(session, greeting)
    await session.close()
    return ended


async def greeted(session: Session, greeting: str) -> str:
    """Return what `greet` does, and leave the session open."""
    with suppress(ChannelClosed, TimeoutError):
        await session.send(greeting)
        back = await asyncio.wait_for(session.incoming.receive(), PATIENCE)
        return "served" if back.data == greeting.encode() else f"{back!r} for {greeting!r}"
    with suppress(TimeoutError):
        return str((await asyncio.wait_for(session.close_reason, PATIENCE)).code)
    return "silence"


# ── traces under attack ──────────────────────────────────────────────────────────────────────────


async def _endless(attacker: RawSession) -> None:
    await attacker.send(Text("g", fin=False))
    for _ in range(40):
        await attacker.send(Text("o" * 100, fin=False))


async def _bombs(attacker: RawSession) -> None:
    await attacker.send(Binary(bytes(2**20)))


async def _tiny(attacker: RawSession) -> None:
    for _ in range(60):
        await attacker.send(Binary(b""))


SCENES: dict[str, tuple[str, tuple[str, ...], Callable[[RawSession], Awaitable[None]]]] = {
    "A": ("tiny frames", ("channels",), _tiny),
    "B": ("endless message", ("max_frame_size",), _endless),
    "C": ("bomb", ("max_frame_size", "extensions"), _bombs),
}
HONEST = {"A": ("hello", "2:1?"), "B": ("hello",), "C": ("hello", "2:1?", "who scored?")}
NAMES = ("tiny frames", "endless message", "bomb", "ping flood")


def attack_trace(name: str) -> Trace:
    """Return what a server saw of a client that was honest at first: "A", "B" or "C"."""

    async def scene(net: SimulatedNetwork) -> Trace:
        server = await open_house().start("server", 80)
        opening = connect if name == "C" else connect_raw
        options: dict[str, Any] = {"extensions": [Deflate()]} if name == "C" else {}
        attacker = await opening("ws://server/chat", **options)
        for text in HONEST[name]:
            await attacker.send(text)
            await attacker.incoming.receive()
        await SCENES[name][2](attacker)
        await asyncio.sleep(0.005)
        return server.trace

    return simulate(scene, latency=0.001, seed=12)


# ── judges ───────────────────────────────────────────────────────────────────────────────────────

CALLERS: dict[str, str | None] = {
    "own page": PAGE,
    "foreign page": FOREIGN,
    "other port": f"{PAGE}:8443",
    "forging script": PAGE,
    "no Origin": None,
}


def judge_callers(answer: Any) -> Verdict:
    """Let the five call a server with an `origins` list, and compare."""
    happened = [simulate(lambda net, origin=origin: _call(origin)) for origin in CALLERS.values()]  # type: ignore[misc]
    if isinstance(answer, tuple | list):
        answer = [str(word).lower() for word in answer]
    good = "a browser writes Origin and cannot lie; a script writes what it likes (10.2)"
    return compare_values(answer, happened, good, tuple(CALLERS))


async def _call(origin: str | None) -> str:
    async with open_house(origins=[PAGE]).start("server", 80):
        try:
            session = await connect("ws://server/chat", headers={} if origin is None else {"Origin": origin})
        except HandshakeError as error:
            return str(error.status)
        await session.close()
        return "in"


def judge_held(answer: Any) -> Verdict:
    """Compare with rate times time."""
    if not isinstance(answer, int | float):
        return not_yet(f"a number is needed, this is {answer!r}")
    if answer != 20 * 10:
        return not_yet(f"{answer} is not it: how long does each of them stay, and how many come meanwhile?")
    most = attacked(open_house(open_timeout=10), "slow handshakes").told
    return right(
        f"20 a second, each for 10 s. A server under attack: {most}, as news of an end takes a while"
    )


def judge_ticket(app: Any) -> Verdict:
    """Fetch tickets over HTTP, and call with none, with one, with it again, with a forged one."""
    if not isinstance(app, Application):
        return not_yet(f"an application is needed, this is {app!r}")
    tickets, ends = simulate(lambda net: _tickets(app), latency=0.01)
    if "" in tickets:
        return not_yet("GET /ticket gives no ticket")
    if len(set(tickets)) < len(tickets):
        return not_yet("GET /ticket gives the same ticket to everybody")
    for name, end in ends.items():
        if end != (want := CALLS[name]):
            state = almost if ends["with it"] == "served" else not_yet
            return state(f"{name}: {end}, due is {want}")
    return right("a ticket opens one session, once; a thief and a second tab come too late")


CALLS = {
    "without a ticket": "1008",
    "with it": "served",
    "used again, the first session still open": "1008",
    "used again, the first session closed": "1008",
    "forged": "1008",
    "half a ticket": "1008",
    "another ticket": "served",
}
"""What is due to each that calls, in their order."""


async def _tickets(app: Application) -> tuple[list[str], dict[str, str]]:
    async with app.start("server", 80):
        one, other = tickets = [await fetch("/ticket", Cookie=LOGIN) for _ in range(2)]
        if "" in tickets or one == other:
            return tickets, {}
        first, again, closed, *wrong = CALLS
        ends = {first: await greet("/chat")}
        async with connect(f"ws://server/chat?ticket={one}") as session:
            ends[again] = await greeted(session, "meet me at gate 7")
            ends[closed] = await greet(f"/chat?ticket={one}")
        shown = [one, f"{other[::-1]}x", other[: len(other) // 2], other]
        return tickets, ends | {
            name: await greet(f"/chat?ticket={each}", "gate 8")
            for name, each in zip(wrong, shown, strict=True)
        }


def judge_traces(answer: Any) -> Verdict:
    """Look for each trace at the attack, then at its first frame, then at the option."""
    if not isinstance(answer, Mapping) or answer.keys() != SCENES.keys():
        return not_yet(f"a dictionary with A, B and C is needed, this is {answer!r}")
    found = [_judge_trace(name, answer[name]) for name in SCENES]
    wrong = [each for each in found if not each]
    if not wrong:
        return right("a limit is chosen before the attack: all three servers had none")
    state = almost if len(wrong) < len(found) else not_yet
    return state(f"{len(found) - len(wrong)} of {len(found)} are right; {wrong[0].text}")


def _judge_trace(name: str, finding: Any) -> Verdict:
    attack, options, _ = SCENES[name]
    if not isinstance(finding, tuple | list) or len(finding) != 3:
        return not_yet(f"{name}: (attack, number of its first frame, option) is needed")
    if finding[0] not in NAMES:
        return not_yet(f"{name}: {finding[0]!r} is none of {', '.join(NAMES)}")
    if finding[0] != attack:
        return not_yet(f"{name}: this is no {finding[0]}")
    if finding[1] != 2 * len(HONEST[name]):
        return not_yet(f"{name}: frame {finding[1]} is not the first of the attack")
    if str(finding[2]).partition("=")[0].strip() not in options:
        return not_yet(f"{name}: {finding[2]} does not stop it")
    return right()


def judge_house(app: Any) -> Verdict:
    """Run the six attacks."""
    if not isinstance(app, Application):
        return not_yet(f"an application is needed, this is {app!r}")
    board = AttackBoard(app)
    for name, attempt in board.attempts.items():
        if not attempt.stopped:
            state = almost if board.stopped >= len(ATTACKS) // 2 else not_yet
            return state(f"{board.stopped} of {len(ATTACKS)} stopped; {name}: {attempt.told}")
    return right(f"{len(ATTACKS)} of {len(ATTACKS)} stopped, and the good client noticed nothing")


PREDICTIONS = [
    Prediction(
        "12.a",
        "A page of evil.example opens a WebSocket to the chat, in the browser in which Ana is logged in."
        " What does it read?",
        "Ana's message",
        "the browser sends Ana's cookie, and the server does not look at the page",
        choices=("nothing: the browser forbids it", "log in first", "Ana's message"),
    ),
    Prediction(
        "12.b",
        "max_frame_size is 1 MiB. How much of a frame of 100 GiB does the server read before it says no?",
        "the 14 bytes of its header",
        "the header says the length, so nothing of the payload is needed",
        choices=("the 14 bytes of its header", "1 MiB", "as much as fits into memory"),
    ),
]

EXERCISES = [
    Exercise(
        "12.1",
        1,
        "P",
        task=(
            'A server has `origins=["https://stadium.example"]`. Five call: its own page; a page of'
            " evil.example; a page of https://stadium.example:8443; a script that writes the page's Origin"
            " by itself; a script without Origin. Write 'in' or '403' for each."
        ),
        judge=judge_callers,
        hints=(
            "The server sees a line of text, and compares it with its list.",
            "An origin is scheme, host and port: another port makes another origin.",
            "What a script writes looks as it likes, and a request without Origin comes from no browser.",
        ),
        starter="answer = (..., ..., ..., ..., ...)",
        solution='answer = ("in", "403", "403", "in", "in")',
    ),
    Exercise(
        "12.2",
        1,
        "C",
        task=(
            "20 handshakes begin in each second, and none of them ends. `open_timeout` is 10 s. How many"
            " connections does the server hold at once?"
        ),
        judge=judge_held,
        hints=(
            "Wait until the first one is thrown out: how many have come by then?",
            "From then on one goes for each that comes.",
            "Rate times time: 20 a second, 10 seconds.",
        ),
        starter="answer = ...",
        solution="answer = 20 * 10",
    ),
    Exercise(
        "12.3",
        2,
        "B",
        task=(
            "`GET /ticket` gives a new ticket to who asks. Write the handler of `/chat`: it echoes for who"
            " comes with `?ticket=` and a valid one. Everybody else is closed with 1008, and so is who comes"
            " with the same ticket again. In `session.call.query` each name has a list of values."
        ),
        judge=judge_ticket,
        hints=(
            "A ticket that is not in the set is wrong; one that was used must not stay in it.",
            'session.call.query.get("ticket", [""])[0] is the ticket, or an empty text.',
            "Not in tickets: await session.close(CloseReason(1008)) and return. Else remove it first.",
        ),
        setup="import secrets\n\nfrom wslearn import Application, CloseReason, WebSockets",
        starter="""
app, tickets = Application(), set()
app.install(WebSockets, ping_period=None)

@app.get("/ticket")
async def ticket(call):
    tickets.add(new := secrets.token_hex(16))
    return new

@app.websocket("/chat")
async def chat(session):
    async for frame in session.incoming:
        await session.send(frame)

answer = app
""",
        solution="""
app, tickets = Application(), set()
app.install(WebSockets, ping_period=None)

@app.get("/ticket")
async def ticket(call):
    tickets.add(new := secrets.token_hex(16))
    return new

@app.websocket("/chat")
async def chat(session):
    shown = session.call.query.get("ticket", [""])[0]
    if shown not in tickets:
        return await session.close(CloseReason(1008))
    tickets.remove(shown)
    async for frame in session.incoming:
        await session.send(frame)

answer = app
""",
    ),
    Exercise(
        "12.4",
        2,
        "D",
        task=(
            '`attack_trace("A")`, "B" and "C" are what servers saw of a client that was honest at first.'
            " Say for each which attack it is: 'tiny frames', 'endless message', 'bomb' or 'ping flood'; the"
            " number of its first frame in `.frames`, counted from 0; and an option that stops it. Show each"
            " trace in a cell of your own."
        ),
        judge=judge_traces,
        hints=(
            "Look at the column of bytes, and at what each frame says of FIN and RSV1.",
            "A waits for nobody. In B no message ever ends. In C compare the bytes with the payload.",
            "channels bounds what waits for a handler; max_frame_size bounds messages, inflated ones too.",
        ),
        starter="""
answer = {  # attack, first frame, option
    "A": (..., ..., ...),
    "B": (..., ..., ...),
    "C": (..., ..., ...),
}
""",
        solution="""
answer = {
    "A": ("tiny frames", 4, "channels"),
    "B": ("endless message", 2, "max_frame_size"),
    "C": ("bomb", 6, "max_frame_size"),
}
""",
    ),
    Exercise(
        "12.5",
        3,
        "B",
        task=(
            "Close the holes of this server by its options: six attacks are stopped, and a fan who comes from"
            " the page `PAGE` is served all the while. The attackers may hold 250 handshakes"
            " and 100 sessions, 256 KiB of the huge frame, and 500 messages; no more."
        ),
        judge=judge_house,
        hints=(
            "AttackBoard(answer) shows which attacks are still open, and what they held.",
            "One option for each attack, and max_frame_size for two. Deflate stays, or goes.",
            "origins=[PAGE], open_timeout=5, max_frame_size=65_536, max_sessions=100, incoming=bounded(64).",
        ),
        setup=(
            "from wslearn import Channels, bounded, unlimited\n"
            "from wslearn.lab.lesson_12 import PAGE, open_house"
        ),
        starter="""
answer = open_house(
    origins=None,
    open_timeout=600,
    max_frame_size=None,
    max_sessions=None,
    channels=Channels(incoming=unlimited()),
)
""",
        solution="""
answer = open_house(
    origins=[PAGE],
    open_timeout=5,
    max_frame_size=65_536,
    max_sessions=100,
    channels=Channels(incoming=bounded(64)),
)
""",
    ),
]
