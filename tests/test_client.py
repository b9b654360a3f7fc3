"""Connecting, leaving and coming back: against servers that are only bytes, on virtual time."""

import asyncio
import gc
import re

import pytest
from helpers import ANSWER, KEY, Peer, echo, meet, text

from wslearn import (
    Application,
    CloseReason,
    HandshakeError,
    Text,
    Trace,
    WebSockets,
    connect,
    connect_raw,
    simulate,
)
from wslearn.handshake import accept_key


async def serve(answer: str | bytes, hang_up: bool = False) -> list[bytes]:
    """Start a server that answers every request with the same bytes; return the list of the requests."""
    requests = []

    async def accept(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        requests.append(head)
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
        data = answer if isinstance(answer, bytes) else answer.replace("{}", accept_key(key)).encode()
        writer.write(data)
        if not hang_up:
            # a writer that nobody holds is closed, from Python 3.13 on
            await reader.read()
        writer.close()

    await asyncio.start_server(accept, "server", 80)
    return requests


def failure_of(answer: str | bytes, hang_up: bool = False, **arguments) -> Exception:
    """Return the error of connecting to a server that gives this answer."""

    async def scene(net):
        await serve(answer, hang_up)
        with pytest.raises((HandshakeError, OSError)) as told:
            await connect("ws://server/", **arguments)
        return told.value

    return simulate(scene)


# ── URLs and arguments ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url", ["http://server/", "server", "ws:///x", "ws://", "ws://server:0/", "", "ws:server"]
)
def test_url_that_is_no_ws_url_is_named_with_what_is_needed(url):
    message = f"url is {url!r}: ws://host:port/path or wss://host:port/path is needed"
    with pytest.raises(ValueError, match=re.escape(message)):
        connect(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ws://server:99999/", "url is 'ws://server:99999/': Port out of range 0-65535"),
        ("ws://server:x/", "url is 'ws://server:x/': Port could not be cast to integer value as 'x'"),
        ("ws://[::1/", "url is 'ws://[::1/': Invalid IPv6 URL"),
        ("ws://server/#x", "url is 'ws://server/#x': a fragment has no meaning here"),
        ("ws://me:secret@server/", "url has a user name: give an Authorization header in headers instead"),
    ],
)
def test_url_with_a_wrong_part_is_named_with_the_part(url, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        connect(url)


def test_url_of_another_type_is_a_type_error():
    with pytest.raises(TypeError, match="url is 5: "):
        connect(5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"protocols": "chat"}, TypeError, "protocols is 'chat': a list such as ['chat'] is needed"),
        ({"protocols": ["a b"]}, ValueError, "subprotocol 'a b': one word without spaces or commas"),
        ({"protocols": [5]}, ValueError, "subprotocol 5: one word without spaces or commas"),
        ({"protocols": ["a", "a"]}, ValueError, "protocols is ['a', 'a']: each may stand once"),
        ({"headers": {"A": "b\nc"}}, ValueError, "header 'A': 'b\\nc' cannot stand in a request"),
        ({"headers": {"A": 5}}, ValueError, "header 'A': 5 cannot stand in a request"),
        ({"headers": {"Host": "b"}}, ValueError, "header 'Host': the handshake has its own"),
        ({"ssl": True}, ValueError, "url is 'ws://server/' and ssl is given: wss://host:port/path"),
        ({"proxy": "socks://a"}, ValueError, "proxy is 'socks://a': http://host:port/path is needed"),
        ({"ping": 3}, TypeError, "unknown option 'ping': ping_period, timeout, "),
        ({"origins": []}, TypeError, "unknown option 'origins': "),
        ({"timeout": -1}, ValueError, "timeout is -1: seconds above 0 are allowed"),
    ],
)
def test_bad_argument_is_named_with_what_is_allowed(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        connect("ws://server/", **arguments)


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("ws://server", "GET / HTTP/1.1", "server"),
        ("ws://server:80/a?b=c", "GET /a?b=c HTTP/1.1", "server:80"),
        ("ws://server/ü b%20c?x=é", "GET /%C3%BC%20b%20c?x=%C3%A9 HTTP/1.1", "server"),
    ],
)
def test_request_has_the_path_quoted_and_the_host_as_it_stands(url, line, host):
    async def scene(net):
        requests = await serve(ANSWER)
        await connect(url, protocols=["a", "b"], headers={"X-Name": "me"})
        return requests[0].decode().split("\r\n")

    assert simulate(scene)[:8] == [
        line,
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        simulate(scene)[4],
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: a, b",
        "X-Name: me",
    ]


