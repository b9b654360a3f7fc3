"""Measures what a server costs: wslearn, its trace on, as a ratio to websockets.asyncio in the same run.

    python tests/benchmarks/speed.py [scenario ...] [--seconds 1] [--repeats 5] [--callgrind]

Each server is a process of its own. What is counted is its instructions, of user and kernel, where the
machine has counters for them, else its CPU time; with `--callgrind` its instructions of user, which are the
same under any load, but take valgrind and 50 times as long. The load is one process with plain sockets: a
frame is masked once and sent again and again. The servers alternate within each repeat, and a ratio is
taken within a repeat. Both send pings, so seldom that none falls into a sample. Each scenario has a trace
of its own, full from the start as it is after a while; an empty one where memory is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import os
import platform
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from websockets.asyncio.server import ServerConnection, broadcast, serve

from wslearn import Application, Session, SharedFlow, Trace, WebSockets
from wslearn.codec import encode
from wslearn.frames import Binary, Close, CloseReason, Frame, Text

KEY = b"\x37\xfa\x21\x3d"
CLOSE = encode(Close(CloseReason(1000)), masking_key=KEY)
CLOSED = encode(Close(CloseReason(1000)))
REQUEST = (
    b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SELDOM = 120
"""Seconds between two pings."""


class Scenario(NamedTuple):
    """What all connections do in one round.

    Args:
        rounds: what callgrind counts.
        depth: messages that each connection has in flight.
    """

    text: str
    connections: int
    rounds: int = 0
    message: Frame | None = None
    depth: int = 1
    path: bytes = b"/echo"


SHORT = Text(b"0123456789abcdef" * 4)
SCENARIOS = {
    "one": Scenario("64 bytes, 1 connection", 1, 1000, SHORT),
    "ten": Scenario("64 bytes, 10 connections", 10, 100, SHORT),
    "hundred": Scenario("64 bytes, 100 connections", 100, 10, SHORT),
    "flight": Scenario("64 bytes, 32 in flight", 1, 30, SHORT, depth=32),
    "16k": Scenario("16 KiB, 10 connections", 10, 50, Binary(bytes(16 * 1024))),
    "1m": Scenario("1 MiB, 2 connections", 2, 10, Binary(bytes(1024 * 1024))),
    "open": Scenario("open and close", 8, 20),
    "broadcast": Scenario("broadcast to 500", 500, 20, SHORT, path=b"/broadcast"),
    "collect": Scenario("the same, step by step", 500, 20, SHORT, path=b"/collect"),
    "idle": Scenario("KiB of an idle connection", 1000),
}


# ── the servers ──────────────────────────────────────────────────────────────────────────────────────


async def serve_wslearn(scenarios: list[str]) -> None:
    servers = [await application().start() for _ in scenarios]
    for server, name in zip(servers, scenarios, strict=True):
        if name != "idle":
            fill(server.trace, encode(SCENARIOS[name].message or SHORT))
    gc.collect()  # once and now: what nine traces took in at one stroke is none of a message's cost
    print(*(server.port for server in servers), flush=True)
    await servers[0].serve_forever()


def application() -> Application:
    app = Application()
    app.install(WebSockets, ping_period=SELDOM)
    flow: SharedFlow[Frame] = SharedFlow()

    @app.websocket("/echo")
    async def echo(session: Session) -> None:
        async for frame in session.incoming:
            await session.send(frame)

    @app.websocket("/collect")
    async def to_all_in_steps(session: Session) -> None:
        async def forward() -> None:
            async for frame in flow.collect():
                await session.send(frame)

        session.launch(forward())
        async for frame in session.incoming:
            await flow.emit(frame)

    @app.websocket("/broadcast")
    async def to_all(session: Session) -> None:
        session.launch(flow.collect_into(session.outgoing))
        async for frame in session.incoming:
            await flow.emit(frame)

    return app


def fill(trace: Trace, chunk: bytes) -> None:
    while not trace.dropped.chunks:
        trace.record(0.0, 0, "server", chunk)


async def serve_websockets(scenarios: list[str]) -> None:
    clients: set[ServerConnection] = set()

    async def handle(connection: ServerConnection) -> None:
        if connection.request.path == "/echo":
            async for message in connection:
                await connection.send(message)
            return
        clients.add(connection)
        async for message in connection:
            broadcast(clients, message)
        clients.remove(connection)

    async with serve(handle, "127.0.0.1", 0, ping_interval=SELDOM) as server:
        print(*(server.sockets[0].getsockname()[1] for _ in scenarios), flush=True)
        await server.serve_forever()


SERVERS: dict[str, Callable] = {"wslearn": serve_wslearn, "websockets": serve_websockets}


def answer_with_cpu_time() -> None:
    """Print the CPU seconds of this process for each line that comes in, and leave with the last one."""
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    os._exit(0)


# ── the meters: each tells what a process has cost since the meter began, and its unit ────────────────


class CpuTime:
    unit = "µs"

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def read(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return 1e6 * float(self.process.stdout.readline())


class Counters:
    """The machine's own counters of instructions, of all threads of a process.

    Raises:
        OSError: there are none, or not for us.
    """

    unit = "thousand instructions"
    # struct perf_event_attr: hardware event 1, instructions, of user and kernel
    attributes = struct.pack("IIQQQQQIIQ", 0, 64, 1, 0, 0, 0, 0, 0, 0, 0)
    perf_event_open: ClassVar = {"x86_64": 298, "aarch64": 241}

    def __init__(self, process: subprocess.Popen) -> None:
        number = self.perf_event_open.get(platform.machine()) if sys.platform == "linux" else None
        if number is None:
            raise OSError("no counters of instructions are known here")
        call = ctypes.CDLL(None, use_errno=True).syscall
        threads = map(int, os.listdir(f"/proc/{process.pid}/task"))
        self.counters = [call(number, self.attributes, thread, -1, -1, 0) for thread in threads]
        if -1 in self.counters:
            raise OSError(ctypes.get_errno(), "no counters of instructions")

    def read(self) -> float:
        return sum(struct.unpack("q", os.read(counter, 8))[0] for counter in self.counters) / 1000


class Callgrind:
    unit = "thousand instructions of user"
    command = ("valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=callgrind.out")
    # valgrind takes each byte that one instruction copies for an instruction
    environment: ClassVar = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-ERMS"}

    def __init__(self, process: subprocess.Popen, directory: str) -> None:
        self.pid = process.pid
        self.directory = Path(directory)
        self.total = 0.0

    def read(self) -> float:
        subprocess.run(["callgrind_control", "--dump", str(self.pid)], stdout=subprocess.DEVNULL, check=True)
        for part in self.directory.glob("callgrind.out.*"):
            self.total += int(re.search(r"^totals: (\d+)", part.read_text(), re.MULTILINE)[1]) / 1000
            part.unlink()
        return self.total


class Server:
    """A server in its own process."""

    def __init__(self, name: str, scenarios: list[str], callgrind: bool = False) -> None:
        self.directory = tempfile.TemporaryDirectory()
        command, environment = (Callgrind.command, Callgrind.environment) if callgrind else ((), {})
        self.process = subprocess.Popen(
            [*command, sys.executable, __file__, "--serve", name, *scenarios],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=self.directory.name,
            env=os.environ | environment,
        )
        self.ports = dict(zip(scenarios, map(int, self.process.stdout.readline().split()), strict=True))
        self.meter = Callgrind(self.process, self.directory.name) if callgrind else self._meter()

    def _meter(self) -> Counters | CpuTime:
        try:
            return Counters(self.process)
        except OSError:
            return CpuTime(self.process)

    def memory(self) -> float:
        """Return the resident memory in KiB."""
        return float(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.process.pid)]))

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.directory.cleanup()


# ── the load ─────────────────────────────────────────────────────────────────────────────────────────


def connected(port: int, path: bytes) -> socket.socket:
    """Return a socket behind its opening handshake."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(REQUEST % path)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return client


