"""Routes, refusals, and the lives of servers: against bare bytes, on virtual time."""

import asyncio
import functools
import gc
import logging
import re
import weakref

import pytest
from helpers import ANSWER, KEY, UPGRADE, Peer, echo, text
from hypothesis import given, settings
from hypothesis import strategies as st

from wslearn import Application, CloseReason, Text, WebSockets, connect, simulate
from wslearn.handshake import accept_key
from wslearn.server import Opening

SWITCHED = ANSWER.format(accept_key(KEY)).encode()


def application(**options) -> Application:
    app = Application()
    app.install(WebSockets, **{"ping_period": None} | options)
    return app


def echo_application(**options) -> Application:
    app = application(**options)
    app.websocket("/")(echo)
    return app


def answer_to(data: bytes, app: Application | None = None, *, chunk: int | None = None) -> bytes:
    """Return everything that a server answers to bytes."""

    async def scene(net):
        server = await (app or echo_application()).start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        for at in range(0, len(data), chunk or len(data)):
            writer.write(data[at : at + (chunk or len(data))])
            await asyncio.sleep(0.001)
        answer = await reader.read()
        writer.close()
        await asyncio.sleep(0.1)
        assert server.sessions == []
        return answer

    return simulate(scene)


def changed(header: str, value: str | None) -> bytes:
    """Return the upgrade with one header changed, or without it."""
    line = re.compile(rf"{header}: .*\r\n".encode())
    return line.sub(b"" if value is None else f"{header}: {value}\r\n".encode(), UPGRADE)


# ── the handshake ────────────────────────────────────────────────────────────────────────────────

