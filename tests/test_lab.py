import asyncio
import gc
import subprocess
import sys
import weakref

import pytest

from wslearn import Application, Deflate, FaultyLink, Ping, Pong, Text, WebSockets, connect, dissect, simulate
from wslearn.lab import Bits, ByteStrip, FrameInspector, LinkPanel, OptionsPanel, PingPlot
from wslearn.lab.frame_inspector import diagram
from wslearn.lab.ping_plot import RoundTrips
from wslearn.lab.view import PRE, View
from wslearn.trace import TracedFrame

HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
GOING_AWAY = bytes.fromhex("880503e9627965")


def mimebundle(view):
    data, _ = view._repr_mimebundle_()
    return data


async def scene(net):
    app = Application()
    app.install(WebSockets, ping_period=0.5)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(f"Hi, {frame.read_text()}!")

    server = await app.start("server", 80)
    async with connect(server.url("/echo")) as session:
        await session.send("Ana")
        await session.incoming.receive()
        await asyncio.sleep(0.7)
    return server.trace


def test_importing_the_lab_imports_no_matplotlib():
    code = "import sys, wslearn.lab; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_lab_without_widgets_says_what_to_install():
    code = "import sys; sys.modules['anywidget'] = None; import wslearn.lab"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stderr.endswith("pip install 'wslearn[lab]'\n")


def test_inspector_groups_the_fields_under_their_labels():
    groups = FrameInspector(HELLO, "client").frame["groups"]
    assert [(g["label"], g["value"], g["start"], g["length"]) for g in groups] == [
        ("FIN", "1", 0, 1),
        ("RSV", "000", 1, 3),
        ("OP", "1 text", 4, 4),
        ("M", "1", 8, 1),
        ("LEN", "5", 9, 7),
        ("KEY", "37 fa 21 3d", 16, 32),
        ("DATA", "'Hello'", 48, 40),
    ]


def test_inspector_sends_masked_and_unmasked_payload_and_the_key():
    assert FrameInspector(HELLO).frame["payload"] == {
        "start": 6,
        "key": "37fa213d",
        "masked": "7f9f4d5158",
        "unmasked": "48656c6c6f",
        "inflated": "",
        "inflated_size": 0,
    }


DEFLATED = bytes.fromhex("c107f248cdc9c90700")


def test_inspector_shows_a_compressed_payload_in_both_its_forms():
    view = FrameInspector(DEFLATED, "server", [Deflate()])
    assert view.frame["payload"]["inflated"] == b"Hello".hex()
    assert [group["value"] for group in view.frame["groups"]][-1] == "'Hello'"
    assert view.frame["violations"] == []
    assert "inflated: 'Hello', 5 bytes" in view.plain()


def test_inspector_of_a_trace_inflates_what_looks_back_to_earlier_messages():
    async def scene(net):
        app = Application()
        app.install(WebSockets, ping_period=None, extensions=[Deflate()])

        @app.websocket("/")
        async def listen(session):
            async for _ in session.incoming:
                pass

        async with app.start("server", 80), connect("ws://server/", extensions=[Deflate()]) as session:
            await session.send("Hello")
            await session.send("Hello")
        return net.trace

    trace = simulate(scene, seed=1)
    assert [row[4] for row in FrameInspector(trace).rows[:2]] == ["'Hello'", "'Hello'"]
    first, second, *_ = trace.frames
    assert len(second.wire) < len(first.wire)
    for frame in (first, second):
        data = FrameInspector(frame).frame
        assert (data["payload"]["inflated"], data["violations"]) == (b"Hello".hex(), [])


def test_code_and_reason_stand_for_the_payload_of_a_close():
    groups = FrameInspector(GOING_AWAY, "server").frame["groups"]
    assert [(g["label"], g["value"]) for g in groups][-2:] == [("CODE", "1001"), ("REASON", "'bye'")]


def test_groups_cover_every_bit_of_a_frame_once():
    for wire in (
        HELLO,
        GOING_AWAY,
        b"\x82\x7e\x01\x00" + bytes(256),
        b"\x82\xff" + bytes(7) + b"\x01abcd\x00",
    ):
        ends = 0
        for group in FrameInspector(wire).frame["groups"]:
            assert group["start"] == ends
            ends += group["length"]
        assert ends == 8 * len(wire)


def test_inspector_places_violations_in_bits():
    violations = FrameInspector(b"\xa1\x00", "server").frame["violations"]
    assert [(v["start"], v["length"], v["section"]) for v in violations] == [(2, 1, "5.2")]


