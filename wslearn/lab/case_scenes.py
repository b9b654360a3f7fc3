"""Eight conversations that go wrong on the simulated network, each with its fault as an argument.

A scene takes what a learner may mend, and returns how it went; with the fault in place it is the recording
that the case book shows. What is to be found in it stands in lesson 15.
"""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from wslearn import (
    Application,
    ChannelClosed,
    Close,
    CloseReason,
    Codec,
    Deflate,
    Frame,
    HandshakeError,
    ProtocolViolation,
    RawSession,
    Session,
    Text,
    Trace,
    WebSockets,
    connect,
    simulate,
)
from wslearn.codec import wrap
from wslearn.extensions import Parameters
from wslearn.frames import may_be_sent
from wslearn.lab.answers import frames_in, values
from wslearn.lab.evidence import Evidence
from wslearn.lab.lesson_13 import Ending, passing_on, serving
from wslearn.lab.relay import Relay
from wslearn.lab.two_servers import REQUEST, echoing
from wslearn.session import Call
from wslearn.simulation import SimulatedNetwork

LATENCY = 0.05
"""Seconds of one way in the recordings, where a case says nothing else."""

# ── 15.1: a client of one's own writes its headers ───────────────────────────────────────────────

KEY = bytes.fromhex("37 fa 21 3d")
LINES = ("Goal!", "GOAL! " * 20 + "GOAL!", "GOAL! " * 21, "Anybody?")


def little_endian(length: int) -> bytes:
    """Return the first bytes of a text with a length of two bytes at most, the low one first."""
    if length < 126:
        return bytes([0x81, 0x80 | length])
    return bytes([0x81, 0x80 | 126]) + length.to_bytes(2, "little")


class Echoes(NamedTuple):
    """What came back of some lines, as bytes, and the trace."""

    back: bytes
    trace: Trace


def lines_with(header: Callable[[int], bytes], lines: tuple[str, ...] = LINES) -> Echoes:
    """Let a client write each line behind a header of its own."""

    async def scene(net: SimulatedNetwork) -> Echoes:
        async with echoing().start("server", 80):
            reader, writer = await asyncio.open_connection("server", 80)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            for line in lines:
                masked = wrap(0x81, line.encode(), KEY)[-len(line) :]
                writer.write(header(len(line)) + KEY + masked)
                await asyncio.sleep(1)
            writer.close()
            return Echoes(await reader.read(), net.trace)

    return simulate(scene, latency=LATENCY)


def texts_in(back: bytes) -> list[str]:
    """Return the texts among a server's frames."""
    return [frame.unmasked.decode() for _, frame in frames_in(back) if values(frame)["opcode"] == 1]


@cache
def short_and_long_lines() -> Evidence:
    return Evidence(lines_with(little_endian).trace)


# ── 15.2: a proxy cuts who is silent ─────────────────────────────────────────────────────────────

IDLE = 60.0
NEWS = {20.0: "0:1", 55.0: "1:1", 100.0: "2:1", 230.0: "2:2", 240.0: "3:2"}
FULL_TIME = 245.0
CONNECTIONS = {number: f"page {number // 2 + 1}" for number in range(1, 99, 2)}
"""Names of the connections of a page to a proxy, which has one behind each."""


class Watched(NamedTuple):
    """When a page's connections ended before full time, in seconds, and the trace."""

    ends: list[float]
    trace: Trace


def quiet_match(**options: Any) -> Watched:
    """Let a page watch a match through a proxy that cuts whoever is silent for a minute."""
    return simulate(lambda net: _quiet_match(net, options), latency=0.02)


async def _quiet_match(net: SimulatedNetwork, options: dict[str, Any]) -> Watched:
    app = Application()
    app.install(WebSockets, **options)
    loop = asyncio.get_running_loop()
    watched = Watched([], net.trace)

    @app.websocket("/score")
    async def score(session: Session) -> None:
        ending = asyncio.create_task(_note_end(net, 2 * len(watched.ends) + 1, "server notes", session))
        for time, news in NEWS.items():
            if time > loop.time():
                await asyncio.sleep(time - loop.time())
                await session.send(news)
        await ending

    async def page() -> None:
        while True:
            session = await connect("ws://proxy/score", ping_period=None)
            await _end_of(session)
            await _note_end(net, 2 * len(watched.ends) + 1, "page notes", session)
            watched.ends.append(loop.time())
            await asyncio.sleep(2)

    async with app.start("server", 80):
        await Relay(("server", 80), patience=IDLE).listen("proxy", 80)
        with suppress(TimeoutError):
            await asyncio.wait_for(page(), FULL_TIME)
        return watched