REFUSALS = {
    "400 request": (b"GET /\r\n\r\n", 400, "no request line: 'GET /'"),
    "400 header": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "no header in line 2: name and colon are needed"),
    "400 line feed": (UPGRADE.replace(b"\r\n", b"\n"), 400, "line feed alone: CR LF ends a line"),
    "400 host": (changed("Host", None), 400, "0 Host headers: exactly one is needed"),
    "400 two hosts": (changed("Host", "a\r\nHost: b"), 400, "2 Host headers: exactly one is needed"),
    "400 empty host": (changed("Host", ""), 400, "Host is empty: the server's name is needed"),
    "400 host's value": (
        changed("Host", "a b/c@"),
        400,
        "Host is 'a b/c@': a name, maybe with a port, is needed",
    ),
    "400 connection": (changed("Connection", "close"), 400, "Connection is ['close']: upgrade is needed"),
    "400 key size": (
        changed("Sec-WebSocket-Key", "AAAA"),
        400,
        "Sec-WebSocket-Key is 3 bytes: 16 are needed",
    ),
    "400 two keys": (
        changed("Sec-WebSocket-Key", f"{KEY}\r\nSec-WebSocket-Key: {KEY}"),
        400,
        "2 Sec-WebSocket-Key headers",
    ),
    "400 upgrade": (changed("Upgrade", "h2c"), 400, "Upgrade is ['h2c']: websocket is needed"),
    "400 key": (changed("Sec-WebSocket-Key", "x"), 400, "Sec-WebSocket-Key is 'x': base64 is needed"),
    "400 body": (changed("Upgrade", "websocket\r\nContent-Length: 3"), 400, "the request has a body"),
    "400 extensions": (
        changed("Upgrade", "websocket\r\nSec-WebSocket-Extensions: permessage-deflate;"),
        400,
        "invalid Sec-WebSocket-Extensions header: expected token at 19 in permessage-deflate;",
    ),
    "404": (UPGRADE.replace(b"GET /", b"GET /nowhere", 1), 404, "no route /nowhere"),
    "404 escaped": (UPGRADE.replace(b"GET /", b"GET /a%0Ab?key=secret"), 404, "no route /a%0Ab\n"),
    "405": (UPGRADE.replace(b"GET", b"POST"), 405, "method POST: GET is needed"),
    "405 with a body": (
        changed("Upgrade", "a\r\nContent-Length: 3").replace(b"GET", b"PUT"),
        405,
        "method PUT",
    ),
    "414": (b"GET /" + b"a" * 65600, 414, "request line over 65536 bytes"),
    "431 size": (b"GET / HTTP/1.1\r\nA: " + b"a" * 65600, 431, "request head over 65536 bytes"),
    "431 number": (UPGRADE[:-2] + b"A: b\r\n" * 128 + b"\r\n", 431, "133 headers, at most 128"),
    "426 upgrade": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 426, "ask with Upgrade: websocket"),
    "426 no version": (
        changed("Sec-WebSocket-Version", None),
        426,
        "Sec-WebSocket-Version is []: 13 is needed",
    ),
    "426 version": (changed("Sec-WebSocket-Version", "8"), 426, "is ['8']: 13 is needed"),
    "505": (b"GET / HTTP/1.0\r\n\r\n", 505, "HTTP/1.0: HTTP/1.1 is needed"),
    "505 HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/2: HTTP/1.1 is needed"),
}
HEADERS = {
    405: [b"Allow: GET"],
    426: [b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Connection: close, Upgrade"],
}


@pytest.mark.parametrize(("data", "status", "message"), REFUSALS.values(), ids=REFUSALS)
def test_bad_request_gets_its_status_with_a_body_that_says_why_and_the_end(data, status, message):
    head, _, body = answer_to(data).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert message in body.decode()
    assert f"Content-Length: {len(body)}".encode() in head
    for line in HEADERS.get(status, [b"Connection: close"]):
        assert line in head.split(b"\r\n")


@pytest.mark.parametrize("chunk", [None, 1000])
def test_head_of_exactly_64_kib_is_read_and_one_byte_more_gets_431(chunk):
    def padded(size: int) -> bytes:
        return UPGRADE[:-2] + b"A: " + b"a" * (size - len(UPGRADE) - 5) + b"\r\n\r\n"

    assert len(padded(65536)) == 65536
    end = b"\x88\x80\0\0\0\0"
    assert answer_to(padded(65536) + end, chunk=chunk).startswith(b"HTTP/1.1 101 ")
    assert answer_to(padded(65537) + end, chunk=chunk).startswith(b"HTTP/1.1 431 ")


def test_request_of_128_headers_is_answered():
    assert answer_to(UPGRADE[:-2] + b"A: b\r\n" * 123 + b"\r\n\x88\x80\0\0\0\0").startswith(SWITCHED[:12])


@pytest.mark.parametrize("head", [b"G", UPGRADE[:-1]])
def test_request_that_ends_inside_its_head_gets_400(head):
    async def scene(net):
        server = await echo_application().start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(head)
        writer.write_eof()
        answer = await reader.read()
        assert server.trace.handshakes[0].request == b""
        return answer

    assert simulate(scene).endswith(b"the request ends before its blank line\n")


def test_request_that_never_ends_gets_408_after_open_timeout():
    async def scene(net):
        server = await echo_application(open_timeout=3).start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(UPGRADE[:-1])
        answer = await reader.read()
        assert asyncio.get_running_loop().time() == 3
        writer.close()
        await server.stop()
        return answer

    assert b"no request within open_timeout=3 s" in simulate(scene)


def test_time_that_tls_takes_counts_for_open_timeout():
    async def scene(net):
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        server = await echo_application(open_timeout=3).start("server", 80)

        async def ask(reader, writer):
            head = await reader.readline()
            writer.close()
            asked.head, asked.time = head, loop.time()
            asked.set()

        await asyncio.start_server(ask, "peer", 80)
        # as asyncio does: made when TCP is accepted, and told when TLS is done
        opening = Opening(server._listening)
        await asyncio.sleep(2)
        await loop.create_connection(lambda: opening, "peer", 80)
        await asked.wait()
        return asked.head, asked.time

    assert simulate(scene) == (b"HTTP/1.1 408 Request Timeout\r\n", 3)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://a.example", 101),
        ("https://b.example", 403),
        ("https://a.example https://b.example", 403),
        (None, 101),
    ],
)
def test_origins_let_in_who_is_named_or_names_none_and_others_get_403(origin, status):
    lines = "".join(f"Origin: {part}\r\n" for part in (origin or "").split())
    data = UPGRADE[:-2] + lines.encode() + b"\r\n\x88\x80\0\0\0\0"
    answer = answer_to(data, echo_application(origins=["https://a.example"]))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    if status == 403:
        found = ", ".join(origin.split())
        assert answer.endswith(f"Origin is {found}: https://a.example allowed\n".encode())


def test_more_than_max_sessions_get_503_until_one_has_ended():
    async def scene(net):
        server = await echo_application(max_sessions=1).start("server", 80)
        async with connect(server.url()):
            with pytest.raises(Exception, match="server answered 503, not 101: full: max_sessions is 1"):
                await connect(server.url())
        async with connect(server.url()) as session:
            server.options.max_sessions = None
            async with connect(server.url()):
                assert len(server.sessions) == 2
            assert session

    simulate(scene)


