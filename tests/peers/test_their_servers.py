"""Our client on loopback, and the servers that nobody here wrote: Python's and node's."""

import asyncio
import logging
import threading
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import websockets.asyncio.server
import websockets.sync.server
from conversation import (
    BY_ALL,
    CODES,
    HERE,
    LIMIT,
    MESSAGES,
    NARROW,
    PARTS,
    Threaded,
    described,
    node_path,
    running,
    ways,
)
from helpers import until
from websockets.exceptions import ConnectionClosed

from wslearn import CloseReason, Deflate, Ping, Pong, Text, connect


async def talk(url: str, ssl, extensions) -> list[str]:
    """Have the conversation as a client."""
    lines = []

    def opened(path: str = "", **options):
        return connect(url + path, ssl=ssl, max_frame_size=2**25, extensions=extensions, **options)

    async with opened() as session:
        assert [type(extension) for extension in session.extensions] == list(map(type, extensions))
        assert (
            NARROW not in extensions or session.extension(Deflate).parameters.keys() == NARROW.offer().keys()
        )
        for message in MESSAGES:
            await session.send(message)
            frame = await session.incoming.receive()
            received = frame.read_text() if isinstance(frame, Text) else frame.read_bytes()
            lines.append(f"echoed {described(message, received)}")
        await session.close(CloseReason(4000, "bye"))
        reason = await session.close_reason
        lines.append(f"left {reason.code} {reason.message}")
    for path in ["fragments", "latency"]:
        async with opened(path) as session:
            lines.append(f"{path} {(await session.incoming.receive()).read_text()}")
    async with opened("chat", protocols=["other", "chat"]) as session:
        lines.append(f"chat {(await session.incoming.receive()).read_text()} {session.protocol}")
    for code in CODES:
        async with opened(f"close/{code}") as session:
            reason = await session.close_reason
            assert reason.by == "peer"
            lines.append(f"closed {reason.code} {reason.message}")
    async with opened(ping_period=0.01) as session:
        for part in PARTS:
            await session.send(Text(part, fin=part is PARTS[-1]))
        lines.append(f"fragmented {(await session.incoming.receive()).read_text()}")
        await session.send(Ping(b"hello"))
        await until(lambda: Pong(b"hello") in [traced.frame for traced in session.trace.frames])
        await until(lambda: session.latency is not None)
        lines.append("pong hello")
    return lines


def chosen(connection, offered: list[str]) -> str | None:
    return "chat" if "chat" in offered else None


def serving(left: asyncio.Queue):
    """Return the other half of the conversation, for a server of `websockets`."""

    async def serve(peer) -> None:
        path, _, code = peer.request.path[1:].partition("/")
        match path:
            case "":
                with suppress(ConnectionClosed):
                    while True:
                        await peer.send(await peer.recv())
                left.put_nowait(f"left {peer.close_code} {peer.close_reason}")
            case "fragments":
                await peer.send(PARTS)
            case "latency":
                await (await peer.ping("hello"))
                await peer.send("answered")
            case "chat":
                await peer.send(peer.subprotocol)
            case "close":
                await peer.close(int(code), "bye")

    return serve


def options(tls) -> dict[str, Any]:
    return {"max_size": 2**25, "select_subprotocol": chosen, "ssl": tls and tls.serving}


@asynccontextmanager
async def asynchronous(tls):
    left = asyncio.Queue()
    async with websockets.asyncio.server.serve(serving(left), "127.0.0.1", 0, **options(tls)) as server:
        yield server.sockets[0].getsockname()[1], left.get


@asynccontextmanager
async def synchronous(tls):
    left = asyncio.Queue()
    serve, loop = serving(left), asyncio.get_running_loop()

    def serve_in_a_thread(peer) -> None:
        asyncio.run_coroutine_threadsafe(serve(Threaded(peer)), loop).result(LIMIT)

    server = websockets.sync.server.serve(serve_in_a_thread, "127.0.0.1", 0, **options(tls))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.socket.getsockname()[1], left.get
    await asyncio.to_thread(server.shutdown)


@asynccontextmanager
async def node(tls):
    files = [] if tls is None else [tls.certificate, tls.key]
    async with running("node", HERE / "server.js", *files, NODE_PATH=node_path()) as output:

        async def told() -> str:
            return (await output.readline()).decode().strip()

        yield int(await told()), told


@ways
@pytest.mark.parametrize("peer", [asynchronous, synchronous, node])
def test_our_client_talks_with_their_server(certificate, peer, scheme, extensions, caplog):
    tls = certificate if scheme == "wss" else None

    async def main():
        async with peer(tls) as (port, told):
            lines = await talk(f"{scheme}://127.0.0.1:{port}/", tls and tls.trusting, extensions)
            return lines, await told()

    caplog.set_level(logging.WARNING)
    lines, told = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert lines == BY_ALL
    assert told == "left 4000 bye"
    assert caplog.messages == []
