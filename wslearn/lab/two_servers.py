"""What two servers answer to bytes: ours, which decides, and that of websockets, which is the witness.

Both echo. Here bytes go out and come back; what they mean is the judges'.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from wslearn import Application, Session, WebSockets, simulate
from wslearn.simulation import SimulatedNetwork

REQUEST = (
    b"GET /echo HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


Ask = Callable[[bytes], Awaitable[bytes]]

# A refused handshake is an error in the log of websockets; here it is an answer.
QUIET = logging.Logger("two_servers", logging.CRITICAL)


async def post(wire: bytes) -> bytes:
    """Shake hands, write these bytes, and return what comes back within a second."""
    reader, writer = await asyncio.open_connection("server", 80)
    writer.write(REQUEST)
    await reader.readuntil(b"\r\n\r\n")
    return await _within_a_second(reader, writer, wire)


async def knock(request: bytes) -> bytes:
    """Write these bytes to a new connection, and return what comes back within a second."""
    return await _within_a_second(*await asyncio.open_connection("server", 80), request)


async def _within_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: bytes) -> bytes:
    writer.write(wire)
    await asyncio.sleep(1)
    writer.close()
    return await reader.read()


def echoing(max_frame_size: int = 2**20) -> Application:
    """Return an application that sends back what comes to `/echo`."""
    app = Application()
    app.install(WebSockets, ping_period=None, max_frame_size=max_frame_size)

    @app.websocket("/echo")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    return app


def ours(*wires: bytes, max_frame_size: int = 2**20, ask: Ask = post) -> list[bytes]:
    """Return what our server answers to each, on a connection of its own."""

    async def scene(net: SimulatedNetwork) -> list[bytes]:
        async with echoing(max_frame_size).start("server", 80):
            return [await ask(wire) for wire in wires]

    return simulate(scene)


def theirs(*wires: bytes, max_size: int = 2**20, ask: Ask = post) -> list[bytes]:
    """Return what the server of websockets answers to each."""

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)

    async def scene(net: SimulatedNetwork) -> list[bytes]:
        async with serve(echo, "server", 80, max_size=max_size, ping_interval=None, logger=QUIET):
            return [await ask(wire) for wire in wires]

    return simulate(scene)