def test_inspector_sends_512_bytes_of_a_long_frame():
    frame = FrameInspector(b"\x82\x7f" + (2**24).to_bytes(8, "big") + bytes(2**24)).frame
    assert frame["size"] == 2**24 + 10
    assert len(frame["hex"]) == len(frame["payload"]["masked"]) == 1024


def test_inspector_of_no_bytes_says_so():
    assert FrameInspector(b"", "client").plain().startswith("no frame from a client: 0 bytes")


@pytest.mark.parametrize("cut", range(1, len(HELLO)))
def test_inspector_shows_a_frame_cut_anywhere(cut):
    data = mimebundle(FrameInspector(HELLO[:cut], "client"))
    assert "missing: " in data["text/plain"]


@pytest.mark.parametrize("bad", ["81 05", None, 5])
def test_inspector_refuses_what_is_no_bytes_in_one_line(bad):
    with pytest.raises(TypeError, match="bytes are needed"):
        FrameInspector(bad)


def test_diagram_is_the_picture_of_the_rfc_filled_in():
    assert diagram(dissect(HELLO)).splitlines() == [
        " 0                   1                   2                   3",
        " 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1",
        "+-+-----+-------+-+-------------+-------------------------------+",
        "|1|0 0 0|0 0 0 1|1|0 0 0 0 1 0 1|0 0 1 1 0 1 1 1 1 1 1 1 1 0 1 0|",
        "|F| RSV |   OP  |M|     LEN     |              KEY              |",
        "+-------------------------------+-------------------------------+",
        "|0 0 1 0 0 0 0 1 0 0 1 1 1 1 0 1|0 1 1 1 1 1 1 1 1 0 0 1 1 1 1 1|",
        "|              KEY              |              DATA             |",
        "+-----------------------------------------------+",
        "|0 1 0 0 1 1 0 1 0 1 0 1 0 0 0 1 0 1 0 1 1 0 0 0|",
        "|                      DATA                     |",
        "+-----------------------------------------------+",
    ]


def test_inspector_prints_the_table_of_the_dissection_and_draws_it_in_html():
    data = mimebundle(FrameInspector(HELLO, "client"))
    assert data["text/plain"] == repr(dissect(HELLO, "client"))
    assert "|1|0 0 0|0 0 0 1|1|" in data["text/html"]
    assert "<th scope=" in data["text/html"]


def test_inspector_shows_the_same_for_bytes_a_dissection_and_a_traced_frame():
    frame = FrameInspector(HELLO, "client").frame
    assert FrameInspector(dissect(HELLO + b"rest", "client")).frame == frame | {"rest": 4}
    assert FrameInspector(TracedFrame(0, 1, "client", HELLO, Text("Hello"))).frame == frame


def test_inspector_of_a_trace_lists_its_frames_and_shows_the_one_chosen():
    view = FrameInspector(simulate(scene, latency=0.02))
    assert [row[2:5] for row in view.rows[:2]] == [
        ["client", "Text", "'Ana'"],
        ["server", "Text", "'Hi, Ana!'"],
    ]
    view.selected = 2
    assert view.frame["title"] == "Text frame from a server: header 2 bytes, payload 8 bytes"


def test_inspector_of_a_trace_prints_no_times_and_nothing_from_chance():
    view = FrameInspector(simulate(scene, latency=0.02))
    assert view.plain() == "\n".join(
        [
            "client → server  Text   'Ana'       9 bytes",
            "server → client  Text   'Hi, Ana!'  10 bytes",
            "server → client  Ping               78 bytes",
            "client → server  Pong               82 bytes",
            "client → server  Close  1000        8 bytes",
            "server → client  Close  1000        4 bytes",
        ]
    )
    assert (
        mimebundle(view)["text/plain"]
        == mimebundle(FrameInspector(simulate(scene, latency=0.02, seed=7)))["text/plain"]
    )


def test_inspector_of_an_empty_trace_waits_for_frames():
    trace = simulate(scene)
    empty = type(trace)()
    view = FrameInspector(empty)
    assert (view.plain(), view.rows) == ("no frames yet", [])


def test_inspector_follows_a_trace_that_grows():
    async def talk():
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def greet(session):
            await session.send("first")
            await session.incoming.receive()
            await session.send("second")

        async with app.start() as server, connect(server.url()) as session:
            await session.incoming.receive()
            view = FrameInspector(server.trace)
            before = len(view.rows)
            changed = asyncio.Event()
            view.observe(lambda change: len(view.rows) > 2 and changed.set(), "rows")
            await session.send(Text("go on"))
            await asyncio.wait_for(changed.wait(), 5)
            view.close()
            return before

    assert asyncio.run(talk()) == 1


