import asyncio
import gc
import json
import weakref

import pytest

from wslearn import Application, Binary, HandshakeError, WebSockets, connect, simulate
from wslearn.lab import Conversation
from wslearn.lab.timeline import Timeline
from wslearn.trace import Trace

HELLO = bytes.fromhex("818537fa213d7f9f4d5158")


async def scene(net):
    """One echo, a change, a ping and its pong; then the cable is cut under a ping."""
    app = Application()
    app.install(WebSockets, ping_period=0.5, timeout=1)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(f"Hi, {frame.read_text()}!")

    server = await app.start("server", 80)
    session = await connect(server.url("/echo"), close_timeout=1)
    await session.send("Ana")
    await session.incoming.receive()
    server.options.ping_period = 0.3
    await asyncio.sleep(0.75)
    net.cut("client")
    await asyncio.sleep(4)
    return server.trace, net.trace, session.trace


SERVER, WIRE, CLIENT = simulate(scene, latency=0.1)


def test_items_of_a_wire_have_both_times_and_say_what_was_lost():
    assert [(i.time, i.received, i.lost, i.kind) for i in Timeline(WIRE).items] == [
        (pytest.approx(0.2), pytest.approx(0.3), False, "request"),
        (pytest.approx(0.3), pytest.approx(0.4), False, "response"),
        (pytest.approx(0.4), pytest.approx(0.5), False, "Text"),
        (pytest.approx(0.5), pytest.approx(0.6), False, "Text"),
        (pytest.approx(0.9), pytest.approx(1.0), False, "Ping"),
        (pytest.approx(1.0), pytest.approx(1.1), False, "Pong"),
        (pytest.approx(1.35), None, False, "cut"),
        (pytest.approx(1.4), None, True, "Ping"),
        (pytest.approx(2.4), None, True, "Close"),
    ]


def test_items_of_a_session_have_its_events_in_their_place():
    kinds = [item.kind for item in Timeline(SERVER).items]
    assert kinds[:5] == ["request", "response", "opened", "Text", "Text"]
    assert kinds[5:] == ["option changed", "Ping", "Pong", "Ping", "ping timeout", "Close", "closed"]
    assert Timeline(SERVER).items[-1].said == "1011 'Ping timeout', by local"


def test_refused_handshake_and_a_head_that_is_none_are_items_too():
    async def refused(net):
        app = Application()
        app.install(WebSockets)
        server = await app.start("server", 80)
        with pytest.raises(HandshakeError):
            await connect(server.url("/nowhere"))
        await asyncio.sleep(1)
        _, writer = await asyncio.open_connection("server", 80)
        writer.write(b"HELO\r\n\r\n")
        await asyncio.sleep(1)
        return server.trace

    items = Timeline(simulate(refused)).items
    assert [(item.session, item.kind, item.said) for item in items] == [
        (1, "request", "GET /nowhere HTTP/1.1"),
        (1, "response", "HTTP/1.1 404 Not Found"),
        (2, "request", "not kept: incomplete, or not HTTP"),
        (2, "response", "HTTP/1.1 400 Bad Request"),
    ]


def test_half_a_frame_is_an_item_until_it_is_whole():
    trace = Trace()
    trace.begin(0)
    trace.record(1, 1, "client", HELLO[:4])
    timeline = Timeline(trace)
    assert [(item.kind, item.size) for item in timeline.half] == [("unfinished", 4)]
    trace.record(2, 1, "client", HELLO[4:])
    assert timeline.grow() == 0
    assert (timeline.half, [item.said for item in timeline.items]) == ([], ["'Hello'"])
    assert timeline.grow() is None


def test_timeline_grows_at_its_end_only():
    trace = Trace()
    trace.begin(0)
    trace.record(1, 1, "client", HELLO)
    timeline = Timeline(trace)
    trace.record(1, 1, "server", b"\x81\x00")
    trace.event(1, 1, "closed", "CloseReason(1000, by='peer')")
    assert timeline.grow() == 1
    assert [item.kind for item in timeline.items] == ["Text", "Text", "closed"]


def test_timeline_leaves_out_what_the_trace_has_let_go():
    trace = Trace(max_bytes=140 * 100)
    trace.begin(0)
    timeline = Timeline(trace)
    for time in range(300):
        trace.record(time, 1, "client", HELLO)
        timeline.grow()
    assert [item.wire for item in timeline.items] == [frame.wire for frame in trace.frames]
    assert timeline.gone == 300 - len(timeline.items) > 150


def test_frame_of_16_mib_is_read_at_its_beginning():
    trace = Trace(max_bytes=2**26)
    trace.begin(0)
    trace.record(0, 1, "server", b"\x82\x7f" + (2**24).to_bytes(8) + bytes(2**24))
    (item,) = Timeline(trace).items
    assert (item.size, item.said) == (2**24 + 10, "00 00 00 00 00 00 00 00 …")


def test_text_that_is_cut_in_a_character_is_shown():
    trace = Trace()
    trace.begin(0)
    trace.record(0, 1, "server", b"\x81\x7e\x01\x00" + "€".encode() * 85 + b"\x61")
    assert Timeline(trace).items[0].said == repr("€" * 39 + "…")


def test_view_sends_only_what_is_new():
    trace = Trace()
    trace.begin(0)
    trace.record(0, 1, "client", HELLO)
    view = Conversation(trace)
    sent = []
    view.send = sent.append
    view.step()
    assert sent == []
    trace.record(1, 1, "server", b"\x81\x00")
    view.step()
    assert [(message["at"], len(message["rows"])) for message in sent] == [(1, 1)]
    assert [row[7] for row in sent[0]["rows"]] == [""]
    assert [row[7] for row in json.loads(view.rows["items"])] == ["'Hello'"]
    assert (view.rows["turn"], view.turn, sent[0]["turn"]) == (0, 1, 1)


def test_view_sends_all_to_a_module_that_asks():
    view = Conversation(SERVER)
    sent = []
    view.send = sent.append
    view._handle_msg({"content": {"data": {"method": "custom", "content": {"resend": True}}}, "buffers": []})
    assert [len(message["rows"]) for message in sent] == [12]


def test_view_of_a_scene_learns_what_has_arrived_since():
    async def look(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def listen(session):
            await session.incoming.receive()

        server = await app.start("server", 80)
        session = await connect(server.url())
        await session.send(Binary(b"x"))
        timeline = Timeline(net.trace)
        before = timeline.items[-1].lost
        await asyncio.sleep(1)
        return before, timeline.grow(), timeline.items[-1].lost

    assert simulate(look, latency=0.2) == (True, 0, False)


def test_view_holds_no_server():
    async def look():
        app = Application()
        app.install(WebSockets)
        server = await app.start()
        view = Conversation(server.trace)
        known = weakref.ref(server)
        del server
        gc.collect()
        view.close()
        return known()

    assert asyncio.run(look()) is None


def test_what_is_no_trace_is_refused_in_one_line():
    with pytest.raises(TypeError, match=r"^shown is 5: a trace is needed, such as server\.trace or"):
        Conversation(5)