async def _note_end(net: SimulatedNetwork, connection: int, who: str, session: RawSession) -> None:
    """Write into the trace what an end of a connection keeps of its end."""
    reason = await session.close_reason
    now = asyncio.get_running_loop().time()
    net.trace.event(now, connection, who, f"{reason.code}, by {reason.by}")


@cache
def gone_after_a_minute() -> Evidence:
    return Evidence(quiet_match(ping_period=None).trace, CONNECTIONS)


# ── 15.3: a chat reads texts in fragments ────────────────────────────────────────────────────────

SAID = ("Kick-off in the rain", "Corner for the Rovers", "GOAL ⚽ GOAL ⚽ GOAL", "Who was it?")
FRAGMENT = 7
"""Bytes of a fragment at most, as a phone's library cuts them."""


def each_by_itself(fragments: list[bytes]) -> str:
    """Return the text of a message, read fragment by fragment."""
    return "".join(fragment.decode() for fragment in fragments)


def chat_with(text_of: Callable[[list[bytes]], str]) -> Echoes:
    """Let a phone say lines in fragments to a chat that reads messages with a function of its own.

    Raises:
        Exception: whatever the function raises, but for bytes that are no UTF-8.
    """
    raised: list[Exception] = []

    async def answer(session: RawSession, fragments: list[bytes]) -> None:
        try:
            await session.send(text_of(fragments))
        except UnicodeDecodeError:
            await session.send(Close(CloseReason(1007, "no UTF-8")))
        except Exception as error:
            raised.append(error)
            await session.send(Close(CloseReason(1011)))

    async def chat(session: RawSession) -> None:
        fragments: list[bytes] = []
        async for frame in session.incoming:
            if isinstance(frame, Close):
                with suppress(ChannelClosed):
                    await session.send(frame)
            else:
                fragments.append(frame.data)
                if frame.fin:
                    await answer(session, fragments)
                    fragments = []

    async def scene(net: SimulatedNetwork) -> Echoes:
        app = Application()
        app.install(WebSockets)
        app.websocket_raw("/chat")(chat)
        server = await app.start("server", 80)
        phone = await connect(server.url("/chat"), ping_period=None)
        with suppress(ChannelClosed):
            for line in SAID:
                await _in_fragments(phone, line.encode())
                await phone.incoming.receive()
                await asyncio.sleep(1)
        await phone.close()
        await asyncio.sleep(1)
        return Echoes(
            b"".join([each.wire for each in net.trace.frames if each.sender == "server"]), net.trace
        )

    echoes = simulate(scene, latency=LATENCY)
    if raised:
        raise raised[0]
    return echoes


async def _in_fragments(session: Session, text: bytes) -> None:
    for start in range(0, len(text), FRAGMENT):
        await session.send(Text(text[start : start + FRAGMENT], fin=start + FRAGMENT >= len(text)))


@cache
def always_at_the_ball() -> Evidence:
    return Evidence(chat_with(each_by_itself).trace)


# ── 15.4: a phone in a train, whose link holds its breath ────────────────────────────────────────

STALLS = {10.0: 1.0, 30.0: 4.0, 61.0: 3.5, 88.0: 4.0}
"""When the link stalls, and for how many seconds."""
PULLED = 120.0
"""When the cable is pulled for good, in seconds."""


class Ended(NamedTuple):
    """When a session was over, in seconds, and what the server keeps of it; the trace."""

    time: float
    reason: CloseReason
    trace: Trace


def ride(later: float = 0.0, /, **options: Any) -> Ended:
    """Let a phone ride through stalls, and be cut off for good at the end, while a server watches it.

    Args:
        later: seconds by which all that happens to the link comes later.
    """
    return simulate(lambda net: _ride(net, later, options), latency=LATENCY)


async def _ride(net: SimulatedNetwork, later: float, options: dict[str, Any]) -> Ended:
    app = Application()
    app.install(WebSockets, **options)

    @app.websocket("/score")
    async def score(session: Session) -> None:
        while True:
            await asyncio.sleep(8)
            await session.send(f"minute {asyncio.get_running_loop().time() // 8:.0f}, 0:0")

    net.add_host("phone")
    loop = asyncio.get_running_loop()
    for start, length in STALLS.items():
        loop.call_at(later + start, net.cut, "phone")
        loop.call_at(later + start + length, net.restore, "phone")
    pulled = later + PULLED
    loop.call_at(pulled, net.cut, "phone")
    async with app.start("server", 80) as server:
        with net.host("phone"):
            phone = await connect(server.url("/score"), ping_period=None)
        await asyncio.sleep(1)
        with suppress(TimeoutError):
            reason = await asyncio.wait_for(server.sessions[0].close_reason, 2 * pulled)
            ended = loop.time()
            if ended < pulled:
                # what was on its way still arrives
                await asyncio.wait([asyncio.ensure_future(_end_of(phone))], timeout=10)
            return Ended(ended, reason, net.trace)
        return Ended(math.inf, CloseReason(1006), net.trace)


