"""A raw session ends with FIN and nothing behind it (RFC 6455, section 7.1.7; RFC 9293, section 3.6)."""

from wslearn import Application, Close, Text, WebSockets, connect_raw, simulate


def frames_of_a_handler_that_returns(stop: bool) -> list[str]:
    async def scene(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket_raw("/")
        async def greet(session):
            await session.send("Hello")

        server = await app.start("server", 80)
        client = await connect_raw(server.url("/"))
        assert await client.incoming.receive() == Text("Hello")
        if stop:
            await server.stop()
        await client.close_reason
        return [each.kind for each in server.trace.frames]

    return simulate(scene, latency=0.1)


def test_server_that_stops_writes_no_close_behind_the_fin_of_a_raw_handler():
    assert frames_of_a_handler_that_returns(stop=True) == ["Text"]


def test_raw_handler_that_returns_writes_no_close():
    assert frames_of_a_handler_that_returns(stop=False) == ["Text"]


def test_raw_handler_may_still_say_close_itself():
    async def scene(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket_raw("/")
        async def leave(session):
            await session.send(Close())

        server = await app.start("server", 80)
        client = await connect_raw(server.url("/"))
        assert isinstance(await client.incoming.receive(), Close)
        return [each.wire for each in server.trace.frames]

    assert simulate(scene) == [b"\x88\x00"]
