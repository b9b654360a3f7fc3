"""The simulation is faithful: the same scenes on real TCP give the same frames in the same order.

Faults come from the network in memory there, and from a `FaultyLink` here.
"""

import asyncio

import pytest

from wslearn import Application, Binary, CloseReason, FaultyLink, Ping, Text, WebSockets, connect, simulate


def application() -> Application:
    app = Application()
    app.install(WebSockets, ping_period=None, max_frame_size=500_000, close_timeout=0.5)

    @app.websocket("/")
    async def serve(session):
        async for frame in session.incoming:
            if frame == Text("fail"):
                raise LookupError("as asked")
            if frame == Text("bye"):
                await session.close(CloseReason(4000, "bye"))
                return
            if frame == Text("count"):
                for number in range(50):
                    await session.send(str(number))
            await session.send(frame)

    return app


async def ask(session, *messages):
    for message in messages:
        await session.send(message)
        await session.incoming.receive()


async def texts_and_bytes(session, server, link):
    await ask(session, "", "Hello", "ü" * 100, b"", bytes(70_000))


async def fragments(session, server, link):
    for piece in ("a", "", "ü"):
        await session.send(Text(piece, fin=False))
    await ask(session, Text("b"), Binary(b"c"))


async def large_messages(session, server, link):
    link.set(latency=0.01)
    await ask(session, bytes(400_000), "x" * 400_000)


async def a_burst_from_the_server(session, server, link):
    link.set(latency=0.01, jitter=0.02)
    await session.send("count")
    for _ in range(51):
        await session.incoming.receive()


async def pings_of_the_client(session, server, link):
    await session.send(Ping(b"one"))
    await ask(session, "between")
    await session.send(Ping(b"two"))
    await ask(session, "behind")


async def close_by_the_server(session, server, link):
    await session.send("bye")


async def close_by_the_client(session, server, link):
    await session.close(CloseReason(3000, "enough"))


async def a_handler_that_fails(session, server, link):
    await session.send("fail")


async def a_message_that_is_too_big(session, server, link):
    await session.send(bytes(500_001))


async def a_client_that_does_not_mask(session, server, link):
    session.masking = False
    await session.send("bare")


async def a_server_that_stops(session, server, link):
    await ask(session, "hi")
    await server.stop()


async def a_cable_that_is_pulled(session, server, link):
    await ask(session, "hi")
    link.cut("client")
    ping_once(server)


async def a_cable_that_is_plugged_in_again(session, server, link):
    await ask(session, "hi")
    link.cut("client")
    await session.send("held")
    await asyncio.sleep(0.1)
    link.restore("client")
    await session.incoming.receive()


async def a_process_that_freezes(session, server, link):
    await ask(session, "hi")
    link.freeze("client")
    ping_once(server)


async def a_reset(session, server, link):
    await ask(session, "hi")
    link.reset("client")


def ping_once(server):
    server.options.timeout = 0.2
    server.options.ping_period = 0.1


SCENES = [
    texts_and_bytes,
    fragments,
    large_messages,
    a_burst_from_the_server,
    pings_of_the_client,
    close_by_the_server,
    close_by_the_client,
    a_handler_that_fails,
    a_message_that_is_too_big,
    a_client_that_does_not_mask,
    a_server_that_stops,
    a_cable_that_is_pulled,
    a_cable_that_is_plugged_in_again,
    a_process_that_freezes,
    a_reset,
]


UNREACHABLE = {a_cable_that_is_pulled, a_process_that_freezes}
FAILED = {a_message_that_is_too_big, a_client_that_does_not_mask}


async def play(scene, server, link, url):
    """Return the frames of either side as the server saw them, and why its session was over.

    How the two sides' frames interleave is TCP's affair, and nobody counts what a failed peer still says.
    """
    session = await connect(url, close_timeout=0.5)
    while not server.sessions:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    (served,) = server.sessions
    await scene(session, server, link)
    if scene in FAILED:
        await session.close_reason
    elif scene not in UNREACHABLE:
        await session.close()
    reason = await served.close_reason
    session.cancel()
    frames = {"client": [], "server": []}
    for traced in server.trace.frames:
        if traced.sender == "server" or scene not in FAILED or not frames["server"]:
            frames[traced.sender].append((traced.kind, shown(traced)))
    await server.stop()
    return frames, reason, reason.by


def shown(traced):
    return b"[ping" if traced.frame.data.startswith(b"[ping ") else traced.frame.data


def on_virtual_time(scene):
    async def in_memory(net):
        server = await application().start("server", 80)
        return await play(scene, server, net, server.url())

    return simulate(in_memory)


async def on_real_sockets(scene):
    server = await application().start()
    async with FaultyLink(server) as link:
        return await play(scene, server, link, link.url())


@pytest.fixture(scope="module")
def played():
    """All scenes on real sockets, at the same time, so that they take no longer than the longest."""

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        return await asyncio.wait_for(asyncio.gather(*map(on_real_sockets, SCENES)), 30), errors

    found, errors = asyncio.run(main())
    assert errors == []
    return dict(zip(SCENES, found, strict=True))


@pytest.mark.parametrize("scene", SCENES, ids=[scene.__name__ for scene in SCENES])
def test_the_same_scene_has_the_same_frames_on_virtual_time_and_on_real_sockets(scene, played):
    assert played[scene] == on_virtual_time(scene)
