"""Measures an hour of pings in a simulation, wslearn beside websockets, and a heat map of keepalive.

python tests/benchmarks/simulation.py [--repeats 5] [--processes N]

Both libraries ping every second over one session on the same loop and network; they alternate, and a ratio is
taken within a repeat. CPU time is this process's own; the heat map's is the wall's, on all cores.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Coroutine
from typing import Any

import websockets.asyncio.client
import websockets.asyncio.server

from wslearn import Application, Session, WebSockets, connect, simulate
from wslearn.lab.keepalive import KTOR, sweep

HOUR, LATENCY = 3600, 0.05


async def hour_of_wslearn(net: Any) -> None:
    app = Application()
    app.install(WebSockets, ping_period=1)

    @app.websocket("/")
    async def read(session: Session) -> None:
        async for _ in session.incoming:
            pass

    async with app.start("server", 80) as server, connect(server.url()):
        await asyncio.sleep(HOUR)


async def hour_of_websockets(net: Any) -> None:
    server = websockets.asyncio.server.serve(lambda peer: peer.wait_closed(), "server", 80, ping_interval=1)
    client = websockets.asyncio.client.connect("ws://server/", ping_interval=None, proxy=None)
    async with server, client:
        await asyncio.sleep(HOUR)


def cpu(scene: Callable[[Any], Coroutine[Any, Any, None]]) -> float:
    """Return the seconds of CPU that a scene takes."""
    gc.collect()
    start = time.process_time()
    simulate(scene, latency=LATENCY)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int)
    arguments = parser.parse_args()
    pairs = [(cpu(hour_of_wslearn), cpu(hour_of_websockets)) for _ in range(arguments.repeats)]
    ours, ratio = min(ours for ours, _ in pairs), statistics.median(theirs / ours for ours, theirs in pairs)
    print(f"an hour of pings: {ours:.3f} s of CPU, websockets takes {ratio:.2f} times as much")
    start = time.perf_counter()
    sweep(
        KTOR,
        [0.5 + 0.75 * step for step in range(40)],
        [0.25 + 0.25 * step for step in range(40)],
        processes=arguments.processes,
        progress=lambda done, total: print(f"\r{done} of {total} rows", end="", flush=True),
    )
    print(f"\r40 × 40 cells of 20 runs: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
