"""Peers without any WebSocket in them: they write the bytes of a test and keep what they read.

Frames stand in the tests as the RFC's hex: the first byte, then the payload, "88 03e8". The masking key
is 00000000 where one is due, so that a masked payload reads like a plain one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wslearn import Application, WebSockets, connect, connect_raw, simulate
from wslearn.codec import mask, read_header
from wslearn.handshake import accept_key

both_sides = pytest.mark.parametrize("side", ["server", "client"])

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = (
    "GET / HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()
ANSWER = (
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {}\r\n\r\n"
)

PING = 0x89


def wire(frame: str, masked: bool = False) -> bytes:
    """Return the bytes of a frame such as "81 48656c6c6f"."""
    first, *payload = (bytes.fromhex(part) for part in frame.split(" "))
    data = b"".join(payload)
    bit, key = (0x80, bytes(4)) if masked else (0, b"")
    if len(data) < 126:
        return first + bytes([bit | len(data)]) + key + data
    if len(data) < 65536:
        return first + bytes([bit | 126]) + len(data).to_bytes(2, "big") + key + data
    return first + bytes([bit | 127]) + len(data).to_bytes(8, "big") + key + data


def text(payload: str) -> str:
    """Return the frame of a text message."""
    return f"81 {payload.encode().hex()}".strip()


class Peer:
    """The other end of one session of ours."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, masks: bool) -> None:
        self.reader = reader
        self.writer = writer
        self.masks = masks
        self.session: Any = None
        self.handler: Any = None

    def say(self, *frames: str) -> None:
        """Write frames, all in one chunk."""
        self.writer.write(b"".join(wire(frame, self.masks) for frame in frames))

    def write(self, data: str | bytes) -> None:
        """Write bytes, or the bytes of a hex text, as they are."""
        self.writer.write(bytes.fromhex(data) if isinstance(data, str) else data)

    async def hear(self) -> str:
        """Return the next frame, unmasked, or "FIN"."""
        head = b""
        while (header := read_header(head)) is None:
            byte = await self.reader.read(1)
            if not byte:
                return "FIN"
            head += byte
        payload = await self.reader.readexactly(header.length)
        if header.masking_key:
            payload = mask(header.masking_key, payload)
        return f"{head[0]:02x} {payload.hex()}".strip()

    async def hear_all(self) -> list[str]:
        """Return all frames until FIN, without pings."""
        frames = []
        while (frame := await self.hear()) != "FIN":
            if not frame.startswith("89"):
                frames.append(frame)
        return frames

    def end(self) -> None:
        """Write FIN and go on reading."""
        self.writer.write_eof()

    def hang_up(self) -> None:
        self.writer.close()


Handler = Callable[[Any], Awaitable[object]]


async def meet(side: str, handler: Handler, *, raw: bool = False, lines: str = "", **options: Any) -> Peer:
    """Return the peer of a session of ours, the server's or the client's, that runs the handler.

    Args:
        lines: more of them for the peer's head, each with its end.
    """
    met = meet_server if side == "server" else meet_client
    return await met(handler, raw, lines, options)


def with_lines(head: str, lines: str) -> bytes:
    """Return a head with more lines at its end."""
    return (head.removesuffix("\r\n") + lines + "\r\n").encode()


async def meet_server(handler: Handler, raw: bool, lines: str, options: dict[str, Any]) -> Peer:
    app = Application()
    app.install(WebSockets, **options)
    opened = asyncio.get_running_loop().create_future()

    async def serve(session):
        opened.set_result((session, asyncio.current_task()))
        await handler(session)

    (app.websocket_raw if raw else app.websocket)("/")(serve)
    server = await app.start("server", 80)
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(with_lines(UPGRADE.decode(), lines))
    await reader.readuntil(b"\r\n\r\n")
    peer = Peer(reader, writer, masks=True)
    peer.session, peer.handler = await opened
    peer.server = server
    return peer


async def meet_client(handler: Handler, raw: bool, lines: str, options: dict[str, Any]) -> Peer:
    loop = asyncio.get_running_loop()
    accepted, opened = loop.create_future(), loop.create_future()

    async def accept(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        writer.write(with_lines(ANSWER.format(accept_key(key)), lines))
        accepted.set_result(Peer(reader, writer, masks=False))

    async def use():
        async with (connect_raw if raw else connect)("ws://server/", **options) as session:
            opened.set_result(session)
            await handler(session)

    await asyncio.start_server(accept, "server", 80)
    using = loop.create_task(use())
    peer = await accepted
    peer.session, peer.handler = await opened, using
    return peer


class Listener:
    """A handler that reads to the end and keeps what it saw: frames, then "end" or the error."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def __call__(self, session: Any) -> None:
        try:
            async for frame in session.incoming:
                self.seen.append(frame)
        except Exception as error:
            self.seen.append(error)
            raise
        self.seen.append("end")


async def echo(session: Any) -> None:
    async for frame in session.incoming:
        await session.send(frame)


def converse(side: str, script: Callable[[Peer], Awaitable[Any]], handler: Handler = echo, **options: Any):
    """Run `script(peer)` against a session of ours on virtual time, without pings unless asked for."""

    async def scene(net):
        peer = await meet(side, handler, **{"ping_period": None} | options)
        peer.net = net
        return await script(peer)

    return simulate(scene)


async def until(holds: Callable[[], object]) -> None:
    """Wait on a real loop until something holds that wakes nobody."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