class Counting(View):
    steps = 0

    def step(self):
        self.steps += 1
        return self.steps != 50


def test_live_view_steps_at_most_20_times_a_second_until_it_says_no():
    async def watch(net):
        view = Counting()
        view.live()
        await asyncio.sleep(1.01)
        after_a_second = view.steps
        await asyncio.sleep(10)
        return after_a_second, view.steps

    assert simulate(watch) == (20, 50)


def test_closed_view_takes_no_more_steps():
    async def watch(net):
        view = Counting()
        view.live()
        await asyncio.sleep(0.11)
        view.close()
        await asyncio.sleep(1)
        return view.steps

    assert simulate(watch) == 2


def test_view_without_a_running_loop_stands_still():
    view = Counting()
    view.live()
    assert view.steps == 0


def ask(panel, **asked):
    """Say to the panel what its front end says when somebody moves or types something."""
    panel._handle_msg({"content": {"data": {"method": "custom", "content": asked}}, "buffers": []})


def test_panel_prints_the_options_with_their_units():
    panel = OptionsPanel(WebSockets(ping_period=None, max_frame_size=1000))
    assert panel.plain() == "\n".join(
        [
            "ping_period     off",
            "timeout         15 s",
            "max_frame_size  1000 bytes",
            "masking         off",
        ]
    )
    assert "<td>1000 bytes</td>" in mimebundle(panel)["text/html"]


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"name": "ping_period", "step": 0}, 0.05),
        ({"name": "ping_period", "step": 14}, None),
        ({"name": "ping_period", "text": "off"}, None),
        ({"name": "timeout", "text": "0.25 s"}, 0.25),
        ({"name": "timeout", "text": "7"}, 7),
        ({"name": "max_frame_size", "step": 0}, 125),
        ({"name": "max_frame_size", "text": "64 KiB"}, 65536),
        ({"name": "max_frame_size", "text": "no limit"}, None),
        ({"name": "masking", "on": True}, True),
    ],
)
def test_panel_assigns_what_is_asked_at_once(asked, value):
    options = WebSockets()
    panel = OptionsPanel(options)
    ask(panel, **asked)
    assert getattr(options, asked["name"]) == value
    assert panel.state["error"] == ""


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("ping_period", "0", "ping_period is 0: seconds above 0 are allowed; write None for no pings"),
        ("timeout", "off", "timeout is None: seconds above 0 are allowed"),
        ("timeout", "nan", "timeout is nan: seconds above 0 are allowed"),
        ("timeout", "soon", "timeout is 'soon': seconds above 0 are allowed"),
        (
            "max_frame_size",
            "-1",
            "max_frame_size is -1: whole bytes above 0, or None for no limit, are allowed",
        ),
        (
            "max_frame_size",
            "1 TiB",
            "max_frame_size is '1 TiB': whole bytes above 0, or None for no limit, are allowed",
        ),
    ],
)
def test_panel_shows_the_error_of_a_bad_value_and_goes_back_to_the_true_one(name, text, error):
    options = WebSockets()
    panel = OptionsPanel(options)
    before = panel.state
    ask(panel, name=name, text=text)
    assert panel.state["error"] == error
    assert panel.state["values"] == before["values"]
    assert panel.state["turn"] != before["turn"]


def test_panel_puts_the_slider_on_the_nearest_step():
    values = OptionsPanel(WebSockets(ping_period=12, timeout=1000)).state["values"]
    assert values["ping_period"] == {"text": "12 s", "step": 9}
    assert values["timeout"] == {"text": "1000 s", "step": 13}


def test_panel_follows_what_is_assigned_elsewhere():
    options = WebSockets()
    panel = OptionsPanel(options)
    options.ping_period = 0.5
    panel.step()
    assert panel.state["values"]["ping_period"]["text"] == "0.5 s"


def test_panel_of_a_session_moves_that_session_alone():
    async def talk(net):
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def listen(session):
            await session.incoming.receive()

        server = await app.start("server", 80)
        async with connect(server.url()) as session:
            ask(OptionsPanel(session), name="ping_period", text="0.5")
            return session.ping_period, server.options.ping_period

    assert simulate(talk) == (0.5, 15)


def test_panel_refuses_what_has_no_options():
    with pytest.raises(TypeError, match=r"options is 5: server\.options or a session is needed"):
        OptionsPanel(5)


