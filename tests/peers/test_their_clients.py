"""Our server on loopback, and the clients that nobody here wrote: Python's, node's, Java's and Chromium's."""

import asyncio
import logging
import shutil
from contextlib import ExitStack, asynccontextmanager
from functools import partial

import pytest
import websockets.asyncio.client
import websockets.sync.client
from conversation import (
    BY_ALL,
    BY_BROWSERS,
    CODES,
    HERE,
    LIMIT,
    MESSAGES,
    NARROW,
    PARTS,
    Threaded,
    application,
    described,
    node_path,
    running,
    ways,
)
from laboratory import running_chromium
from websockets.exceptions import ConnectionClosed, InvalidStatus

from wslearn.lab.lesson_09 import BIG, page_reads


async def asynchronous(url: str, tls) -> list[str]:
    return await talk(websockets.asyncio.client.connect, url, tls)


async def synchronous(url: str, tls) -> list[str]:
    @asynccontextmanager
    async def connect(url: str, **options):
        stack = ExitStack()

        def enter(tries_left: int = 2):
            try:
                return stack.enter_context(websockets.sync.client.connect(url, open_timeout=LIMIT, **options))
            except InvalidStatus as refused:
                # under TLS two threads of this client share one object, and now and then lose its request;
                # so they do with the server of `websockets`
                if refused.response.status_code != 408 or not tries_left:
                    raise
                return enter(tries_left - 1)

        yield Threaded(await asyncio.to_thread(enter))
        await asyncio.to_thread(stack.close)

    return await talk(connect, url, tls)


async def talk(connect, url: str, tls) -> list[str]:
    """Have the conversation through a client of `websockets`."""
    lines = []
    context = {} if tls is None else {"ssl": tls.trusting}
    opened = partial(connect, proxy=None, max_size=2**25, **context)
    async with opened(url) as peer:
        for message in MESSAGES:
            await peer.send(message)
            lines.append(f"echoed {described(message, await peer.recv())}")
        await peer.close(4000, "bye")
        lines.append(f"left {peer.close_code} {peer.close_reason}")
    for path in ["fragments", "latency"]:
        async with opened(url + path) as peer:
            lines.append(f"{path} {await peer.recv()}")
    async with opened(url + "chat", subprotocols=["other", "chat"]) as peer:
        lines.append(f"chat {await peer.recv()} {peer.subprotocol}")
    for code in CODES:
        async with opened(f"{url}close/{code}") as peer:
            with pytest.raises(ConnectionClosed):
                await peer.recv()
            lines.append(f"closed {peer.close_code} {peer.close_reason}")
    async with opened(url) as peer:
        await peer.send(PARTS)
        lines.append(f"fragmented {await peer.recv()}")
        await (await peer.ping("hello"))
        lines.append("pong hello")
    return lines


async def node(url: str, tls) -> list[str]:
    trusted = {} if tls is None else {"NODE_EXTRA_CA_CERTS": str(tls.certificate)}
    async with running("node", HERE / "client.js", url, NODE_PATH=node_path(), **trusted) as output:
        return (await output.read()).decode().splitlines()


async def java(url: str, tls) -> list[str]:
    if shutil.which("javac") is None:
        pytest.skip("no JDK here: its java.net.http.WebSocket talks with us")
    trusted = [] if tls is None else [tls.certificate]
    async with running("java", HERE / "Client.java", url, *trusted) as output:
        return (await output.read()).decode().splitlines()


async def chromium(url: str, tls) -> list[str]:
    talk = (HERE / "talk.js").read_text(encoding="utf-8")
    return await asyncio.to_thread(in_a_page, url, f"url => {{ {talk}\nreturn talk(WebSocket, url); }}", url)


def in_a_page(url: str, script: str, argument: str):
    """Return what a script returns in a page of our server."""
    with running_chromium() as browser, browser.new_context(ignore_https_errors=True) as context:
        page = context.new_page()
        page.goto(url.replace("ws", "http", 1))
        return page.evaluate(script, argument)


@ways
@pytest.mark.parametrize("peer", [asynchronous, synchronous, node, java, chromium])
def test_our_server_talks_with_their_client(certificate, peer, scheme, extensions, caplog):
    tls = certificate if scheme == "wss" else None

    async def main():
        async with application(extensions=extensions).start(ssl=tls and tls.serving) as server:
            assert server.url().startswith(f"{scheme}://127.0.0.1:")
            lines = await peer(server.url(), tls)
            answers = [shake.response for shake in server.trace.handshakes if b" 101 " in shake.response]
            # Java's compresses nothing
            is_compressed = bool(extensions) and peer is not java
            assert [b"permessage-deflate" in answer for answer in answers] == [is_compressed] * len(answers)
            windows = 2 if is_compressed and extensions == [NARROW] else 0
            assert {answer.count(b"_max_window_bits=9") for answer in answers} == {windows}
            return lines, [event.detail for event in server.trace.events if event.name == "closed"]

    caplog.set_level(logging.WARNING)
    lines, reasons = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert lines == (BY_BROWSERS if peer is chromium else BY_ALL)
    assert reasons[0] == "CloseReason(4000, 'bye', by='peer')"
    assert [reason for reason in reasons if "'local'" in reason] == [
        f"CloseReason({code}, 'bye', by='local')" for code in CODES
    ]
    assert caplog.messages == []


HELLO = """url => new Promise(resolve => {
    const socket = new WebSocket(url);
    socket.onopen = () => socket.send("Hello");
    socket.onmessage = ({data}) => resolve(`message ${data}`);
    socket.onclose = ({code, wasClean}) => resolve(`closed ${code}, ${wasClean ? "clean" : "unclean"}`);
})"""


def test_chromium_refuses_masked_frames_with_1002_and_tells_its_page_1006():
    async def main():
        async with application(masking=True).start() as server:
            closed = await asyncio.to_thread(in_a_page, server.url(), HELLO, server.url())
            (event,) = [event for event in server.trace.events if event.name == "closed"]
            return closed, event.detail

    closed, reason = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert closed == "closed 1006, unclean"
    assert reason.startswith("CloseReason(1002, ")
    assert reason.endswith("by='peer')")


@pytest.mark.parametrize(
    ("names", "seen", "status"),
    [("127.0.0.1", "message Hello", 101), ("wslearn.example", "closed 1006, unclean", 403)],
)
def test_chromium_says_its_origin_and_others_than_the_servers_get_403(free_port, names, seen, status):
    async def main():
        app = application(origins=[f"http://{names}:{free_port}"])
        async with app.start(port=free_port) as server:
            heard = await asyncio.to_thread(in_a_page, server.url(), HELLO, server.url())
            return heard, server.trace.handshakes

    heard, handshakes = asyncio.run(asyncio.wait_for(main(), LIMIT))
    # the page itself is asked for as well, and an icon of it
    (upgrade,) = [shake for shake in handshakes if b"Sec-WebSocket-Key" in shake.request]
    assert heard == seen
    assert upgrade.response.startswith(f"HTTP/1.1 {status} ".encode())


def test_chromium_makes_another_number_of_one_that_needs_54_bits():
    async def main():
        async with application().start() as server:
            script = "text => String(JSON.parse(text).id)"
            return await asyncio.to_thread(in_a_page, server.url(), script, f'{{"id":{BIG}}}')

    shown = asyncio.run(asyncio.wait_for(main(), LIMIT))
    assert shown == str(page_reads(str(BIG))) == "9007199254740992"