@pytest.mark.parametrize("chunk", [1, 7, None])
def test_upgrade_is_answered_in_whatever_chunks_it_comes_and_frames_may_follow_at_once(chunk):
    frames = bytes.fromhex("8182 00000000 6869 8880 00000000")
    assert answer_to(UPGRADE + frames, chunk=chunk) == SWITCHED + b"\x81\x02hi\x88\x00"


def test_refused_connection_is_kept_open_for_its_fin_until_close_timeout():
    async def scene(net):
        server = await echo_application(close_timeout=3).start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET / HTTP/1.0\r\n\r\n" + bytes(10_000))
        assert b"505" in await reader.read()
        await asyncio.sleep(2.9)
        writer.write(b"nobody reads this")
        assert len(server._listening.openings) == 1
        await asyncio.sleep(0.2)
        assert len(server._listening.openings) == 0

    simulate(scene)


@settings(max_examples=200)
@given(
    data=st.binary(max_size=80)
    | st.lists(
        st.sampled_from([*UPGRADE.splitlines(True), b"\r\n", b"A: \x7f\r\n", b"Origin: \xff\r\n"])
    ).map(b"".join)
    | st.binary(max_size=40).map(lambda tail: UPGRADE + tail),
    chunk=st.integers(1, 50),
)
def test_any_bytes_to_a_server_raise_nothing_to_a_log_and_never_hang(data, chunk):
    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append

    async def scene(net):
        server = await echo_application(origins=["x"]).start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        for at in range(0, len(data), chunk):
            writer.write(data[at : at + chunk])
            await asyncio.sleep(0.001)
        await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await server.stop()

    logging.getLogger().addHandler(handler)
    try:
        simulate(scene)
    except TimeoutError:
        # an open session, and nothing more was said
        assert UPGRADE[:40] in data or b"GET / HTTP/1.1\r\n" in data
    finally:
        logging.getLogger().removeHandler(handler)
    assert not records


# ── routes ───────────────────────────────────────────────────────────────────────────────────────


def test_route_declared_before_install_says_what_to_write():
    app = Application()
    with pytest.raises(
        RuntimeError, match=r"the route '/echo' is declared before WebSockets is installed: write"
    ):
        app.websocket("/echo")(echo)
    with pytest.raises(RuntimeError, match=r"write app\.install\(WebSockets\) above it"):
        app.websocket_raw("/echo")(echo)


def test_get_route_needs_no_install_and_may_share_its_path():
    app = application()

    @app.get("/")
    async def index(call):
        return f"Hello, {call.query['name'][0]}!"

    app.websocket("/")(echo)
    answer = answer_to(b"GET /?name=you HTTP/1.1\r\nHost: a\r\n\r\n", app)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n")
    assert answer.endswith(b"Hello, you!")
    assert answer_to(UPGRADE + b"\x88\x80\0\0\0\0", app).startswith(b"HTTP/1.1 101 ")