async def _end_of(session: Session) -> CloseReason:
    """Read all that comes, and return what the session keeps of its end."""
    async for _ in session.incoming:
        pass
    return await session.close_reason


@cache
def killed_in_the_train() -> Evidence:
    return Evidence(ride(ping_period=5, timeout=2).trace, {1: "phone"})


# ── 15.5: viewers are counted, and some leave without a word ─────────────────────────────────────

JOIN = {"Ana": 1.0, "Ben": 5.0, "Cem": 10.0, "Dan": 30.0, "Eve": 40.0}
LEAVES = {"Ana": 15.0}
"""Who says Close."""
TUNNELS = {"Ben": 20.0, "Cem": 35.0}
"""Who is cut off, and never comes back."""
HEARD = 90.0
"""When the match is over."""


class Counted(NamedTuple):
    """The last count that was told, who was dropped though alive, how long a ghost was kept; the trace."""

    last: int
    dropped: list[str]
    kept: float
    trace: Trace


def counted(later: float = 0.0, /, **options: Any) -> Counted:
    """Let phones watch, leave and vanish, and a server tell all of them how many they are.

    Args:
        later: seconds by which all that happens to the links comes later.
    """
    return simulate(lambda net: _counted(net, later, options), latency=LATENCY)


async def _counted(net: SimulatedNetwork, later: float, options: dict[str, Any]) -> Counted:
    app = Application()
    app.install(WebSockets, **options)
    loop = asyncio.get_running_loop()
    viewers: dict[Session, str] = {}
    left: dict[str, float] = {}

    async def tell() -> None:
        for viewer in list(viewers):
            with suppress(ChannelClosed):
                await viewer.send(f"{len(viewers)} watching")

    @app.websocket("/count/{name}")
    async def count(session: Session) -> None:
        name = viewers[session] = session.call.parameters["name"]
        await tell()
        try:
            async for _ in session.incoming:
                pass
        finally:
            del viewers[session]
            left[name] = loop.time()
            await tell()

    async def phone(name: str) -> None:
        net.add_host(name)
        await asyncio.sleep(JOIN[name])
        with net.host(name):
            session = await connect(f"ws://server/count/{name}", ping_period=None)
        if name in LEAVES:
            loop.call_at(LEAVES[name], session.launch, session.close())
        if name in TUNNELS:
            loop.call_at(TUNNELS[name] + later, net.cut, name)
        await _end_of(session)

    server = await app.start("server", 80)
    phones = asyncio.gather(*map(phone, JOIN))
    loop.call_at(later + 60, net.cut, "Eve")
    loop.call_at(later + 64, net.restore, "Eve")
    await asyncio.sleep(later + HEARD)
    dropped = [name for name in left if name not in (*LEAVES, *TUNNELS)]
    kept = max(left.get(name, math.inf) - cut - later for name, cut in TUNNELS.items())
    phones.cancel()
    return Counted(len(server.sessions), dropped, kept, net.trace)


@cache
def phones_that_never_left() -> Evidence:
    names = dict(enumerate(JOIN, 1))
    trace = counted(ping_period=None).trace
    return Evidence(trace, names)


# ── 15.6: a score board compresses with a function of its own ────────────────────────────────────

SCORES = (
    '{"home": "Rovers", "away": "United", "score": "0:0", "minute": 1}',
    '{"home": "Rovers", "away": "United", "score": "1:0", "minute": 3}',
    '{"home": "Rovers", "away": "United", "score": "1:1", "minute": 11}',
)
Compress = Callable[[bytes], bytes]


def keeps_its_context() -> Compress:
    """Return a function that compresses a message and looks back over those before it."""
    compressor = zlib.compressobj(wbits=-15)

    def compress(message: bytes) -> bytes:
        return (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]

    return compress


class OwnDeflate(Deflate):
    """Deflate whose server compresses with somebody's own function."""

    def __init__(self, compress: Compress, raised: list[Exception]) -> None:
        super().__init__(server_no_context_takeover=True)
        self._compress = compress
        self._raised = raised

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        """Answer as Deflate does, and compress otherwise."""
        agreed = super().accept(offered)
        return agreed and (agreed[0], OwnDeflating(agreed[1], self._compress, self._raised))


