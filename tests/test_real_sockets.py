"""On loopback, with a clock that nobody here moves; whole conversations with others are in `peers`."""

import asyncio
import errno
import gc
import logging
import socket
import ssl
import struct
import time
import weakref
from contextlib import asynccontextmanager, suppress

import pytest
import websockets.asyncio.client
import websockets.asyncio.server
import websockets.sync.client
import websockets.sync.server
from helpers import UPGRADE, echo, until

from wslearn import (
    Application,
    Binary,
    ChannelClosed,
    Channels,
    Close,
    CloseReason,
    HandshakeError,
    Ping,
    PingTimeout,
    Text,
    WebSockets,
    bounded,
    connect,
    connect_raw,
    simulate,
)
from wslearn.codec import encode
from wslearn.lab import BrowserClient

MIB = 2**20
MESSAGES = ["", "Hello", "ü" * 100, b"", bytes(range(256)), "a" * 65536, bytes(70_000)]


def application(**options) -> Application:
    app = Application()
    app.install(WebSockets, **{"max_frame_size": 32 * MIB} | options)

    app.websocket("/")(echo)
    return app


# ── both ends are ours ───────────────────────────────────────────────────────────────────────────


def test_message_of_16_mib_goes_there_and_back():
    message = bytes(range(256)) * (16 * MIB // 256)

    async def main():
        async with application().start() as server, connect(server.url(), max_frame_size=None) as session:
            await session.send(message)
            assert await session.incoming.receive() == Binary(message)

    asyncio.run(main())


async def order_of_a_message(start, url):
    """Return what comes first: that a handler has its message, or that whoever delivers it goes on."""
    app, order = Application(), []
    app.install(WebSockets)

    @app.websocket("/")
    async def handler(session):
        await session.incoming.receive()
        order.append("handled")

    def deliver(session):
        session.data_received(encode(Text("1:0"), masking_key=b"\x37\xfa\x21\x3d"))
        order.append("delivered")

    async with app.start(*start) as server, connect(url or server.url()) as client:
        await until(lambda: server.sessions[0].incoming._waiting)
        asyncio.get_running_loop().call_soon(deliver, server.sessions[0])
        await client.close_reason
    return order


def test_handler_goes_on_in_the_round_of_its_message_behind_a_socket_and_not_in_memory():
    assert asyncio.run(order_of_a_message((), None)) == ["handled", "delivered"]
    in_memory = simulate(lambda net: order_of_a_message(("server", 80), "ws://server/"))
    assert in_memory == ["delivered", "handled"]


async def chunks_of_answers(handler, *messages):
    """Return the chunks that a server sends to messages which arrive as one, and why its session ended."""
    app = application()
    app.websocket("/handler")(handler)
    async with app.start() as server, connect(server.url("/handler")) as client:
        await until(lambda: server.sessions[0].incoming._waiting)
        (session,) = server.sessions
        wire = b"".join(encode(Text(each), masking_key=b"\x37\xfa\x21\x3d") for each in messages)
        asyncio.get_running_loop().call_soon(session.data_received, wire)
        await asyncio.gather(*(client.incoming.receive() for _ in messages))
        await client.close()
        reason = await session.close_reason
        sent = [chunk.data for chunk in server.trace.chunks if chunk.sender == "server"]
    return sent[1:], reason


@pytest.mark.parametrize("count", [2, 63, 64])
def test_answers_to_messages_that_came_together_are_written_together(count):
    numbers = [str(number) for number in range(count)]
    sent, _ = asyncio.run(chunks_of_answers(echo, *numbers))
    answers = b"".join(encode(Text(number)) for number in numbers)
    assert sent == [answers, encode(Close(CloseReason(1000)))]


def test_answer_to_one_message_is_written_before_the_handler_goes_on():
    written = []

    async def handler(session):
        async for frame in session.incoming:
            await session.send(frame)
            written.append(session.trace.chunks[-1].data)

    asyncio.run(chunks_of_answers(handler, "1:0"))
    assert written == [encode(Text("1:0"))]


def test_long_answer_and_a_close_stay_in_their_order_behind_what_was_gathered():
    async def handler(session):
        async for frame in session.incoming:
            await session.send(frame.data.decode() * (2000 if frame.data == b"c" else 1))
            if frame.data == b"d":
                await session.close(CloseReason(4000))

    sent, reason = asyncio.run(chunks_of_answers(handler, "a", "b", "c", "d"))
    first, *rest = (encode(Text(text)) for text in ("a", "b", "c" * 2000, "d"))
    assert sent == [first + rest[0], *rest[1:], encode(Close(CloseReason(4000)))]
    assert reason == CloseReason(4000)


def test_answers_are_not_gathered_while_the_transport_has_something_to_send():
    async def handler(session):
        session._transport = Busy(session._transport)
        async for frame in session.incoming:
            await session.send(frame)

    sent, _ = asyncio.run(chunks_of_answers(handler, "a", "b"))
    assert sent == [encode(Text("a")), encode(Text("b")), encode(Close(CloseReason(1000)))]


class Busy:
    """A transport that has always something left to send."""

    def __init__(self, transport):
        self._transport = transport

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def get_write_buffer_size(self):
        return 1


def test_flush_hands_over_what_was_gathered():
    flushed = []

    async def handler(session):
        async for frame in session.incoming:
            await session.send(frame)
            await session.flush()
            flushed.append(session.trace.chunks[-1].data)

    asyncio.run(chunks_of_answers(handler, "a", "b"))
    assert flushed == [encode(Text("a")), encode(Text("b"))]


def test_wss_works_between_our_ends(certificate, caplog):
    async def main():
        async with application().start(ssl=certificate.serving) as server:
            url = server.url().replace("127.0.0.1", "localhost")
            assert url.startswith("wss://localhost:")
            async with connect(url, ssl=certificate.trusting, max_frame_size=None) as session:
                for message in MESSAGES:
                    await session.send(message)
                    assert (await session.incoming.receive()).data == _bytes(message)
                assert Text("Hello") in [traced.frame for traced in session.trace.frames]
                await session.send(bytes(4 * MIB))
                assert len((await session.incoming.receive()).data) == 4 * MIB
            assert await session.close_reason == CloseReason(1000)

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    assert caplog.messages == []


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


def test_who_sends_and_never_waits_leaves_tls_its_turn_before_asyncio_warns(certificate):
    async def main():
        turn = asyncio.Event()
        async with application().start(ssl=certificate.serving) as server:
            url = server.url().replace("127.0.0.1", "localhost")
            async with connect(url, ssl=certificate.trusting) as session:
                asyncio.get_running_loop().call_soon(turn.set)
                for _ in range(4):
                    await session.send("tick")
                assert turn.is_set()

    asyncio.run(main())


def test_wss_with_a_certificate_that_nobody_signed_is_an_error_and_not_tried_again(certificate):
    async def main():
        async with application().start(ssl=certificate.serving) as server:
            with pytest.raises(ssl.SSLCertVerificationError):
                async for _ in connect(server.url()):
                    pass

    asyncio.run(main())


def test_tls_peer_that_says_nothing_after_both_closes_is_cut(certificate):
    async def main():
        async with application(close_timeout=0.2).start(ssl=certificate.serving) as server:
            reader, writer = await asyncio.open_connection(
                "localhost", server.port, ssl=certificate.trusting, ssl_shutdown_timeout=0.1
            )
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            writer.transport.pause_reading()
            writer.write(bytes.fromhex("8882 00000000 03e8"))
            await asyncio.wait_for(_no_sessions(server), 5)
            writer.transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize("ending", ["returns", "closes", "reads on", "raw"])
def test_tls_peer_that_says_nothing_any_more_is_cut_after_close_timeout(certificate, ending):
    async def end(session):
        if ending == "closes":
            await session.close()
        elif ending == "reads on":
            await session.incoming.receive()
            await asyncio.sleep(0.3)

    async def main():
        app = application(close_timeout=0.2)
        (app.websocket_raw if ending == "raw" else app.websocket)("/end")(end)
        async with app.start(ssl=certificate.serving) as server:
            _, writer = await asyncio.open_connection("localhost", server.port, ssl=certificate.trusting)
            writer.transport.pause_reading()
            writer.write(UPGRADE.replace(b"GET /", b"GET /end"))
            # a message, and maybe a Close or what is no frame
            behind = {"reads on": "8880 00000000", "raw": "8380 00000000"}.get(ending, "")
            writer.write(bytes.fromhex("8180 00000000" + behind))
            await until(lambda: server.sessions)
            await asyncio.wait_for(_no_sessions(server), 5)
            writer.transport.abort()

    asyncio.run(main())


def test_client_that_never_finishes_tls_is_cut_after_open_timeout_and_logs_nothing(certificate, caplog):
    async def main():
        async with application(open_timeout=0.1).start(ssl=certificate.serving) as server:
            reader, writer = await asyncio.open_connection("localhost", server.port)
            with suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            assert server.sessions == []

    asyncio.run(main())
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def test_connection_whose_tls_is_ready_after_the_server_has_stopped_is_cut(certificate):
    async def main():
        server = await application().start(ssl=certificate.serving)
        reader, writer = await asyncio.open_connection("localhost", server.port)
        await until(lambda: server.trace._sessions)
        await server.stop()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await upgrade(reader, writer)
        assert server.sessions == []
        writer.close()

    async def upgrade(reader, writer):
        await writer.start_tls(certificate.trusting, server_hostname="localhost")
        writer.write(UPGRADE)
        await reader.readexactly(1)

    asyncio.run(main())


async def _no_sessions(server) -> None:
    await asyncio.gather(*(session._until_gone() for session in server.sessions))


# ── what their servers say otherwise ─────────────────────────────────────────────────────────────


async def their_echo(peer) -> None:
    async for message in peer:
        await peer.send(message)


@asynccontextmanager
async def their_server(**options):
    server = websockets.asyncio.server.serve(their_echo, "127.0.0.1", 0, max_size=32 * MIB, **options)
    async with server as listening:
        yield f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_our_close_code_reaches_their_server(code):
    async def main():
        codes = asyncio.get_running_loop().create_future()

        async def listen(peer):
            await peer.wait_closed()
            codes.set_result((peer.close_code, peer.close_reason))

        async with websockets.asyncio.server.serve(listen, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            session = await connect(f"ws://127.0.0.1:{port}/")
            await session.close(CloseReason(code, "bye"))
            return await codes

    assert asyncio.run(main()) == (code, "bye")


def test_their_keepalive_is_answered_and_ours_by_them():
    async def main():
        theirs = their_server(ping_interval=0.05, ping_timeout=5)
        async with theirs as url, connect(url, ping_period=0.05) as session:
            await until(lambda: len([t for t in session.trace.frames if t.kind == "Pong"]) >= 6)
            assert 0 < session.latency < 5

    asyncio.run(asyncio.wait_for(main(), 20))


def test_their_refusal_is_a_handshake_error_with_its_body():
    async def main():
        async with their_server(origins=["https://a.example"]) as url:
            with pytest.raises(HandshakeError) as told:
                await connect(url, headers={"Origin": "https://b.example"})
        return told.value

    error = asyncio.run(main())
    assert error.status == 403
    assert b"b.example" in error.body


# ── a loop that is blocked ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pings", ["server", "client"])
def test_loop_blocked_for_3_s_right_after_a_ping_kills_no_session(pings):
    async def main():
        both = {"ping_period": 0.05, "timeout": 1}
        options = both if pings == "server" else {"ping_period": None}
        async with (
            application(**options).start() as server,
            connect(server.url(), **(both if pings == "client" else {})) as session,
        ):
            pinger = session if pings == "client" else server.sessions[0]
            await until(lambda: pinger._heartbeat._payload)
            block(3)
            await asyncio.sleep(1.5)
            await session.send("still here")
            assert await session.incoming.receive() == Text("still here")

    asyncio.run(main())


def block(seconds: float) -> None:
    """Do what a notebook's cell does that computes."""
    time.sleep(seconds)


def test_peer_that_is_silent_is_found_dead_on_real_time():
    async def main():
        async with application(ping_period=0.05, timeout=0.1).start() as server:
            session = await connect_raw(server.url())
            (watched,) = server.sessions
            reason = await watched.close_reason
            with pytest.raises(PingTimeout):
                await watched.incoming.receive()
            session.cancel()
            return reason

    assert asyncio.run(main()) == CloseReason(1011, "Ping timeout")


# ── backpressure ─────────────────────────────────────────────────────────────────────────────────


def test_peer_that_never_reads_suspends_send_and_memory_stays_bounded():
    async def main():
        app = Application()
        app.install(WebSockets, channels=Channels(outgoing=bounded(4)), ping_period=None, close_timeout=0.2)
        sizes = []

        @app.websocket("/")
        async def shout(session):
            while True:
                await session.send(bytes(10_000))
                sizes.append(session._transport.get_write_buffer_size())
                assert len(session.outgoing) <= 4

        async with app.start() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
            writer.write(UPGRADE)
            await until(lambda: server.sessions)
            await until(lambda: server.sessions[0].outgoing._suspended)
            assert max(sizes) <= 64 * 1024 + 10_004
            assert reader
            writer.transport.abort()

    asyncio.run(asyncio.wait_for(main(), 20))


# ── servers in a notebook ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("message", ["tick", Ping(b"tick")])
def test_handler_that_only_sends_learns_of_a_reset_though_it_never_waits(message):
    seen = []

    async def main():
        app = application()
        reset = asyncio.get_running_loop().create_future()

        @app.websocket("/ticks")
        async def tick(session):
            client = await reset
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            try:
                for _ in range(1000):
                    await session.send(message)
                seen.append("never told")
            except ChannelClosed as error:
                seen.append((error.reason, session.outgoing.try_send(message)))

        async with app.start() as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(UPGRADE.replace(b"/", b"/ticks", 1))
            reset.set_result(client)
            await until(lambda: seen)

    asyncio.run(main())
    assert seen == [(CloseReason(1006), False)]


def test_port_in_use_is_one_line_that_says_what_to_do():
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(
                OSError, match=f"port {port} of 127.0.0.1 is in use: stop its server,"
            ) as told:
                await application().start(port=port)
            return told.value.errno

    assert asyncio.run(main()) == errno.EADDRINUSE


def test_cell_run_twice_leaves_no_second_server_behind():
    cell = "app = application()\nserver = await app.start()\nport = server.port"

    async def main():
        names, ports = {"application": application}, []
        for _ in range(3):
            await run_cell(cell, names)
            ports.append(names["port"])
        await asyncio.sleep(0.05)
        gc.collect()
        answers = [await _answers(port) for port in ports]
        await names["server"].stop()
        return answers

    assert asyncio.run(main()) == [False, False, True]


@pytest.mark.parametrize("connecting", [connect, connect_raw])
def test_session_that_has_ended_is_freed_at_once_on_both_sides(connecting):
    held = []

    async def main():
        async with application().start() as server:
            async with connecting(server.url()) as session:
                await session.send("Hello")
                await session.incoming.receive()
                held.extend(weakref.ref(end) for end in (session, *server.sessions))
                channel = session.outgoing
                await session.close()
            del session
            await until(lambda: not server.sessions)
            assert [end() for end in held] == [None, None]
            assert not channel.try_send(Text("too late"))
            with pytest.raises(ChannelClosed):
                await channel.send(Text("too late"))

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
    assert len(held) == 2


async def run_cell(source: str, names: dict) -> None:
    """Run a notebook's cell: its last names replace the former ones."""
    exec(
        "async def cell():\n" + "\n".join(f" {line}" for line in source.splitlines()) + "\n return locals()",
        names,
    )
    names.update(await names.pop("cell")())


async def _answers(port: int) -> bool:
    try:
        async with connect(f"ws://127.0.0.1:{port}/"):
            return True
    except ConnectionRefusedError:
        return False


def test_cell_that_starts_the_same_application_twice_on_a_fixed_port_stops_the_first(free_port):
    async def main():
        app = application()
        for _ in range(2):
            server = await app.start(port=free_port)
            async with connect(server.url()) as session:
                await session.send("hi")
                assert await session.incoming.receive() == Text("hi")
        await server.stop()

    asyncio.run(main())


async def cancelled_after(turns: int, coroutine) -> None:
    task = asyncio.create_task(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])


def test_start_that_is_cancelled_at_any_turn_leaves_no_port_open(free_port):
    async def start(app):
        return await app.start(port=free_port)

    async def main():
        for turns in range(6):
            await cancelled_after(turns, start(application()))
            gc.collect()
            async with application().start(port=free_port) as server:
                assert server.port == free_port

    asyncio.run(main())


def test_connecting_that_is_cancelled_at_any_turn_is_no_error_in_a_log(caplog):
    async def open_one(server):
        (await connect(server.url())).cancel()

    async def main():
        async with application().start() as server:
            for turns in range(20):
                await cancelled_after(turns, open_one(server))
            await until(lambda: not server.sessions)
        gc.collect()

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.messages == []


def test_server_that_is_gone_is_named():
    async def main():
        server = await application().start()
        url, port = server.url(), server.port
        await server.stop()
        message = f"nothing listens at 127.0.0.1 port {port}: is the server stopped"
        with pytest.raises(ConnectionRefusedError, match=message):
            await connect(url)
        with pytest.raises(ConnectionRefusedError, match=f"nothing listens at localhost port {port}: "):
            await connect(f"ws://localhost:{port}/")

    asyncio.run(main())


@pytest.mark.parametrize("size", [1000, 20_000, 100_000, 300_000])
def test_peer_that_closes_and_half_closes_while_the_server_writes_is_no_error_in_a_log(size, caplog):
    async def flood(session):
        while True:
            await session.send(bytes(size))

    async def main():
        app = Application()
        app.install(WebSockets, ping_period=None)
        app.websocket("/")(flood)
        async with app.start() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
            writer.write(UPGRADE)
            await reader.readexactly(500)
            writer.write(bytes.fromhex("8882 00000000 03e8"))
            await asyncio.sleep(0.1)
            writer.write_eof()
            await reader.read()
            writer.close()
            await until(lambda: not server.sessions)

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert caplog.messages == []


def test_loop_that_ends_with_open_sessions_logs_nothing_and_closes_its_port(caplog, free_port):
    async def main():
        server = await app.start(port=free_port)
        session = await connect(server.url())
        await session.send("hi")
        await session.incoming.receive()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await asked.wait()

    app, asked = application(), asyncio.Event()

    @app.get("/slow")
    async def slow(call):
        asked.set()
        await asyncio.sleep(3600)

    caplog.set_level(logging.WARNING)
    asyncio.run(main())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free_port))
    gc.collect()
    assert caplog.messages == []


