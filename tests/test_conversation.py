import pytest
from test_timeline import CLIENT, HELLO, SERVER, WIRE

from wslearn import connect_raw, simulate
from wslearn.lab import Conversation
from wslearn.lab.lanes import as_text, lay
from wslearn.trace import Trace


def mimebundle(view):
    data, _ = view._repr_mimebundle_()
    return data


def test_conversation_of_a_wire_prints_both_times():
    assert Conversation(WIRE).plain().splitlines() == [
        "sent/s  received/s  direction        what      says                              bytes",
        "0.2000      0.3000  client → server  request   GET /echo HTTP/1.1                  152",
        "0.3000      0.4000  server → client  response  HTTP/1.1 101 Switching Protocols    129",
        "0.4000      0.5000  client → server  Text      'Ana'                                 9",
        "0.5000      0.6000  server → client  Text      'Hi, Ana!'                           10",
        "0.9000      1.0000  server → client  Ping                                           78",
        "1.0000      1.1000  client → server  Pong                                           82",
        "1.3500                               cut       client",
        "1.4000       never  server → client  Ping                                           78",
        "2.4000       never  server → client  Close     1011 'Ping timeout'                  16",
    ]


def test_conversation_of_sockets_prints_no_times_unless_asked():
    assert Conversation(CLIENT).plain().splitlines()[:2] == [
        "direction        what      says                              bytes",
        "client → server  request   GET /echo HTTP/1.1                  152",
    ]
    assert Conversation(CLIENT, times=True).plain().splitlines()[1].startswith("0.2000  client → server")


def test_conversation_lists_chosen_kinds_of_a_chosen_session():
    assert [item.kind for item in Conversation(SERVER, 1, kinds=["ping", "close"]).listed] == [
        "Ping",
        "Ping",
        "Close",
    ]
    assert Conversation(SERVER, 2).listed == [item for item in Conversation(SERVER).items if not item.session]


def test_conversation_names_the_kinds_that_there_are():
    with pytest.raises(ValueError, match="kind is 'pings': one of handshake, text, binary, ping, pong, "):
        Conversation(SERVER, kinds=["pings"])


def test_html_is_a_table_with_headings():
    html = mimebundle(Conversation(WIRE))["text/html"]
    assert html.startswith('<table><thead><tr><th scope="col">sent/s</th>')
    assert "&#x27;Hi, Ana!&#x27;" in html


def test_empty_conversation_says_so():
    view = Conversation(Trace(), lanes=True)
    assert view.plain() == "nothing has passed yet\n\nno frame has passed yet"
    assert "nothing has passed yet" in view.html()


def test_long_conversation_prints_its_beginning_and_its_end():
    trace = Trace()
    trace.begin(0)
    for time in range(1000):
        trace.record(time, 1, "client", HELLO)
    lines = Conversation(trace).plain().splitlines()
    assert len(lines) == 42
    assert lines[21].split("  ")[-1] or "… 960 more …" in lines[21]


def test_chosen_frame_is_taken_apart():
    view = Conversation(SERVER)
    view.selected = 4
    assert view.inspector.frame["title"] == "Text frame from a client: header 6 bytes, payload 3 bytes"
    assert (view.shown, view.told) == (4, "")


def test_chosen_head_and_chosen_event_are_told():
    view = Conversation(SERVER)
    view.selected = 1
    assert view.told.startswith("GET /echo HTTP/1.1\r\nHost: server:80\r\n")
    view.selected = 3
    assert view.told == "opened: /echo"


def test_number_of_what_has_gone_says_so():
    trace = Trace(max_bytes=140 * 50)
    trace.begin(0)
    for time in range(100):
        trace.record(time, 1, "client", HELLO)
    view = Conversation(trace)
    for time in range(100, 200):
        trace.record(time, 1, "client", HELLO)
        view.step()
    view.selected = 1
    assert (view.shown, view.told) == (1, "the trace has let this one go")
    assert len(view.timeline.items) == len(trace.frames)
    view.selected = 999
    assert view.shown == 999


def test_conversation_is_brought_up_to_date_when_it_is_shown():
    trace = Trace()
    trace.begin(0)
    view = Conversation(trace)
    trace.record(0, 1, "client", HELLO)
    assert "'Hello'" in mimebundle(view)["text/plain"]