class OwnDeflating(Codec):
    """Inflates as it should, and compresses with somebody's own function."""

    def __init__(self, codec: Codec, compress: Compress, raised: list[Exception]) -> None:
        self._codec = codec
        self._compress = compress
        self._raised = raised

    def encode(self, frame: Frame) -> Frame:
        try:
            return Text(self._compress(frame.data), rsv1=True)
        except Exception as error:
            self._raised.append(error)
            return frame

    def decode(self, message: Frame, limit: int | None) -> Frame:
        return self._codec.decode(message, limit)


class Scores(NamedTuple):
    """What a page read of the scores, how its session ended, and the trace."""

    seen: list[str]
    reason: CloseReason
    trace: Trace


def scores_with(compress: Compress) -> Scores:
    """Let a score board tell three scores, compressed with this function.

    Raises:
        Exception: whatever the function raises.
    """
    raised: list[Exception] = []

    async def scene(net: SimulatedNetwork) -> Scores:
        app = Application()
        app.install(WebSockets, ping_period=None, extensions=[OwnDeflate(compress, raised)])

        @app.websocket("/score")
        async def score(session: Session) -> None:
            for text in SCORES:
                await session.send(text)
                await asyncio.sleep(1)

        seen: list[str] = []
        async with app.start("server", 80) as server:
            page = await connect(
                server.url("/score"), ping_period=None, extensions=[Deflate(server_no_context_takeover=True)]
            )
            with suppress(ChannelClosed, ProtocolViolation):
                while True:
                    seen.append((await page.incoming.receive()).data.decode())
            await asyncio.sleep(1)
            return Scores(seen, await page.close_reason, net.trace)

    scores = simulate(scene, latency=LATENCY, seed=6)
    if raised:
        raise raised[0]
    return scores


@cache
def clear_at_first() -> Evidence:
    return Evidence(scores_with(keeps_its_context()).trace)


# ── 15.7: a proxy that reads heads ───────────────────────────────────────────────────────────────

ORIGIN = "https://stadium.example:8443"
LAB, STRANGER = "https://lab.example", "https://evil.example:8443"
ORIGINS = [LAB, "https://stadium.example"]
HOP_BY_HOP = {"connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding"}
"""Headers for the next hop only; Source: RFC 9110, section 7.6.1."""
Headers = dict[str, str]
HandedOn = Callable[[Headers], Headers]


def end_to_end(headers: Headers) -> Headers:
    """Return the headers that are meant for the server behind a proxy."""
    return {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}


def with_upgrade(headers: Headers) -> Headers:
    """Return them with the wish to upgrade, where there is one."""
    wish = {"Connection": "Upgrade", "Upgrade": headers["Upgrade"]} if "Upgrade" in headers else {}
    return end_to_end(headers) | wish


def rewriting(handed_on: HandedOn, raised: list[Exception]) -> Callable[[bytes], bytes]:
    """Return what a proxy makes of a head, with what it hands on of the headers."""

    def rewrite(head: bytes) -> bytes:
        first, *lines = head.decode().split("\r\n")[:-2]
        try:
            kept = handed_on(dict(line.split(": ", 1) for line in lines))
            return "\r\n".join([first, *(f"{name}: {kept[name]}" for name in kept), "", ""]).encode()
        except Exception as error:
            raised.append(error)
            return head

    return rewrite


def match_server(origins: list[str] | None) -> Application:
    """Return a server with a page at `/` and a match at `/match`, for pages of these origins."""
    app = Application()
    app.install(WebSockets, ping_period=None, origins=origins)

    @app.get("/")
    async def page(call: Call) -> str:
        return "the page of the match"

    @app.websocket("/match")
    async def match(session: Session) -> None:
        await session.send("1:0")
        await session.close_reason

    return app


async def visit(url: str, origin: str) -> int:
    """Return the status that a page of this origin gets."""
    try:
        session = await connect(url, headers={"Origin": origin}, ping_period=None)
    except HandshakeError as error:
        return error.status
    await session.incoming.receive()
    await session.close()
    await session.close_reason
    return 101


class Visits(NamedTuple):
    """The status for the stadium's page, for a page of somebody else, and for a plain GET."""

    page: int
    stranger: int
    plain: int


def production(handed_on: HandedOn, origins: list[str] | None) -> Visits:
    """Let three visitors come through a proxy that hands on headers in its own way.

    Raises:
        Exception: whatever that raises.
    """
    raised: list[Exception] = []

    async def scene(net: SimulatedNetwork) -> Visits:
        async with match_server(origins).start("server", 80):
            await Relay(("server", 80), rewrite=rewriting(handed_on, raised)).listen("proxy", 80)
            page, stranger = [await visit("ws://proxy/match", each) for each in (ORIGIN, STRANGER)]
            return Visits(page, stranger, await _get("proxy"))

    visits = simulate(scene)
    if raised:
        raise raised[0]
    return visits