# ── the server that a page meets ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("act", "code", "heard", "kept"),
    [
        (bytes.fromhex("88 02 0f a1"), 4001, ["Close 4001"], "keeps 4001"),
        (bytes.fromhex("88 00"), 1005, ["Close without a code"], "keeps 1005"),
        (
            bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58"),
            1006,
            ["Close 1002: incorrect masking"],
            "keeps 1002",
        ),
        (b"", 1006, [], "cuts"),
    ],
    ids=["code", "no code", "masked", "cut"],
)
def test_browser_client_says_its_act_and_notes_what_comes_back(act, code, heard, kept):
    async def main():
        view = await BrowserClient({"act": act}).start()
        address = f"ws://127.0.0.1:{view.port}/?act=act&try=1"
        async with websockets.asyncio.client.connect(address, proxy=None) as page:
            await page.wait_closed()
        told = {"way": "directly", "name": "act", "try": "1", "code": page.close_code, "clean": True}
        view._page_said(view, told, [])
        view.close()
        return view.told["directly"]["act"]

    told = asyncio.run(main())
    assert told.code == code
    assert [line.partition(" after")[0] for line in told.heard] == heard
    assert [said for _, tap, said in told.seen if tap == "server"] == [kept]


@pytest.mark.parametrize("wire", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x81\x00" * 9, b"G" * 100_000])
def test_browser_client_shows_the_door_to_who_is_no_page(wire, caplog):
    async def main():
        view = await BrowserClient({"act": b""}).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", view.port)
        writer.write(wire)
        writer.write_eof()
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        view.close()

    asyncio.run(main())
    assert caplog.records == []
