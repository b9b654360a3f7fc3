"""What nobody should give to a view, and does: each is one clear line, or bytes shown as far as they go."""

import pytest

from wslearn.lab import CloseStates, Conversation, FrameEditor, FrameInspector, Handshake, Ladder
from wslearn.trace import Trace

HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
HUGE = b"\x82\x7f" + (2**24).to_bytes(8) + bytes(2**24)
BYTES = {
    "no bytes": b"",
    "half a header": b"\x81",
    "half a length": bytes.fromhex("81fe01"),
    "a length of 2**63": bytes.fromhex("827f8000000000000000"),
    "16 MiB": HUGE,
    "16 MiB without a line break": b"GET /" + b"a" * 2**24,
}
OF_BYTES = (FrameInspector, FrameEditor, Handshake)
OF_TRACES = (Conversation, Ladder, CloseStates)


def refusal(view, *given):
    with pytest.raises(TypeError) as raised:
        view(*given)
    return str(raised.value)


@pytest.mark.parametrize("data", BYTES.values(), ids=BYTES)
@pytest.mark.parametrize("view", OF_BYTES)
def test_odd_bytes_are_shown_in_a_few_lines(view, data):
    shown = view(data)
    bundle, _ = shown._repr_mimebundle_()
    assert 0 < len(bundle["text/plain"]) < 5000
    assert len(bundle["text/html"]) < 10_000
    state = {name: value for name, value in shown.get_state().items() if not name.startswith("_")}
    assert len(str(state)) < 10_000


@pytest.mark.parametrize("given", ["81 05", "81 0g", None, 5, [0x81, 0x05]])
@pytest.mark.parametrize("view", OF_BYTES)
def test_what_is_no_bytes_is_refused_in_one_line(view, given):
    line = refusal(view, given)
    assert line.startswith(f"data is {given!r}: bytes are needed")
    assert ("bytes.fromhex()" in line) is isinstance(given, str)


@pytest.mark.parametrize("given", ["81 05", None, HELLO, HUGE, "81 05 " * 10_000])
@pytest.mark.parametrize("view", OF_TRACES)
def test_what_is_no_trace_is_refused_in_one_line(view, given):
    line = refusal(view, given)
    assert line.endswith(": a trace is needed, such as server.trace or session.trace")
    assert len(line) < 110
    assert "\n" not in line


def test_frame_of_16_mib_in_a_trace_is_listed_and_taken_apart():
    trace = Trace(max_bytes=2**26)
    trace.begin(0)
    trace.record(0, 1, "server", HUGE)
    view = Conversation(trace)
    view.selected = 1
    assert view.inspector.frame["title"] == (
        "Binary frame from a server: header 10 bytes, payload 16777216 bytes"
    )
    assert len(str(view.inspector.frame)) < 10_000
    assert "00 00 00 00 00 00 00 00 …" in view.plain()
    assert "00 00 00 00 00 00 00 00 …" in Ladder(trace).plain()


def test_editor_takes_good_bytes_after_each_of_the_bad_ones():
    for data in BYTES.values():
        editor = FrameEditor(data)
        for content in ({"bytes": "81 0g"}, {"field": ["opcode", "16"]}, {"flip": 8 * len(data)}):
            editor._on_message(editor, content, [])
            assert editor.note["wrong"]
            assert len(editor.note["said"]) < 100
            assert editor.wire == data
        editor._on_message(editor, {"bytes": HELLO.hex(" ")}, [])
        assert editor.frame["title"] == "Text frame from a client: header 6 bytes, payload 5 bytes"


def test_header_of_a_handshake_is_cut_where_nobody_reads_on():
    view = Handshake(b"GET / HTTP/1.1\r\nCookie: " + b"*" * 5000 + b"\r\n\r\n")
    [_, cookie] = view.sides[0]["lines"]
    assert cookie["text"] == f"Cookie: {'*' * 392} … 4,608 more characters"
    assert cookie["length"] == 8 * 5008
    assert cookie["parts"][0]["value"] == f"{'*' * 400} … 4,600 more characters"


def test_bytes_that_are_no_text_stay_on_their_line():
    [line] = Handshake(b"\x81\x05\nHello").sides[0]["lines"]
    assert line["text"] == r"'\x81\x05\nHello'"