def test_connect_prints_its_url():
    assert repr(connect("ws://server/x")) == "<connect ws://server/x>"
    assert repr(connect_raw("ws://server/x")) == "<connect_raw ws://server/x>"


# ── the answer ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Upgrade: websocket", "Upgrade: h2c", "Upgrade is ['h2c'] in the answer: websocket is needed"),
        ("Connection: Upgrade\r\n", "", "Connection is [] in the answer: upgrade is needed"),
        ("Accept: {}", f"Accept: {accept_key(KEY)}", "answers our key"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Protocol: b\r\n\r\n", "subprotocol ['b']: ['a'] were offered"),
        ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", "extension 'x' was not offered: none was"),
    ],
)
def test_answer_that_is_wrong_is_a_handshake_error(old, new, message):
    error = failure_of(ANSWER.replace(old, new), protocols=["a"])
    assert isinstance(error, HandshakeError)
    assert error.status == 101
    assert message in str(error)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 7", "nowhere"),
        ("Transfer-Encoding: chunked", "7\r\nnowhere\r\n0\r\n\r\n"),
        ("Content-Length: 7\r\nContent-Length: 7", "nowhere"),
    ],
)
def test_handshake_error_keeps_what_the_server_said(head, body):
    error = failure_of(f"HTTP/1.1 404 Not Found\r\nX-Why: because\r\n{head}\r\n\r\n{body}")
    assert (error.status, error.headers["x-why"], error.body) == (404, "because", b"nowhere")
    assert str(error) == "server answered 404, not 101: nowhere"


def test_refusal_without_a_length_is_read_to_the_end_of_the_stream():
    error = failure_of("HTTP/1.1 500 Oh\r\n\r\nbroken", hang_up=True)
    assert (error.status, error.body) == (500, b"broken")


def test_answer_that_is_no_http_is_a_handshake_error():
    error = failure_of("SSH-2.0-OpenSSH_9.2\r\n\r\n")
    assert str(error) == "no HTTP/1.1 status line: 'SSH-2.0-OpenSSH_9.2'"


def test_answer_whose_head_never_ends_is_a_handshake_error():
    head = b"HTTP/1.1 101 x\r\nA: " + b"a" * 70_000
    assert str(failure_of(head)) == "answer's head over 65536 bytes"
    assert str(failure_of(head + b"\r\n\r\n")) == "answer's head over 65536 bytes"


def test_server_that_hangs_up_before_it_answers_is_a_connection_reset():
    error = failure_of("HTTP/1.1 101", hang_up=True)
    assert isinstance(error, ConnectionResetError)
    assert "the server hung up before it answered" in str(error)


def test_refused_tcp_is_an_os_error_that_names_host_and_port():
    async def scene(net):
        with net.host("server"):
            pass
        with pytest.raises(OSError, match="nothing listens at server port 81: is the server stopped"):
            await connect("ws://server:81/")

    simulate(scene)


def test_answer_that_does_not_come_is_a_timeout_error_after_open_timeout():
    async def scene(net):
        await serve("")
        with pytest.raises(TimeoutError, match="no handshake with ws://server/ within open_timeout=3 s"):
            await connect("ws://server/", open_timeout=3)
        return asyncio.get_running_loop().time()

    assert simulate(scene) == 3


def test_connecting_that_is_cancelled_leaves_no_connection_behind():
    async def scene(net):
        await serve("")
        connecting = asyncio.ensure_future(_connected("ws://server/"))
        await asyncio.sleep(1)
        connecting.cancel()
        await asyncio.wait([connecting])
        await asyncio.sleep(1)
        assert not net._connections

    simulate(scene)