def say_good_bye(client: socket.socket) -> None:
    """Close as the protocol wants it, so that no server logs an error into the next sample."""
    client.sendall(CLOSE)
    assert client.recv(4096, socket.MSG_WAITALL) == CLOSED
    client.close()


def exchange(clients: list[socket.socket], scenario: Scenario, rounds: Iterable[object]) -> int:
    """Send and read in rounds; return the number of messages that the server sent."""
    is_echo = scenario.path == b"/echo"
    question = encode(scenario.message, masking_key=KEY) * scenario.depth
    answer = encode(scenario.message) * scenario.depth
    done = 0
    for _ in rounds:
        for client in clients if is_echo else clients[:1]:
            client.sendall(question)
        for client in clients:
            assert client.recv(len(answer), socket.MSG_WAITALL) == answer
        done += len(clients) * scenario.depth
    return done


def come_and_go(port: int, scenario: Scenario, rounds: Iterable[object]) -> int:
    """Open and close connections in rounds; return their number."""
    done = 0
    for _ in rounds:
        clients = [connected(port, scenario.path) for _ in range(scenario.connections)]
        for client in clients:
            say_good_bye(client)
        done += len(clients)
    return done


def turns(seconds: float) -> Iterator[None]:
    """Yield for a while."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        yield


def cost(server: Server, name: str, seconds: float) -> float:
    """Return what one message or connection costs the server."""
    scenario, port = SCENARIOS[name], server.ports[name]
    counted = isinstance(server.meter, Callgrind)
    warm, measured = (5, scenario.rounds) if counted else (seconds / 5, seconds)
    rounds = range if counted else turns
    if scenario.message is None:
        come_and_go(port, scenario, rounds(warm))
        before = server.meter.read()
        done = come_and_go(port, scenario, rounds(measured))
        return (server.meter.read() - before) / done
    clients = [connected(port, scenario.path) for _ in range(scenario.connections)]
    time.sleep(0.3)  # a handler begins behind its 101, and what it launches later still
    exchange(clients, scenario, rounds(warm))
    before = server.meter.read()
    done = exchange(clients, scenario, rounds(measured))
    used = server.meter.read() - before
    for client in clients:
        say_good_bye(client)
    return used / done


def idle_memory(name: str) -> float:
    """Return KiB for each of many connections that are open and silent."""
    server = Server(name, ["idle"])
    port = server.ports["idle"]
    say_good_bye(connected(port, b"/echo"))
    before = server.memory()
    clients = [connected(port, b"/echo") for _ in range(SCENARIOS["idle"].connections)]
    used = server.memory() - before
    for client in clients:
        say_good_bye(client)
    server.stop()
    return used / len(clients)


# ── the report ───────────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all if none is named")
    parser.add_argument("--seconds", type=float, default=1, help="of a sample, at most 10")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--callgrind", action="store_true", help="count instructions; one repeat is enough")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    choices = parser.parse_args()
    scenarios = choices.scenarios or list(SCENARIOS)
    if unknown := set(scenarios) - set(SCENARIOS):
        parser.error(f"no scenarios: {', '.join(sorted(unknown))}")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if choices.serve:
        threading.Thread(target=answer_with_cpu_time, daemon=True).start()
        asyncio.run(SERVERS[choices.serve](scenarios))
    else:
        compare(scenarios, choices.seconds, 1 if choices.callgrind else choices.repeats, choices.callgrind)


def compare(scenarios: list[str], seconds: float, repeats: int, callgrind: bool) -> None:
    """Measure all servers, and print a line for each scenario."""
    servers = {name: Server(name, scenarios, callgrind) for name in SERVERS}
    for scenario in scenarios:
        runs: dict[str, list[float]] = {name: [] for name in SERVERS}
        for repeat in range(repeats):
            for name in list(SERVERS)[:: 1 if repeat % 2 else -1]:
                is_idle = scenario == "idle"
                used = idle_memory(name) if is_idle else cost(servers[name], scenario, seconds)
                runs[name].append(used)
        report(SCENARIOS[scenario].text, runs)
    print(f"websockets.asyncio = 1; the rest in {servers['wslearn'].meter.unit} per message or connection")
    for server in servers.values():
        server.stop()


def report(text: str, runs: dict[str, list[float]]) -> None:
    """Print the ratio and its range, and the medians that it is made of."""
    ratios = [ours / theirs for ours, theirs in zip(runs["wslearn"], runs["websockets"], strict=True)]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    ours, theirs = (statistics.median(runs[name]) for name in SERVERS)
    print(f"{text:<25} {statistics.median(ratios):5.2f}{spread}  {ours:,.1f} / {theirs:,.1f}", flush=True)


if __name__ == "__main__":
    main()
