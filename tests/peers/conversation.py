"""What every peer says and hears: one conversation, told in lines that are the same whoever has it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from helpers import echo, until
from installing import installed

from wslearn import Application, CloseReason, Deflate, Text, WebSockets

HERE = Path(__file__).parent
WS = "ws@8.23.0"
TEXTS = ["", "Hello", "ü" * 100, "a" * 65536, "é" * 2**23]
SIZES = [0, 256, 70_000, 2**24]
MESSAGES = [*TEXTS, *((bytes(range(251)) * (size // 251 + 1))[:size] for size in SIZES)]
PARTS = ["a", "ü", "b"]
CODES = [1000, 1001, 1011, 3000, 4999]
LIMIT = 120  # seconds, for a machine that has much else to do

BY_BROWSERS = [
    *(f"echoed text {len(text)}" for text in TEXTS),
    *(f"echoed binary {size}" for size in SIZES),
    "left 4000 bye",
    "fragments aüb",
    "latency answered",
    "chat chat chat",
    *(f"closed {code} bye" for code in CODES),
]
BY_ALL = [*BY_BROWSERS, "fragmented aüb", "pong hello"]

NARROW = Deflate(
    client_no_context_takeover=True,
    server_no_context_takeover=True,
    client_max_window_bits=9,
    server_max_window_bits=9,
)
ways = pytest.mark.parametrize(
    ("scheme", "extensions"),
    [("ws", []), ("wss", []), ("ws", [Deflate()]), ("ws", [NARROW])],
    ids=["ws", "wss", "compressed", "compressed with all four parameters"],
)


def described(sent: str | bytes, received: str | bytes) -> str:
    if sent != received:
        return "something else"
    return f"text {len(sent)}" if isinstance(sent, str) else f"binary {len(sent)}"


def application(**options) -> Application:
    """Return our half of the conversation, as a server."""
    app = Application()
    app.install(WebSockets, **{"max_frame_size": 2**25} | options)
    app.websocket("/")(echo)

    @app.get("/")
    async def page(call):
        return "a page whose scripts may talk"

    @app.websocket("/fragments")
    async def fragments(session):
        for part in PARTS:
            await session.send(Text(part, fin=part is PARTS[-1]))
        await session.close_reason

    @app.websocket("/latency")
    async def latency(session):
        session.ping_period = 0.01
        await until(lambda: session.latency is not None)
        await session.send("answered")
        await session.close_reason

    @app.websocket("/chat", protocol="chat")
    async def chat(session):
        await session.send(session.protocol)
        await session.close_reason

    @app.websocket("/close/{code}")
    async def close(session):
        await session.close(CloseReason(int(session.call.parameters["code"]), "bye"))

    return app


class Threaded:
    """A synchronous connection of `websockets` whose methods are awaited, as those of an asynchronous one."""

    def __init__(self, peer) -> None:
        self._peer = peer

    def __getattr__(self, name: str):
        found = getattr(self._peer, name)
        return partial(asyncio.to_thread, found) if callable(found) else found

    async def ping(self, payload: str):
        answered = await asyncio.to_thread(self._peer.ping, payload)
        return asyncio.to_thread(answered.wait, LIMIT)


@asynccontextmanager
async def running(*command: str | Path, **environment: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program as long as the block runs; what it prints is read here."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=os.environ | environment
    )
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                # process.kill() would look whether it is over, and take what the loop waits for
                os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def node_path() -> str:
    """Return where node finds `ws`."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here: its WebSocket package `ws` talks with us")
    npm = "npm install --silent --no-audit --no-fund --fetch-retries=1 --prefix {folder}"
    return str(installed(WS, *npm.split(), WS) / "node_modules")
