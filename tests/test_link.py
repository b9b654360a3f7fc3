"""The link with faults: on virtual time what it does and when, on real sockets that it does it there."""

import asyncio
import gc
import threading
import time

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from helpers import echo, until

from wslearn import Application, CloseReason, FaultyLink, Text, WebSockets, connect, simulate

HOSTS = pytest.mark.parametrize("host", ["client", "server"])


def application(handler=echo, **options) -> Application:
    app = Application()
    app.install(WebSockets, **{"ping_period": None} | options)
    app.websocket("/")(handler)
    return app


def now() -> float:
    return asyncio.get_running_loop().time()


class End(asyncio.Protocol):
    """One end of a connection: keeps what it reads, and in which order what happened."""

    transport = None

    def __init__(self):
        self.seen = []
        self.times = []
        self.received = bytearray()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data
        self.times.append(now())

    def eof_received(self):
        self.seen.append("FIN")
        return True

    def pause_writing(self):
        self.seen.append("pause")

    def resume_writing(self):
        self.seen.append("resume")

    def connection_lost(self, error):
        self.seen.append(type(error).__name__)
        self.lost.set_result(error)


async def ends(**faults):
    """Return a link, and both ends of a new connection over it."""
    loop = asyncio.get_running_loop()
    accepted = []

    def accept():
        accepted.append(End())
        return accepted[-1]

    server = await loop.create_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    link = await FaultyLink(f"ws://{host}:{port}/", **faults)
    _, client = await loop.create_connection(End, "127.0.0.1", link.port)
    while not (accepted and accepted[0].transport):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    server.close()
    return link, client, accepted[0]


def on_real_sockets(scene, seconds=20):
    return asyncio.run(asyncio.wait_for(scene(), seconds))


# ── what it does, on virtual time ────────────────────────────────────────────────────────────────


def test_a_conversation_takes_the_time_that_it_takes_on_a_link_in_memory():
    async def converse(url):
        times = []
        async with connect(url) as session:
            times.append(now())
            await session.send("hi")
            assert await session.incoming.receive() == Text("hi")
            times.append(now())
        return [*times, now(), await session.close_reason]

    async def direct(net):
        async with application().start("server", 80) as server:
            return await converse(server.url())

    async def by_way_of_a_link(net):
        async with application().start("server", 80) as server, FaultyLink(server, latency=0.25) as link:
            return await converse(link.url())

    expected = [1.0, 1.5, 2.0, CloseReason(1000)]
    assert simulate(direct, latency=0.25) == simulate(by_way_of_a_link) == expected


def test_latency_set_live_holds_from_the_next_segment_on():
    async def scene(net):
        async with (
            application().start("server", 80) as server,
            FaultyLink(server) as link,
            connect(link.url()) as session,
        ):
            begin = now()
            await session.send("hi")
            await session.incoming.receive()
            link.set(latency=0.5)
            await session.send("hi")
            await session.incoming.receive()
            return now() - begin

    assert simulate(scene) == 1


def test_bandwidth_holds_each_way():
    async def scene(net):
        link, client, server = await ends(bandwidth=8000)
        client.transport.write(bytes(1000))
        server.transport.write(bytes(1000))
        begin = now()
        await asyncio.sleep(10)
        await link.stop()
        return [client.times[0] - begin, server.times[0] - begin]

    assert simulate(scene) == pytest.approx([1, 1])


@HOSTS
def test_nothing_passes_a_cut_and_on_restore_all_arrives_in_order(host):
    async def scene(net):
        link, client, server = await ends(latency=0.1)
        link.cut(host)
        client.transport.write(b"a")
        server.transport.write(b"1")
        await asyncio.sleep(1000)
        client.transport.write(b"b")
        held = bytes(server.received + client.received), client.seen + server.seen
        link.restore(host)
        await asyncio.sleep(1)
        return held, bytes(server.received), bytes(client.received)

    assert simulate(scene) == ((b"", []), b"ab", b"1")


def test_each_direction_has_faults_of_its_own():
    async def scene(net):
        link, client, server = await ends()
        link.set("server", "outgoing", latency=0.5)
        link.cut("server", "incoming")
        client.transport.write(b"a")
        server.transport.write(b"1")
        begin = now()
        await asyncio.sleep(10)
        await link.stop()
        return bytes(server.received), [time - begin for time in client.times]

    assert simulate(scene) == (b"", [0.5])


@HOSTS
def test_a_frozen_host_neither_reads_nor_writes_until_it_is_thawed(host):
    async def scene(net):
        link, client, server = await ends()
        link.freeze(host)
        client.transport.write(b"a")
        server.transport.write(b"1")
        await asyncio.sleep(1000)
        held = bytes(server.received + client.received)
        link.thaw(host)
        await asyncio.sleep(1)
        return held, bytes(server.received), bytes(client.received)

    assert simulate(scene) == (b"", b"a", b"1")