def test_failure_of_a_handshake_that_was_given_up_is_not_logged(caplog):
    async def give_up():
        opening = connect("ws://server/")._opening()
        opening.connection_lost(None)
        opening.cut()
        del opening
        gc.collect()

    asyncio.run(give_up())
    assert not caplog.records


async def _connected(url: str, **options):
    return await connect(url, **options)


@pytest.mark.parametrize("at", [1, 60, 129, 130, 131])
def test_frames_right_behind_the_answer_are_read_wherever_the_chunk_is_cut(at):
    async def scene(net):
        async def accept(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
            data = ANSWER.format(accept_key(key)).encode() + b"\x81\x02hi"
            writer.write(data[:at])
            await asyncio.sleep(1)
            writer.write(data[at:])

        await asyncio.start_server(accept, "server", 80)
        session = await connect("ws://server/")
        return await session.incoming.receive()

    assert simulate(scene) == Text("hi")


# ── leaving, and coming back ─────────────────────────────────────────────────────────────────────


def test_block_that_ends_says_1000_and_waits_for_the_servers_fin():
    async def scene(net):
        peer = await meet("client", lambda session: session.send("hi"))
        assert [await peer.hear(), await peer.hear()] == [text("hi"), "88 03e8"]
        peer.say("88 03e8")
        await asyncio.sleep(1)
        assert not peer.handler.done()
        peer.hang_up()
        await peer.handler
        return asyncio.get_running_loop().time()

    assert simulate(scene) == 1


def test_awaited_session_is_the_callers_to_close():
    async def scene(net):
        app = Application()
        app.install(WebSockets)
        app.websocket("/")(echo)
        server = await app.start("server", 80)
        trace = Trace()
        session = await connect(server.url(), trace=trace)
        assert session.trace is trace
        await session.close(CloseReason(4000))
        assert await session.close_reason == CloseReason(4000)
        return len(trace.frames)

    assert simulate(scene) == 2


def restless(code: int = 1000) -> Application:
    """Return an application that closes each session after one message."""
    app = Application()
    app.install(WebSockets)

    @app.websocket("/")
    async def once(session):
        await session.send(f"{asyncio.get_running_loop().time()}")
        await session.close(CloseReason(code))

    return app


async def comings(server) -> list[float]:
    """Return when a client that comes back was greeted, three times."""
    seen = []
    async for session in connect(server.url()):
        seen.append(float((await session.incoming.receive()).read_text()))
        await session.close_reason
        if len(seen) == 3:
            break
    return seen


def test_iterating_comes_back_at_once_after_a_normal_end():
    async def scene(net):
        return await comings(await restless().start("server", 80))

    assert simulate(scene) == [0, 0, 0]


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4000])
def test_iterating_waits_for_a_random_time_after_any_other_end(code):
    async def scene(net):
        return await comings(await restless(code).start("server", 80))

    _, second, third = simulate(scene)
    assert 0.5 <= second <= 1
    assert 0.5 <= third - second <= 1
    assert second != third - second


def test_iterating_waits_longer_and_longer_with_a_random_part_while_tcp_is_refused():
    async def scene(net):
        with net.host("server"):
            pass
        times = []

        class Watched(connect):
            async def _pause(self, attempt):
                before = asyncio.get_running_loop().time()
                await super()._pause(attempt)
                times.append(asyncio.get_running_loop().time() - before)

        async def start():
            await asyncio.sleep(60)
            return await restless().start("server", 80)

        starting = asyncio.create_task(start())
        async for session in Watched("ws://server/"):
            await session.close_reason
            break
        await starting
        return times

    times = simulate(scene)
    assert len(times) > 5
    for attempt, pause in enumerate(times):
        longest = min(30, 2**attempt)
        assert longest / 2 <= pause <= longest
    assert len(set(times)) == len(times)