def test_get_handler_that_fails_or_returns_something_else_gets_500(caplog):
    app = Application()

    @app.get("/none")
    async def none(call):
        return None

    @app.get("/fail")
    async def fail(call):
        raise ZeroDivisionError("secret")

    @app.get("/cancel")
    async def cancel(call):
        raise asyncio.CancelledError

    assert answer_to(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n", app).endswith(b"\r\n\r\nZeroDivisionError")
    assert answer_to(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n", app).endswith(b"\r\n\r\nTypeError")
    assert answer_to(b"GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n", app).endswith(b"\r\n\r\nCancelledError")
    errors = [ZeroDivisionError, TypeError, asyncio.CancelledError]
    assert [record.exc_info[0] for record in caplog.records] == errors


def test_get_handler_may_take_longer_than_the_handshake():
    app = application(open_timeout=1)

    @app.get("/")
    async def index(call):
        await asyncio.sleep(5)
        return b"slow"

    assert answer_to(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", app).endswith(b"\r\n\r\nslow")


def test_get_handler_may_stop_its_server_and_answers_when_all_others_have_ended():
    app = application(close_timeout=2)
    ends = []

    @app.get("/stop")
    async def stop(call):
        await server_.stop()
        return "stopped"

    @app.websocket("/")
    async def stay(session):
        try:
            await asyncio.sleep(100)
        finally:
            ends.append(asyncio.get_running_loop().time())

    async def scene(net):
        nonlocal server_
        server_ = await app.start("server", 80)
        session = await connect("ws://server/")
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET /stop HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.read()
        assert await session.close_reason == CloseReason(1001, "Server is going down")
        return answer

    server_ = None
    assert simulate(scene).endswith(b"\r\n\r\nstopped")
    assert ends == [2]


def test_get_client_that_has_sent_its_fin_is_let_go_with_the_answer():
    app = application(close_timeout=10)

    @app.get("/")
    async def index(call):
        await asyncio.sleep(1)
        return "late"

    async def scene(net):
        server = await app.start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        assert (await reader.read()).endswith(b"\r\n\r\nlate")
        await asyncio.sleep(0.1)
        assert not server._listening.openings

    simulate(scene)


def test_path_parameters_query_and_headers_are_in_the_call():
    app = application()
    calls = []

    @app.websocket("/rooms/{room}/{seat}")
    async def room(session):
        calls.append(session.call)

    async def scene(net):
        server = await app.start("server", 80)
        async with connect(server.url("/rooms/a%20b/7?x=1"), headers={"X-Name": "me"}) as session:
            await session.close_reason

    simulate(scene)
    (call,) = calls
    assert (call.path, call.parameters) == ("/rooms/a b/7", {"room": "a b", "seat": "7"})
    assert (call.query, call.headers["X-Name"]) == ({"x": ["1"]}, "me")
    assert (call.remote[0], call.attributes) == ("client", {})


def test_path_that_a_client_made_stays_on_its_line(caplog):
    app = application()

    @app.websocket("/{name}")
    async def fail(session):
        assert repr(session) == r"<Session 1: server of '/a\nb', open>"
        raise ZeroDivisionError

    answer_to(UPGRADE.replace(b"GET /", b"GET /a%0Ab") + b"\x88\x80\0\0\0\0", app)
    assert caplog.messages == [r"session 1: the handler of '/a\nb' failed"]


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["a"], "a"), (["b", "a"], "a"), (["b"], "b"), (["A"], None), ([], None)]
)
def test_first_declared_route_whose_subprotocol_is_offered_answers(offered, chosen):
    app = application()
    for name in ("a", "b"):

        @app.websocket("/", protocol=name)
        async def speak(session, name=name):
            await session.send(f"{name} as {session.protocol}")

    async def scene(net):
        server = await app.start("server", 80)
        async with connect(server.url(), protocols=offered) as session:
            return session.protocol, (await session.incoming.receive()).read_text()

    if chosen is None:
        message = re.escape(f"answered 400, not 101: Sec-WebSocket-Protocol is {offered}: a, b is needed")
        with pytest.raises(Exception, match=message):
            simulate(scene)
    else:
        assert simulate(scene) == (chosen, f"{chosen} as {chosen}")


def test_route_without_a_subprotocol_takes_all_offers_and_chooses_none():
    async def scene(net):
        server = await echo_application().start("server", 80)
        async with connect(server.url(), protocols=["a"]) as session:
            return session.protocol

    assert simulate(scene) is None


def test_same_function_declared_again_replaces_the_former_also_on_a_running_server():
    app = application()

    def declare(word):
        @app.websocket("/")
        async def say(session):
            await session.send(word)

    async def scene(net):
        declare("one")
        server = await app.start("server", 80)
        declare("two")
        async with connect(server.url()) as session:
            return await session.incoming.receive()

    assert simulate(scene) == Text("two")
    assert repr(app) == "<Application: WebSocket />"


def test_handlers_without_a_name_are_routes_of_their_own():
    async def say(session, word):
        await session.send(word)

    app = application()
    for word in ("one", "two"):
        app.websocket(f"/{word}")(functools.partial(say, word=word))

    async def scene(net):
        server = await app.start("server", 80)
        async with connect(server.url("/two")) as session:
            return await session.incoming.receive()

    assert simulate(scene) == Text("two")


@pytest.mark.parametrize("path", ["echo", "", 5, "/{a}/{a}"])
def test_path_that_is_none_is_named(path):
    with pytest.raises(ValueError, match=rf"path is {re.escape(repr(path))}: "):
        application().websocket(path)(echo)


@pytest.mark.parametrize("protocol", ["a b", "a,b", "", ["a"]])
def test_subprotocol_that_nobody_can_offer_is_named(protocol):
    with pytest.raises(ValueError, match=re.escape(f"subprotocol {protocol!r}: one word")):
        application().websocket("/", protocol)


def test_handler_that_is_no_async_function_is_named():
    with pytest.raises(TypeError, match=r"handler of '/' is <function .*>: write it as async def"):
        application().get("/")(lambda call: "x")