def test_a_peer_behind_a_cut_is_found_dead_as_on_a_link_in_memory():
    pinging = application(ping_period=12, timeout=6)

    async def direct(net):
        async with pinging.start("server", 80) as server, connect(server.url()):
            (session,) = server.sessions
            net.cut("server")
            return await session.close_reason, now()

    async def by_way_of_a_link(net):
        async with (
            pinging.start("server", 80) as server,
            FaultyLink(server) as link,
            connect(link.url()),
        ):
            (session,) = server.sessions
            link.cut()
            return await session.close_reason, now()

    expected = (CloseReason(1011, "Ping timeout"), 18)
    assert simulate(direct) == simulate(by_way_of_a_link) == expected


def test_a_reader_that_stops_pauses_the_writer_behind_bounded_buffers():
    async def scene(net):
        link, client, server = await ends(latency=0.1)
        server.transport.pause_reading()
        size = 0
        while "pause" not in client.seen:
            client.transport.write(bytes(1000))
            size += 1000
            await asyncio.sleep(0.1)
        server.transport.resume_reading()
        await asyncio.sleep(10)
        seen = list(client.seen)
        await link.stop()
        return size, len(server.received), seen

    sent, arrived, seen = simulate(scene)
    assert 3 * 65536 < sent < 5 * 65536  # three connections in a row, of 64 KiB each
    assert arrived == sent
    assert seen == ["pause", "resume"]


