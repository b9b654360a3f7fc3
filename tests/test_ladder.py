import pytest
from test_timeline import CLIENT, HELLO, SERVER, WIRE

from wslearn.lab import Ladder
from wslearn.lab.view import PRE
from wslearn.trace import Trace


def mimebundle(view):
    data, _ = view._repr_mimebundle_()
    return data


def test_ladder_of_a_wire_has_the_times_of_both_sides_and_a_cross_for_what_was_lost():
    assert Ladder(WIRE).plain().splitlines() == [
        "           client                                              server",
        " 0.2000 s  │── request GET /echo HTTP/1.1 ─────────────────────────▶│  0.3000 s",
        " 0.4000 s  │◀────────── response HTTP/1.1 101 Switching Protocols ──│  0.3000 s",
        " 0.4000 s  │── Text 'Ana' ─────────────────────────────────────────▶│  0.5000 s",
        " 0.6000 s  │◀──────────────────────────────────── Text 'Hi, Ana!' ──│  0.5000 s",
        " 1.0000 s  │◀─────────────────────────────────────────────── Ping ──│  0.9000 s",
        " 1.0000 s  │── Pong ───────────────────────────────────────────────▶│  1.1000 s",
        " 1.3500 s  ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ cut client ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤",
        "           │        ✕─────────────────────────────────────── Ping ──│  1.4000 s",
        "           │        ✕────────────────── Close 1011 'Ping timeout' ──│  2.4000 s",
    ]


def test_ladder_of_sockets_has_no_times_unless_asked():
    lines = Ladder(SERVER).plain().splitlines()
    assert lines[:4] == [
        "client                                              server",
        "│── request GET /echo HTTP/1.1 ─────────────────────────▶│",
        "│◀────────── response HTTP/1.1 101 Switching Protocols ──│",
        "├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌ opened /echo ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┤",
    ]
    assert Ladder(CLIENT, times=True).plain().splitlines()[1].startswith(" 0.2000 s  │── request")


def test_rungs_are_all_of_one_width():
    for trace in (SERVER, WIRE, long_words()):
        lines = Ladder(trace, times=False).plain().splitlines()
        assert {len(line) for line in lines} == {58}


def long_words():
    trace = Trace()
    trace.begin(0)
    trace.record(0, 1, "server", b"\x81\x7d" + b"w" * 125)
    trace.event(0, 1, "option changed", "words " * 40)
    return trace


def test_long_pause_is_a_row_of_its_own():
    trace = Trace()
    trace.begin(0)
    trace.record(0, 1, "client", HELLO)
    trace.record(61.5, 1, "client", HELLO)
    assert Ladder(trace, times=True).plain().splitlines()[2].split() == ["┆", "61.5", "s", "┆"]
    assert len(Ladder(trace).plain().splitlines()) == 3


def test_rungs_of_several_sessions_say_whose_they_are():
    trace = Trace()
    trace.begin(0)
    trace.record(0, 1, "client", HELLO)
    trace.record(1, 2, "client", HELLO)
    assert "── 2: Text 'Hello' ──" in Ladder(trace).plain()
    assert "── Text 'Hello' ──" in Ladder(trace, 2).plain()
    assert len(Ladder(trace, [2]).plain().splitlines()) == 2


def test_long_ladder_prints_its_beginning_and_its_end():
    trace = Trace()
    trace.begin(0)
    for time in range(1000):
        trace.record(time / 1000, 1, "client", HELLO)
    lines = Ladder(trace).plain().splitlines()
    assert len(lines) == 42
    assert "… 960 more …" in lines[21]


def test_ladder_without_a_kernel_is_its_text():
    data = mimebundle(Ladder(WIRE))
    assert data["text/html"].startswith(f"{PRE}           client")
    assert data["text/plain"] == mimebundle(Ladder(WIRE))["text/plain"]


def test_empty_ladder_says_so():
    assert Ladder(Trace()).plain() == "nothing has passed yet"


def test_ladder_refuses_what_is_no_trace():
    with pytest.raises(TypeError, match="shown is '8100': a trace is needed"):
        Ladder("8100")