def test_closed_conversation_closes_its_inspector():
    view = Conversation(SERVER)
    inspector = view.inspector
    view.close()
    assert inspector.comm is None


def fragments():
    """A text in two fragments with a ping between them, in chunks that do not respect frames."""
    trace = Trace()
    trace.begin(0)
    wire = bytes.fromhex("0103 486920 8900 8003 416e61 8800")
    for time, (begin, end) in enumerate([(0, 2), (2, 8), (8, 11), (11, 14)]):
        trace.record(time, 1, "server", wire[begin:end])
    return trace


def test_lanes_know_which_chunks_a_frame_and_which_frames_a_message_lies_in():
    client, server = lay(fragments(), 1)
    assert (client.chunks, client.frames, client.messages) == ([], [], [])
    assert [(span.begin, span.end, span.size) for span in server.chunks] == [
        (0, 0, 2),
        (1, 1, 6),
        (2, 2, 3),
        (3, 3, 3),
    ]
    assert [(span.group, span.begin, span.end, span.parts) for span in server.frames] == [
        ("text", 0, 1, (0, 1)),
        ("ping", 1, 1, (1, 1)),
        ("text", 1, 3, (1, 3)),
        ("close", 3, 3, (3, 3)),
    ]
    assert [(span.begin, span.end, span.size, span.parts) for span in server.messages] == [(0, 3, 6, (0, 2))]


def test_lanes_of_a_wire_last_until_all_has_arrived():
    client, server = lay(WIRE, 1)
    assert [round(span.end - span.begin, 3) for span in client.chunks] == [0.1, 0.1]
    assert [(span.group, span.lost) for span in server.frames][-2:] == [("ping", True), ("close", True)]


def test_lanes_stay_right_when_the_oldest_chunks_have_gone():
    trace = Trace(max_bytes=140 * 64)
    trace.begin(0)
    wire = HELLO * 300
    for at in range(0, len(wire), 7):
        trace.record(at, 1, "client", wire[at : at + 7])
    client, _ = lay(trace, 1)
    for span in client.frames:
        first, last = span.parts
        assert (client.chunks[first].begin, client.chunks[last].begin) == (span.begin, span.end)
        assert 1 <= last - first <= 2


def test_lanes_print_as_bars_with_letters():
    lines = as_text(lay(fragments(), 1), has_times=True).splitlines()
    assert [line.split() for line in lines] == [
        ["client", "→", "server"],
        ["messages", "0"],
        ["frames", "0"],
        ["chunks", "0"],
        ["server", "→", "client"],
        ["messages", "├───────────────────────────────T──────────────────────────────┤", "1"],
        ["frames", "├──────────T─────────P────────────────────T────────────────────C", "4"],
        ["chunks", "│", "│", "│", "│", "4"],
        ["0.000", "s", "3.000", "s"],
    ]


def test_lanes_reach_the_module_with_the_rows_of_their_frames():
    view = Conversation(SERVER, lanes=True)
    client, server = view.lanes["directions"]
    assert [span[4] for span in client["frames"]] == [4, 8]
    assert [span[4] for span in server["frames"]] == [5, 7, 9, 11]


def test_lanes_of_a_long_session_are_those_of_its_newest_thousand_frames():
    trace = Trace()
    trace.begin(0)
    for time in range(1500):
        trace.record(time, 1, "client", HELLO)
    view = Conversation(trace, lanes=True)
    client, _ = view.lanes["directions"]
    assert [span[4] for span in client["frames"]] == [*range(501, 1501)]
    assert [len(client[name]) for name in ("messages", "chunks")] == [1000, 1000]
    assert view.lanes["note"] == "the newest 1,000 of 1,500 frames"
    assert "\nthe newest 1,000 of 1,500 frames\nclient → server\n" in view.plain()


def test_session_with_its_trace_is_shown_alone():
    async def talk(net):
        from wslearn import Application, WebSockets

        app = Application()
        app.install(WebSockets)

        @app.websocket_raw("/")
        async def greet(session):
            await session.send("hi")

        server = await app.start("server", 80)
        session = await connect_raw(server.url())
        await session.incoming.receive()
        return Conversation(session).sessions

    assert simulate(talk) == [1]