def traced(time, sender, frame, session=1):
    return TracedFrame(time, session, sender, b"", frame)


def trips_of(frames):
    trips = RoundTrips()
    trips.follow(frames)
    return [*trips]


def test_ping_is_matched_with_the_pong_of_its_payload_from_the_other_side():
    frames = [
        traced(1, "server", Ping(b"a")),
        traced(2, "server", Ping(b"b")),
        traced(2.5, "server", Pong(b"a")),
        traced(3, "client", Pong(b"b")),
        traced(4, "client", Pong(b"unasked")),
        traced(5, "client", Pong(b"a"), session=2),
        traced(6, "client", Pong(b"a")),
        traced(7, "client", Pong(b"a")),
    ]
    assert trips_of(frames) == [(1, "server", 1, 5), (1, "server", 2, 1)]


def test_ping_without_a_pong_has_no_round_trip():
    assert trips_of([traced(1, "client", Ping())]) == [(1, "client", 1, None)]


def test_equal_pings_are_answered_in_their_order():
    frames = [traced(1, "client", Ping()), traced(2, "client", Ping()), traced(3, "server", Pong())]
    assert [trip.seconds for trip in trips_of(frames)] == [2, None]


def test_unanswered_pings_fill_no_memory():
    trips = RoundTrips(most=3)
    trips.follow(traced(time, "server", Ping(b"")) for time in range(1000))
    trips.follow(traced(time, "server", Ping(str(time).encode())) for time in range(1000, 2000))
    trips.follow([traced(2001, "client", Pong(b"1999")), traced(2002, "client", Pong(b"1000"))])
    assert [trip.seconds for trip in trips] == [None, None, 2]
    assert len(trips._waiting) <= 6


async def cut_cable(net):
    app = Application()
    app.install(WebSockets, ping_period=3, timeout=4)

    @app.websocket("/")
    async def listen(session):
        await session.incoming.receive()

    server = await app.start("server", 80)
    session = await connect(server.url())
    await asyncio.sleep(4)
    server.options.ping_period = 2
    waiting = PingPlot(server.trace, 1)
    await asyncio.sleep(2.1)
    asked = waiting.step(), waiting.state["points"]
    net.cut("client")
    await asyncio.sleep(20)
    return asked, waiting.step(), server.trace, session


def test_plot_shows_round_trips_changes_and_the_ping_that_nobody_answered():
    asked, goes_on, trace, _ = simulate(cut_cable, latency=0.1)
    assert asked == (True, [(3.3, 200.0, "pong"), (6.4, None, "waiting")])
    assert goes_on is False
    state = PingPlot(trace).state
    assert state == {
        "points": [(3.3, 200.0, "pong"), (6.4, None, "lost")],
        "changes": [[4.4, "ping_period: 3 → 2"]],
        "latest": "200 ms",
        "median": "200 ms",
        "answered": 1,
        "lost": 1,
    }


def test_plot_keeps_the_last_200_pings():
    trace = simulate(scene)
    for number in range(300):
        trace.record(100 + number, 1, "server", b"\x89\x01" + bytes([number % 256]))
    assert len(PingPlot(trace).state["points"]) == 200


def test_plot_looks_at_each_frame_once():
    trace = simulate(scene)
    plot = PingPlot(trace)
    looked_at = []
    frames_from = trace.frames_from
    trace.frames_from = lambda place: looked_at.append(frames_from(place)[0]) or frames_from(place)
    trace.record(100, 1, "server", b"\x89\x00")
    plot.step()
    plot.step()
    assert [len(frames) for frames in looked_at] == [1, 0]
    assert plot.state["points"][-1] == (100, None, "waiting")


def test_plot_prints_no_numbers():
    trace = simulate(scene)
    says = "round trips in ms over time in s, drawn while the kernel runs"
    assert PingPlot(trace).plain() == f"PingPlot of all sessions: {says}"
    assert "session 1: round trips" in mimebundle(PingPlot(trace, 1))["text/html"]


def test_plot_holds_no_server():
    async def look():
        app = Application()
        app.install(WebSockets)
        server = await app.start()
        view = PingPlot(server.trace)
        known = weakref.ref(server)
        del server
        gc.collect()
        view.close()
        return known()

    assert asyncio.run(look()) is None


def test_plot_refuses_what_has_no_pings():
    with pytest.raises(TypeError, match="shown is 5: a session or a trace is needed"):
        PingPlot(5)


