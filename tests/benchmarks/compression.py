"""Measures what a compressed echo of 1 KiB of JSON costs a server, beside websockets.asyncio in the same run.

    python tests/benchmarks/compression.py [--seconds 1] [--repeats 9] [--level 6]

Both servers have the same window, memory and level of zlib, keep their context, and are processes of their
own whose CPU time is counted. The load is one process that compresses as a client does. The servers
alternate within each repeat, and a ratio is taken within a repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import threading

from speed import KEY, CpuTime, answer_with_cpu_time, say_good_bye, turns
from websockets.asyncio.server import ServerConnection, serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from wslearn import Application, Deflate, Session, Text, WebSockets
from wslearn.codec import encode, read_header
from wslearn.extensions import Deflater, Inflater

CONNECTIONS = 10
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


async def serve_wslearn(level: int) -> None:
    app = Application()
    app.install(WebSockets, ping_period=None, extensions=[Deflate(level=level)])

    @app.websocket("/")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    server = await app.start()
    print(server.port, flush=True)
    await server.serve_forever()


async def serve_websockets(level: int) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    deflate = ServerPerMessageDeflateFactory(compress_settings={"level": level})
    async with serve(
        echo, "127.0.0.1", 0, ping_interval=None, compression=None, extensions=[deflate]
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


SERVERS = {"wslearn": serve_wslearn, "websockets": serve_websockets}


class Client:
    """One connection that sends scores, each a little different from the last."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(REQUEST)
        self.reader = self.socket.makefile("rb")
        head = b"".join(iter(self.reader.readline, b"\r\n"))
        assert b"permessage-deflate" in head
        self.deflater, self.inflater = Deflater(15, True, 1), Inflater()
        self.number = 0

    def ask(self) -> None:
        self.number += 1
        goals = [{"minute": minute, "player": f"player {minute * 7}"} for minute in range(26)]
        self.sent = json.dumps({"match": self.number, "goals": goals}).encode()
        frame = Text(self.deflater.deflate(self.sent, True), rsv1=True)
        self.socket.sendall(encode(frame, masking_key=KEY))

    def hear(self) -> None:
        head = self.reader.read(2)
        if head[1] == 126:
            head += self.reader.read(2)
        payload = self.reader.read(read_header(head).length)
        assert self.inflater.inflate(payload) == self.sent


def cost(port: int, meter: CpuTime, seconds: float) -> float:
    """Return the CPU time of one echo, in microseconds."""
    clients = [Client(port) for _ in range(CONNECTIONS)]
    echo_all(clients, seconds / 5)
    before = meter.read()
    echoes = echo_all(clients, seconds)
    used = meter.read() - before
    for client in clients:
        say_good_bye(client.socket)
    return used / echoes


def echo_all(clients: list[Client], seconds: float) -> int:
    echoes = 0
    for _ in turns(seconds):
        for client in clients:
            client.ask()
        for client in clients:
            client.hear()
        echoes += len(clients)
    return echoes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=1, help="of a sample")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--level", type=int, default=6)
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    choices = parser.parse_args()
    if choices.serve:
        threading.Thread(target=answer_with_cpu_time, daemon=True).start()
        asyncio.run(SERVERS[choices.serve](choices.level))
    else:
        compare(choices.level, choices.seconds, choices.repeats)


def compare(level: int, seconds: float, repeats: int) -> None:
    command = [sys.executable, __file__, "--level", str(level), "--serve"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    servers = {name: subprocess.Popen([*command, name], **pipes) for name in SERVERS}
    ports = {name: int(server.stdout.readline()) for name, server in servers.items()}
    runs: dict[str, list[float]] = {name: [] for name in SERVERS}
    for repeat in range(repeats):
        for name in list(SERVERS)[:: 1 if repeat % 2 else -1]:
            runs[name].append(cost(ports[name], CpuTime(servers[name]), seconds))
    for server in servers.values():
        server.stdin.close()
        server.wait()
    ratios = [ours / theirs for ours, theirs in zip(runs["wslearn"], runs["websockets"], strict=True)]
    for name, run in runs.items():
        print(
            f"µs CPU per echo, {name:<12} {statistics.median(run):6.1f}  ({min(run):.1f} to {max(run):.1f})"
        )
    print(f"ratio {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