@pytest.mark.parametrize(("status", "again"), [(503, True), (404, False)])
def test_iterating_comes_back_after_5xx_and_raises_other_refusals(status, again):
    async def scene(net):
        requests = await serve(f"HTTP/1.1 {status} Oh\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(20):
            async for _ in connect("ws://server/"):
                pass
        return requests

    with pytest.raises(TimeoutError if again else HandshakeError):
        simulate(scene)


def test_iterating_comes_back_after_a_time_out():
    async def scene(net):
        requests = await serve("")

        async def come_back():
            async for _ in connect("ws://server/", open_timeout=1):
                pass

        coming = asyncio.create_task(come_back())
        await asyncio.sleep(5)
        coming.cancel()
        return len(requests)

    assert simulate(scene) >= 2


def test_leaving_an_iteration_closes_its_session_with_1000():
    async def scene(net):
        app = Application()
        app.install(WebSockets)
        app.websocket("/")(echo)
        server = await app.start("server", 80)
        async for _ in connect(server.url()):
            break
        await asyncio.sleep(1)
        (closed,) = [event for event in server.trace.events if event.name == "closed"]
        return closed.detail

    assert simulate(scene) == "CloseReason(1000, by='peer')"


# ── proxy ────────────────────────────────────────────────────────────────────────────────────────


async def proxy(answer: str) -> list[bytes]:
    """Start a proxy at proxy:3128 that passes everything on to server:80."""
    requests = []

    async def accept(reader, writer):
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer.encode())
        if "200" in answer:
            onward_reader, onward_writer = await asyncio.open_connection("server", 80)
            await asyncio.gather(pass_on(reader, onward_writer), pass_on(onward_reader, writer))

    await asyncio.start_server(accept, "proxy", 3128)
    return requests


async def pass_on(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


def test_proxy_is_asked_to_connect_and_everything_goes_through_it():
    async def scene(net):
        app = Application()
        app.install(WebSockets)
        app.websocket("/")(echo)
        server = await app.start("server", 80)
        requests = await proxy("HTTP/1.1 200 OK\r\n\r\n")
        async with connect(server.url(), proxy="http://me:pass%20word@proxy:3128") as session:
            await session.send("hi")
            assert await session.incoming.receive() == Text("hi")
        return requests

    (request,) = simulate(scene)
    assert request == (
        b"CONNECT server:80 HTTP/1.1\r\nHost: server:80\r\n"
        b"Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("HTTP/1.1 407 No\r\n\r\n", "proxy proxy:3128: answered 407, not 200"),
        ("nonsense\r\n\r\n", "proxy proxy:3128: no HTTP/1.1 status line: 'nonsense'"),
    ],
)
def test_proxy_that_refuses_is_a_handshake_error(answer, message):
    async def scene(net):
        await proxy(answer)
        with pytest.raises(HandshakeError, match=re.escape(message)):
            await connect("ws://server/", proxy="http://proxy:3128")

    simulate(scene)


def test_asking_a_proxy_may_be_cancelled_in_any_turn_and_nothing_is_logged(caplog):
    async def give_up(turns: int) -> bool:
        silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        url = "http://{}:{}".format(*silent.sockets[0].getsockname())
        connecting = asyncio.ensure_future(_connected("ws://server/", proxy=url))
        for _ in range(turns):
            await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        for _ in range(10):
            await asyncio.sleep(0)
        silent.close()
        return connecting.cancelled()

    for turns in range(20):
        assert asyncio.run(give_up(turns))
    gc.collect()
    assert not caplog.records


def test_raw_client_shows_every_frame():
    async def scene(net):
        async def read(session):
            seen.extend([frame async for frame in session.incoming])

        seen = []
        peer: Peer = await meet("client", read, raw=True)
        peer.say("01 61", "89 70", "80 62", "88 03e8")
        assert await peer.hear() == "FIN"
        peer.hang_up()
        await peer.handler
        return [type(frame).__name__ for frame in seen]

    assert simulate(scene) == ["Text", "Ping", "Text", "Close"]
