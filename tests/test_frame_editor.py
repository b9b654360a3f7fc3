"""The editor of a frame: what an edit does to bytes, what is sent, and what the peer says to it."""

import asyncio
import threading

import pytest

from wslearn import Application, WebSockets, connect, connect_raw, simulate
from wslearn.codec import encode
from wslearn.frames import Binary, Close, CloseReason, Text
from wslearn.lab import FrameEditor
from wslearn.lab.edits import flip, with_bit, with_digit, with_field

KEY = bytes.fromhex("37fa213d")
HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
CLOSE = encode(Close(CloseReason(1000, "bye")), KEY)
ECHO = "ws://server/echo"


def typed(editor, **content):
    editor._on_message(editor, content, [])
    return editor.note


# edits


@pytest.mark.parametrize(
    ("name", "text", "wire"),
    [
        ("FIN", "0", "01 85 37 fa 21 3d 7f 9f 4d 51 58"),
        ("RSV2", "1", "a1 85 37 fa 21 3d 7f 9f 4d 51 58"),
        ("RSV", "7", "f1 85 37 fa 21 3d 7f 9f 4d 51 58"),
        ("opcode", "0xa", "8a 85 37 fa 21 3d 7f 9f 4d 51 58"),
        ("MASK", "0", "81 05 37 fa 21 3d 7f 9f 4d 51 58"),
        ("payload_length", "4", "81 84 37 fa 21 3d 7f 9f 4d 51 58"),
        ("payload_length", "126", "81 fe 00 7e 37 fa 21 3d 7f 9f 4d 51 58"),
        ("payload_length", "65536", "81 ff 00 00 00 00 00 01 00 00 37 fa 21 3d 7f 9f 4d 51 58"),
        ("payload_length", str(2**64 - 1), "81 ff ff ff ff ff ff ff ff ff 37 fa 21 3d 7f 9f 4d 51 58"),
        ("masking_key", "00 00 00 00", "81 85 00 00 00 00 7f 9f 4d 51 58"),
        ("payload", "Hi", "81 82 37 fa 21 3d 7f 93"),
        ("payload", "", "81 80 37 fa 21 3d"),
    ],
)
def test_field_is_written_as_it_is_typed(name, text, wire):
    assert with_field(HELLO, name, text) == bytes.fromhex(wire)


def test_length_is_written_over_a_longer_form():
    long = encode(Binary(b"a" * 200), KEY)
    assert with_field(long, "payload_length", "5") == b"\x82\x85" + long[4:]


@pytest.mark.parametrize("text", ["00 ff", "0x00,0xff"])
def test_payload_of_a_binary_frame_is_typed_in_hex(text):
    assert with_field(b"\x82\x00", "payload", text) == b"\x82\x02\x00\xff"


def test_payload_of_a_binary_frame_may_be_a_text_in_quotes():
    assert with_field(b"\x82\x00", "payload", '"é"') == b"\x82\x02\xc3\xa9"


def test_bytes_behind_a_frame_stay_behind_it():
    assert with_field(b"\x81\x01ab", "payload", "xyz") == b"\x81\x03xyzb"


@pytest.mark.parametrize(
    ("name", "text", "frame"),
    [
        ("status_code", "1001", Close(CloseReason(1001, "bye"))),
        ("reason", "why", Close(CloseReason(1000, "why"))),
    ],
)
def test_code_and_reason_of_a_close_are_fields_of_their_own(name, text, frame):
    assert with_field(CLOSE, name, text) == encode(frame, KEY)


@pytest.mark.parametrize(
    ("wire", "name", "text", "line"),
    [
        (HELLO, "opcode", "16", "opcode is 16: 0 to 15 are allowed"),
        (HELLO, "opcode", "ping", "opcode is 'ping': a number is needed"),
        (HELLO, "payload_length", "-1", "payload length is -1: 0 to 18446744073709551615 are allowed"),
        (HELLO, "masking_key", "00", "masking key has 1 of the 4 bytes that it needs"),
        (HELLO, "masking_key", "xx", "'xx' is no hex: two digits of 0-9 and a-f a byte"),
        (b"\x81\x00", "masking_key", "00 00 00 00", "there is no masking key in this frame"),
        (HELLO, "status_code", "1000", "there is no status code in this frame"),
        (HELLO[:-1], "payload", "Hi", "there is no payload in this frame"),
        (b"", "RSV", "1", "there is no RSV in this frame"),
        (HELLO, "colour", "1", "there is no colour in this frame"),
    ],
)
def test_what_no_bits_can_say_is_refused_in_one_line(wire, name, text, line):
    with pytest.raises(ValueError, match=line):
        with_field(wire, name, text)