def test_strip_prints_bytes_in_hex_and_in_bits():
    strip = ByteStrip({"client → server": b"\x81\x82", "server → client": b"H"})
    assert strip.plain() == "\n".join(
        [
            "client → server  81   82",
            "2 bytes         1000 1000",
            "                0001 0010",
            "server → client  48",
            "1 byte          0100",
            "                1000",
        ]
    )
    assert mimebundle(strip)["text/html"].startswith(f"{PRE}client → server  81")


def test_strip_of_a_trace_has_a_row_for_each_frame():
    rows = ByteStrip(simulate(scene)).rows
    assert [label for label, _ in rows[:2]] == ["client → server", "server → client"]
    assert rows[1][1] == "8108" + b"Hi, Ana!".hex()


def test_strip_shows_a_row_without_bytes():
    assert ByteStrip({"silence": b""}).plain() == "silence\n0 bytes\n"


def test_strip_refuses_text():
    with pytest.raises(TypeError, match="row is '81': bytes are needed"):
        ByteStrip({"client": "81"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0x81, "1000 0001 = hex 81 = 129"),
        (0x48, "0100 1000 = hex 48 = 72 = 'H'"),
        (0, "0000 0000 = hex 00 = 0"),
        (255, "1111 1111 = hex ff = 255"),
    ],
)
def test_bits_print_their_byte(value, text):
    assert repr(Bits(value)) == text


@pytest.mark.parametrize("value", [-1, 256])
def test_bits_refuse_what_is_no_byte(value):
    with pytest.raises(ValueError, match=f"value is {value}: a byte is 0 to 255"):
        Bits(value)


# faults of a link


def faults(*assignments):
    """Return what a panel shows of a link after these messages of its page, and whether it is cut."""

    async def main():
        async with FaultyLink("ws://127.0.0.1:9", latency=0.2) as link:
            panel = LinkPanel(link)
            for asked in assignments:
                panel._assign(panel, asked, [])
            return panel.plain().splitlines(), panel.state["error"], link.is_cut()

    return asyncio.run(main())


def test_link_panel_shows_the_faults_with_their_units():
    assert faults()[0] == [
        "latency         0.2 s",
        "jitter          0 s",
        "bandwidth       no limit",
        "cut             off",
        "frozen          off",
    ]


@pytest.mark.parametrize(("latency", "step"), [(0, 0), (0.001, 1), (0.2, 6), (0.4, 7), (9, 10)])
def test_slider_stands_at_the_step_that_is_nearest(latency, step):
    async def main():
        async with FaultyLink("ws://127.0.0.1:9", latency=latency) as link:
            return LinkPanel(link).state["values"]["latency"]["step"]

    assert asyncio.run(main()) == step


def test_button_of_the_link_panel_breaks_all_connections():
    async def main():
        app = Application()
        app.install(WebSockets)

        @app.websocket("/")
        async def listen(session):
            await session.incoming.receive()

        async with app.start() as server, FaultyLink(server) as link:
            session = await connect(link.url())
            panel = LinkPanel(link)
            panel._assign(panel, {"name": "reset"}, [])
            return await session.close_reason

    assert asyncio.run(main()).by == "network"


def test_slider_field_and_switch_of_the_link_panel_set_the_faults():
    shown, error, is_cut = faults(
        {"name": "latency", "step": 4},
        {"name": "jitter", "text": "0.3"},
        {"name": "bandwidth", "text": "2 Mbit/s"},
        {"name": "cut", "on": True},
        {"name": "frozen", "on": True},
    )
    assert shown == [
        "latency         0.05 s",
        "jitter          0.3 s",
        "bandwidth       2 Mbit/s",
        "cut             on",
        "frozen          on",
    ]
    assert (error, is_cut) == ("", True)


def test_fault_that_is_switched_off_again_is_gone():
    shown, _, is_cut = faults({"name": "cut", "on": True}, {"name": "cut", "on": False})
    assert (shown[3], is_cut) == ("cut             off", False)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"name": "latency", "text": "-1"}, "latency is -1: "),
        ({"name": "bandwidth", "text": "fast"}, "bandwidth is 'fast': "),
    ],
)
def test_bad_fault_is_named_and_changes_nothing(asked, error):
    shown, said, _ = faults(asked)
    assert said.startswith(error)
    assert shown == faults()[0]


def test_panel_of_something_else_is_a_type_error():
    with pytest.raises(TypeError, match="link is 3: a FaultyLink is needed"):
        LinkPanel(3)
