"""Keepalive policies: the arithmetic is held against the libraries themselves, on the same link."""

import asyncio
import math
import random
from itertools import pairwise

import pytest
import tornado.ioloop
from tornado.websocket import WebSocketProtocol13, _WebSocketParams
from websockets.asyncio.server import serve

from wslearn import Application, CloseReason, Ping, Pong, WebSockets, connect, simulate
from wslearn.lab.keepalive import (
    KTOR,
    POLICIES,
    TORNADO,
    WEBSOCKETS,
    Life,
    Link,
    Stall,
    beats,
    healthy_hour,
    live,
    sweep,
)

OPENING = 3
"""The ways after which the server's session opens: SYN, SYN-ACK, and the request behind the ACK."""
UNTIL = 900
LINKS = {
    "calm": Link(0.25),
    "cut": Link(0.25, [Stall(100.4, math.inf)]),
    "stalls": Link(0.25, [Stall(33, 4), Stall(71.3, 2), Stall(150, 8)]),
    "short stalls": Link(0.05, healthy_hour(random.Random(3), every=40, longest=3.5)),
    "slow": Link(1.2, [Stall(200, 1)]),
}


async def _ktor(period, timeout):
    app = Application()
    app.install(WebSockets, ping_period=period, timeout=timeout)

    @app.websocket("/")
    async def read(session):
        async for _ in session.incoming:
            pass

    return await app.start("server", 80)


async def _websockets(period, timeout):
    return await serve(
        lambda peer: peer.wait_closed(), "server", 80, ping_interval=period, ping_timeout=timeout
    )


class TornadoOnOurWire(WebSocketProtocol13):
    """Tornado's own coroutine that pings, on a raw session."""

    def __init__(self, session, period, timeout):
        self.params = _WebSocketParams(ping_interval=period, ping_timeout=timeout)
        self.session = session
        self.close_reason = None

    def write_ping(self, data):
        self.session.outgoing.try_send(Ping(data))

    def close(self, code=None, reason=None):
        self.close_reason = (1000 if code is None else code, reason)


async def _tornado(period, timeout):
    app = Application()
    app.install(WebSockets)

    async def hear(session, protocol):
        async for frame in session.incoming:
            protocol._received_pong |= isinstance(frame, Pong)

    @app.websocket_raw("/")
    async def read(session):
        protocol = TornadoOnOurWire(session, period, timeout)
        session.launch(hear(session, protocol))
        await protocol.periodic_ping()
        code, text = protocol.close_reason
        await session.close(CloseReason(code, text))

    return await app.start("server", 80)


REAL = {KTOR: _ktor, WEBSOCKETS: _websockets, TORNADO: _tornado}


def lived(policy, period, timeout, link):
    """Return when the real library pinged, and when and how it gave the peer up."""

    async def scene(net):
        loop = asyncio.get_running_loop()
        opened = OPENING * link.latency
        server = await REAL[policy](period, timeout)
        for stall in link.stalls:
            loop.call_at(opened + stall.start, net.cut, "client")
            if stall.length < math.inf:
                loop.call_at(opened + stall.start + stall.length, net.restore, "client")
        await connect("ws://server/")
        await asyncio.sleep(opened + UNTIL - loop.time())
        frames = [frame for frame in net.trace.frames if frame.sender == "server"]
        pings = [frame.time - opened for frame in frames if frame.kind == "Ping"]
        closes = [
            (frame.time - opened, frame.frame.read_reason()) for frame in frames if frame.kind == "Close"
        ]
        assert server is not None
        return pings, closes

    return simulate(scene, latency=link.latency)


@pytest.mark.parametrize("timeout", [2, 5, 20])
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("policy", POLICIES, ids=[policy.name for policy in POLICIES])
def test_a_policy_pings_and_gives_up_as_its_library_does(policy, link, timeout, monkeypatch):
    monkeypatch.setattr(tornado.ioloop.IOLoop, "time", lambda self: asyncio.get_running_loop().time())
    link = LINKS[link]
    pings, closes = lived(policy, 10, timeout, link)
    life = live(policy, 10, timeout, link, UNTIL)
    assert pings == pytest.approx([ping for ping, _ in beats(policy, 10, timeout, link, UNTIL)], abs=1e-6)
    assert [time for time, _ in closes] == ([] if life.over is None else [pytest.approx(life.over, abs=1e-6)])
    assert [reason for _, reason in closes] == [policy.reason] * len(closes)
    assert life.pings == len(pings)


def test_a_cut_is_noticed_between_timeout_and_period_and_timeout():
    for policy in POLICIES:
        cell = sweep(policy, [15], [15], runs=200, processes=1).cells[0][0]
        assert 29 < cell.worst < 30.1
        assert cell.mean == pytest.approx(22.5, abs=1)


def test_a_longer_timeout_kills_fewer_healthy_sessions():
    table = sweep(KTOR, [5, 10], [1, 2, 4, 8], runs=40, processes=1).table("false_alarms")
    rates = [row[0] for row in table]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.5
    assert rates[-1] == 0


def test_any_number_of_processes_gives_the_same_sweep_and_tells_its_progress():
    told = []
    alone = sweep(WEBSOCKETS, [5, 10, 20], [1, 2, 4], runs=5, processes=1)
    both = sweep(
        WEBSOCKETS, [5, 10, 20], [1, 2, 4], runs=5, processes=2, progress=lambda *rows: told.append(rows)
    )
    assert both == alone
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert repr(alone) == "<Sweep of websockets: 3 periods × 3 timeouts>"


@pytest.mark.parametrize("processes", [1, 2])
def test_a_sweep_may_be_interrupted(processes):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(KTOR, [5], [1, 2, 4], runs=2, processes=processes, progress=interrupt)


@pytest.mark.parametrize("bad", [{"runs": 0}, {"periods": []}, {"timeouts": [0]}])
def test_a_sweep_of_nothing_is_an_error(bad):
    with pytest.raises(ValueError, match="a sweep needs runs, periods and timeouts above 0"):
        sweep(**{"policy": KTOR, "periods": [1], "timeouts": [1], "processes": 1} | bad)


def test_stalls_never_overlap():
    for seed in range(20):
        assert all(a.start + a.length < b.start for a, b in pairwise(healthy_hour(random.Random(seed))))


def test_a_session_that_never_pings_lives():
    assert live(KTOR, 4000, 1, Link()) == Life(0, None)
    assert repr(Link(0.05, [Stall(1, 2)])) == "<Link: latency 0.05 s, 1 stalls>"
