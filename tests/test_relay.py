import asyncio

import pytest
from helpers import echo

from wslearn import Application, WebSockets, connect, simulate
from wslearn.lab.relay import Relay


def through(scene, **options):
    """Run a scene with a relay at `relay:80`, before an echo; return its result."""

    async def with_relay(net):
        app = Application()
        app.install(WebSockets, ping_period=None)
        app.websocket("/echo")(echo)
        async with app.start("server", 80):
            relay = Relay(("server", 80), **options)
            assert await relay.listen("relay", 80) == 80
            return await scene(relay)

    return simulate(with_relay)


def test_relay_hands_on_both_directions_and_hears_them():
    heard = []

    async def scene(relay):
        async with connect("ws://relay/echo") as session:
            await session.send("GOAL")
            return (await session.incoming.receive()).read_text()

    assert through(scene, heard=heard.append) == "GOAL"
    assert b"".join(heard).startswith(b"GET /echo HTTP/1.1\r\n")
    assert b"\x81\x04GOAL" in heard


@pytest.mark.parametrize(("pauses", "over"), [((9, 9), None), ((9, 11), 19.0)])
def test_relay_cuts_who_is_silent_for_longer_than_its_patience(pauses, over):
    async def scene(relay):
        session = await connect("ws://relay/echo")
        closed = asyncio.ensure_future(_end(session))
        for pause in pauses:
            await asyncio.sleep(pause)
            if not closed.done():
                await session.send("still here")
        return closed.result() if closed.done() else None

    assert through(scene, patience=10) == over


async def _end(session):
    reason = await session.close_reason
    assert (reason.code, reason.by) == (1006, "network")
    return asyncio.get_running_loop().time()


def test_relay_rewrites_the_head_of_a_request_alone():
    async def scene(relay):
        async with connect("ws://relay/match") as session:
            await session.send("/match")
            return (await session.incoming.receive()).read_text()

    assert through(scene, rewrite=lambda head: head.replace(b"/match", b"/echo")) == "/match"


def test_closed_relay_cuts_who_is_there_and_lets_nobody_in():
    async def scene(relay):
        session = await connect("ws://relay/echo")
        relay.close()
        with pytest.raises(ConnectionRefusedError):
            await connect("ws://relay/echo")
        return (await session.close_reason).code

    assert through(scene) == 1006