# ── on real sockets ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ours", ["server", "client"])
def test_websockets_converse_over_it_with_us(ours):
    async def their_echo(peer):
        async for message in peer:
            await peer.send(message)

    async def scene():
        if ours == "server":
            async with (
                application().start() as server,
                FaultyLink(server, latency=0.01) as link,
                websockets.asyncio.client.connect(link.url(), proxy=None) as peer,
            ):
                await peer.send("hi")
                return await peer.recv()
        async with websockets.asyncio.server.serve(their_echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            link = FaultyLink(f"ws://127.0.0.1:{port}", latency=0.01)
            async with link, connect(link.url()) as session:
                await session.send("hi")
                return (await session.incoming.receive()).read_text()

    assert on_real_sockets(scene) == "hi"


def test_a_mebibyte_each_way_arrives_whole_and_in_order():
    data = bytes(range(256)) * 4096

    async def scene():
        link, client, server = await ends(jitter=0.005)
        for start in range(0, len(data), 5000):
            client.transport.write(data[start : start + 5000])
            server.transport.write(data[start : start + 5000])
            await asyncio.sleep(0)
        await until(lambda: len(client.received) == len(server.received) == len(data))
        await link.stop()
        return client.received == server.received == data

    assert on_real_sockets(scene)


def test_half_a_close_leaves_the_way_back_open():
    async def scene():
        link, client, server = await ends()
        client.transport.write(b"question")
        client.transport.write_eof()
        await until(lambda: server.seen)
        server.transport.write(b"answer")
        server.transport.close()
        await until(lambda: client.seen)
        client.transport.close()
        await client.lost
        await until(lambda: not link._relay.halves)
        return bytes(server.received), server.seen, bytes(client.received), client.seen

    assert on_real_sockets(scene) == (b"question", ["FIN", "NoneType"], b"answer", ["FIN", "NoneType"])


@pytest.mark.parametrize("fault", ["reset", "abort"])
def test_both_ends_see_a_reset(fault):
    async def scene():
        link, client, server = await ends()
        if fault == "reset":
            link.reset()
        else:
            server.transport.write(b"never read")
            await until(lambda: client.received)
            client.transport.pause_reading()
            server.transport.write(b"never read")
            await asyncio.sleep(0.05)
            client.transport.abort()
        await server.lost
        return client.seen, server.seen

    client, server = on_real_sockets(scene)
    assert server == ["ConnectionResetError"]
    assert client == (["ConnectionResetError"] if fault == "reset" else ["NoneType"])


def test_what_still_comes_for_an_end_that_has_gone_is_dropped_without_a_word(caplog):
    async def scene():
        link, client, server = await ends()
        half = next(half for half in link._relay.halves if half._other.transport.get_extra_info("socket"))
        half._other.transport.abort()
        for _ in range(20):
            half.data_received(b"late")
        link.reset()
        client.transport.abort()
        server.transport.abort()

    on_real_sockets(scene)
    assert not caplog.records


def test_a_server_that_is_gone_is_a_reset():
    async def scene():
        server = await application().start()
        async with FaultyLink(server) as link:
            await server.stop()
            with pytest.raises(ConnectionError):
                await connect(link.url())

    on_real_sockets(scene)


def test_faults_may_be_set_from_any_thread():
    async def scene():
        async with (
            application().start() as server,
            FaultyLink(server) as link,
            connect(link.url()) as session,
        ):
            await asyncio.to_thread(link.cut)
            await session.send("hi")
            await asyncio.sleep(0.05)
            assert len(session.incoming) == 0
            with pytest.raises(ValueError, match="latency is -1"):
                await asyncio.to_thread(link.set, latency=-1)
            with pytest.raises(ValueError, match="direction is 'up'"):
                await asyncio.to_thread(link.cut, "server", "up")
            await asyncio.to_thread(link.set, latency=0.01)
            assert "latency 0.01 s" in repr(link)
            await asyncio.to_thread(link.restore)
            return await session.incoming.receive()

    assert on_real_sockets(scene) == Text("hi")


def test_loop_blocked_for_3_s_right_after_both_pinged_kills_no_session():
    options = {"ping_period": 0.05, "timeout": 1}

    async def scene():
        async with (
            application(**options).start() as server,
            FaultyLink(server, latency=0.2) as link,
            connect(link.url(), **options) as session,
        ):
            await until(lambda: all(end._heartbeat._payload for end in [session, *server.sessions]))
            block(3)
            await asyncio.sleep(1.5)
            await session.send("still here")
            return await session.incoming.receive()

    assert on_real_sockets(scene) == Text("still here")


def block(seconds: float) -> None:
    """Do what a notebook's cell does that computes."""
    time.sleep(seconds)


def test_a_link_that_is_left_ends_its_connections():
    async def scene():
        async with application().start() as server:
            async with FaultyLink(server) as link:
                session = await connect(link.url())
                await until(lambda: server.sessions)
            (watched,) = server.sessions or [session]
            reasons = await session.close_reason, await watched.close_reason
            with pytest.raises(RuntimeError, match="the link is not open: write `async with FaultyLink"):
                link.url()
            return reasons, repr(link).startswith("<FaultyLink not open, to ws://127.0.0.1:")

    assert on_real_sockets(scene) == ((CloseReason(1006), CloseReason(1006)), True)


def test_a_link_that_nobody_holds_closes_itself():
    async def scene():
        server = await application().start()
        link = await FaultyLink(server)
        session = await connect(link.url())
        del link
        gc.collect()
        reason = await session.close_reason
        await server.stop()
        return reason

    assert on_real_sockets(scene) == CloseReason(1006)


def test_faults_set_after_the_loop_has_closed_are_only_stored():
    async def scene():
        async with application().start() as server, FaultyLink(server) as link:
            return link

    link = on_real_sockets(scene)
    link.set(latency=1)
    thread = threading.Thread(target=link.cut)
    thread.start()
    thread.join()
    assert "latency 1 s" in repr(link)


# ── bad input ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"latency": -1}, ValueError, "latency is -1: seconds from 0 up are allowed"),
        ({"jitter": "0.1"}, TypeError, "jitter is '0.1': seconds from 0 up are allowed"),
        ({"bandwidth": 0}, ValueError, "bandwidth is 0: bits per second above 0, or None for no limit"),
        ({"server": 8000}, TypeError, "server is 8000: a server, or a URL such as 'ws://127.0.0.1:8000'"),
        ({"server": "server"}, ValueError, "server is 'server': a server, or a URL such as"),
        ({"server": "ws://a:65536/"}, ValueError, "server is 'ws://a:65536/': a server, or a URL such as"),
    ],
)
def test_a_bad_argument_is_named_with_what_is_allowed(arguments, error, text):
    with pytest.raises(error, match=text):
        FaultyLink(**{"server": "ws://127.0.0.1:1/"} | arguments)


@pytest.mark.parametrize("fault", ["cut", "restore", "freeze", "thaw", "reset"])
def test_an_unknown_host_cannot_have_faults(fault):
    link = FaultyLink("ws://127.0.0.1:1/")
    with pytest.raises(ValueError, match="no host 'sever': known are 'client', 'server'"):
        getattr(link, fault)("sever")


def test_it_prints_where_it_leads_and_what_it_does():
    link = FaultyLink("wss://[::1]", latency=0.2)
    link.freeze()
    assert repr(link) == (
        "<FaultyLink not open, to wss://[::1]:443/: latency 0.2 s, jitter 0 s, bandwidth unlimited;"
        " hosts: client, server (frozen); connections: 0>"
    )