def test_plugin_that_is_none_is_named():
    with pytest.raises(TypeError, match=r"plugin is 5: write app\.install\(WebSockets, ping_period=15\)"):
        Application().install(5)


# ── servers ──────────────────────────────────────────────────────────────────────────────────────


def test_server_knows_its_url_port_options_sessions_and_trace():
    async def scene(net):
        app = echo_application()
        async with app.start("server", 8080) as server:
            assert (server.url(), server.url("/x"), server.port) == (
                "ws://server:8080/",
                "ws://server:8080/x",
                8080,
            )
            assert server.options is app.options
            assert repr(server) == "<Server ws://server:8080/: 0 sessions>"
            with pytest.raises(ValueError, match="path is 'x': it begins with /"):
                server.url("x")
            async with connect(server.url()) as session:
                (other,) = server.sessions
                assert (other.number, other.trace) == (1, server.trace)
                assert session.trace is not server.trace
        assert repr(server) == "<Server ws://server:8080/: stopped>"
        with pytest.raises(ConnectionRefusedError):
            await connect(server.url())

    simulate(scene)


@pytest.mark.parametrize("port", [-1, 65536, True, "80", 1.5])
def test_port_that_is_none_is_named(port):
    with pytest.raises((ValueError, TypeError), match=rf"port is {port!r}: "):
        echo_application().start(port=port)


@pytest.mark.parametrize("host", [None, 5, b"server"])
def test_host_that_is_none_is_named(host):
    with pytest.raises(TypeError, match=rf"host is {host!r}: "):
        echo_application().start(host)


def test_starting_an_application_again_at_its_address_stops_the_former_server():
    async def scene(net):
        app = echo_application()
        first = await app.start("server", 80)
        elsewhere = await app.start("server", 81)
        session = await connect(first.url())
        second = await app.start("server", 80)
        assert await session.close_reason == CloseReason(1001, "Server is going down")
        assert "stopped" in repr(first)
        assert "0 sessions" in repr(elsewhere)
        async with connect(second.url()) as again:
            await again.send("hi")
            assert await again.incoming.receive() == Text("hi")

    simulate(scene)


def test_starting_an_application_again_at_the_port_it_was_given_stops_the_former_server():
    async def scene(net):
        app = echo_application()
        first = await app.start("server")
        second = await app.start("server", first.port)
        assert "stopped" in repr(first)
        assert first.port == second.port

    simulate(scene)


def test_serve_forever_returns_when_the_server_stops():
    async def scene(net):
        server = await echo_application().start("server", 80)
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(5)
        assert not serving.done()
        await server.stop()
        await server.stop()
        await serving

    simulate(scene)


def test_stop_cuts_handshakes_that_are_not_done():
    async def scene(net):
        server = await echo_application().start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(UPGRADE[:-2])
        await asyncio.sleep(1)
        await server.stop()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert asyncio.get_running_loop().time() == 1

    simulate(scene)


def test_stop_cuts_handshakes_in_the_order_of_their_coming():
    async def scene(net):
        server = await echo_application().start("server", 80)
        for _ in range(30):
            _, writer = await asyncio.open_connection("server", 80)
            writer.write(UPGRADE[:-2])
            writers.append(writer)
        await asyncio.sleep(1)
        numbers = [opening._number for opening in server._listening.openings]
        await server.stop()
        return numbers

    writers = []
    assert simulate(scene) == [*range(1, 31)]


@pytest.mark.parametrize(("sent", "ended"), [(b"", set()), (b"GET / HT", {1})])
def test_trace_remembers_no_connection_that_was_reset_inside_its_head(sent, ended):
    async def scene(net):
        server = await echo_application().start("server", 80)
        _, writer = await asyncio.open_connection("server", 80)
        writer.write(sent)
        await asyncio.sleep(1)
        writer.transport.abort()
        await asyncio.sleep(1)
        assert not server._listening.openings
        return server.trace._ended

    assert simulate(scene) == ended


def test_server_that_nobody_holds_closes_itself_and_says_1001():
    async def scene(net):
        server = await echo_application().start("server", 80)
        url, trace = server.url(), server.trace
        session = await connect(url)
        held = weakref.ref(server)
        gc.disable()
        del server
        gc.enable()
        assert held() is None
        assert await session.close_reason == CloseReason(1001, "Server is going down")
        with pytest.raises(ConnectionRefusedError):
            await connect(url)
        assert trace.events[-1].name == "closed"

    simulate(scene)