async def _get(host: str) -> int:
    """Return the status of a plain GET."""
    reader, writer = await asyncio.open_connection(host, 80)
    writer.write(b"GET / HTTP/1.1\r\nHost: stadium.example\r\nConnection: keep-alive\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


DAYS = {1: "lab", 2: "Monday, outside", 3: "Monday, inside", 4: "Tuesday, outside", 5: "Tuesday, inside"}
"""Names of the connections: in the lab, and on each side of the proxy on two days."""


@cache
def refused_in_production() -> Evidence:
    async def scene(net: SimulatedNetwork) -> Evidence:
        app, nights = match_server(ORIGINS), [end_to_end, with_upgrade]
        proxy = Relay(("server", 80), rewrite=rewriting(lambda headers: nights[0](headers), []))
        await proxy.listen("stadium.example", 8443)
        async with app.start("lab.example", 80), app.start("server", 80):
            await visit("ws://lab.example/match", LAB)
            await visit("ws://stadium.example:8443/match", ORIGIN)
            del nights[0]
            await visit("ws://stadium.example:8443/match", ORIGIN)
            await asyncio.sleep(1)
        return Evidence(net.trace, DAYS)

    return simulate(scene, latency=LATENCY, seed=7)


# ── 15.8: a proxy ends each leg in words of its own ──────────────────────────────────────────────

LEGS = {1: "page – proxy", 2: "proxy – server"}
Act = Callable[[SimulatedNetwork, Session], Awaitable[None]]


class Told(NamedTuple):
    """What the page was told of the end, and the trace."""

    reason: CloseReason
    trace: Trace


def without_a_code(reason: CloseReason) -> Close:
    """Return the Close for one leg when the other has ended."""
    return Close()


def ended_behind_a_proxy(server_ends: Act, ending: Ending) -> Told:
    """Let a server end a page's session through a proxy that closes the page's leg in its own way.

    Raises:
        Exception: whatever that raises, but for a code that may not be sent.
    """
    raised: list[Exception] = []

    def guarded(reason: CloseReason) -> Close:
        try:
            return _sendable(ending(reason))
        except Exception as error:
            raised.append(error)
            return Close(CloseReason(1011))

    async def scene(net: SimulatedNetwork) -> Told:
        async def match(session: Session) -> None:
            await session.send("2:1")
            await asyncio.sleep(0.05)
            await server_ends(net, session)
            await session.close_reason

        async with serving(match).start("server", 80), passing_on(guarded).start("proxy", 80) as proxy:
            page = await connect("ws://proxy/match", ping_period=None)
            await page.incoming.receive()
            near = proxy.sessions[0]
            reason = await _end_of(page)
            now = asyncio.get_running_loop().time()
            net.trace.event(now, 1, "page is told", f"{reason.code}, by {reason.by}")
            heard = await near.close_reason
            # Ktor notes 1000 for a Close that has no code
            logged = 1000 if heard.code == 1005 else heard.code
            net.trace.event(asyncio.get_running_loop().time(), 1, "proxy logs", f"{logged}, OK")
            await asyncio.sleep(1)
        return Told(reason, net.trace)

    told = simulate(scene, latency=0.02, seed=8)
    if raised:
        raise raised[0]
    return told


async def says_4001(net: SimulatedNetwork, session: Session) -> None:
    await session.close(CloseReason(4001, "match over"))


async def says_1001(net: SimulatedNetwork, session: Session) -> None:
    await session.close(CloseReason(1001, "we move"))


async def says_nothing(net: SimulatedNetwork, session: Session) -> None:
    await session.send(Close())


async def dies(net: SimulatedNetwork, session: Session) -> None:
    net.reset("server")


def _sendable(close: Any) -> Close:
    """Return a Close that may be sent.

    Raises:
        TypeError, ValueError: it is none.
    """
    if not isinstance(close, Close):
        raise TypeError(f"a Close is needed, this is {close!r}")
    reason = close.read_reason()
    if reason is not None and not may_be_sent(reason.code):
        raise ValueError(f"close code {reason.code} may not be sent (RFC 6455, section 7.4.1)")
    return close


@cache
def three_stories_of_one_end() -> Evidence:
    return Evidence(ended_behind_a_proxy(says_4001, without_a_code).trace, LEGS)
