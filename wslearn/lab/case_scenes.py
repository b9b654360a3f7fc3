"""Eight conversations that go wrong on the simulated network, each with its fault as an argument.

A scene takes what a learner may mend, and returns how it went; with the fault in place it is the recording
that the case book shows. What is to be found in it stands in lesson 15.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from wslearn import (
    Application,
    ChannelClosed,
    Close,
    CloseReason,
    RawSession,
    Session,
    Text,
    Trace,
    WebSockets,
    connect,
    simulate,
)
from wslearn.codec import wrap
from wslearn.lab.answers import frames_in, values
from wslearn.lab.evidence import Evidence
from wslearn.lab.relay import Relay
from wslearn.lab.two_servers import REQUEST, echoing
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


def lines_with(header: Callable[[int], bytes]) -> Echoes:
    """Let a client write each line behind a header of its own."""

    async def scene(net: SimulatedNetwork) -> Echoes:
        async with echoing().start("server", 80):
            reader, writer = await asyncio.open_connection("server", 80)
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            for line in LINES:
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
    """When a page's connections ended before full time, in seconds, the news it saw, and the trace."""

    ends: list[float]
    seen: list[str]
    trace: Trace


def quiet_match(**options: Any) -> Watched:
    """Let a page watch a match through a proxy that cuts whoever is silent for a minute."""
    return simulate(lambda net: _quiet_match(net, options), latency=0.02)


async def _quiet_match(net: SimulatedNetwork, options: dict[str, Any]) -> Watched:
    app = Application()
    app.install(WebSockets, **options)
    loop = asyncio.get_running_loop()
    watched = Watched([], [], net.trace)

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
            watched.seen.extend([frame.data.decode() async for frame in session.incoming])
            await _note_end(net, 2 * len(watched.ends) + 1, "page notes", session)
            watched.ends.append(loop.time())
            await asyncio.sleep(2)

    async with app.start("server", 80):
        await Relay(("server", 80), lambda data: None, IDLE).listen("proxy", 80)
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