def test_bits_and_digits_are_written_one_by_one():
    assert with_bit(HELLO, 0, 1) == HELLO
    assert with_bit(HELLO, 0, 0) == flip(HELLO, 0)
    assert with_digit(HELLO, 0, 0, 0xC)[:1] == b"\xc1"
    assert with_digit(HELLO, 0, 1, 0xA)[:1] == b"\x8a"


# the view


def test_every_edit_is_dissected_at_once_and_can_be_taken_back():
    editor = FrameEditor(HELLO)
    assert typed(editor, flip=1) == {"said": "bit 1, RSV1: 81 → c1", "wrong": False}
    assert editor.frame["violations"][0]["message"].startswith("reserved bit set: RSV1")
    typed(editor, digit=[0, 1, 9])
    typed(editor, bit=[8, 0])
    assert editor.wire[:2] == bytes.fromhex("c905")
    for _ in range(4):
        typed(editor, do="undo")
    assert editor.wire == HELLO
    assert editor.frame["violations"] == []


def test_start_over_brings_the_first_bytes_back():
    editor = FrameEditor(HELLO)
    editor.set_field("payload", "another text")
    typed(editor, do="start over")
    assert editor.wire == HELLO


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"bytes": "81 0g"}, "'0g' is no hex: two digits of 0-9 and a-f a byte"),
        ({"field": ["opcode", "16"]}, "opcode is 16: 0 to 15 are allowed"),
        ({"flip": 88}, "these bits are gone: the frame has become shorter"),
        ({"do": "send"}, "no loop runs where this editor was made: make it in a cell of a notebook"),
    ],
)
def test_what_cannot_be_done_is_said_in_the_line_of_the_view(content, line):
    editor = FrameEditor(HELLO)
    assert typed(editor, **content) == {"said": line, "wrong": True}
    assert editor.wire == HELLO
    typed(editor, flip=0)
    assert not editor.note["wrong"]


@pytest.mark.parametrize(
    ("wire", "title"),
    [
        ("", "no frame from a client: 0 bytes"),
        ("81", "Text frame from a client, incomplete"),
        (
            "82ff8000000000000000",
            f"Binary frame from a client: header 14 bytes, payload {2**63} bytes, incomplete",
        ),
    ],
)
def test_odd_bytes_are_shown_and_stay_editable(wire, title):
    editor = FrameEditor(bytes.fromhex(wire))
    assert editor.frame["title"] == title
    typed(editor, bytes=HELLO.hex(" "))
    assert editor.frame["title"] == "Text frame from a client: header 6 bytes, payload 5 bytes"


def test_frame_of_16_mib_sends_512_bytes_to_the_view():
    frame = FrameEditor(encode(Binary(bytes(2**24)), KEY)).frame
    assert (len(frame["hex"]), frame["size"]) == (1024, 2**24 + 14)


def test_bytes_behind_a_frame_are_shown_and_counted():
    frame = FrameEditor(flip(HELLO, 13)).frame
    assert (frame["hex"], frame["rest"]) == (flip(HELLO, 13).hex(), 4)


@pytest.mark.parametrize("wait", [0, -1, float("nan")])
def test_editor_waits_for_a_positive_time(wait):
    with pytest.raises(ValueError, match="seconds above 0 are needed"):
        FrameEditor(HELLO, wait=wait)


@pytest.mark.parametrize("peer", ["http://server/", "server"])
def test_peer_is_the_url_of_a_websocket(peer):
    with pytest.raises(ValueError, match=r"peer is .*: ws://host:port/path is needed"):
        FrameEditor(HELLO, peer)


def test_text_is_no_frame():
    with pytest.raises(TypeError, match="bytes are needed"):
        FrameEditor("81 05")


# the peer


