"""Measures what an echo of 64 bytes costs a server: wslearn, its trace on, beside websockets.asyncio.

    python tests/benchmarks/echo.py [--connections 10] [--seconds 1] [--repeats 9]

Each server is a process of its own and tells its own CPU time; on Linux its instructions are counted too,
which other load on the machine disturbs least. The load is one process with plain sockets: a frame is masked
once and sent again and again, to all connections in turn, and its echo is read before the next round. The two
servers alternate within each repeat, and a ratio is taken within a repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import math
import os
import platform
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from websockets.asyncio.server import ServerConnection, serve

from wslearn import Application, Session, WebSockets
from wslearn.codec import encode
from wslearn.frames import Close, CloseReason, Text

KEY = b"\x37\xfa\x21\x3d"
TEXT = Text(b"0123456789abcdef" * 4)
QUESTION = encode(TEXT, masking_key=KEY)
ANSWER = encode(TEXT)
CLOSE = encode(Close(CloseReason(1000)), masking_key=KEY)
REQUEST = (
    b"GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}


async def serve_wslearn() -> None:
    app = Application()
    app.install(WebSockets)

    @app.websocket("/echo")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    server = await app.start()
    print(server.port, flush=True)
    await server.serve_forever()


async def serve_websockets() -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


SERVERS: dict[str, Callable] = {"wslearn": serve_wslearn, "websockets": serve_websockets}


def answer_with_cpu_time() -> None:
    """Print the CPU seconds of this process for each line that comes in, and leave with the last one."""
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    os._exit(0)


class Server:
    """A server in its own process."""

    def __init__(self, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self.process.stdout.readline())

    def cpu_seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def load(self, connections: int, seconds: float) -> tuple[float, float]:
        """Return CPU microseconds and thousands of instructions for one echo."""
        # New ones for each sample: they are gone before a server sends its first ping.
        clients = [connected(self.port) for _ in range(connections)]
        echoes_in(seconds / 5, clients)
        instructions, before = Instructions(self.process.pid), self.cpu_seconds()
        echoes = echoes_in(seconds, clients)
        used, counted = self.cpu_seconds() - before, instructions.read()
        for client in clients:
            say_good_bye(client)
        return 1e6 * used / echoes, counted / echoes / 1000

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def echoes_in(seconds: float, clients: list[socket.socket]) -> int:
    """Send and read for a while; return the number of echoes."""
    echoes, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for client in clients:
            client.sendall(QUESTION)
        for client in clients:
            assert client.recv(len(ANSWER), socket.MSG_WAITALL) == ANSWER
        echoes += len(clients)
    return echoes


def say_good_bye(client: socket.socket) -> None:
    """Close as the protocol wants it, so that no server logs an error into the next sample."""
    client.sendall(CLOSE)
    while client.recv(4096):
        pass
    client.close()


def connected(port: int) -> socket.socket:
    """Return a socket behind its opening handshake."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


class Instructions:
    """Counts the instructions of all threads of a process from now on; not a number where it cannot."""

    def __init__(self, pid: int) -> None:
        # struct perf_event_attr: hardware event 1, instructions, of user and kernel
        attributes = struct.pack("IIQQQQQIIQ", 0, 64, 1, 0, 0, 0, 0, 0, 0, 0)
        number = PERF_EVENT_OPEN.get(platform.machine())
        self.counters: list[int] = []
        if sys.platform == "linux" and number:
            call = ctypes.CDLL(None).syscall
            threads = map(int, os.listdir(f"/proc/{pid}/task"))
            self.counters = [call(number, attributes, thread, -1, -1, 0) for thread in threads]

    def read(self) -> float:
        usable = [counter for counter in self.counters if counter >= 0]
        total = sum(struct.unpack("q", os.read(counter, 8))[0] for counter in usable)
        for counter in usable:
            os.close(counter)
        return total if usable and len(usable) == len(self.counters) else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1, help="of a sample, at most 10")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    choices = parser.parse_args()
    if choices.serve:
        threading.Thread(target=answer_with_cpu_time, daemon=True).start()
        asyncio.run(SERVERS[choices.serve]())
        return
    servers = {name: Server(name) for name in SERVERS}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    for repeat in range(choices.repeats):
        for name in list(servers)[:: 1 if repeat % 2 else -1]:
            runs[name].append(servers[name].load(choices.connections, choices.seconds))
    for server in servers.values():
        server.stop()
    print(f"{choices.connections} connections, {choices.repeats} x {choices.seconds:g} s: median (range)")
    for column, unit in enumerate(("CPU µs", "thousand instructions")):
        report(unit, {name: [each[column] for each in run] for name, run in runs.items()})


def report(unit: str, runs: dict[str, list[float]]) -> None:
    """Print what one echo costs each server, and the ratio; nothing where it could not be counted."""
    if any(math.isnan(value) for run in runs.values() for value in run):
        return
    ratios = [ours / theirs for ours, theirs in zip(runs["wslearn"], runs["websockets"], strict=True)]
    for name, run in (runs | {"ratio": ratios}).items():
        low, middle, high = min(run), statistics.median(run), max(run)
        print(f"{unit} per echo, {name:<12} {middle:6.2f}  ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