def test_application_keeps_nothing_of_the_servers_of_former_loops():
    app, traces = echo_application(), []

    async def scene(net):
        server = await app.start("server", 80)
        traces.append(weakref.ref(server.trace))
        session = await connect(server.url())
        await session.send("hi")
        await session.incoming.receive()

    simulate(scene)
    gc.collect()
    assert traces[0]() is None


def test_handler_of_a_server_that_nobody_holds_is_cancelled_after_close_timeout():
    ended = []

    async def scene(net):
        app = application(close_timeout=3)

        @app.websocket("/")
        async def work(session):
            try:
                await asyncio.sleep(100)
            finally:
                ended.append(asyncio.get_running_loop().time())

        server = await app.start("server", 80)
        session = await connect(server.url())
        del server
        await session.close_reason
        await asyncio.sleep(5)

    simulate(scene)
    assert ended == [3]


def test_options_of_a_server_reach_its_open_and_later_sessions_at_once():
    async def scene(net):
        server = await echo_application().start("server", 80)
        async with connect(server.url()) as session:
            server.options.max_frame_size = 5
            server.options.masking = False
            await session.send("12345")
            assert await session.incoming.receive() == Text("12345")
            await session.send("123456")
            assert (await session.close_reason).code == 1009
        async with connect(server.url()) as session:
            await session.send("123456")
            assert (await session.close_reason).code == 1009
        changes = [event for event in server.trace.events if event.name == "option changed"]
        assert [(event.session, event.detail) for event in changes] == [
            (None, "max_frame_size: 1048576 → 5"),
            (None, "masking: False → False"),
        ]

    simulate(scene)


def test_option_assigned_to_the_server_itself_is_an_attribute_error():
    async def scene(net):
        server = await echo_application().start("server", 80)
        with pytest.raises(AttributeError, match="'ping_period'"):
            server.ping_period = 1

    simulate(scene)


def test_last_assignment_wins_on_a_session_and_on_its_server():
    async def scene(net):
        server = await echo_application().start("server", 80)
        async with connect(server.url()):
            (session,) = server.sessions
            session.timeout = 3
            assert (session.timeout, server.options.timeout) == (3, 15)
            server.options.timeout = 7
            assert session.timeout == 7
            session.timeout = 4
            assert (session.timeout, server.options.timeout) == (4, 7)

    simulate(scene)


def test_session_runs_in_the_context_of_its_servers_start():
    import contextvars

    variable = contextvars.ContextVar("variable", default="none")
    seen = []

    async def scene(net):
        app = application()

        @app.websocket("/")
        async def look(session):
            seen.append(variable.get())

        variable.set("start")
        server = await app.start("server", 80)
        variable.set("connect")
        async with connect(server.url()) as session:
            await session.close_reason

    simulate(scene)
    assert seen == ["start"]


@pytest.mark.parametrize("line", ["Cookie : secret", "Cookie: secret\x01", "Cookie: a\r\n secret"])
def test_refusal_keeps_no_secret_of_a_head_that_does_not_parse(line, caplog):
    async def scene(net):
        server = await echo_application().start("server", 80)
        reader, writer = await asyncio.open_connection("server", 80)
        writer.write(b"GET /?key=secret HTTP/1.1\r\n" + line.encode() + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        return server.trace

    caplog.set_level(logging.DEBUG)
    assert b"secret" not in b"".join(chunk.data for chunk in simulate(scene).chunks)
    assert "secret" not in caplog.text


def test_trace_keeps_refused_connections_and_the_length_of_what_was_no_head():
    async def scene(net):
        server = await echo_application().start("server", 80)
        for data in (b"GET /secret HTTP/1.1\r\nHost: a\r\n\r\n", b"nonsense\r\n\r\n", b"GET / HT"):
            _, writer = await asyncio.open_connection("server", 80)
            writer.write(data)
            writer.write_eof()
            await asyncio.sleep(1)
            writer.close()
        return server.trace

    trace = simulate(scene)
    assert [handshake.session for handshake in trace.handshakes] == [1, 2, 3]
    assert trace.handshakes[0].request.startswith(b"GET /secret")
    assert b"nonsense" not in repr(trace).encode()


def test_peer_class_reads_frames_back():
    async def scene(net):
        server = await echo_application().start("server", 80)
        reader, writer = await asyncio.open_connection("server", server.port)
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        peer = Peer(reader, writer, masks=True)
        peer.say(text("a" * 70_000), "88")
        assert await peer.hear() == text("a" * 70_000)
        assert await peer.hear_all() == ["88"]

    simulate(scene)