def asked(play, wire=HELLO, path="/echo", ping_period=None, **options):
    """Return what a play does with an editor whose peer is a server that echoes."""
    app = Application()
    app.install(WebSockets, ping_period=ping_period, timeout=1)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    async def scene(net):
        async with app.start("server", 80):
            editor = FrameEditor(wire, f"ws://server{path}", **options)
            result = await play(editor)
            editor.close()
            return result

    return simulate(scene, latency=0.01)


@pytest.mark.parametrize(
    ("bit", "told", "verdict", "state"),
    [
        (87, "Text 'Helln'", "text", "11 bytes sent, 1 s waited"),
        (4, "Pong 'Hello'", "pong", "11 bytes sent, 1 s waited"),
        (0, "silence", "silence", "11 bytes sent, 1 s waited"),
        (
            8,
            "Close 1002: unmasked frame from a client (RFC 6455, section 5.1)",
            "1002",
            "the connection has ended",
        ),
        (13, None, "1002", "the connection has ended"),
    ],
)
def test_peer_answers_what_is_sent(bit, told, verdict, state):
    async def play(editor):
        editor.flip(bit)
        assert await editor.send() == (told or editor.plain().rpartition("came back: ")[2])
        return editor.answer

    answer = asked(play)
    assert (answer["verdict"], answer["state"], answer["open"]) == (verdict, state, False)


def test_silence_is_said_after_the_wait_that_was_given():
    async def play(editor):
        editor.flip(0)
        before = asyncio.get_running_loop().time()
        await editor.send()
        return asyncio.get_running_loop().time() - before

    assert asked(play, wait=0.25) == pytest.approx(0.25 + 4 * 0.01)


def test_answer_is_shown_as_soon_as_it_comes():
    async def play(editor):
        editor._start_sending()
        await asyncio.sleep(0.2)
        return editor.answer

    answer = asked(play, wait=60)
    assert (answer["state"], answer["came"][0]["said"]) == ("waiting for more", "Text 'Hello'")


def test_a_kept_connection_takes_a_message_in_fragments():
    async def play(editor):
        editor.set_field("FIN", "0")
        first = await editor.send()
        is_open = editor.answer["open"]
        editor.set_field("FIN", "1")
        editor.set_field("opcode", "0")
        return first, is_open, await editor.send()

    assert asked(play, keep=True) == ("silence", True, "Text 'HelloHello'")


def test_a_kept_connection_shows_what_comes_later_until_it_ends():
    seen = []

    async def play(editor):
        await editor.send()
        for seconds in (1.5, 1.5):
            await asyncio.sleep(seconds)
            seen.append((editor.answer["came"][-1]["said"][:10], editor.answer["state"]))

    asked(play, keep=True, ping_period=2)
    assert seen == [("Ping '[pin", "came later"), ("Close 1011", "the connection has ended")]


def test_a_kept_connection_that_has_ended_is_opened_anew():
    async def play(editor):
        editor.flip(1)
        await editor.send()
        editor.flip(1)
        return await editor.send()

    assert asked(play, keep=True) == "Text 'Hello'"


def test_an_edit_takes_the_answer_away():
    async def play(editor):
        await editor.send()
        editor.flip(0)
        return editor.answer, "came back" in editor.plain()

    assert asked(play) == ({}, False)


def test_sending_again_waits_no_longer_for_the_answer_before():
    async def play(editor):
        editor.flip(0)
        editor._start_sending()
        await asyncio.sleep(0.1)
        editor.start_over()
        editor._start_sending()
        await asyncio.sleep(0.2)
        return editor.answer["came"]

    assert [frame["said"] for frame in asked(play, wait=60)] == ["Text 'Hello'"]


def test_a_flood_is_shown_20_times_a_second_and_not_all_of_it():
    shown = []

    async def play(editor):
        editor.observe(lambda change: shown.append(change["new"]), "answer")
        await editor.send()
        return editor.answer

    answer = asked(play, encode(Binary(b"x"), KEY) * 5000, wait=0.5)
    assert len(answer["came"]) == 20
    assert 2 <= len(shown) <= 2 + 0.5 / 0.05


def test_a_long_answer_is_told_by_its_beginning():
    editor = FrameEditor(HELLO, lambda wire: encode(Text("é" * 5000)))
    assert asyncio.run(editor.send()) == f"Text '{'é' * 100}' … 5000 characters"


def with_session(play, opens=connect):
    """Return what a play does with an open session of a client and its server's trace."""
    app = Application()
    app.install(WebSockets, ping_period=None)

    @app.websocket("/echo")
    async def echo(session):
        async for frame in session.incoming:
            await session.send(frame)

    async def scene(net):
        server = await app.start("server", 80)
        session = await opens(server.url("/echo"))
        return await play(session, server)

    return simulate(scene, latency=0.01)


@pytest.mark.parametrize("opens", [connect, connect_raw])
def test_an_open_session_may_be_the_peer_and_keeps_what_it_hears(opens):
    async def play(session, server):
        editor = FrameEditor(HELLO, session, wait=0.2)
        told = await editor.send(), await editor.send()
        assert (editor.peer, editor.connects) == ("/echo, session 1", False)
        frames = [frame.wire for frame in server.trace.frames if frame.sender == "client"]
        return *told, frames, await session.incoming.receive()

    assert with_session(play, opens) == ("Text 'Hello'", "Text 'Hello'", [HELLO, HELLO], Text("Hello"))


def test_a_session_that_the_peer_closes_is_over_for_the_editor_too():
    async def play(session, server):
        editor = FrameEditor(flip(HELLO, 8), session, wait=5)
        told, state = await editor.send(), editor.answer["state"]
        again = await editor.send()
        return told, state, again, editor.note

    told, state, again, note = with_session(play)
    assert told == "Close 1002: unmasked frame from a client (RFC 6455, section 5.1)"
    assert (state, again, note["wrong"]) == ("the connection has ended", "", True)
    assert note["said"].startswith("not sent: the session is closed: CloseReason(1002, 'unmasked frame")


def test_a_session_that_cannot_send_for_a_client_is_refused_in_one_line():
    async def play(session, server):
        [theirs] = server.sessions
        with pytest.raises(
            ValueError, match=r"^peer is <Session 1: server of /echo, open>: a client's session is needed$"
        ):
            FrameEditor(HELLO, theirs)
        await session.close()
        with pytest.raises(ValueError, match=r"^peer is <Session 1: client of /echo, .*: an open session is"):
            FrameEditor(HELLO, session)

    with_session(play)


def test_a_refused_handshake_is_said_in_the_line_of_the_view():
    async def play(editor):
        return await editor.send(), editor.note

    said, note = asked(play, path="/nowhere")
    assert (said, note["wrong"]) == ("", True)
    assert "404" in note["said"]


def test_a_function_may_be_the_peer():
    editor = FrameEditor(HELLO, lambda wire: encode(Text(f"{len(wire)} bytes")))
    assert asyncio.run(editor.send()) == "Text '11 bytes'"
    assert editor.plain().endswith("came back: Text '11 bytes'")
    assert "<p>came back: Text &#x27;11 bytes&#x27;</p>" in editor.html()


def test_button_may_be_pressed_from_any_thread():
    async def main():
        heard = asyncio.Event()
        editor = FrameEditor(HELLO, lambda wire: b"\x8a\x00", keep=True)
        editor.observe(lambda change: heard.set(), "answer")
        thread = threading.Thread(target=editor._on_message, args=(editor, {"do": "send"}, []))
        thread.start()
        async with asyncio.timeout(10):
            await heard.wait()
        thread.join()
        return editor.answer["verdict"]

    assert asyncio.run(main()) == "pong"


def test_button_of_an_editor_whose_loop_is_closed_says_so():
    async def main():
        return FrameEditor(HELLO, ECHO)

    editor = asyncio.run(main())
    assert typed(editor, do="send")["said"] == "the loop of this editor is closed: run its cell again"


def test_a_server_that_is_gone_is_named(free_port):
    editor = FrameEditor(HELLO, f"ws://127.0.0.1:{free_port}/echo")
    assert asyncio.run(editor.send()) == ""
    assert editor.note == {"said": "not sent: nothing listens there, is the server stopped?", "wrong": True}


def test_editor_prints_without_a_port(free_port):
    editor = FrameEditor(HELLO, f"ws://127.0.0.1:{free_port}/echo")
    assert editor.peer == "/echo"
    data, _ = editor._repr_mimebundle_()
    assert data["text/plain"].startswith("Text frame from a client: header 6 bytes, payload 5 bytes")
    assert str(free_port) not in data["text/plain"] + data["text/html"]
